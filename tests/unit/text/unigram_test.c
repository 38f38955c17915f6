/* A tokenizer from spiece.model gives the ids and texts of sentencepiece, one from tokenizer.json
 * those of HF tokenizers. Goldens: golden/spiece and golden/unigram, made by
 * make_unigram_goldens.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/files.h"
#include "base/json.h"
#include "spiece_support.h"
#include "text_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static hone_tokenizer *open_model(const char *name)
{
    char path[256], *model;
    size_t size;
    hone_tokenizer *tokenizer = NULL;
    hone_error error;
    snprintf(path, sizeof path, GOLDEN "spiece/%s.model", name);
    if (hone_file_load(path, 1 << 20, &model, &size, &error) != HONE_OK ||
        open_spiece(model, size, &tokenizer, &error) != HONE_OK)
        fail_msg("%s: %s", path, error.message);
    hone_free(model);
    return tokenizer;
}

static size_t read_ids(const hone_json *list, int32_t *ids, size_t limit)
{
    size_t count = hone_json_size(list);
    assert_true(count <= limit);
    for (size_t i = 0; i < count; i++) {
        int64_t id = -1;
        hone_json_integer(hone_json_at(list, i), &id);
        ids[i] = (int32_t)id;
    }
    return count;
}

static void check_case(const hone_tokenizer *tokenizer, const char *set, const hone_json *cases,
                       const hone_json *texts, size_t i)
{
    static int32_t wanted[8192];
    int32_t *ids = NULL;
    size_t length, back_length, capacity = 0, count, found_length;
    const char *text = hone_json_string(hone_json_at(texts, i), &length);
    const char *back =
        hone_json_string(hone_json_at(hone_json_get(cases, "back"), i), &back_length);
    size_t expected = read_ids(hone_json_at(hone_json_get(cases, "ids"), i), wanted, 8192);
    assert_int_equal(hone_tokenizer_encode(tokenizer, text, length, &ids, &capacity, &count, NULL),
                     HONE_OK);
    for (size_t j = 0; j < count || j < expected; j++)
        if (j >= count || j >= expected || ids[j] != wanted[j])
            fail_msg("%s: '%s': id %zu of %zu is %d, expected %d of %zu", set, text, j, count,
                     j < count ? ids[j] : -1, j < expected ? wanted[j] : -1, expected);
    char *decoded;
    assert_int_equal(hone_tokenizer_decode(tokenizer, ids, count, 0, &decoded, &found_length, NULL),
                     HONE_OK);
    if (back != NULL && (found_length != back_length || memcmp(decoded, back, back_length) != 0))
        fail_msg("%s: '%s'\nexpected '%s'\nfound    '%s'", set, text, back, decoded);
    hone_tokenizer_free(decoded);
    hone_tokenizer_free(ids);
}

/* All cases of a set, twice: the second time words come from the cache. Closes the tokenizer. */
static void check_set(hone_tokenizer *tokenizer, const hone_json *root, const char *set)
{
    const hone_json *cases = hone_json_get(hone_json_get(root, "sets"), set);
    const hone_json *texts = hone_json_get(cases, "texts"); /* of its own, or those of all */
    if (texts == NULL)
        texts = hone_json_get(root, "texts");
    assert_true(hone_json_size(texts) >= 3);
    for (size_t i = 0; i < 2 * hone_json_size(texts); i++)
        check_case(tokenizer, set, cases, texts, i % hone_json_size(texts));
    hone_tokenizer_close(tokenizer);
}

static hone_json *load_cases(const char *path)
{
    hone_json *root;
    hone_error error;
    if (hone_json_load(path, 1 << 20, &root, &error) != HONE_OK)
        fail_msg("%s", error.message);
    return root;
}

static void gives_the_ids_and_texts_of_sentencepiece(void **state)
{
    static const char *const sets[] = {"plain", "bytes",  "user",   "spaces", "bare",
                                       "whole", "unused", "nested", "steep"};
    (void)state;
    hone_json *root = load_cases(GOLDEN "spiece/cases.json");
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++)
        check_set(open_model(sets[i]), root, sets[i]);
    hone_json_free(root);
}

static void gives_the_ids_and_texts_of_hf_tokenizers(void **state)
{
    static const char *const sets[] = {"t5",    "old",  "converted", "whole",
                                       "bytes", "bare", "added",     "stripped"};
    (void)state;
    hone_json *root = load_cases(GOLDEN "unigram/cases.json");
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        char path[128];
        snprintf(path, sizeof path, GOLDEN "unigram/%s.json", sets[i]);
        check_set(open_json(path), root, sets[i]);
    }
    hone_json_free(root);
}

/* A folder with a model and the settings. */
static hone_tokenizer *open_t5(const char *settings)
{
    static message m;
    m.length = 0;
    put_small_model(&m);
    const char *files[] = {"tokenizer_config.json", settings, NULL};
    const char *folder = make_folder(files);
    char path[128];
    snprintf(path, sizeof path, "%s/spiece.model", folder);
    assert_int_equal(hone_file_write(path, m.bytes, m.length, NULL), HONE_OK);
    hone_tokenizer *tokenizer;
    hone_error error;
    if (hone_tokenizer_open(folder, &tokenizer, &error) != HONE_OK)
        fail_msg("%s: %s", error.file, error.message);
    remove_folder(folder);
    return tokenizer;
}

static void a_t5_folder_has_special_tokens_and_extra_ids(void **state)
{
    (void)state;
    hone_tokenizer *tokenizer = open_t5("{\"tokenizer_class\":\"T5Tokenizer\",\"extra_ids\":3}");
    static const char text[] = "ab <extra_id_0> ab</s><pad>b<unk> <extra_id_3>";
    assert_int_equal(hone_tokenizer_size(tokenizer), 11);
    assert_int_equal(hone_tokenizer_eos(tokenizer), 1);
    assert_int_equal(hone_tokenizer_bos(tokenizer), -1);
    assert_int_equal(hone_tokenizer_special_id(tokenizer, "<extra_id_0>", 12), 10);
    assert_int_equal(hone_tokenizer_special_id(tokenizer, "<extra_id_2>", 12), 8);
    assert_int_equal(hone_tokenizer_special_id(tokenizer, "<extra_id_3>", 12), -1);
    assert_int_equal(hone_tokenizer_special_id(tokenizer, "ab", 2), -1);
    assert_string_equal(encode_to_text(tokenizer, text, strlen(text)), "7 10 7 1 0 3 5 2 3 2 4 2");
    hone_tokenizer_close(tokenizer);
    tokenizer = open_t5("{}");
    assert_int_equal(hone_tokenizer_size(tokenizer), 108);
    assert_int_equal(hone_tokenizer_special_id(tokenizer, "<extra_id_0>", 12), 107);
    hone_tokenizer_close(tokenizer);
}

static void decoding_can_skip_special_tokens_and_go_on(void **state)
{
    static const int32_t ids[] = {0, 3, 7, 5, 10, 7, 1};
    char *text;
    size_t length;
    int begun = 0;
    (void)state;
    hone_tokenizer *tokenizer = open_t5("{\"extra_ids\":3}");
    hone_tokenizer_decode(tokenizer, ids, 7, 1, &text, &length, NULL);
    assert_string_equal(text, "abb ab");
    hone_tokenizer_free(text);
    hone_tokenizer_decode(tokenizer, ids, 7, 0, &text, &length, NULL);
    assert_string_equal(text, "<pad>  abb<extra_id_0> ab</s>");
    hone_tokenizer_free(text);
    char joined[64] = "";
    size_t used = 0;
    for (size_t i = 0; i < 7; i++) {
        hone_tokenizer_decode_more(tokenizer, ids + i, 1, 1, &begun, &text, &length, NULL);
        used += (size_t)snprintf(joined + used, sizeof joined - used, "%s", text);
        hone_tokenizer_free(text);
    }
    assert_string_equal(joined, "abb ab");
    hone_tokenizer_close(tokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_ids_and_texts_of_sentencepiece),
        cmocka_unit_test(gives_the_ids_and_texts_of_hf_tokenizers),
        cmocka_unit_test(a_t5_folder_has_special_tokens_and_extra_ids),
        cmocka_unit_test(decoding_can_skip_special_tokens_and_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
