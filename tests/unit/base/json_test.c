/* JSON reading is strict and exact, its errors name the place, and writing reads back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static hone_json *parse(const char *text)
{
    hone_json *value;
    hone_error error;
    hone_status status = hone_json_parse(text, strlen(text), "t.json", 1, &value, &error);
    if (status != HONE_OK)
        fail_msg("%s: %s", text, error.message);
    return value;
}

static void refuses_what_is_not_strict_json(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t line;
        const char *says;
    } cases[] = {
        {"", 5, "JSON"},
        {"{\"a\":1,\n\"a\":2}", 6, "uplicate"},
        {"[1,2]\n\n x", 7, "end of file"},
        {"[1,]", 5, "JSON"},
        {"{'a':1}", 5, "JSON"},
        {"[NaN]", 5, "NaN"},
        {"[-Infinity]", 5, "JSON"},
        {"[99999999999999999999]", 5, "integer"},
        {"[1e999]", 5, "overflow"},
        {"[01]", 5, "JSON"},
        {"[\n\n\"\xff\"]", 7, "0xff"},
        {"[\"\\ud800\"]", 5, "JSON"},
        {"[\"a\nb\"]", 5, "JSON"},
        {"\xef\xbb\xbf{}", 5, "JSON"},
        {"// x\n1", 5, "JSON"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_json *value = (hone_json *)(uintptr_t)1;
        hone_error error;
        hone_status status =
            hone_json_parse(cases[i].text, strlen(cases[i].text), "rows.jsonl", 5, &value, &error);
        print_message("[%s] -> %s\n", cases[i].text, error.message);
        assert_int_equal(status, HONE_INPUT);
        assert_null(value);
        assert_string_equal(error.file, "rows.jsonl");
        assert_int_equal(error.line, cases[i].line);
        assert_non_null(strstr(error.message, cases[i].says));
    }
}

static void nesting_stops_at_64_levels_without_recursion(void **state)
{
    (void)state;
    enum { LONG = 10000000 };
    char *text = malloc(LONG);
    assert_non_null(text);
    memset(text, '[', LONG);
    hone_json *value;
    hone_error error;
    assert_int_equal(hone_json_parse(text, LONG, "deep", 1, &value, &error), HONE_INPUT);
    assert_non_null(strstr(error.message, "64"));
    assert_int_equal(error.offset, 64);
    memset(text + 64, ']', 64);
    assert_int_equal(hone_json_parse(text, 128, "deep", 1, &value, &error), HONE_OK);
    hone_json_free(value);
    free(text);
    /* Brackets inside a string are text, also after an escaped quote. */
    char quoted[256] = "[\"\\\"";
    memset(quoted + 4, '[', 100);
    memcpy(quoted + 104, "\"]", 3);
    hone_json_free(parse(quoted));
}

static void values_keep_type_order_and_exactness(void **state)
{
    (void)state;
    hone_json *value = parse("{\"z\":9007199254740993,\"a\":1.5,\"m\":[true,null,\"x\\u0000y\"]}");
    static const char *const keys[] = {"z", "a", "m"};
    void *cursor = NULL;
    const char *key;
    hone_json *member;
    size_t seen = 0;
    while (hone_json_next(value, &cursor, &key, &member))
        assert_string_equal(key, keys[seen++]);
    assert_int_equal(seen, 3);
    int64_t integer;
    double real;
    bool flag;
    size_t length;
    assert_true(hone_json_integer(hone_json_get(value, "z"), &integer));
    assert_true(integer == 9007199254740993);
    assert_false(hone_json_integer(hone_json_get(value, "a"), &integer));
    assert_true(hone_json_real(hone_json_get(value, "z"), &real));
    assert_true(hone_json_real(hone_json_get(value, "a"), &real) && real == 1.5);
    const hone_json *list = hone_json_get(value, "m");
    assert_int_equal(hone_json_size(list), 3);
    assert_true(hone_json_bool(hone_json_at(list, 0), &flag) && flag);
    assert_int_equal(hone_json_type_of(hone_json_at(list, 1)), HONE_JSON_NULL);
    assert_memory_equal(hone_json_string(hone_json_at(list, 2), &length), "x\0y", 3);
    assert_int_equal(length, 3);
    assert_null(hone_json_at(list, 3));
    assert_null(hone_json_get(value, "none"));
    assert_null(hone_json_string(hone_json_get(value, "none"), NULL));
    assert_false(hone_json_bool(NULL, &flag));
    hone_json_free(value);
}

static void dump_uses_the_chosen_digits_and_order(void **state)
{
    (void)state;
    hone_json *object = hone_json_new_object();
    hone_json *list = hone_json_new_array();
    assert_true(hone_json_append(list, hone_json_new_real(0.1)));
    assert_true(hone_json_append(list, hone_json_new_real(3)));
    assert_true(hone_json_append(list, hone_json_new_integer(-7)));
    assert_true(hone_json_append(list, hone_json_new_null()));
    assert_true(hone_json_set(object, "z", list));
    assert_true(hone_json_set(object, "a", hone_json_new_bool(true)));
    assert_false(hone_json_set(object, "bad", hone_json_new_string_n("\xff", 1)));
    assert_null(hone_json_new_real(0.0 / 0.0 * 1.0));
    static const struct {
        hone_json_format format;
        const char *text;
    } cases[] = {
        {{0, false, 9}, "{\"z\":[0.1,3.0,-7,null],\"a\":true}"},
        {{0, true, 17}, "{\"a\":true,\"z\":[0.10000000000000001,3.0,-7,null]}"},
        {{2, false, 9},
         "{\n  \"z\": [\n    0.1,\n    3.0,\n    -7,\n    null\n  ],\n  \"a\": true\n}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = hone_json_dump(object, cases[i].format);
        assert_string_equal(text, cases[i].text);
        hone_free(text);
    }
    hone_json_free(object);
}

static void a_raw_nul_is_refused_wherever_it_stands(void **state)
{
    (void)state;
    static const char *const texts[] = {"1@",  "[1@]", "[1@,2]", "\"a@b\"", "{\"a@\":1}",
                                        "@[]", "[]@",  "[1.5@]", "[true@]", "\n\n[@]"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char text[32];
        size_t length = strlen(texts[i]);
        memcpy(text, texts[i], length);
        char *nul = memchr(text, '@', length);
        *nul = '\0';
        hone_json *value;
        hone_error error;
        assert_int_equal(hone_json_parse(text, length, "t", 1, &value, &error), HONE_INPUT);
        assert_null(value);
        assert_non_null(strstr(error.message, "NUL"));
        assert_int_equal(error.offset, nul - text);
        assert_int_equal(error.line, i == 9 ? 3 : 1);
        *nul = ' ';
        if (hone_json_parse(text, length, "t", 1, &value, &error) == HONE_OK)
            hone_json_free(value);
    }
}

static struct {
    size_t calls, refused;
    bool for_ever;
    long blocks;
} hook;

static void *failing(void *context, void *block, size_t old_size, size_t new_size)
{
    (void)context;
    (void)old_size;
    if (new_size == 0) {
        hook.blocks -= block != NULL;
        free(block);
        return NULL;
    }
    size_t call = hook.calls++;
    if (call == hook.refused || (hook.for_ever && call > hook.refused))
        return NULL;
    hook.blocks += block == NULL;
    return realloc(block, new_size);
}

/* Parses text with the n-th allocation refused, n = 0, 1, ... until none is; the number tried. */
static size_t sweep(const char *text, hone_status result, bool for_ever)
{
    const hone_allocator allocator = {failing, NULL, NULL, NULL};
    hone_memory_set_allocator(&allocator);
    memset(&hook, 0, sizeof hook);
    hook.for_ever = for_ever;
    for (;; hook.refused++) {
        hone_json *value;
        hone_error error;
        hook.calls = 0;
        hone_status status = hone_json_parse(text, strlen(text), "t", 1, &value, &error);
        bool reached = hook.calls > hook.refused;
        assert_true(status == HONE_OK || value == NULL);
        hone_json_free(value);
        assert_int_equal(hook.blocks, 0);
        assert_int_equal(status, reached ? HONE_MEMORY : result);
        if (!reached)
            break;
    }
    hone_memory_set_allocator(NULL);
    return hook.refused;
}

static void running_out_of_memory_is_told_as_such(void **state)
{
    (void)state;
    static char longest[70000];
    memset(longest, 'x', sizeof longest - 1);
    longest[0] = longest[sizeof longest - 2] = '"';
    const struct {
        const char *text;
        hone_status result;
        size_t least;
    } cases[] = {
        {"{\"key\":[1,2.5,\"some text\",{\"x\":[[],{}]}],"
         "\"another key\":{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5}}",
         HONE_OK, 20},
        {"12", HONE_OK, 2},
        {"12345678901234567", HONE_OK, 3},
        {"[0.12345678901234567890123456789012345678901234567890123456789e1]", HONE_OK, 5},
        {"[\"fifteen bytes\",\"sixteen bytes!\",\"more than sixteen bytes, and then more than "
         "thirty-two, and then some more than sixty-four\"]",
         HONE_OK, 9},
        {"[\"\\u00e4\\ud83d\\ude00 \\\" \\\\ \\n \xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80"
         "\xf0\x9f\x98\x80\xf0\x9f\x98\x80\"]",
         HONE_OK, 5},
        {"123456789012345\xf0\x9f\x98\x80", HONE_INPUT, 2},
        {"[\"an unfinished string, longer than the buffer, that ends in a backslash \\", HONE_INPUT,
         3},
        {"[\"an unfinished string that is longer than the buffer", HONE_INPUT, 3},
        {longest, HONE_OK, 10},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int for_ever = 0; for_ever < 2; for_ever++) {
            size_t tried = sweep(cases[i].text, cases[i].result, for_ever);
            if (tried < cases[i].least)
                fail_msg("%.40s: %zu allocations", cases[i].text, tried);
        }
}

static void half_a_text_is_never_written(void **state)
{
    (void)state;
    const hone_allocator allocator = {failing, NULL, NULL, NULL};
    hone_json_format format = {2, true, 9};
    hone_memory_set_allocator(&allocator);
    memset(&hook, 0, sizeof hook);
    hook.refused = SIZE_MAX;
    hone_json *value = parse("{\"a key so long that every buffer must grow while it is copied\":7,"
                             "\"key\":[1,2.5,\"some text\",{\"x\":[[],{}]}]}");
    for (int for_ever = 0; for_ever < 2; for_ever++) {
        hook.for_ever = for_ever;
        hook.refused = 0;
        for (bool reached = true; reached; hook.refused++) {
            hook.calls = 0;
            char *text = hone_json_dump(value, format);
            reached = hook.calls > hook.refused;
            assert_true((text == NULL) == reached);
            hone_free(text);
        }
        assert_true(hook.refused > 3);
    }
    hone_json_free(value);
    assert_int_equal(hook.blocks, 0);
    hone_memory_set_allocator(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_what_is_not_strict_json),
        cmocka_unit_test(nesting_stops_at_64_levels_without_recursion),
        cmocka_unit_test(values_keep_type_order_and_exactness),
        cmocka_unit_test(dump_uses_the_chosen_digits_and_order),
        cmocka_unit_test(a_raw_nul_is_refused_wherever_it_stands),
        cmocka_unit_test(running_out_of_memory_is_told_as_such),
        cmocka_unit_test(half_a_text_is_never_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
