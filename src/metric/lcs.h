/* Longest common subsequences of two sequences of words, 64 cells of the table at a time, with
 * memory for a few of its rows.
 * Source: Hyyro 2004, "Bit-parallel LCS-length computation revisited". */
#ifndef HONE_METRIC_LCS_H
#define HONE_METRIC_LCS_H

#include "base/failure.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room that is kept between calls. */
typedef struct hone_lcs {
    struct hone_lcs_word *words; /* by id: where it stands in the candidate */
    uint32_t *next;              /* by place: the next place with the same word */
    uint64_t *masks, *rows;
    size_t word_capacity, next_capacity, mask_capacity, row_capacity;
    size_t row_limit; /* words of 8 bytes that a whole table may have; 0: the default */
} hone_lcs;

void hone_lcs_deinit(hone_lcs *lcs);

/* A sequence of fewer than 2^32 - 1 words. */
typedef struct hone_span {
    const uint32_t *ids;
    size_t count;
} hone_span;

/* Length of a longest common subsequence; ids are below `vocabulary`. HONE_MEMORY. */
hone_status hone_lcs_length(hone_lcs *lcs, hone_span reference, hone_span candidate,
                            size_t vocabulary, size_t *length, hone_error *error);

/* Sets marks[i] for the places of the reference that one of them takes: the one that is found from
 * the ends of both, going back in the candidate only where that keeps what going back in the
 * reference would lose (rouge-score's choice). Other marks stay as they are. HONE_MEMORY. */
hone_status hone_lcs_mark(hone_lcs *lcs, hone_span reference, hone_span candidate,
                          size_t vocabulary, bool *marks, hone_error *error);

#endif
