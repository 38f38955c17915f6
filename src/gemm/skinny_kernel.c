/* The kernels of skinny.h, for one instruction set. bf16 pairs are split by a shift and a mask,
 * which no lane has to cross: sums of even and odd elements stay apart until the end. */
#include "gemm/skinny.h"
#include "tensor/vector.h"

enum { STEP = 4, TILE = 1024 }; /* rows of B at once; columns whose part of them stays in cache */

typedef uint32_t uvec __attribute__((vector_size(64)));

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

static inline void step_f32(const float *const w[STEP], const float x[STEP], float *sums, int64_t n)
{
    int64_t j = 0;
    for (; j + LANES <= n; j += LANES) {
        vec sum = vec_load(sums + j);
        for (int i = 0; i < STEP; i++)
            sum += x[i] * vec_load(w[i] + j);
        vec_store(sums + j, sum);
    }
    for (; j < n; j++)
        for (int i = 0; i < STEP; i++)
            sums[j] += x[i] * w[i][j];
}

/* Within each 32 columns the sums hold the even ones first, then the odd ones. */
static inline void step_bf16(const uint16_t *const w[STEP], const float x[STEP], float *sums,
                             int64_t n)
{
    int64_t j = 0;
    for (; j + HONE_SKINNY_PAIR <= n; j += HONE_SKINNY_PAIR) {
        vec even = vec_load(sums + j), odd = vec_load(sums + j + LANES);
        for (int i = 0; i < STEP; i++) {
            uvec pairs = load_pairs(w[i] + j);
            even += x[i] * even_of(pairs);
            odd += x[i] * odd_of(pairs);
        }
        vec_store(sums + j, even);
        vec_store(sums + j + LANES, odd);
    }
    for (; j < n; j++)
        for (int i = 0; i < STEP; i++)
            sums[j] += x[i] * hone_bf16_to_f32(w[i][j]);
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

static void slab(const hone_product *p, const float *x, int64_t x_stride, int64_t first,
                 int64_t last, float *sums)
{
    bool half = p->b.dtype == HONE_BF16;
    memset(sums, 0, (size_t)(p->m * p->n) * sizeof(float));
    for (int64_t k = first; k < last; k += STEP)
        for (int64_t column = 0; column < p->n; column += TILE) {
            int64_t n = p->n - column < TILE ? p->n - column : TILE;
            const float *full_rows[STEP];
            const uint16_t *half_rows[STEP];
            /* Past the last row its first of this step is read again and multiplied by 0. */
            for (int i = 0; i < STEP; i++) {
                int64_t at = (k + i < last ? k + i : k) * p->b.row_stride + column;
                full_rows[i] = (const float *)p->b.data + (half ? 0 : at);
                half_rows[i] = (const uint16_t *)p->b.data + (half ? at : 0);
            }
            for (int64_t row = 0; row < p->m; row++) {
                float factor[STEP];
                for (int i = 0; i < STEP; i++)
                    factor[i] = k + i < last ? x[row * x_stride + k + i] : 0.0f;
                float *to = sums + row * p->n + column;
                if (half)
                    step_bf16(half_rows, factor, to, n);
                else
                    step_f32(full_rows, factor, to, n);
            }
        }
    for (int64_t row = 0; half && row < p->m; row++)
        for (int64_t column = 0; column < p->n; column += TILE)
            unsplit(sums + row * p->n + column, p->n - column < TILE ? p->n - column : TILE);
}

/* ---- B by columns ------------------------------------------------------------------------- */

/* Four sums hide the latency of the additions. */
static inline float dot_f32(const float *x, const float *w, int64_t n)
{
    vec sum[4] = {{0}, {0}, {0}, {0}};
    int64_t j = 0;
    for (; j + 4 * LANES <= n; j += 4 * LANES)
        for (int i = 0; i < 4; i++)
            sum[i] += vec_load(x + j + i * LANES) * vec_load(w + j + i * LANES);
    for (; j + LANES <= n; j += LANES)
        sum[0] += vec_load(x + j) * vec_load(w + j);
    float total = vec_sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
    for (; j < n; j++)
        total += x[j] * w[j];
    return total;
}

static inline float dot_bf16(const float *x, const uint16_t *w, int64_t n)
{
    vec sum[4] = {{0}, {0}, {0}, {0}};
    int64_t j = 0;
    for (; j + 2 * HONE_SKINNY_PAIR <= n; j += 2 * HONE_SKINNY_PAIR)
        for (int i = 0; i < 2; i++) {
            int64_t at = j + i * HONE_SKINNY_PAIR;
            uvec pairs = load_pairs(w + at);
            sum[2 * i] += vec_load(x + at) * even_of(pairs);
            sum[2 * i + 1] += vec_load(x + at + LANES) * odd_of(pairs);
        }
    for (; j + HONE_SKINNY_PAIR <= n; j += HONE_SKINNY_PAIR) {
        uvec pairs = load_pairs(w + j);
        sum[0] += vec_load(x + j) * even_of(pairs);
        sum[1] += vec_load(x + j + LANES) * odd_of(pairs);
    }
    float total = vec_sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
    for (; j < n; j++)
        total += x[j] * hone_bf16_to_f32(w[j]);
    return total;
}

static void dots(const hone_product *p, const float *x, int64_t x_stride, int64_t first,
                 int64_t last)
{
    for (int64_t column = first; column < last; column++) {
        int64_t at = column * p->b.column_stride;
        for (int64_t row = 0; row < p->m; row++) {
            const float *from = x + row * x_stride;
            float sum = p->b.dtype == HONE_F32
                            ? dot_f32(from, (const float *)p->b.data + at, p->k)
                            : dot_bf16(from, (const uint16_t *)p->b.data + at, p->k);
            hone_skinny_put(p, row, column, &sum, 1);
        }
    }
}

extern const hone_skinny_kernels HONE_ISA_NAME(hone_skinny);
const hone_skinny_kernels HONE_ISA_NAME(hone_skinny) = {spread, slab, dots};
