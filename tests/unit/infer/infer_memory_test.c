/* Memory that runs out at any allocation of a generation or an evaluation is HONE_MEMORY and leaks
 * nothing; the same call succeeds afterwards. */
#include "infer_support.h"

#include <hone/evaluate.h>
#include <hone/generate.h>
#include <hone/memory.h>
#include <hone/predict.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What the hook has given out, and how many allocations it still allows. */
static struct {
    int64_t blocks, left;
} book;

static bool refused(void)
{
    return book.left-- <= 0;
}

static void *reallocate(void *context, void *block, size_t old_size, size_t new_size)
{
    (void)context, (void)old_size;
    if (new_size == 0) {
        book.blocks--;
        free(block);
        return NULL;
    }
    if (refused())
        return NULL;
    book.blocks += block == NULL;
    return realloc(block, new_size);
}

static void *map_pages(void *context, size_t size)
{
    (void)context;
    void *block =
        refused() ? NULL : aligned_alloc((size_t)2 << 20, (size + 0x1FFFFF) & ~0x1FFFFFul);
    if (block != NULL)
        memset(block, 0, size);
    book.blocks += block != NULL;
    return block;
}

static void unmap_pages(void *context, void *block, size_t size)
{
    (void)context, (void)size;
    book.blocks--;
    free(block);
}

typedef hone_status (*job)(hone_model *model, hone_error *error);

typedef hone_model *(*maker)(const char *compute, uint64_t seed);

static hone_model *tiny_gpt2(const char *compute, uint64_t seed)
{
    return tiny_model(compute, seed, true);
}

static void sweep(maker make, job run)
{
    hone_allocator allocator = {reallocate, map_pages, unmap_pages, NULL};
    hone_error error = {0};
    hone_model *model = make("f32", 2);
    tiny_file("generation_config.json", "{\"eos_token_id\": [7, 8, 9, 10, 256, 11, 12]}");
    assert_int_equal(run(model, &error), HONE_OK); /* what is made once and stays */
    int64_t failures = 0;
    for (hone_status status = HONE_MEMORY; status != HONE_OK; failures++) {
        book.blocks = 0;
        book.left = failures;
        hone_memory_set_allocator(&allocator);
        status = run(model, &error);
        hone_memory_set_allocator(NULL);
        assert_int_equal(book.blocks, 0);
        if (status != HONE_OK && status != HONE_MEMORY)
            fail_msg("allocation %lld: %s", (long long)failures, error.message);
    }
    assert_true(failures > 10);
    tiny_model_close(model);
}

static hone_status generate_with(hone_model *model, bool beams, hone_error *error)
{
    static const int32_t ids[] = {72, 101, 108, 108, 111};
    const hone_prompt prompts[] = {{ids, 5}, {ids, 2}, {ids + 1, 1}, {NULL, 0}};
    int64_t count = model->program.encoder_decoder ? 3 : 4;
    hone_generate_settings settings;
    hone_option_set set = hone_generate_option_set(&settings);
    HONE_TRY(hone_options_init(&set, error));
    settings.max_new_tokens = beams ? 4 : 20;
    settings.temperature = beams ? 0.0 : 1.0;
    settings.num_beams = beams ? 3 : 1;
    settings.num_return_sequences = 2;
    settings.no_repeat_ngram_size = 3;
    settings.decode_batch_size = 4;
    hone_generate_options options = {.settings = &settings};
    hone_status status = hone_options_set_text(&set, 1, "stop", "xyz,zzz", "stop", error);
    if (status == HONE_OK)
        status = hone_generate(model, prompts, count, &options, error);
    hone_options_deinit(&set);
    return status;
}

static hone_status generate_sequences(hone_model *model, hone_error *error)
{
    return generate_with(model, false, error);
}

static hone_status generate_beams(hone_model *model, hone_error *error)
{
    return generate_with(model, true, error);
}

/* Rows are read anew, as prompts that are kept with their references. */
static hone_status predict_some(hone_model *model, hone_error *error)
{
    static const char rows[] = "{\"prompt\": \"a\", \"completion\": \"b\"}\n{\"ids\": [1, 2]}\n"
                               "{\"source_ids\": [5], \"target_ids\": [6, 7]}\n";
    static char in[128], out[128];
    hone_generate_settings settings;
    hone_data_settings data;
    hone_option_set sets[] = {hone_generate_option_set(&settings), hone_data_option_set(&data)};
    hone_prompts *prompts = NULL;
    if (in[0] == '\0') {
        snprintf(in, sizeof in, "%s", tiny_file("prompts.jsonl", rows));
        snprintf(out, sizeof out, "%s", tiny_file("out.jsonl", ""));
    }
    HONE_TRY(hone_options_init(&sets[0], error));
    hone_status status = hone_options_init(&sets[1], error);
    if (status != HONE_OK) {
        hone_options_deinit(&sets[0]);
        return status;
    }
    settings.max_new_tokens = 3;
    const hone_predict_options options = {.settings = &settings};
    status = hone_prompts_create(model, &prompts, error);
    if (status == HONE_OK)
        hone_prompts_keep_rows(prompts);
    if (status == HONE_OK)
        status = hone_prompts_add_file(prompts, in, &data, 0, NULL, error);
    if (status == HONE_OK)
        status = hone_predict(model, prompts, &options, out, NULL, error);
    hone_prompts_free(prompts);
    hone_options_deinit(&sets[0]);
    hone_options_deinit(&sets[1]);
    return status;
}

static hone_status evaluate_some(hone_model *model, hone_error *error)
{
    static const char rows[] = "{\"ids\": [1, 2, 3]}\n{\"ids\": [4, 5, 6, 7]}\n";
    hone_data_settings settings;
    hone_option_set set = hone_data_option_set(&settings);
    static char path[128];
    if (path[0] == '\0')
        snprintf(path, sizeof path, "%s", tiny_file("rows.jsonl", rows));
    HONE_TRY(hone_options_init(&set, error));
    hone_evaluation result;
    hone_evaluate_options options = {.data = path, .settings = &settings, .batch_size = 1};
    hone_status status = hone_evaluate(model, &options, &result, error);
    hone_options_deinit(&set);
    return status;
}

static void generation_survives_every_refusal(void **state)
{
    (void)state;
    sweep(tiny_gpt2, generate_sequences);
    sweep(tiny_gpt2, generate_beams);
    sweep(tiny_t5_model, generate_beams);
}

static void prediction_survives_every_refusal(void **state)
{
    (void)state;
    sweep(tiny_gpt2, predict_some);
}

static void evaluation_survives_every_refusal(void **state)
{
    (void)state;
    sweep(tiny_gpt2, evaluate_some);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(generation_survives_every_refusal),
        cmocka_unit_test(prediction_survives_every_refusal),
        cmocka_unit_test(evaluation_survives_every_refusal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
