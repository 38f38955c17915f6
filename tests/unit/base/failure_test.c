/* An error is shown with its place, and nothing in it steers a terminal or forges a line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/failure.h"

#include <stdio.h>
#include <string.h>

static void an_error_is_shown_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        int64_t line, offset;
        const char *shown;
    } cases[] = {
        {"", -1, -1, "m"},      {"", 3, 4, "m"},       {"f", -1, -1, "f: m"},
        {"f", 3, -1, "f:3: m"}, {"f", 3, 4, "f:3: m"}, {"f", -1, 0, "f: m (byte 0)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_error error;
        char text[64];
        assert_int_equal(
            hone_fail_at(&error, HONE_INPUT, cases[i].file, cases[i].line, cases[i].offset, "m"),
            HONE_INPUT);
        hone_error_format(&error, text, sizeof text);
        assert_string_equal(text, cases[i].shown);
    }
}

static void control_bytes_are_spelt_out(void **state)
{
    (void)state;
    static const struct {
        const char *text, *shown;
    } cases[] = {
        {"\x1b[2J\x1b]0;title\x07", "\\x1b[2J\\x1b]0;title\\x07"},
        {"a\tb\rc\x7f", "a\\x09b\\x0dc\\x7f"},
        {"name\nhone: all is well", "name\\x0ahone: all is well"},
        {"list:\n  one\n  two\n", "list:\n  one\n  two\\x0a"},
        {"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80 stay",
         "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80 stay"},
        {"\xc2\x9b"
         "2J",
         "\\xc2\\x9b2J"}, /* a control character beyond ASCII */
        {"\xff\xc3(\xed\xa0\x80\xc0\x80", "\\xff\\xc3(\\xed\\xa0\\x80\\xc0\\x80"},
        {"cut \xf0\x9f\x98", "cut \\xf0\\x9f\\x98"},
        {"a \\ stays", "a \\ stays"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_error error;
        char text[128], expected[128];
        hone_fail_at(&error, HONE_INPUT, "f\x1b", 1, -1, "%s", cases[i].text);
        hone_error_format(&error, text, sizeof text);
        snprintf(expected, sizeof expected, "f\\x1b:1: %s", cases[i].shown);
        assert_string_equal(text, expected);
    }
}

static void a_small_buffer_gets_a_beginning(void **state)
{
    (void)state;
    hone_error error;
    hone_fail_at(&error, HONE_INPUT, "file", -1, 12, "a\x1b\xc3\xa4z");
    static const char whole[] = "file: a\\x1b\xc3\xa4z (byte 12)";
    for (size_t size = 1; size < sizeof whole + 4; size++) {
        char text[64];
        memset(text, '#', sizeof text);
        hone_error_format(&error, text, size);
        size_t length = strlen(text);
        assert_true(length < size && length < sizeof whole);
        assert_memory_equal(text, whole, length > 13 ? 13 : length);
        assert_int_equal(text[size], '#');
        if (size >= sizeof whole)
            assert_string_equal(text, whole);
    }
    char nothing = '#';
    hone_error_format(&error, &nothing, 0);
    assert_int_equal(nothing, '#');
}

static char heard[4096];

static void hear(void *context, hone_log_level level, const char *message)
{
    (void)context;
    (void)level;
    snprintf(heard, sizeof heard, "%s", message);
}

static void remarks_are_spelt_out_too(void **state)
{
    (void)state;
    hone_log_set(hear, NULL);
    hone_log(HONE_LOG_WARNING, "the key \"%s\"", "\x1b[0m");
    hone_log_set(NULL, NULL);
    assert_string_equal(heard, "the key \"\\x1b[0m\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_is_shown_with_its_place),
        cmocka_unit_test(control_bytes_are_spelt_out),
        cmocka_unit_test(a_small_buffer_gets_a_beginning),
        cmocka_unit_test(remarks_are_spelt_out_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
