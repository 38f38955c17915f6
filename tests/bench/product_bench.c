/* What two ways of multiplying reach: products of training, GFLOP/s on all cores, through the
 * library and through the kernels of gemm/panel.h in turn, so that a machine that changes its speed
 * changes it for both; and what the multipliers can do at all, in a loop that touches no memory.
 * Best of 30 rounds. Operands are zeros: no time here depends on values.
 * usage: product_bench */
#include "base/memory.h"
#include "base/parallel.h"
#include "gemm/matmul.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { ROUNDS = 30, BYTES = 64 << 20 };

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- the multipliers ---------------------------------------------------------------------- */

#if defined(__x86_64__)

enum { SUMS = 24, STEPS = 2000000, LANES = 16 };

/* More sums than a multiplication takes cycles, all in registers. */
#define PEAK(name, isa, step)                                                                      \
    __attribute__((target(isa))) static void name(void *context, int64_t task, int thread)         \
    {                                                                                              \
        __m512 sum[SUMS], x = _mm512_set1_ps(1e-9f);                                               \
        (void)thread;                                                                              \
        for (int i = 0; i < SUMS; i++)                                                             \
            sum[i] = _mm512_setzero_ps();                                                          \
        for (int64_t s = 0; s < STEPS; s++) {                                                      \
            _Pragma("GCC unroll 24") for (int i = 0; i < SUMS; i++) sum[i] = step;                 \
        }                                                                                          \
        for (int i = 1; i < SUMS; i++)                                                             \
            sum[0] = _mm512_add_ps(sum[0], sum[i]);                                                \
        ((float *)context)[task] = _mm512_cvtss_f32(sum[0]);                                       \
    }

PEAK(peak_f32, "avx512f", _mm512_fmadd_ps(x, x, sum[i]))
PEAK(peak_bf16, "avx512f,avx512bf16", _mm512_dpbf16_ps(sum[i], (__m512bh)x, (__m512bh)x))

static void tell_peak(const char *name, hone_task_fn work, double products)
{
    int threads = hone_parallel_threads();
    float results[64];
    double best = 1e9;
    for (int round = 0; round < 5; round++) {
        double start = seconds();
        hone_parallel_run(threads < 64 ? threads : 64, work, results);
        double taken = seconds() - start;
        best = taken < best ? taken : best;
    }
    printf("%s in registers: %.0f GFLOP/s\n", name,
           2.0 * products * LANES * SUMS * STEPS * threads / best / 1e9);
}

static void tell_peaks(void)
{
    if (__builtin_cpu_supports("avx512f"))
        tell_peak("f32", peak_f32, 1);
    if (__builtin_cpu_supports("avx512bf16"))
        tell_peak("bf16", peak_bf16, 2);
}

#else

static void tell_peaks(void) {}

#endif

/* ---- products ----------------------------------------------------------------------------- */

typedef struct shape {
    const char *name;
    int64_t m, n, k;
    bool a_by_columns, b_by_columns;
} shape;

static const shape shapes[] = {
    {"GPT-2 c_attn", 2048, 2304, 768, false, false},
    {"GPT-2 attention's c_proj", 2048, 768, 768, false, false},
    {"GPT-2 c_fc", 2048, 3072, 768, false, false},
    {"GPT-2 mlp's c_proj", 2048, 768, 3072, false, false},
    {"GPT-2 c_attn, backward", 2048, 768, 2304, false, true},
    {"GPT-2 c_fc, backward", 2048, 768, 3072, false, true},
    {"GPT-2 mlp's c_proj, backward", 2048, 3072, 768, false, true},
    {"GPT-2 c_fc, weight's gradient", 768, 3072, 2048, true, false},
    {"OPT q_proj", 2048, 768, 768, false, true},
    {"OPT fc1", 2048, 3072, 768, false, true},
    {"T5 q", 2048, 512, 512, false, true},
    {"T5 wi", 2048, 2048, 512, false, true},
    {"T5 wo", 2048, 512, 2048, false, true},
};

/* Best GFLOP/s without room (the library) and with it (our own kernels, where there are any). */
static void time_shape(const shape *s, hone_dtype dtype, char *memory, void *room, double rate[2])
{
    size_t element = hone_dtype_size(dtype);
    hone_product p = {.m = s->m, .n = s->n, .k = s->k, .c_stride = s->n};
    char *b = memory + (size_t)(s->m * s->k) * element;
    p.a = s->a_by_columns ? (hone_matrix){memory, dtype, 1, s->m}
                          : (hone_matrix){memory, dtype, s->k, 1};
    p.b = s->b_by_columns ? (hone_matrix){b, dtype, 1, s->k} : (hone_matrix){b, dtype, s->n, 1};
    p.c = b + (size_t)(s->k * s->n) * element;
    p.c_dtype = s->a_by_columns ? HONE_F32 : dtype; /* gradients of weights are f32 */
    p.accumulate = s->a_by_columns;
    double best[2] = {1e9, 1e9};
    for (int round = 0; round < 2 * ROUNDS; round++) {
        p.room = round % 2 != 0 ? room : NULL;
        double start = seconds();
        hone_matmul_parallel(&p);
        double taken = seconds() - start;
        best[round % 2] = taken < best[round % 2] ? taken : best[round % 2];
    }
    for (int way = 0; way < 2; way++)
        rate[way] = 2.0 * (double)(s->m * s->n * s->k) / best[way] / 1e9;
}

int main(void)
{
    hone_parallel_set_threads(0);
    char *memory = hone_pages_alloc(BYTES);
    if (memory == NULL)
        return 5;
    memset(memory, 0, BYTES);
    tell_peaks();
    for (int half = 0; half < 2; half++) {
        hone_dtype dtype = half ? HONE_BF16 : HONE_F32;
        size_t size = hone_matmul_room(dtype, hone_parallel_threads());
        void *room = size > 0 ? hone_pages_alloc(size) : NULL;
        printf("\n%-31s library     own\n", half ? "bf16" : "f32");
        for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
            double rate[2];
            time_shape(&shapes[i], dtype, memory, room, rate);
            if (room != NULL)
                printf("%-31s %7.0f %7.0f  %+5.1f %%\n", shapes[i].name, rate[0], rate[1],
                       100.0 * (rate[1] / rate[0] - 1.0));
            else
                printf("%-31s %7.0f       -\n", shapes[i].name, rate[0]);
        }
        hone_pages_free(room, size);
    }
    hone_pages_free(memory, BYTES);
    return 0;
}
