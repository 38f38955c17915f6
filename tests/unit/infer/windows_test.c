/* Windows over long documents: what is counted, from how much context, and that a window measures
 * what the definition says. */
#include "infer/evaluate_internal.h"
#include "infer/text_size.h"
#include "infer/windows.h"
#include "infer_support.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void every_token_but_the_first_is_counted_once(void **state)
{
    (void)state;
    static const struct {
        int64_t length, window, stride, least_context;
    } cases[] = {{1, 7, 3, 0},  {7, 7, 3, 0},    {8, 7, 3, 4},  {23, 7, 3, 4},
                 {23, 7, 1, 6}, {100, 13, 5, 8}, {23, 0, 3, 0}, {29, 7, 6, 1}};
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        int64_t next = 1, length = cases[c].length;
        hone_window w = hone_window_first(length, cases[c].window);
        for (;; w = hone_window_next(w, length, cases[c].window, cases[c].stride)) {
            assert_int_equal(w.counted, next);
            assert_true(w.begin == 0 || w.counted - w.begin >= cases[c].least_context);
            assert_true(cases[c].window == 0 || w.end - w.begin <= cases[c].window);
            next = w.end > next ? w.end : next;
            if (w.last)
                break;
        }
        assert_int_equal(w.end, length);
    }
}

/* A window's first token has nothing before it. */
static void blocks_leave_their_first_tokens_out(void **state)
{
    (void)state;
    hone_window w = hone_window_first(10, 4);
    w = hone_window_next(w, 10, 4, 4);
    assert_int_equal(w.begin, 4);
    assert_int_equal(w.counted, 5);
}

enum { LENGTH = 40, WINDOW = 11, STRIDE = 4 };

static void windows_measure_what_they_are_defined_to(void **state)
{
    (void)state;
    hone_model *model = tiny_model("f32", 3, false);
    hone_data_settings settings;
    hone_option_set set = hone_data_option_set(&settings);
    assert_int_equal(hone_options_init(&set, NULL), HONE_OK);
    int32_t ids[LENGTH];
    char text[1024] = "{\"ids\": [";
    for (int i = 0; i < LENGTH; i++) {
        ids[i] = i * i * 5 % TINY_VOCABULARY;
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%d", i > 0 ? ", " : "",
                 ids[i]);
    }
    strcat(text, "]}\n");
    hone_evaluate_options options = {.data = tiny_file("long.jsonl", text),
                                     .settings = &settings,
                                     .batch_size = 2,
                                     .window = WINDOW,
                                     .stride = STRIDE};
    hone_evaluation found;
    assert_int_equal(hone_evaluate(model, &options, &found, NULL), HONE_OK);
    double sum = 0.0;
    float logprobs[WINDOW];
    for (int at = 1; at < LENGTH; at++) {
        /* The window that counts `at` is the first that reaches it. */
        int begin = at < WINDOW ? 0 : (at - WINDOW) / STRIDE * STRIDE + STRIDE;
        tiny_logprobs(model, ids + begin, at - begin + 1, logprobs);
        sum -= (double)logprobs[at - begin];
    }
    assert_int_equal(found.tokens, LENGTH - 1);
    assert_true(fabs(found.loss - sum / (LENGTH - 1)) < 1e-6);
    options.stride = WINDOW + 1;
    assert_int_equal(hone_evaluate(model, &options, &found, NULL), HONE_USAGE);
    hone_options_deinit(&set);
    tiny_model_close(model);
}

static void words_and_bytes_are_those_of_the_text(void **state)
{
    (void)state;
    hone_model *model = tiny_model("f32", 3, true);
    hone_text_size size = {0};
    int32_t *ids = NULL;
    size_t capacity = 0, count = 0;
    static const char text[] = " two\twords\n";
    const hone_tokenizer *tokenizer = hone_model_tokenizer(model);
    assert_int_equal(
        hone_tokenizer_encode(tokenizer, text, strlen(text), &ids, &capacity, &count, NULL),
        HONE_OK);
    ids[0] = TINY_VOCABULARY - 1; /* the first space: no id of the tokenizer, so no text */
    assert_int_equal(hone_text_size_add(&size, tokenizer, ids, (int64_t)count, NULL), HONE_OK);
    assert_int_equal(size.bytes, strlen(text) - 1);
    assert_int_equal(size.words, 2);
    hone_tokenizer_free(ids);
    tiny_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_token_but_the_first_is_counted_once),
        cmocka_unit_test(blocks_leave_their_first_tokens_out),
        cmocka_unit_test(windows_measure_what_they_are_defined_to),
        cmocka_unit_test(words_and_bytes_are_those_of_the_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
