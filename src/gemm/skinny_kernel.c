/* The kernels of skinny.h, for one instruction set. bf16 pairs are split by a shift and a mask,
 * which no lane has to cross: sums of even and odd elements stay apart until the end. */
#include "gemm/skinny.h"
#include "tensor/vector.h"

enum {
    STEP = 8,   /* rows of B at once */
    TILE = 512, /* columns whose part of them stays in cache */
    ROWS = 4    /* rows of A that share a loaded weight in a dot product */
};

static inline uvec load_pairs(const uint16_t *from)
{
    uvec pairs;
    memcpy(&pairs, from, sizeof pairs);
    return pairs;
}

static inline vec even_of(uvec pairs)
{
    return (vec)(pairs << 16);
}
static inline vec odd_of(uvec pairs)
{
    return (vec)(pairs & 0xFFFF0000u);
}

static void spread(const hone_product *p, float *x, int64_t x_stride)
{
    bool by_columns = p->b.column_stride != 1;
    for (int64_t row = 0; row < p->m; row++) {
        float *to = x + row * x_stride;
        memset(to, 0, (size_t)x_stride * sizeof(float));
        if (p->a.dtype == HONE_F32) {
            memcpy(to, (const float *)p->a.data + row * p->a.row_stride,
                   (size_t)p->k * sizeof(float));
            continue;
        }
        const uint16_t *from = (const uint16_t *)p->a.data + row * p->a.row_stride;
        for (int64_t k = 0; k < p->k; k++) {
            int64_t pair = k / HONE_SKINNY_PAIR * HONE_SKINNY_PAIR, in = k % HONE_SKINNY_PAIR;
            bool whole = pair + HONE_SKINNY_PAIR <= p->k;
            int64_t at = by_columns && whole ? pair + in % 2 * LANES + in / 2 : k;
            to[at] = hone_bf16_to_f32(from[k]);
        }
    }
}

/* ---- B by rows ---------------------------------------------------------------------------- */

/* STEP rows of B into the sums of all rows of A: a weight is loaded once for them all. x[i] is the
 * factor of B's row i in the first row of A. */
static inline void step_f32(const float *const w[STEP], const float *x, int64_t x_stride,
                            float *sums, int64_t sums_stride, int64_t m, int64_t n)
{
    int64_t j = 0;
    for (; j + LANES <= n; j += LANES) {
        vec weight[STEP];
        for (int i = 0; i < STEP; i++)
            weight[i] = vec_load(w[i] + j);
        for (int64_t row = 0; row < m; row++) {
            vec sum = vec_load(sums + row * sums_stride + j);
            for (int i = 0; i < STEP; i++)
                sum += x[row * x_stride + i] * weight[i];
            vec_store(sums + row * sums_stride + j, sum);
        }
    }
    for (; j < n; j++)
        for (int64_t row = 0; row < m; row++)
            for (int i = 0; i < STEP; i++)
                sums[row * sums_stride + j] += x[row * x_stride + i] * w[i][j];
}

/* Within each 32 columns the sums hold the even ones first, then the odd ones. */
static inline void step_bf16(const uint16_t *const w[STEP], const float *x, int64_t x_stride,
                             float *sums, int64_t sums_stride, int64_t m, int64_t n)
{
    int64_t j = 0;
    for (; j + HONE_SKINNY_PAIR <= n; j += HONE_SKINNY_PAIR) {
        uvec pairs[STEP];
        for (int i = 0; i < STEP; i++)
            pairs[i] = load_pairs(w[i] + j);
        for (int64_t row = 0; row < m; row++) {
            float *to = sums + row * sums_stride + j;
            vec even = vec_load(to), odd = vec_load(to + LANES);
            for (int i = 0; i < STEP; i++) {
                even += x[row * x_stride + i] * even_of(pairs[i]);
                odd += x[row * x_stride + i] * odd_of(pairs[i]);
            }
            vec_store(to, even);
            vec_store(to + LANES, odd);
        }
    }
    for (; j < n; j++)
        for (int64_t row = 0; row < m; row++)
            for (int i = 0; i < STEP; i++)
                sums[row * sums_stride + j] += x[row * x_stride + i] * hone_bf16_to_f32(w[i][j]);
}

static void unsplit(float *sums, int64_t n)
{
    for (int64_t j = 0; j + HONE_SKINNY_PAIR <= n; j += HONE_SKINNY_PAIR) {
        float pair[HONE_SKINNY_PAIR];
        memcpy(pair, sums + j, sizeof pair);
        for (int i = 0; i < LANES; i++) {
            sums[j + 2 * i] = pair[i];
            sums[j + 2 * i + 1] = pair[LANES + i];
        }
    }
}

/* Factors of STEP rows of B from `k` on for all rows of A: x itself, or, past `last`, a padded copy
 * in which those rows count 0. */
static const float *factors(const float *x, int64_t x_stride, int64_t m, int64_t k, int64_t last,
                            float padded[HONE_SKINNY_ROWS * STEP], int64_t *stride)
{
    *stride = x_stride;
    if (k + STEP <= last)
        return x + k;
    *stride = STEP;
    for (int64_t row = 0; row < m; row++)
        for (int i = 0; i < STEP; i++)
            padded[row * STEP + i] = k + i < last ? x[row * x_stride + k + i] : 0.0f;
    return padded;
}

static void slab(const hone_product *p, const float *x, int64_t x_stride, int64_t first,
                 int64_t last, float *sums)
{
    bool half = p->b.dtype == HONE_BF16;
    memset(sums, 0, (size_t)(p->m * p->n) * sizeof(float));
    for (int64_t k = first; k < last; k += STEP) {
        float padded[HONE_SKINNY_ROWS * STEP];
        int64_t stride;
        const float *factor = factors(x, x_stride, p->m, k, last, padded, &stride);
        for (int64_t column = 0; column < p->n; column += TILE) {
            int64_t n = p->n - column < TILE ? p->n - column : TILE;
            const float *full_rows[STEP];
            const uint16_t *half_rows[STEP];
            for (int i = 0; i < STEP; i++) { /* past the last row its first of this step, times 0 */
                int64_t at = (k + i < last ? k + i : k) * p->b.row_stride + column;
                full_rows[i] = (const float *)p->b.data + (half ? 0 : at);
                half_rows[i] = (const uint16_t *)p->b.data + (half ? at : 0);
            }
            if (half)
                step_bf16(half_rows, factor, stride, sums + column, p->n, p->m, n);
            else
                step_f32(full_rows, factor, stride, sums + column, p->n, p->m, n);
        }
    }
    for (int64_t row = 0; half && row < p->m; row++)
        for (int64_t column = 0; column < p->n; column += TILE)
            unsplit(sums + row * p->n + column, p->n - column < TILE ? p->n - column : TILE);
}

/* ---- B by columns ------------------------------------------------------------------------- */

/* `rows` dot products with one row of B; four sums each hide the latency of the additions. `rows`
 * is a constant where this is inlined; an element's order of summing does not depend on it. */
static inline void dot_f32(const float *x, int64_t x_stride, const float *w, int64_t n, int rows,
                           float out[ROWS])
{
    vec sum[ROWS][4] = {{{0}}};
    int64_t j = 0;
    for (; j + 4 * LANES <= n; j += 4 * LANES)
        for (int i = 0; i < 4; i++) {
            vec weight = vec_load(w + j + i * LANES);
            for (int row = 0; row < rows; row++)
                sum[row][i] += vec_load(x + row * x_stride + j + i * LANES) * weight;
        }
    for (; j + LANES <= n; j += LANES)
        for (int row = 0; row < rows; row++)
            sum[row][0] += vec_load(x + row * x_stride + j) * vec_load(w + j);
    for (int row = 0; row < rows; row++) {
        out[row] = vec_sum((sum[row][0] + sum[row][1]) + (sum[row][2] + sum[row][3]));
        for (int64_t tail = j; tail < n; tail++)
            out[row] += x[row * x_stride + tail] * w[tail];
    }
}

static inline void dot_bf16(const float *x, int64_t x_stride, const uint16_t *w, int64_t n,
                            int rows, float out[ROWS])
{
    vec sum[ROWS][2] = {{{0}}};
    int64_t j = 0;
    for (; j + HONE_SKINNY_PAIR <= n; j += HONE_SKINNY_PAIR) {
        uvec pairs = load_pairs(w + j);
        for (int row = 0; row < rows; row++) {
            sum[row][0] += vec_load(x + row * x_stride + j) * even_of(pairs);
            sum[row][1] += vec_load(x + row * x_stride + j + LANES) * odd_of(pairs);
        }
    }
    for (int row = 0; row < rows; row++) {
        out[row] = vec_sum(sum[row][0] + sum[row][1]);
        for (int64_t tail = j; tail < n; tail++)
            out[row] += x[row * x_stride + tail] * hone_bf16_to_f32(w[tail]);
    }
}

static inline void dot_rows(const hone_product *p, const float *x, int64_t x_stride, int64_t row,
                            int64_t column, int rows)
{
    int64_t at = column * p->b.column_stride;
    float sum[ROWS];
    if (p->b.dtype == HONE_F32)
        dot_f32(x + row * x_stride, x_stride, (const float *)p->b.data + at, p->k, rows, sum);
    else
        dot_bf16(x + row * x_stride, x_stride, (const uint16_t *)p->b.data + at, p->k, rows, sum);
    for (int i = 0; i < rows; i++)
        hone_skinny_put(p, row + i, column, &sum[i], 1);
}

static void dots(const hone_product *p, const float *x, int64_t x_stride, int64_t first,
                 int64_t last)
{
    for (int64_t column = first; column < last; column++) {
        int64_t row = 0;
        for (; row + ROWS <= p->m; row += ROWS)
            dot_rows(p, x, x_stride, row, column, ROWS);
        for (; row < p->m; row++)
            dot_rows(p, x, x_stride, row, column, 1);
    }
}

extern const hone_skinny_kernels HONE_ISA_NAME(hone_skinny);
const hone_skinny_kernels HONE_ISA_NAME(hone_skinny) = {spread, slab, dots};
