/* Fast products against the naive one, over layouts, types, sizes at the edges of tiles. */
#include "base/memory.h"
#include "base/parallel.h"
#include "base/random.h"
#include "gemm/matmul.h"
#include "gemm/panel.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

typedef struct sizes {
    int64_t m, n, k;
} sizes;

static const sizes cases[] = {{1, 1, 1},
                              {1, 131, 37},
                              {7, 257, 65},
                              {16, 300, 129},
                              {17, 64, 40},
                              {129, 130, 31},
                              {300, 70, 96},
                              {5, 8461, 33},
                              {530, 41, 23},
                              {3, 97, 191},
                              {12, 31, 2},
                              {2, 5, 128},
                              /* of whole vectors: the kernels of panel.h */
                              {33, 16, 2},
                              {129, 144, 62},
                              {64, 48, 1101},
                              {32, 16, 2060},
                              {40, 272, 600}};

static void *filled(hone_dtype dtype, int64_t n, uint32_t site)
{
    float *values = hone_alloc((size_t)n * sizeof(float));
    void *result = hone_alloc((size_t)n * sizeof(float));
    for (int64_t i = 0; i < n; i++)
        values[i] = (float)hone_random_normal((hone_random_key){3, site, 0}, (uint64_t)i);
    hone_convert(HONE_F32, values, dtype, result, (size_t)n);
    hone_free(values);
    return result;
}

static float at(const hone_product *p, const void *c, int64_t i)
{
    return p->c_dtype == HONE_BF16 ? hone_bf16_to_f32(((const uint16_t *)c)[i])
                                   : ((const float *)c)[i];
}

/* With room for the kernels of panel.h, or without. */
static void compare_so(hone_product p, void (*fast)(const hone_product *), bool with_room)
{
    int64_t count = p.m * p.n;
    size_t size = hone_matmul_room(p.a.dtype, hone_parallel_threads());
    void *room = with_room && size > 0 ? hone_pages_alloc(size) : NULL;
    void *expected = filled(p.c_dtype, count, 9), *found = filled(p.c_dtype, count, 9);
    p.c = expected;
    hone_matmul_reference(&p);
    p.c = found;
    p.room = room;
    fast(&p);
    /* Two orders of summing k products of about 1: k ulps of sqrt(k); bf16 results round to 2^-9.
     */
    float tolerance = 1e-5f * sqrtf((float)p.k) * 4.0f;
    for (int64_t i = 0; i < count; i++) {
        float e = at(&p, expected, i), f = at(&p, found, i);
        float allowed = tolerance + (p.c_dtype == HONE_BF16 ? fabsf(e) / 100.0f : 0.0f);
        if (!(fabsf(e - f) <= allowed)) {
            print_error("m %lld n %lld k %lld at %lld: expected %g, found %g\n", (long long)p.m,
                        (long long)p.n, (long long)p.k, (long long)i, (double)e, (double)f);
            fail();
        }
    }
    hone_free(expected);
    hone_free(found);
    hone_pages_free(room, size);
}

static void compare(hone_product p, void (*fast)(const hone_product *))
{
    compare_so(p, fast, false);
    compare_so(p, fast, true);
}

static void every_layout(const sizes *s, hone_dtype type, hone_dtype c_type,
                         void (*fast)(const hone_product *))
{
    void *a = filled(type, s->m * s->k, 1), *b = filled(type, s->k * s->n, 2);
    float *bias = filled(HONE_F32, s->n, 3);
    for (int variant = 0; variant < 16; variant++) {
        hone_product p = {.m = s->m, .n = s->n, .k = s->k, .c_dtype = c_type, .c_stride = s->n};
        p.a = variant & 1 ? (hone_matrix){a, type, 1, s->m} : (hone_matrix){a, type, s->k, 1};
        p.b = variant & 2 ? (hone_matrix){b, type, 1, s->k} : (hone_matrix){b, type, s->n, 1};
        p.accumulate = (variant & 4) != 0;
        p.bias = variant & 8 ? bias : NULL;
        compare(p, fast);
    }
    hone_free(a);
    hone_free(b);
    hone_free(bias);
}

static void f32_products_equal_the_naive_ones(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        every_layout(&cases[i], HONE_F32, HONE_F32, hone_matmul);
        every_layout(&cases[i], HONE_F32, HONE_F32, hone_matmul_parallel);
    }
}

static void bf16_products_equal_the_naive_ones(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        every_layout(&cases[i], HONE_BF16, HONE_F32, hone_matmul);
        every_layout(&cases[i], HONE_BF16, HONE_F32, hone_matmul_parallel);
        every_layout(&cases[i], HONE_BF16, HONE_BF16, hone_matmul_parallel);
    }
}

/* Shapes of GPT-2's, OPT's and T5's linears, forward and backward: where there are kernels for
 * them, none of these may go another way unseen. */
static void training_products_go_through_the_kernels(void **state)
{
    (void)state;
    enum { M = 32, MOST = 3072 };
    static const int64_t widths[][2] = {{768, 2304}, {768, 768},  {768, 3072}, {3072, 768},
                                        {2304, 768}, {512, 512},  {512, 2048}, {2048, 512},
                                        {192, 576},  {1024, 1024}};
    float *memory = hone_alloc_array((size_t)MOST * (M + M + MOST), sizeof *memory);
    for (size_t i = 0; i < 4 * sizeof widths / sizeof widths[0]; i++) {
        hone_dtype dtype = i % 2 ? HONE_BF16 : HONE_F32;
        bool transposed = i / 2 % 2 != 0;
        size_t size = hone_matmul_room(dtype, hone_parallel_threads());
        hone_product p = {.m = M, .k = widths[i / 4][0], .n = widths[i / 4][1], .c_dtype = dtype};
        p.a = (hone_matrix){memory, dtype, p.k, 1};
        p.b = transposed ? (hone_matrix){memory + M * MOST, dtype, 1, p.k}
                         : (hone_matrix){memory + M * MOST, dtype, p.n, 1};
        p.c = memory + (M + MOST) * MOST;
        p.c_stride = p.n;
        p.room = size > 0 ? hone_pages_alloc(size) : NULL;
        assert_true(hone_panel_matmul_parallel(&p) == (size > 0));
        hone_pages_free(p.room, size);
    }
    hone_free(memory);
}

/* The f32 operand holds values that bf16 can, so that narrowing it loses nothing. */
static void products_of_two_types(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int variant = 0; variant < 8; variant++) {
            const sizes *s = &cases[i];
            void *half[2] = {filled(HONE_BF16, s->m * s->k, 1), filled(HONE_BF16, s->k * s->n, 2)};
            int wide = variant & 1;
            int64_t n = wide ? s->k * s->n : s->m * s->k;
            float *full = hone_alloc((size_t)n * sizeof(float));
            hone_convert(HONE_BF16, half[wide], HONE_F32, full, (size_t)n);
            hone_matrix side[2];
            for (int k = 0; k < 2; k++) {
                int64_t rows = k == 0 ? s->m : s->k, columns = k == 0 ? s->k : s->n;
                bool by_columns = (variant & (2 << k)) != 0;
                side[k] =
                    (hone_matrix){k == wide ? full : half[k], k == wide ? HONE_F32 : HONE_BF16,
                                  by_columns ? 1 : columns, by_columns ? rows : 1};
            }
            hone_product p = {.m = s->m, .n = s->n, .k = s->k, .c_stride = s->n};
            p.a = side[0];
            p.b = side[1];
            compare(p, hone_matmul_parallel);
            compare(p, hone_matmul);
            p.c_dtype = HONE_BF16;
            p.accumulate = true;
            compare(p, hone_matmul_parallel);
            hone_free(half[0]);
            hone_free(half[1]);
            hone_free(full);
        }
}

/* Any number of rows up to the most that go together, against each row on its own. */
static void rows_are_the_same(hone_dtype type, hone_dtype c_type, bool transposed)
{
    enum { M = 16, N = 333, K = 147 };
    void *a = filled(type, M * K, 1), *b = filled(type, K * N, 2);
    size_t row = N * hone_dtype_size(c_type), in = K * hone_dtype_size(type);
    static char alone[M * N * sizeof(float)], together[M * N * sizeof(float)];
    hone_product p = {.m = 1, .n = N, .k = K, .c_dtype = c_type, .c_stride = N};
    p.b = transposed ? (hone_matrix){b, type, 1, K} : (hone_matrix){b, type, N, 1};
    for (int i = 0; i < M; i++) {
        p.a = (hone_matrix){(char *)a + (size_t)i * in, type, K, 1};
        p.c = alone + (size_t)i * row;
        hone_matmul_parallel(&p);
    }
    p.a.data = a;
    p.c = together;
    for (p.m = 2; p.m <= M; p.m++) {
        hone_matmul_parallel(&p);
        assert_memory_equal(together, alone, (size_t)p.m * row);
    }
    hone_free(a);
    hone_free(b);
}

static void a_row_is_the_same_whatever_is_beside_it(void **state)
{
    (void)state;
    for (int transposed = 0; transposed < 2; transposed++) {
        rows_are_the_same(HONE_F32, HONE_F32, transposed);
        rows_are_the_same(HONE_BF16, HONE_F32, transposed);
        rows_are_the_same(HONE_BF16, HONE_BF16, transposed);
    }
}

static void the_bits_do_not_depend_on_the_threads(void **state)
{
    (void)state;
    enum { M = 300, N = 320, K = 47, MOST_THREADS = 3 };
    static float result[2 * MOST_THREADS][M * N];
    float *a = filled(HONE_F32, M * K, 1), *b = filled(HONE_F32, K * N, 2);
    size_t size = hone_matmul_room(HONE_F32, MOST_THREADS);
    void *room = hone_pages_alloc(size + 1);
    for (int i = 0; i < 2 * MOST_THREADS; i++) {
        hone_parallel_set_threads(1 + i % MOST_THREADS);
        hone_product p = {.m = M, .n = N, .k = K, .c = result[i], .c_stride = N};
        p.a = (hone_matrix){a, HONE_F32, K, 1};
        p.b = (hone_matrix){b, HONE_F32, N, 1};
        p.room = i >= MOST_THREADS && size > 0 ? room : NULL;
        hone_matmul_parallel(&p);
    }
    hone_pages_free(room, size + 1);
    hone_parallel_set_threads(0);
    for (int i = 1; i < MOST_THREADS; i++) {
        assert_memory_equal(result[0], result[i], sizeof result[0]);
        assert_memory_equal(result[MOST_THREADS], result[MOST_THREADS + i], sizeof result[0]);
    }
    hone_free(a);
    hone_free(b);
}

static int stop(void **state)
{
    (void)state;
    hone_parallel_stop();
    hone_matmul_shutdown();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f32_products_equal_the_naive_ones),
        cmocka_unit_test(bf16_products_equal_the_naive_ones),
        cmocka_unit_test(training_products_go_through_the_kernels),
        cmocka_unit_test(products_of_two_types),
        cmocka_unit_test(a_row_is_the_same_whatever_is_beside_it),
        cmocka_unit_test(the_bits_do_not_depend_on_the_threads),
    };
    return cmocka_run_group_tests(tests, NULL, stop);
}
