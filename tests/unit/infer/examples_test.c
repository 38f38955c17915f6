/* Examples are what training gives of a row and the row's own texts, whatever its form; predictions
 * of them are written, scored and stopped row by row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/files.h"
#include "infer/model_data.h"
#include "infer/predict_examples.h"
#include "infer_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static hone_model *model;

static int open_model(void **state)
{
    (void)state;
    model = tiny_model("f32", 3, true);
    return 0;
}

static int open_t5(void **state)
{
    (void)state;
    model = tiny_t5_model("f32", 3);
    return 0;
}

static int close_model(void **state)
{
    (void)state;
    tiny_model_close(model);
    return 0;
}

/* Data settings with one key set. */
static hone_data_settings settings_with(const char *key, const char *value)
{
    hone_data_settings settings;
    hone_option_set set = hone_data_option_set(&settings);
    assert_int_equal(hone_options_init(&set, NULL), HONE_OK);
    if (key != NULL)
        assert_int_equal(hone_options_set_text(&set, 1, key, value, key, NULL), HONE_OK);
    return settings;
}

static void free_settings(hone_data_settings *settings)
{
    hone_option_set set = hone_data_option_set(settings);
    hone_options_deinit(&set);
}

typedef struct opened {
    hone_data_settings settings;
    hone_dataset *dataset;
    hone_examples examples;
    char path[160];
} opened;

static opened find(const char *name, const char *content, const char *key, const char *value,
                   int64_t most)
{
    opened o = {.settings = settings_with(key, value)};
    hone_error error;
    hone_dataset_options options;
    snprintf(o.path, sizeof o.path, "%s", tiny_file(name, content));
    assert_int_equal(hone_model_data_options(model, &o.settings, &options, &error), HONE_OK);
    if (hone_dataset_open(o.path, &options, &o.dataset, &error) != HONE_OK ||
        hone_examples_find(model, o.dataset, o.path, &o.settings, most, &o.examples, &error) !=
            HONE_OK)
        fail_msg("%s", error.message);
    return o;
}

static void drop(opened *o)
{
    hone_examples_deinit(&o->examples);
    hone_dataset_close(o->dataset);
    free_settings(&o->settings);
}

static void assert_text(hone_text text, const char *expected)
{
    assert_int_equal(text.length, strlen(expected));
    assert_memory_equal(text.text, expected, text.length);
}

/* The prompt as text: the tokens of the tiny tokenizer are bytes. */
static void assert_prompt(const hone_prompt *prompt, const char *expected)
{
    assert_int_equal(prompt->count, (int64_t)strlen(expected));
    for (int64_t i = 0; i < prompt->count; i++)
        assert_int_equal(prompt->ids[i], (unsigned char)expected[i]);
}

static void texts_are_those_of_the_row(void **state)
{
    (void)state;
    static const struct {
        const char *name, *content, *key, *value, *prompt, *source, *target;
    } cases[] = {
        {"a.jsonl", "{\"prompt\": \"ab\", \"completion\": \"cd\"}\n", NULL, NULL, "ab", "ab", "cd"},
        {"b.jsonl", "\n{\"source\": \"ab\", \"target\": \"cd\"}\n", NULL, NULL, "ab", "ab", "cd"},
        {"c.jsonl", "{\"source\": \"ab\", \"target\": \"cd\"}\n", "prompt_template", "<{source}>",
         "<ab>", "ab", "cd"},
        {"d.jsonl", "{\"x\": \"1\", \"y\": \"2\", \"target\": \"cd\"}\n", "prompt_template",
         "{x}-{y}", "1-2", "1-2", "cd"},
        {"e.csv", "source,target\n\"a,b\",c\n", NULL, NULL, "a,b", "a,b", "c"},
        {"f.jsonl", "{\"article\": \"ab\", \"highlights\": \"c\"}\n", "preset", "cnn_dailymail",
         "ab", "ab", "c"},
        {"g.jsonl", "{\"source\": \"abcdef\", \"target\": \"c\"}\n", "max_source_length", "3",
         "abc", "abcdef", "c"},
        {"h.jsonl", "{\"ids\": [97, 98, 99, 100], \"labels\": [-100, -100, 99, 100]}\n", NULL, NULL,
         "ab", "ab", "cd"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        opened o = find(cases[i].name, cases[i].content, cases[i].key, cases[i].value, 0);
        assert_int_equal(o.examples.count, 1);
        assert_prompt(&o.examples.prompts[0], cases[i].prompt);
        assert_text(o.examples.items[0].source, cases[i].source);
        assert_text(o.examples.items[0].target, cases[i].target);
        drop(&o);
    }
}

static void sources_of_t5_are_ended(void **state)
{
    (void)state;
    opened o = find("p.jsonl",
                    "{\"source\": \"ab\", \"target\": \"cd\"}\n"
                    "{\"source_ids\": [97], \"target_ids\": [98, 99]}\n",
                    NULL, NULL, 0);
    assert_int_equal(o.examples.count, 2);
    assert_int_equal(o.examples.prompts[0].count, 3);
    assert_int_equal(o.examples.prompts[0].ids[2], TINY_EOS);
    assert_text(o.examples.items[0].target, "cd");
    assert_text(o.examples.items[1].source, "a");
    assert_text(o.examples.items[1].target, "bc");
    drop(&o);
}

static void rows_are_spread_over_the_file(void **state)
{
    (void)state;
    static const struct {
        int64_t most, count, first, last;
    } cases[] = {{0, 20, 2, 40},  {1, 1, 2, 2},    {2, 2, 2, 22},  {3, 3, 2, 30},
                 {19, 19, 2, 40}, {20, 20, 2, 40}, {99, 20, 2, 40}};
    char rows[4096] = "";
    for (int i = 1; i <= 20; i++)
        snprintf(rows + strlen(rows), sizeof rows - strlen(rows),
                 "{\"text\": \"none\"}\n{\"source\": \"%d\", \"target\": \"t\"}\n", i);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        opened o = find("spread.jsonl", rows, NULL, NULL, cases[i].most);
        assert_int_equal(o.examples.count, cases[i].count);
        assert_int_equal(o.examples.items[0].line, cases[i].first);
        assert_int_equal(o.examples.items[o.examples.count - 1].line, cases[i].last);
        for (int64_t k = 0; k < o.examples.count; k++) {
            char number[16];
            snprintf(number, sizeof number, "%d", (int)o.examples.items[k].line / 2);
            assert_text(o.examples.items[k].source, number);
        }
        drop(&o);
    }
}

static void what_can_be_wrong(void **state)
{
    (void)state;
    hone_error error;
    hone_examples examples;
    hone_dataset *dataset;
    hone_dataset_options options;
    hone_data_settings settings = settings_with(NULL, NULL);
    assert_int_equal(hone_model_data_options(model, &settings, &options, &error), HONE_OK);
    const char *path = tiny_file("texts.jsonl", "{\"text\": \"ab\"}\n");
    assert_int_equal(hone_dataset_open(path, &options, &dataset, &error), HONE_OK);
    assert_int_equal(hone_examples_usable(dataset), 0);
    assert_int_equal(hone_examples_find(model, dataset, path, &settings, 0, &examples, &error),
                     HONE_USAGE);
    hone_dataset_close(dataset);
    path = tiny_file("gone.jsonl", "{\"source\": \"a\", \"target\": \"b\"}\n");
    assert_int_equal(hone_dataset_open(path, &options, &dataset, &error), HONE_OK);
    path = tiny_file("gone.jsonl", "\n");
    assert_int_equal(hone_examples_find(model, dataset, path, &settings, 0, &examples, &error),
                     HONE_MISMATCH);
    hone_dataset_close(dataset);
    free_settings(&settings);
}

static int stop_after_one(void *context, int64_t done, int64_t total)
{
    *(int64_t *)context = done;
    return done >= 1 && total == 3;
}

static void predictions_are_written_and_scored(void **state)
{
    (void)state;
    opened o = find("three.jsonl",
                    "{\"source\": \"ab\", \"target\": \"c \\\"d\\\"\"}\n"
                    "{\"source\": \"b\", \"target\": \"e\"}\n"
                    "{\"source\": \"c\", \"target\": \"f\"}\n",
                    NULL, NULL, 0);
    hone_generate_settings settings;
    hone_option_set set = hone_generate_option_set(&settings);
    hone_score_settings metrics;
    hone_option_set metric_set = hone_score_option_set(&metrics);
    hone_scorer *scorer;
    hone_error error;
    assert_int_equal(hone_options_init(&set, NULL), HONE_OK);
    assert_int_equal(hone_options_init(&metric_set, NULL), HONE_OK);
    settings.max_new_tokens = 4;
    settings.decode_batch_size = 1;
    assert_int_equal(hone_scorer_create(&metrics, &scorer, &error), HONE_OK);
    char path[160];
    snprintf(path, sizeof path, "%s", tiny_file("out.jsonl", ""));
    hone_predict_request request = {.settings = &settings, .scorer = scorer, .path = path};
    hone_prediction_costs costs;
    if (hone_predict_examples(model, &o.examples, &request, &costs, &error) != HONE_OK)
        fail_msg("%s", error.message);
    assert_int_equal(hone_scorer_rows(scorer), 3);
    assert_true(costs.tokens >= 3 && costs.tokens <= 12 && costs.seconds > 0.0);
    char *text;
    size_t size;
    assert_int_equal(hone_file_load(path, 1 << 20, &text, &size, NULL), HONE_OK);
    static const char begin[] = "{\"line\":1,\"prediction\":\"";
    assert_memory_equal(text, begin, sizeof begin - 1);
    assert_non_null(strstr(text, ",\"reference\":\"c \\\"d\\\"\",\"source\":\"ab\",\"finish\":\""));
    assert_non_null(strstr(text, "\n{\"line\":3,"));
    hone_free(text);
    int64_t done = -1;
    request.progress = stop_after_one;
    request.context = &done;
    assert_int_equal(hone_predict_examples(model, &o.examples, &request, NULL, &error),
                     HONE_STOPPED);
    assert_int_equal(done, 1);
    settings.num_return_sequences = 2;
    assert_int_equal(hone_predict_examples(model, &o.examples, &request, NULL, &error), HONE_USAGE);
    hone_scorer_free(scorer);
    hone_options_deinit(&set);
    hone_options_deinit(&metric_set);
    drop(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(texts_are_those_of_the_row, open_model, close_model),
        cmocka_unit_test_setup_teardown(sources_of_t5_are_ended, open_t5, close_model),
        cmocka_unit_test_setup_teardown(rows_are_spread_over_the_file, open_model, close_model),
        cmocka_unit_test_setup_teardown(what_can_be_wrong, open_model, close_model),
        cmocka_unit_test_setup_teardown(predictions_are_written_and_scored, open_model,
                                        close_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
