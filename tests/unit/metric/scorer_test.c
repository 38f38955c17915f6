/* The scorer: which metrics there are, means over rows, intervals, comparisons, misuse. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "metric_support.h"

static void names_select_metrics(void **state)
{
    (void)state;
    static const char *const four[] = {"rouge1", "rouge2", "rougeL", "rougeLsum"};
    hone_scorer *scorer = MAKE("metrics=rouge,rouge1,rouge");
    assert_int_equal(hone_scorer_count(scorer), 4);
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(hone_scorer_name(scorer, i), four[i]);
        assert_true(hone_metric_known(four[i]));
    }
    assert_int_equal(hone_scorer_find(scorer, "bleu"), -1);
    hone_scorer_free(scorer);
    scorer = MAKE("metrics=rougeL, rouge2");
    assert_int_equal(hone_scorer_count(scorer), 2);
    assert_int_equal(hone_scorer_find(scorer, "rouge2"), 1);
    hone_scorer_free(scorer);
    scorer = MAKE("metrics=bleu, chrf++", "bootstrap_samples=0"); /* one item of the list */
    assert_int_equal(hone_scorer_count(scorer), 2);
    assert_string_equal(hone_scorer_name(scorer, 1), "chrf++");
    hone_scorer_free(scorer);
    assert_true(hone_metric_known("chrf++"));
    assert_true(hone_metric_known("rouge"));
    assert_false(hone_metric_known("rouge3"));
    assert_false(hone_metric_known("roug"));
    assert_false(hone_metric_known(""));
}

static void unknown_metrics_are_usage_errors(void **state)
{
    (void)state;
    static const char *const wrong[] = {"rogue1", "rouge1,nope", ""};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        hone_score_settings settings;
        hone_option_set set = hone_score_option_set(&settings);
        hone_error error;
        hone_scorer *scorer;
        assert_int_equal(hone_options_init(&set, &error), HONE_OK);
        assert_int_equal(hone_options_set_text(&set, 1, "metrics", wrong[i], "m", &error), HONE_OK);
        assert_int_equal(hone_scorer_create(&settings, &scorer, &error), HONE_USAGE);
        assert_null(scorer);
        assert_non_null(strstr(error.message, "metric"));
        hone_options_deinit(&set);
    }
}

static void means_are_over_rows(void **state)
{
    (void)state;
    hone_scorer *scorer = MAKE("metrics=rouge", "bootstrap_samples=0");
    assert_true(isnan(result_of(scorer, "rouge1").value));
    add_row(scorer, "the cat sat on the mat", "the cat is on the mat");
    add_row(scorer, "one", "one one one");
    hone_score score = result_of(scorer, "rouge1");
    assert_near(score.precision, (5.0 / 6 + 1) / 2, 1e-15);
    assert_near(score.recall, (5.0 / 6 + 1.0 / 3) / 2, 1e-15);
    assert_near(score.value, (5.0 / 6 + 1.0 / 2) / 2, 1e-15);
    assert_true(isnan(score.low) && isnan(score.high));
    assert_near(result_of(scorer, "rouge2").value, 0.6 / 2, 1e-15);
    assert_string_equal(
        score.signature,
        "nrefs:1|case:lc|tok:rouge|stem:no|f:1|examples:2|version:hone-" HONE_VERSION);
    hone_scorer_reset(scorer);
    assert_int_equal(hone_scorer_rows(scorer), 0);
    add_row(scorer, "a", "a");
    assert_near(result_of(scorer, "rougeL").value, 1, 0);
    hone_scorer_free(scorer);
}

static void the_best_of_several_references_counts(void **state)
{
    (void)state;
    hone_scorer *scorer = MAKE("metrics=rouge", "bootstrap_samples=10");
    hone_text references[] = {text_of("x y"), text_of("b a"), text_of("a b z")};
    hone_error error;
    assert_int_equal(hone_scorer_add(scorer, text_of("a b"), references, 3, &error), HONE_OK);
    assert_near(result_of(scorer, "rouge1").value, 1, 1e-15);
    assert_near(result_of(scorer, "rouge2").value, 2.0 / 3, 1e-15);
    assert_near(result_of(scorer, "rougeL").value, 0.8, 1e-15);
    assert_memory_equal(result_of(scorer, "rougeL").signature, "nrefs:3|bs:10|seed:12345|", 25);
    add_row(scorer, "a", "a");
    assert_memory_equal(result_of(scorer, "rougeL").signature, "nrefs:var|", 10);
    hone_scorer_free(scorer);
}

static void intervals_are_seeded_and_hold_the_mean(void **state)
{
    (void)state;
    hone_scorer *one = MAKE("metrics=rouge1"), *same = MAKE("metrics=rouge1");
    hone_scorer *other = MAKE("metrics=rouge1", "bootstrap_seed=2");
    hone_scorer *narrow = MAKE("metrics=rouge1", "confidence=0.5");
    hone_scorer *all[] = {one, same, other, narrow};
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < 101; i++)
            add_row(all[k], "a b c d", i % 3 == 0 ? "a b c d" : i % 2 == 0 ? "a x" : "b c y z t");
    hone_score a = result_of(one, "rouge1"), b = result_of(same, "rouge1"),
               c = result_of(other, "rouge1"), d = result_of(narrow, "rouge1");
    assert_true(a.low < a.value && a.value < a.high);
    assert_true(a.low == b.low && a.high == b.high);
    assert_true(a.low != c.low || a.high != c.high);
    assert_true(a.low < d.low && d.high < a.high);
    assert_non_null(strstr(d.signature, "|ci:0.5|"));
    for (int k = 0; k < 4; k++)
        hone_scorer_free(all[k]);
}

/* Half of 400 right: the standard error is 0.025, and 1.96 of them are on either side. */
static void intervals_are_as_wide_as_theory_has_it(void **state)
{
    (void)state;
    hone_scorer *scorer = MAKE("metrics=accuracy", "bootstrap_samples=20000");
    for (int i = 0; i < 400; i++)
        add_row(scorer, "a", i % 2 == 0 ? "a" : "b");
    hone_score score = result_of(scorer, "accuracy");
    assert_near(score.low, 0.5 - 1.96 * 0.025, 0.003);
    assert_near(score.high, 0.5 + 1.96 * 0.025, 0.003);
    hone_scorer_free(scorer);
}

static void comparisons_tell_better_from_worse_and_same(void **state)
{
    (void)state;
    hone_scorer *poor = MAKE("metrics=rouge1"), *good = MAKE("metrics=rouge1");
    hone_comparison found;
    hone_error error;
    for (int i = 0; i < 53; i++) {
        add_row(poor, i % 5 == 0 ? "a b" : "x y", "a b");
        add_row(good, i % 5 != 1 ? "a b" : "x y", "a b");
    }
    assert_int_equal(hone_scorer_compare(poor, good, 0, &found, &error), HONE_OK);
    assert_true(found.low > 0 && found.difference > found.low && found.difference < found.high);
    assert_true(found.wins == 1 && found.p_value > 0 && found.p_value < 0.01);
    assert_int_equal(hone_scorer_compare(good, poor, 0, &found, &error), HONE_OK);
    assert_true(found.high < 0 && found.wins == 0 && found.p_value < 0.01);
    assert_int_equal(hone_scorer_compare(good, good, 0, &found, &error), HONE_OK);
    assert_true(found.difference == 0 && found.wins == 0.5 && found.p_value == 1);
    add_row(poor, "a", "a");
    assert_int_equal(hone_scorer_compare(poor, good, 0, &found, &error), HONE_USAGE);
    hone_scorer_free(poor);
    poor = MAKE("metrics=rouge2");
    assert_int_equal(hone_scorer_compare(good, poor, 0, &found, &error), HONE_USAGE);
    hone_scorer_free(poor);
    hone_scorer_free(good);
}

/* 2 t / (p + r) by label: yes 2/3, no 2/3, maybe 0 (only predicted). */
static void macro_f1_is_over_the_labels_that_occur(void **state)
{
    (void)state;
    hone_scorer *scorer = MAKE("metrics=accuracy,macro_f1", "bootstrap_samples=50");
    static const char *const rows[][2] = {
        {"yes", " yes"}, {"no\n", "no"}, {"yes", "no"}, {"maybe", "yes"}, {"YES", "no"}};
    for (size_t i = 0; i < 4; i++)
        add_row(scorer, rows[i][0], rows[i][1]);
    assert_near(result_of(scorer, "accuracy").value, 0.5, 0);
    double yes = 2.0 * 1 / (2 + 2), no = 2.0 * 1 / (1 + 2);
    hone_score score = result_of(scorer, "macro_f1");
    assert_near(score.value, (yes + no + 0) / 3, 1e-15);
    assert_true(score.low <= score.value && score.value <= score.high);
    hone_scorer_reset(scorer);
    add_row(scorer, "b", "b");
    assert_near(result_of(scorer, "macro_f1").value, 1, 0);
    hone_scorer_free(scorer);
    scorer = MAKE("metrics=accuracy,macro_f1", "lowercase=true");
    add_row(scorer, "YES", "yes");
    assert_near(result_of(scorer, "accuracy").value, 1, 0);
    assert_near(result_of(scorer, "macro_f1").value, 1, 0);
    hone_scorer_free(scorer);
}

static void any_of_several_labels_is_right(void **state)
{
    (void)state;
    hone_scorer *scorer = MAKE("metrics=accuracy,macro_f1,exact_match");
    hone_text references[] = {text_of("a"), text_of("b")};
    hone_error error;
    assert_int_equal(hone_scorer_add(scorer, text_of("b"), references, 2, &error), HONE_OK);
    assert_near(result_of(scorer, "accuracy").value, 1, 0);
    assert_near(result_of(scorer, "macro_f1").value, 1, 0);
    assert_near(result_of(scorer, "exact_match").value, 1, 0);
    assert_int_equal(hone_scorer_add(scorer, text_of("c"), references, 2, &error), HONE_OK);
    assert_near(result_of(scorer, "accuracy").value, 0.5, 0);
    assert_near(result_of(scorer, "macro_f1").value, 1.0 / 3, 1e-15);
    hone_scorer_free(scorer);
}

static void a_row_has_a_value_of_its_own(void **state)
{
    (void)state;
    hone_scorer *scorer = MAKE("metrics=bleu,rouge1,macro_f1");
    hone_error error;
    double value;
    add_row(scorer, "one two three four", "one two three four");
    add_row(scorer, "x", "y");
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(hone_scorer_row_value(scorer, i, 0, &value, &error), HONE_OK);
        assert_near(value, i == 0 ? 100 : 1, 1e-12);
        assert_int_equal(hone_scorer_row_value(scorer, i, 1, &value, &error), HONE_OK);
        assert_near(value, 0, 0);
    }
    hone_scorer_free(scorer);
}

static void bytes_that_are_no_text_are_scored(void **state)
{
    (void)state;
    hone_scorer *scorer = MAKE(EVERY_METRIC, "lowercase=true", "bleu_tokenize=intl");
    hone_text prediction = {"a\xff\xc3 \x00"
                            "b",
                            6},
              empty = {NULL, 0};
    hone_error error;
    assert_int_equal(hone_scorer_add(scorer, prediction, &prediction, 1, &error), HONE_OK);
    assert_near(result_of(scorer, "chrf").value, 100, 1e-12);
    assert_near(result_of(scorer, "accuracy").value, 1, 0);
    assert_int_equal(hone_scorer_add(scorer, empty, &empty, 1, &error), HONE_OK);
    assert_int_equal(hone_scorer_add(scorer, prediction, &empty, 1, &error), HONE_OK);
    assert_int_equal(hone_scorer_add(scorer, empty, &prediction, 1, &error), HONE_OK);
    assert_near(result_of(scorer, "accuracy").value, 0.5, 0);
    hone_scorer_free(scorer);
}

static void misuse_adds_no_row(void **state)
{
    (void)state;
    hone_scorer *scorer = MAKE("metrics=rouge");
    hone_error error;
    hone_text huge = {"a", (size_t)1 << 40}, small = text_of("a");
    assert_int_equal(hone_scorer_add(scorer, small, NULL, 0, &error), HONE_USAGE);
    assert_int_equal(hone_scorer_add(scorer, huge, &small, 1, &error), HONE_USAGE);
    assert_int_equal(hone_scorer_add(scorer, small, &huge, 1, &error), HONE_USAGE);
    assert_int_equal(hone_scorer_rows(scorer), 0);
    hone_scorer_free(scorer);
    hone_scorer_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_select_metrics),
        cmocka_unit_test(unknown_metrics_are_usage_errors),
        cmocka_unit_test(means_are_over_rows),
        cmocka_unit_test(the_best_of_several_references_counts),
        cmocka_unit_test(intervals_are_seeded_and_hold_the_mean),
        cmocka_unit_test(intervals_are_as_wide_as_theory_has_it),
        cmocka_unit_test(comparisons_tell_better_from_worse_and_same),
        cmocka_unit_test(macro_f1_is_over_the_labels_that_occur),
        cmocka_unit_test(any_of_several_labels_is_right),
        cmocka_unit_test(a_row_has_a_value_of_its_own),
        cmocka_unit_test(bytes_that_are_no_text_are_scored),
        cmocka_unit_test(misuse_adds_no_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
