/* Beam search and encoder-decoder models in hone_generate: with a cache as without one, together as
 * alone, the order of texts, ends, and what is refused. */
#include "base/parallel.h"
#include "infer/beam.h"
#include "infer/sampling.h"
#include "infer_support.h"

#include <hone/generate.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST_TEXTS = 128, PROMPTS = 7, MOST_IDS = 80 };

static hone_model *model;
static hone_generate_settings settings;

static int set_up_settings(hone_model *made)
{
    hone_option_set set = hone_generate_option_set(&settings);
    model = made;
    return hone_options_init(&set, NULL) == HONE_OK ? 0 : -1;
}

static int set_up(void **state)
{
    (void)state;
    return set_up_settings(tiny_model("f32", 11, true));
}

static int set_up_bf16(void **state)
{
    (void)state;
    return set_up_settings(tiny_model("bf16", 11, true));
}

static int set_up_t5(void **state)
{
    (void)state;
    return set_up_settings(tiny_t5_model("f32", 11));
}

static int set_up_t5_bf16(void **state)
{
    (void)state;
    return set_up_settings(tiny_t5_model("bf16", 11));
}

static int tear_down(void **state)
{
    (void)state;
    hone_option_set set = hone_generate_option_set(&settings);
    hone_options_deinit(&set);
    tiny_model_close(model);
    return 0;
}

static void set(const char *key, const char *value)
{
    hone_option_set options = hone_generate_option_set(&settings);
    assert_int_equal(hone_options_set_text(&options, 1, key, value, key, NULL), HONE_OK);
}

typedef struct text {
    int64_t prompt, sequence, count, calls;
    int32_t ids[MOST_IDS];
    char text[256], streamed[256];
    size_t length, stream_length;
    hone_finish finish;
    double score;
} text;

typedef struct result {
    text texts[MOST_TEXTS];
    int64_t count, sequences, calls, stop_at;
} result;

static int stream(void *context, int64_t prompt, int64_t sequence, const char *bytes, size_t length)
{
    result *r = context;
    text *t = &r->texts[prompt * r->sequences + sequence];
    assert_true(t->stream_length + length < sizeof t->streamed);
    memcpy(t->streamed + t->stream_length, bytes, length);
    t->stream_length += length;
    t->calls++;
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
    if (made->count > 0)
        memcpy(t->ids, made->ids, (size_t)made->count * sizeof *made->ids);
    t->length = made->length;
    memcpy(t->text, made->text, made->length + 1);
    t->finish = made->finish;
    t->score = made->score;
    r->count++;
}

static hone_status generate(const hone_prompt *prompts, int64_t count, result *r, hone_error *error)
{
    memset(r->texts, 0, sizeof r->texts);
    r->count = r->calls = 0;
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

/* Shorter and longer than a small product's rows. */
static const int64_t lengths[PROMPTS] = {1, 5, 29, 16, 17, 2, 23};

static void make_prompts(int32_t ids[PROMPTS][MOST_IDS], hone_prompt prompts[PROMPTS])
{
    for (int p = 0; p < PROMPTS; p++) {
        for (int i = 0; i < lengths[p]; i++)
            ids[p][i] = (p * 41 + i * i * 13 + i) % 256;
        prompts[p] = (hone_prompt){ids[p], lengths[p]};
    }
}

/* ---- the model without a cache ------------------------------------------------------------ */

static const int32_t *begin_of(const hone_prompt *prompt, int64_t *count)
{
    *count = model->program.encoder_decoder ? 1 : prompt->count;
    return model->program.encoder_decoder ? &model->program.decoder_start : prompt->ids;
}

/* The logits after `ids`, all computed again. */
static void last_logits(const hone_prompt *prompt, const int32_t *ids, int64_t count, float *out)
{
    float *all = malloc(sizeof *all * TINY_POSITIONS * TINY_VOCABULARY);
    bool t5 = model->program.encoder_decoder;
    tiny_logits_after(model, t5 ? prompt->ids : NULL, t5 ? prompt->count : 0, ids, count, all);
    memcpy(out, all + (count - 1) * TINY_VOCABULARY, TINY_VOCABULARY * sizeof *out);
    free(all);
}

static hone_beams search_alone(const hone_prompt *prompt, hone_early_stopping early)
{
    enum { MOST_WIDTH = 64 };
    int64_t count, width = 2 * settings.num_beams;
    const int32_t *begin = begin_of(prompt, &count);
    const hone_beam_rules rules = {settings.num_beams, settings.length_penalty, early,
                                   settings.max_new_tokens};
    hone_beam_candidate all[MOST_WIDTH * MOST_WIDTH];
    float logits[TINY_VOCABULARY];
    hone_beams b;
    assert_true(width <= MOST_WIDTH);
    assert_int_equal(hone_beams_create(&rules, begin, count, &b, NULL), HONE_OK);
    while (!b.done) {
        int64_t found = 0;
        for (int32_t i = 0; i < b.running_count; i++) {
            last_logits(prompt, b.running[i].ids, b.running[i].count, logits);
            assert_true(hone_beam_log_softmax(logits, TINY_VOCABULARY));
            found +=
                hone_beam_best(logits, TINY_VOCABULARY, i, b.running[i].score, width, all + found);
        }
        found = hone_beam_merge(all, found, width);
        for (int64_t i = 0; i < found; i++) {
            bool eos = all[i].token == TINY_EOS;
            all[i].ends = eos || b.made + 1 == settings.max_new_tokens;
            all[i].finish = eos ? HONE_FINISH_EOS : HONE_FINISH_LENGTH;
        }
        hone_beams_advance(&b, all, found);
    }
    return b;
}

/* What is found is what a model finds that sees whole texts anew: the cache follows the beams. */
static void a_search_equals_one_without_a_cache(void **state)
{
    (void)state;
    static const struct {
        int64_t beams;
        const char *early;
        double length_penalty;
    } cases[] = {{2, "false", 1.0}, {5, "true", 0.6}, {17, "never", 2.0}};
    int32_t ids[PROMPTS][MOST_IDS];
    hone_prompt prompts[PROMPTS];
    result *r = calloc(1, sizeof *r);
    make_prompts(ids, prompts);
    settings.max_new_tokens = 11;
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        settings.num_beams = settings.num_return_sequences = cases[c].beams;
        settings.length_penalty = cases[c].length_penalty;
        set("early_stopping", cases[c].early);
        must_generate(prompts, PROMPTS, r);
        for (int p = 0; p < PROMPTS; p++) {
            int64_t begun;
            begin_of(&prompts[p], &begun);
            hone_beams b = search_alone(&prompts[p], (hone_early_stopping)c);
            assert_int_equal(b.finished_count, cases[c].beams);
            for (int64_t i = 0; i < cases[c].beams; i++) {
                const text *found = &r->texts[p * cases[c].beams + i];
                const hone_beam *expected = &b.finished[i];
                assert_int_equal(found->count, expected->count - begun);
                assert_memory_equal(found->ids, expected->ids + begun,
                                    (size_t)found->count * sizeof *found->ids);
                assert_int_equal(found->finish, expected->finish);
                assert_true(fabs(found->score - (double)expected->score) < 1e-4);
            }
            hone_beams_free(&b);
        }
    }
    free(r);
}

/* Texts and scores are the same to the bit, whatever is decoded beside them. */
static void together_equals_alone(void **state)
{
    (void)state;
    static const int64_t batches[] = {1, 3, 8, 17, 64};
    static const int64_t beams[] = {1, 2, 4, 17};
    int32_t ids[PROMPTS][MOST_IDS];
    hone_prompt prompts[PROMPTS];
    result *alone = calloc(PROMPTS, sizeof *alone), *r = calloc(1, sizeof *r);
    make_prompts(ids, prompts);
    settings.max_new_tokens = 13;
    for (size_t b = 0; b < sizeof beams / sizeof beams[0]; b++) {
        settings.num_beams = beams[b];
        settings.temperature = beams[b] == 1 ? 1.0 : 0.0;
        settings.num_return_sequences = beams[b] > 2 || beams[b] == 1 ? 3 : 2;
        settings.decode_batch_size = 1;
        for (int p = 0; p < PROMPTS; p++)
            must_generate(&prompts[p], 1, &alone[p]);
        for (size_t s = 0; s < sizeof batches / sizeof batches[0]; s++) {
            settings.decode_batch_size = batches[s];
            hone_parallel_set_threads(1 + (int)s % 3);
            must_generate(prompts, PROMPTS, r);
            for (int64_t i = 0; i < r->count; i++) {
                const text *one = &alone[i / r->sequences].texts[i % r->sequences];
                const text *many = &r->texts[i];
                assert_int_equal(many->count, one->count);
                assert_int_equal(many->finish, one->finish);
                assert_memory_equal(many->ids, one->ids, (size_t)one->count * sizeof *one->ids);
                assert_memory_equal(&many->score, &one->score, sizeof one->score);
            }
        }
        hone_parallel_set_threads(0);
        /* And the texts of a prompt are not all the same. */
        assert_memory_not_equal(alone[1].texts[0].ids, alone[1].texts[1].ids,
                                sizeof alone[1].texts[0].ids);
    }
    free(alone);
    free(r);
}

/* ---- encoder-decoder models --------------------------------------------------------------- */

static void greedy_tokens_are_the_best_of_the_whole_model(void **state)
{
    (void)state;
    int32_t ids[PROMPTS][MOST_IDS], target[MOST_IDS];
    hone_prompt prompts[PROMPTS];
    float logits[TINY_VOCABULARY];
    result *r = calloc(1, sizeof *r);
    float tolerance = model->compute == HONE_F32 ? 1e-4f : 0.5f;
    int64_t checked = 0;
    make_prompts(ids, prompts);
    settings.max_new_tokens = 24;
    settings.num_return_sequences = 2; /* of one source */
    must_generate(prompts, PROMPTS, r);
    for (int p = 0; p < PROMPTS; p++) {
        const text *t = &r->texts[2 * p];
        assert_int_equal(t[1].count, t->count);
        assert_memory_equal(t[1].ids, t->ids, sizeof t->ids);
        target[0] = model->program.decoder_start;
        for (int64_t i = 0; i < t->count; i++, checked++) {
            last_logits(&prompts[p], target, i + 1, logits);
            assert_true(logits[t->ids[i]] >=
                        logits[hone_sampling_largest(logits, TINY_VOCABULARY)] - tolerance);
            target[i + 1] = t->ids[i];
        }
    }
    assert_true(checked > 100);
    free(r);
}

static void sources_decide_what_is_drawn(void **state)
{
    (void)state;
    int32_t ids[PROMPTS][MOST_IDS];
    hone_prompt prompts[PROMPTS];
    result *r = calloc(1, sizeof *r);
    make_prompts(ids, prompts);
    settings.max_new_tokens = 12;
    settings.temperature = 1.0;
    must_generate(prompts, PROMPTS, r);
    for (int p = 1; p < PROMPTS; p++)
        assert_memory_not_equal(r->texts[p].ids, r->texts[0].ids, sizeof r->texts[0].ids);
    free(r);
}

static void an_encoder_needs_a_source(void **state)
{
    (void)state;
    static const int32_t ids[] = {1};
    const hone_prompt prompts[] = {{ids, 1}, {NULL, 0}};
    hone_error error = {0};
    result *r = calloc(1, sizeof *r);
    assert_int_equal(generate(prompts, 2, r, &error), HONE_INPUT);
    assert_non_null(strstr(error.message, "prompt 2 is empty"));
    free(r);
}

/* ---- results ------------------------------------------------------------------------------ */

static void texts_come_best_first_and_whole(void **state)
{
    (void)state;
    int32_t ids[PROMPTS][MOST_IDS];
    hone_prompt prompts[PROMPTS];
    result *r = calloc(1, sizeof *r);
    make_prompts(ids, prompts);
    settings.max_new_tokens = 15;
    settings.num_beams = 4;
    settings.num_return_sequences = 3;
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
        assert_true(i % 3 == 0 || t->score <= t[-1].score);
        assert_true(t->score < 0.0);
        /* Once a step with nothing for the first, then all of it. */
        assert_true(i % 3 == 0 ? t->calls > 1 : t->calls == 1);
    }
    free(r);
}

static void the_caller_can_stop(void **state)
{
    (void)state;
    int32_t ids[PROMPTS][MOST_IDS];
    hone_prompt prompts[PROMPTS];
    result *r = calloc(1, sizeof *r);
    make_prompts(ids, prompts);
    settings.num_beams = 2;
    r->stop_at = 5;
    assert_int_equal(generate(prompts, PROMPTS, r, NULL), HONE_STOPPED);
    assert_int_equal(r->calls, 5);
    free(r);
}

/* Of the free run's best text two bytes become a stop string: no text goes beyond it. */
static void texts_end_before_a_stop_string(void **state)
{
    (void)state;
    static const int32_t ids[] = {72, 105};
    const hone_prompt prompt = {ids, 2};
    result *r = calloc(1, sizeof *r);
    char stop[3] = "";
    settings.max_new_tokens = 24;
    settings.num_beams = settings.num_return_sequences = 4;
    settings.length_penalty = 0.0; /* short texts are not worse */
    must_generate(&prompt, 1, r);
    for (size_t i = 2; i + 2 < r->texts[0].length && stop[0] == '\0'; i++)
        if (r->texts[0].text[i] > 64 && r->texts[0].text[i] < 91)
            stop[0] = r->texts[0].text[i];
    assert_true(stop[0] != '\0');
    set("stop", stop);
    must_generate(&prompt, 1, r);
    int64_t stopped = 0;
    for (int i = 0; i < 4; i++) {
        assert_null(strchr(r->texts[i].text, stop[0]));
        stopped += r->texts[i].finish == HONE_FINISH_STOP;
        if (r->texts[i].finish == HONE_FINISH_STOP)
            assert_int_equal(r->texts[i].ids[r->texts[i].count - 1], stop[0]);
    }
    assert_true(stopped > 0);
    settings.min_new_tokens = 24; /* no text may end before */
    must_generate(&prompt, 1, r);
    for (int i = 0; i < 4; i++)
        assert_int_equal(r->texts[i].count, 24);
    free(r);
}

static void the_context_bounds_a_search(void **state)
{
    (void)state;
    int32_t ids[TINY_POSITIONS];
    result *r = calloc(1, sizeof *r);
    for (int i = 0; i < TINY_POSITIONS; i++)
        ids[i] = i * 3 % 256;
    settings.max_new_tokens = settings.min_new_tokens = 70;
    settings.num_beams = 3;
    for (int64_t length = TINY_POSITIONS - 3; length <= TINY_POSITIONS; length++) {
        const hone_prompt prompt = {ids, length};
        must_generate(&prompt, 1, r);
        assert_int_equal(r->texts[0].count, TINY_POSITIONS - length + 1);
        assert_int_equal(r->texts[0].finish, HONE_FINISH_LENGTH);
    }
    free(r);
}

/* No run of tokens comes twice, in any way of decoding; the prompt's count. */
static void no_run_of_tokens_is_repeated(void **state)
{
    (void)state;
    int32_t ids[PROMPTS][MOST_IDS], whole[2 * MOST_IDS];
    hone_prompt prompts[PROMPTS];
    result *r = calloc(1, sizeof *r);
    make_prompts(ids, prompts);
    settings.max_new_tokens = 25;
    for (int way = 0; way < 9; way++) {
        int64_t size = 1 + way % 3;
        settings.no_repeat_ngram_size = size;
        settings.temperature = way / 3 == 1 ? 0.3 : 0.0;
        settings.num_beams = way / 3 == 2 ? 3 : 1;
        must_generate(prompts, PROMPTS, r);
        for (int p = 0; p < PROMPTS; p++) {
            const text *t = &r->texts[p];
            memcpy(whole, ids[p], (size_t)lengths[p] * sizeof *whole);
            memcpy(whole + lengths[p], t->ids, (size_t)t->count * sizeof *whole);
            for (int64_t i = lengths[p]; i < lengths[p] + t->count; i++)
                for (int64_t k = size - 1; k < i && i >= size - 1; k++)
                    assert_memory_not_equal(whole + i - (size - 1), whole + k - (size - 1),
                                            (size_t)size * sizeof *whole);
        }
    }
    free(r);
}

/* ---- ends --------------------------------------------------------------------------------- */

/* Every token but one ends a text: a list of generation_config.json goes before config.json, ids
 * that the model lacks are passed over. */
static void lists_of_end_tokens_are_honoured(void **state)
{
    (void)state;
    static const int32_t ids[] = {72, 105};
    const hone_prompt prompt = {ids, 2};
    result *r = calloc(1, sizeof *r), *free_run = calloc(1, sizeof *r);
    char config[128];
    for (int way = 0; way < 2; way++) {
        settings.max_new_tokens = 20;
        settings.num_beams = 1 + 2 * way;
        tiny_file("generation_config.json", "{\"eos_token_id\": null, \"max_length\": 3}");
        must_generate(&prompt, 1, free_run);
        const text *t = &free_run->texts[0];
        assert_int_equal(t->count, 20);
        snprintf(config, sizeof config, "{\"eos_token_id\": [100000, %d, %d, %d, -3]}", t->ids[7],
                 t->ids[3], t->ids[7]);
        tiny_file("generation_config.json", config);
        must_generate(&prompt, 1, r);
        assert_int_equal(r->texts[0].finish, HONE_FINISH_EOS);
        assert_in_range(r->texts[0].count, 0, way == 0 ? 3 : 20);
        for (int64_t i = 0; i < r->texts[0].count; i++)
            assert_true(r->texts[0].ids[i] != t->ids[7] && r->texts[0].ids[i] != t->ids[3]);
        settings.min_new_tokens = 20;
        must_generate(&prompt, 1, r);
        for (int64_t i = 0; i < 19; i++)
            assert_true(r->texts[0].ids[i] != t->ids[7] && r->texts[0].ids[i] != t->ids[3]);
        settings.min_new_tokens = 0;
    }
    free(free_run);
    free(r);
}

static void a_broken_generation_config_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"{", "generation_config.json"},
        {"[]", "an object"},
        {"{\"eos_token_id\": \"</s>\"}", "a string"},
        {"{\"eos_token_id\": [1, 2.5]}", "a list of them"},
        {"{\"eos_token_id\": {}}", "an object"},
        {"{\"eos_token_id\": true}", "true or false"},
    };
    static const int32_t ids[] = {1};
    const hone_prompt prompt = {ids, 1};
    result *r = calloc(1, sizeof *r);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        hone_error error = {0};
        char message[4096];
        tiny_file("generation_config.json", cases[i].text);
        assert_int_equal(generate(&prompt, 1, r, &error), HONE_INPUT);
        hone_error_format(&error, message, sizeof message);
        if (strstr(message, cases[i].says) == NULL)
            fail_msg("case %zu: %s", i, message);
    }
    free(r);
}

/* ---- refusals ----------------------------------------------------------------------------- */

static void settings_that_contradict_each_other_are_refused(void **state)
{
    (void)state;
    static const struct {
        int64_t beams, sequences;
        double temperature;
        const char *says;
    } cases[] = {
        {0, 1, 0.0, "at least 1"},
        {-1, 1, 0.0, "at least 1"},
        {2, 0, 0.0, "at least 1"},
        {4, 5, 0.0, "num_return_sequences 5 is more than num_beams 4"},
        {2, 1, 0.7, "does not sample"},
    };
    static const int32_t ids[] = {1};
    const hone_prompt prompt = {ids, 1};
    result *r = calloc(1, sizeof *r);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        hone_error error = {0};
        settings.num_beams = cases[i].beams;
        settings.num_return_sequences = cases[i].sequences;
        settings.temperature = cases[i].temperature;
        assert_int_equal(generate(&prompt, 1, r, &error), HONE_USAGE);
        if (strstr(error.message, cases[i].says) == NULL)
            fail_msg("case %zu: %s", i, error.message);
    }
    free(r);
}

static void logits_that_are_no_numbers_end_it(void **state)
{
    (void)state;
    static const int32_t ids[] = {1, 2};
    const hone_prompt prompt = {ids, 2};
    hone_error error = {0};
    result *r = calloc(1, sizeof *r);
    hone_weight *tokens = &model->program.weights[0];
    ((float *)tokens->data)[2 * tokens->columns] = NAN;
    settings.num_beams = 3;
    assert_int_equal(generate(&prompt, 1, r, &error), HONE_NUMERIC);
    free(r);
}

#define TEST(name, set_up) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_search_equals_one_without_a_cache, set_up),
        TEST(a_search_equals_one_without_a_cache, set_up_t5),
        TEST(together_equals_alone, set_up),
        TEST(together_equals_alone, set_up_bf16),
        TEST(together_equals_alone, set_up_t5),
        TEST(together_equals_alone, set_up_t5_bf16),
        TEST(greedy_tokens_are_the_best_of_the_whole_model, set_up_t5),
        TEST(greedy_tokens_are_the_best_of_the_whole_model, set_up_t5_bf16),
        TEST(sources_decide_what_is_drawn, set_up_t5),
        TEST(an_encoder_needs_a_source, set_up_t5),
        TEST(texts_come_best_first_and_whole, set_up),
        TEST(the_caller_can_stop, set_up),
        TEST(texts_end_before_a_stop_string, set_up),
        TEST(the_context_bounds_a_search, set_up),
        TEST(no_run_of_tokens_is_repeated, set_up),
        TEST(lists_of_end_tokens_are_honoured, set_up),
        TEST(a_broken_generation_config_is_refused, set_up),
        TEST(settings_that_contradict_each_other_are_refused, set_up),
        TEST(logits_that_are_no_numbers_end_it, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
