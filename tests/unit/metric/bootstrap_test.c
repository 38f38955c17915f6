/* Resamples and quantiles; the draws are pinned, so that intervals stay the same from one version
 * to the next. */
#include "metric/bootstrap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "metric_support.h"

/* As tests/parity/metric_parity.py draws them in NumPy. */
static void draws_are_those_of_the_parity_script(void **state)
{
    (void)state;
    static const struct {
        uint64_t seed;
        uint32_t sample;
        size_t rows;
        uint32_t weights[8];
    } cases[] = {
        {12345, 0, 5, {1, 0, 3, 1, 0}},
        {12345, 1, 5, {0, 0, 2, 2, 1}},
        {5000000007, 999, 8, {2, 1, 0, 1, 1, 2, 0, 1}},
        {9007199254740991, 7, 1, {1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t weights[8];
        hone_bootstrap_draw(cases[i].seed, cases[i].sample, weights, cases[i].rows);
        assert_memory_equal(weights, cases[i].weights, cases[i].rows * sizeof *weights);
    }
}

static void quantiles_are_linear_between_values(void **state)
{
    (void)state;
    double values[] = {7, 1, 3, 2, 5};
    hone_bootstrap_sort(values, 5);
    assert_near(hone_bootstrap_quantile(values, 5, 0), 1, 0);
    assert_near(hone_bootstrap_quantile(values, 5, 0.1), 1.4, 1e-15);
    assert_near(hone_bootstrap_quantile(values, 5, 0.5), 3, 0);
    assert_near(hone_bootstrap_quantile(values, 5, 0.875), 6, 1e-15);
    assert_near(hone_bootstrap_quantile(values, 5, 1), 7, 0);
    assert_near(hone_bootstrap_quantile(values, 1, 0.3), 1, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_are_those_of_the_parity_script),
        cmocka_unit_test(quantiles_are_linear_between_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
