/* Byte-pair merging: the ids of one pre-token. */
#ifndef HONE_TEXT_BPE_H
#define HONE_TEXT_BPE_H

#include "base/failure.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct hone_bpe_pair {
    int32_t left, right; /* left = -1: a free slot */
    uint32_t rank;       /* lower merges first */
    int32_t product;
} hone_bpe_pair;

/* Read-only once built, so any number of threads may use it. */
typedef struct hone_bpe {
    hone_bpe_pair *pairs; /* hash table */
    size_t mask;          /* slots - 1 */
    size_t count;         /* merges added; the next one's rank */
    int32_t bytes[256];   /* id of each byte's token; -1: text loses that byte, as in HF */
    int32_t unknown;      /* id instead of -1, or -1 */
    bool fuse_unknown;    /* neighbouring unknown bytes make one token */
} hone_bpe;

/* Scratch of one thread for pre-tokens that are long; zeroed before first use. */
typedef struct hone_bpe_scratch {
    struct hone_bpe_node *nodes;
    uint64_t *heap;  /* entries: rank << 32 | place */
    size_t capacity; /* in nodes; the heap has room for twice as many entries */
} hone_bpe_scratch;

/* Room for `merges` merges. Deinit also after a failure and for a zeroed struct. */
hone_status hone_bpe_init(hone_bpe *bpe, size_t merges, hone_error *error);
void hone_bpe_deinit(hone_bpe *bpe);
/* Adds the next merge; false when the pair has one already. */
bool hone_bpe_add(hone_bpe *bpe, int32_t left, int32_t right, int32_t product);

/* Ids of a pre-token: *count of at most `length`, to which ids must have room. Merges the pair of
 * lowest rank, the leftmost of those, until none is left. O(length log length). Errors: memory. */
hone_status hone_bpe_encode(const hone_bpe *bpe, hone_bpe_scratch *scratch, const char *word,
                            size_t length, int32_t *ids, size_t *count, hone_error *error);
void hone_bpe_scratch_deinit(hone_bpe_scratch *scratch);

#endif
