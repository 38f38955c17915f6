/* Byte-pair merging: see bpe.h. Short pre-tokens, nearly all of them, are merged in place by
 * scanning an array of ranks; long ones by a heap over a linked list, so that no input is
 * quadratic. Both merge in the same order: lowest rank first, then leftmost. */
#include "text/bpe.h"

#include "base/memory.h"

#include <string.h>

#define NO_RANK UINT32_MAX
#define SHORT_WORD 64

hone_status hone_bpe_init(hone_bpe *bpe, size_t merges, hone_error *error)
{
    *bpe = (hone_bpe){.unknown = -1};
    memset(bpe->bytes, 0xFF, sizeof bpe->bytes);
    if (merges >= NO_RANK / 4)
        return hone_fail(error, HONE_INPUT, "%zu merges: at most %u are supported", merges,
                         NO_RANK / 4 - 1);
    size_t slots = 16;
    while (slots < 2 * merges)
        slots *= 2;
    bpe->mask = slots - 1;
    bpe->pairs = hone_alloc_array(slots, sizeof *bpe->pairs);
    if (bpe->pairs == NULL)
        return hone_fail_memory(error, "merges", slots * sizeof *bpe->pairs);
    memset(bpe->pairs, 0xFF, slots * sizeof *bpe->pairs);
    return HONE_OK;
}

void hone_bpe_deinit(hone_bpe *bpe)
{
    hone_free(bpe->pairs);
    *bpe = (hone_bpe){0};
}

/* The pair's entry, or the free slot (left and right -1, rank NO_RANK) where it belongs. */
static inline hone_bpe_pair *find_pair(const hone_bpe *bpe, int32_t left, int32_t right)
{
    uint64_t hash = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * 0x9E3779B97F4A7C15u;
    size_t slot = (size_t)((hash ^ hash >> 32) * 0xD6E8FEB86659FD93u >> 32) & bpe->mask;
    for (;; slot = (slot + 1) & bpe->mask) {
        hone_bpe_pair *pair = &bpe->pairs[slot];
        if ((pair->left == left && pair->right == right) || pair->left < 0)
            return pair;
    }
}

bool hone_bpe_add(hone_bpe *bpe, int32_t left, int32_t right, int32_t product)
{
    hone_bpe_pair *pair = find_pair(bpe, left, right);
    if (pair->left >= 0)
        return false;
    *pair = (hone_bpe_pair){left, right, (uint32_t)bpe->count++, product};
    return true;
}

/* The tokens of single bytes that merging starts from. */
static size_t start_ids(const hone_bpe *bpe, const char *word, size_t length, int32_t *ids)
{
    size_t count = 0;
    bool after_unknown = false;
    for (size_t i = 0; i < length; i++) {
        int32_t id = bpe->bytes[(unsigned char)word[i]];
        bool unknown = id < 0;
        if (unknown)
            id = after_unknown && bpe->fuse_unknown ? -1 : bpe->unknown;
        if (id >= 0)
            ids[count++] = id;
        /* A dropped byte does not end a run of unknown ones: there are no others then. */
        after_unknown = unknown;
    }
    return count;
}

static size_t merge_short(const hone_bpe *bpe, int32_t *ids, size_t count)
{
    uint32_t ranks[SHORT_WORD];
    int32_t products[SHORT_WORD];
    for (size_t i = 0; i + 1 < count; i++) {
        const hone_bpe_pair *pair = find_pair(bpe, ids[i], ids[i + 1]);
        ranks[i] = pair->rank;
        products[i] = pair->product;
    }
    while (count > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < count; i++)
            best = ranks[i] < ranks[best] ? i : best;
        if (ranks[best] == NO_RANK)
            break;
        ids[best] = products[best];
        count--;
        for (size_t i = best + 1; i < count; i++) {
            ids[i] = ids[i + 1];
            ranks[i - 1] = ranks[i];
            products[i - 1] = products[i];
        }
        if (best > 0) {
            const hone_bpe_pair *pair = find_pair(bpe, ids[best - 1], ids[best]);
            ranks[best - 1] = pair->rank;
            products[best - 1] = pair->product;
        }
        if (best + 1 < count) {
            const hone_bpe_pair *pair = find_pair(bpe, ids[best], ids[best + 1]);
            ranks[best] = pair->rank;
            products[best] = pair->product;
        }
    }
    return count;
}

typedef struct hone_bpe_node {
    int32_t id;
    uint32_t previous, next; /* NONE at the ends */
    uint32_t rank;           /* of the pair (this, next); NO_RANK: none, or this node is gone */
} hone_bpe_node;

#define NONE UINT32_MAX

/* A heap of rank << 32 | place with four children a node: smallest first. An entry whose rank is no
 * longer its node's is stale; an equal rank at the same place is the same pair, since every merge
 * only makes texts longer. */
static void heap_sift_down(uint64_t *heap, size_t count, size_t at)
{
    uint64_t entry = heap[at];
    for (size_t child; (child = 4 * at + 1) < count; at = child) {
        size_t last = child + 4 < count ? child + 4 : count;
        for (size_t i = child + 1; i < last; i++)
            child = heap[i] < heap[child] ? i : child;
        if (heap[child] >= entry)
            break;
        heap[at] = heap[child];
    }
    heap[at] = entry;
}

static void heap_push(uint64_t *heap, size_t at, uint64_t entry)
{
    while (at > 0 && heap[(at - 1) / 4] > entry) {
        heap[at] = heap[(at - 1) / 4];
        at = (at - 1) / 4;
    }
    heap[at] = entry;
}

/* Looks the pair (node, next) up; pushes it when it merges. Room is made by the caller. */
static void refresh_pair(const hone_bpe *bpe, hone_bpe_scratch *scratch, uint32_t place,
                         size_t *heap_count)
{
    hone_bpe_node *node = &scratch->nodes[place];
    node->rank = NO_RANK;
    if (node->next == NONE)
        return;
    node->rank = find_pair(bpe, node->id, scratch->nodes[node->next].id)->rank;
    if (node->rank != NO_RANK)
        heap_push(scratch->heap, (*heap_count)++, (uint64_t)node->rank << 32 | place);
}

/* A merge takes one entry and adds at most two, so the heap holds at most two entries a node. */
static hone_status reserve_scratch(hone_bpe_scratch *scratch, size_t count, hone_error *error)
{
    if (count <= scratch->capacity)
        return HONE_OK;
    hone_bpe_scratch_deinit(scratch);
    if (count < NONE / 2) {
        scratch->nodes = hone_realloc_array(NULL, count, sizeof *scratch->nodes);
        scratch->heap = hone_realloc_array(NULL, count, 2 * sizeof *scratch->heap);
    }
    if (scratch->nodes == NULL || scratch->heap == NULL)
        return hone_fail_memory(error, "a word without a break", count);
    scratch->capacity = count;
    return HONE_OK;
}

static hone_status merge_long(const hone_bpe *bpe, hone_bpe_scratch *scratch, int32_t *ids,
                              size_t *count, hone_error *error)
{
    size_t total = *count, heap_count = 0;
    HONE_TRY(reserve_scratch(scratch, total, error));
    hone_bpe_node *nodes = scratch->nodes;
    for (uint32_t i = 0; i < total; i++) {
        uint32_t rank = i + 1 < total ? find_pair(bpe, ids[i], ids[i + 1])->rank : NO_RANK;
        nodes[i] = (hone_bpe_node){ids[i], i - 1, i + 1 < total ? i + 1 : NONE, rank};
        if (rank != NO_RANK)
            scratch->heap[heap_count++] = (uint64_t)rank << 32 | i;
    }
    for (size_t i = heap_count / 4 + 1; i-- > 0;)
        if (i < heap_count)
            heap_sift_down(scratch->heap, heap_count, i);
    while (heap_count > 0) {
        uint64_t top = scratch->heap[0];
        scratch->heap[0] = scratch->heap[--heap_count];
        if (heap_count > 0)
            heap_sift_down(scratch->heap, heap_count, 0);
        uint32_t place = (uint32_t)top;
        hone_bpe_node *node = &nodes[place];
        if (node->rank != top >> 32)
            continue;
        uint32_t gone = node->next;
        node->id = find_pair(bpe, node->id, nodes[gone].id)->product;
        node->next = nodes[gone].next;
        nodes[gone].rank = NO_RANK;
        if (node->next != NONE)
            nodes[node->next].previous = place;
        if (node->previous != NONE)
            refresh_pair(bpe, scratch, node->previous, &heap_count);
        refresh_pair(bpe, scratch, place, &heap_count);
    }
    *count = 0;
    for (uint32_t i = 0; i != NONE; i = nodes[i].next)
        ids[(*count)++] = nodes[i].id;
    return HONE_OK;
}

hone_status hone_bpe_encode(const hone_bpe *bpe, hone_bpe_scratch *scratch, const char *word,
                            size_t length, int32_t *ids, size_t *count, hone_error *error)
{
    *count = start_ids(bpe, word, length, ids);
    if (*count > SHORT_WORD)
        return merge_long(bpe, scratch, ids, count, error);
    *count = merge_short(bpe, ids, *count);
    return HONE_OK;
}

void hone_bpe_scratch_deinit(hone_bpe_scratch *scratch)
{
    hone_free(scratch->nodes);
    hone_free(scratch->heap);
    *scratch = (hone_bpe_scratch){0};
}
