/* A set of byte strings with ids, for finding all those that a text begins with. */
#ifndef HONE_TEXT_PIECE_TRIE_H
#define HONE_TEXT_PIECE_TRIE_H

#include "base/failure.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct hone_piece {
    const char *text; /* any bytes, NUL among them */
    size_t length;    /* from 1 */
    int32_t id;
} hone_piece;

/* A node of the double array: its child by byte c is node base ^ c, if that one's parent is it. */
typedef struct hone_trie_node {
    uint32_t base, parent;
    int32_t id; /* of the string that ends here, or -1 */
} hone_trie_node;

/* Read-only once built. The root is node 0. base ^ c is always within nodes. */
typedef struct hone_piece_trie {
    hone_trie_node *nodes;
    size_t count;
} hone_piece_trie;

/* Sorts pieces; no two may be equal. Time and memory go with their bytes together, at any depth.
 * Deinit also after a failure and for a zeroed struct. Errors: memory. */
hone_status hone_piece_trie_init(hone_piece_trie *trie, hone_piece *pieces, size_t count,
                                 hone_error *error);
void hone_piece_trie_deinit(hone_piece_trie *trie);

/* Child of a node, or 0, which is never one. */
static inline uint32_t hone_piece_trie_child(const hone_piece_trie *trie, uint32_t node,
                                             unsigned char byte)
{
    uint32_t child = trie->nodes[node].base ^ byte;
    return trie->nodes[child].parent == node ? child : 0;
}

/* Id of the string itself, or -1. */
int32_t hone_piece_trie_find(const hone_piece_trie *trie, const char *text, size_t length);
/* Length of the longest of the strings that text begins with, or 0. */
size_t hone_piece_trie_longest(const hone_piece_trie *trie, const char *text, size_t length);

#endif
