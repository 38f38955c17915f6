/* See train_support.h. */
#include "train_support.h"

#include "../../support/byte_tokenizer.h"

#include "base/files.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char scratch[64];

int make_scratch(void **state)
{
    (void)state;
    /* In memory where there is such a place: these tests sync thousands of times. */
    bool memory = access("/dev/shm", W_OK) == 0;
    snprintf(scratch, sizeof scratch, "%s/hone-train-XXXXXX", memory ? "/dev/shm" : "/tmp");
    return mkdtemp(scratch) == NULL;
}

int remove_scratch(void **state)
{
    (void)state;
    return hone_folder_remove(scratch, NULL) != HONE_OK;
}

const char *in_scratch(const char *format, ...)
{
    static char paths[8][512];
    static int next;
    char *path = paths[next++ % 8];
    int used = snprintf(path, sizeof paths[0], "%s/", scratch);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(path + used, sizeof paths[0] - (size_t)used, format, arguments);
    va_end(arguments);
    return path;
}

void write_text(const char *path, const char *text)
{
    assert_ok(hone_file_write(path, text, strlen(text), error));
}

char *read_text(const char *path, size_t *size)
{
    char *text = NULL;
    size_t length = 0;
    assert_ok(hone_file_load(path, (size_t)1 << 28, &text, &length, error));
    if (size != NULL)
        *size = length;
    return text;
}

void assert_same_file(const char *a, const char *b)
{
    size_t one_size, two_size;
    char *one = read_text(a, &one_size), *two = read_text(b, &two_size);
    bool same = one_size == two_size && memcmp(one, two, one_size) == 0;
    hone_free(one);
    hone_free(two);
    if (!same)
        fail_msg("%s (%zu bytes) and %s (%zu bytes) differ", a, one_size, b, two_size);
}

void write_model(const char *folder)
{
    char path[600];
    assert_ok(hone_folder_make(folder, error));
    snprintf(path, sizeof path, "%s/config.json", folder);
    write_text(path, "{\"model_type\": \"gpt2\", \"n_embd\": 22, \"n_head\": 2, \"n_layer\": 2,"
                     " \"vocab_size\": 97, \"n_positions\": 29, \"resid_pdrop\": 0.1,"
                     " \"embd_pdrop\": 0.1, \"attn_pdrop\": 0.1, \"layer_norm_epsilon\": 1e-5,"
                     " \"activation_function\": \"gelu_new\", \"initializer_range\": 0.1}\n");
}

void write_rows(const char *path, int rows, int first)
{
    static char text[1 << 18];
    size_t used = 0;
    for (int row = first; row < first + rows; row++) {
        int length = 3 + row * 7 % 15;
        used += (size_t)sprintf(text + used, "{\"ids\": [");
        for (int i = 0; i < length; i++)
            used += (size_t)sprintf(text + used, "%s%d", i > 0 ? ", " : "",
                                    (row * 31 + i * (row % 5 + 3)) % 97);
        if (row % 3 == 0) {
            used += (size_t)sprintf(text + used, "], \"labels\": [");
            for (int i = 0; i < length; i++)
                used +=
                    (size_t)sprintf(text + used, "%s%d", i > 0 ? ", " : "",
                                    i < length / 2 ? -100 : (row * 31 + i * (row % 5 + 3)) % 97);
        }
        used += (size_t)sprintf(text + used, "]}\n");
    }
    write_text(path, text);
}

void set_option(hone_run_settings *settings, const char *key, const char *value)
{
    hone_option_set sets[HONE_RUN_SETS];
    hone_run_option_sets(settings, sets);
    assert_ok(hone_options_set_text(sets, HONE_RUN_SETS, key, value, "test", error));
}

void init_settings(hone_run_settings *settings, const char *out, ...)
{
    hone_option_set sets[HONE_RUN_SETS];
    hone_run_option_sets(settings, sets);
    for (int i = 0; i < HONE_RUN_SETS; i++)
        assert_ok(hone_options_init(&sets[i], error));
    set_option(settings, "model", in_scratch("model"));
    set_option(settings, "train", in_scratch("train.jsonl"));
    set_option(settings, "init", "random");
    if (out != NULL)
        set_option(settings, "out", out);
    va_list arguments;
    va_start(arguments, out);
    for (const char *pair; (pair = va_arg(arguments, const char *)) != NULL;) {
        char key[64];
        size_t length = strcspn(pair, "=");
        snprintf(key, sizeof key, "%.*s", (int)length, pair);
        set_option(settings, key, pair + length + 1);
    }
    va_end(arguments);
}

void deinit_settings(hone_run_settings *settings)
{
    hone_option_set sets[HONE_RUN_SETS];
    hone_run_option_sets(settings, sets);
    for (int i = 0; i < HONE_RUN_SETS; i++)
        hone_options_deinit(&sets[i]);
}

hone_model *open_random_model(const char *config)
{
    hone_model *model;
    hone_model_settings settings;
    hone_option_set set = hone_model_option_set(&settings);
    assert_ok(hone_folder_make(in_scratch("random"), error));
    write_text(in_scratch("random/config.json"), config);
    assert_ok(hone_options_init(&set, error));
    assert_ok(hone_options_set_text(&set, 1, "model", in_scratch("random"), "", error));
    assert_ok(hone_options_set_text(&set, 1, "init", "random", "", error));
    assert_ok(hone_model_open(&settings, NULL, &model, error));
    hone_options_deinit(&set);
    return model;
}

void write_byte_tokenizer(const char *folder)
{
    char text[BYTE_VOCABULARY], path[600];
    byte_vocabulary(text);
    snprintf(path, sizeof path, "%s/vocab.json", folder);
    write_text(path, text);
    snprintf(path, sizeof path, "%s/merges.txt", folder);
    write_text(path, NO_MERGES);
}
