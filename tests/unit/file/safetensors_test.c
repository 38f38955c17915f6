/* The strict safetensors reader, one hand-made file for each rule with its success twin, and the
 * writer. */
#include "test_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define A "\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}"
#define TENSOR(fields) "{\"a\":{" fields "}}"
#define DTYPE(value) TENSOR("\"dtype\":" value ",\"shape\":[1],\"data_offsets\":[0,4]")
#define SHAPE(value) TENSOR("\"dtype\":\"F32\",\"shape\":" value ",\"data_offsets\":[0,4]")
#define OFFSETS(value) TENSOR("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":" value)
#define NAME(value) "{\"" value "\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}"
#define SPAN(name, size, begin, end)                                                               \
    "\"" name "\":{\"dtype\":\"U8\",\"shape\":[" #size "],\"data_offsets\":[" #begin "," #end "]}"

static void accepts_every_legal_header(void **state)
{
    (void)state;
    static const struct {
        const char *what, *header;
        size_t payload, tensors;
    } cases[] = {
        {"no tensors", "{}", 0, 0},
        {"one tensor", "{" A "}", 24, 1},
        {"white space all around",
         " \t\n\r{ \"a\" : {\"dtype\" :\"F32\" , \"shape\": [ 2 ,\n3 ],"
         "\"data_offsets\" :[ 0 , 24 ] } }\t\r\n ",
         24, 1},
        {"fields in another order",
         TENSOR("\"data_offsets\":[0,4],\"shape\":[1],\"dtype\":\"F32\""), 4, 1},
        {"a scalar", SHAPE("[]"), 4, 1},
        {"an empty tensor", TENSOR("\"dtype\":\"F32\",\"shape\":[2,0],\"data_offsets\":[0,0]"), 0,
         1},
        {"8 dimensions", SHAPE("[1,1,1,1,1,1,1,1]"), 4, 1},
        {"empty metadata", "{\"__metadata__\":{}," A "}", 24, 1},
        {"metadata at the end", "{" A ",\"__metadata__\":{\"format\":\"pt\",\"x\":\"\"}}", 24, 1},
        {"tensors in another order than their bytes",
         "{" SPAN("z", 3, 0, 3) "," SPAN("y", 2, 5, 7) "," SPAN("a", 2, 3, 5) "}", 7, 3},
        {"empty tensors between others",
         "{" SPAN("c", 2, 2, 4) "," SPAN("b", 0, 2, 2) "," SPAN("a", 2, 0, 2) "," SPAN("d", 0, 4,
                                                                                       4) "}",
         4, 4},
        {"an empty name", NAME(""), 4, 1},
        {"escapes", NAME("\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u20AC\\ud83d\\ude00"), 4, 1},
        {"all lengths of UTF-8", NAME("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\x7f"), 4, 1},
        {"a large dimension beside 0",
         TENSOR("\"dtype\":\"F32\",\"shape\":[9223372036854775807,0],\"data_offsets\":[0,0]"), 0,
         1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bytes file = build_safetensors(cases[i].header, strlen(cases[i].header), cases[i].payload);
        hone_weight_source *source;
        hone_error error;
        expect_ok(cases[i].what,
                  hone_weight_source_borrow("x.safetensors", file.data, file.size, &source, &error),
                  &error);
        assert_int_equal(hone_weight_source_count(source), cases[i].tensors);
        hone_weight_source_close(source);
        bytes_free(&file);
    }
}

static void rejects_each_fault_of_a_header(void **state)
{
    (void)state;
    static const struct {
        const char *what, *header;
        size_t payload;
        const char *message;
    } cases[] = {
        {"empty header", "", 0, "expected '{', found its end"},
        {"only white space", "   ", 0, "expected '{', found its end"},
        {"an array", "[]", 0, "expected '{', found '['"},
        {"a byte order mark", "\xef\xbb\xbf{}", 0, "expected '{', found byte 0xef"},
        {"form feed as white space", "\f{}", 0, "expected '{', found byte 0x0c"},
        {"not closed", "{" A, 24, "expected ',' or '}', found its end"},
        {"comma at the end", "{" A ",}", 24, "expected a tensor's name, found '}'"},
        {"comma at the start", "{," A "}", 24, "expected a tensor's name, found ','"},
        {"text after the object", "{" A "}x", 24, "expected nothing after the object, found 'x'"},
        {"NUL after the object", "{" A "}\0", 24, "found byte 0x00"},
        {"two objects", "{}{}", 0, "expected nothing after the object"},
        {"no colon", "{\"a\"{}}", 0, "expected ':'"},
        {"name without quotes", "{a:1}", 0, "expected a tensor's name, found 'a'"},
        {"name in single quotes", "{'a':1}", 0, "expected a tensor's name"},
        {"a comment", "{/**/}", 0, "expected a tensor's name, found '/'"},
        {"name not closed", "{\"a", 0, "expected a closing '\"'"},
        {"control byte in a name", NAME("\n"), 4, "control characters"},
        {"unknown escape", NAME("\\x41"), 4, "after a backslash"},
        {"escape at the end", "{\"\\", 0, "after a backslash"},
        {"short \\u", NAME("\\u12"), 4, "four hexadecimal digits"},
        {"signed \\u", NAME("\\u+041"), 4, "four hexadecimal digits"},
        {"NUL in a name", NAME("a\\u0000b"), 4, "without NUL"},
        {"high surrogate alone", NAME("\\ud83d"), 4, "surrogate pair"},
        {"low surrogate alone", NAME("\\ude00"), 4, "surrogate pair"},
        {"two high surrogates", NAME("\\ud83d\\ud83d"), 4, "low half"},
        {"continuation byte alone", NAME("\x80"), 4, "expected UTF-8, found byte 0x80"},
        {"overlong UTF-8", NAME("\xc0\xaf"), 4, "expected UTF-8, found byte 0xc0"},
        {"overlong UTF-8 of 3", NAME("\xe0\x80\xaf"), 4, "expected UTF-8"},
        {"surrogate in UTF-8", NAME("\xed\xa0\x80"), 4, "expected UTF-8"},
        {"beyond U+10FFFF", NAME("\xf4\x90\x80\x80"), 4, "expected UTF-8"},
        {"cut UTF-8", "{}\xe2\x82", 0, "expected UTF-8"},
        {"unknown dtype", DTYPE("\"F33\""), 4, "unsupported dtype 'F33'"},
        {"dtype in small letters", DTYPE("\"f32\""), 4, "unsupported dtype 'f32'"},
        {"8-bit float", DTYPE("\"F8_E4M3\""), 4, "unsupported dtype 'F8_E4M3'"},
        {"complex", DTYPE("\"C64\""), 4, "unsupported dtype 'C64'"},
        {"negative dimension", SHAPE("[-1]"), 4, "unsigned integer in shape, found '-'"},
        {"dimension with a fraction", SHAPE("[1.0]"), 4, "without fraction or exponent"},
        {"dimension with an exponent", SHAPE("[1e0]"), 4, "without fraction or exponent"},
        {"leading zero", SHAPE("[01]"), 4, "without leading zeros"},
        {"dimension of 2^64", SHAPE("[18446744073709551616]"), 4, "below 2^64"},
        {"dimension of 2^64 - 1", SHAPE("[18446744073709551615]"), 4, "below 2^63"},
        {"dimension as text", SHAPE("[\"1\"]"), 4, "unsigned integer in shape"},
        {"nested shape", SHAPE("[[1]]"), 4, "unsigned integer in shape"},
        {"9 dimensions", SHAPE("[1,1,1,1,1,1,1,1,1]"), 4, "at most 8 dimensions"},
        {"comma at the end of a shape", SHAPE("[1,]"), 4, "unsigned integer in shape, found ']'"},
        {"one offset", OFFSETS("[0]"), 4, "a second integer"},
        {"three offsets", OFFSETS("[0,4,8]"), 4, "after two data_offsets"},
        {"negative offset", OFFSETS("[-4,0]"), 4, "unsigned integer in data_offsets"},
        {"offset of 2^64", OFFSETS("[0,18446744073709551620]"), 4, "below 2^64"},
        {"no dtype", TENSOR("\"shape\":[1],\"data_offsets\":[0,4]"), 4, "lacks dtype"},
        {"no shape", TENSOR("\"dtype\":\"F32\",\"data_offsets\":[0,4]"), 4, "lacks shape"},
        {"no offsets", TENSOR("\"dtype\":\"F32\",\"shape\":[1]"), 4, "lacks data_offsets"},
        {"nothing", TENSOR(""), 4, "lacks dtype"},
        {"unknown field", TENSOR("\"dtype\":\"F32\",\"shape\":[1],\"device\":\"cpu\""), 4,
         "an unknown field 'device'"},
        {"field twice", TENSOR("\"dtype\":\"F32\",\"dtype\":\"F32\""), 4,
         "twice the field 'dtype'"},
        {"metadata of numbers", "{\"__metadata__\":{\"a\":1}}", 0, "a string as metadata value"},
        {"metadata as a list", "{\"__metadata__\":[]}", 0, "an object of strings"},
        {"metadata as null", "{\"__metadata__\":null}", 0, "an object of strings"},
        {"metadata key twice", "{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", 0,
         "metadata key 'a' appears twice"},
        {"metadata twice", "{\"__metadata__\":{},\"__metadata__\":{}}", 0, "only once"},
        {"tensor twice", "{" SPAN("a", 2, 0, 2) "," SPAN("a", 2, 2, 4) "}", 4,
         "tensor 'a' appears twice"},
        {"tensor twice, one escaped", "{" SPAN("a", 2, 0, 2) "," SPAN("\\u0061", 2, 2, 4) "}", 4,
         "tensor 'a' appears twice"},
        {"first does not begin at 0", "{" SPAN("a", 2, 1, 3) "}", 3, "expected to begin at 0"},
        {"hole", "{" SPAN("a", 2, 0, 2) "," SPAN("b", 2, 3, 5) "}", 5, "expected to begin at 2"},
        {"overlap", "{" SPAN("a", 2, 0, 2) "," SPAN("b", 2, 1, 3) "}", 3, "expected to begin at 2"},
        {"shared range", "{" SPAN("a", 2, 0, 2) "," SPAN("b", 2, 0, 2) "}", 2,
         "expected to begin at 2"},
        {"reversed range", "{" SPAN("a", 0, 2, 0) "}", 2, "invalid data_offsets"},
        {"reversed at 0 with later", "{" SPAN("a", 4, 0, 4) "," SPAN("b", 0, 4, 2) "}", 4,
         "invalid data_offsets [4, 2]"},
        {"range too short", TENSOR("\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,20]"), 20,
         "hold 20 bytes; expected 24"},
        {"range too long", TENSOR("\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,28]"), 28,
         "hold 28 bytes; expected 24"},
        {"product wraps to 0",
         TENSOR("\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]"), 0,
         "shape overflows"},
        {"product wraps before a 0",
         TENSOR("\"dtype\":\"F32\",\"shape\":[4611686018427387904,4,0],\"data_offsets\":[0,0]"), 0,
         "shape overflows"},
        {"bits wrap",
         TENSOR("\"dtype\":\"U8\",\"shape\":[2305843009213693952],\"data_offsets\":"
                "[0,0]"),
         0, "shape overflows"},
        {"sum of sizes near 2^64",
         "{\"a\":{\"dtype\":\"U8\",\"shape\":[9223372036854775744],\"data_offsets\":[0,"
         "9223372036854775744]},\"b\":{\"dtype\":\"U8\",\"shape\":[9223372036854775744],"
         "\"data_offsets\":[9223372036854775744,18446744073709551488]}}",
         64, "shape overflows"},
        {"honest but absent bytes",
         TENSOR("\"dtype\":\"U8\",\"shape\":[1152921504606846976],\"data_offsets\":[0,"
                "1152921504606846976]"),
         64, "incomplete or overlong file"},
        {"payload cut", "{" A "}", 23, "24 bytes of tensors announced, 23 found"},
        {"byte after the payload", "{" A "}", 25, "24 bytes of tensors announced, 25 found"},
        {"payload without tensors", "{}", 1, "0 bytes of tensors announced, 1 found"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t length = strlen(cases[i].header);
        if (strcmp(cases[i].what, "NUL after the object") == 0)
            length++;
        bytes file = build_safetensors(cases[i].header, length, cases[i].payload);
        hone_error error = {0};
        hone_status status = open_and_read_all("x.safetensors", file, &error);
        expect_error(cases[i].what, status, &error, HONE_INPUT, cases[i].message);
        assert_string_equal(error.file, "x.safetensors");
        bytes_free(&file);
    }
}

static void rejects_each_fault_of_the_length(void **state)
{
    (void)state;
    static const struct {
        uint64_t length;
        size_t file_size;
        const char *message;
    } cases[] = {
        {0, 0, "header too small"},
        {0, 7, "header too small"},
        {0, 8, "expected '{', found its end"},
        {1, 8, "invalid header length"},
        {3, 10, "invalid header length"},
        {100000000, 10, "invalid header length"},
        {100000001, 10, "header too large"},
        {(uint64_t)1 << 31, 10, "header too large"},
        {(uint64_t)1 << 32, 10, "header too large"},
        {((uint64_t)1 << 63) - 1, 10, "header too large"},
        {(uint64_t)1 << 63, 10, "header too large"},
        {UINT64_MAX - 7, 10, "header too large"},
        {UINT64_MAX, 10, "header too large"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned char raw[10];
        for (int k = 0; k < 8; k++)
            raw[k] = (unsigned char)(cases[i].length >> 8 * k);
        memcpy(raw + 8, "{}", 2);
        bytes file = bytes_new(raw, cases[i].file_size);
        hone_error error = {0};
        hone_status status = open_and_read_all("x.safetensors", file, &error);
        expect_error(cases[i].message, status, &error, HONE_INPUT, cases[i].message);
        bytes_free(&file);
    }
}

static void rejects_fields_of_any_other_type(void **state)
{
    (void)state;
    static const char *const values[] = {"null",  "true", "1",   "-1", "1.5",
                                         "\"s\"", "[]",   "[1]", "{}", "[\"s\"]"};
    static const char *const formats[] = {
        "{\"a\":{\"dtype\":%s,\"shape\":[1],\"data_offsets\":[0,4]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":%s,\"data_offsets\":[0,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":%s}}",
        "{\"a\":%s}",
        "{\"__metadata__\":%s}",
        "{\"__metadata__\":{\"k\":%s},\"a\":1}",
        "%s",
    };
    for (size_t f = 0; f < sizeof formats / sizeof *formats; f++)
        for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
            char header[256];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            snprintf(header, sizeof header, formats[f], values[v]);
#pragma GCC diagnostic pop
            bytes file = build_safetensors(header, strlen(header), 4);
            hone_error error = {0};
            hone_status status = open_and_read_all("x.safetensors", file, &error);
            expect_error(header, status, &error, HONE_INPUT, "");
            bytes_free(&file);
        }
}

static void names_the_place_of_a_fault(void **state)
{
    (void)state;
    const char *twice = "{" SPAN("abc", 2, 0, 2) "," SPAN("abc", 2, 2, 4) "}";
    bytes file = build_safetensors(twice, strlen(twice), 4);
    hone_error error = {0};
    assert_int_equal(open_and_read_all("x.safetensors", file, &error), HONE_INPUT);
    assert_int_equal(error.offset, 8 + (strstr(twice + 2, "\"abc\"") + 1 - twice));
    bytes_free(&file);

    const char *shape = SHAPE("[1, x]");
    file = build_safetensors(shape, strlen(shape), 4);
    assert_int_equal(open_and_read_all("x.safetensors", file, &error), HONE_INPUT);
    assert_int_equal(error.offset, 8 + (strchr(shape, 'x') - shape));
    bytes_free(&file);
}

static void bounds_the_number_of_tensors(void **state)
{
    (void)state;
    size_t count = HONE_MAX_TENSORS + 1, room = count * 64, at = 1;
    char *header = take_memory(room);
    header[0] = '{';
    for (size_t i = 0; i < count; i++)
        at += (size_t)snprintf(header + at, room - at,
                               "%s\"%zu\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}",
                               i > 0 ? "," : "", i);
    header[at++] = '}';
    bytes file = build_safetensors(header, at, 0);
    free(header);
    hone_error error = {0};
    expect_error("too many tensors", open_and_read_all("x.safetensors", file, &error), &error,
                 HONE_INPUT, "more than 262144 tensors");
    bytes_free(&file);
}

/* Four tensors of four types, written by hone. */
static bytes four_tensors(void)
{
    static const float values[6] = {0, 0.25F, -1.5F, 3, 4, 1e-3F};
    const hone_tensor_out tensors[] = {
        {"wide", HONE_F32, HONE_F32, 2, {2, 3}, values, NULL, NULL},
        {"half", HONE_F16, HONE_F32, 1, {5}, values, NULL, NULL},
        {"brain", HONE_BF16, HONE_F32, 1, {3}, values, NULL, NULL},
        {"scalar", HONE_F32, HONE_F32, 0, {0}, values + 1, NULL, NULL},
    };
    hone_error error;
    expect_ok("writing", hone_safetensors_write(scratch("four.safetensors"), tensors, 4, &error),
              &error);
    return bytes_load(scratch("four.safetensors"));
}

static void rejects_a_file_cut_at_any_byte(void **state)
{
    (void)state;
    bytes whole = four_tensors();
    hone_error error = {0};
    expect_ok("the whole file", open_and_read_all("x.safetensors", whole, &error), &error);
    for (size_t size = 0; size < whole.size; size++) {
        bytes cut = bytes_new(whole.data, size);
        expect_error("a cut file", open_and_read_all("x.safetensors", cut, &error), &error,
                     HONE_INPUT, "");
        bytes_free(&cut);
    }
    bytes longer = bytes_new(NULL, whole.size + 1);
    memcpy(longer.data, whole.data, whole.size);
    longer.data[whole.size] = ' ';
    expect_error("a longer file", open_and_read_all("x.safetensors", longer, &error), &error,
                 HONE_INPUT, "overlong");
    bytes_free(&longer);
    bytes_free(&whole);
}

static void survives_every_bit_flip_of_the_header(void **state)
{
    (void)state;
    bytes whole = four_tensors();
    size_t header = 8 + whole.data[0] + 256 * (size_t)whole.data[1], rejected = 0;
    assert_true(header < whole.size);
    for (size_t bit = 0; bit < header * 8; bit++) {
        bytes flipped = bytes_new(whole.data, whole.size);
        flipped.data[bit / 8] ^= (unsigned char)(1u << bit % 8);
        hone_error error = {0};
        hone_status status = open_and_read_all("x.safetensors", flipped, &error);
        assert_true(status == HONE_OK || status == HONE_INPUT);
        rejected += status == HONE_INPUT;
        bytes_free(&flipped);
    }
    /* Names and blanks may change; lengths, types, shapes and offsets may not. */
    assert_true(rejected > header * 8 / 2);
    bytes_free(&whole);
}

/* ---- writing ---- */

static void ramp(void *context, int64_t start, int64_t n, float *out)
{
    float first = *(const float *)context;
    for (int64_t i = 0; i < n; i++)
        out[i] = first + (float)((start + i) % 1024) / 4;
}

static void round_trips_each_float_type(void **state)
{
    (void)state;
    static const hone_dtype types[] = {HONE_F32, HONE_F16, HONE_BF16};
    /* More elements than a piece of the writer or a window of the reader holds. */
    enum { N = 100003 };
    float first = 0, *in = take_memory(N * sizeof *in), *out = take_memory(N * sizeof *out);
    ramp(&first, 0, N, in);
    for (int t = 0; t < 3; t++)
        for (int filled = 0; filled < 2; filled++) {
            hone_tensor_out tensor = {"t", types[t], HONE_F32, 1, {N}, in, NULL, NULL};
            if (filled) {
                tensor.fill = ramp;
                tensor.context = &first;
                tensor.data = NULL;
            }
            const char *path = scratch("ramp.safetensors");
            hone_error error;
            hone_weight_source *source;
            expect_ok("writing", hone_safetensors_write(path, &tensor, 1, &error), &error);
            expect_ok("opening", hone_weight_source_open(path, "", &source, &error), &error);
            const hone_stored_tensor *stored = hone_weight_source_find(source, "t");
            assert_int_equal(stored->dtype, types[t]);
            memset(out, 0xFF, N * sizeof *out);
            expect_ok("reading", hone_weight_source_read(source, stored, HONE_F32, out, &error),
                      &error);
            for (int i = 0; i < N; i++) {
                float expected;
                uint32_t rounded[1];
                hone_convert(HONE_F32, &in[i], types[t], rounded, 1);
                hone_convert(types[t], rounded, HONE_F32, &expected, 1);
                assert_true(out[i] == expected);
            }
            hone_weight_source_close(source);
        }
    free(in);
    free(out);
}

static void keeps_what_is_not_finite(void **state)
{
    (void)state;
    static const uint32_t bits[4] = {0x7F800000u, 0xFF800000u, 0x7FC00000u, 0x80000000u};
    const hone_tensor_out tensor = {"t", HONE_F32, HONE_F32, 1, {4}, bits, NULL, NULL};
    const char *path = scratch("nan.safetensors");
    uint32_t out[4];
    hone_error error;
    hone_weight_source *source;
    expect_ok("writing", hone_safetensors_write(path, &tensor, 1, &error), &error);
    expect_ok("opening", hone_weight_source_open(path, "", &source, &error), &error);
    expect_ok(
        "reading",
        hone_weight_source_read(source, hone_weight_source_at(source, 0), HONE_F32, out, &error),
        &error);
    assert_memory_equal(out, bits, sizeof out);
    hone_weight_source_close(source);
}

static void writes_the_bytes_of_the_reference_writer(void **state)
{
    (void)state;
    bytes expected = bytes_load("tests/unit/file/fixtures/reference.safetensors");
    static const int64_t ids[4] = {0, 1, 2, 3};
    static const unsigned char mask[3] = {1, 0, 1};
    static const double wide[3] = {1, 1.25, 1.5};
    float plain[6], half[5], brain[7], scalar = 2.5F, odd = 0;
    for (int i = 0; i < 7; i++) {
        if (i < 6)
            plain[i] = (float)(i + 1) / 4;
        if (i < 5)
            half[i] = (float)(i + 2) / 4;
        brain[i] = (float)(i + 3) / 4;
    }
    const hone_tensor_out tensors[] = {
        {"ids", HONE_I64, HONE_I64, 1, {4}, ids, NULL, NULL},
        {"plain", HONE_F32, HONE_F32, 2, {2, 3}, plain, NULL, NULL},
        {"half", HONE_F16, HONE_F32, 1, {5}, half, NULL, NULL},
        {"brain", HONE_BF16, HONE_F32, 1, {7}, brain, NULL, NULL},
        {"double", HONE_F64, HONE_F64, 1, {3}, wide, NULL, NULL},
        {"scalar", HONE_F32, HONE_F32, 0, {0}, &scalar, NULL, NULL},
        {"empty", HONE_F32, HONE_F32, 2, {0, 3}, NULL, NULL, NULL},
        {"mask", HONE_BOOL, HONE_BOOL, 1, {3}, mask, NULL, NULL},
        {"nai\"ve\n\xc3\xaf", HONE_F32, HONE_F32, 1, {1}, &odd, NULL, NULL},
    };
    const char *path = scratch("reference.safetensors");
    hone_error error;
    for (int again = 0; again < 2; again++) {
        expect_ok("writing", hone_safetensors_write(path, tensors, 9, &error), &error);
        bytes found = bytes_load(path);
        assert_int_equal(found.size, expected.size);
        assert_memory_equal(found.data, expected.data, expected.size);
        bytes_free(&found);
    }
    bytes_free(&expected);
}

static void refuses_to_write_what_it_would_not_read(void **state)
{
    (void)state;
    static const float x[4] = {0};
    static const struct {
        const char *message;
        hone_tensor_out tensor;
    } cases[] = {
        {"expected a name", {NULL, HONE_F32, HONE_F32, 1, {1}, x, NULL, NULL}},
        {"expected a name", {"__metadata__", HONE_F32, HONE_F32, 1, {1}, x, NULL, NULL}},
        {"expected a name", {"\xff", HONE_F32, HONE_F32, 1, {1}, x, NULL, NULL}},
        {"none negative", {"t", HONE_F32, HONE_F32, 1, {-1}, x, NULL, NULL}},
        {"at most 8 dimensions", {"t", HONE_F32, HONE_F32, 9, {1}, x, NULL, NULL}},
        {"less than 2^63", {"t", HONE_F32, HONE_F32, 2, {1LL << 32, 1LL << 31}, x, NULL, NULL}},
        {"less than 2^63", {"t", HONE_F32, HONE_F32, 2, {1LL << 62, 4}, x, NULL, NULL}},
        {"has no data", {"t", HONE_F32, HONE_F32, 1, {1}, NULL, NULL, NULL}},
        {"no conversion to I64", {"t", HONE_I64, HONE_F32, 1, {1}, x, NULL, NULL}},
        {"no conversion to F32", {"t", HONE_F32, HONE_I8, 1, {1}, x, NULL, NULL}},
        {"no conversion to F64", {"t", HONE_F64, HONE_F32, 1, {1}, x, NULL, NULL}},
        {"no conversion to I32", {"t", HONE_I32, HONE_F32, 1, {1}, NULL, ramp, NULL}},
        {"unknown dtype", {"t", HONE_DTYPE_COUNT, HONE_F32, 1, {1}, x, NULL, NULL}},
        {"'ok' twice", {"ok", HONE_F32, HONE_F32, 1, {1}, x, NULL, NULL}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_tensor_out both[] = {{"ok", HONE_F32, HONE_F32, 1, {1}, x, NULL, NULL},
                                  cases[i].tensor};
        const char *path = scratch("refused.safetensors");
        hone_error error = {0};
        expect_error(cases[i].message, hone_safetensors_write(path, both, 2, &error), &error,
                     HONE_USAGE, cases[i].message);
        assert_int_not_equal(access(path, F_OK), 0);
    }
    hone_error error = {0};
    expect_error("no folder", hone_safetensors_write("/nowhere/x.safetensors", NULL, 0, &error),
                 &error, HONE_IO, "cannot create");
}

static void writes_any_name_that_it_reads(void **state)
{
    (void)state;
    static const char *const names[] = {"", "\x01\x1f\x7f", "\b\f\n\r\t\"\\/", "\xf0\x9f\x98\x80"};
    static const float value = 1;
    hone_tensor_out tensors[4];
    for (int i = 0; i < 4; i++)
        tensors[i] = (hone_tensor_out){names[i], HONE_F32, HONE_F32, 0, {0}, &value, NULL, NULL};
    hone_error error;
    hone_weight_source *source;
    const char *path = scratch("names.safetensors");
    expect_ok("writing", hone_safetensors_write(path, tensors, 4, &error), &error);
    expect_ok("opening", hone_weight_source_open(path, "", &source, &error), &error);
    for (int i = 0; i < 4; i++)
        assert_non_null(hone_weight_source_find(source, names[i]));
    hone_weight_source_close(source);
}

static void writes_a_file_without_tensors(void **state)
{
    (void)state;
    hone_error error;
    hone_weight_source *source;
    const char *path = scratch("none.safetensors");
    expect_ok("writing", hone_safetensors_write(path, NULL, 0, &error), &error);
    expect_ok("opening", hone_weight_source_open(path, "", &source, &error), &error);
    assert_int_equal(hone_weight_source_count(source), 0);
    assert_string_equal(hone_weight_source_metadata(source, "format"), "pt");
    assert_null(hone_weight_source_metadata(source, "other"));
    hone_weight_source_close(source);
}

static void survives_every_failed_allocation(void **state)
{
    (void)state;
    bytes whole = four_tensors();
    float first = 1;
    hone_tensor_out tensor = {"t", HONE_F16, HONE_F32, 2, {3, 5}, NULL, ramp, &first};
    hone_error error = {0};
    long n = 0;
    do {
        fail_allocation(++n);
        hone_status status = open_and_read_all("x.safetensors", whole, &error);
        assert_int_equal(status, fail_allocation(0) ? HONE_MEMORY : HONE_OK);
        if (status == HONE_OK)
            break;
    } while (n < 1000);
    assert_in_range(n, 5, 999);
    hone_weight_source *source;
    const char *path = scratch("memory.safetensors");
    for (n = 1; n < 1000; n++) {
        fail_allocation(n);
        hone_status status = hone_safetensors_write(path, &tensor, 1, &error);
        assert_int_equal(status, fail_allocation(0) ? HONE_MEMORY : HONE_OK);
        /* Under its name there is nothing or the whole file, never a part. */
        if (access(path, F_OK) == 0) {
            expect_ok("opening", hone_weight_source_open(path, "", &source, &error), &error);
            hone_weight_source_close(source);
            unlink(path);
        } else {
            assert_int_equal(status, HONE_MEMORY);
        }
        if (status == HONE_OK)
            break;
    }
    assert_in_range(n, 5, 999);
    bytes_free(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_every_legal_header),
        cmocka_unit_test(rejects_each_fault_of_a_header),
        cmocka_unit_test(rejects_each_fault_of_the_length),
        cmocka_unit_test(rejects_fields_of_any_other_type),
        cmocka_unit_test(names_the_place_of_a_fault),
        cmocka_unit_test(bounds_the_number_of_tensors),
        cmocka_unit_test(rejects_a_file_cut_at_any_byte),
        cmocka_unit_test(survives_every_bit_flip_of_the_header),
        cmocka_unit_test(round_trips_each_float_type),
        cmocka_unit_test(keeps_what_is_not_finite),
        cmocka_unit_test(writes_the_bytes_of_the_reference_writer),
        cmocka_unit_test(refuses_to_write_what_it_would_not_read),
        cmocka_unit_test(writes_any_name_that_it_reads),
        cmocka_unit_test(writes_a_file_without_tensors),
        cmocka_unit_test(survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
