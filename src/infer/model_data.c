/* A model's data options: see model_data.h. */
#include "infer/model_data.h"

#include <stdio.h>
#include <string.h>

/* The id of T5's n-th sentinel: the text's one token, or -1. */
static hone_status find_sentinel(const hone_tokenizer *tokenizer, int32_t n, int32_t *id,
                                 hone_error *error)
{
    char text[32];
    int32_t *ids = NULL;
    size_t capacity = 0, count = 0;
    *id = -1;
    snprintf(text, sizeof text, "<extra_id_%d>", (int)n);
    hone_status status =
        hone_tokenizer_encode(tokenizer, text, strlen(text), &ids, &capacity, &count, error);
    if (status == HONE_OK && count == 1)
        *id = ids[0];
    hone_tokenizer_free(ids);
    return status;
}

/* <extra_id_0> and those below it, which count down. */
static hone_status find_sentinels(const hone_tokenizer *tokenizer, hone_dataset_options *out,
                                  hone_error *error)
{
    int32_t id;
    HONE_TRY(find_sentinel(tokenizer, 0, &out->first_sentinel, error));
    if (out->first_sentinel < 0)
        return HONE_OK;
    do {
        out->sentinel_count++;
        HONE_TRY(find_sentinel(tokenizer, out->sentinel_count, &id, error));
    } while (id >= 0 && id == out->first_sentinel - out->sentinel_count);
    return HONE_OK;
}

hone_status hone_model_data_options(const hone_model *model, const hone_data_settings *settings,
                                    hone_dataset_options *out, hone_error *error)
{
    const hone_program *program = &model->program;
    const struct {
        const char *name;
        int64_t length;
    } lengths[] = {{"max_length", settings->max_length},
                   {"max_source_length", settings->max_source_length},
                   {"max_target_length", settings->max_target_length}};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
        if (lengths[i].length > program->context_length)
            return hone_fail(error, HONE_USAGE, "%s is %lld, the model has %lld positions",
                             lengths[i].name, (long long)lengths[i].length,
                             (long long)program->context_length);
    *out = (hone_dataset_options){.settings = settings,
                                  .tokenizer = model->tokenizer,
                                  .vocabulary = program->vocabulary,
                                  .max_length = settings->max_length > 0 ? settings->max_length
                                                                         : program->usual_length,
                                  .encoder_decoder = program->encoder_decoder,
                                  .decoder_start = program->decoder_start,
                                  .first_sentinel = -1};
    if (program->encoder_decoder && model->tokenizer != NULL)
        return find_sentinels(model->tokenizer, out, error);
    return HONE_OK;
}
