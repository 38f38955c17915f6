/* tokenizer.json: byte-level BPE models here, Unigram ones in unigram_json.c. Strict: a component
 * or setting that would change ids and is not one of those implemented is an error that names it,
 * never skipped. */
#include "text/json_parts.h"

#include <string.h>

static hone_status read_normalizer(const hone_json *component, const char *file, hone_error *error)
{
    if (hone_json_part_null(component))
        return HONE_OK;
    const char *type;
    HONE_TRY(hone_json_part_type(component, "normalizer", &type, file, error));
    const hone_json *list = hone_json_get(component, "normalizers");
    if (strcmp(type, "Sequence") == 0 && list != NULL && hone_json_size(list) == 0)
        return HONE_OK;
    return hone_json_part_unsupported("normalizer", type, "null", file, error);
}

static hone_status read_pre_tokenizer(hone_tokenizer *tokenizer, const hone_json *component,
                                      const char *file, hone_error *error)
{
    const char *type;
    HONE_TRY(hone_json_part_type(component, "pre_tokenizer", &type, file, error));
    if (strcmp(type, "Sequence") == 0) {
        const hone_json *list = hone_json_get(component, "pretokenizers");
        HONE_TRY(hone_json_part_expect(list, HONE_JSON_ARRAY, "pretokenizers", file, error));
        for (size_t i = 0; i < hone_json_size(list); i++) {
            component = hone_json_at(list, i);
            HONE_TRY(hone_json_part_type(component, "pre_tokenizer", &type, file, error));
            if (strcmp(type, "ByteLevel") != 0)
                return hone_json_part_unsupported("pre_tokenizer", type, "ByteLevel", file, error);
        }
        if (hone_json_size(list) != 1)
            return hone_json_part_unsupported("pre_tokenizer", "Sequence", "one ByteLevel", file,
                                              error);
    }
    if (strcmp(type, "ByteLevel") != 0)
        return hone_json_part_unsupported("pre_tokenizer", type, "ByteLevel", file, error);
    tokenizer->add_prefix_space = true; /* the format's defaults */
    tokenizer->use_regex = true;
    HONE_TRY(hone_json_part_flag(component, "add_prefix_space", &tokenizer->add_prefix_space, file,
                                 error));
    return hone_json_part_flag(component, "use_regex", &tokenizer->use_regex, file, error);
}

static hone_status read_decoder(const hone_json *component, const char *file, hone_error *error)
{
    const char *type;
    HONE_TRY(hone_json_part_type(component, "decoder", &type, file, error));
    if (strcmp(type, "ByteLevel") != 0)
        return hone_json_part_unsupported("decoder", type, "ByteLevel", file, error);
    return HONE_OK;
}

/* Settings of the model that GPT-2's leaves off. */
static hone_status check_model(const hone_json *model, const char *file, hone_error *error)
{
    static const char *const off[] = {"byte_fallback", "ignore_merges"};
    static const char *const empty[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    for (size_t i = 0; i < 2; i++) {
        bool flag = false;
        HONE_TRY(hone_json_part_flag(model, off[i], &flag, file, error));
        if (flag)
            return hone_fail_at(error, HONE_INPUT, file, -1, -1,
                                "model: %s: true is not supported: expected false", off[i]);
        const hone_json *text = hone_json_get(model, empty[i]);
        size_t length = 0;
        if (!hone_json_part_null(text)) {
            HONE_TRY(hone_json_part_expect(text, HONE_JSON_STRING, empty[i], file, error));
            hone_json_string(text, &length);
        }
        if (length > 0)
            return hone_fail_at(error, HONE_INPUT, file, -1, -1,
                                "model: %s: '%s' is not supported: expected null", empty[i],
                                hone_json_string(text, NULL));
    }
    const hone_json *dropout = hone_json_get(model, "dropout");
    double rate = 0;
    if (!hone_json_part_null(dropout) && (!hone_json_real(dropout, &rate) || rate != 0))
        return hone_fail_at(error, HONE_INPUT, file, -1, -1,
                            "model: dropout is not supported: expected null");
    return HONE_OK;
}

static hone_status read_unknown(hone_tokenizer_load *load, const hone_json *model, const char *file,
                                hone_error *error)
{
    hone_bpe *bpe = &load->tokenizer->bpe;
    HONE_TRY(hone_json_part_flag(model, "fuse_unk", &bpe->fuse_unknown, file, error));
    const hone_json *token = hone_json_get(model, "unk_token");
    if (hone_json_part_null(token))
        return HONE_OK;
    HONE_TRY(hone_json_part_expect(token, HONE_JSON_STRING, "model: unk_token", file, error));
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
                                    i, hone_json_part_name(merge));
        }
        HONE_TRY(hone_tokenizer_add_merge(load, left, left_length, right, right_length, file, -1,
                                          (int64_t)i, error));
    }
    return HONE_OK;
}

size_t hone_tokenizer_json_tokens(const hone_json *root)
{
    return hone_json_size(hone_json_get(hone_json_get(root, "model"), "vocab")) +
           hone_json_size(hone_json_get(root, "added_tokens"));
}

hone_status hone_tokenizer_read_json(hone_tokenizer_load *load, const hone_json *root,
                                     const char *file, hone_error *error)
{
    HONE_TRY(hone_json_part_expect(root, HONE_JSON_OBJECT, "tokenizer", file, error));
    const char *type;
    const hone_json *model = hone_json_get(root, "model");
    HONE_TRY(hone_json_part_type(model, "model", &type, file, error));
    if (strcmp(type, "Unigram") == 0)
        return hone_tokenizer_read_unigram(load, root, file, error);
    if (strcmp(type, "BPE") != 0)
        return hone_json_part_unsupported("model", type, "BPE or Unigram", file, error);
    HONE_TRY(check_model(model, file, error));
    HONE_TRY(read_normalizer(hone_json_get(root, "normalizer"), file, error));
    HONE_TRY(
        read_pre_tokenizer(load->tokenizer, hone_json_get(root, "pre_tokenizer"), file, error));
    HONE_TRY(read_decoder(hone_json_get(root, "decoder"), file, error));
    HONE_TRY(hone_tokenizer_read_post_processor(load, hone_json_get(root, "post_processor"), file,
                                                error));

    const hone_json *vocab = hone_json_get(model, "vocab"),
                    *merges = hone_json_get(model, "merges");
    HONE_TRY(hone_json_part_expect(vocab, HONE_JSON_OBJECT, "model: vocab", file, error));
    HONE_TRY(hone_json_part_expect(merges, HONE_JSON_ARRAY, "model: merges", file, error));
    HONE_TRY(hone_tokenizer_read_vocabulary(load, vocab, file, error));
    HONE_TRY(read_merges(load, merges, file, error));
    HONE_TRY(read_unknown(load, model, file, error));
    return hone_tokenizer_read_added(load, hone_json_get(root, "added_tokens"), file, error);
}
