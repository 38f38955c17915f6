/* The gradient norm is exact, the same for any number of threads, and not finite exactly when a
 * gradient is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/parallel.h"
#include "optim/clip.h"

#include <float.h>
#include <math.h>

enum { MOST = 300 * 8192 + 11 };
static float block[MOST];

static void is_the_euclidean_norm_at_every_size(void **state)
{
    (void)state;
    static const int64_t sizes[] = {0, 1, 7, 8, 9, 8191, 8192, 8193, 100003, MOST};
    for (int64_t i = 0; i < MOST; i++)
        block[i] = (float)((i * 31) % 17 - 8); /* sums of squares are exact */
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        double sum = 0;
        for (int64_t i = 0; i < sizes[k]; i++)
            sum += (double)block[i] * (double)block[i];
        assert_true(hone_gradient_norm(block, sizes[k]) == sqrt(sum));
    }
}

static void has_the_same_bits_with_any_number_of_threads(void **state)
{
    (void)state;
    for (int64_t i = 0; i < MOST; i++)
        block[i] = (float)((i * 7919) % 10007) * 1.37e-5f;
    double norms[3];
    for (int threads = 1; threads <= 3; threads++) {
        hone_parallel_set_threads(threads);
        norms[threads - 1] = hone_gradient_norm(block, MOST);
        assert_true(norms[threads - 1] == norms[0]);
    }
    hone_parallel_set_threads(0);
    hone_parallel_stop();
}

static void is_not_finite_exactly_when_a_gradient_is_not(void **state)
{
    (void)state;
    static const int64_t places[] = {0, 5, 8191, 8192, MOST - 1};
    for (int64_t i = 0; i < MOST; i++)
        block[i] = FLT_MAX;
    assert_true(isfinite(hone_gradient_norm(block, MOST)));
    for (size_t k = 0; k < sizeof places / sizeof *places; k++) {
        for (int what = 0; what < 3; what++) {
            block[places[k]] = what == 0 ? NAN : what == 1 ? INFINITY : -INFINITY;
            assert_false(isfinite(hone_gradient_norm(block, MOST)));
            block[places[k]] = 0.0f;
        }
    }
}

static void scale_clips_only_what_is_too_long(void **state)
{
    (void)state;
    static const struct {
        double norm, max_norm;
        float expected;
    } cases[] = {
        {0.5, 1.0, 1.0f}, {0.0, 1.0, 1.0f}, {4.0, 1.0, 0.25f},
        {4.0, 0.0, 1.0f}, {1e9, 0.0, 1.0f}, {100.0, 1e-3, 1e-5f},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float found = hone_clip_scale(cases[i].norm, cases[i].max_norm);
        assert_true(fabsf(found - cases[i].expected) <= 1e-6f * cases[i].expected);
        assert_true(found <= 1.0f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_the_euclidean_norm_at_every_size),
        cmocka_unit_test(has_the_same_bits_with_any_number_of_threads),
        cmocka_unit_test(is_not_finite_exactly_when_a_gradient_is_not),
        cmocka_unit_test(scale_clips_only_what_is_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
