/* Typed fields of a config.json: see config.h. */
#include "model/config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static hone_json *find_plain(hone_config config, const char *key)
{
    hone_json *value = hone_json_get(config.json, key);
    return value != NULL && hone_json_type_of(value) != HONE_JSON_NULL ? value : NULL;
}

static hone_json *find(hone_config config, const char *key)
{
    hone_json *value = find_plain(config, key);
    for (size_t i = 0; i < config.alias_count && value == NULL; i++)
        if (strcmp(config.aliases[i].key, key) == 0)
            value = find_plain(config, config.aliases[i].other);
    return value;
}

hone_status hone_config_check(hone_config config, hone_error *error)
{
    hone_json_type type = hone_json_type_of(config.json);
    if (type != HONE_JSON_OBJECT)
        return hone_fail_at(error, HONE_INPUT, config.path, -1, -1, "expected an object, found %s",
                            hone_json_type_name(type));
    for (size_t i = 0; i < config.alias_count; i++) {
        const hone_config_alias *alias = &config.aliases[i];
        const hone_json *one = find_plain(config, alias->key);
        const hone_json *two = find_plain(config, alias->other);
        int64_t a, b;
        bool same = hone_json_integer(one, &a) && hone_json_integer(two, &b) && a == b;
        if (one != NULL && two != NULL && !same)
            return hone_fail_at(error, HONE_INPUT, config.path, -1, -1,
                                "\"%s\" and \"%s\" are names of one thing and differ; leave one "
                                "of them out",
                                alias->key, alias->other);
    }
    return HONE_OK;
}

/* What Transformers writes, or wrote once, into the config.json of any family, and what changes
 * nothing here: facts about the folder, what a call returns, defaults of its generation. */
static const char *const common_keys[] = {"_attn_implementation_autoset",
                                          "_commit_hash",
                                          "_name_or_path",
                                          "architectures",
                                          "attn_implementation",
                                          "bad_words_ids",
                                          "begin_suppress_tokens",
                                          "bos_token_id",
                                          "chunk_size_feed_forward",
                                          "cross_attention_hidden_size",
                                          "decoder_start_token_id",
                                          "diversity_penalty",
                                          "do_sample",
                                          "dtype",
                                          "early_stopping",
                                          "encoder_no_repeat_ngram_size",
                                          "eos_token_id",
                                          "exponential_decay_length_penalty",
                                          "finetuning_task",
                                          "forced_bos_token_id",
                                          "forced_eos_token_id",
                                          "gradient_checkpointing",
                                          "id2label",
                                          "initializer_range",
                                          "is_decoder",
                                          "label2id",
                                          "length_penalty",
                                          "max_length",
                                          "min_length",
                                          "model_type",
                                          "no_repeat_ngram_size",
                                          "num_beam_groups",
                                          "num_beams",
                                          "num_return_sequences",
                                          "output_attentions",
                                          "output_hidden_states",
                                          "output_past",
                                          "output_scores",
                                          "pad_token_id",
                                          "prefix",
                                          "problem_type",
                                          "remove_invalid_values",
                                          "repetition_penalty",
                                          "return_dict",
                                          "return_dict_in_generate",
                                          "sep_token_id",
                                          "suppress_tokens",
                                          "task_specific_params",
                                          "temperature",
                                          "tf_legacy_loss",
                                          "tie_encoder_decoder",
                                          "tie_word_embeddings",
                                          "tokenizer_class",
                                          "top_k",
                                          "top_p",
                                          "torch_dtype",
                                          "torchscript",
                                          "transformers_version",
                                          "typical_p",
                                          "unk_token_id",
                                          "use_bfloat16",
                                          "use_cache"};

static bool is_common(const char *key)
{
    for (size_t i = 0; i < sizeof common_keys / sizeof common_keys[0]; i++)
        if (strcmp(common_keys[i], key) == 0)
            return true;
    return false;
}

static bool is_alias(hone_config config, const char *key)
{
    for (size_t i = 0; i < config.alias_count; i++)
        if (strcmp(config.aliases[i].other, key) == 0)
            return true;
    return false;
}

static bool is_known(const hone_config_keys *keys, const char *key)
{
    for (size_t i = 0; i < keys->field_count; i++)
        if (strcmp(keys->fields[i].key, key) == 0)
            return true;
    for (size_t i = 0; keys->others[i] != NULL; i++)
        if (strcmp(keys->others[i], key) == 0)
            return true;
    for (size_t i = 0; keys->refused[i] != NULL; i++)
        if (strcmp(keys->refused[i], key) == 0)
            return true;
    return false;
}

void hone_config_remark(hone_config config, const hone_config_keys *keys)
{
    enum { MOST_NAMED = 8 };
    char names[640] = "";
    size_t used = 0, unknown = 0;
    const char *key;
    hone_json *value;
    for (void *cursor = NULL; hone_json_next(config.json, &cursor, &key, &value);) {
        if (is_known(keys, key) || is_alias(config, key) || is_common(key))
            continue;
        if (++unknown <= MOST_NAMED)
            used += (size_t)snprintf(names + used, sizeof names - used, "%s\"%.60s\"",
                                     unknown > 1 ? ", " : "", key);
    }
    if (unknown > MOST_NAMED)
        snprintf(names + used, sizeof names - used, " and %zu more", unknown - MOST_NAMED);
    if (unknown > 0)
        hone_log(HONE_LOG_WARNING, "%.300s: ignored, since hone does not know %s: %s", config.path,
                 unknown > 1 ? "these keys" : "this key", names);
}

static hone_status wrong_type(hone_config config, const char *key, const char *expected,
                              const hone_json *found, hone_error *error)
{
    return hone_fail_at(error, HONE_INPUT, config.path, -1, -1, "\"%s\" must be %s, found %s", key,
                        expected, hone_json_type_name(hone_json_type_of(found)));
}

hone_status hone_config_integer(hone_config config, const char *key, int64_t absent, int64_t least,
                                int64_t most, int64_t *out, hone_error *error)
{
    const hone_json *value = find(config, key);
    if (value == NULL && absent == HONE_CONFIG_REQUIRED)
        return hone_fail_at(error, HONE_INPUT, config.path, -1, -1, "the key \"%s\" is missing",
                            key);
    *out = absent;
    if (value == NULL)
        return HONE_OK;
    if (!hone_json_integer(value, out))
        return wrong_type(config, key, "an integer", value, error);
    if (*out < least || *out > most)
        return hone_fail_at(error, HONE_INPUT, config.path, -1, -1,
                            "\"%s\" must be from %lld to %lld, found %lld", key, (long long)least,
                            (long long)most, (long long)*out);
    return HONE_OK;
}

hone_status hone_config_real(hone_config config, const char *key, double absent, double least,
                             double most, double *out, hone_error *error)
{
    const hone_json *value = find(config, key);
    *out = absent;
    if (value == NULL)
        return HONE_OK;
    if (!hone_json_real(value, out))
        return wrong_type(config, key, "a number", value, error);
    if (!(*out >= least && *out <= most))
        return hone_fail_at(error, HONE_INPUT, config.path, -1, -1,
                            "\"%s\" must be from %g to %g, found %g", key, least, most, *out);
    return HONE_OK;
}

hone_status hone_config_bool(hone_config config, const char *key, bool absent, bool *out,
                             hone_error *error)
{
    const hone_json *value = find(config, key);
    *out = absent;
    if (value != NULL && !hone_json_bool(value, out))
        return wrong_type(config, key, "true or false", value, error);
    return HONE_OK;
}

hone_status hone_config_text(hone_config config, const char *key, const char *absent,
                             const char **out, hone_error *error)
{
    const hone_json *value = find(config, key);
    *out = absent;
    if (value == NULL)
        return HONE_OK;
    *out = hone_json_string(value, NULL);
    return *out != NULL ? HONE_OK : wrong_type(config, key, "a string", value, error);
}

hone_status hone_config_refuse(hone_config config, const char *key, hone_error *error)
{
    const hone_json *value = find(config, key);
    bool flag = true;
    if (value == NULL || (hone_json_bool(value, &flag) && !flag))
        return HONE_OK;
    hone_json_type type = hone_json_type_of(value);
    if ((type == HONE_JSON_ARRAY || type == HONE_JSON_OBJECT) && hone_json_size(value) == 0)
        return HONE_OK;
    return hone_fail_at(error, HONE_INPUT, config.path, -1, -1,
                        "\"%s\" is set; hone does not support it and leaving it out would change "
                        "the results",
                        key);
}

void hone_config_note(hone_config_findings *findings, hone_config config, hone_status status)
{
    if (status == HONE_OK)
        return;
    if (findings->count++ == 0)
        hone_fail_at(findings->all, status, config.path, -1, -1, "%s", findings->one.message);
    else
        hone_error_append(findings->all, "\n  %s", findings->one.message);
}

static hone_status read_field(hone_config config, const hone_config_field *field, void *object,
                              hone_error *error)
{
    void *at = (char *)object + field->offset;
    int64_t absent = isnan(field->absent) ? HONE_CONFIG_REQUIRED : (int64_t)field->absent;
    switch (field->kind) {
    case HONE_CONFIG_INTEGER:
        return hone_config_integer(config, field->key, absent, (int64_t)field->least,
                                   (int64_t)field->most, at, error);
    case HONE_CONFIG_REAL:
        return hone_config_real(config, field->key, field->absent, field->least, field->most, at,
                                error);
    default: return hone_config_bool(config, field->key, field->absent != 0.0, at, error);
    }
}

void hone_config_read(hone_config config, const hone_config_keys *keys, void *object,
                      hone_config_findings *findings)
{
    for (size_t i = 0; keys->refused[i] != NULL; i++)
        hone_config_note(findings, config,
                         hone_config_refuse(config, keys->refused[i], &findings->one));
    for (size_t i = 0; i < keys->field_count; i++)
        hone_config_note(findings, config,
                         read_field(config, &keys->fields[i], object, &findings->one));
}

hone_status hone_config_activation(hone_config config, const char *key, const char *name,
                                   hone_activation *out, hone_error *error)
{
    static const struct {
        const char *name;
        hone_activation type;
    } known[] = {{"gelu_new", HONE_GELU_NEW}, {"gelu_pytorch_tanh", HONE_GELU_NEW},
                 {"gelu", HONE_GELU},         {"relu", HONE_RELU},
                 {"silu", HONE_SILU},         {"swish", HONE_SILU}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i].name, name) == 0) {
            *out = known[i].type;
            return HONE_OK;
        }
    return hone_fail_at(error, HONE_INPUT, config.path, -1, -1,
                        "\"%s\" is \"%s\"; supported are gelu_new, gelu_pytorch_tanh, gelu, "
                        "relu, silu and swish",
                        key, name);
}
