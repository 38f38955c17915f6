/* The kernels of panel.h, for sets with vectors of 16 floats: a tile of 8 rows and 32 columns is 16
 * registers of sums, enough to hide a multiplication's delay, and two of B. */
#include "gemm/panel.h"

#include "tensor/vector.h"

extern const hone_panel_kernels HONE_ISA_NAME(hone_panel_f32);

enum {
    TILE_ROWS = 8,
    ROWS_AHEAD = 24 /* how far ahead operands are fetched while they are laid out */
};

#define PANEL(name) name##_f32
#define PANEL_STEP(acc, a, b) ((acc) += vec_set(*(a)) * (b))
#include "gemm/panel_tile.h"
#undef PANEL
#undef PANEL_STEP

#ifdef __AVX512BF16__

/* Two bf16 by their bits: a pair that is a signalling NaN as an f32 must stay what it is. */
static inline __m512bh pair(const float *unit)
{
    int32_t bits;
    memcpy(&bits, unit, sizeof bits);
    return (__m512bh)_mm512_set1_epi32(bits);
}

#define PANEL(name) name##_bf16
#define PANEL_STEP(acc, a, b) ((acc) = (vec)_mm512_dpbf16_ps((__m512)(acc), pair(a), (__m512bh)(b)))
#include "gemm/panel_tile.h"

#endif

/* ---- laying out --------------------------------------------------------------------------- */

/* The transposed of 16 rows of 16 units. */
static inline void transpose(vec v[LANES])
{
    vec w[LANES];
    for (int i = 0; i < LANES; i += 4) {
        vec low01 = LOW(v[i], v[i + 1]), high01 = HIGH(v[i], v[i + 1]);
        vec low23 = LOW(v[i + 2], v[i + 3]), high23 = HIGH(v[i + 2], v[i + 3]);
        w[i] = FIRST(low01, low23);
        w[i + 1] = SECOND(low01, low23);
        w[i + 2] = FIRST(high01, high23);
        w[i + 3] = SECOND(high01, high23);
    }
    /* w[4 g + c] has, in its four lanes q, column 4 q + c of the rows of group g. */
    for (int c = 0; c < 4; c++) {
        vec a = ORDER(w[c], w[4 + c], 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
        vec b = ORDER(w[8 + c], w[12 + c], 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
        vec d = ORDER(w[c], w[4 + c], 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
        vec e = ORDER(w[8 + c], w[12 + c], 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30,
                      31);
        v[c] = ORDER(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
        v[4 + c] = ORDER(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
        v[8 + c] = ORDER(d, e, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
        v[12 + c] = ORDER(d, e, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
    }
}

/* Rows of `units` units, `stride` apart. */
static void lay_transposed(const float *x, int64_t stride, int64_t rows, int64_t units, float *to)
{
    for (int64_t panel = 0; panel < rows; panel += HONE_PANEL_COLUMNS) {
        for (int64_t half = 0; half < HONE_PANEL_COLUMNS; half += LANES)
            for (int64_t s = 0; s < units; s += LANES) {
                int64_t first = panel + half, steps = units - s < LANES ? units - s : LANES;
                vec v[LANES];
                for (int64_t r = 0; r < LANES; r++) {
                    v[r] = (vec){0};
                    const float *at = x + (first + r) * stride + s;
                    if (first + r < rows)
                        memcpy(&v[r], at, (size_t)steps * sizeof *x);
                    __builtin_prefetch(at + LANES * stride);
                }
                transpose(v);
                for (int64_t k = 0; k < steps; k++)
                    vec_store(to + (s + k) * HONE_PANEL_COLUMNS + half, v[k]);
            }
        to += units * HONE_PANEL_COLUMNS;
    }
}

static void lay_transposed_f32(const void *x, int64_t stride, int64_t rows, int64_t width, void *to)
{
    lay_transposed(x, stride, rows, width, to);
}

static void lay_rows_f32(const void *x, int64_t stride, int64_t rows, int64_t width, void *to,
                         int64_t apart)
{
    for (int64_t i = 0; i < rows; i++) {
        const float *from = (const float *)x + i * stride, *ahead = from + ROWS_AHEAD * stride;
        float *out = (float *)to + i * apart;
        for (int64_t j = 0; j < width; j += LANES) {
            __builtin_prefetch(ahead + j);
            vec_store(out + j, vec_load(from + j));
        }
    }
}

const hone_panel_kernels HONE_ISA_NAME(hone_panel_f32) = {multiply_f32, lay_transposed_f32,
                                                          lay_rows_f32};

#ifdef __AVX512BF16__

static void lay_transposed_bf16(const void *x, int64_t stride, int64_t rows, int64_t width,
                                void *to)
{
    lay_transposed(x, stride / 2, rows, width / 2, to);
}

/* From the back, so that a pair may cover the rows it is made of. */
static void lay_rows_bf16(const void *x, int64_t stride, int64_t rows, int64_t width, void *to,
                          int64_t apart)
{
    static const uint16_t none[LANES];
    for (int64_t i = 0; i < rows; i += 2) {
        const uint16_t *even = (const uint16_t *)x + i * stride;
        const uint16_t *ahead = even + ROWS_AHEAD * stride;
        uint32_t *out = (uint32_t *)to + i / 2 * apart;
        for (int64_t j = width - LANES; j >= 0; j -= LANES) {
            vec_halves low, high;
            __builtin_prefetch(ahead + j);
            __builtin_prefetch(ahead + stride + j);
            memcpy(&low, even + j, sizeof low);
            memcpy(&high, i + 1 < rows ? even + stride + j : none, sizeof high);
            uvec both = __builtin_convertvector(low, uvec) | __builtin_convertvector(high, uvec)
                                                                 << 16;
            memcpy(out + j, &both, sizeof both);
        }
    }
}

extern const hone_panel_kernels HONE_ISA_NAME(hone_panel_bf16);
const hone_panel_kernels HONE_ISA_NAME(hone_panel_bf16) = {multiply_bf16, lay_transposed_bf16,
                                                           lay_rows_bf16};
#endif
