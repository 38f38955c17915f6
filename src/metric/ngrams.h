/* How many n-grams of one sequence others share, counted exactly and in linear memory. */
#ifndef HONE_METRIC_NGRAMS_H
#define HONE_METRIC_NGRAMS_H

#include "metric/words.h"

/* Room that is kept between calls. */
typedef struct hone_ngrams {
    uint64_t *keys;      /* hash table from (id of the first n-1, last element) ... */
    uint32_t *ids;       /* ... to the id of the n-gram */
    size_t capacity;     /* slots that there is room for */
    size_t slots, count; /* in use: a power of two; n-grams of this order */
    uint32_t *grams;     /* of the sequence: id of the n-gram at each place or none */
    uint32_t *others;    /* the same of all other sequences, one after the other */
    uint32_t *counts[3]; /* by id: in the sequence, in one other, the largest of any other */
    size_t gram_capacity, other_capacity, count_capacity;
} hone_ngrams;

void hone_ngrams_deinit(hone_ngrams *ngrams);

/* matches[n-1], n = 1 .. orders: the number of n-grams of `sequence` that are in the others too;
 * one that occurs c times in it and at most d times in any of the others counts min(c, d).
 * HONE_MEMORY. */
hone_status hone_ngrams_match(hone_ngrams *ngrams, const hone_sequence *sequence,
                              const hone_sequence *const *others, size_t other_count, size_t orders,
                              int64_t *matches, hone_error *error);

/* The number of n-grams of a sequence. */
static inline int64_t hone_ngrams_total(const hone_sequence *sequence, size_t n)
{
    return sequence->count >= n ? (int64_t)(sequence->count - n + 1) : 0;
}

#endif
