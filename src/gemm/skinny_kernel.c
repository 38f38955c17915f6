/* The kernels of skinny.h, for one instruction set. f32 is multiplied and added as it is. bf16 is
 * multiplied in pairs where the set has an instruction for that (DOTS_BF16); elsewhere pairs are
 * split into two floats by a shift and a mask, which no lane has to cross, so that even and odd
 * elements stay apart until the end.
 *
 * What is no whole vector of B is copied and padded with zeros, so that an element's sum has the
 * same terms in the same order whatever is computed beside it. Lines of B are fetched into the
 * second level of the cache before they are needed, in the order in which they will be: into the
 * first level a core can't fetch enough at a time. */
#include "gemm/product.h"
#include "gemm/skinny.h"
#include "tensor/vector.h"

#ifdef __AVX512BF16__
#define DOTS_BF16 1
typedef uint16_t factor; /* an element of A in a product of bf16 */
#else
#define DOTS_BF16 0
typedef float factor;
#endif

enum {
    GROUP = 2 * LANES, /* columns of B's rows, elements of B's columns that are taken together */
    LINE = 64,         /* bytes of a line of the cache */
    TALL = VECTOR_LANES == 16 ? 8 : 4, /* rows of A whose sums of a group stay in registers */
    DEPTH = 64, /* rows of B, of a panel's width, that stay in cache for all rows of A */
    /* Rows of A and columns of B whose dot products are summed together. */
    ROWS = 4,
    COLUMNS = VECTOR_LANES == 16 ? 4 : 2,
    BLOCK = ROWS * COLUMNS,
    RUN = 8,   /* columns of B that stay in cache for all rows of A */
    AHEAD = 12 /* columns that are fetched before they are needed */
};

/* Constants of a caller become constants of what it calls. */
#define INLINE static inline __attribute__((always_inline))

/* c + a b in one rounding, where the set has that. By name, because what compilers fuse by
 * themselves depends on what stands around it, and a row must not depend on how many there are. */
static inline vec add_product(vec c, vec a, vec b)
{
#if defined(__AVX512F__)
    return (vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__)
    return (vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__FP_FAST_FMAF)
    for (int i = 0; i < LANES; i++)
        c[i] = __builtin_fmaf(a[i], b[i], c[i]);
    return c;
#else
    return c + a * b;
#endif
}

static inline uvec load_pairs(const uint16_t *from)
{
    uvec pairs;
    memcpy(&pairs, from, sizeof pairs);
    return pairs;
}

#if !DOTS_BF16
static inline vec even_of(uvec pairs)
{
    return (vec)(pairs << 16);
}
static inline vec odd_of(uvec pairs)
{
    return (vec)(pairs & 0xFFFF0000u);
}
#endif

/* bf16 as factors; `split`: in each group the even ones first, as even_of and odd_of give them. */
static void spread_bf16(const uint16_t *from, int64_t k, bool split, factor *to)
{
#if DOTS_BF16
    (void)split;
    memcpy(to, from, (size_t)k * sizeof *to);
#else
    for (int64_t i = 0; i < k; i++) {
        int64_t in = i % GROUP, at = split ? i - in + in % 2 * LANES + in / 2 : i;
        to[at] = hone_bf16_to_f32(from[i]);
    }
#endif
}

static void spread(const hone_product *p, void *x, int64_t x_stride)
{
    for (int64_t row = 0; row < p->m; row++) {
        if (p->a.dtype == HONE_F32) {
            float *to = (float *)x + row * x_stride;
            memset(to, 0, (size_t)x_stride * sizeof *to);
            memcpy(to, (const float *)p->a.data + row * p->a.row_stride, (size_t)p->k * sizeof *to);
        } else {
            factor *to = (factor *)x + row * x_stride;
            memset(to, 0, (size_t)x_stride * sizeof *to);
            spread_bf16((const uint16_t *)p->a.data + row * p->a.row_stride, p->k,
                        p->b.column_stride != 1, to);
        }
    }
}

/* A group of bytes, which may lie outside of B. */
INLINE void fetch(uintptr_t from, size_t element)
{
    for (size_t byte = 0; byte < GROUP * element; byte += LINE)
        __builtin_prefetch((const void *)(from + byte), 0, 2);
}

/* n sums to row `row` of the result, from `column` on. */
static void put(const hone_product *p, int64_t row, int64_t column, const float *sums, int64_t n)
{
    const float *bias = p->bias != NULL ? p->bias + column : NULL;
    bool half = p->c_dtype == HONE_BF16;
    int64_t at = row * p->c_stride + column, j = 0;
    float *full_c = half ? NULL : (float *)p->c + at;
    uint16_t *half_c = half ? (uint16_t *)p->c + at : NULL;
    for (; j + LANES <= n; j += LANES) {
        vec value = vec_load(sums + j);
        if (bias != NULL)
            value += vec_load(bias + j);
        if (p->accumulate)
            value += half ? vec_load_bf16(half_c + j) : vec_load(full_c + j);
        if (half)
            vec_store_bf16(half_c + j, value);
        else
            vec_store(full_c + j, value);
    }
    for (; j < n; j++) {
        float value = sums[j] + (bias != NULL ? bias[j] : 0.0f);
        if (p->accumulate)
            value += half ? hone_bf16_to_f32(half_c[j]) : full_c[j];
        if (half)
            half_c[j] = hone_f32_to_bf16(value);
        else
            full_c[j] = value;
    }
}

/* ---- B by rows ---------------------------------------------------------------------------- */

/* Where the next rows of B are, a panel wide, group after group. */
typedef struct walk {
    uintptr_t next;
    int64_t group, groups;  /* of a row */
    size_t element, stride; /* bytes */
} walk;

INLINE void walk_on(walk *ahead)
{
    fetch(ahead->next, ahead->element);
    ahead->next += GROUP * ahead->element;
    if (++ahead->group == ahead->groups) {
        ahead->next += ahead->stride - (size_t)ahead->groups * GROUP * ahead->element;
        ahead->group = 0;
    }
}

/* A group of columns of `depth` rows of B, and what they are multiplied by and added to. */
typedef struct strip {
    const void *w;
    int64_t stride, depth;
    const void *x;
    int64_t x_stride;
    float *sums;
    int64_t sums_stride;
    walk *ahead; /* NULL: nothing is fetched */
} strip;

/* The sums of `rows` rows of A, two vectors each, from and to memory. */
INLINE void load_sums(const strip *s, int rows, vec sums[2 * TALL])
{
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++) {
        sums[2 * i] = vec_load(s->sums + i * s->sums_stride);
        sums[2 * i + 1] = vec_load(s->sums + i * s->sums_stride + LANES);
    }
}

INLINE void store_sums(const strip *s, int rows, const vec sums[2 * TALL])
{
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++) {
        vec_store(s->sums + i * s->sums_stride, sums[2 * i]);
        vec_store(s->sums + i * s->sums_stride + LANES, sums[2 * i + 1]);
    }
}

/* Two vectors of B: 2 LANES columns of f32; of bf16 the even and the odd ones. */
INLINE void load_group(const void *w, bool half, vec group[2])
{
#if !DOTS_BF16
    if (half) {
        uvec pairs = load_pairs(w);
        group[0] = even_of(pairs);
        group[1] = odd_of(pairs);
        return;
    }
#endif
    (void)half;
    group[0] = vec_load(w);
    group[1] = vec_load((const float *)w + LANES);
}

/* Row by row of B; of bf16 only where it is split into floats. */
INLINE void tall_by_rows(const strip *s, int rows, bool half)
{
    const char *w = s->w;
    const float *x = s->x;
    size_t row = (size_t)s->stride * (half ? sizeof(uint16_t) : sizeof(float));
    vec sums[2 * TALL];
    load_sums(s, rows, sums);
    for (int64_t k = 0; k < s->depth; k++, w += row) {
        vec group[2];
        load_group(w, half, group);
        if (s->ahead != NULL)
            walk_on(s->ahead);
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++) {
            vec by = vec_set(x[i * s->x_stride + k]);
            sums[2 * i] = add_product(sums[2 * i], by, group[0]);
            sums[2 * i + 1] = add_product(sums[2 * i + 1], by, group[1]);
        }
    }
    store_sums(s, rows, sums);
}

#if DOTS_BF16

/* Two rows of B, interleaved, make pairs. */
INLINE void tall_bf16(const strip *s, int rows)
{
    const uint16_t *w = s->w, *x = s->x;
    vec sums[2 * TALL];
    load_sums(s, rows, sums);
    for (int64_t k = 0; k < s->depth; k += 2, w += 2 * s->stride) {
        __m512i even = _mm512_loadu_si512(w), odd = _mm512_setzero_si512();
        if (k + 1 < s->depth)
            odd = _mm512_loadu_si512(w + s->stride);
        if (s->ahead != NULL) {
            walk_on(s->ahead);
            walk_on(s->ahead);
        }
        __m512bh first = (__m512bh)_mm512_unpacklo_epi16(even, odd);
        __m512bh second = (__m512bh)_mm512_unpackhi_epi16(even, odd);
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++) {
            int32_t pair;
            memcpy(&pair, x + i * s->x_stride + k, sizeof pair);
            __m512bh by = (__m512bh)_mm512_set1_epi32(pair);
            sums[2 * i] = (vec)_mm512_dpbf16_ps((__m512)sums[2 * i], first, by);
            sums[2 * i + 1] = (vec)_mm512_dpbf16_ps((__m512)sums[2 * i + 1], second, by);
        }
    }
    store_sums(s, rows, sums);
}

/* The order of columns again: of each 8 the first vector has the lower 4. */
static void in_order(float sums[GROUP])
{
    vec a = vec_load(sums), b = vec_load(sums + LANES);
    vec_store(sums, ORDER(a, b, 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23));
    vec_store(sums + LANES,
              ORDER(a, b, 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31));
}

#else

INLINE void tall_bf16(const strip *s, int rows)
{
    tall_by_rows(s, rows, true);
}

/* The order of columns again: the first vector has the even ones. */
static void in_order(float sums[GROUP])
{
    float split[GROUP];
    memcpy(split, sums, sizeof split);
    for (int i = 0; i < LANES; i++) {
        sums[2 * i] = split[i];
        sums[2 * i + 1] = split[LANES + i];
    }
}

#endif

/* All rows of A, as many at once as there are registers for. */
INLINE void all_rows(strip s, int64_t m, bool half)
{
    size_t size = half ? sizeof(factor) : sizeof(float);
    while (m > 0) {
        int rows = m >= TALL ? TALL : m >= 4 ? 4 : (int)m;
#define TAKE(rows) half ? tall_bf16(&s, rows) : tall_by_rows(&s, rows, false)
        switch (rows) {
        case 1: TAKE(1); break;
        case 2: TAKE(2); break;
        case 3: TAKE(3); break;
        case 4: TAKE(4); break;
        default: TAKE(TALL); break;
        }
#undef TAKE
        s.x = (const char *)s.x + (size_t)(rows * s.x_stride) * size;
        s.sums += rows * s.sums_stride;
        s.ahead = NULL;
        m -= rows;
    }
}

/* Fewer than GROUP columns, padded with zeros. */
static void pad_columns(strip *s, int64_t columns, size_t element, char padded[])
{
    size_t row = GROUP * element;
    memset(padded, 0, (size_t)s->depth * row);
    for (int64_t k = 0; k < s->depth; k++)
        memcpy(padded + (size_t)k * row, (const char *)s->w + (size_t)(k * s->stride) * element,
               (size_t)columns * element);
    s->w = padded;
    s->stride = GROUP;
}

/* Columns [first, last) of the result. */
INLINE void panel_of(const hone_product *p, const void *x, int64_t x_stride, int64_t first,
                     int64_t last, float *sums, int64_t sums_stride, bool half)
{
    size_t element = half ? sizeof(uint16_t) : sizeof(float);
    size_t factor_size = half ? sizeof(factor) : sizeof(float);
    int64_t n = last - first, stride = p->b.row_stride, groups = divide_up(n, GROUP);
    for (int64_t row = 0; row < p->m; row++)
        memset(sums + row * sums_stride, 0, (size_t)(groups * GROUP) * sizeof *sums);
    for (int64_t k = 0; k < p->k; k += DEPTH) {
        int64_t depth = p->k - k < DEPTH ? p->k - k : DEPTH;
        const char *w = (const char *)p->b.data + (size_t)(k * stride + first) * element;
        walk ahead = {(uintptr_t)w + (size_t)(depth * stride) * element, 0, groups, element,
                      (size_t)stride * element};
        for (int64_t j = 0; j < n; j += GROUP) {
            strip s = {w + (size_t)j * element,
                       stride,
                       depth,
                       (const char *)x + (size_t)k * factor_size,
                       x_stride,
                       sums + j,
                       sums_stride,
                       &ahead};
            char padded[DEPTH * GROUP * sizeof(float)];
            if (n - j < GROUP)
                pad_columns(&s, n - j, element, padded);
            all_rows(s, p->m, half);
        }
    }
    for (int64_t row = 0; row < p->m; row++) {
        for (int64_t j = 0; half && j < n; j += GROUP)
            in_order(sums + row * sums_stride + j);
        put(p, row, first, sums + row * sums_stride, n);
    }
}

static void panel(const hone_product *p, const void *x, int64_t x_stride, int64_t first,
                  int64_t last, float *sums, int64_t sums_stride)
{
    if (p->b.dtype == HONE_BF16)
        panel_of(p, x, x_stride, first, last, sums, sums_stride, true);
    else
        panel_of(p, x, x_stride, first, last, sums, sums_stride, false);
}

/* ---- B by columns ------------------------------------------------------------------------- */

/* `length` elements of `columns` columns of B, whole groups, and of the rows of A, into the sums
 * of a block, [row][column]: each value that is loaded serves a whole row or column of it.
 * ahead: elements from w to what is fetched, in the order of memory; 0: nothing is. Rows and
 * columns are constants where this is inlined; an element's order of summing does not depend on
 * them. */
INLINE void block_f32(const float *x, int64_t x_stride, const float *w, int64_t w_stride,
                      int64_t length, int64_t ahead, int rows, int columns, vec sum[BLOCK])
{
    for (int64_t j = 0; j < length; j += LANES) {
        vec weight[COLUMNS];
#pragma GCC unroll 4
        for (int c = 0; c < columns; c++)
            weight[c] = vec_load(w + c * w_stride + j);
        if (ahead > 0 && j % GROUP == 0)
            for (int c = 0; c < columns; c++)
                fetch((uintptr_t)(w + ahead + j * columns + c * GROUP), sizeof *w);
#pragma GCC unroll 4
        for (int i = 0; i < rows; i++) {
            vec by = vec_load(x + i * x_stride + j);
#pragma GCC unroll 4
            for (int c = 0; c < columns; c++)
                sum[i * columns + c] = add_product(sum[i * columns + c], by, weight[c]);
        }
    }
}

INLINE void block_bf16(const factor *x, int64_t x_stride, const uint16_t *w, int64_t w_stride,
                       int64_t length, int64_t ahead, int rows, int columns, vec sum[BLOCK])
{
    for (int64_t j = 0; j < length; j += GROUP) {
        uvec weight[COLUMNS];
#pragma GCC unroll 4
        for (int c = 0; c < columns; c++) {
            weight[c] = load_pairs(w + c * w_stride + j);
            if (ahead > 0)
                fetch((uintptr_t)(w + ahead + j * columns + c * GROUP), sizeof *w);
        }
#pragma GCC unroll 4
        for (int i = 0; i < rows; i++) {
#if DOTS_BF16
            __m512bh by = (__m512bh)_mm512_loadu_si512(x + i * x_stride + j);
#else
            vec first = vec_load(x + i * x_stride + j);
            vec second = vec_load(x + i * x_stride + j + LANES);
#endif
#pragma GCC unroll 4
            for (int c = 0; c < columns; c++) {
                vec *to = &sum[i * columns + c];
#if DOTS_BF16
                *to = (vec)_mm512_dpbf16_ps((__m512)*to, by, (__m512bh)weight[c]);
#else
                *to = add_product(*to, first, even_of(weight[c]));
                *to = add_product(*to, second, odd_of(weight[c]));
#endif
            }
        }
    }
}

/* Dot products of `rows` rows of A with `columns` columns of B, out[row][column of RUN]. */
INLINE void block(const hone_product *p, const void *x, int64_t x_stride, int64_t column,
                  bool fetches, int rows, int columns, bool half, float *out)
{
    int64_t stride = p->b.column_stride, whole = p->k / GROUP * GROUP, rest = p->k - whole;
    int64_t ahead = fetches ? AHEAD * stride : 0;
    size_t element = half ? sizeof(uint16_t) : sizeof(float);
    const char *w = (const char *)p->b.data + (size_t)(column * stride) * element;
    vec sum[BLOCK] = {{0}};
    float total[BLOCK];
#define ADD(type, f, from, factors, from_stride, length, ahead)                                    \
    block_##type((const f *)x + (factors), x_stride, (const void *)(from), from_stride, length,    \
                 ahead, rows, columns, sum)
    if (half)
        ADD(bf16, factor, w, 0, stride, whole, ahead);
    else
        ADD(f32, float, w, 0, stride, whole, ahead);
    if (rest > 0) {
        char padded[COLUMNS * GROUP * sizeof(float)] = {0};
        for (int c = 0; c < columns; c++)
            memcpy(padded + (size_t)(c * GROUP) * element,
                   w + (size_t)(c * stride + whole) * element, (size_t)rest * element);
        if (half)
            ADD(bf16, factor, padded, whole, GROUP, GROUP, 0);
        else
            ADD(f32, float, padded, whole, GROUP, GROUP, 0);
    }
#undef ADD
#pragma GCC unroll 4
    for (int i = 0; i < rows * columns; i += 4)
        vec_sum4(sum + i, total + i);
    for (int i = 0; i < rows; i++)
        memcpy(out + i * RUN, total + i * columns, (size_t)columns * sizeof *out);
}

/* Columns [first, last), at most RUN, of `rows` rows. Up to 3 rows go through B column by column,
 * the order of memory, in which processors fetch by themselves. */
INLINE void rows_of(const hone_product *p, const void *x, int64_t x_stride, int64_t row,
                    int64_t first, int64_t last, int rows, bool half)
{
    float out[ROWS * RUN] = {0};
    int64_t column = first;
    x = (const char *)x + (size_t)(row * x_stride) * (half ? sizeof(factor) : sizeof(float));
    for (; rows == ROWS && column + COLUMNS <= last; column += COLUMNS)
        block(p, x, x_stride, column, row == 0, rows, COLUMNS, half, out + (column - first));
    for (; column < last; column++)
        block(p, x, x_stride, column, false, rows, 1, half, out + (column - first));
    for (int i = 0; i < rows; i++)
        put(p, row + i, first, out + i * RUN, last - first);
}

INLINE void dots_of(const hone_product *p, const void *x, int64_t x_stride, int64_t first,
                    int64_t last, bool half)
{
    for (; first < last; first += RUN) {
        int64_t end = first + RUN < last ? first + RUN : last, row = 0;
        for (; row + ROWS <= p->m; row += ROWS)
            rows_of(p, x, x_stride, row, first, end, ROWS, half);
        switch (p->m - row) {
        case 3: rows_of(p, x, x_stride, row, first, end, 3, half); break;
        case 2: rows_of(p, x, x_stride, row, first, end, 2, half); break;
        case 1: rows_of(p, x, x_stride, row, first, end, 1, half); break;
        default: break;
        }
    }
}

static void dots(const hone_product *p, const void *x, int64_t x_stride, int64_t first,
                 int64_t last)
{
    if (p->b.dtype == HONE_BF16)
        dots_of(p, x, x_stride, first, last, true);
    else
        dots_of(p, x, x_stride, first, last, false);
}

extern const hone_skinny_kernels HONE_ISA_NAME(hone_skinny);
const hone_skinny_kernels HONE_ISA_NAME(hone_skinny) = {spread, panel, dots};
