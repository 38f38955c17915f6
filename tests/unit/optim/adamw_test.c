/* AdamW takes the steps that torch.optim.AdamW takes, element by element, wherever an element lies
 * in the block. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/parallel.h"
#include "optim/adamw.h"

#include <math.h>
#include <string.h>

enum { N = 7, STEPS = 20 };

static float start_value(int64_t i)
{
    return (float)((i * 37) % 101 - 50) / 64.0f;
}
static float gradient_at(int64_t i, int64_t step)
{
    return (float)((i * 53 + step * 29) % 127 - 63) / 256.0f;
}

/* Made with torch 2.13.0+cpu: 20 steps of torch.optim.AdamW(foreach=False) from the values and
 * gradients above, one parameter group with decay and one without. */
static const struct {
    hone_adamw_settings settings;
    float decayed[N], plain[N], first[N], second[N];
} torch_runs[] = {
    {{1e-2, 0.9, 0.999, 1e-8, 0.01},
     {-0.738036215f, -0.190998167f, 0.362224162f, -0.625987232f, -0.0698282644f, 0.588184178f,
      -0.50671953f},
     {-0.739528954f, -0.191392794f, 0.362956136f, -0.627220094f, -0.0699627399f, 0.589327991f,
      -0.507721722f},
     {-0.00671216706f, -0.000278324616f, 0.00122635008f, 0.010760624f, -0.014872184f,
      -0.00554599799f, 0.0161112193f},
     {0.000427619321f, 0.000369493995f, 0.000439229741f, 0.000372158393f, 0.000427599822f,
      0.000410986162f, 0.000388515182f}},
    {{5e-2, 0.9, 0.95, 1e-6, 0.1},
     {-0.51235199f, -0.127770439f, 0.28327325f, -0.578565061f, -0.147825286f, 0.752570689f,
      -0.601768553f},
     {-0.570239544f, -0.144383624f, 0.314852715f, -0.634280026f, -0.162046447f, 0.823184073f,
      -0.662082255f},
     {-0.00671216706f, -0.000278324616f, 0.00122635008f, 0.010760624f, -0.014872184f,
      -0.00554599799f, 0.0161112193f},
     {0.0135552846f, 0.0118783219f, 0.0142990435f, 0.0119608939f, 0.0142438728f, 0.0131417783f,
      0.0125732068f}},
    {{1e-3, 0.0, 0.5, 1e-8, 0.0},
     {-0.781352103f, -0.204178348f, 0.3731215f, -0.627571702f, -0.0485251099f, 0.532037139f,
      -0.473209202f},
     {-0.781352103f, -0.204178348f, 0.3731215f, -0.627571702f, -0.0485251099f, 0.532037139f,
      -0.473209202f},
     {-0.078125f, 0.12890625f, -0.16015625f, 0.046875f, -0.2421875f, -0.03515625f, 0.171875f},
     {0.0180844218f, 0.0135657098f, 0.0282305256f, 0.00951369852f, 0.036748834f, 0.014601198f,
      0.0195725225f}},
};

static void assert_near(const float *found, const float *expected, double tolerance)
{
    for (int i = 0; i < N; i++)
        assert_true(fabs((double)found[i] - (double)expected[i]) <= tolerance);
}

/* Blocks of two ranges: [0, N) with decay, [second, second + N) without. */
static void agrees_with_torch_over_twenty_steps(void **state)
{
    (void)state;
    /* The second range straddles the cut between two tasks. */
    enum { SECOND = 16384 - 3, ELEMENTS = SECOND + N + 2 };
    static float values[ELEMENTS], gradients[ELEMENTS];
    const hone_optim_range ranges[] = {{0, N, true}, {SECOND, N, false}};
    for (size_t run = 0; run < sizeof torch_runs / sizeof *torch_runs; run++) {
        hone_adamw adamw;
        assert_int_equal(hone_adamw_create(ELEMENTS, &adamw, NULL), HONE_OK);
        memset(values, 0, sizeof values);
        memset(gradients, 0, sizeof gradients);
        values[N] = values[ELEMENTS - 1] = 11.0f; /* padding */
        for (int i = 0; i < N; i++)
            values[i] = values[SECOND + i] = start_value(i);
        for (int step = 0; step < STEPS; step++) {
            for (int i = 0; i < N; i++)
                gradients[i] = gradients[SECOND + i] = gradient_at(i, step);
            hone_adamw_step(&adamw, &torch_runs[run].settings, ranges, 2, 1.0f, values, gradients);
        }
        assert_int_equal(adamw.steps, STEPS);
        assert_near(values, torch_runs[run].decayed, 1e-6);
        assert_near(values + SECOND, torch_runs[run].plain, 1e-6);
        assert_near(adamw.first, torch_runs[run].first, 1e-8);
        assert_near(adamw.first + SECOND, torch_runs[run].first, 1e-8);
        assert_near(adamw.second, torch_runs[run].second, 1e-8);
        assert_true(values[N] == 11.0f && values[ELEMENTS - 1] == 11.0f);
        hone_adamw_free(&adamw);
    }
}

static void zeroes_the_gradients_it_has_used(void **state)
{
    (void)state;
    float values[N] = {0}, gradients[N] = {1, -1, 2, 3, 5, 7, 11};
    const hone_optim_range range = {1, N - 2, true};
    const hone_adamw_settings settings = {1e-3, 0.9, 0.999, 1e-8, 0.01};
    hone_adamw adamw;
    assert_int_equal(hone_adamw_create(N, &adamw, NULL), HONE_OK);
    hone_adamw_step(&adamw, &settings, &range, 1, 1.0f, values, gradients);
    for (int i = 0; i < N; i++) {
        bool covered = i >= 1 && i < N - 1;
        assert_true(gradients[i] == 0.0f || !covered);
        assert_true(covered == (values[i] != 0.0f));
    }
    assert_true(gradients[0] == 1.0f && gradients[N - 1] == 11.0f);
    hone_adamw_free(&adamw);
}

static void scales_the_gradient_as_if_it_had_been_scaled_before(void **state)
{
    (void)state;
    const hone_optim_range range = {0, N, true};
    const hone_adamw_settings settings = {1e-2, 0.9, 0.999, 1e-8, 0.01};
    float values[2][N], gradients[2][N];
    hone_adamw adamw[2];
    for (int k = 0; k < 2; k++) {
        assert_int_equal(hone_adamw_create(N, &adamw[k], NULL), HONE_OK);
        for (int i = 0; i < N; i++) {
            values[k][i] = start_value(i);
            gradients[k][i] = gradient_at(i, 0) * (k == 0 ? 1.0f : 0.25f);
        }
        hone_adamw_step(&adamw[k], &settings, &range, 1, k == 0 ? 0.25f : 1.0f, values[k],
                        gradients[k]);
    }
    assert_memory_equal(values[0], values[1], sizeof values[0]);
    assert_memory_equal(adamw[0].first, adamw[1].first, 2 * sizeof values[0]);
    hone_adamw_free(&adamw[0]);
    hone_adamw_free(&adamw[1]);
}

static void gives_the_same_bytes_with_any_number_of_threads(void **state)
{
    (void)state;
    enum { ELEMENTS = 3 * 16384 + 29 };
    static float values[3][ELEMENTS], gradients[ELEMENTS];
    const hone_optim_range ranges[] = {
        {0, 13, true}, {16, 20011, false}, {20032, ELEMENTS - 20032, true}};
    const hone_adamw_settings settings = {1e-2, 0.9, 0.999, 1e-8, 0.01};
    for (int threads = 1; threads <= 3; threads++) {
        hone_parallel_set_threads(threads);
        hone_adamw adamw;
        assert_int_equal(hone_adamw_create(ELEMENTS, &adamw, NULL), HONE_OK);
        float *mine = values[threads - 1];
        for (int64_t i = 0; i < ELEMENTS; i++)
            mine[i] = start_value(i);
        for (int step = 0; step < 3; step++) {
            for (int64_t i = 0; i < ELEMENTS; i++)
                gradients[i] = gradient_at(i, step);
            hone_adamw_step(&adamw, &settings, ranges, 3, 1.0f, mine, gradients);
        }
        hone_adamw_free(&adamw);
        assert_memory_equal(mine, values[0], sizeof values[0]);
    }
    assert_true(values[0][13] == start_value(13));
    hone_parallel_set_threads(0);
    hone_parallel_stop();
}

static void *refuse_pages(void *context, size_t size)
{
    (void)context;
    (void)size;
    return NULL;
}

static void reports_memory_that_runs_out(void **state)
{
    (void)state;
    hone_error error;
    hone_adamw adamw;
    assert_int_equal(hone_adamw_create(INT64_MAX, &adamw, &error), HONE_MEMORY);
    hone_adamw_free(&adamw);
    const hone_allocator none = {NULL, refuse_pages, NULL, NULL};
    hone_memory_set_allocator(&none);
    assert_int_equal(hone_adamw_create(1, &adamw, &error), HONE_MEMORY);
    hone_adamw_free(&adamw);
    hone_memory_set_allocator(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_torch_over_twenty_steps),
        cmocka_unit_test(zeroes_the_gradients_it_has_used),
        cmocka_unit_test(scales_the_gradient_as_if_it_had_been_scaled_before),
        cmocka_unit_test(gives_the_same_bytes_with_any_number_of_threads),
        cmocka_unit_test(reports_memory_that_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
