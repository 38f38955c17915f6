/* From a row of logits to the next token. Pure functions: the same row, history, settings and key
 * give the same token. They are applied in the order in which Transformers does: repetition
 * penalty, min_new_tokens, then (temperature > 0) temperature, top_k, top_p, min_p. */
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
    int64_t made; /* new ones among them */
    int32_t eos;  /* or -1 */
} hone_sampling_row;

/* Bytes of scratch for a vocabulary; alignment 8. One of its own for each row at work. */
size_t hone_sampling_scratch(int64_t vocabulary);

/* Changes the logits as the settings say; what is left out becomes -INFINITY. With temperature > 0
 * they are shifted so that the largest is 0, and `scratch` holds their exponentials for
 * hone_sampling_draw. False when the logits hold a NaN or +INFINITY, or nothing else than
 * -INFINITY. */
bool hone_sampling_process(const hone_generate_settings *settings, const hone_sampling_row *row,
                           void *scratch);
/* Lowest index of the largest logit. */
int32_t hone_sampling_largest(const float *logits, int64_t vocabulary);
/* The token at `uniform`, in [0, 1), of the distribution that hone_sampling_process left. */
int32_t hone_sampling_draw(const void *scratch, int64_t vocabulary, double uniform);
/* All of it: the next token, or -1 where hone_sampling_process says false. */
int32_t hone_sampling_choose(const hone_generate_settings *settings, const hone_sampling_row *row,
                             hone_random_key key, void *scratch);

#endif
