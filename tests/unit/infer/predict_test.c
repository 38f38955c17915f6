/* Predictions: a line for each text, in the file's order; whole files or partial ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/files.h"
#include "base/json.h"
#include "infer_support.h"

#include <hone/predict.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_LINES = 64 };

static hone_model *model;
static hone_generate_settings settings;
static hone_data_settings data;
static char out[160], partial[200];

static int set_up_model(hone_model *made)
{
    hone_option_set generate = hone_generate_option_set(&settings);
    hone_option_set rows = hone_data_option_set(&data);
    model = made;
    snprintf(out, sizeof out, "%s", tiny_file("out.jsonl", "before\n"));
    snprintf(partial, sizeof partial, "%s.partial", out);
    return hone_options_init(&generate, NULL) == HONE_OK &&
                   hone_options_init(&rows, NULL) == HONE_OK
               ? 0
               : -1;
}

static int set_up(void **state)
{
    (void)state;
    return set_up_model(tiny_model("f32", 4, true));
}

static int set_up_without_tokenizer(void **state)
{
    (void)state;
    return set_up_model(tiny_model("f32", 4, false));
}

static int set_up_t5(void **state)
{
    (void)state;
    return set_up_model(tiny_t5_model("f32", 4));
}

static int tear_down(void **state)
{
    (void)state;
    hone_option_set generate = hone_generate_option_set(&settings);
    hone_option_set rows = hone_data_option_set(&data);
    hone_options_deinit(&generate);
    hone_options_deinit(&rows);
    tiny_model_close(model);
    return 0;
}

static hone_prompts *prompts_of(const char *rows)
{
    hone_prompts *prompts;
    hone_error error = {0};
    assert_int_equal(hone_prompts_create(model, &prompts, NULL), HONE_OK);
    hone_prompts_keep_rows(prompts);
    if (hone_prompts_add_file(prompts, tiny_file("rows.jsonl", rows), &data, 0, NULL, &error) !=
        HONE_OK)
        fail_msg("%s", error.message);
    return prompts;
}

/* The file's lines as JSON; how many. */
static int read_lines(const char *path, hone_json *lines[MOST_LINES])
{
    char *text;
    size_t size;
    int count = 0;
    assert_int_equal(hone_file_load(path, 1 << 20, &text, &size, NULL), HONE_OK);
    for (char *at = text, *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
        assert_true(count < MOST_LINES);
        assert_int_equal(
            hone_json_parse(at, (size_t)(end - at), path, count + 1, &lines[count], NULL), HONE_OK);
        count++;
    }
    hone_free(text);
    return count;
}

static void free_lines(hone_json *lines[MOST_LINES], int count)
{
    for (int i = 0; i < count; i++)
        hone_json_free(lines[i]);
}

static void assert_text(const hone_json *line, const char *key, const char *expected)
{
    const char *found = hone_json_string(hone_json_get(line, key), NULL);
    if (expected == NULL)
        assert_null(hone_json_get(line, key));
    else
        assert_string_equal(found, expected);
}

static void must_predict(hone_prompts *prompts, hone_prediction_counts *counts)
{
    hone_error error = {0};
    const hone_predict_options options = {.settings = &settings, .seed = 3};
    if (hone_predict(model, prompts, &options, out, counts, &error) != HONE_OK)
        fail_msg("%s", error.message);
}

static const char rows[] = "{\"prompt\":\"a long prompt, of more than sixteen tokens\","
                           "\"completion\":\"its end\"}\n"
                           "{\"source\":\"quoted \\\"s\\\"\",\"target\":\"\"}\n"
                           "{\"text\":\"only\"}\n"
                           "{\"source_ids\":[72,105],\"target_ids\":[72,111]}\n"
                           "{\"ids\":[72,101]}\n";
static const char *const sources[] = {"a long prompt, of more than sixteen tokens", "quoted \"s\"",
                                      "only", "Hi", "He"};
static const char *const references[] = {"its end", "", NULL, "Ho", NULL};

static void lines_hold_prediction_reference_and_prompt(void **state)
{
    (void)state;
    hone_json *lines[MOST_LINES];
    hone_prompts *prompts = prompts_of(rows);
    hone_prediction_counts counts;
    const char *prompt = model->program.encoder_decoder ? "source" : "prompt";
    const char *other = model->program.encoder_decoder ? "prompt" : "source";
    settings.max_new_tokens = 6;
    for (settings.decode_batch_size = 1; settings.decode_batch_size < 9;
         settings.decode_batch_size += 3) {
        must_predict(prompts, &counts);
        assert_int_equal(counts.prompts, 5);
        assert_int_equal(counts.texts, 5);
        int count = read_lines(out, lines);
        assert_int_equal(count, 5);
        for (int i = 0; i < count; i++) {
            assert_text(lines[i], prompt, sources[i]);
            assert_text(lines[i], other, NULL);
            assert_text(lines[i], "reference", references[i]);
            assert_non_null(hone_json_string(hone_json_get(lines[i], "prediction"), NULL));
            assert_non_null(hone_json_string(hone_json_get(lines[i], "finish"), NULL));
            assert_null(hone_json_get(lines[i], "sequence"));
            assert_null(hone_json_get(lines[i], "score"));
        }
        free_lines(lines, count);
    }
    hone_prompts_free(prompts);
}

static void several_texts_of_a_prompt_are_numbered_and_beams_have_scores(void **state)
{
    (void)state;
    hone_json *lines[MOST_LINES];
    hone_prompts *prompts = prompts_of(rows);
    hone_prediction_counts counts;
    settings.max_new_tokens = 4;
    settings.num_beams = settings.num_return_sequences = 3;
    must_predict(prompts, &counts);
    int count = read_lines(out, lines);
    assert_int_equal(count, 15);
    assert_int_equal(counts.texts, 15);
    double score, before = 0.0;
    for (int i = 0; i < count; i++) {
        int64_t sequence;
        assert_true(hone_json_integer(hone_json_get(lines[i], "sequence"), &sequence));
        assert_int_equal(sequence, i % 3);
        assert_true(hone_json_real(hone_json_get(lines[i], "score"), &score));
        assert_true(score < 0.0 && (sequence == 0 || score <= before));
        assert_text(lines[i], "prompt", sources[i / 3]);
        before = score;
    }
    free_lines(lines, count);
    hone_prompts_free(prompts);
}

static void without_a_tokenizer_there_are_ids(void **state)
{
    (void)state;
    hone_json *lines[MOST_LINES];
    hone_prompts *prompts =
        prompts_of("{\"source_ids\":[7,8],\"target_ids\":[9]}\n{\"ids\":[1,2,3]}\n");
    settings.max_new_tokens = 5;
    must_predict(prompts, NULL);
    assert_int_equal(read_lines(out, lines), 2);
    assert_int_equal(hone_json_size(hone_json_get(lines[0], "prediction_ids")), 5);
    assert_int_equal(hone_json_size(hone_json_get(lines[0], "prompt_ids")), 2);
    assert_int_equal(hone_json_size(hone_json_get(lines[0], "reference_ids")), 1);
    assert_int_equal(hone_json_size(hone_json_get(lines[1], "prompt_ids")), 3);
    assert_null(hone_json_get(lines[1], "reference_ids"));
    assert_null(hone_json_get(lines[1], "prediction"));
    free_lines(lines, 2);
    hone_prompts_free(prompts);
}

/* What is no UTF-8, in a prompt of a .txt file or in what the model says, does not break a line. */
static void lines_are_utf8(void **state)
{
    (void)state;
    hone_json *lines[MOST_LINES];
    hone_prompts *prompts;
    hone_error error;
    assert_int_equal(hone_prompts_create(model, &prompts, NULL), HONE_OK);
    hone_prompts_keep_rows(prompts);
    assert_int_equal(hone_prompts_add_text(prompts, "a\xFF\xC3\xA9\xC3", 5, NULL, &error), HONE_OK);
    assert_int_equal(hone_prompts_add_text(prompts, "", 0, NULL, &error), HONE_OK);
    settings.temperature = 2.0;
    settings.max_new_tokens = 40; /* random bytes */
    must_predict(prompts, NULL);
    assert_int_equal(read_lines(out, lines), 2);
    assert_text(lines[0], "prompt", "a\xEF\xBF\xBD\xC3\xA9\xEF\xBF\xBD");
    assert_text(lines[1], "prompt", "");
    assert_non_null(
        strstr(hone_json_string(hone_json_get(lines[0], "prediction"), NULL), "\xEF\xBF\xBD"));
    free_lines(lines, 2);
    hone_prompts_free(prompts);
}

typedef struct watcher {
    int64_t stop_at, calls;
    hone_prediction_counts last;
} watcher;

static int watch(void *context, const hone_prediction_counts *done, int64_t prompts)
{
    watcher *w = context;
    assert_int_equal(prompts, 5);
    assert_true(done->prompts >= w->last.prompts && done->tokens >= w->last.tokens);
    w->last = *done;
    w->calls++;
    return w->stop_at > 0 && done->prompts >= w->stop_at;
}

static void what_was_made_before_a_stop_is_kept_apart(void **state)
{
    (void)state;
    hone_json *lines[MOST_LINES];
    hone_prompts *prompts = prompts_of(rows);
    hone_prediction_counts counts;
    watcher w = {.stop_at = 2};
    hone_error error = {0};
    hone_predict_options options = {
        .settings = &settings, .seed = 3, .progress = watch, .context = &w};
    settings.max_new_tokens = 6;
    settings.decode_batch_size = 1;
    assert_int_equal(hone_predict(model, prompts, &options, out, &counts, &error), HONE_STOPPED);
    assert_int_equal(counts.texts, 2);
    assert_non_null(strstr(error.message, "the 2 texts made before are in "));
    assert_non_null(strstr(error.message, ".partial"));
    assert_int_equal(read_lines(partial, lines), 2);
    free_lines(lines, 2);
    char *before;
    size_t size;
    assert_int_equal(hone_file_load(out, 100, &before, &size, NULL), HONE_OK);
    assert_string_equal(before, "before\n");
    hone_free(before);
    unlink(partial);
    w = (watcher){.stop_at = 0};
    assert_int_equal(hone_predict(model, prompts, &options, out, &counts, &error), HONE_OK);
    assert_int_equal(w.last.prompts, 5);
    assert_false(hone_file_exists(partial));
    settings.num_beams = 2;
    settings.temperature = 1.0; /* refused before anything is made */
    assert_int_equal(hone_predict(model, prompts, &options, out, &counts, &error), HONE_USAGE);
    assert_false(hone_file_exists(partial));
    assert_int_equal(read_lines(out, lines), 5);
    free_lines(lines, 5);
    hone_prompts_free(prompts);
}

static void a_place_that_cannot_be_written_is_an_error(void **state)
{
    (void)state;
    hone_prompts *prompts = prompts_of(rows);
    hone_error error = {0};
    const hone_predict_options options = {.settings = &settings};
    assert_int_equal(hone_predict(model, prompts, &options, "/nowhere/at/all.jsonl", NULL, &error),
                     HONE_IO);
    hone_prompts_free(prompts);
}

#define TEST(name, set_up) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lines_hold_prediction_reference_and_prompt, set_up),
        TEST(lines_hold_prediction_reference_and_prompt, set_up_t5),
        TEST(several_texts_of_a_prompt_are_numbered_and_beams_have_scores, set_up),
        TEST(without_a_tokenizer_there_are_ids, set_up_without_tokenizer),
        TEST(lines_are_utf8, set_up),
        TEST(what_was_made_before_a_stop_is_kept_apart, set_up),
        TEST(a_place_that_cannot_be_written_is_an_error, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
