/* The kernels of skinny.h, for one instruction set. bf16 pairs are split by a shift and a mask,
 * which no lane has to cross: sums of even and odd elements stay apart until the end. */
#include "gemm/skinny.h"
#include "tensor/vector.h"

enum {
    PAIR = 2 * LANES, /* elements of bf16 that are split into even and odd ones together */
    STEP = 8,         /* rows of B at once */
    TILE = 512,       /* columns whose part of them stays in cache */
    RUN = 16          /* columns of B that stay in cache for all rows of A */
};

/* So many rows of A and columns of B have their dot products summed together, as there are
 * registers for. The rows that are left go together, too, with one column at a time. */
enum {
    ROWS = 4,
    COLUMNS = VECTOR_LANES == 16 ? 4 : 2,
    BLOCK = ROWS * COLUMNS,
    AHEAD = 16 /* columns that are fetched before they are needed */
};

/* Constants of a caller become constants of what it calls. */
#define INLINE static inline __attribute__((always_inline))
/* One piece of code for all callers: where a compiler fuses multiplication and addition depends on
 * what stands around them, and a row's result must not depend on how many rows there are. */
#define ALONE static __attribute__((noinline))

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
            int64_t pair = k / PAIR * PAIR, in = k % PAIR;
            bool whole = pair + PAIR <= p->k;
            int64_t at = by_columns && whole ? pair + in % 2 * LANES + in / 2 : k;
            to[at] = hone_bf16_to_f32(from[k]);
        }
    }
}

/* The line of B that is `elements` behind w will be needed soon; it may lie outside of B. */
INLINE void fetch(const void *w, int64_t elements, size_t size)
{
    __builtin_prefetch((const void *)((uintptr_t)w + (uintptr_t)elements * size));
}

/* ---- B by rows ---------------------------------------------------------------------------- */

/* The columns [j, n), which don't fill a vector, of one row of A. */
ALONE void ends_f32(const float *const w[STEP], const float *x, float *sums, int64_t j, int64_t n)
{
    for (; j < n; j++)
        for (int i = 0; i < STEP; i++)
            sums[j] += x[i] * w[i][j];
}

ALONE void ends_bf16(const uint16_t *const w[STEP], const float *x, float *sums, int64_t j,
                     int64_t n)
{
    for (; j < n; j++)
        for (int i = 0; i < STEP; i++)
            sums[j] += x[i] * hone_bf16_to_f32(w[i][j]);
}

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
    for (int64_t row = 0; row < m; row++)
        ends_f32(w, x + row * x_stride, sums + row * sums_stride, j, n);
}

/* Within each PAIR of columns the sums hold the even ones first, then the odd ones. */
static inline void step_bf16(const uint16_t *const w[STEP], const float *x, int64_t x_stride,
                             float *sums, int64_t sums_stride, int64_t m, int64_t n)
{
    int64_t j = 0;
    for (; j + PAIR <= n; j += PAIR) {
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
    for (int64_t row = 0; row < m; row++)
        ends_bf16(w, x + row * x_stride, sums + row * sums_stride, j, n);
}

static void unsplit(float *sums, int64_t n)
{
    for (int64_t j = 0; j + PAIR <= n; j += PAIR) {
        float pair[PAIR];
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
                 int64_t last, float *sums, int64_t sums_stride)
{
    bool half = p->b.dtype == HONE_BF16;
    memset(sums, 0, (size_t)(p->m * sums_stride) * sizeof(float));
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
                step_bf16(half_rows, factor, stride, sums + column, sums_stride, p->m, n);
            else
                step_f32(full_rows, factor, stride, sums + column, sums_stride, p->m, n);
        }
    }
    for (int64_t row = 0; half && row < p->m; row++)
        for (int64_t column = 0; column < p->n; column += TILE)
            unsplit(sums + row * sums_stride + column, p->n - column < TILE ? p->n - column : TILE);
}

/* ---- B by columns ------------------------------------------------------------------------- */

/* Dot products of `rows` rows of A with `columns` columns of B, out[row][column]: each value that
 * is loaded serves a whole row or column of the block, whose sums stay in registers. Later columns
 * are fetched meanwhile, in the order of memory, which a block does not keep. Rows and columns are
 * constants where this is inlined; an element's order of summing does not depend on them. */
INLINE void block_f32(const float *x, int64_t x_stride, const float *w, int64_t w_stride, int64_t n,
                      int rows, int columns, vec sum[BLOCK])
{
    for (int64_t j = 0; j + LANES <= n; j += LANES) {
        vec weight[COLUMNS];
#pragma GCC unroll 4
        for (int c = 0; c < columns; c++) {
            weight[c] = vec_load(w + c * w_stride + j);
            if (rows == ROWS)
                fetch(w, AHEAD * w_stride + j * columns + c * LANES, sizeof *w);
        }
#pragma GCC unroll 4
        for (int row = 0; row < rows; row++) {
            vec factor = vec_load(x + row * x_stride + j);
#pragma GCC unroll 4
            for (int c = 0; c < columns; c++)
                sum[row * columns + c] += factor * weight[c];
        }
    }
}

INLINE void block_bf16(const float *x, int64_t x_stride, const uint16_t *w, int64_t w_stride,
                       int64_t n, int rows, int columns, vec sum[BLOCK])
{
    for (int64_t j = 0; j + PAIR <= n; j += PAIR) {
        vec even[COLUMNS], odd[COLUMNS];
#pragma GCC unroll 4
        for (int c = 0; c < columns; c++) {
            uvec pairs = load_pairs(w + c * w_stride + j);
            even[c] = even_of(pairs);
            odd[c] = odd_of(pairs);
            if (rows == ROWS)
                fetch(w, AHEAD * w_stride + j * columns + c * PAIR, sizeof *w);
        }
#pragma GCC unroll 4
        for (int row = 0; row < rows; row++) {
            vec first = vec_load(x + row * x_stride + j);
            vec second = vec_load(x + row * x_stride + j + LANES);
#pragma GCC unroll 4
            for (int c = 0; c < columns; c++) {
                sum[row * columns + c] += first * even[c];
                sum[row * columns + c] += second * odd[c];
            }
        }
    }
}

/* The products that do not fill a vector. */
ALONE float tail(const hone_product *p, const float *x, int64_t column)
{
    bool half = p->b.dtype == HONE_BF16;
    int64_t at = column * p->b.column_stride, step = half ? PAIR : LANES;
    float sum = 0.0f;
    for (int64_t k = p->k / step * step; k < p->k; k++)
        sum += x[k] * (half ? hone_bf16_to_f32(((const uint16_t *)p->b.data)[at + k])
                            : ((const float *)p->b.data)[at + k]);
    return sum;
}

INLINE void block(const hone_product *p, const float *x, int64_t x_stride, int64_t row,
                  int64_t column, int rows, int columns)
{
    int64_t stride = p->b.column_stride, at = column * stride;
    vec sum[BLOCK] = {{0}};
    float out[BLOCK];
    x += row * x_stride;
    if (p->b.dtype == HONE_F32)
        block_f32(x, x_stride, (const float *)p->b.data + at, stride, p->k, rows, columns, sum);
    else
        block_bf16(x, x_stride, (const uint16_t *)p->b.data + at, stride, p->k, rows, columns, sum);
#pragma GCC unroll 4
    for (int i = 0; i < rows * columns; i += 4)
        vec_sum4(sum + i, out + i);
    for (int i = 0; i < rows; i++) {
        for (int c = 0; c < columns; c++)
            out[i * columns + c] += tail(p, x + i * x_stride, column + c);
        hone_skinny_put(p, row + i, column, out + i * columns, columns);
    }
}

/* Columns [first, last) of `rows` rows. */
INLINE void rows_of(const hone_product *p, const float *x, int64_t x_stride, int64_t row,
                    int64_t first, int64_t last, int rows, int columns)
{
    int64_t column = first;
    for (; column + columns <= last; column += columns)
        block(p, x, x_stride, row, column, rows, columns);
    for (; column < last; column++)
        block(p, x, x_stride, row, column, rows, 1);
}

static void dots(const hone_product *p, const float *x, int64_t x_stride, int64_t first,
                 int64_t last)
{
    for (; first < last; first += RUN) {
        int64_t end = first + RUN < last ? first + RUN : last, row = 0;
        for (; row + ROWS <= p->m; row += ROWS)
            rows_of(p, x, x_stride, row, first, end, ROWS, COLUMNS);
        int64_t left = p->m - row;
        if (left == 3)
            rows_of(p, x, x_stride, row, first, end, 3, 1);
        else if (left == 2)
            rows_of(p, x, x_stride, row, first, end, 2, 1);
        else if (left == 1)
            rows_of(p, x, x_stride, row, first, end, 1, 1);
    }
}

extern const hone_skinny_kernels HONE_ISA_NAME(hone_skinny);
const hone_skinny_kernels HONE_ISA_NAME(hone_skinny) = {spread, slab, dots};
