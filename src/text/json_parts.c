/* Reading the members of tokenizer.json that all models share: see json_parts.h. */
#include "text/json_parts.h"

#include <string.h>

const char *hone_json_part_name(const hone_json *value)
{
    return value == NULL ? "nothing" : hone_json_type_name(hone_json_type_of(value));
}

bool hone_json_part_null(const hone_json *value)
{
    return value == NULL || hone_json_type_of(value) == HONE_JSON_NULL;
}

hone_status hone_json_part_expect(const hone_json *value, hone_json_type type, const char *what,
                                  const char *file, hone_error *error)
{
    if (value != NULL && hone_json_type_of(value) == type)
        return HONE_OK;
    return hone_fail_at(error, HONE_INPUT, file, -1, -1, "%s: expected %s, found %s", what,
                        hone_json_type_name(type), hone_json_part_name(value));
}

hone_status hone_json_part_flag(const hone_json *object, const char *key, bool *flag,
                                const char *file, hone_error *error)
{
    const hone_json *value = hone_json_get(object, key);
    if (hone_json_part_null(value))
        return HONE_OK;
    HONE_TRY(hone_json_part_expect(value, HONE_JSON_BOOL, key, file, error));
    hone_json_bool(value, flag);
    return HONE_OK;
}

hone_status hone_json_part_type(const hone_json *component, const char *what, const char **type,
                                const char *file, hone_error *error)
{
    HONE_TRY(hone_json_part_expect(component, HONE_JSON_OBJECT, what, file, error));
    const hone_json *value = hone_json_get(component, "type");
    *type = value != NULL ? hone_json_string(value, NULL) : NULL;
    if (*type == NULL)
        return hone_fail_at(error, HONE_INPUT, file, -1, -1,
                            "%s: expected a member 'type' with a string, found %s", what,
                            hone_json_part_name(value));
    return HONE_OK;
}

hone_status hone_json_part_unsupported(const char *what, const char *found, const char *expected,
                                       const char *file, hone_error *error)
{
    return hone_fail_at(error, HONE_INPUT, file, -1, -1, "%s '%s' is not supported: expected %s",
                        what, found, expected);
}

hone_status hone_json_part_string(const hone_json *object, const char *key, const char **text,
                                  size_t *length, const char *file, hone_error *error)
{
    const hone_json *value = hone_json_get(object, key);
    HONE_TRY(hone_json_part_expect(value, HONE_JSON_STRING, key, file, error));
    *text = hone_json_string(value, length);
    return HONE_OK;
}

hone_status hone_json_parts_open(hone_json_parts *parts, const hone_json *component,
                                 const char *what, const char *key, const char *file,
                                 hone_error *error)
{
    const char *type;
    *parts = (hone_json_parts){.single = component, .count = 1};
    if (hone_json_part_null(component)) {
        parts->count = 0;
        return HONE_OK;
    }
    HONE_TRY(hone_json_part_type(component, what, &type, file, error));
    if (strcmp(type, "Sequence") != 0)
        return HONE_OK;
    parts->list = hone_json_get(component, key);
    HONE_TRY(hone_json_part_expect(parts->list, HONE_JSON_ARRAY, key, file, error));
    parts->count = hone_json_size(parts->list);
    return HONE_OK;
}

const hone_json *hone_json_parts_at(const hone_json_parts *parts, size_t index)
{
    return parts->list != NULL ? hone_json_at(parts->list, index) : parts->single;
}

/* Ids of a special token that a template names. */
static hone_status read_template_token(const hone_json *post_processor, const hone_json *piece,
                                       int32_t *id, const char *file, hone_error *error)
{
    const char *name = hone_json_string(hone_json_get(piece, "id"), NULL);
    const hone_json *tokens = hone_json_get(post_processor, "special_tokens");
    const hone_json *ids = name != NULL ? hone_json_get(hone_json_get(tokens, name), "ids") : NULL;
    int64_t value;
    if (hone_json_size(ids) != 1 || !hone_json_integer(hone_json_at(ids, 0), &value))
        return hone_fail_at(error, HONE_INPUT, file, -1, -1,
                            "post_processor: special token '%s' has not one id in special_tokens",
                            name != NULL ? name : "");
    if (value < 0 || value >= INT32_MAX)
        return hone_fail_at(error, HONE_INPUT, file, -1, -1,
                            "post_processor: special token '%s' has id %lld, which no token has",
                            name, (long long)value);
    *id = (int32_t)value;
    return HONE_OK;
}

/* A template "[token] text [token]"; anything else can't be expressed by bos and eos. */
static hone_status read_template(hone_tokenizer_load *load, const hone_json *component,
                                 const char *file, hone_error *error)
{
    const hone_json *single = hone_json_get(component, "single");
    HONE_TRY(hone_json_part_expect(single, HONE_JSON_ARRAY, "post_processor: single", file, error));
    size_t texts = 0;
    for (size_t i = 0; i < hone_json_size(single); i++) {
        const hone_json *piece = hone_json_at(single, i);
        HONE_TRY(
            hone_json_part_expect(piece, HONE_JSON_OBJECT, "post_processor: single", file, error));
        const hone_json *special = hone_json_get(piece, "SpecialToken");
        if (special == NULL) {
            texts += hone_json_get(piece, "Sequence") != NULL;
            continue;
        }
        HONE_TRY(hone_json_part_expect(special, HONE_JSON_OBJECT, "SpecialToken", file, error));
        int32_t *id = texts == 0 ? &load->first : &load->last;
        if (*id >= 0)
            return hone_json_part_unsupported("post_processor", "TemplateProcessing",
                                              "at most one token before and one after the text",
                                              file, error);
        HONE_TRY(read_template_token(component, special, id, file, error));
    }
    if (texts != 1)
        return hone_fail_at(error, HONE_INPUT, file, -1, -1,
                            "post_processor: single: expected one Sequence, found %zu", texts);
    return HONE_OK;
}

hone_status hone_tokenizer_read_post_processor(hone_tokenizer_load *load,
                                               const hone_json *component, const char *file,
                                               hone_error *error)
{
    hone_json_parts parts;
    HONE_TRY(hone_json_parts_open(&parts, component, "post_processor", "processors", file, error));
    for (size_t i = 0; i < parts.count; i++) {
        const char *type;
        const hone_json *part = hone_json_parts_at(&parts, i);
        HONE_TRY(hone_json_part_type(part, "post_processor", &type, file, error));
        if (strcmp(type, "TemplateProcessing") == 0)
            HONE_TRY(read_template(load, part, file, error));
        else if (strcmp(type, "ByteLevel") != 0)
            return hone_json_part_unsupported("post_processor", type,
                                              "ByteLevel or TemplateProcessing", file, error);
    }
    return HONE_OK;
}

hone_status hone_tokenizer_read_added(hone_tokenizer_load *load, const hone_json *list,
                                      const char *file, hone_error *error)
{
    if (hone_json_part_null(list))
        return HONE_OK;
    HONE_TRY(hone_json_part_expect(list, HONE_JSON_ARRAY, "added_tokens", file, error));
    for (size_t i = 0; i < hone_json_size(list); i++) {
        const hone_json *object = hone_json_at(list, i);
        HONE_TRY(hone_json_part_expect(object, HONE_JSON_OBJECT, "added_tokens", file, error));
        const hone_json *content = hone_json_get(object, "content");
        const hone_json *id = hone_json_get(object, "id");
        HONE_TRY(
            hone_json_part_expect(content, HONE_JSON_STRING, "added_tokens: content", file, error));
        HONE_TRY(hone_json_part_expect(id, HONE_JSON_INTEGER, "added_tokens: id", file, error));
        int64_t value = -1;
        hone_json_integer(id, &value);
        hone_added_token token = {0};
        token.text = hone_json_string(content, &token.length);
        if (value < 0 || value >= INT32_MAX)
            return hone_fail_at(error, HONE_INPUT, file, -1, -1,
                                "added token '%.80s' has id %lld: expected 0 to %zu", token.text,
                                (long long)value, load->vocabulary.limit - 1);
        token.id = (int32_t)value;
        HONE_TRY(hone_tokenizer_read_flags(object, &token, file, error));
        if (hone_tokenizer_find_added(load, token.text, token.length) != SIZE_MAX)
            return hone_fail_at(error, HONE_INPUT, file, -1, -1,
                                "added token '%.80s' is listed twice", token.text);
        HONE_TRY(hone_tokenizer_add_token(load, token, file, error));
    }
    return HONE_OK;
}

hone_status hone_tokenizer_read_flags(const hone_json *object, hone_added_token *token,
                                      const char *file, hone_error *error)
{
    HONE_TRY(hone_json_part_flag(object, "special", &token->special, file, error));
    HONE_TRY(hone_json_part_flag(object, "normalized", &token->normalized, file, error));
    HONE_TRY(hone_json_part_flag(object, "lstrip", &token->lstrip, file, error));
    HONE_TRY(hone_json_part_flag(object, "rstrip", &token->rstrip, file, error));
    return hone_json_part_flag(object, "single_word", &token->single_word, file, error);
}
