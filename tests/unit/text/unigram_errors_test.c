/* Hostile unigram models: each fault is one error that names the file, the place and the fault, and
 * no model and no text, however long or odd, takes the stack or quadratic time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/files.h"
#include "spiece_support.h"
#include "text_support.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MARK "\xE2\x96\x81"

static message model, part;

static void start(void)
{
    model.length = part.length = 0;
}

/* The model that has been written is refused with `says`, or taken where that is NULL. */
static void check_model(const char *says)
{
    hone_tokenizer *tokenizer;
    hone_error error = {0};
    hone_status status = open_spiece(model.bytes, model.length, &tokenizer, &error);
    if (says == NULL && status != HONE_OK)
        fail_msg("%s", error.message);
    hone_tokenizer_close(tokenizer);
    if (says == NULL)
        return;
    print_message("%s\n", error.message);
    if (status != HONE_INPUT || strstr(error.message, says) == NULL)
        fail_msg("status %s, '%s' lacks '%s'", hone_status_name(status), error.message, says);
    assert_string_equal(error.file, "spiece.model");
}

static void bytes_that_are_no_model_are_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
        const char *says;
        int64_t offset;
    } cases[] = {
        {"", 0, "none of 0 pieces is the unknown one", -1},
        {"\x0A", 1, "a number is cut off", 1},
        {"\x0A\xFF", 2, "a number is cut off", 1},
        {"\x0A\x05xy", 4, "a length is beyond the end", 1},
        {"\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 11, "a length is beyond the end", 1},
        {"\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02", 11, "more than 64 bits", 1},
        {"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 12, "more than 64 bits", 1},
        {"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80", 11, "more than 64 bits", 0},
        {"\x0B\x0C", 2, "a group, which is not supported", 0},
        {"\x0C", 1, "a group, which is not supported", 0},
        {"\x0E", 1, "an unknown wire type", 0},
        {"\x0F", 1, "an unknown wire type", 0},
        {"\x02\x00", 2, "a field's number is out of range", 0},
        {"\xFA\xFF\xFF\xFF\x7F\x00", 6, "a field's number is out of range", 0},
        {"\x08\x01", 2, "pieces: expected wire type bytes, found varint", 0},
        {"\x11\x01", 2, "a number is cut off", 1},
        {"\x15\x01", 2, "a number is cut off", 1},
        {"\x11\x01\x02\x03\x04\x05\x06\x07\x08", 9, "trainer_spec: expected wire type", 0},
        {"\x1A\x02\x10\x00", 4, "precompiled_charsmap: expected wire type bytes", 2},
        {"\x1A\x02\x1A\x00", 4, "add_dummy_prefix: expected wire type varint, found bytes", 2},
        {"\x0A\x03\x0D\x00\x00", 5, "a number is cut off", 3},
        {"\x0A\x02\x10\x00", 4, "score: expected wire type fixed32, found varint", 2},
        {"\x0A\x02\x08\x00", 4, "piece: expected wire type bytes, found varint", 2},
        {"\x0A\x02\x1A\x00", 4, "type: expected wire type varint, found bytes", 2},
        {"\x0A\x00", 2, "piece 0 '': it has no text", 0},
        {"{\"a\": 1}", 8, "a group", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        hone_tokenizer *tokenizer;
        hone_error error = {0};
        hone_status status = open_spiece(cases[i].bytes, cases[i].length, &tokenizer, &error);
        if (status != HONE_INPUT || strstr(error.message, cases[i].says) == NULL)
            fail_msg("case %zu: status %s, '%s' lacks '%s'", i, hone_status_name(status),
                     error.message, cases[i].says);
        assert_int_equal(error.offset, cases[i].offset);
        assert_null(tokenizer);
    }
}

static void pieces_that_contradict_each_other_are_refused(void **state)
{
    static char longest[8001];
    (void)state;
    memset(longest, 'x', sizeof longest);
    static const struct {
        const char *text;
        size_t length;
        float score;
        unsigned type;
        const char *says;
    } cases[] = {
        {"c", 1, -1, 1, NULL},
        {"c", 1, 0, 1, NULL},
        {"c", 1, 3e38F, 1, NULL},
        {"c", 1, -3e38F, 4, NULL},
        {"c\0d", 3, -1, 1, NULL},
        {"\0", 1, -1, 4, NULL},
        {" ", 1, -1, 1, NULL},
        {longest, 7999, -1, 1, NULL},
        {longest, 8000, -1, 1, "piece 8 'xxxx"},
        {"", 0, -1, 1, "piece 8 '': it has no text"},
        {"a", 1, -1, 1, "token 'a' has two ids: 4 and 8"},
        {"</s>", 4, -1, 4, "token '</s>' has two ids: 1 and 8"},
        {"\xE2\x96", 2, -1, 1, "its text is not UTF-8"},
        {"\xED\xA0\x80", 3, -1, 1, "its text is not UTF-8"},
        {"c", 1, -1, 0, "its type is none of 1 to 6"},
        {"c", 1, -1, 7, "its type is none of 1 to 6"},
        {"c", 1, -1, 1000000, "its type is none of 1 to 6"},
        {"c", 1, (float)NAN, 1, "its score is not a finite number"},
        {"c", 1, (float)-INFINITY, 1, "its score is not a finite number"},
        {"<u>", 3, 0, 2, "pieces 2 and 8 are both unknown"},
        {"<0x41>", 6, 0, 6, "piece 8 '<0x41>' is a byte: expected byte_fallback to be true"},
        {"<0x-1>", 6, 0, 6, "piece 8 '<0x-1>' is a byte: expected <0x00> to <0xFF>"},
        {"<0xZZ>", 6, 0, 6, "is a byte: expected <0x00> to <0xFF>"},
        {"<0x100>", 7, 0, 6, "is a byte: expected <0x00> to <0xFF>"},
        {"<0xff>", 6, 0, 6, "is a byte: expected <0x00> to <0xFF>"},
        {"<0x\0\0>", 6, 0, 6, "is a byte: expected <0x00> to <0xFF>"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        start();
        put_small_model(&model);
        put_piece(&model, cases[i].text, cases[i].length, cases[i].score, cases[i].type);
        check_model(cases[i].says);
    }
}

static void settings_that_are_not_supported_are_named(void **state)
{
    (void)state;
    for (unsigned type = 0; type < 6; type++) {
        start();
        put_small_model(&model);
        put_varint(&part, 3, type);
        put_message(&model, 2, &part);
        check_model(type == 1 ? NULL : "is not supported: expected 1, unigram");
    }
    start();
    put_small_model(&model);
    put_varint(&part, 24, 1);
    put_message(&model, 2, &part);
    check_model("treat_whitespace_as_suffix: true is not supported");
    start();
    put_small_model(&model);
    put_varint(&part, 35, 1);
    put_message(&model, 2, &part);
    check_model("byte_fallback is true: expected 256 byte pieces, found 0");
    start();
    put_small_model(&model);
    put_bytes(&part, 2, "\4\0\0\0abcdefgh", 12);
    put_message(&model, 5, &part);
    check_model("denormalizer_spec: a precompiled_charsmap is not supported");
    start();
    put_text_piece(&model, "<unk>", 0, 2);
    check_model("none of 1 pieces is a normal one");
    start();
    put_text_piece(&model, "a", 0, 1);
    check_model("none of 1 pieces is the unknown one");
}

/* A map of one unit for each number given, and texts behind it. */
static void put_charsmap(const uint32_t *units, size_t count, const char *texts, size_t size)
{
    static char blob[1 << 14];
    uint32_t bytes = (uint32_t)(4 * count);
    memcpy(blob, &bytes, 4);
    memcpy(blob + 4, units, bytes);
    memcpy(blob + 4 + bytes, texts, size);
    start();
    put_small_model(&model);
    put_bytes(&part, 2, blob, 4 + bytes + size);
    put_message(&model, 3, &part);
}

static void character_maps_that_lead_outside_are_refused(void **state)
{
    /* Unit 0 leads to unit 1 (offset 1); 'a' is unit 1 ^ 0x61 = 0x60. */
    uint32_t units[256];
    (void)state;
    static const struct {
        size_t place;
        uint32_t unit;
        const char *says;
    } cases[] = {
        {0x60, 0x61, NULL},
        {0, 0x3FFFFu << 10, "unit 0 leads to unit 262143 of 256"},
        {0, 0x80000000u | 0x3FFFFu << 10, "unit 0 leads to unit 262143 of 256"},
        {0x60, 0x61 | 0x200 | 0x1FFFFFu << 10, "unit 96 leads to unit 536870"},
        {0x60, 0x61 | 0x100u << 10, "unit 96 leads to unit 352 of 256"},
        {0x61, 0x80000001u, NULL},
        {0x60, 0x61 | 0x100 | 1u << 10, NULL},
        {0x61, 0x80000005u, "unit 96 has a replacement at byte 5 of 5"},
        {0x61, 0xFFFFFFFFu, "unit 96 has a replacement at byte 2147483647 of 5"},
        {0x20, 0xFFFFFFFFu, NULL}, /* no one gets there */
    };
    memset(units, 0xFF, sizeof units);
    units[0] = 1u << 10;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t before = units[cases[i].place];
        units[cases[i].place] = cases[i].unit;
        put_charsmap(units, 256, "b\0cd", 5);
        check_model(cases[i].says);
        if (cases[i].says != NULL)
            units[cases[i].place] = before;
    }
    static const struct {
        const char *blob;
        size_t length;
        const char *says;
    } blobs[] = {
        {"", 0, NULL},
        {"abc", 3, "expected its size first, found 3 bytes"},
        {"\0\0\0\0abc", 7, "a table of 0 bytes"},
        {"\4\0\0\0\0\0\0\0", 8, "a table of 4 bytes: expected a multiple of 4 below 4"},
        {"\6\0\0\0\0\0\0\0\0\0\0", 11, "a table of 6 bytes"},
        {"\xFF\xFF\xFF\xFF\0\0\0\0\0", 9, "a table of 4294967295 bytes"},
        {"\4\0\0\0\0\0\0\0x", 9, NULL}, /* one unit: nothing is mapped; no NUL behind the text */
    };
    for (size_t i = 0; i < sizeof blobs / sizeof blobs[0]; i++) {
        start();
        put_small_model(&model);
        put_bytes(&part, 2, blobs[i].blob, blobs[i].length);
        put_message(&model, 3, &part);
        check_model(blobs[i].says);
    }
}

static void a_character_map_is_used_to_its_last_byte(void **state)
{
    uint32_t units[256];
    hone_tokenizer *tokenizer;
    (void)state;
    memset(units, 0xFF, sizeof units);
    units[0] = 1u << 10;
    units[0x60] = 0x61 | 0x100 | 1u << 10; /* 'a' has a leaf at 0x61 */
    units[0x61] = 0x80000000u;             /* which is the text at 0 */
    put_charsmap(units, 256, "bb", 2);     /* no NUL behind it in the file */
    assert_int_equal(open_spiece(model.bytes, model.length, &tokenizer, NULL), HONE_OK);
    assert_string_equal(encode_to_text(tokenizer, "a b", 3), "3 5 5 3 5");
    hone_tokenizer_close(tokenizer);
}

#define PIECES "[[\"<unk>\",0],[\"" MARK "\",-2],[\"a\",-3.5],[\"" MARK "a\",-4]]"
#define META "{\"type\":\"Metaspace\",\"replacement\":\"" MARK "\"}"
#define JSON(normalizer, before, decoder, more, vocab)                                             \
    "{\"normalizer\":" normalizer ",\"pre_tokenizer\":" before ",\"decoder\":" decoder             \
    ",\"model\":{\"type\":\"Unigram\"" more ",\"vocab\":" vocab "}}"
#define GOOD(more) JSON("null", META, META, ",\"unk_id\":0" more, PIECES)
#define NORMALIZER(text) JSON(text, META, META, ",\"unk_id\":0", PIECES)
#define BEFORE(text) JSON("null", text, META, ",\"unk_id\":0", PIECES)
#define DECODER(text) JSON("null", META, text, ",\"unk_id\":0", PIECES)
#define VOCAB(text) JSON("null", META, META, ",\"unk_id\":0", text)

static void names_what_is_wrong_in_tokenizer_json(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {GOOD(""), NULL},
        {GOOD(",\"alpha\":null,\"nbest_size\":0"), NULL},
        {GOOD(",\"alpha\":0.1"), "model: alpha is not supported"},
        {GOOD(",\"byte_fallback\":1"), "byte_fallback: expected true or false"},
        {JSON("null", META, META, "", PIECES), "model: unk_id: expected the id of one of 4 pieces"},
        {JSON("null", META, META, ",\"unk_id\":null", PIECES), "unk_id: expected the id"},
        {JSON("null", META, META, ",\"unk_id\":4", PIECES), "unk_id: expected the id"},
        {JSON("null", META, META, ",\"unk_id\":-1", PIECES), "unk_id: expected the id"},
        {VOCAB("{}"), "model: vocab: expected an array, found an object"},
        {VOCAB("[]"), "unk_id: expected the id of one of 0 pieces"},
        {VOCAB("[[\"a\"]]"), "piece 0: expected a string and a number, found an array"},
        {VOCAB("[[\"a\",\"b\"]]"), "piece 0: expected a string and a number"},
        {VOCAB("[[\"a\",1],7]"), "piece 1: expected a string and a number, found an integer"},
        {VOCAB("[[\"a\",1],[\"a\",2]]"), "token 'a' has two ids: 0 and 1"},
        {VOCAB("[[\"\",1]]"), "piece 0 has 0 bytes: expected 1 to 7999"},
        {VOCAB("[[\"a\\u0000\",1],[\"\\u0000\",2]]"), NULL},
        {NORMALIZER("{\"type\":\"Lowercase\"}"), "normalizer 'Lowercase' is not supported"},
        {NORMALIZER("{\"type\":\"Sequence\"}"), "normalizers: expected an array"},
        {NORMALIZER("{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Nmt\"}]}"),
         "normalizer 'Nmt' is not supported"},
        {NORMALIZER("{\"type\":\"Precompiled\",\"precompiled_charsmap\":null}"), NULL},
        {NORMALIZER("{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"\"}"), NULL},
        {NORMALIZER("{\"type\":\"Precompiled\",\"precompiled_charsmap\":7}"),
         "precompiled_charsmap: expected a string"},
        {NORMALIZER("{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"AA A\"}"), "base64"},
        {NORMALIZER("{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"AAA\"}"), "base64"},
        {NORMALIZER("{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"AB==\"}"), "base64"},
        {NORMALIZER("{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"AA==\"}"),
         "expected its size first, found 1 bytes"},
        {NORMALIZER("{\"type\":\"Replace\",\"content\":\"\"}"), "pattern: expected an object"},
        {NORMALIZER("{\"type\":\"Replace\",\"pattern\":{\"String\":\"\"},\"content\":\"x\"}"),
         "expected a string that is not empty"},
        {NORMALIZER("{\"type\":\"Replace\",\"pattern\":{\"String\":\"x\"}}"),
         "content: expected a string"},
        {NORMALIZER("{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"[a-z]\"},\"content\":\"x\"}"),
         "the regular expression '[a-z]' is not supported"},
        {NORMALIZER("{\"type\":\"Strip\",\"strip_left\":1}"), "strip_left: expected true or false"},
        {BEFORE("null"), NULL},
        {BEFORE("{\"type\":\"Whitespace\"}"), "pre_tokenizer 'Whitespace' is not supported"},
        {BEFORE("{\"type\":\"Sequence\",\"pretokenizers\":[" META
                ",{\"type\":\"WhitespaceSplit\"}]}"),
         "pre_tokenizer 'WhitespaceSplit' is not supported"},
        {BEFORE("{\"type\":\"Sequence\",\"pretokenizers\":[" META "," META "]}"),
         "pre_tokenizer 'Metaspace' is not supported"},
        {BEFORE("{\"type\":\"Metaspace\"}"), "replacement: expected a string"},
        {BEFORE("{\"type\":\"Metaspace\",\"replacement\":\"_\"}"),
         "Metaspace: replacement '_' is not supported"},
        {BEFORE("{\"type\":\"Metaspace\",\"replacement\":\"" MARK "\",\"prepend_scheme\":\"x\"}"),
         "prepend_scheme 'x': expected never, first or always"},
        {BEFORE("{\"type\":\"Metaspace\",\"replacement\":\"" MARK
                "\",\"prepend_scheme\":\"first\",\"add_prefix_space\":false}"),
         "prepend_scheme 'first' and add_prefix_space false: expected never"},
        {DECODER("null"), "decoder: expected an object"},
        {DECODER("{\"type\":\"WordPiece\"}"), "decoder 'WordPiece' is not supported"},
        {DECODER("{\"type\":\"Strip\",\"content\":\" \",\"start\":2,\"stop\":0}"),
         "this Strip is not supported"},
        {DECODER("{\"type\":\"Replace\",\"pattern\":{\"String\":\"x\"},\"content\":\" \"}"),
         "this Replace is not supported"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *files[] = {"tokenizer.json", cases[i].text, NULL};
        const char *folder = make_folder(files);
        hone_tokenizer *tokenizer;
        hone_error error = {0};
        hone_status status = hone_tokenizer_open(folder, &tokenizer, &error);
        remove_folder(folder);
        hone_tokenizer_close(tokenizer);
        if (status != (cases[i].says != NULL ? HONE_INPUT : HONE_OK))
            fail_msg("case %zu: status %s, '%s'", i, hone_status_name(status), error.message);
        if (cases[i].says != NULL && strstr(error.message, cases[i].says) == NULL)
            fail_msg("case %zu: '%s' lacks '%s'", i, error.message, cases[i].says);
    }
}

static void names_what_is_wrong_beside_spiece_model(void **state)
{
    static const struct {
        const char *settings, *says;
    } cases[] = {
        {"{\"tokenizer_class\":\"MT5Tokenizer\",\"extra_ids\":0}", NULL},
        {"{\"extra_ids\":null}", NULL},
        {"{\"tokenizer_class\":\"XLNetTokenizer\"}",
         "tokenizer_class 'XLNetTokenizer' is not supported with spiece.model: expected "
         "T5Tokenizer"},
        {"{\"extra_ids\":-1}", "extra_ids: expected a whole number from 0 to 100000"},
        {"{\"extra_ids\":100001}", "extra_ids: expected a whole number from 0 to 100000"},
        {"{\"extra_ids\":1.5}", "extra_ids: expected a whole number from 0 to 100000"},
        {"{\"extra_ids\":\"3\"}", "extra_ids: expected a whole number from 0 to 100000"},
        {"{\"extra_ids\":1,\"added_tokens_decoder\":{\"8\":{\"content\":\"<extra_id_0>\"}}}", NULL},
        {"{\"extra_ids\":1,\"added_tokens_decoder\":{\"9\":{\"content\":\"<extra_id_0>\"}}}",
         "added token '<extra_id_0>' has id 9, but 8 in the vocabulary"},
    };
    (void)state;
    start();
    put_small_model(&model);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *files[] = {"tokenizer_config.json", cases[i].settings, NULL};
        const char *folder = make_folder(files);
        char path[128];
        snprintf(path, sizeof path, "%s/spiece.model", folder);
        assert_int_equal(hone_file_write(path, model.bytes, model.length, NULL), HONE_OK);
        hone_tokenizer *tokenizer;
        hone_error error = {0};
        hone_status status = hone_tokenizer_open(folder, &tokenizer, &error);
        remove_folder(folder);
        hone_tokenizer_close(tokenizer);
        if (status != (cases[i].says != NULL ? HONE_INPUT : HONE_OK) ||
            (cases[i].says != NULL && strstr(error.message, cases[i].says) == NULL))
            fail_msg("case %zu: status %s, '%s'", i, hone_status_name(status), error.message);
    }
}

static hone_status open_and_use(const char *folder, hone_error *error)
{
    static const char text[] = "ab \xC3\xA9\xE3\x8E\x8F <extra_id_1> a\xFF  abababababababababab";
    hone_tokenizer *tokenizer;
    int32_t *ids = NULL;
    size_t capacity = 0, count = 0, length;
    char *back = NULL;
    hone_status status;
    HONE_TRY(hone_tokenizer_open(folder, &tokenizer, error));
    for (int round = 0; round < 2; round++)
        HONE_TRY_GOTO(
            hone_tokenizer_encode(tokenizer, text, sizeof text - 1, &ids, &capacity, &count, error),
            fail);
    HONE_TRY_GOTO(hone_tokenizer_decode(tokenizer, ids, count, 0, &back, &length, error), fail);
fail:
    hone_tokenizer_free(back);
    hone_tokenizer_free(ids);
    hone_tokenizer_close(tokenizer);
    return status;
}

static void every_failed_allocation_is_reported(void **state)
{
    /* Names of at most 13 bytes, for Jansson's sake: see tokenizer_errors_test.c. */
    static const char *const settings[] = {"tokenizer_config.json", "{\"extra_ids\":3}", NULL};
    (void)state;
    uint32_t units[256];
    memset(units, 0xFF, sizeof units);
    units[0] = 1u << 10;
    put_charsmap(units, 256, "b", 2);
    put_text_piece(&model, "own", 0, 4);
    const char *folder = make_folder(settings);
    char path[128];
    snprintf(path, sizeof path, "%s/spiece.model", folder);
    assert_int_equal(hone_file_write(path, model.bytes, model.length, NULL), HONE_OK);
    fail_every_allocation(folder, open_and_use, 40);
    remove_folder(folder);
    static const char *const json[] = {
        "tokenizer.json",
        "{\"added_tokens\":[{\"id\":4,\"content\":\"x \",\"normalized\":true}],"
        "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFKC\"},"
        "{\"type\":\"Strip\",\"strip_left\":true},{\"type\":\"Prepend\",\"prepend\":\"q\"},"
        "{\"type\":\"Replace\",\"pattern\":{\"String\":\"b\"},\"content\":\"cc\"},"
        "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\" {2,}\"},\"content\":\" \"}]},"
        "\"pre_tokenizer\":" META ",\"decoder\":" META
        ",\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":" PIECES "}}",
        NULL};
    folder = make_folder(json);
    fail_every_allocation(folder, open_and_use, 40);
    remove_folder(folder);
}

/* ---- length ------------------------------------------------------------------------------- */

#define LONG ((size_t)10 << 20)

/* Encodes many bytes of a pattern repeated, by a thread whose stack is small. */
typedef struct long_text {
    const hone_tokenizer *tokenizer;
    const char *pattern;
    size_t length; /* of the pattern */
    size_t size;   /* of the text */
    size_t count;
} long_text;

static void *encode_long(void *context)
{
    long_text *job = context;
    char *text = malloc(job->size);
    int32_t *ids = NULL;
    size_t capacity = 0;
    for (size_t i = 0; i < job->size; i++)
        text[i] = job->pattern[i % job->length];
    if (hone_tokenizer_encode(job->tokenizer, text, job->size, &ids, &capacity, &job->count,
                              NULL) != HONE_OK)
        job->count = SIZE_MAX;
    hone_tokenizer_free(ids);
    free(text);
    return NULL;
}

static size_t count_long(const hone_tokenizer *tokenizer, const char *pattern, size_t length,
                         size_t size)
{
    long_text job = {tokenizer, pattern, length, size, 0};
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, (size_t)256 << 10);
    assert_int_equal(pthread_create(&thread, &attributes, encode_long, &job), 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
    return job.count;
}

static void long_texts_take_no_stack_and_no_quadratic_time(void **state)
{
    hone_tokenizer *tokenizer;
    (void)state;
    start();
    put_small_model(&model);
    char nested[100];
    memset(nested, 'a', sizeof nested);
    for (size_t i = 3; i <= sizeof nested; i++)
        put_piece(&model, nested, i, -4.0F * (float)i + 0.001F * (float)(i * i), 1);
    put_piece(&model, "\0", 1, -4, 1);
    assert_int_equal(open_spiece(model.bytes, model.length, &tokenizer, NULL), HONE_OK);
    assert_int_equal(count_long(tokenizer, "a", 1, LONG / 20), 1 + (LONG / 20 + 99) / 100);
    assert_int_equal(count_long(tokenizer, "\0", 1, LONG / 10), 1 + LONG / 10);
    assert_int_equal(count_long(tokenizer, " ", 1, LONG), 0);
    assert_int_equal(count_long(tokenizer, "b ", 2, LONG), LONG);
    assert_int_equal(count_long(tokenizer, "\xFF", 1, LONG / 10), 2);
    assert_int_equal(count_long(tokenizer, "\xCC\x81", 2, LONG / 10), 2);
    hone_tokenizer_close(tokenizer);
}

static void marks_without_end_are_normalized_in_linear_time(void **state)
{
    static const char json[] =
        "{\"normalizer\":{\"type\":\"NFC\"},\"pre_tokenizer\":" META ",\"decoder\":" META
        ",\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":" PIECES "}}";
    const char *files[] = {"tokenizer.json", json, NULL};
    hone_tokenizer *tokenizer = open_files(files);
    (void)state;
    /* U+0301 (class 230) before U+0327 (class 202): all of them change places. */
    assert_int_equal(count_long(tokenizer, "\xCC\x81\xCC\xA7", 4, LONG / 4), 2);
    hone_tokenizer_close(tokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_that_are_no_model_are_refused),
        cmocka_unit_test(pieces_that_contradict_each_other_are_refused),
        cmocka_unit_test(settings_that_are_not_supported_are_named),
        cmocka_unit_test(character_maps_that_lead_outside_are_refused),
        cmocka_unit_test(a_character_map_is_used_to_its_last_byte),
        cmocka_unit_test(names_what_is_wrong_in_tokenizer_json),
        cmocka_unit_test(names_what_is_wrong_beside_spiece_model),
        cmocka_unit_test(every_failed_allocation_is_reported),
        cmocka_unit_test(long_texts_take_no_stack_and_no_quadratic_time),
        cmocka_unit_test(marks_without_end_are_normalized_in_linear_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
