/* tokenizer.json of byte-level BPE models. Strict: a component or setting that would change ids and
 * is not one of those implemented is an error that names it, never skipped. */
#include "text/tokenizer_parts.h"

#include <string.h>

/* A member and its type's name, for messages: "null" where absent. */
static const char *type_name(const hone_json *value)
{
    return value == NULL ? "nothing" : hone_json_type_name(hone_json_type_of(value));
}

static bool is_null(const hone_json *value)
{
    return value == NULL || hone_json_type_of(value) == HONE_JSON_NULL;
}

static hone_status expect_type(const hone_json *value, hone_json_type type, const char *what,
                               const char *file, hone_error *error)
{
    if (value != NULL && hone_json_type_of(value) == type)
        return HONE_OK;
    return hone_fail_at(error, HONE_INPUT, file, -1, -1, "%s: expected %s, found %s", what,
                        hone_json_type_name(type), type_name(value));
}

/* A flag; stays as it is when absent or null. */
static hone_status read_flag(const hone_json *object, const char *key, bool *flag, const char *file,
                             hone_error *error)
{
    const hone_json *value = hone_json_get(object, key);
    if (is_null(value))
        return HONE_OK;
    HONE_TRY(expect_type(value, HONE_JSON_BOOL, key, file, error));
    hone_json_bool(value, flag);
    return HONE_OK;
}

/* The member "type" of a component. */
static hone_status read_type(const hone_json *component, const char *what, const char **type,
                             const char *file, hone_error *error)
{
    HONE_TRY(expect_type(component, HONE_JSON_OBJECT, what, file, error));
    const hone_json *value = hone_json_get(component, "type");
    *type = value != NULL ? hone_json_string(value, NULL) : NULL;
    if (*type == NULL)
        return hone_fail_at(error, HONE_INPUT, file, -1, -1,
                            "%s: expected a member 'type' with a string, found %s", what,
                            type_name(value));
    return HONE_OK;
}

static hone_status unsupported(const char *what, const char *found, const char *expected,
                               const char *file, hone_error *error)
{
    return hone_fail_at(error, HONE_INPUT, file, -1, -1,
                        "%s '%s' is not supported: expected %s, as in GPT-2's tokenizer", what,
                        found, expected);
}

static hone_status read_normalizer(const hone_json *component, const char *file, hone_error *error)
{
    if (is_null(component))
        return HONE_OK;
    const char *type;
    HONE_TRY(read_type(component, "normalizer", &type, file, error));
    const hone_json *list = hone_json_get(component, "normalizers");
    if (strcmp(type, "Sequence") == 0 && list != NULL && hone_json_size(list) == 0)
        return HONE_OK;
    return unsupported("normalizer", type, "null", file, error);
}

static hone_status read_pre_tokenizer(hone_tokenizer *tokenizer, const hone_json *component,
                                      const char *file, hone_error *error)
{
    const char *type;
    HONE_TRY(read_type(component, "pre_tokenizer", &type, file, error));
    if (strcmp(type, "Sequence") == 0) {
        const hone_json *list = hone_json_get(component, "pretokenizers");
        HONE_TRY(expect_type(list, HONE_JSON_ARRAY, "pretokenizers", file, error));
        for (size_t i = 0; i < hone_json_size(list); i++) {
            component = hone_json_at(list, i);
            HONE_TRY(read_type(component, "pre_tokenizer", &type, file, error));
            if (strcmp(type, "ByteLevel") != 0)
                return unsupported("pre_tokenizer", type, "ByteLevel", file, error);
        }
        if (hone_json_size(list) != 1)
            return unsupported("pre_tokenizer", "Sequence", "one ByteLevel", file, error);
    }
    if (strcmp(type, "ByteLevel") != 0)
        return unsupported("pre_tokenizer", type, "ByteLevel", file, error);
    tokenizer->add_prefix_space = true; /* the format's defaults */
    tokenizer->use_regex = true;
    HONE_TRY(read_flag(component, "add_prefix_space", &tokenizer->add_prefix_space, file, error));
    return read_flag(component, "use_regex", &tokenizer->use_regex, file, error);
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
    HONE_TRY(expect_type(single, HONE_JSON_ARRAY, "post_processor: single", file, error));
    size_t texts = 0;
    for (size_t i = 0; i < hone_json_size(single); i++) {
        const hone_json *piece = hone_json_at(single, i);
        HONE_TRY(expect_type(piece, HONE_JSON_OBJECT, "post_processor: single", file, error));
        const hone_json *special = hone_json_get(piece, "SpecialToken");
        if (special == NULL) {
            texts += hone_json_get(piece, "Sequence") != NULL;
            continue;
        }
        HONE_TRY(expect_type(special, HONE_JSON_OBJECT, "SpecialToken", file, error));
        int32_t *id = texts == 0 ? &load->first : &load->last;
        if (*id >= 0)
            return unsupported("post_processor", "TemplateProcessing",
                               "at most one token before and one after the text", file, error);
        HONE_TRY(read_template_token(component, special, id, file, error));
    }
    if (texts != 1)
        return hone_fail_at(error, HONE_INPUT, file, -1, -1,
                            "post_processor: single: expected one Sequence, found %zu", texts);
    return HONE_OK;
}

static hone_status read_post_processor(hone_tokenizer_load *load, const hone_json *component,
                                       const char *file, hone_error *error)
{
    if (is_null(component))
        return HONE_OK;
    const char *type;
    HONE_TRY(read_type(component, "post_processor", &type, file, error));
    const hone_json *list = NULL;
    size_t count = 1;
    if (strcmp(type, "Sequence") == 0) {
        list = hone_json_get(component, "processors");
        HONE_TRY(expect_type(list, HONE_JSON_ARRAY, "post_processor: processors", file, error));
        count = hone_json_size(list);
    }
    for (size_t i = 0; i < count; i++) {
        const hone_json *part = list != NULL ? hone_json_at(list, i) : component;
        HONE_TRY(read_type(part, "post_processor", &type, file, error));
        if (strcmp(type, "TemplateProcessing") == 0)
            HONE_TRY(read_template(load, part, file, error));
        else if (strcmp(type, "ByteLevel") != 0)
            return unsupported("post_processor", type, "ByteLevel or TemplateProcessing", file,
                               error);
    }
    return HONE_OK;
}

static hone_status read_decoder(const hone_json *component, const char *file, hone_error *error)
{
    const char *type;
    HONE_TRY(read_type(component, "decoder", &type, file, error));
    if (strcmp(type, "ByteLevel") != 0)
        return unsupported("decoder", type, "ByteLevel", file, error);
    return HONE_OK;
}

/* Settings of the model that GPT-2's leaves off. */
static hone_status check_model(const hone_json *model, const char *file, hone_error *error)
{
    static const char *const off[] = {"byte_fallback", "ignore_merges"};
    static const char *const empty[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    for (size_t i = 0; i < 2; i++) {
        bool flag = false;
        HONE_TRY(read_flag(model, off[i], &flag, file, error));
        if (flag)
            return hone_fail_at(error, HONE_INPUT, file, -1, -1,
                                "model: %s: true is not supported: expected false", off[i]);
        const hone_json *text = hone_json_get(model, empty[i]);
        size_t length = 0;
        if (!is_null(text)) {
            HONE_TRY(expect_type(text, HONE_JSON_STRING, empty[i], file, error));
            hone_json_string(text, &length);
        }
        if (length > 0)
            return hone_fail_at(error, HONE_INPUT, file, -1, -1,
                                "model: %s: '%s' is not supported: expected null", empty[i],
                                hone_json_string(text, NULL));
    }
    const hone_json *dropout = hone_json_get(model, "dropout");
    double rate = 0;
    if (!is_null(dropout) && (!hone_json_real(dropout, &rate) || rate != 0))
        return hone_fail_at(error, HONE_INPUT, file, -1, -1,
                            "model: dropout is not supported: expected null");
    return HONE_OK;
}

static hone_status read_unknown(hone_tokenizer_load *load, const hone_json *model, const char *file,
                                hone_error *error)
{
    hone_bpe *bpe = &load->tokenizer->bpe;
    HONE_TRY(read_flag(model, "fuse_unk", &bpe->fuse_unknown, file, error));
    const hone_json *token = hone_json_get(model, "unk_token");
    if (is_null(token))
        return HONE_OK;
    HONE_TRY(expect_type(token, HONE_JSON_STRING, "model: unk_token", file, error));
    size_t length;
    const char *text = hone_json_string(token, &length);
    bpe->unknown = hone_vocabulary_find(&load->vocabulary, text, length);
    if (bpe->unknown < 0)
        return hone_fail_at(error, HONE_INPUT, file, -1, -1,
                            "model: unk_token '%s' is not in the vocabulary", text);
    return HONE_OK;
}

static hone_status read_merges(hone_tokenizer_load *load, const hone_json *list, const char *file,
                               hone_error *error)
{
    size_t count = hone_json_size(list);
    HONE_TRY(hone_tokenizer_start_merges(load, count, error));
    for (size_t i = 0; i < count; i++) {
        const hone_json *merge = hone_json_at(list, i);
        size_t length, left_length, right_length;
        const char *left = hone_json_string(merge, &length), *right;
        if (left != NULL) {
            if (!hone_tokenizer_split_merge(left, length, &left_length))
                return hone_fail_at(error, HONE_INPUT, file, -1, -1,
                                    "merge %zu: expected two tokens with a space between them, "
                                    "found '%.80s'",
                                    i, left);
            right = left + left_length + 1;
            right_length = length - left_length - 1;
        } else {
            bool pair = hone_json_type_of(merge) == HONE_JSON_ARRAY && hone_json_size(merge) == 2;
            left = pair ? hone_json_string(hone_json_at(merge, 0), &left_length) : NULL;
            right = pair ? hone_json_string(hone_json_at(merge, 1), &right_length) : NULL;
            if (left == NULL || right == NULL)
                return hone_fail_at(error, HONE_INPUT, file, -1, -1,
                                    "merge %zu: expected a string or an array of two strings, "
                                    "found %s",
                                    i, type_name(merge));
        }
        HONE_TRY(hone_tokenizer_add_merge(load, left, left_length, right, right_length, file, -1,
                                          (int64_t)i, error));
    }
    return HONE_OK;
}

static hone_status read_added(hone_tokenizer_load *load, const hone_json *list, const char *file,
                              hone_error *error)
{
    for (size_t i = 0; i < hone_json_size(list); i++) {
        const hone_json *object = hone_json_at(list, i);
        HONE_TRY(expect_type(object, HONE_JSON_OBJECT, "added_tokens", file, error));
        const hone_json *content = hone_json_get(object, "content");
        const hone_json *id = hone_json_get(object, "id");
        HONE_TRY(expect_type(content, HONE_JSON_STRING, "added_tokens: content", file, error));
        HONE_TRY(expect_type(id, HONE_JSON_INTEGER, "added_tokens: id", file, error));
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
    HONE_TRY(read_flag(object, "special", &token->special, file, error));
    HONE_TRY(read_flag(object, "normalized", &token->normalized, file, error));
    HONE_TRY(read_flag(object, "lstrip", &token->lstrip, file, error));
    HONE_TRY(read_flag(object, "rstrip", &token->rstrip, file, error));
    return read_flag(object, "single_word", &token->single_word, file, error);
}

size_t hone_tokenizer_json_tokens(const hone_json *root)
{
    return hone_json_size(hone_json_get(hone_json_get(root, "model"), "vocab")) +
           hone_json_size(hone_json_get(root, "added_tokens"));
}

hone_status hone_tokenizer_read_json(hone_tokenizer_load *load, const hone_json *root,
                                     const char *file, hone_error *error)
{
    HONE_TRY(expect_type(root, HONE_JSON_OBJECT, "tokenizer", file, error));
    const char *type;
    const hone_json *model = hone_json_get(root, "model");
    HONE_TRY(read_type(model, "model", &type, file, error));
    if (strcmp(type, "BPE") != 0)
        return unsupported("model", type, "BPE", file, error);
    HONE_TRY(check_model(model, file, error));
    HONE_TRY(read_normalizer(hone_json_get(root, "normalizer"), file, error));
    HONE_TRY(
        read_pre_tokenizer(load->tokenizer, hone_json_get(root, "pre_tokenizer"), file, error));
    HONE_TRY(read_decoder(hone_json_get(root, "decoder"), file, error));
    HONE_TRY(read_post_processor(load, hone_json_get(root, "post_processor"), file, error));

    const hone_json *vocab = hone_json_get(model, "vocab"),
                    *merges = hone_json_get(model, "merges");
    HONE_TRY(expect_type(vocab, HONE_JSON_OBJECT, "model: vocab", file, error));
    HONE_TRY(expect_type(merges, HONE_JSON_ARRAY, "model: merges", file, error));
    HONE_TRY(hone_tokenizer_read_vocabulary(load, vocab, file, error));
    HONE_TRY(read_merges(load, merges, file, error));
    HONE_TRY(read_unknown(load, model, file, error));
    const hone_json *added = hone_json_get(root, "added_tokens");
    if (is_null(added))
        return HONE_OK;
    HONE_TRY(expect_type(added, HONE_JSON_ARRAY, "added_tokens", file, error));
    return read_added(load, added, file, error);
}
