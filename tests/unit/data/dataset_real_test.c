/* Real text through the real tokenizer: what was read decodes to what was written. */
#include "data/dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *shared(const char *name)
{
    static char path[1024];
    const char *folder = getenv("HONE_SHARED");
    snprintf(path, sizeof path, "%s/%s", folder != NULL ? folder : "../shared", name);
    return path;
}

static void expect_text(const hone_tokenizer *tokenizer, const int32_t *ids, int64_t count,
                        const char *expected)
{
    char *text;
    size_t length;
    hone_error error;
    assert_int_equal(
        hone_tokenizer_decode(tokenizer, ids, (size_t)count, 0, &text, &length, &error), HONE_OK);
    assert_string_equal(text, expected);
    hone_tokenizer_free(text);
}

static void real_files_decode_to_their_text(void **state)
{
    (void)state;
    char text[] = "text", source[] = "source", target[] = "target";
    hone_data_settings settings = {
        .text_field = text, .prompt_field = source, .completion_field = target, .append_eos = true};
    hone_tokenizer *tokenizer;
    hone_dataset *dataset;
    hone_error error = {0};
    if (hone_tokenizer_open(shared("data/gpt2-bpe"), &tokenizer, &error) != HONE_OK) {
        print_message("skipped: no %s\n", shared("data/gpt2-bpe"));
        skip();
    }
    hone_dataset_options options = {
        .settings = &settings, .tokenizer = tokenizer, .vocabulary = 50257, .max_length = 1024};
    assert_int_equal(
        hone_dataset_open(shared("data/text/bible-kjv.jsonl.zst"), &options, &dataset, &error),
        HONE_OK);
    assert_int_equal(hone_dataset_size(dataset), 30856);
    hone_document document = hone_dataset_at(dataset, 2);
    assert_int_equal(document.line, 3);
    assert_ptr_equal(document.ids, document.labels);
    expect_text(tokenizer, document.ids, document.length,
                "And God said, Let there be light: and there was light.<|endoftext|>");
    hone_dataset_close(dataset);

    assert_int_equal(
        hone_dataset_open(shared("data/text/debian-en-de.jsonl.zst"), &options, &dataset, &error),
        HONE_OK);
    document = hone_dataset_at(dataset, 0);
    int64_t border = 0;
    while (document.labels[border] == HONE_NO_LABEL)
        border++;
    expect_text(tokenizer, document.ids, border, "Real-time strategy game of ancient warfare");
    expect_text(tokenizer, document.labels + border, document.length - border,
                "Echtzeit-Strategiespiel \xC3\xBC"
                "ber antike Kriegsf\xC3\xBChrung<|endoftext|>");
    hone_dataset_close(dataset);
    hone_tokenizer_close(tokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(real_files_decode_to_their_text)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
