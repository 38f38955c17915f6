/* Attention's arithmetic on one query's row of scores, each direction in as few passes as there
 * are. A row is `keys` floats, a multiple of LANES, of which the first `visible` count; results are
 * 0 behind them. Where they are wanted in bf16 they lie over the front half of their own row: each
 * store is behind the loads that follow. Included by attention.c only. */
#ifndef HONE_OP_ATTENTION_ROWS_H
#define HONE_OP_ATTENTION_ROWS_H

#include "op/kernel.h"

/* One row of raw scores. */
typedef struct score_row {
    float *scores;
    const float *bias; /* (visible), readable up to whole vectors; or NULL */
    int64_t visible, keys;
    float scale;
} score_row;

static inline vec score_at(const score_row *row, int64_t j)
{
    vec score = vec_load(row->scores + j) * row->scale;
    return row->bias != NULL ? score + vec_load(row->bias + j) : score;
}

static inline void put_lanes(float *row, int64_t j, vec value, hone_dtype type)
{
    if (type == HONE_BF16)
        vec_store_bf16((uint16_t *)(void *)row + j, value);
    else
        vec_store(row + j, value);
}

/* Scores to e^(score - top), top the largest; *sum is theirs. Returns the log-sum-exp. */
static inline float exponential_row(const score_row *row, hone_dtype type, float *sum)
{
    vec largest = vec_set(-INFINITY), total = {0};
    for (int64_t j = 0; j < row->visible; j += LANES) {
        vec score = score_at(row, j);
        if (j + LANES > row->visible)
            score = vec_select(vec_below(row->visible - j), score, vec_set(-INFINITY));
        largest = vec_max(score, largest);
        vec_store(row->scores + j, score);
    }
    float top = vec_largest(largest);
    int64_t j = 0;
    for (; j < row->visible; j += LANES) {
        vec e = vec_exp_bounded(vec_load(row->scores + j) - top);
        total += e;
        put_lanes(row->scores, j, e, type);
    }
    for (; j < row->keys; j += LANES)
        put_lanes(row->scores, j, (vec){0}, type);
    *sum = vec_sum(total);
    return top + logf(*sum);
}

/* Scores to probabilities p again, from the log-sum-exp; dp, the gradients of the probabilities, to
 * those of the raw scores: scale p (dp - sum_j p_j dp_j); that sum is dy . y. */
static inline void gradient_row(const score_row *row, float lse, float sum, hone_dtype type,
                                float *dp)
{
    int64_t j = 0;
    for (; j < row->visible; j += LANES) {
        vec p = vec_exp_bounded(score_at(row, j) - lse);
        if (j + LANES > row->visible)
            p = vec_select(vec_below(row->visible - j), p, (vec){0});
        vec ds = row->scale * p * (vec_load(dp + j) - sum);
        put_lanes(row->scores, j, p, type);
        put_lanes(dp, j, ds, type);
    }
    for (; j < row->keys; j += LANES) {
        put_lanes(row->scores, j, (vec){0}, type);
        put_lanes(dp, j, (vec){0}, type);
    }
}

/* A row of f32 results to their type, in place. */
static inline void narrow_row(float *row, int64_t keys, hone_dtype type)
{
    for (int64_t j = 0; type == HONE_BF16 && j < keys; j += LANES)
        put_lanes(row, j, vec_load(row + j), type);
}

#endif
