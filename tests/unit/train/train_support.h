/* What the tests of training share: a scratch folder, a tiny model, rows of ids, settings. */
#ifndef HONE_TESTS_TRAIN_SUPPORT_H
#define HONE_TESTS_TRAIN_SUPPORT_H

#include "base/failure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <hone/trainer.h>

/* A scratch folder for the whole program, as group setup and teardown. */
int make_scratch(void **state);
int remove_scratch(void **state);
/* "<scratch>/<name>"; good until eight more calls. */
const char *in_scratch(const char *format, ...) HONE_PRINTF(1, 2);

void write_text(const char *path, const char *text);
char *read_text(const char *path, size_t *size); /* fails the test when it can't; hone_free */
void assert_same_file(const char *a, const char *b);

/* A folder with only a config.json: two layers, 97 tokens, 29 positions, dropout 0.1. */
void write_model(const char *folder);
/* A model with random weights, of a folder with this config.json alone. */
hone_model *open_random_model(const char *config);
/* The 256 bytes as byte-level BPE spells them, and no merges: every byte is a token. */
void write_byte_tokenizer(const char *folder);
/* Rows of ids of 3 to 17 tokens; every third has only its end trained on. */
void write_rows(const char *path, int rows, int first);

/* Settings for the model and rows of the scratch folder ("model", "train.jsonl"), then "key=value"
 * for each further argument up to NULL. */
void init_settings(hone_run_settings *settings, const char *out, ...);
void set_option(hone_run_settings *settings, const char *key, const char *value);
void deinit_settings(hone_run_settings *settings);

/* Fails the test with the message of the error. */
#define assert_ok(expression)                                                                      \
    do {                                                                                           \
        hone_error assert_error;                                                                   \
        hone_error *error = &assert_error;                                                         \
        if ((expression) != HONE_OK)                                                               \
            fail_msg("%s", assert_error.message);                                                  \
    } while (0)

#endif
