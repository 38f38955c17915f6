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

static size_t allocations_left;
static bool fail_once, has_failed;

static void *failing(void *context, void *block, size_t old_size, size_t new_size)
{
    (void)context;
    (void)old_size;
    if (new_size == 0) {
        free(block);
        return NULL;
    }
    if (allocations_left == 0) {
        allocations_left = fail_once ? SIZE_MAX : 0;
        has_failed = true;
        return NULL;
    }
    allocations_left--;
    return realloc(block, new_size);
}

static void running_out_of_memory_is_told_as_such(void **state)
{
    (void)state;
    static const char text[] =
        "{\"a key so long that every buffer must grow while it is copied\":7,"
        "\"key\":[1,2.5,\"some text\",{\"x\":[[],{}]}],"
        "\"another key\":{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5}}";
    const hone_allocator allocator = {failing, NULL, NULL, NULL};
    hone_memory_set_allocator(&allocator);
    size_t n = 0;
    hone_json_format format = {2, false, 9};
    for (int once = 0; once < 2; once++) {
        fail_once = once;
        for (n = 0;; n++) {
            allocations_left = n;
            has_failed = false;
            hone_json *value;
            hone_error error;
            hone_status status = hone_json_parse(text, sizeof text - 1, "t", 1, &value, &error);
            allocations_left = SIZE_MAX;
            hone_json_free(value);
            if (!has_failed)
                break;
            assert_int_equal(status, HONE_MEMORY);
        }
    }
    hone_json *value;
    hone_error error;
    allocations_left = SIZE_MAX;
    assert_int_equal(hone_json_parse(text, sizeof text - 1, "t", 1, &value, &error), HONE_OK);
    for (size_t k = 0;; k++) { /* half a text is worse than none */
        allocations_left = k;
        has_failed = false;
        char *dump = hone_json_dump(value, format);
        allocations_left = SIZE_MAX;
        assert_true((dump == NULL) == has_failed);
        hone_free(dump);
        if (!has_failed)
            break;
    }
    hone_json_free(value);
    assert_true(n > 10);
    hone_memory_set_allocator(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_what_is_not_strict_json),
        cmocka_unit_test(nesting_stops_at_64_levels_without_recursion),
        cmocka_unit_test(values_keep_type_order_and_exactness),
        cmocka_unit_test(dump_uses_the_chosen_digits_and_order),
        cmocka_unit_test(running_out_of_memory_is_told_as_such),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
