/* See infer_support.h. */
#include "infer_support.h"

#include "base/files.h"
#include "data/dataset.h"
#include "graph/executor.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64], path[128];

static void require(hone_status status, const hone_error *error)
{
    if (status != HONE_OK) {
        char text[4096];
        hone_error_format(error, text, sizeof text);
        fprintf(stderr, "test support: %s\n", text);
        exit(99);
    }
}

const char *tiny_file(const char *name, const char *content)
{
    hone_error error = {0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    require(hone_file_write(path, content, strlen(content), &error), &error);
    return path;
}

/* GPT-2's spelling of a byte: itself where it can be seen, else a character from U+0100 on. */
static int spell(int byte, int *next, char out[8])
{
    int shown = (byte > 32 && byte < 127) || (byte > 160 && byte != 173);
    int code = shown ? byte : 256 + (*next)++;
    if (code < 128)
        return snprintf(out, 8, "%s%c", code == '"' || code == '\\' ? "\\" : "", code);
    return snprintf(out, 8, "%c%c", 0xC0 | code >> 6, 0x80 | (code & 0x3F));
}

static void write_tokenizer(void)
{
    char text[8192] = "{", spelling[8];
    size_t used = 1;
    int next = 0;
    for (int byte = 0; byte < 256; byte++) {
        spell(byte, &next, spelling);
        used += (size_t)snprintf(text + used, sizeof text - used, "\"%s\": %d, ", spelling, byte);
    }
    snprintf(text + used, sizeof text - used, "\"<|endoftext|>\": %d}", TINY_EOS);
    tiny_file("vocab.json", text);
    tiny_file("merges.txt", "#version: 0.2\n");
}

/* Large weights, so that the tokens are not all as likely. */
static void write_gpt2_config(void)
{
    char config[512];
    snprintf(config, sizeof config,
             "{\"model_type\": \"gpt2\", \"n_embd\": 26, \"n_head\": 2, \"n_layer\": 3,"
             " \"n_positions\": %d, \"vocab_size\": %d, \"initializer_range\": 0.4,"
             " \"eos_token_id\": %d, \"bos_token_id\": %d}",
             TINY_POSITIONS, TINY_VOCABULARY, TINY_EOS, TINY_EOS);
    tiny_file("config.json", config);
}

static void write_t5_config(void)
{
    char config[512];
    snprintf(
        config, sizeof config,
        "{\"model_type\": \"t5\", \"d_model\": 26, \"d_kv\": 7, \"num_heads\": 3, \"d_ff\": 37,"
        " \"num_layers\": 2, \"vocab_size\": %d, \"relative_attention_num_buckets\": 8,"
        " \"relative_attention_max_distance\": 11, \"decoder_start_token_id\": 5,"
        " \"pad_token_id\": 5, \"tie_word_embeddings\": false, \"eos_token_id\": %d,"
        " \"feed_forward_proj\": \"gated-gelu\", \"initializer_factor\": 1.7}",
        TINY_VOCABULARY, TINY_EOS);
    tiny_file("config.json", config);
}

static hone_model *make_model(void (*write_config)(void), const char *compute, uint64_t seed,
                              bool with_tokenizer, const hone_adapter_settings *training)
{
    hone_error error = {0};
    hone_model *model;
    hone_model_settings settings;
    hone_option_set set = hone_model_option_set(&settings);
    snprintf(folder, sizeof folder, "/tmp/hone-infer-XXXXXX");
    if (mkdtemp(folder) == NULL)
        require(hone_fail(&error, HONE_IO, "mkdtemp"), &error);
    write_config();
    if (with_tokenizer)
        write_tokenizer();
    require(hone_options_init(&set, &error), &error);
    require(hone_options_set_text(&set, 1, "model", folder, "model", &error), &error);
    require(hone_options_set_text(&set, 1, "init", "random", "init", &error), &error);
    require(hone_options_set_text(&set, 1, "compute", compute, "compute", &error), &error);
    settings.seed = (int64_t)seed;
    require(hone_model_open(&settings, training, &model, &error), &error);
    hone_options_deinit(&set);
    return model;
}

hone_model *tiny_model(const char *compute, uint64_t seed, bool with_tokenizer)
{
    return make_model(write_gpt2_config, compute, seed, with_tokenizer, NULL);
}

hone_model *tiny_t5_model(const char *compute, uint64_t seed)
{
    return make_model(write_t5_config, compute, seed, true, NULL);
}

hone_model *tiny_lora_model(const char *rank, uint64_t seed)
{
    hone_error error = {0};
    hone_adapter_settings training;
    hone_option_set set = hone_adapter_option_set(&training);
    const char *const values[][2] = {
        {"r", rank}, {"target_modules", "all-linear"}, {"init_lora_weights", "false"}};
    require(hone_options_init(&set, &error), &error);
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        require(hone_options_set_text(&set, 1, values[i][0], values[i][1], values[i][0], &error),
                &error);
    hone_model *model = make_model(write_gpt2_config, "f32", seed, true, &training);
    hone_options_deinit(&set);
    return model;
}

void tiny_model_close(hone_model *model)
{
    hone_error error = {0};
    hone_model_close(model);
    require(hone_folder_remove(folder, &error), &error);
}

/* One run of a plan of its own. */
static void run_alone(const hone_model *model, const hone_batch *batch, hone_head_request head)
{
    hone_error error = {0};
    hone_plan plan;
    hone_executor executor;
    hone_plan_options options = {
        .rows = batch->target.rows, .source_rows = batch->source.rows, .compute = model->compute};
    require(hone_plan_create(&model->program, &options, &plan, &error), &error);
    require(hone_executor_create(&plan, &executor, &error), &error);
    hone_execution execution = {.batch = batch, .head = head};
    hone_executor_run(&executor, &execution);
    hone_executor_free(&executor);
    hone_plan_free(&plan);
}

void tiny_logprobs(const hone_model *model, const int32_t *ids, int64_t count, float *logprobs)
{
    hone_error error = {0};
    hone_packer *packer;
    float rows[TINY_POSITIONS];
    hone_document document = {.ids = ids, .labels = ids, .length = count};
    require(hone_packer_create(&packer, &error), &error);
    require(hone_packer_add(packer, document, &error), &error);
    hone_batch batch = hone_packer_batch(packer);
    run_alone(model, &batch, (hone_head_request){.logprobs = rows});
    logprobs[0] = NAN;
    for (int64_t i = 1; i < count; i++)
        logprobs[i] = rows[i - 1];
    hone_packer_free(packer);
}

void tiny_logits(const hone_model *model, const int32_t *ids, int64_t count, float *logits)
{
    tiny_logits_after(model, NULL, 0, ids, count, logits);
}

void tiny_logits_after(const hone_model *model, const int32_t *source, int64_t source_count,
                       const int32_t *ids, int64_t count, float *logits)
{
    int32_t numbers[TINY_POSITIONS];
    int64_t starts[] = {0, count}, source_starts[] = {0, source_count};
    for (int32_t i = 0; i < TINY_POSITIONS; i++)
        numbers[i] = i;
    hone_batch batch = {
        .segments = 1,
        .target = {.rows = count, .ids = ids, .positions = numbers, .starts = starts},
        .source = {
            .rows = source_count, .ids = source, .positions = numbers, .starts = source_starts}};
    run_alone(model, &batch,
              (hone_head_request){.logit_rows = numbers, .logit_count = count, .logits = logits});
}
