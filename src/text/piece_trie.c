/* Building a double array: see piece_trie.h. Nodes are placed in breadth-first order from a queue
 * of ranges of the sorted list. Free places form a ring; only those of the last blocks are tried,
 * so that building is linear, and a little room is lost.
 * Source: Aoe 1989 (double arrays); XOR in place of addition keeps a node's children in one block
 * of 256. */
#include "text/piece_trie.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK 256u
#define OPEN_BLOCKS 16u      /* whose free places are still tried */
#define NO_PARENT UINT32_MAX /* of the root and of free places */
#define RING_END UINT32_MAX  /* of a list of free places */
#define NODE_LIMIT 0x7FFFFF00u

/* A node whose children are still to be placed: those strings that begin with its. */
typedef struct range {
    size_t first, last;
    size_t depth; /* bytes of its string */
    uint32_t node;
} range;

/* Free places: next and previous by place, only for the open blocks. */
typedef struct builder {
    hone_piece_trie *trie;
    const hone_piece *pieces;
    size_t capacity; /* of nodes */
    uint32_t next[OPEN_BLOCKS * BLOCK], previous[OPEN_BLOCKS * BLOCK];
    uint32_t head; /* the lowest free place */
    uint32_t tail;
    range *queue; /* ring buffer */
    size_t queue_first, queue_count, queue_capacity;
} builder;

static int compare_pieces(const void *a, const void *b)
{
    const hone_piece *x = a, *y = b;
    int order = memcmp(x->text, y->text, x->length < y->length ? x->length : y->length);
    return order != 0 ? order : (x->length > y->length) - (x->length < y->length);
}

static uint32_t *next_of(builder *b, uint32_t place)
{
    return &b->next[place % (OPEN_BLOCKS * BLOCK)];
}

static uint32_t *previous_of(builder *b, uint32_t place)
{
    return &b->previous[place % (OPEN_BLOCKS * BLOCK)];
}

static void take_place(builder *b, uint32_t place)
{
    uint32_t next = *next_of(b, place), previous = *previous_of(b, place);
    if (previous != RING_END)
        *next_of(b, previous) = next;
    else
        b->head = next;
    if (next != RING_END)
        *previous_of(b, next) = previous;
    else
        b->tail = previous;
}

/* Appends a block of free places and closes the oldest open one. */
static hone_status add_block(builder *b, hone_error *error)
{
    hone_piece_trie *trie = b->trie;
    if (trie->count + BLOCK > NODE_LIMIT ||
        !hone_array_reserve((void **)&trie->nodes, &b->capacity, trie->count + BLOCK,
                            sizeof *trie->nodes))
        return hone_fail_memory(error, "pieces", trie->count * sizeof *trie->nodes);
    if (trie->count >= OPEN_BLOCKS * BLOCK) {
        uint32_t end = (uint32_t)trie->count - (OPEN_BLOCKS - 1) * BLOCK;
        while (b->head != RING_END && b->head < end)
            take_place(b, b->head);
    }
    for (uint32_t i = 0; i < BLOCK; i++) {
        uint32_t place = (uint32_t)trie->count++;
        trie->nodes[place] = (hone_trie_node){0, NO_PARENT, -1};
        *previous_of(b, place) = b->tail;
        *next_of(b, place) = RING_END;
        if (b->tail != RING_END)
            *next_of(b, b->tail) = place;
        else
            b->head = place;
        b->tail = place;
    }
    return HONE_OK;
}

static bool fits(const builder *b, uint32_t base, const unsigned char *labels, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t place = base ^ labels[i];
        if (place == 0 || b->trie->nodes[place].parent != NO_PARENT)
            return false;
    }
    return true;
}

/* A base under which all labels' places are free. */
static hone_status find_base(builder *b, const unsigned char *labels, size_t count, uint32_t *base,
                             hone_error *error)
{
    for (uint32_t place = b->head; place != RING_END; place = *next_of(b, place)) {
        *base = place ^ labels[0];
        if (fits(b, *base, labels, count))
            return HONE_OK;
    }
    HONE_TRY(add_block(b, error));
    *base = (uint32_t)b->trie->count - BLOCK;
    return HONE_OK;
}

static hone_status push_range(builder *b, range item, hone_error *error)
{
    if (b->queue_count == b->queue_capacity) {
        size_t capacity = b->queue_capacity == 0 ? 1024 : 2 * b->queue_capacity;
        range *queue = hone_realloc_array(b->queue, capacity, sizeof *queue);
        if (queue == NULL)
            return hone_fail_memory(error, "pieces", capacity * sizeof *queue);
        /* What had wrapped around goes behind the rest. */
        memcpy(queue + b->queue_capacity, queue, b->queue_first * sizeof *queue);
        b->queue = queue;
        b->queue_capacity = capacity;
    }
    b->queue[(b->queue_first + b->queue_count++) % b->queue_capacity] = item;
    return HONE_OK;
}

static unsigned char label_of(const builder *b, size_t piece, size_t depth)
{
    return (unsigned char)b->pieces[piece].text[depth];
}

/* Places the children of one node. */
static hone_status place_children(builder *b, range parent, hone_error *error)
{
    unsigned char labels[BLOCK];
    size_t starts[BLOCK + 1], count = 0;
    if (b->pieces[parent.first].length == parent.depth) {
        b->trie->nodes[parent.node].id = b->pieces[parent.first].id;
        parent.first++;
    }
    for (size_t i = parent.first; i < parent.last; i++) {
        unsigned char label = label_of(b, i, parent.depth);
        if (count == 0 || labels[count - 1] != label) {
            labels[count] = label;
            starts[count++] = i;
        }
    }
    if (count == 0)
        return HONE_OK;
    starts[count] = parent.last;
    uint32_t base;
    HONE_TRY(find_base(b, labels, count, &base, error));
    b->trie->nodes[parent.node].base = base;
    for (size_t i = 0; i < count; i++) {
        uint32_t place = base ^ labels[i];
        take_place(b, place);
        b->trie->nodes[place].parent = parent.node;
        range child = {starts[i], starts[i + 1], parent.depth + 1, place};
        HONE_TRY(push_range(b, child, error));
    }
    return HONE_OK;
}

static hone_status build(builder *b, size_t count, hone_error *error)
{
    HONE_TRY(add_block(b, error));
    take_place(b, 0);
    range root = {0, count, 0, 0};
    if (count > 0)
        HONE_TRY(push_range(b, root, error));
    while (b->queue_count > 0) {
        range next = b->queue[b->queue_first];
        b->queue_first = (b->queue_first + 1) % b->queue_capacity;
        b->queue_count--;
        HONE_TRY(place_children(b, next, error));
    }
    return HONE_OK;
}

hone_status hone_piece_trie_init(hone_piece_trie *trie, hone_piece *pieces, size_t count,
                                 hone_error *error)
{
    *trie = (hone_piece_trie){0};
    builder *b = hone_alloc_array(1, sizeof *b);
    if (b == NULL)
        return hone_fail_memory(error, "pieces", sizeof *b);
    if (count > 0)
        qsort(pieces, count, sizeof *pieces, compare_pieces);
    b->trie = trie;
    b->pieces = pieces;
    b->head = b->tail = RING_END;
    hone_status status = build(b, count, error);
    hone_free(b->queue);
    hone_free(b);
    return status;
}

void hone_piece_trie_deinit(hone_piece_trie *trie)
{
    hone_free(trie->nodes);
    *trie = (hone_piece_trie){0};
}

int32_t hone_piece_trie_find(const hone_piece_trie *trie, const char *text, size_t length)
{
    uint32_t node = 0;
    for (size_t i = 0; i < length; i++) {
        node = hone_piece_trie_child(trie, node, (unsigned char)text[i]);
        if (node == 0)
            return -1;
    }
    return trie->nodes[node].id;
}

size_t hone_piece_trie_longest(const hone_piece_trie *trie, const char *text, size_t length)
{
    size_t longest = 0;
    uint32_t node = 0;
    for (size_t i = 0; i < length; i++) {
        node = hone_piece_trie_child(trie, node, (unsigned char)text[i]);
        if (node == 0)
            break;
        if (trie->nodes[node].id >= 0)
            longest = i + 1;
    }
    return longest;
}
