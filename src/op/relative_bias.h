/* T5's relative position bias: what is added to a score depends on the head and on the bucket of
 * the distance key - query alone. So a head's biases are laid out by distance, and a query's row of
 * scores meets a contiguous slice of them. Included by attention.c only.
 * Source:  Raffel et al. 2020, arXiv:1910.10683, section 2.1: half of a direction's buckets hold
 *          one distance each, the others grow logarithmically up to relative_distance. */
#ifndef HONE_OP_RELATIVE_BIAS_H
#define HONE_OP_RELATIVE_BIAS_H

#include "op/kernel.h"

/* Distances -(reach - 1) .. reach - 1, in order. */
static inline int64_t bias_distances(int64_t reach)
{
    return 2 * reach - 1;
}

/* Bucket of a distance; in f32 as the models were trained. */
static inline int64_t bias_bucket(const hone_op *op, int64_t distance)
{
    int64_t buckets = op->as.attention.relative_buckets, first = 0;
    int64_t n = distance < 0 ? -distance : distance;
    if (op->as.attention.causal) /* keys to come are never seen */
        n = distance < 0 ? n : 0;
    else {
        buckets /= 2;
        first = distance > 0 ? buckets : 0;
    }
    int64_t exact = buckets / 2;
    if (n < exact)
        return first + n;
    float most = logf((float)op->as.attention.relative_distance / (float)exact);
    float grown = logf((float)n / (float)exact) / most * (float)(buckets - exact);
    int64_t bucket = exact + (int64_t)grown;
    return first + (bucket < buckets - 1 ? bucket : buckets - 1);
}

/* table (heads, distances), times `factor`, from weight (buckets, heads). */
static inline void bias_fill(const hone_op *op, const hone_weight *weight, int64_t reach,
                             float factor, float *table)
{
    const float *bias = weight->data;
    int64_t heads = op->as.attention.heads, distances = bias_distances(reach);
    for (int64_t i = 0; i < distances; i++) {
        int64_t bucket = bias_bucket(op, i - (reach - 1));
        for (int64_t head = 0; head < heads; head++)
            table[head * distances + i] = factor * bias[bucket * heads + head];
    }
}

/* What a query at `position` adds to its scores with keys 0, 1, ... */
static inline const float *bias_row(const float *table, int64_t reach, int64_t head,
                                    int64_t position)
{
    return table + head * bias_distances(reach) + (reach - 1) - position;
}

/* d_buckets (buckets) = sums of d_distances (distances). */
static inline void bias_collect(const hone_op *op, const float *d_distances, int64_t reach,
                                float *d_buckets)
{
    memset(d_buckets, 0, (size_t)op->as.attention.relative_buckets * sizeof(float));
    for (int64_t i = 0; i < bias_distances(reach); i++)
        d_buckets[bias_bucket(op, i - (reach - 1))] += d_distances[i];
}

#endif
