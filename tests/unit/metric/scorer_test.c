/* The scorer: which metrics there are, means over rows, intervals, comparisons, misuse. */
#include <hone/score.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static hone_text text(const char *words)
{
    return (hone_text){words, strlen(words)};
}

/* A scorer with options "key=value", NULL at the end. */
static hone_scorer *make(const char *const *options)
{
    hone_score_settings settings;
    hone_option_set set = hone_score_option_set(&settings);
    hone_error error;
    hone_scorer *scorer;
    assert_int_equal(hone_options_init(&set, &error), HONE_OK);
    for (; *options != NULL; options++) {
        char key[64];
        size_t length = strcspn(*options, "=");
        snprintf(key, sizeof key, "%.*s", (int)length, *options);
        assert_int_equal(hone_options_set_text(&set, 1, key, *options + length + 1, key, &error),
                         HONE_OK);
    }
    assert_int_equal(hone_scorer_create(&settings, &scorer, &error), HONE_OK);
    hone_options_deinit(&set);
    return scorer;
}

#define MAKE(...) make((const char *const[]){__VA_ARGS__, NULL})

static void add(hone_scorer *scorer, const char *prediction, const char *reference)
{
    hone_error error;
    hone_text references[] = {text(reference)};
    assert_int_equal(hone_scorer_add(scorer, text(prediction), references, 1, &error), HONE_OK);
}

static hone_score result(hone_scorer *scorer, const char *name)
{
    hone_score score;
    hone_error error;
    int64_t index = hone_scorer_find(scorer, name);
    assert_true(index >= 0);
    assert_int_equal(hone_scorer_result(scorer, (size_t)index, &score, &error), HONE_OK);
    assert_string_equal(score.name, name);
    return score;
}

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
    assert_true(isnan(result(scorer, "rouge1").value));
    add(scorer, "the cat sat on the mat", "the cat is on the mat");
    add(scorer, "one", "one one one");
    hone_score score = result(scorer, "rouge1");
    assert_float_equal(score.precision, (5.0 / 6 + 1) / 2, 1e-15);
    assert_float_equal(score.recall, (5.0 / 6 + 1.0 / 3) / 2, 1e-15);
    assert_float_equal(score.value, (5.0 / 6 + 1.0 / 2) / 2, 1e-15);
    assert_true(isnan(score.low) && isnan(score.high));
    assert_float_equal(result(scorer, "rouge2").value, 0.6 / 2, 1e-15);
    assert_string_equal(
        score.signature,
        "nrefs:1|case:lc|tok:rouge|stem:no|f:1|examples:2|version:hone-" HONE_VERSION);
    hone_scorer_reset(scorer);
    assert_int_equal(hone_scorer_rows(scorer), 0);
    add(scorer, "a", "a");
    assert_float_equal(result(scorer, "rougeL").value, 1, 0);
    hone_scorer_free(scorer);
}

static void the_best_of_several_references_counts(void **state)
{
    (void)state;
    hone_scorer *scorer = MAKE("metrics=rouge", "bootstrap_samples=10");
    hone_text references[] = {text("x y"), text("b a"), text("a b z")};
    hone_error error;
    assert_int_equal(hone_scorer_add(scorer, text("a b"), references, 3, &error), HONE_OK);
    assert_float_equal(result(scorer, "rouge1").value, 1, 1e-15);
    assert_float_equal(result(scorer, "rouge2").value, 2.0 / 3, 1e-15);
    assert_float_equal(result(scorer, "rougeL").value, 0.8, 1e-15);
    assert_memory_equal(result(scorer, "rougeL").signature, "nrefs:3|bs:10|seed:12345|", 25);
    add(scorer, "a", "a");
    assert_memory_equal(result(scorer, "rougeL").signature, "nrefs:var|", 10);
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
            add(all[k], "a b c d", i % 3 == 0 ? "a b c d" : i % 2 == 0 ? "a x" : "b c y z t");
    hone_score a = result(one, "rouge1"), b = result(same, "rouge1"), c = result(other, "rouge1"),
               d = result(narrow, "rouge1");
    assert_true(a.low < a.value && a.value < a.high);
    assert_true(a.low == b.low && a.high == b.high);
    assert_true(a.low != c.low || a.high != c.high);
    assert_true(a.low < d.low && d.high < a.high);
    assert_non_null(strstr(d.signature, "|ci:0.5|"));
    for (int k = 0; k < 4; k++)
        hone_scorer_free(all[k]);
}

static void comparisons_tell_better_from_worse_and_same(void **state)
{
    (void)state;
    hone_scorer *poor = MAKE("metrics=rouge1"), *good = MAKE("metrics=rouge1");
    hone_comparison found;
    hone_error error;
    for (int i = 0; i < 53; i++) {
        add(poor, i % 5 == 0 ? "a b" : "x y", "a b");
        add(good, i % 5 != 1 ? "a b" : "x y", "a b");
    }
    assert_int_equal(hone_scorer_compare(poor, good, 0, &found, &error), HONE_OK);
    assert_true(found.low > 0 && found.difference > found.low && found.difference < found.high);
    assert_true(found.wins == 1 && found.p_value > 0 && found.p_value < 0.01);
    assert_int_equal(hone_scorer_compare(good, poor, 0, &found, &error), HONE_OK);
    assert_true(found.high < 0 && found.wins == 0 && found.p_value < 0.01);
    assert_int_equal(hone_scorer_compare(good, good, 0, &found, &error), HONE_OK);
    assert_true(found.difference == 0 && found.wins == 0.5 && found.p_value == 1);
    add(poor, "a", "a");
    assert_int_equal(hone_scorer_compare(poor, good, 0, &found, &error), HONE_USAGE);
    hone_scorer_free(poor);
    poor = MAKE("metrics=rouge2");
    assert_int_equal(hone_scorer_compare(good, poor, 0, &found, &error), HONE_USAGE);
    hone_scorer_free(poor);
    hone_scorer_free(good);
}

static void misuse_adds_no_row(void **state)
{
    (void)state;
    hone_scorer *scorer = MAKE("metrics=rouge");
    hone_error error;
    hone_text huge = {"a", (size_t)1 << 40}, small = text("a");
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
        cmocka_unit_test(comparisons_tell_better_from_worse_and_same),
        cmocka_unit_test(misuse_adds_no_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
