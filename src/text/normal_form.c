/* Normalization forms: see normal_form.h. Text is taken in stretches that end before a character
 * which neither composes with what is before it nor moves, so that scratch stays small.
 * Source: Unicode Standard Annex 15; tables are utf8proc's, less what HF tokenizers 0.23 does not
 * know of: its tables are years older. */
#include "text/normal_form.h"

#include "text/unicode.h"

#include <stdbool.h>

/* Codes on their way. */
typedef struct codes {
    uint32_t *items, *sorted; /* (capacity) each */
    size_t count, capacity, sorted_capacity;
} codes;

/* Whether HF tokenizers takes the character for one that stays as and where it is: those that have
 * a decomposition or a combining class in Unicode 15 and came later than its tables. */
static bool is_later(uint32_t code)
{
    /* clang-format off */
    static const struct { uint32_t first, last; } later[] = {
        {0x7FD, 0x7FD}, {0x898, 0x89F}, {0x8CA, 0x8D3}, {0x9FE, 0x9FE}, {0xC3C, 0xC3C},
        {0xD3B, 0xD3C}, {0xEBA, 0xEBA}, {0x1715, 0x1715}, {0x1ABF, 0x1ACE}, {0x1DF6, 0x1DFA},
        {0x32FF, 0x32FF}, {0xA7F2, 0xA7F4}, {0xA82C, 0xA82C}, {0xAB69, 0xAB69},
        {0x10781, 0x10785}, {0x10787, 0x107B0}, {0x107B2, 0x107BA}, {0x10D24, 0x10D27},
        {0x10EAB, 0x10EAC}, {0x10EFD, 0x10EFF}, {0x10F46, 0x10F50}, {0x10F82, 0x10F85},
        {0x11070, 0x11070}, {0x1133B, 0x1133B}, {0x1145E, 0x1145E}, {0x11839, 0x1183A},
        {0x11938, 0x11938}, {0x1193D, 0x1193E}, {0x11943, 0x11943}, {0x119E0, 0x119E0},
        {0x11A34, 0x11A34}, {0x11A47, 0x11A47}, {0x11A99, 0x11A99}, {0x11D42, 0x11D42},
        {0x11D44, 0x11D45}, {0x11D97, 0x11D97}, {0x11F41, 0x11F42}, {0x16FF0, 0x16FF1},
        {0x1E030, 0x1E06D}, {0x1E08F, 0x1E08F}, {0x1E130, 0x1E136}, {0x1E2AE, 0x1E2AE},
        {0x1E2EC, 0x1E2EF}, {0x1E4EC, 0x1E4EF}, {0x1F16C, 0x1F16C}, {0x1FBF0, 0x1FBF9},
    };
    /* clang-format on */
    if (code < later[0].first)
        return false;
    for (size_t i = 0; i < sizeof later / sizeof later[0]; i++)
        if (code >= later[i].first && code <= later[i].last)
            return true;
    return false;
}

static unsigned combining_class(uint32_t code)
{
    return is_later(code) ? 0 : hone_unicode_combining_class(code);
}

static bool reserve(codes *c, size_t more)
{
    return hone_array_reserve((void **)&c->items, &c->capacity, c->count + more, sizeof *c->items);
}

/* Sorts marks by combining class, those of equal class as they were: by counting. */
static bool sort_marks(codes *c, uint32_t *marks, size_t count)
{
    size_t starts[257] = {0};
    if (count < 2)
        return true;
    if (!hone_array_reserve((void **)&c->sorted, &c->sorted_capacity, count, sizeof *c->sorted))
        return false;
    for (size_t i = 0; i < count; i++)
        starts[combining_class(marks[i]) + 1]++;
    for (size_t i = 1; i < 257; i++)
        starts[i] += starts[i - 1];
    for (size_t i = 0; i < count; i++)
        c->sorted[starts[combining_class(marks[i])]++] = marks[i];
    memcpy(marks, c->sorted, count * sizeof *marks);
    return true;
}

static bool sort_all_marks(codes *c)
{
    for (size_t at = 0; at < c->count; at++) {
        size_t start = at;
        while (at < c->count && combining_class(c->items[at]) > 0)
            at++;
        if (!sort_marks(c, c->items + start, at - start))
            return false;
    }
    return true;
}

/* Normalizes what has been gathered, and appends it. */
static bool flush(codes *c, bool compose, hone_text_buffer *out)
{
    if (!sort_all_marks(c) || !hone_text_buffer_reserve(out, 4 * c->count))
        return false;
    size_t count = compose && c->count > 0 ? hone_unicode_compose(c->items, c->count) : c->count;
    for (size_t i = 0; i < count; i++)
        out->length += hone_utf8_encode(c->items[i], out->text + out->length);
    c->count = 0;
    return true;
}

hone_status hone_normal_form_apply(hone_normal_form form, const char *text, size_t length,
                                   hone_text_buffer *out, hone_error *error)
{
    bool compatible = form == HONE_NFKD || form == HONE_NFKC;
    bool compose = form == HONE_NFC || form == HONE_NFKC, done = true;
    codes c = {0};
    for (size_t at = 0; at < length && done;) {
        uint32_t code, decomposed[HONE_DECOMPOSED];
        at += hone_utf8_decode(text + at, length - at, &code);
        /* ASCII and what is not known compose with nothing before them. */
        bool later = is_later(code);
        if (code < 0x80 || later)
            done = flush(&c, compose, out);
        size_t count = 1;
        decomposed[0] = code;
        if (!later)
            count = hone_unicode_decompose(code, compatible, decomposed);
        done = done && reserve(&c, count);
        for (size_t i = 0; i < count && done; i++)
            c.items[c.count++] = decomposed[i];
        if (later)
            done = done && flush(&c, compose, out);
    }
    done = done && flush(&c, compose, out);
    hone_free(c.items);
    hone_free(c.sorted);
    return done ? HONE_OK : hone_fail_memory(error, "normalized text", length);
}
