/* The kernels of skinny.h, for one instruction set. Weights are read in order, from memory once;
 * f32 and bf16 weights, f32 sums. */
#include "gemm/skinny.h"
#include "tensor/vector.h"

enum { TILE = 256, STEP = 4 }; /* columns whose sums stay in cache; rows of B at once */

static inline float narrow_at(const hone_matrix *a, int64_t row, int64_t column)
{
    int64_t at = row * a->row_stride + column * a->column_stride;
    return a->dtype == HONE_BF16 ? hone_bf16_to_f32(((const uint16_t *)a->data)[at])
                                 : ((const float *)a->data)[at];
}

static inline vec load_weights(const void *base, hone_dtype dtype, int64_t at)
{
    if (dtype == HONE_F32)
        return vec_load((const float *)base + at);
    typedef uint16_t half_vec __attribute__((vector_size(32)));
    half_vec half;
    memcpy(&half, (const uint16_t *)base + at, sizeof half);
    return (vec)(__builtin_convertvector(half, ivec) << 16);
}

static void put(const hone_product *p, int64_t row, int64_t column, const float *sums, int64_t n)
{
    for (int64_t j = 0; j < n; j++) {
        float value = sums[j] + (p->bias != NULL ? p->bias[column + j] : 0.0f);
        int64_t at = row * p->c_stride + column + j;
        if (p->c_dtype == HONE_BF16) {
            uint16_t *c = p->c;
            c[at] = hone_f32_to_bf16(p->accumulate ? hone_bf16_to_f32(c[at]) + value : value);
        } else {
            float *c = p->c;
            c[at] = p->accumulate ? c[at] + value : value;
        }
    }
}

/* STEP rows of B into the sums of one row of A: whole vectors, then single columns. */
static inline void step_rows(const hone_product *p, int64_t row, int64_t k, int64_t column,
                             int64_t n, float *sums, hone_dtype dtype)
{
    float x[STEP];
    for (int i = 0; i < STEP; i++)
        x[i] = k + i < p->k ? narrow_at(&p->a, row, k + i) : 0.0f;
    int64_t stride = p->b.row_stride, base = k * stride + column, j = 0;
    /* Past the last row of B its first of this step is read again and multiplied by 0. */
    int64_t at[STEP];
    for (int i = 0; i < STEP; i++)
        at[i] = k + i < p->k ? base + i * stride : base;
    for (; j + LANES <= n; j += LANES) {
        vec sum = vec_load(sums + j);
        for (int i = 0; i < STEP; i++)
            sum += x[i] * load_weights(p->b.data, dtype, at[i] + j);
        vec_store(sums + j, sum);
    }
    for (; j < n; j++)
        for (int i = 0; i < STEP && k + i < p->k; i++)
            sums[j] += x[i] * narrow_at(&p->b, k + i, column + j);
}

/* B row-major (K,N): sums of a tile of columns grow as rows of B go by. */
static void by_rows(const hone_product *p, int64_t first, int64_t last)
{
    float sums[HONE_SKINNY_ROWS][TILE];
    for (int64_t column = first; column < last; column += TILE) {
        int64_t n = last - column < TILE ? last - column : TILE;
        memset(sums, 0, sizeof sums[0] * (size_t)p->m);
        for (int64_t k = 0; k < p->k; k += STEP) {
            const char *ahead =
                (const char *)p->b.data +
                ((k + 4 * STEP) * p->b.row_stride + column) * (int64_t)hone_dtype_size(p->b.dtype);
            if (k + 5 * STEP <= p->k)
                for (int i = 0; i < STEP; i++)
                    for (int64_t line = 0; line < n * (int64_t)hone_dtype_size(p->b.dtype);
                         line += 64)
                        __builtin_prefetch(ahead + line +
                                           i * p->b.row_stride *
                                               (int64_t)hone_dtype_size(p->b.dtype));
            for (int64_t row = 0; row < p->m; row++) {
                if (p->b.dtype == HONE_F32)
                    step_rows(p, row, k, column, n, sums[row], HONE_F32);
                else
                    step_rows(p, row, k, column, n, sums[row], HONE_BF16);
            }
        }
        for (int64_t row = 0; row < p->m; row++)
            put(p, row, column, sums[row], n);
    }
}

/* Four accumulators hide the latency of the additions. */
static inline float dot(const void *x, hone_dtype x_dtype, const void *w, int64_t w_at, int64_t n,
                        hone_dtype dtype)
{
    vec sum[4] = {{0}, {0}, {0}, {0}};
    int64_t j = 0;
    for (; j + 4 * LANES <= n; j += 4 * LANES)
        for (int i = 0; i < 4; i++)
            sum[i] += load_weights(x, x_dtype, j + i * LANES) *
                      load_weights(w, dtype, w_at + j + i * LANES);
    for (; j + LANES <= n; j += LANES)
        sum[0] += load_weights(x, x_dtype, j) * load_weights(w, dtype, w_at + j);
    float total = vec_sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
    const hone_matrix left = {x, x_dtype, 0, 1}, right = {w, dtype, 0, 1};
    for (; j < n; j++)
        total += narrow_at(&left, 0, j) * narrow_at(&right, 0, w_at + j);
    return total;
}

/* B stored (N,K): a dot product for each element, each row of B used for all rows of A. */
static void by_columns(const hone_product *p, int64_t first, int64_t last)
{
    for (int64_t column = first; column < last; column++) {
        int64_t at = column * p->b.column_stride;
        for (int64_t row = 0; row < p->m; row++) {
            const char *x = (const char *)p->a.data +
                            row * p->a.row_stride * (int64_t)hone_dtype_size(p->a.dtype);
            float sum = p->b.dtype == HONE_F32 ? dot(x, HONE_F32, p->b.data, at, p->k, HONE_F32)
                                               : dot(x, HONE_BF16, p->b.data, at, p->k, HONE_BF16);
            put(p, row, column, &sum, 1);
        }
    }
}

extern const hone_skinny_fn HONE_ISA_NAME(hone_skinny);
static void skinny(const hone_product *p, int64_t first, int64_t last)
{
    if (p->b.column_stride == 1)
        by_rows(p, first, last);
    else
        by_columns(p, first, last);
}
const hone_skinny_fn HONE_ISA_NAME(hone_skinny) = skinny;
