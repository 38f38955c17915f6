/* Begin and ends: see special_tokens.h. */
#include "infer/special_tokens.h"

#include "base/files.h"

enum { FILE_LIMIT = 1 << 20 };

bool hone_special_tokens_is_end(const hone_special_tokens *tokens, int32_t id)
{
    for (size_t i = 0; i < tokens->end_count; i++)
        if (tokens->ends[i] == id)
            return true;
    return false;
}

void hone_special_tokens_deinit(hone_special_tokens *tokens)
{
    hone_free(tokens->ends);
    *tokens = (hone_special_tokens){.begin = -1};
}

/* Ids that the model lacks can't be made: they end nothing. */
static hone_status add_end(const hone_model *model, hone_special_tokens *tokens, int64_t id,
                           hone_error *error)
{
    if (id < 0 || id >= model->program.vocabulary ||
        hone_special_tokens_is_end(tokens, (int32_t)id))
        return HONE_OK;
    if (!hone_array_reserve((void **)&tokens->ends, &tokens->end_capacity, tokens->end_count + 1,
                            sizeof *tokens->ends))
        return hone_fail_memory(error, "end tokens", tokens->end_count * sizeof *tokens->ends);
    tokens->ends[tokens->end_count++] = (int32_t)id;
    return HONE_OK;
}

/* Adds the eos_token_id of a configuration; *found when there is one. */
static hone_status add_ends(const hone_model *model, const hone_json *config, const char *path,
                            hone_special_tokens *tokens, bool *found, hone_error *error)
{
    const hone_json *value = hone_json_get(config, "eos_token_id");
    *found = value != NULL && hone_json_type_of(value) != HONE_JSON_NULL;
    if (!*found)
        return HONE_OK;
    bool list = hone_json_type_of(value) == HONE_JSON_ARRAY;
    size_t count = list ? hone_json_size(value) : 1;
    for (size_t i = 0; i < count; i++) {
        const hone_json *item = list ? hone_json_at(value, i) : value;
        int64_t id;
        if (!hone_json_integer(item, &id))
            return hone_fail_at(error, HONE_INPUT, path, -1, -1,
                                "\"eos_token_id\": expected a token's number or a list of them, "
                                "found %s",
                                hone_json_type_name(hone_json_type_of(item)));
        HONE_TRY(add_end(model, tokens, id, error));
    }
    return HONE_OK;
}

static hone_status add_generation_config(const hone_model *model, hone_special_tokens *tokens,
                                         bool *found, hone_error *error)
{
    hone_json *config = NULL;
    hone_status status = HONE_OK;
    char *path = hone_path_join(model->folder, "generation_config.json");
    *found = false;
    if (path == NULL)
        return hone_fail_memory(error, "path", 0);
    if (hone_file_exists(path)) {
        status = hone_json_load(path, FILE_LIMIT, &config, error);
        if (status == HONE_OK && hone_json_type_of(config) != HONE_JSON_OBJECT)
            status = hone_fail_at(error, HONE_INPUT, path, -1, -1, "expected an object, found %s",
                                  hone_json_type_name(hone_json_type_of(config)));
        if (status == HONE_OK)
            status = add_ends(model, config, path, tokens, found, error);
    }
    hone_json_free(config);
    hone_free(path);
    return status;
}

static hone_status find(const hone_model *model, hone_special_tokens *tokens, hone_error *error)
{
    const hone_tokenizer *tokenizer = model->tokenizer;
    int64_t begin = tokenizer != NULL ? hone_tokenizer_bos(tokenizer) : -1;
    bool found;
    if (tokenizer != NULL)
        HONE_TRY(add_end(model, tokens, hone_tokenizer_eos(tokenizer), error));
    HONE_TRY(add_generation_config(model, tokens, &found, error));
    if (!found)
        HONE_TRY(add_ends(model, model->config, "config.json", tokens, &found, error));
    if (begin < 0 && !hone_json_integer(hone_json_get(model->config, "bos_token_id"), &begin))
        begin = -1;
    if (begin >= 0 && begin < model->program.vocabulary)
        tokens->begin = (int32_t)begin;
    else
        tokens->begin = tokens->end_count > 0 ? tokens->ends[0] : -1;
    return HONE_OK;
}

hone_status hone_special_tokens_find(const hone_model *model, hone_special_tokens *out,
                                     hone_error *error)
{
    *out = (hone_special_tokens){.begin = -1};
    hone_status status = find(model, out, error);
    if (status != HONE_OK)
        hone_special_tokens_deinit(out);
    return status;
}
