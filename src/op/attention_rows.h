/* Attention's arithmetic on one query's row of scores, each direction in as few passes as there
 * are. A row is `keys` floats, a multiple of LANES, of which the first `visible` count; results are
 * 0 behind them. Where they are wanted in bf16 they lie over the front half of their own row: each
 * store is behind the loads that follow. Included by attention.c only. */
#ifndef HONE_OP_ATTENTION_ROWS_H
#define HONE_OP_ATTENTION_ROWS_H

#include "op/kernel.h"

/* One row of raw scores. Powers are of 2 here, so that the factor log2(e) is part of what a score
 * is multiplied with anyway; biases have it, too. */
typedef struct score_row {
    float *scores;
    const float *bias; /* (visible), readable up to whole vectors, times log2(e); or NULL */
    int64_t visible, keys;
    float scale;
} score_row;

/* log2(e) times the scaled and biased scores. */
static inline vec exponent_at(const score_row *row, int64_t j)
{
    vec exponent = vec_load(row->scores + j) * (row->scale * LOG2_E);
    return row->bias != NULL ? exponent + vec_load(row->bias + j) : exponent;
}

static inline void put_lanes(float *row, int64_t j, vec value, hone_dtype type)
{
    if (type == HONE_BF16)
        vec_store_bf16((uint16_t *)(void *)row + j, value);
    else
        vec_store(row + j, value);
}

/* Scores to e^(score - top), top the largest; *sum is theirs. Returns log2(e) times the
 * log-sum-exp. */
static inline float exponential_row(const score_row *row, hone_dtype type, float *sum)
{
    vec largest = vec_set(-INFINITY), total = {0};
    int64_t whole = row->visible / LANES * LANES, j = 0;
    for (; j < whole; j += LANES)
        largest = vec_max(exponent_at(row, j), largest);
    ivec rest = vec_below(row->visible - whole);
    if (whole < row->visible)
        largest = vec_max(vec_select(rest, exponent_at(row, whole), largest), largest);
    float top = vec_largest(largest);
    for (j = 0; j < whole; j += LANES) {
        vec e = vec_exp2(exponent_at(row, j) - top);
        total += e;
        put_lanes(row->scores, j, e, type);
    }
    if (whole < row->visible) {
        vec e = vec_select(rest, vec_exp2(exponent_at(row, whole) - top), (vec){0});
        total += e;
        put_lanes(row->scores, whole, e, type);
        j += LANES;
    }
    for (; j < row->keys; j += LANES)
        put_lanes(row->scores, j, (vec){0}, type);
    *sum = vec_sum(total);
    return top + log2f(*sum);
}

/* Scores to probabilities p again, from what exponential_row returned; dp, the gradients of the
 * probabilities, to those of the raw scores: scale p (dp - sum_j p_j dp_j); that sum is dy . y. */
static inline void gradient_row(const score_row *row, float log_sum, float sum, hone_dtype type,
                                float *dp)
{
    float scaled = row->scale * sum;
    int64_t whole = row->visible / LANES * LANES, j = 0;
    for (; j < row->visible; j += LANES) {
        vec p = vec_exp2(exponent_at(row, j) - log_sum);
        if (j == whole)
            p = vec_select(vec_below(row->visible - j), p, (vec){0});
        vec ds = p * (row->scale * vec_load(dp + j) - scaled);
        put_lanes(row->scores, j, p, type);
        put_lanes(dp, j, ds, type);
    }
    for (; j < row->keys; j += LANES) {
        put_lanes(row->scores, j, (vec){0}, type);
        put_lanes(dp, j, (vec){0}, type);
    }
}

/* ---- a few queries against a cache -------------------------------------------------------- */

#define CONSTANT_TYPE static inline __attribute__((always_inline)) /* callers give a constant */

CONSTANT_TYPE vec lanes_at(hone_dtype type, const void *row, int64_t i)
{
    return type == HONE_BF16 ? vec_load_bf16((const uint16_t *)row + i)
                             : vec_load((const float *)row + i);
}

CONSTANT_TYPE float element_at(hone_dtype type, const void *row, int64_t i)
{
    return type == HONE_BF16 ? hone_bf16_to_f32(((const uint16_t *)row)[i])
                             : ((const float *)row)[i];
}

/* Dot products of a query with keys that lie `stride` bytes apart. Four go together, the last one
 * again where there are fewer: `scores` has room for whole fours. */
CONSTANT_TYPE void dot_keys_of(hone_dtype type, const float *q, const char *keys, int64_t stride,
                               int64_t count, int64_t size, float *scores)
{
    for (int64_t j = 0; j < count; j += 4) {
        const char *key[4];
        vec sum[4] = {{0}};
        float total[4];
        for (int c = 0; c < 4; c++)
            key[c] = keys + (j + c < count ? j + c : count - 1) * stride;
        int64_t d = 0;
        for (; d + LANES <= size; d += LANES) {
            vec part = vec_load(q + d);
            for (int c = 0; c < 4; c++)
                sum[c] += part * lanes_at(type, key[c], d);
        }
        vec_sum4(sum, total);
        for (; d < size; d++)
            for (int c = 0; c < 4; c++)
                total[c] += q[d] * element_at(type, key[c], d);
        memcpy(scores + j, total, sizeof total);
    }
}

static inline void dot_keys(hone_dtype type, const float *q, const char *keys, int64_t stride,
                            int64_t count, int64_t size, float *scores)
{
    if (type == HONE_BF16)
        dot_keys_of(HONE_BF16, q, keys, stride, count, size, scores);
    else
        dot_keys_of(HONE_F32, q, keys, stride, count, size, scores);
}

/* y = the values, `stride` bytes apart, times their factors, summed in their order. */
CONSTANT_TYPE void sum_values_of(hone_dtype type, const float *factors, const char *values,
                                 int64_t stride, int64_t count, int64_t size, float *y)
{
    enum { TOGETHER = 4 };
    int64_t d = 0;
    for (; d + TOGETHER * LANES <= size; d += TOGETHER * LANES) {
        vec sum[TOGETHER] = {{0}};
        for (int64_t j = 0; j < count; j++)
            for (int c = 0; c < TOGETHER; c++)
                sum[c] += factors[j] * lanes_at(type, values + j * stride, d + c * LANES);
        for (int c = 0; c < TOGETHER; c++)
            vec_store(y + d + c * LANES, sum[c]);
    }
    for (; d + LANES <= size; d += LANES) {
        vec sum = {0};
        for (int64_t j = 0; j < count; j++)
            sum += factors[j] * lanes_at(type, values + j * stride, d);
        vec_store(y + d, sum);
    }
    for (; d < size; d++) {
        y[d] = 0;
        for (int64_t j = 0; j < count; j++)
            y[d] += factors[j] * element_at(type, values + j * stride, d);
    }
}

static inline void sum_values(hone_dtype type, const float *factors, const char *values,
                              int64_t stride, int64_t count, int64_t size, float *y)
{
    if (type == HONE_BF16)
        sum_values_of(HONE_BF16, factors, values, stride, count, size, y);
    else
        sum_values_of(HONE_F32, factors, values, stride, count, size, y);
}

/* A row of f32 results to their type, in place. */
static inline void narrow_row(float *row, int64_t keys, hone_dtype type)
{
    for (int64_t j = 0; type == HONE_BF16 && j < keys; j += LANES)
        put_lanes(row, j, vec_load(row + j), type);
}

#endif
