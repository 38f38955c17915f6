/* Learning rates are those of the formulas in schedule.h, and no step of a warmup is lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "optim/schedule.h"

#include <math.h>

static void names_are_transformers_own(void **state)
{
    (void)state;
    hone_schedule_shape shape = HONE_SCHEDULE_CONSTANT;
    assert_true(hone_schedule_find("cyclical", &shape));
    assert_int_equal(shape, HONE_SCHEDULE_CYCLICAL);
    assert_true(hone_schedule_find("cosine", &shape));
    assert_int_equal(shape, HONE_SCHEDULE_COSINE);
    assert_true(hone_schedule_find("linear", &shape));
    assert_int_equal(shape, HONE_SCHEDULE_LINEAR);
    assert_true(hone_schedule_find("constant", &shape));
    assert_int_equal(shape, HONE_SCHEDULE_CONSTANT);
    assert_false(hone_schedule_find("polynomial", &shape));
    assert_false(hone_schedule_find("", &shape));
}

static void warmup_steps_go_before_the_ratio(void **state)
{
    (void)state;
    static const struct {
        int64_t steps;
        double ratio;
        int64_t total, expected;
    } cases[] = {{0, 0.0, 100, 0},   {0, 0.03, 100, 3}, {0, 0.031, 100, 4}, {7, 0.5, 100, 7},
                 {200, 0, 100, 100}, {0, 1.0, 9, 9},    {0, 0.001, 1, 1},   {5, 0, 0, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(hone_schedule_warmup(cases[i].steps, cases[i].ratio, cases[i].total),
                         cases[i].expected);
}

static void rates_follow_the_formulas(void **state)
{
    (void)state;
    enum { TOTAL = 14 };
    static const struct {
        hone_schedule schedule;
        double rates[TOTAL];
    } cases[] = {
        {{HONE_SCHEDULE_CONSTANT, 2.0, 1.0, 4, 0},
         {0.5, 1.0, 1.5, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2}},
        {{HONE_SCHEDULE_LINEAR, 2.0, 0.0, 4, 0},
         {0.5, 1.0, 1.5, 2, 2, 1.8, 1.6, 1.4, 1.2, 1.0, 0.8, 0.6, 0.4, 0.2}},
        {{HONE_SCHEDULE_LINEAR, 2.0, 1.0, 4, 0},
         {0.5, 1.0, 1.5, 2, 2, 1.9, 1.8, 1.7, 1.6, 1.5, 1.4, 1.3, 1.2, 1.1}},
        /* cos(pi k / 10), k = 0 .. 9, written out */
        {{HONE_SCHEDULE_COSINE, 2.0, 0.0, 4, 0},
         {0.5, 1.0, 1.5, 2, 2, 1.951056516295154, 1.809016994374947, 1.587785252292473,
          1.309016994374947, 1.0, 0.690983005625053, 0.412214747707527, 0.190983005625053,
          0.048943483704846}},
        {{HONE_SCHEDULE_CYCLICAL, 3.0, 1.0, 0, 4}, {2, 3, 2, 1, 2, 3, 2, 1, 2, 3, 2, 1, 2, 3}},
        {{HONE_SCHEDULE_CYCLICAL, 3.0, 1.0, 4, 4},
         {0.5, 1.5, 1.5, 1, 2, 3, 2, 1, 2, 3, 2, 1, 2, 3}},
        {{HONE_SCHEDULE_LINEAR, 2.0, 5.0, 0, 0}, /* a minimum above the peak */
         {2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int64_t step = 0; step < TOTAL; step++)
            assert_true(fabs(hone_schedule_rate(&cases[i].schedule, step, TOTAL) -
                             cases[i].rates[step]) < 1e-12);
}

static void rates_stay_in_bounds_and_fall_after_the_warmup(void **state)
{
    (void)state;
    for (int shape = HONE_SCHEDULE_CONSTANT; shape <= HONE_SCHEDULE_CYCLICAL; shape++) {
        for (int64_t total = 1; total < 60; total += 7) {
            for (int64_t warmup = 0; warmup <= total; warmup += 5) {
                hone_schedule schedule = {(hone_schedule_shape)shape, 5e-4, 5e-5, warmup, 11};
                double before = 5e-4;
                for (int64_t step = 0; step <= total; step++) {
                    double rate = hone_schedule_rate(&schedule, step, total);
                    assert_true(rate > 0 && rate <= 5e-4 * (1 + 1e-12));
                    if (step >= warmup) {
                        assert_true(rate >= 5e-5 * (1 - 1e-12));
                        assert_true(shape == HONE_SCHEDULE_CYCLICAL || rate <= before);
                        before = rate;
                    }
                }
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_transformers_own),
        cmocka_unit_test(warmup_steps_go_before_the_ratio),
        cmocka_unit_test(rates_follow_the_formulas),
        cmocka_unit_test(rates_stay_in_bounds_and_fall_after_the_warmup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
