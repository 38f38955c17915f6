/* From a row of logits to the next token. Pure functions: the same row, history, settings and key
 * give the same token. They are applied in the order in which Transformers does: repetition
 * penalty, no_repeat_ngram_size, min_new_tokens, then (temperature > 0) temperature, top_k, top_p,
 * min_p. */
#ifndef HONE_INFER_SAMPLING_H
#define HONE_INFER_SAMPLING_H

#include "base/random.h"

#include <hone/generate.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct hone_sampling_row {
    float *logits; /* (vocabulary), overwritten */
    int64_t vocabulary;
    const int32_t *ids; /* (count) prompt and new tokens so far, each below vocabulary */
    int64_t count;
    int64_t made;        /* new ones among them */
    const int32_t *ends; /* (end_count) tokens that end a text, each below vocabulary */
    size_t end_count;
} hone_sampling_row;

/* Bytes of scratch for a vocabulary; alignment 8. One of its own for each row at work. */
size_t hone_sampling_scratch(int64_t vocabulary);

/* What a row of logits can be. */
typedef enum hone_row_state {
    HONE_ROW_FINE,
    HONE_ROW_EMPTY, /* the settings leave no token: all are -INFINITY */
    HONE_ROW_BROKEN /* a NaN or +INFINITY, or nothing but -INFINITY from the start */
} hone_row_state;

/* The part that holds for greedy and beam search too: repetition_penalty, no_repeat_ngram_size and
 * min_new_tokens, on logits or log-probabilities; what is left out becomes -INFINITY. */
hone_row_state hone_sampling_adjust(const hone_generate_settings *settings,
                                    const hone_sampling_row *row, void *scratch);
/* All of it. With temperature > 0 the logits are shifted so that the largest is 0, and `scratch`
 * holds their exponentials for hone_sampling_draw. */
hone_row_state hone_sampling_process(const hone_generate_settings *settings,
                                     const hone_sampling_row *row, void *scratch);
/* Lowest index of the largest logit. */
int32_t hone_sampling_largest(const float *logits, int64_t vocabulary);
/* The token at `uniform`, in [0, 1), of the distribution that hone_sampling_process left. */
int32_t hone_sampling_draw(const void *scratch, int64_t vocabulary, double uniform);
enum { HONE_TOKEN_NONE = -1, HONE_TOKEN_BROKEN = -2 };

/* Process and choose: the next token, HONE_TOKEN_NONE for an empty row, or HONE_TOKEN_BROKEN. */
int32_t hone_sampling_choose(const hone_generate_settings *settings, const hone_sampling_row *row,
                             hone_random_key key, void *scratch);

#endif
