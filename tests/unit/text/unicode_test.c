/* UTF-8 is decoded strictly and classes are those of Unicode 16, which HF tokenizers 0.23 has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "text/unicode.h"

#include <string.h>

static void decodes_well_formed_characters_and_single_invalid_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        uint32_t code;
    } cases[] = {
        {"a", 1, 'a'},
        {"\x7f", 1, 0x7F},
        {"\xc2\x80", 2, 0x80},
        {"\xdf\xbf", 2, 0x7FF},
        {"\xe0\xa0\x80", 3, 0x800},
        {"\xed\x9f\xbf", 3, 0xD7FF},
        {"\xee\x80\x80", 3, 0xE000},
        {"\xef\xbf\xbf", 3, 0xFFFF},
        {"\xf0\x90\x80\x80", 4, 0x10000},
        {"\xf4\x8f\xbf\xbf", 4, 0x10FFFF},
        {"\x80", 1, HONE_CHAR_INVALID},
        {"\xbf", 1, HONE_CHAR_INVALID},
        {"\xc0\x80", 1, HONE_CHAR_INVALID},         /* overlong */
        {"\xc1\xbf", 1, HONE_CHAR_INVALID},         /* overlong */
        {"\xe0\x9f\xbf", 1, HONE_CHAR_INVALID},     /* overlong */
        {"\xf0\x8f\xbf\xbf", 1, HONE_CHAR_INVALID}, /* overlong */
        {"\xed\xa0\x80", 1, HONE_CHAR_INVALID},     /* surrogate */
        {"\xf4\x90\x80\x80", 1, HONE_CHAR_INVALID}, /* above U+10FFFF */
        {"\xf5\x80\x80\x80", 1, HONE_CHAR_INVALID},
        {"\xff", 1, HONE_CHAR_INVALID},
        {"\xc2", 1, HONE_CHAR_INVALID},         /* cut short */
        {"\xe2\x82", 1, HONE_CHAR_INVALID},     /* cut short */
        {"\xf0\x9f\x98", 1, HONE_CHAR_INVALID}, /* cut short */
        {"\xc2z", 1, HONE_CHAR_INVALID},
        {"\xe2\x82z", 1, HONE_CHAR_INVALID},
        {"\xf0\x9f\x98z", 1, HONE_CHAR_INVALID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t code;
        assert_int_equal(hone_utf8_decode(cases[i].bytes, strlen(cases[i].bytes), &code),
                         cases[i].size);
        assert_int_equal(code, cases[i].code);
    }
}

static void finds_the_last_character(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t start;
        uint32_t code;
    } cases[] = {
        {"ab", 1, 'b'},
        {"a\xc3\xa9", 1, 0xE9},
        {"\xe3\x80\x80", 0, 0x3000},
        {"a\xf0\x9f\x98\x80", 1, 0x1F600},
        {"\xe3\xc3\xa9", 1, 0xE9},
        {"a\xe3\x80", 2, HONE_CHAR_INVALID},
        {"\xc3\xa9\xa9", 2, HONE_CHAR_INVALID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t code;
        assert_int_equal(hone_utf8_last(cases[i].bytes, strlen(cases[i].bytes), &code),
                         cases[i].start);
        assert_int_equal(code, cases[i].code);
    }
}

/* The sum is FNV-1a over the classes (0 other, 1 letter, 2 number) of all scalar values in order,
 * taken from the splits that tokenizers 0.23.3 makes. */
static void letters_and_numbers_are_those_of_hf_tokenizers(void **state)
{
    (void)state;
    uint64_t sum = 0xCBF29CE484222325u;
    size_t letters = 0, numbers = 0;
    for (uint32_t code = 0; code < 0x110000; code++) {
        if (code >= 0xD800 && code < 0xE000)
            continue;
        hone_char_class class = hone_unicode_class(code);
        letters += class == HONE_CHAR_LETTER;
        numbers += class == HONE_CHAR_NUMBER;
        sum = (sum ^ (class == HONE_CHAR_SPACE ? 0 : class)) * 0x100000001B3u;
    }
    assert_int_equal(letters, 141028);
    assert_int_equal(numbers, 1911);
    assert_true(sum == 0xC622283B48AE41E3u);
}

static void space_is_the_property_white_space(void **state)
{
    (void)state;
    static const uint32_t spaces[] = {0x9,    0xA,    0xB,    0xC,    0xD,    0x20,   0x85,
                                      0xA0,   0x1680, 0x2000, 0x2001, 0x2002, 0x2003, 0x2004,
                                      0x2005, 0x2006, 0x2007, 0x2008, 0x2009, 0x200A, 0x2028,
                                      0x2029, 0x202F, 0x205F, 0x3000};
    size_t found = 0;
    for (uint32_t code = 0; code < 0x110000; code++)
        if (hone_unicode_class(code) == HONE_CHAR_SPACE) {
            assert_true(found < sizeof spaces / sizeof *spaces);
            assert_int_equal(code, spaces[found++]);
        }
    assert_int_equal(found, sizeof spaces / sizeof *spaces);
    assert_int_equal(hone_unicode_class(HONE_CHAR_INVALID), HONE_CHAR_OTHER);
}

static void word_characters_are_letters_marks_digits_and_connectors(void **state)
{
    (void)state;
    static const struct {
        uint32_t code;
        bool word;
    } cases[] = {
        {'a', true},
        {'_', true},
        {'7', true},
        {'-', false},
        {' ', false},
        {0xE9, true},
        {0xAA, true},
        {0xB2, false},
        {0x301, true},
        {0x2167, true},
        {0x203F, true},
        {0x200D, true},
        {0x200B, false},
        {0x24D0, true},
        {0x1F170, true},
        {0x1F600, false},
        {0x4E2D, true},
        {0x10D40, true},
        {HONE_CHAR_INVALID, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (hone_unicode_is_word(cases[i].code) != cases[i].word)
            fail_msg("U+%04X", cases[i].code);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_well_formed_characters_and_single_invalid_bytes),
        cmocka_unit_test(finds_the_last_character),
        cmocka_unit_test(letters_and_numbers_are_those_of_hf_tokenizers),
        cmocka_unit_test(space_is_the_property_white_space),
        cmocka_unit_test(word_characters_are_letters_marks_digits_and_connectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
