/* The GPT-2 pattern by hand: see pretokenize.h. A match is an optional space and a run of one
 * class, a contraction, or white space; ASCII is classified by a table, the rest decoded. */
#include "text/pretokenize.h"

#include "text/unicode.h"

#define O HONE_CHAR_OTHER
#define L HONE_CHAR_LETTER
#define N HONE_CHAR_NUMBER
#define S HONE_CHAR_SPACE
#define H 4 /* not ASCII: decode */

#define H16 H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H

static const unsigned char ascii_class[256] = {
    O, O, O, O, O, O, O, O, O, S, S, S, S, S,   O,   O,   O,   O,   O,   O,   O,  O, O,
    O, O, O, O, O, O, O, O, O, S, O, O, O, O,   O,   O,   O,   O,   O,   O,   O,  O, O,
    O, O, N, N, N, N, N, N, N, N, N, N, O, O,   O,   O,   O,   O,   O,   L,   L,  L, L,
    L, L, L, L, L, L, L, L, L, L, L, L, L, L,   L,   L,   L,   L,   L,   L,   L,  L, O,
    O, O, O, O, O, L, L, L, L, L, L, L, L, L,   L,   L,   L,   L,   L,   L,   L,  L, L,
    L, L, L, L, L, L, L, L, O, O, O, O, O, H16, H16, H16, H16, H16, H16, H16, H16};

/* Class of the character at text[at], and its size. */
static inline unsigned classify(const char *text, size_t length, size_t at, size_t *size)
{
    unsigned class = ascii_class[(unsigned char)text[at]];
    *size = 1;
    if (class == H) {
        uint32_t code;
        *size = hone_utf8_decode(text + at, length - at, &code);
        class = hone_unicode_class(code);
    }
    return class;
}

/* End of the run of `class` that goes on at text[at]. */
static inline size_t run_end(const char *text, size_t length, size_t at, unsigned class)
{
    for (;;) {
        while (at < length && ascii_class[(unsigned char)text[at]] == class)
            at++;
        size_t size;
        if (at >= length || ascii_class[(unsigned char)text[at]] != H ||
            classify(text, length, at, &size) != class)
            return at;
        at += size;
    }
}

static size_t contraction(const char *text, size_t length)
{
    if (length < 2)
        return 0;
    char a = text[1], b = length > 2 ? text[2] : '\0';
    if (a == 's' || a == 't' || a == 'm' || a == 'd')
        return 2;
    return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

/* A run of white space that starts with a character of `size` bytes. When something follows, its
 * last character is left to what follows, unless it is the only one. */
static size_t white_space(const char *text, size_t length, size_t size)
{
    size_t end = size, last = 0;
    while (end < length && classify(text, length, end, &size) == S) {
        last = end;
        end += size;
    }
    return end < length && last > 0 ? last : end;
}

size_t hone_pretokenize_next(const char *text, size_t length)
{
    size_t size;
    unsigned class = classify(text, length, 0, &size);
    if (class == S) {
        if (text[0] != ' ' || length < 2)
            return white_space(text, length, size);
        size_t next;
        class = classify(text, length, 1, &next);
        if (class == S)
            return white_space(text, length, size);
        return run_end(text, length, 1 + next, class);
    }
    if (text[0] == '\'') {
        size_t short_form = contraction(text, length);
        if (short_form > 0)
            return short_form;
    }
    return run_end(text, length, size, class);
}
