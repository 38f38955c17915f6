/* The tokenizer gives the ids of HF tokenizers, decoding gives the text back, and threads and the
 * cache change nothing. Goldens: golden/cases.json, made by make_goldens.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/memory.h"
#include "base/random.h"
#include "text_support.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPT_VOCAB                                                                                  \
    "{\"<s>\":0,\"<pad>\":1,\"</s>\":2,\"<unk>\":3,\"a\":4,\"b\":5,\"ab\":6,\"\\u0120\":7,"        \
    "\"\\u0120ab\":8}"
#define OPT_MERGES "#version: 0.2\na b\n\xc4\xa0 ab\n"

#define OBJECT(text)                                                                               \
    "{\"__type\":\"AddedToken\",\"content\":\"" text "\",\"lstrip\":false,\"normalized\":true,"    \
    "\"rstrip\":false,\"single_word\":false}"

static void check_cases(const hone_tokenizer *tokenizer, const char *set, bool round_trip)
{
    hone_json *root;
    hone_error error;
    if (hone_json_load(GOLDEN "cases.json", 1 << 20, &root, &error) != HONE_OK)
        fail_msg("%s", error.message);
    const hone_json *cases = hone_json_get(hone_json_get(root, "sets"), set);
    assert_true(hone_json_size(cases) > 50);
    for (size_t i = 0; i < hone_json_size(cases); i++) {
        size_t length, used = 0;
        const char *text = hone_json_string(hone_json_get(hone_json_at(cases, i), "text"), &length);
        const hone_json *ids = hone_json_get(hone_json_at(cases, i), "ids");
        char wanted[4096] = "";
        int32_t list[2048];
        for (size_t j = 0; j < hone_json_size(ids); j++) {
            int64_t id = -1;
            hone_json_integer(hone_json_at(ids, j), &id);
            used += (size_t)sprintf(wanted + used, j > 0 ? " %d" : "%d", (int)id);
            list[j] = (int32_t)id;
        }
        if (strcmp(encode_to_text(tokenizer, text, length), wanted) != 0)
            fail_msg("%s: '%s'\nexpected %s\nfound    %s", set, text, wanted,
                     encode_to_text(tokenizer, text, length));
        char *back;
        size_t back_length;
        assert_int_equal(hone_tokenizer_decode(tokenizer, list, hone_json_size(ids), 0, &back,
                                               &back_length, NULL),
                         HONE_OK);
        if (round_trip) {
            assert_int_equal(back_length, length);
            assert_memory_equal(back, text, length);
        }
        hone_tokenizer_free(back);
    }
    hone_json_free(root);
}

static void gives_the_ids_of_hf_tokenizers(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool round_trip;
    } sets[] = {{"plain", true}, {"noregex", true}, {"prefix", false}, {"added", false}};
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        char path[128];
        snprintf(path, sizeof path, GOLDEN "%s.json", sets[i].name);
        hone_tokenizer *tokenizer = open_json(path);
        for (int pass = 0; pass < 2; pass++) /* the second from the cache */
            check_cases(tokenizer, sets[i].name, sets[i].round_trip);
        hone_tokenizer_close(tokenizer);
    }
}

static void gives_the_ids_of_hf_tokenizers_with_gpt2(void **state)
{
    (void)state;
    hone_tokenizer *tokenizer = open_gpt2();
    if (tokenizer == NULL)
        skip();
    assert_int_equal(hone_tokenizer_size(tokenizer), 50257);
    assert_int_equal(hone_tokenizer_eos(tokenizer), 50256);
    assert_int_equal(hone_tokenizer_bos(tokenizer), -1);
    check_cases(tokenizer, "gpt2", true);
    hone_tokenizer_close(tokenizer);
}

static void check_round_trip(const hone_tokenizer *tokenizer, const char *bytes, size_t length)
{
    static int32_t *ids;
    static size_t capacity;
    size_t count, back_length = 0;
    char *back = NULL;
    /* Of the exact size, so that a sanitizer sees any byte read after the end. */
    char *text = malloc(length > 0 ? length : 1);
    assert_non_null(text);
    memcpy(text, bytes, length);
    if (hone_tokenizer_encode(tokenizer, text, length, &ids, &capacity, &count, NULL) != HONE_OK ||
        hone_tokenizer_decode(tokenizer, ids, count, 0, &back, &back_length, NULL) != HONE_OK)
        fail();
    if (back_length != length || memcmp(back, text, length) != 0 || back[length] != '\0')
        fail_msg("bytes of length %zu are not the same after decoding", length);
    hone_tokenizer_free(back);
    free(text);
}

static void decoding_gives_every_two_bytes_back(void **state)
{
    (void)state;
    hone_tokenizer *tokenizer = open_json(GOLDEN "plain.json");
    for (int pair = 0; pair < 65536; pair++) {
        char text[2] = {(char)(pair >> 8), (char)pair};
        check_round_trip(tokenizer, text, 2);
    }
    hone_tokenizer_close(tokenizer);
}

static void decoding_gives_random_bytes_back(void **state)
{
    (void)state;
    hone_tokenizer *tokenizer = open_json(GOLDEN "plain.json");
    for (uint32_t i = 0; i < 200000; i++) {
        char text[64];
        hone_random_key key = {11, 0, i};
        size_t length = hone_random_below(key, 0, sizeof text + 1);
        for (size_t j = 0; j < sizeof text; j += 16)
            hone_random_block(key, j + 1, (uint32_t *)(void *)memset(text + j, 0, 16));
        /* Half of them mostly ASCII, so that runs and merges occur. */
        for (size_t j = 0; i % 2 == 0 && j < length; j++)
            text[j] = (char)(text[j] % 16 == 0 ? text[j] : " aeth's\n1."[text[j] & 7]);
        check_round_trip(tokenizer, text, length);
    }
    hone_tokenizer_close(tokenizer);
}

static void words_of_a_megabyte_take_no_stack_and_no_quadratic_time(void **state)
{
    (void)state;
    hone_tokenizer *tokenizer = open_json(GOLDEN "plain.json");
    static const char *const repeats[] = {"a", "the", "=", " ", "\xff", "\xe4\xb8\xad", "'"};
    size_t length = 1000002;
    char *text = malloc(length);
    assert_non_null(text);
    for (size_t i = 0; i < sizeof repeats / sizeof *repeats; i++) {
        size_t period = strlen(repeats[i]);
        for (size_t j = 0; j < length; j++)
            text[j] = repeats[i][j % period];
        check_round_trip(tokenizer, text, length);
    }
    free(text);
    hone_tokenizer_close(tokenizer);
}

typedef struct shared_work {
    const hone_tokenizer *tokenizer;
    const char *text;
    size_t length;
    uint64_t sum;
} shared_work;

static void *encode_often(void *argument)
{
    shared_work *work = argument;
    int32_t *ids = NULL;
    size_t capacity = 0, count;
    for (size_t cut = 1; cut < work->length; cut += 7) {
        if (hone_tokenizer_encode(work->tokenizer, work->text, cut, &ids, &capacity, &count,
                                  NULL) != HONE_OK)
            return NULL;
        for (size_t i = 0; i < count; i++)
            work->sum = (work->sum ^ (uint64_t)ids[i]) * 0x100000001B3u;
    }
    hone_tokenizer_free(ids);
    return NULL;
}

static void threads_share_a_tokenizer(void **state)
{
    (void)state;
    hone_tokenizer *tokenizer = open_json(GOLDEN "added.json");
    char text[4000];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = "the cat's <X> words abc\n 12 "[i * i % 29 % 28];
    shared_work work[5];
    pthread_t threads[4];
    for (int i = 0; i < 5; i++)
        work[i] = (shared_work){tokenizer, text, sizeof text, 0};
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, encode_often, &work[i]), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    encode_often(&work[4]);
    for (int i = 0; i < 4; i++)
        assert_true(work[i].sum == work[4].sum && work[i].sum != 0);
    hone_tokenizer_close(tokenizer);
}

static void special_tokens_come_from_the_folder(void **state)
{
    (void)state;
    static const struct {
        const char *files[13];
        int32_t bos, eos;
        const char *text, *ids;
    } cases[] = {
        {{"vocab.json", OPT_VOCAB, "merges.txt", OPT_MERGES, "tokenizer_config.json",
          "{\"bos_token\":\"</s>\",\"eos_token\":\"</s>\",\"pad_token\":\"<pad>\","
          "\"add_bos_token\":true}"},
         2,
         2,
         "ab</s> ab<pad><s>",
         "6 2 8 1"}, /* <s> is no special token here, and its signs are unknown */
        /* As the hub's OPT folders have it: tokens are objects, in both files. */
        {{"vocab.json", OPT_VOCAB, "merges.txt", OPT_MERGES, "tokenizer_config.json",
          "{\"tokenizer_class\":\"GPT2Tokenizer\",\"add_bos_token\":true,\"add_prefix_space\":"
          "false,"
          "\"special_tokens_map_file\":null,\"bos_token\":" OBJECT("</s>") ",\"eos_token\":" OBJECT(
              "</s>") ",\"unk_token\":" OBJECT("</s>") ",\"pad_token\":" OBJECT("<pad>") "}",
          "special_tokens_map.json",
          "{\"bos_token\":" OBJECT("</s>") ",\"unk_token\":" OBJECT("</s>") "}"},
         2,
         2,
         "ab</s> ab<pad>ab",
         "6 2 8 1 6"},
        {{"vocab.json", OPT_VOCAB, "merges.txt", OPT_MERGES, "tokenizer_config.json",
          "{\"bos_token\":{\"content\":\"<s>\",\"rstrip\":true},\"model_max_length\":"
          "1000000000000000019884624838656}",
          "special_tokens_map.json", "{\"eos_token\":\"</s>\"}"},
         -1,
         2,
         "<s>  ab</s>",
         "0 6 2"},
        {{"vocab.json", OPT_VOCAB, "merges.txt", OPT_MERGES, "config.json",
          "{\"eos_token_id\":2,\"bos_token_id\":0}"},
         -1,
         2,
         "ab",
         "6"},
        {{"vocab.json", OPT_VOCAB, "merges.txt", OPT_MERGES, "config.json",
          "{\"eos_token_id\":[3,2],\"bos_token_id\":2}", "tokenizer_config.json",
          "{\"add_bos_token\":true}"},
         2,
         3,
         "ab",
         "6"},
        {{"vocab.json", OPT_VOCAB, "merges.txt", OPT_MERGES, "added_tokens.json", "{\"<new>\":9}",
          "tokenizer_config.json", "{\"additional_special_tokens\":[\"<unk>\",\"<z>\"]}"},
         -1,
         -1,
         "<new>ab<unk><z>",
         "9 6 3 10"},
        {{"vocab.json", OPT_VOCAB, "merges.txt", OPT_MERGES, "tokenizer_config.json",
          "{\"add_prefix_space\":true,\"added_tokens_decoder\":{\"2\":{\"content\":\"</s>\","
          "\"special\":true},\"9\":{\"content\":\"a\\u00e9\"}},\"eos_token\":\"</s>\"}"},
         -1,
         2,
         "ab</s>aba\xc3\xa9 ab",
         "8 2 8 9 8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_tokenizer *tokenizer = open_files(cases[i].files);
        assert_int_equal(hone_tokenizer_bos(tokenizer), cases[i].bos);
        assert_int_equal(hone_tokenizer_eos(tokenizer), cases[i].eos);
        assert_string_equal(encode_to_text(tokenizer, cases[i].text, strlen(cases[i].text)),
                            cases[i].ids);
        hone_tokenizer_close(tokenizer);
    }
}

static void a_template_names_the_token_that_starts_a_text(void **state)
{
    (void)state;
    static const char *const files[] = {
        "tokenizer.json",
        "{\"added_tokens\":[{\"id\":2,\"content\":\"</s>\",\"special\":true}],"
        "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"ByteLevel\","
        "\"add_prefix_space\":false}]},\"decoder\":{\"type\":\"ByteLevel\"},"
        "\"post_processor\":{\"type\":\"Sequence\",\"processors\":[{\"type\":\"ByteLevel\"},"
        "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"</s>\"}},"
        "{\"Sequence\":{\"id\":\"A\"}},{\"SpecialToken\":{\"id\":\"e\"}}],\"special_tokens\":{"
        "\"</s>\":{\"ids\":[2]},\"e\":{\"ids\":[1]}}}]},"
        "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1},\"merges\":[]}}",
        NULL};
    hone_tokenizer *tokenizer = open_files(files);
    assert_int_equal(hone_tokenizer_bos(tokenizer), 2);
    assert_int_equal(hone_tokenizer_eos(tokenizer), 1);
    assert_int_equal(hone_tokenizer_size(tokenizer), 3);
    assert_string_equal(encode_to_text(tokenizer, "ab</s>", 6), "0 1 2");
    hone_tokenizer_close(tokenizer);
}

static void tokens_have_bytes_and_decoding_can_skip_special_ones(void **state)
{
    (void)state;
    static const char *const files[] = {"vocab.json",
                                        OPT_VOCAB,
                                        "merges.txt",
                                        OPT_MERGES,
                                        "tokenizer_config.json",
                                        "{\"eos_token\":\"</s>\",\"added_tokens_decoder\":{"
                                        "\"9\":{\"content\":\"\\u00e9\\u0000\"}}}",
                                        NULL};
    hone_tokenizer *tokenizer = open_files(files);
    size_t length;
    assert_string_equal(hone_tokenizer_token(tokenizer, 8, &length), " ab");
    assert_int_equal(length, 3);
    assert_memory_equal(hone_tokenizer_token(tokenizer, 9, &length), "\xc3\xa9\0", 4);
    assert_int_equal(length, 3);
    assert_null(hone_tokenizer_token(tokenizer, 10, &length));
    assert_null(hone_tokenizer_token(tokenizer, -1, &length));
    static const int32_t ids[] = {6, 2, 8};
    char *text;
    hone_error error;
    assert_int_equal(hone_tokenizer_decode(tokenizer, ids, 3, 0, &text, &length, &error), HONE_OK);
    assert_string_equal(text, "ab</s> ab");
    hone_tokenizer_free(text);
    assert_int_equal(hone_tokenizer_decode(tokenizer, ids, 3, 1, &text, &length, &error), HONE_OK);
    assert_string_equal(text, "ab ab");
    hone_tokenizer_free(text);
    assert_int_equal(hone_tokenizer_decode(tokenizer, NULL, 0, 1, &text, &length, &error), HONE_OK);
    assert_string_equal(text, "");
    hone_tokenizer_free(text);
    static const int32_t bad[] = {4, 10};
    assert_int_equal(hone_tokenizer_decode(tokenizer, bad, 2, 0, &text, &length, &error),
                     HONE_INPUT);
    assert_null(text);
    assert_non_null(strstr(error.message, "id 10 at place 1: expected 0 to 9"));
    hone_tokenizer_close(tokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_ids_of_hf_tokenizers),
        cmocka_unit_test(gives_the_ids_of_hf_tokenizers_with_gpt2),
        cmocka_unit_test(decoding_gives_every_two_bytes_back),
        cmocka_unit_test(decoding_gives_random_bytes_back),
        cmocka_unit_test(words_of_a_megabyte_take_no_stack_and_no_quadratic_time),
        cmocka_unit_test(threads_share_a_tokenizer),
        cmocka_unit_test(special_tokens_come_from_the_folder),
        cmocka_unit_test(a_template_names_the_token_that_starts_a_text),
        cmocka_unit_test(tokens_have_bytes_and_decoding_can_skip_special_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
