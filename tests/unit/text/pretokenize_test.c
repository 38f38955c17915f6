/* Text is split as the GPT-2 pattern splits it. Pieces are shown with | between them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "text/pretokenize.h"

#include <stdlib.h>
#include <string.h>

static void splits_like_the_pattern(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "Hello| world",
        " Hello| ", /* white space at the end is one piece */
        "a|  | b",  /* the last space goes with what follows */
        "a| \n |\n|b",
        "\t|\t|x",
        "a|\t|b",
        "a| \t|\n|b",
        "   ",
        "don|'t",
        "you|'ve| I|'ll| we|'re| he|'d| I|'m| it|'s",
        "DON|'|T",
        "'s|'t|'re",
        "x| '|s", /* a space before it makes the apostrophe a sign */
        "''|s",
        "'|",
        "'|r",
        "'|l",
        "a|1|b|22| 333|c",
        "a|_|b| --|c| ...|\n",
        "x|^|2| +|\xc2\xb2", /* superscript two is a number */
        "na\xc3\xafve| \xe4\xb8\xad\xe6\x96\x87|\xe3\x80\x82",
        "a|\xe3\x80\x80|b", /* U+3000 never joins what follows */
        "a| |\xe3\x80\x80|b",
        "a|\xe3\x80\x80| b",
        "e|\xcc\x81| x",      /* a combining mark is no letter */
        "a|\xff\xfe| b|\xc3", /* invalid bytes are signs */
        "\xe2\x82|a",
        "a|\xc2\x85|b",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[128], split[256];
        size_t length = 0, used = 0;
        for (const char *c = cases[i]; *c != '\0'; c++)
            if (*c != '|')
                text[length++] = *c;
        for (size_t at = 0; at < length;) {
            /* A copy of the exact size, so that a sanitizer sees any byte read after the end. */
            char *rest = malloc(length - at);
            assert_non_null(rest);
            memcpy(rest, text + at, length - at);
            size_t size = hone_pretokenize_next(rest, length - at);
            assert_true(size > 0 && size <= length - at);
            memcpy(split + used, rest, size);
            used += size;
            split[used++] = '|';
            at += size;
            free(rest);
        }
        size_t wanted = strlen(cases[i]);
        used -= cases[i][wanted - 1] == '|' ? 0 : 1;
        split[used] = '\0';
        assert_string_equal(split, cases[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(splits_like_the_pattern)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
