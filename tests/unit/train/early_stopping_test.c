/* Early stopping counts as Transformers' callback does, and the lowest loss is the best whatever
 * the threshold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "train/early_stopping.h"

#include <stdbool.h>

enum { MOST = 7 };

static void counts_validations_without_improvement(void **state)
{
    (void)state;
    static const struct {
        double threshold;
        int count;
        double losses[MOST];
        bool best[MOST];
        int bad[MOST];
        int64_t best_step;
    } cases[] = {
        {0, 5, {3, 2, 2, 2.5, 1}, {true, true, false, false, true}, {0, 0, 1, 2, 0}, 5},
        /* Improvements below the threshold are kept, but use up patience. */
        {0.5, 5, {3, 2.9, 2.8, 2.2, 2.1}, {true, true, true, true, true}, {0, 1, 2, 0, 1}, 5},
        {0, 3, {1, 1, 1}, {true, false, false}, {0, 1, 2}, 1},
        {0, 2, {0, -1}, {true, true}, {0, 0}, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_early_stopping stopping = {0};
        for (int k = 0; k < cases[i].count; k++) {
            bool best =
                hone_early_stopping_take(&stopping, cases[i].losses[k], k + 1, cases[i].threshold);
            assert_int_equal(best, cases[i].best[k]);
            assert_int_equal(stopping.bad, cases[i].bad[k]);
        }
        assert_int_equal(stopping.best_step, cases[i].best_step);
        assert_true(stopping.best == cases[i].losses[cases[i].best_step - 1]);
    }
}

static void ends_when_patience_has_run_out(void **state)
{
    (void)state;
    static const struct {
        int64_t bad, patience;
        bool ends;
    } cases[] = {{0, 0, false}, {1000, 0, false}, {0, 1, false},
                 {1, 1, true},  {2, 3, false},    {3, 3, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_early_stopping stopping = {.best_step = 1, .bad = cases[i].bad};
        assert_int_equal(hone_early_stopping_ends(&stopping, cases[i].patience), cases[i].ends);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_validations_without_improvement),
        cmocka_unit_test(ends_when_patience_has_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
