/* A broken or unsupported tokenizer is one error that names the file and the fault, and every
 * allocation that fails is reported. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/failure.h"
#include "base/memory.h"
#include "text_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VOCAB "{\"a\":0,\"b\":1,\"c\":2,\"ab\":3,\"abc\":4}"
#define MERGES "#version: 0.2\na b\nab c\n"

/* A tokenizer.json with the given parts. */
#define JSON(added, before, post, decoder, model)                                                  \
    "{\"added_tokens\":" added ",\"normalizer\":null,\"pre_tokenizer\":" before                    \
    ",\"post_processor\":" post ",\"decoder\":" decoder ",\"model\":" model "}"
#define BYTES "{\"type\":\"ByteLevel\"}"
#define BPE(vocab, merges, more) "{\"type\":\"BPE\",\"vocab\":" vocab ",\"merges\":" merges more "}"
#define GOOD BPE(VOCAB, "[\"a b\",[\"ab\",\"c\"]]", "")
#define MODEL(vocab, merges, more) JSON("[]", BYTES, "null", BYTES, BPE(vocab, merges, more))
#define TEMPLATE(single, specials)                                                                 \
    JSON("[]", BYTES,                                                                              \
         "{\"type\":\"TemplateProcessing\",\"single\":" single ",\"special_tokens\":" specials     \
         "}",                                                                                      \
         BYTES, GOOD)

/* Fails, or succeeds where `says` is NULL. */
static void check(const char *const *files, hone_status wanted, const char *file, const char *says)
{
    const char *folder = make_folder(files);
    hone_tokenizer *tokenizer = (hone_tokenizer *)(uintptr_t)1;
    hone_error error = {0};
    hone_status status = hone_tokenizer_open(folder, &tokenizer, &error);
    remove_folder(folder);
    if (says != NULL)
        print_message("%s\n", error.message);
    if (status != wanted)
        fail_msg("status %s, '%s' for %s", hone_status_name(status), error.message, files[1]);
    if (says == NULL) {
        hone_tokenizer_close(tokenizer);
        return;
    }
    assert_null(tokenizer);
    if (strstr(error.message, says) == NULL || strstr(error.file, file) == NULL)
        fail_msg("'%s' of '%s' lacks '%s' of '%s'", error.message, error.file, says, file);
}

static void names_what_is_wrong_in_tokenizer_json(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says; /* NULL: no error, so that the others can't pass by failing all */
    } cases[] = {
        {JSON("[]", BYTES, "null", BYTES, GOOD), NULL},
        {JSON("null", BYTES, BYTES, BYTES, GOOD), NULL},
        {JSON("[{\"id\":5,\"content\":\"x y\"}]", BYTES, "null", BYTES, GOOD), NULL},
        {JSON("[{\"id\":5,\"content\":\"n\\u0000l\"}]", BYTES, "null", BYTES, GOOD), NULL},
        {TEMPLATE("[{\"Sequence\":{\"id\":\"A\"}}]", "{}"), NULL},
        {"", "JSON"},
        {"[]", "expected an object, found an array"},
        {"{}", "model: expected an object, found nothing"},
        {"{\"model\":{}}", "model: expected a member 'type'"},
        {"{\"model\":{\"type\":\"WordPiece\"}}", "model 'WordPiece' is not supported"},
        {"{\"model\":{\"type\":3}}", "model: expected a member 'type' with a string"},
        {"{\"model\":1,\"model\":2}", "uplicate"},
        {JSON("[]", "null", "null", BYTES, GOOD), "pre_tokenizer: expected an object"},
        {JSON("[]", "{\"type\":\"Whitespace\"}", "null", BYTES, GOOD),
         "pre_tokenizer 'Whitespace' is not supported"},
        {JSON("[]", "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\"}," BYTES "]}",
              "null", BYTES, GOOD),
         "pre_tokenizer 'Split' is not supported"},
        {JSON("[]", "{\"type\":\"Sequence\",\"pretokenizers\":[" BYTES "," BYTES "]}", "null",
              BYTES, GOOD),
         "pre_tokenizer 'Sequence' is not supported: expected one ByteLevel"},
        {JSON("[]", "{\"type\":\"ByteLevel\",\"use_regex\":1}", "null", BYTES, GOOD),
         "use_regex: expected true or false, found an integer"},
        {JSON("[]", BYTES, "null", "null", GOOD), "decoder: expected an object, found null"},
        {JSON("[]", BYTES, "null", "{\"type\":\"WordPiece\"}", GOOD),
         "decoder 'WordPiece' is not supported"},
        {JSON("[]", BYTES, "{\"type\":\"RobertaProcessing\"}", BYTES, GOOD),
         "post_processor 'RobertaProcessing' is not supported"},
        {TEMPLATE("[]", "{}"), "expected one Sequence, found 0"},
        {TEMPLATE("[{\"SpecialToken\":{\"id\":\"x\"}},{\"Sequence\":{}}]", "{}"),
         "special token 'x' has not one id"},
        {TEMPLATE("[{\"SpecialToken\":{\"id\":\"x\"}},{\"Sequence\":{}}]", "{\"x\":{\"ids\":[9]}}"),
         "id 9: expected 0 to 4"},
        {TEMPLATE("[{\"SpecialToken\":{\"id\":\"x\"}},{\"Sequence\":{}}]",
                  "{\"x\":{\"ids\":[-1]}}"),
         "id -1, which no token has"},
        {TEMPLATE("[{\"SpecialToken\":{\"id\":\"x\"}},{\"SpecialToken\":{\"id\":\"x\"}}]",
                  "{\"x\":{\"ids\":[1]}}"),
         "at most one token before"},
        {"{\"normalizer\":{\"type\":\"NFC\"},\"model\":" GOOD "}",
         "normalizer 'NFC' is not supported"},
        {MODEL(VOCAB, "[]", ",\"byte_fallback\":true"), "byte_fallback: true is not supported"},
        {MODEL(VOCAB, "[]", ",\"ignore_merges\":true"), "ignore_merges: true is not supported"},
        {MODEL(VOCAB, "[]", ",\"dropout\":0.1"), "dropout is not supported"},
        {MODEL(VOCAB, "[]", ",\"end_of_word_suffix\":\"</w>\""), "'</w>' is not supported"},
        {MODEL(VOCAB, "[]", ",\"continuing_subword_prefix\":\"##\""), "'##' is not supported"},
        {MODEL(VOCAB, "[]", ",\"unk_token\":\"zz\""), "unk_token 'zz' is not in the vocabulary"},
        {MODEL(VOCAB, "[]", ",\"unk_token\":\"a\",\"fuse_unk\":true,\"dropout\":0"), NULL},
        {MODEL("[]", "[]", ""), "vocab: expected an object, found an array"},
        {MODEL("{}", "[]", ""), "the vocabulary is empty"},
        {MODEL("{\"a\":\"0\"}", "[]", ""), "'a': expected an integer, found a string"},
        {MODEL("{\"a\":0.0}", "[]", ""), "'a': expected an integer, found a number"},
        {MODEL("{\"a\":-1}", "[]", ""), "token 'a' has id -1"},
        {MODEL("{\"a\":2147483648}", "[]", ""), "token 'a' has id 2147483648"},
        {MODEL("{\"a\":4294967296,\"b\":1}", "[]", ""), "token 'a' has id 4294967296"},
        {MODEL("{\"a\":0,\"b\":0}", "[]", ""), "id 0 belongs to two tokens: 'a' and 'b'"},
        {MODEL("{\"a\":0,\"a\":1}", "[]", ""), "uplicate"},
        {MODEL("{\"a\":0,\"b\":2}", "[]", ""), "id 1 has no token"},
        {MODEL("{\"a\\u0000\":0}", "[]", ""), "NUL"},
        {MODEL(VOCAB, "{}", ""), "merges: expected an array, found an object"},
        {MODEL(VOCAB, "[\"a  b\"]", ""), "merge 0: expected two tokens"},
        {MODEL(VOCAB, "[\"ab\"]", ""), "merge 0: expected two tokens"},
        {MODEL(VOCAB, "[\"a b c\"]", ""), "merge 0: expected two tokens"},
        {MODEL(VOCAB, "[\"\"]", ""), "merge 0: expected two tokens"},
        {MODEL(VOCAB, "[7]", ""), "merge 0: expected a string or an array of two strings"},
        {MODEL(VOCAB, "[[\"a\"]]", ""), "merge 0: expected a string or an array of two strings"},
        {MODEL(VOCAB, "[[\"a\",1]]", ""), "merge 0: expected a string or an array of two strings"},
        {MODEL(VOCAB, "[\"a b\",\"x b\"]", ""), "merge 1 'x b': its left part is not in the"},
        {MODEL(VOCAB, "[\"a x\"]", ""), "merge 0 'a x': its right part is not in the"},
        {MODEL(VOCAB, "[\"b a\"]", ""), "merge 0 'b a': the two joined are not in the"},
        {MODEL(VOCAB, "[\"a b\",[\"a\",\"b\"]]", ""), "merge 1 'a b': it is listed twice"},
        {MODEL(VOCAB, "[\" a\"]", ""), "merge 0 ' a': a part of it is empty"},
        {JSON("{}", BYTES, "null", BYTES, GOOD), "added_tokens: expected an array"},
        {JSON("[1]", BYTES, "null", BYTES, GOOD), "added_tokens: expected an object"},
        {JSON("[{\"id\":5}]", BYTES, "null", BYTES, GOOD), "content: expected a string"},
        {JSON("[{\"content\":\"x\"}]", BYTES, "null", BYTES, GOOD), "id: expected an integer"},
        {JSON("[{\"id\":5,\"content\":\"\"}]", BYTES, "null", BYTES, GOOD), "has 0 bytes"},
        {JSON("[{\"id\":7,\"content\":\"x\"}]", BYTES, "null", BYTES, GOOD), "id 5 has no token"},
        {JSON("[{\"id\":99,\"content\":\"x\"}]", BYTES, "null", BYTES, GOOD), "'x' has id 99"},
        {JSON("[{\"id\":-5,\"content\":\"x\"}]", BYTES, "null", BYTES, GOOD), "'x' has id -5"},
        {JSON("[{\"id\":4294967301,\"content\":\"x\"}]", BYTES, "null", BYTES, GOOD),
         "'x' has id 4294967301"},
        {JSON("[{\"id\":1,\"content\":\"x\"}]", BYTES, "null", BYTES, GOOD),
         "id 1 belongs to two tokens: 'b' and 'x'"},
        {JSON("[{\"id\":1,\"content\":\"a\"}]", BYTES, "null", BYTES, GOOD),
         "'a' has id 1, but 0 in the vocabulary"},
        {JSON("[{\"id\":0,\"content\":\"a\"},{\"id\":0,\"content\":\"a\"}]", BYTES, "null", BYTES,
              GOOD),
         "'a' is listed twice"},
        {JSON("[{\"id\":0,\"content\":\"a\",\"lstrip\":\"no\"}]", BYTES, "null", BYTES, GOOD),
         "lstrip: expected true or false, found a string"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *files[] = {"tokenizer.json", cases[i].text, NULL};
        check(files, cases[i].says == NULL ? HONE_OK : HONE_INPUT, "tokenizer.json", cases[i].says);
    }
}

static void names_what_is_wrong_in_other_files(void **state)
{
    (void)state;
    static const struct {
        const char *files[9];
        const char *file, *says;
        int64_t line;
        hone_status status;
    } cases[] = {
        {{"vocab.json", VOCAB, "merges.txt", MERGES}, NULL, NULL, -1, HONE_OK},
        {{"vocab.json", VOCAB, "merges.txt", "a b\r\nab c"}, NULL, NULL, -1, HONE_OK},
        {{"x", ""}, "", "no tokenizer: expected tokenizer.json", -1, HONE_IO},
        {{"vocab.json", VOCAB}, "merges.txt", "missing: expected beside vocab.json", -1, HONE_IO},
        {{"merges.txt", MERGES}, "vocab.json", "missing: expected beside merges.txt", -1, HONE_IO},
        {{"vocab.json", "[1]", "merges.txt", ""}, "vocab.json", "expected an object", -1, 0},
        {{"vocab.json", VOCAB, "merges.txt", "#version: 0.2\na b\n\nab c\n"},
         "merges.txt:3",
         "expected two tokens with a space between them, found ''",
         -1,
         0},
        {{"vocab.json", VOCAB, "merges.txt", "a b\na  b\n"}, "merges.txt:2", "found 'a  b'", -1, 0},
        {{"vocab.json", VOCAB, "merges.txt", "a b\nb c\n"}, "merges.txt:2", "'b c'", -1, 0},
        {{"vocab.json", VOCAB, "merges.txt", "a b\na b\n"}, "merges.txt:2", "listed twice", -1, 0},
        {{"vocab.json", VOCAB, "merges.txt", MERGES, "tokenizer_config.json", "[]"},
         "tokenizer_config.json",
         "expected an object",
         -1,
         0},
        {{"vocab.json", VOCAB, "merges.txt", MERGES, "tokenizer_config.json",
          "{\"tokenizer_class\":\"CLIPTokenizer\"}"},
         "tokenizer_config.json",
         "tokenizer_class 'CLIPTokenizer' is not supported",
         -1,
         0},
        {{"vocab.json", VOCAB, "merges.txt", MERGES, "tokenizer_config.json", "{\"eos_token\":7}"},
         "tokenizer_config.json",
         "eos_token: expected a string, or an object",
         -1,
         0},
        {{"vocab.json", VOCAB, "merges.txt", MERGES, "tokenizer_config.json",
          "{\"add_bos_token\":true}"},
         "tokenizer_config.json",
         "there is no bos_token",
         -1,
         0},
        {{"vocab.json", VOCAB, "merges.txt", MERGES, "tokenizer_config.json",
          "{\"add_bos_token\":1}"},
         "tokenizer_config.json",
         "add_bos_token: expected true or false",
         -1,
         0},
        {{"vocab.json", VOCAB, "merges.txt", MERGES, "tokenizer_config.json",
          "{\"split_special_tokens\":true}"},
         "tokenizer_config.json",
         "split_special_tokens: true is not supported",
         -1,
         0},
        {{"vocab.json", VOCAB, "merges.txt", MERGES, "tokenizer_config.json",
          "{\"added_tokens_decoder\":{\"0x5\":{\"content\":\"x\"}}}"},
         "tokenizer_config.json",
         "'0x5': expected an id",
         -1,
         0},
        {{"vocab.json", VOCAB, "merges.txt", MERGES, "tokenizer_config.json",
          "{\"added_tokens_decoder\":{\"99999999999999999999\":{\"content\":\"x\"}}}"},
         "tokenizer_config.json",
         "expected an id",
         -1,
         0},
        {{"vocab.json", VOCAB, "merges.txt", MERGES, "tokenizer_config.json",
          "{\"added_tokens_decoder\":{\"5\":\"x\"}}"},
         "tokenizer_config.json",
         "'5': expected an id and an object",
         -1,
         0},
        {{"vocab.json", VOCAB, "merges.txt", MERGES, "added_tokens.json", "{\"x\":\"5\"}"},
         "added_tokens.json",
         "'x': expected an id",
         -1,
         0},
        {{"vocab.json", VOCAB, "merges.txt", MERGES, "added_tokens.json", "{\"x\":1}"},
         "added_tokens.json",
         "id 1 belongs to two tokens",
         -1,
         0},
        {{"vocab.json", VOCAB, "merges.txt", MERGES, "special_tokens_map.json",
          "{\"pad_token\":{\"id\":1}}"},
         "special_tokens_map.json",
         "pad_token: expected a string",
         -1,
         0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *folder = make_folder(cases[i].files);
        hone_tokenizer *tokenizer;
        hone_error error = {0};
        hone_status status = hone_tokenizer_open(folder, &tokenizer, &error);
        remove_folder(folder);
        hone_status wanted =
            cases[i].says != NULL && cases[i].status == HONE_OK ? HONE_INPUT : cases[i].status;
        if (status != wanted)
            fail_msg("case %zu: status %s, '%s'", i, hone_status_name(status), error.message);
        hone_tokenizer_close(tokenizer);
        if (cases[i].says == NULL)
            continue;
        char text[4096];
        hone_error_format(&error, text, sizeof text);
        print_message("%s\n", text);
        assert_non_null(strstr(text, cases[i].says));
        assert_non_null(strstr(text, cases[i].file));
    }
}

static hone_status open_and_use(const char *folder, hone_error *error)
{
    hone_tokenizer *tokenizer;
    int32_t *ids = NULL;
    size_t capacity = 0, count = 0, length;
    char word[400], *text = NULL;
    memset(word, 'a', sizeof word);
    hone_status status;
    HONE_TRY(hone_tokenizer_open(folder, &tokenizer, error));
    HONE_TRY_GOTO(
        hone_tokenizer_encode(tokenizer, word, sizeof word, &ids, &capacity, &count, error), fail);
    HONE_TRY_GOTO(hone_tokenizer_decode(tokenizer, ids, count, 0, &text, &length, error), fail);
    assert_int_equal(length, sizeof word);
fail:
    hone_tokenizer_free(text);
    hone_tokenizer_free(ids);
    hone_tokenizer_close(tokenizer);
    return status;
}

static void every_failed_allocation_is_reported(void **state)
{
    (void)state;
    /* No string of more than 13 bytes: Jansson 2.14 overruns its buffer when it can't grow it
     * (its issue 362), and here the rest is tested. */
    static const char *const sets[][9] = {
        {"tokenizer.json",
         "{\"added_tokens\":[{\"id\":5,\"content\":\"x\"}],\"pre_tokenizer\":" BYTES
         ",\"decoder\":" BYTES ",\"model\":" GOOD "}",
         "tokenizer_config.json", "{\"eos_token\":\"<e>\"}"},
        {"vocab.json", VOCAB, "merges.txt", MERGES, "special_tokens_map.json",
         "{\"eos_token\":{\"content\":\"<e>\"}}"},
    };
    for (size_t set = 0; set < 2; set++) {
        const char *folder = make_folder(sets[set]);
        fail_every_allocation(folder, open_and_use, 40);
        remove_folder(folder);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_what_is_wrong_in_tokenizer_json),
        cmocka_unit_test(names_what_is_wrong_in_other_files),
        cmocka_unit_test(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
