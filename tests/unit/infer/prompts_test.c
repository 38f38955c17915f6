/* Prompts of texts and files become the ids that training would have given their prompts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/files.h"
#include "base/memory.h"

#include <hone/prompts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char folder[64];
static hone_model *model, *t5;
static hone_data_settings settings;

static const char *in(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_text(const char *name, const char *text)
{
    assert_int_equal(hone_file_write(in(name), text, strlen(text), NULL), HONE_OK);
}

static void copy_file(const char *from, const char *name)
{
    char *text;
    size_t size;
    assert_int_equal(hone_file_load(from, 1 << 20, &text, &size, NULL), HONE_OK);
    assert_int_equal(hone_file_write(in(name), text, size, NULL), HONE_OK);
    hone_free(text);
}

/* Opens a random model with this configuration and the tokenizer of bytes. */
static int open_model(const char *config, hone_model **out)
{
    hone_model_settings model_settings;
    hone_option_set set = hone_model_option_set(&model_settings);
    hone_error error;
    write_text("config.json", config);
    assert_int_equal(hone_options_init(&set, NULL), HONE_OK);
    assert_int_equal(hone_options_set_text(&set, 1, "model", folder, "", NULL), HONE_OK);
    assert_int_equal(hone_options_set_text(&set, 1, "init", "random", "", NULL), HONE_OK);
    hone_status status = hone_model_open(&model_settings, NULL, out, &error);
    if (status != HONE_OK)
        print_error("%s: %s\n", error.file, error.message);
    hone_options_deinit(&set);
    return status != HONE_OK;
}

static int make_model(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/hone-prompts-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return 1;
    copy_file("tests/cli/data/bytes/vocab.json", "vocab.json");
    copy_file("tests/cli/data/bytes/merges.txt", "merges.txt");
    hone_option_set data = hone_data_option_set(&settings);
    assert_int_equal(hone_options_init(&data, NULL), HONE_OK);
    return open_model("{\"model_type\":\"gpt2\",\"n_embd\":6,\"n_head\":3,\"n_layer\":1,"
                      "\"vocab_size\":256,\"n_positions\":17}",
                      &model) ||
           open_model("{\"model_type\":\"t5\",\"d_model\":6,\"d_kv\":2,\"d_ff\":7,\"num_heads\":3,"
                      "\"num_layers\":1,\"vocab_size\":256,\"eos_token_id\":93,"
                      "\"decoder_start_token_id\":0}",
                      &t5);
}

static int remove_model(void **state)
{
    (void)state;
    hone_option_set data = hone_data_option_set(&settings);
    hone_options_deinit(&data);
    hone_model_close(model);
    hone_model_close(t5);
    return hone_folder_remove(folder, NULL) != HONE_OK;
}

static void set_template(const char *text)
{
    hone_option_set data = hone_data_option_set(&settings);
    assert_int_equal(hone_options_set_text(&data, 1, "prompt_template", text, "", NULL), HONE_OK);
}

/* The ids of one-byte tokens: printable ASCII from '!' on is 0, 1, 2 ...; a blank is 220. */
static void assert_prompt(const hone_prompts *prompts, int64_t index, const char *text)
{
    assert_true(index < hone_prompts_count(prompts));
    hone_prompt prompt = hone_prompts_get(prompts)[index];
    assert_int_equal(prompt.count, strlen(text));
    for (int64_t i = 0; i < prompt.count; i++)
        assert_int_equal(prompt.ids[i], text[i] == ' '    ? 220
                                        : text[i] == '\n' ? 198
                                                          : text[i] - '!');
}

static void texts_are_encoded_and_keep_their_order(void **state)
{
    (void)state;
    hone_prompts *prompts;
    assert_int_equal(hone_prompts_create(model, &prompts, NULL), HONE_OK);
    for (int i = 0; i < 100; i++) {
        char text[32];
        snprintf(text, sizeof text, "prompt %d", i);
        assert_int_equal(hone_prompts_add_text(prompts, i == 50 ? "" : text,
                                               i == 50 ? 0 : strlen(text), NULL, NULL),
                         HONE_OK);
    }
    assert_int_equal(hone_prompts_count(prompts), 100);
    assert_prompt(prompts, 0, "prompt 0");
    assert_prompt(prompts, 50, "");
    assert_prompt(prompts, 99, "prompt 99");
    hone_prompts_free(prompts);
}

static void a_template_does_the_same_to_texts_and_rows(void **state)
{
    (void)state;
    hone_prompts *prompts;
    hone_error error;
    set_template("Q: {prompt}\\nA:");
    write_text("rows.jsonl", "{\"prompt\":\"a \\\"b\\\"\"}\n");
    write_text("lines.txt", "a \"b\"\n");
    assert_int_equal(hone_prompts_create(model, &prompts, NULL), HONE_OK);
    assert_int_equal(hone_prompts_add_text(prompts, "a \"b\"", 5, &settings, &error), HONE_OK);
    assert_int_equal(hone_prompts_add_file(prompts, in("rows.jsonl"), &settings, 0, NULL, &error),
                     HONE_OK);
    assert_int_equal(hone_prompts_add_file(prompts, in("lines.txt"), &settings, 0, NULL, &error),
                     HONE_OK);
    for (int64_t i = 0; i < 3; i++)
        assert_prompt(prompts, i, "Q: a \"b\"\nA:");
    assert_int_equal(hone_prompts_add_text(prompts, "\xff", 1, &settings, &error), HONE_USAGE);
    hone_prompts_free(prompts);
    set_template("");
}

static void a_file_gives_prompts_texts_ids_and_lines(void **state)
{
    (void)state;
    hone_prompts *prompts;
    hone_error error;
    int64_t skipped;
    write_text("rows.jsonl", "{\"prompt\":\"p\",\"completion\":\"left out\"}\n"
                             "{\"prompt\":\"only\"}\n{\"text\":\"t\"}\n\n{\"ids\":[7,8,9]}");
    write_text("lines.txt", "first\n\nsecond line\r\n \t\r\nlast");
    assert_int_equal(hone_prompts_create(model, &prompts, NULL), HONE_OK);
    assert_int_equal(
        hone_prompts_add_file(prompts, in("rows.jsonl"), &settings, 0, &skipped, &error), HONE_OK);
    assert_int_equal(
        hone_prompts_add_file(prompts, in("lines.txt"), &settings, 0, &skipped, &error), HONE_OK);
    static const char *const expected[] = {"p", "only", "t", "()*", "first", "second line", "last"};
    assert_int_equal(hone_prompts_count(prompts), 7);
    for (int i = 0; i < 7; i++)
        assert_prompt(prompts, i, expected[i]);
    assert_int_equal(skipped, 0);
    hone_prompts_free(prompts);
}

static void a_limit_takes_the_first_rows(void **state)
{
    (void)state;
    hone_prompts *prompts;
    hone_error error;
    write_text("rows.jsonl", "{\"text\":\"a\"}\n{\"text\":\"b\"}\n{\"text\":\"c\"}\nbroken\n");
    assert_int_equal(hone_prompts_create(model, &prompts, NULL), HONE_OK);
    for (int limit = 3; limit > 0; limit--)
        assert_int_equal(
            hone_prompts_add_file(prompts, in("rows.jsonl"), &settings, limit, NULL, &error),
            HONE_OK);
    static const char *const expected[] = {"a", "b", "c", "a", "b", "a"};
    assert_int_equal(hone_prompts_count(prompts), 6);
    for (int i = 0; i < 6; i++)
        assert_prompt(prompts, i, expected[i]);
    hone_prompts_free(prompts);
}

static void assert_row(const hone_prompts *prompts, int64_t number, const char *prompt,
                       const char *reference)
{
    hone_prompt_row row = hone_prompts_row(prompts, number);
    assert_int_equal(row.prompt != NULL, prompt != NULL);
    assert_int_equal(row.reference != NULL, reference != NULL);
    assert_int_equal(row.prompt_length, prompt != NULL ? strlen(prompt) : 0);
    assert_int_equal(row.reference_length, reference != NULL ? strlen(reference) : 0);
    if (prompt != NULL)
        assert_memory_equal(row.prompt, prompt, row.prompt_length);
    if (reference != NULL)
        assert_memory_equal(row.reference, reference, row.reference_length);
}

/* From when it is asked for on: texts in their template, references, ids. */
static void rows_are_kept_when_asked_for(void **state)
{
    (void)state;
    hone_prompts *prompts;
    hone_error error;
    write_text("rows.jsonl", "{\"prompt\":\"p\",\"completion\":\"c\"}\n{\"prompt\":\"only\"}\n"
                             "{\"prompt\":\"\",\"completion\":\"\"}\n");
    write_text("ids.jsonl", "{\"source_ids\":[1,2],\"target_ids\":[3,4,5]}\n{\"ids\":[6]}\n");
    assert_int_equal(hone_prompts_create(model, &prompts, NULL), HONE_OK);
    assert_int_equal(hone_prompts_add_text(prompts, "before", 6, &settings, &error), HONE_OK);
    assert_row(prompts, 0, NULL, NULL);
    hone_prompts_keep_rows(prompts);
    assert_int_equal(hone_prompts_add_file(prompts, in("rows.jsonl"), &settings, 0, NULL, &error),
                     HONE_OK);
    assert_int_equal(hone_prompts_add_file(prompts, in("ids.jsonl"), &settings, 0, NULL, &error),
                     HONE_OK);
    set_template("Q: {prompt}");
    assert_int_equal(hone_prompts_add_text(prompts, "x", 1, &settings, &error), HONE_OK);
    set_template("");
    for (int i = 0; i < 100; i++) /* everything moves */
        assert_int_equal(hone_prompts_add_text(prompts, "more", 4, &settings, &error), HONE_OK);
    assert_row(prompts, 0, NULL, NULL);
    assert_row(prompts, 1, "p", "c");
    assert_row(prompts, 2, "only", NULL);
    assert_row(prompts, 3, "", "");
    assert_row(prompts, 4, NULL, NULL);
    hone_prompt_row ids = hone_prompts_row(prompts, 4);
    assert_int_equal(ids.reference_count, 3);
    assert_memory_equal(ids.reference_ids, ((const int32_t[]){3, 4, 5}), 3 * sizeof(int32_t));
    assert_row(prompts, 5, NULL, NULL);
    assert_int_equal(hone_prompts_row(prompts, 5).reference_count, 0);
    assert_row(prompts, 6, "Q: x", NULL);
    assert_row(prompts, 106, "more", NULL);
    assert_prompt(prompts, 0, "before");
    assert_prompt(prompts, 106, "more");
    hone_prompts_free(prompts);
}

static void a_bad_line_is_an_error_or_counted(void **state)
{
    (void)state;
    hone_prompts *prompts;
    hone_error error;
    int64_t skipped;
    hone_option_set data = hone_data_option_set(&settings);
    write_text("bad.jsonl", "{\"prompt\":\"a\"}\n{\"prompt\":1}\n{\n{\"prompt\":\"b\"}\n"
                            "{\"ids\":[256]}\n");
    assert_int_equal(hone_prompts_create(model, &prompts, NULL), HONE_OK);
    assert_int_equal(
        hone_prompts_add_file(prompts, in("bad.jsonl"), &settings, 0, &skipped, &error),
        HONE_INPUT);
    assert_int_equal(error.line, 2);
    hone_prompts_free(prompts);
    assert_int_equal(hone_prompts_create(model, &prompts, NULL), HONE_OK);
    assert_int_equal(hone_options_set_text(&data, 1, "on_bad_line", "skip", "", NULL), HONE_OK);
    assert_int_equal(
        hone_prompts_add_file(prompts, in("bad.jsonl"), &settings, 0, &skipped, &error), HONE_OK);
    assert_int_equal(skipped, 3);
    assert_int_equal(hone_prompts_count(prompts), 2);
    assert_prompt(prompts, 1, "b");
    assert_int_equal(
        hone_prompts_add_file(prompts, in("none.jsonl"), &settings, 0, &skipped, &error), HONE_IO);
    hone_prompts_free(prompts);
    assert_int_equal(hone_options_set_text(&data, 1, "on_bad_line", "error", "", NULL), HONE_OK);
}

/* The t5's eos is 93, which shows as '~'. */
static void sources_are_prompts_and_end_with_eos_for_an_encoder(void **state)
{
    (void)state;
    hone_prompts *prompts;
    hone_error error;
    write_text("rows.jsonl", "{\"source\":\"left\",\"target\":\"out\"}\n{\"source\":\"only\"}\n"
                             "{\"text\":\"t\",\"source\":\"wiki\"}\n{\"prompt\":\"p\"}\n"
                             "{\"source_ids\":[7,8,9],\"target_ids\":[5]}\n"
                             "{\"source_ids\":[7,93]}\n{\"prompt\":\"\"}");
    static const char *const expected[2][7] = {{"left", "only", "t", "p", "()*", "(~", ""},
                                               {"left~", "only~", "t~", "p~", "()*", "(~", "~"}};
    static const char *const cut[2][7] = {{"lef", "onl", "t", "p", "()*", "(~", ""},
                                          {"le~", "on~", "t~", "p~", "()*", "(~", "~"}};
    for (int encoder = 0; encoder < 2; encoder++) {
        for (int limit = 0; limit <= 3; limit += 3) {
            settings.max_source_length = limit;
            assert_int_equal(hone_prompts_create(encoder ? t5 : model, &prompts, NULL), HONE_OK);
            assert_int_equal(
                hone_prompts_add_file(prompts, in("rows.jsonl"), &settings, 0, NULL, &error),
                HONE_OK);
            assert_int_equal(hone_prompts_count(prompts), 7);
            for (int i = 0; i < 7; i++)
                assert_prompt(prompts, i, limit > 0 ? cut[encoder][i] : expected[encoder][i]);
            hone_prompts_free(prompts);
        }
    }
    settings.max_source_length = 0;
    set_template("to: {source}");
    assert_int_equal(hone_prompts_create(t5, &prompts, NULL), HONE_OK);
    assert_int_equal(hone_prompts_add_text(prompts, "a", 1, &settings, &error), HONE_OK);
    assert_int_equal(hone_prompts_add_text(prompts, "b", 1, NULL, &error), HONE_OK);
    settings.append_eos = false;
    assert_int_equal(hone_prompts_add_text(prompts, "c", 1, &settings, &error), HONE_OK);
    settings.append_eos = true;
    assert_prompt(prompts, 0, "to: a~");
    assert_prompt(prompts, 1, "b~");
    assert_prompt(prompts, 2, "to: c");
    hone_prompts_free(prompts);
    set_template("");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_encoded_and_keep_their_order),
        cmocka_unit_test(a_template_does_the_same_to_texts_and_rows),
        cmocka_unit_test(a_file_gives_prompts_texts_ids_and_lines),
        cmocka_unit_test(a_limit_takes_the_first_rows),
        cmocka_unit_test(rows_are_kept_when_asked_for),
        cmocka_unit_test(a_bad_line_is_an_error_or_counted),
        cmocka_unit_test(sources_are_prompts_and_end_with_eos_for_an_encoder),
    };
    return cmocka_run_group_tests(tests, make_model, remove_model);
}
