/* Generation: cached equals recomputed, together equals alone, ends, streams, and refusals. */
#include "base/parallel.h"
#include "infer_support.h"

#include <hone/generate.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST_TEXTS = 64, PROMPTS = 7, MOST_IDS = 80 };

static hone_model *model;
static hone_generate_settings settings;

static int set_up_with(const char *compute, bool with_tokenizer)
{
    hone_option_set set = hone_generate_option_set(&settings);
    model = tiny_model(compute, 11, with_tokenizer);
    return hone_options_init(&set, NULL) == HONE_OK ? 0 : -1;
}

static int set_up(void **state)
{
    (void)state;
    return set_up_with("f32", true);
}

static int set_up_bf16(void **state)
{
    (void)state;
    return set_up_with("bf16", true);
}

static int set_up_without_tokenizer(void **state)
{
    (void)state;
    return set_up_with("f32", false);
}

/* More rank than a product of few rows has rows. */
static int set_up_lora(void **state)
{
    (void)state;
    hone_option_set set = hone_generate_option_set(&settings);
    model = tiny_lora_model("19", 11);
    return hone_options_init(&set, NULL) == HONE_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    hone_option_set set = hone_generate_option_set(&settings);
    hone_options_deinit(&set);
    tiny_model_close(model);
    return 0;
}

static void set_stops(const char *text)
{
    hone_option_set set = hone_generate_option_set(&settings);
    assert_int_equal(hone_options_set_text(&set, 1, "stop", text, "stop", NULL), HONE_OK);
}

typedef struct text {
    int64_t prompt, sequence, count;
    int32_t ids[MOST_IDS];
    char text[256], streamed[256];
    size_t length, stream_length;
    hone_finish finish;
} text;

typedef struct result {
    text texts[MOST_TEXTS];
    int64_t count, sequences; /* sequences: num_return_sequences of the request */
    int64_t calls, stop_at;
} result;

static int stream(void *context, int64_t prompt, int64_t sequence, const char *bytes, size_t length)
{
    result *r = context;
    text *t = &r->texts[prompt * r->sequences + sequence];
    assert_true(t->stream_length + length < sizeof t->streamed);
    memcpy(t->streamed + t->stream_length, bytes, length);
    t->stream_length += length;
    return ++r->calls == r->stop_at;
}

static void finished(void *context, const hone_generated *made)
{
    result *r = context;
    text *t = &r->texts[r->count];
    assert_int_equal(made->prompt * r->sequences + made->sequence, r->count);
    assert_true(made->count <= MOST_IDS && made->length < sizeof t->text);
    t->prompt = made->prompt;
    t->sequence = made->sequence;
    t->count = made->count;
    memcpy(t->ids, made->ids, (size_t)made->count * sizeof *made->ids);
    t->length = made->length;
    if (made->text != NULL)
        memcpy(t->text, made->text, made->length + 1);
    t->finish = made->finish;
    r->count++;
}

static hone_status generate(const hone_prompt *prompts, int64_t count, result *r, hone_error *error)
{
    memset(r, 0, sizeof *r);
    r->sequences = settings.num_return_sequences;
    hone_generate_options options = {
        .settings = &settings, .seed = 3, .stream = stream, .finished = finished, .context = r};
    return hone_generate(model, prompts, count, &options, error);
}

static void must_generate(const hone_prompt *prompts, int64_t count, result *r)
{
    hone_error error = {0};
    if (generate(prompts, count, r, &error) != HONE_OK)
        fail_msg("%s", error.message);
    assert_int_equal(r->count, count * settings.num_return_sequences);
}

/* Prompts shorter and longer than a small product's rows, some of them the same. */
static const int64_t lengths[PROMPTS] = {1, 5, 29, 16, 17, 2, 23};

static void make_prompts(int32_t ids[PROMPTS][MOST_IDS], hone_prompt prompts[PROMPTS])
{
    for (int p = 0; p < PROMPTS; p++) {
        for (int i = 0; i < lengths[p]; i++)
            ids[p][i] = (p * 41 + i * i * 13 + i) % 256;
        prompts[p] = (hone_prompt){ids[p], lengths[p]};
    }
}

/* Every greedy choice is the best of a model that sees all of the text at once. */
static void cached_decoding_equals_recomputation(void **state)
{
    (void)state;
    int32_t ids[PROMPTS][MOST_IDS];
    hone_prompt prompts[PROMPTS];
    result *r = malloc(sizeof *r);
    float *logits = malloc(sizeof *logits * TINY_POSITIONS * TINY_VOCABULARY);
    float tolerance = model->compute == HONE_F32 ? 1e-4f : 0.25f;
    make_prompts(ids, prompts);
    settings.max_new_tokens = 24;
    must_generate(prompts, PROMPTS, r);
    int64_t checked = 0;
    for (int p = 0; p < PROMPTS; p++) {
        const text *t = &r->texts[p];
        memcpy(ids[p] + lengths[p], t->ids, (size_t)t->count * sizeof *t->ids);
        tiny_logits(model, ids[p], lengths[p] + t->count - 1, logits);
        for (int64_t i = 0; i < t->count; i++, checked++) {
            const float *row = logits + (lengths[p] + i - 1) * TINY_VOCABULARY;
            float best = row[0];
            for (int v = 1; v < TINY_VOCABULARY; v++)
                best = row[v] > best ? row[v] : best;
            if (row[t->ids[i]] < best - tolerance)
                fail_msg("prompt %d, token %lld: %g under %g", p, (long long)i,
                         (double)row[t->ids[i]], (double)best);
        }
    }
    assert_true(checked > 100);
    free(logits);
    free(r);
}

/* Sampled ids are the same whatever is decoded beside them, whatever the number of threads. */
static void together_equals_alone(void **state)
{
    (void)state;
    static const int64_t slots[] = {1, 2, 3, 8, 17, 64};
    int32_t ids[PROMPTS][MOST_IDS];
    hone_prompt prompts[PROMPTS];
    result *alone = malloc(PROMPTS * sizeof *alone), *r = malloc(sizeof *r);
    make_prompts(ids, prompts);
    settings.max_new_tokens = 19;
    settings.temperature = 1.0;
    settings.num_return_sequences = 3;
    settings.decode_batch_size = 1;
    for (int p = 0; p < PROMPTS; p++)
        must_generate(&prompts[p], 1, &alone[p]);
    for (size_t s = 0; s < sizeof slots / sizeof slots[0]; s++) {
        settings.decode_batch_size = slots[s];
        hone_parallel_set_threads(1 + (int)s % 3);
        must_generate(prompts, PROMPTS, r);
        for (int64_t i = 0; i < r->count; i++) {
            const text *one = &alone[i / 3].texts[i % 3], *many = &r->texts[i];
            assert_int_equal(many->count, one->count);
            assert_int_equal(many->finish, one->finish);
            assert_memory_equal(many->ids, one->ids, (size_t)one->count * sizeof *one->ids);
        }
    }
    hone_parallel_set_threads(0);
    /* And the texts of a prompt are not all the same. */
    assert_memory_not_equal(alone[1].texts[0].ids, alone[1].texts[1].ids, 8 * sizeof(int32_t));
    assert_memory_not_equal(alone[1].texts[1].ids, alone[1].texts[2].ids, 8 * sizeof(int32_t));
    free(alone);
    free(r);
}

static void the_seed_decides(void **state)
{
    (void)state;
    static const int32_t ids[] = {7, 8, 9};
    hone_prompt prompt = {ids, 3};
    result *a = calloc(1, sizeof *a), *b = calloc(1, sizeof *b);
    settings.temperature = 1.0;
    settings.max_new_tokens = 12;
    must_generate(&prompt, 1, a);
    must_generate(&prompt, 1, b);
    assert_memory_equal(a->texts[0].ids, b->texts[0].ids, sizeof a->texts[0].ids);
    memset(b, 0, sizeof *b);
    b->sequences = 1;
    hone_generate_options options = {
        .settings = &settings, .seed = 4, .finished = finished, .context = b};
    assert_int_equal(hone_generate(model, &prompt, 1, &options, NULL), HONE_OK);
    assert_memory_not_equal(a->texts[0].ids, b->texts[0].ids, 12 * sizeof(int32_t));
    free(a);
    free(b);
}

static void texts_are_what_the_ids_say_and_what_was_streamed(void **state)
{
    (void)state;
    int32_t ids[PROMPTS][MOST_IDS];
    hone_prompt prompts[PROMPTS];
    result *r = malloc(sizeof *r);
    make_prompts(ids, prompts);
    settings.max_new_tokens = 30;
    settings.temperature = 1.3;
    settings.num_return_sequences = 2;
    must_generate(prompts, PROMPTS, r);
    for (int64_t i = 0; i < r->count; i++) {
        const text *t = &r->texts[i];
        char expected[256];
        size_t length = 0;
        for (int64_t k = 0; k < t->count; k++)
            if (t->ids[k] < 256) /* the tokenizer knows no others */
                expected[length++] = (char)t->ids[k];
        assert_int_equal(t->length, length);
        assert_memory_equal(t->text, expected, length);
        assert_int_equal(t->stream_length, length);
        assert_memory_equal(t->streamed, expected, length);
    }
    free(r);
}

static void a_text_ends_before_its_stop_string(void **state)
{
    (void)state;
    static const int32_t ids[] = {72, 105};
    hone_prompt prompt = {ids, 2};
    result *free_run = malloc(sizeof *free_run), *r = malloc(sizeof *r);
    settings.max_new_tokens = 40;
    settings.temperature = 1.0;
    must_generate(&prompt, 1, free_run);
    const text *whole = &free_run->texts[0];
    /* A stop string of two bytes that can be written in an option's text. */
    size_t at = 3;
    while (at + 2 < whole->length &&
           !(whole->text[at] > 32 && whole->text[at] < 127 && whole->text[at + 1] > 32 &&
             whole->text[at + 1] < 127 && whole->text[at] != '[' && whole->text[at] != ','))
        at++;
    assert_true(at + 2 < whole->length);
    char stop[3] = {whole->text[at], whole->text[at + 1], '\0'};
    set_stops(stop);
    must_generate(&prompt, 1, r);
    assert_int_equal(r->texts[0].finish, HONE_FINISH_STOP);
    assert_string_equal(r->texts[0].text + at, "");
    assert_memory_equal(r->texts[0].text, whole->text, at);
    assert_int_equal(r->texts[0].stream_length, at);
    settings.min_new_tokens = 40; /* no text may end before */
    must_generate(&prompt, 1, r);
    assert_int_equal(r->texts[0].finish, HONE_FINISH_LENGTH);
    assert_int_equal(r->texts[0].count, 40);
    free(free_run);
    free(r);
}

/* With an end-of-text token as likely as can be, min_new_tokens decides the length. */
static void the_end_of_text_ends_it(void **state)
{
    (void)state;
    static const int32_t ids[] = {1, 2, 3};
    hone_prompt prompt = {ids, 3};
    result *r = malloc(sizeof *r);
    hone_weight *norm_bias = NULL;
    for (size_t i = 0; i < model->program.weight_count; i++)
        if (strcmp(model->program.weights[i].name, "transformer.ln_f.bias") == 0)
            norm_bias = &model->program.weights[i];
    assert_non_null(norm_bias);
    const hone_weight *tokens = &model->program.weights[0];
    for (int64_t c = 0; c < tokens->columns; c++) /* towards the token's own row */
        ((float *)norm_bias->data)[c] =
            100.0f * ((const float *)tokens->data)[TINY_EOS * tokens->columns + c];
    settings.max_new_tokens = 20;
    for (settings.min_new_tokens = 0; settings.min_new_tokens < 9; settings.min_new_tokens += 4) {
        must_generate(&prompt, 1, r);
        assert_int_equal(r->texts[0].count, settings.min_new_tokens);
        assert_int_equal(r->texts[0].finish, HONE_FINISH_EOS);
        for (int64_t i = 0; i < r->texts[0].count; i++)
            assert_int_not_equal(r->texts[0].ids[i], TINY_EOS);
    }
    free(r);
}

static void the_context_bounds_a_text(void **state)
{
    (void)state;
    int32_t ids[TINY_POSITIONS + 1];
    for (int i = 0; i <= TINY_POSITIONS; i++)
        ids[i] = i * 3 % 256;
    result *r = malloc(sizeof *r);
    settings.max_new_tokens = 70;
    settings.min_new_tokens = 70;
    for (int64_t length = TINY_POSITIONS - 3; length <= TINY_POSITIONS; length++) {
        hone_prompt prompt = {ids, length};
        must_generate(&prompt, 1, r);
        /* The last position's choice is the last token. */
        assert_int_equal(r->texts[0].count, TINY_POSITIONS - length + 1);
        assert_int_equal(r->texts[0].finish, HONE_FINISH_LENGTH);
    }
    hone_prompt longer = {ids, TINY_POSITIONS + 1};
    hone_error error = {0};
    assert_int_equal(generate(&longer, 1, r, &error), HONE_INPUT);
    assert_non_null(strstr(error.message, "62 tokens"));
    assert_non_null(strstr(error.message, "61 positions"));
    free(r);
}

static void an_empty_prompt_begins_with_the_end_of_text(void **state)
{
    (void)state;
    static const int32_t ids[] = {TINY_EOS};
    hone_prompt prompts[] = {{NULL, 0}, {ids, 1}};
    result *r = malloc(sizeof *r);
    settings.max_new_tokens = 9;
    settings.temperature = 1.0;
    must_generate(prompts, 2, r);
    assert_int_equal(r->texts[0].count, r->texts[1].count);
    assert_memory_equal(r->texts[0].ids, r->texts[1].ids, sizeof r->texts[0].ids);
    free(r);
}

static void without_a_tokenizer_there_are_ids_only(void **state)
{
    (void)state;
    static const int32_t ids[] = {1, 2};
    hone_prompt prompt = {ids, 2};
    hone_error error = {0};
    result *r = malloc(sizeof *r);
    settings.max_new_tokens = 5;
    must_generate(&prompt, 1, r);
    assert_int_equal(r->texts[0].count, 5);
    assert_int_equal(r->texts[0].length, 0);
    assert_int_equal(r->calls, 5);
    set_stops("x");
    assert_int_equal(generate(&prompt, 1, r, &error), HONE_USAGE);
    free(r);
}

static void the_caller_can_stop(void **state)
{
    (void)state;
    int32_t ids[PROMPTS][MOST_IDS];
    hone_prompt prompts[PROMPTS];
    make_prompts(ids, prompts);
    result *r = calloc(1, sizeof *r);
    r->sequences = 1;
    r->stop_at = 20;
    hone_error error = {0};
    hone_generate_options options = {
        .settings = &settings, .stream = stream, .finished = finished, .context = r};
    assert_int_equal(hone_generate(model, prompts, PROMPTS, &options, &error), HONE_STOPPED);
    assert_int_equal(r->calls, 20);
    free(r);
}

static void ids_outside_the_vocabulary_are_refused(void **state)
{
    (void)state;
    static const int32_t good[] = {1, 2}, high[] = {1, TINY_VOCABULARY}, low[] = {-1};
    hone_prompt prompts[2][2] = {{{good, 2}, {high, 2}}, {{low, 1}, {good, 2}}};
    static const char *const says[] = {"prompt 2: token 2 is 263", "prompt 1: token 1 is -1"};
    result *r = malloc(sizeof *r);
    for (int i = 0; i < 2; i++) {
        hone_error error = {0};
        assert_int_equal(generate(prompts[i], 2, r, &error), HONE_INPUT);
        assert_non_null(strstr(error.message, says[i]));
        assert_int_equal(r->count, 0);
    }
    free(r);
}

static void logits_that_are_no_numbers_end_it(void **state)
{
    (void)state;
    static const int32_t ids[] = {1, 2};
    hone_prompt prompt = {ids, 2};
    hone_error error = {0};
    result *r = malloc(sizeof *r);
    hone_weight *tokens = &model->program.weights[0];
    ((float *)tokens->data)[2 * tokens->columns] = NAN;
    assert_int_equal(generate(&prompt, 1, r, &error), HONE_NUMERIC);
    free(r);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(cached_decoding_equals_recomputation),
        cmocka_unit_test_setup_teardown(cached_decoding_equals_recomputation, set_up_lora,
                                        tear_down),
        cmocka_unit_test_setup_teardown(cached_decoding_equals_recomputation, set_up_bf16,
                                        tear_down),
        TEST(together_equals_alone),
        cmocka_unit_test_setup_teardown(together_equals_alone, set_up_lora, tear_down),
        cmocka_unit_test_setup_teardown(together_equals_alone, set_up_bf16, tear_down),
        TEST(the_seed_decides),
        TEST(texts_are_what_the_ids_say_and_what_was_streamed),
        TEST(a_text_ends_before_its_stop_string),
        TEST(the_end_of_text_ends_it),
        TEST(the_context_bounds_a_text),
        TEST(an_empty_prompt_begins_with_the_end_of_text),
        cmocka_unit_test_setup_teardown(without_a_tokenizer_there_are_ids_only,
                                        set_up_without_tokenizer, tear_down),
        TEST(the_caller_can_stop),
        TEST(ids_outside_the_vocabulary_are_refused),
        TEST(logits_that_are_no_numbers_end_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
