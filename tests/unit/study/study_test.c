/* Study files: what they may say, that what is wrong is named with its line, and that a study which
 * was written is read back to the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/files.h"
#include "base/memory.h"
#include "study/study.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static hone_study *parse(const char *text, hone_error *error)
{
    hone_study *study;
    assert_int_equal(hone_study_create(NULL, &study, error), HONE_OK);
    if (hone_study_parse(study, text, strlen(text), "s.yaml", error) == HONE_OK)
        return study;
    hone_study_free(study);
    return NULL;
}

static const char whole[] = "title: Two methods\n"
                            "out: there\n"
                            "num_predictions: 7\n"
                            "experiments:\n"
                            "  - name: low\n"
                            "    method: lora\n"
                            "    r: 4\n"
                            "    rank_pattern: {c_attn: 2}\n"
                            "  - method: full\n"
                            "    target_modules: []\n"
                            "    learning_rate: 1e-4\n"
                            "defaults:\n"
                            "  model: m\n"
                            "  train: t.jsonl\n"
                            "  valid: v.jsonl\n"
                            "  learning_rate: 0.002\n"
                            "  target_modules: [c_attn, c_proj]\n"
                            "  metrics: [rouge1]\n"
                            "  max_new_tokens: 9\n";

static void experiments_are_defaults_and_what_differs(void **state)
{
    (void)state;
    hone_error error;
    hone_study *study = parse(whole, &error);
    assert_non_null(study);
    assert_string_equal(study->settings.title, "Two methods");
    assert_string_equal(hone_study_out(study), "there");
    assert_int_equal(study->settings.num_predictions, 7);
    assert_int_equal(hone_study_count(study), 2);
    assert_string_equal(hone_study_name(study, 0), "low");
    assert_string_equal(hone_study_name(study, 1), "full");
    const hone_run_settings *low = hone_study_experiment(study, 0);
    const hone_run_settings *full = hone_study_experiment(study, 1);
    assert_string_equal(low->model.model, "m");
    assert_int_equal(low->adapter.r, 4);
    assert_int_equal(low->adapter.rank_pattern.count, 1);
    assert_int_equal(low->adapter.target_modules.count, 2);
    assert_true(low->train.learning_rate == 0.002 && full->train.learning_rate == 1e-4);
    assert_int_equal(full->adapter.target_modules.count, 0);
    assert_int_equal(full->adapter.r, 8);
    assert_int_equal(full->score.metrics.count, 1);
    assert_int_equal(full->generate.max_new_tokens, 9);
    assert_int_equal(full->train.eval_generate, 32);
    assert_int_equal(hone_study_check(study, &error), HONE_OK);
    hone_study_free(study);
}

static void what_is_set_goes_over_the_file(void **state)
{
    (void)state;
    hone_error error;
    hone_study *study = parse(whole, &error);
    assert_int_equal(hone_study_set(study, "r", "16", "--r", &error), HONE_OK);
    assert_int_equal(hone_study_set(study, "out", "elsewhere", "--out", &error), HONE_OK);
    assert_int_equal(hone_study_set(study, "num-predictions", "3", "--num-predictions", &error),
                     HONE_OK);
    assert_int_equal(hone_study_add(study, "more", &error), HONE_OK);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(hone_study_experiment(study, i)->adapter.r, 16);
    assert_string_equal(hone_study_out(study), "elsewhere");
    assert_int_equal(study->settings.num_predictions, 3);
    assert_int_equal(hone_study_set(study, "r", "0", "--r", &error), HONE_USAGE);
    assert_non_null(strstr(error.message, "--r: expected"));
    assert_int_equal(hone_study_set(study, "rr", "1", "--rr", &error), HONE_USAGE);
    hone_study_free(study);
}

static void methods_make_experiments(void **state)
{
    (void)state;
    static char lora[] = "lora", ia3[] = "ia3", full[] = "full", wrong[] = "qlora";
    char *names[] = {lora, ia3, full};
    char *keys[] = {ia3};
    double values[] = {0.02};
    const hone_list methods = {names, 3};
    const hone_map rates = {keys, values, 1};
    hone_error error;
    hone_study *study;
    assert_int_equal(hone_study_create(NULL, &study, &error), HONE_OK);
    assert_int_equal(hone_study_check(study, &error), HONE_USAGE);
    assert_int_equal(hone_study_set(study, "learning_rate", "0.5", "", &error), HONE_OK);
    assert_int_equal(hone_study_add_methods(study, &methods, &rates, &error), HONE_OK);
    assert_int_equal(hone_study_count(study), 3);
    assert_string_equal(hone_study_name(study, 1), "ia3");
    assert_string_equal(hone_study_experiment(study, 2)->adapter.method, "full");
    assert_true(hone_study_experiment(study, 0)->train.learning_rate == 0.5);
    assert_true(hone_study_experiment(study, 1)->train.learning_rate == 0.02);
    assert_int_equal(hone_study_add_methods(study, &methods, NULL, &error), HONE_USAGE);
    names[0] = wrong;
    assert_int_equal(hone_study_add_methods(study, &methods, NULL, &error), HONE_USAGE);
    keys[0] = wrong;
    names[0] = lora;
    assert_int_equal(hone_study_add_methods(study, &methods, &rates, &error), HONE_USAGE);
    assert_non_null(strstr(error.message, "qlora"));
    hone_study_free(study);
}

static void what_is_wrong_is_named_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int line;
        const char *message;
    } cases[] = {
        {"", -1, "expected a list of experiments"},
        {"defaults: {}\n", -1, "expected a list of experiments"},
        {"experiments: []\n", 1, "expected a list of experiments, each"},
        {"defaults:\nexperiments:\n  - r: 4\n", 1, "expected the defaults as lines"},
        {"experiments:\n  - r: 4\n  - 7\n", 3, "behind each dash"},
        {"experiments: [1, {r: 4}]\n", 1, "nested too deep"},
        {"titel: x\nexperiments:\n  - r: 4\n", 1, "did you mean title"},
        {"experiments:\n  - r: 4\n    rr: 3\n", 3, "no setting is called 'rr'"},
        {"experiments:\n  - r: 0\n", 2, "expected an integer from 1"},
        {"experiments:\n  - out: x\n", 2, "has no \"out\" of its own"},
        {"defaults:\n  out: x\nexperiments:\n  - r: 4\n", 2, "has no \"out\" of its own"},
        {"experiments:\n  - r: 4\n  - r: 5\n", 3, "two experiments are called \"lora\""},
        {"experiments:\n  - name: a/b\n", 2, "letters, digits, dots"},
        {"experiments:\n  - name: ..\n", 2, "letters, digits, dots"},
        {"experiments:\n  - name: \"\\xE9\"\n", 2, "letters, digits, dots"},
        {"experiment:\n  - r: 4\n", 2, "expected the keys defaults and experiments"},
        {"defaults:\n  - r: 4\n  - r: 5\nexperiments:\n  - r: 4\n", 3, "one mapping of defaults"},
        {"experiments:\n  - r: 4\nexperiments:\n  - r: 5\n", 3, "stands twice"},
        {"defaults:\n  r: {a: {b: 1}}\nexperiments:\n  - r: 4\n", 2, "nested too deep"},
        {"experiments:\n  - &a {r: 4}\n", 2, "anchors"},
        {"experiments: {r: 4}\n", -1, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_error error = {0};
        hone_study *study = parse(cases[i].text, &error);
        if (cases[i].message == NULL) {
            assert_non_null(study);
            hone_study_free(study);
            continue;
        }
        assert_null(study);
        if (strstr(error.message, cases[i].message) == NULL || error.line != cases[i].line)
            fail_msg("case %d: line %d: %s", (int)i, (int)error.line, error.message);
        assert_int_equal(error.status, HONE_INPUT);
    }
}

static void studies_that_cannot_be_run_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"experiments:\n  - {model: m, train: t, valid: v}\n", "no folder given"},
        {"out: o\nexperiments:\n  - {train: t, valid: v}\n", "no model folder"},
        {"out: o\nexperiments:\n  - {model: m, valid: v}\n", "no training data"},
        {"out: o\nexperiments:\n  - {model: m, train: t}\n", "no validation data"},
        {"out: o\nexperiments:\n  - {model: m, train: t, split: 0.9}\n", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_error error;
        hone_study *study = parse(cases[i].text, &error);
        assert_non_null(study);
        hone_status status = hone_study_check(study, &error);
        assert_int_equal(status, cases[i].message != NULL ? HONE_USAGE : HONE_OK);
        if (cases[i].message != NULL)
            assert_non_null(strstr(error.message, cases[i].message));
        hone_study_free(study);
    }
}

static void a_saved_study_is_read_back_to_the_same(void **state)
{
    (void)state;
    char folder[] = "/tmp/hone-study-XXXXXX", first[64], second[64];
    assert_non_null(mkdtemp(folder));
    snprintf(first, sizeof first, "%s/a.yaml", folder);
    snprintf(second, sizeof second, "%s/b.yaml", folder);
    hone_error error;
    hone_study *study = parse(whole, &error), *again;
    static const char *const odd[][2] = {{"prompt_template", "a \"{prompt}\"\\n: #é\t'"},
                                         {"stop", "[\"x, y\", \"#\", \"- z\"]"},
                                         {"sample_prompt", "null"},
                                         {"adam_epsilon", "1e-9"}};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        if (hone_study_set(study, odd[i][0], odd[i][1], "", &error) != HONE_OK)
            fail_msg("%s", error.message);
    assert_int_equal(hone_study_save(study, first, &error), HONE_OK);
    if (hone_study_create(first, &again, &error) != HONE_OK)
        fail_msg("line %d: %s", (int)error.line, error.message);
    assert_string_equal(hone_study_experiment(again, 0)->train.sample_prompt, "null");
    assert_int_equal(hone_study_experiment(again, 1)->generate.stop.count, 3);
    assert_int_equal(hone_study_save(again, second, &error), HONE_OK);
    char *one, *two;
    size_t size;
    assert_int_equal(hone_file_load(first, 1 << 20, &one, &size, NULL), HONE_OK);
    assert_int_equal(hone_file_load(second, 1 << 20, &two, &size, NULL), HONE_OK);
    assert_string_equal(one, two);
    hone_free(one);
    hone_free(two);
    hone_study_free(study);
    hone_study_free(again);
    assert_int_equal(hone_folder_remove(folder, NULL), HONE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(experiments_are_defaults_and_what_differs),
        cmocka_unit_test(what_is_set_goes_over_the_file),
        cmocka_unit_test(methods_make_experiments),
        cmocka_unit_test(what_is_wrong_is_named_with_its_line),
        cmocka_unit_test(studies_that_cannot_be_run_are_refused),
        cmocka_unit_test(a_saved_study_is_read_back_to_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
