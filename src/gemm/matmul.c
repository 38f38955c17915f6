/* Products: bias, types that the library declines, and tiles for the pool. Tiles are cut by shape
 * alone, so the bits of a result don't depend on the number of threads. */
#include "gemm/matmul.h"

#include "base/memory.h"
#include "base/parallel.h"
#include "gemm/backend.h"
#include "gemm/panel.h"
#include "gemm/product.h"
#include "gemm/skinny.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

static void add_bias(const hone_product *p)
{
    for (int64_t i = 0; i < p->m; i++) {
        float *c = (float *)(void *)result_at(p, i, 0);
        for (int64_t j = 0; j < p->n; j++)
            c[j] += p->bias[j];
    }
}

/* A bf16 operand as a fresh row-major f32 matrix, or NULL. */
static float *widen(const hone_matrix *matrix, int64_t rows, int64_t columns)
{
    float *copy = hone_alloc((size_t)(rows * columns) * sizeof(float));
    if (copy == NULL)
        return NULL;
    if (matrix->column_stride == 1) {
        for (int64_t i = 0; i < rows; i++)
            hone_convert(matrix->dtype, operand_at(matrix, i, 0), HONE_F32, copy + i * columns,
                         (size_t)columns);
        return copy;
    }
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            hone_convert(matrix->dtype, operand_at(matrix, i, j), HONE_F32, copy + i * columns + j,
                         1);
    return copy;
}

/* bf16 where the processor has no such product: widened to f32, in pieces of rows. False when
 * there was no memory for it. */
static bool through_f32(const hone_product *p)
{
    float *b = widen(&p->b, p->k, p->n);
    int64_t step = smaller(p->m, 64);
    float *c = hone_alloc((size_t)(step * p->n) * sizeof(float));
    bool ok = b != NULL && c != NULL;
    for (int64_t i = 0; ok && i < p->m; i += step) {
        int64_t rows = smaller(p->m - i, step);
        hone_matrix part = p->a;
        part.data = operand_at(&p->a, i, 0);
        float *a = widen(&part, rows, p->k);
        hone_product f = {.m = rows, .n = p->n, .k = p->k, .c = c, .c_stride = p->n};
        f.a = (hone_matrix){a, HONE_F32, p->k, 1};
        f.b = (hone_matrix){b, HONE_F32, p->n, 1};
        ok = a != NULL && hone_backend_f32(&f);
        hone_free(a);
        for (int64_t r = 0; ok && r < rows; r++)
            for (int64_t j = 0; j < p->n; j++) {
                float value = c[r * p->n + j] + (p->bias != NULL ? p->bias[j] : 0.0f);
                char *at = result_at(p, i + r, j);
                if (p->c_dtype == HONE_BF16) {
                    uint16_t *out = (uint16_t *)(void *)at;
                    *out = hone_f32_to_bf16(p->accumulate ? hone_bf16_to_f32(*out) + value : value);
                } else {
                    float *out = (float *)(void *)at;
                    *out = p->accumulate ? *out + value : value;
                }
            }
    }
    hone_free(b);
    hone_free(c);
    return ok;
}

/* An f32 operand in bf16, laid out as it was; the caller frees its data, which is NULL when there
 * was no memory for it. */
static hone_matrix narrow(const hone_matrix *matrix, int64_t rows, int64_t columns)
{
    bool by_rows = matrix->column_stride == 1;
    int64_t lines = by_rows ? rows : columns, length = by_rows ? columns : rows;
    uint16_t *copy = hone_alloc((size_t)(lines * length) * sizeof *copy);
    for (int64_t i = 0; copy != NULL && i < lines; i++)
        hone_convert(HONE_F32, operand_at(matrix, by_rows ? i : 0, by_rows ? 0 : i), HONE_BF16,
                     copy + i * length, (size_t)length);
    return (hone_matrix){copy, HONE_BF16, by_rows ? columns : 1, by_rows ? 1 : rows};
}

/* Products of two types, with `multiply` for what they become. False when there was no memory. */
static bool through_bf16(const hone_product *p, void (*multiply)(const hone_product *))
{
    hone_product half = *p;
    bool left = p->a.dtype == HONE_F32;
    if (left)
        half.a = narrow(&p->a, p->m, p->k);
    else
        half.b = narrow(&p->b, p->k, p->n);
    union {
        const void *in;
        void *out;
    } copy = {left ? half.a.data : half.b.data};
    if (copy.in != NULL)
        multiply(&half);
    hone_free(copy.out);
    return copy.in != NULL;
}

/* ---- few shapes --------------------------------------------------------------------------- */

/* The largest of 2048, multiples of 256, multiples of 16 that fits; what is below 16 as it is. */
static int64_t piece(int64_t length)
{
    enum { MOST = 2048, MIDDLE = 256, LEAST = 16 };
    return length >= MOST     ? MOST
           : length >= MIDDLE ? length / MIDDLE * MIDDLE
           : length >= LEAST  ? length / LEAST * LEAST
                              : length;
}

/* A bf16 product in pieces of M and K. The library compiles code for each shape; batches have any
 * number of rows, so that without this a run would compile all the time and keep all of it. */
static void bf16_in_pieces(const hone_product *p)
{
    bool cut_k = p->c_dtype == HONE_F32; /* sums of a bf16 result would be rounded each time */
    for (int64_t i = 0, rows; i < p->m; i += rows) {
        rows = piece(p->m - i);
        for (int64_t j = 0, depth; j < p->k; j += depth) {
            depth = cut_k ? piece(p->k - j) : p->k;
            hone_product part = *p;
            part.m = rows;
            part.k = depth;
            part.a.data = operand_at(&p->a, i, j);
            part.b.data = operand_at(&p->b, j, 0);
            part.c = result_at(p, i, 0);
            part.accumulate = p->accumulate || j > 0;
            part.bias = j == 0 ? p->bias : NULL;
            if (!hone_backend_bf16(&part) && !through_f32(&part))
                hone_matmul_reference(&part);
        }
    }
}

/* ---- one product -------------------------------------------------------------------------- */

static _Thread_local bool entered;

void hone_matmul(const hone_product *p)
{
    if (p->m <= 0 || p->n <= 0 || hone_panel_matmul(p))
        return;
    if (!entered) {
        hone_backend_enter();
        entered = true;
    }
    bool done = false;
    if (p->k > 0 && p->a.dtype != p->b.dtype)
        done = through_bf16(p, hone_matmul);
    else if (p->k > 0 && p->a.dtype == HONE_F32 && p->c_dtype == HONE_F32) {
        done = hone_backend_f32(p);
        if (done && p->bias != NULL)
            add_bias(p);
    } else if (p->k > 0 && p->a.dtype == HONE_BF16) {
        bf16_in_pieces(p);
        done = true;
    }
    if (!done)
        hone_matmul_reference(p);
}

/* ---- tiles -------------------------------------------------------------------------------- */

typedef struct tiling {
    const hone_product *product;
    int64_t rows, columns; /* of a tile */
    int64_t across;        /* tiles in a row of tiles */
} tiling;

static void run_tile(void *context, int64_t task, int thread)
{
    (void)thread;
    const tiling *t = context;
    const hone_product *p = t->product;
    int64_t row = task / t->across * t->rows, column = task % t->across * t->columns;
    hone_product tile = *p;
    tile.m = smaller(p->m - row, t->rows);
    tile.n = smaller(p->n - column, t->columns);
    tile.a.data = operand_at(&p->a, row, 0);
    tile.b.data = operand_at(&p->b, 0, column);
    tile.c = result_at(p, row, column);
    tile.room = NULL;
    if (p->bias != NULL)
        tile.bias = p->bias + column;
    hone_matmul(&tile);
}

/* Tiles of about 256 rows spread the cost of reading B; narrow results are cut by columns too, so
 * that there are enough tiles to share out, and to relieve a core that another program slows. */
void hone_matmul_parallel(const hone_product *p)
{
    enum { TILE_ROWS = 256, LEAST_TILES = 8, LEAST_COLUMNS = 128, MOST_COLUMNS = 8448 };
    if (p->m <= 0 || p->n <= 0 || (p->m <= HONE_SKINNY_ROWS && hone_skinny_matmul(p)))
        return;
    if (p->m <= HONE_SKINNY_ROWS && p->a.dtype == HONE_F32 && p->b.dtype == HONE_BF16 &&
        through_bf16(p, hone_matmul_parallel))
        return;
    if (hone_panel_matmul_parallel(p))
        return;
    int64_t down = (p->m + TILE_ROWS / 2) / TILE_ROWS;
    down = down > 0 ? down : 1;
    int64_t across = divide_up(LEAST_TILES, down);
    tiling t = {p, round_up(divide_up(p->m, down), 16), 0, 1};
    t.columns = round_up(divide_up(p->n, across), 64);
    t.columns = t.columns < LEAST_COLUMNS  ? LEAST_COLUMNS
                : t.columns > MOST_COLUMNS ? MOST_COLUMNS
                                           : t.columns;
    t.across = divide_up(p->n, t.columns);
    hone_parallel_run(divide_up(p->m, t.rows) * t.across, run_tile, &t);
}

/* ---- the machine -------------------------------------------------------------------------- */

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static bool bf16_fast;

/* Times one middling product in both types: best of three. */
static void measure_bf16(void)
{
    enum { SIZE = 384 };
    uint16_t *half = hone_alloc_array(2 * SIZE * SIZE, sizeof *half);
    float *full = hone_alloc_array(3 * SIZE * SIZE, sizeof *full);
    if (half != NULL && full != NULL) {
        double best[2] = {1e9, 1e9};
        bool works = true;
        hone_backend_enter();
        for (int round = 0; round < 8 && works; round++) {
            hone_product p = {.m = SIZE, .n = SIZE, .k = SIZE, .c_stride = SIZE};
            p.c = full + (size_t)2 * SIZE * SIZE;
            bool wide = round % 2 == 0;
            const void *a = wide ? (const void *)full : half;
            p.a = (hone_matrix){a, wide ? HONE_F32 : HONE_BF16, SIZE, 1};
            p.b = p.a;
            double start = seconds();
            works = wide ? hone_backend_f32(&p) : hone_backend_bf16(&p);
            double taken = seconds() - start;
            if (round >= 2 && taken < best[round % 2])
                best[round % 2] = taken;
        }
        bf16_fast = works && best[1] < 0.9 * best[0];
    }
    hone_free(half);
    hone_free(full);
}

bool hone_matmul_bf16_is_fast(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, measure_bf16);
    return bf16_fast;
}

const char *hone_matmul_isa(void)
{
    return hone_backend_isa();
}

void hone_matmul_shutdown(void)
{
    hone_backend_shutdown();
}
