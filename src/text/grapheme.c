/* Cutting text into grapheme clusters: see grapheme.h.
 * Source: Unicode Standard Annex 29, revision 47, rules GB3 to GB13 with 9a to 9c. */
#include "text/grapheme.h"

#include "text/unicode.h"

#include <stdbool.h>

/* What the rules that look back further than one character need to know. */
typedef struct cluster {
    hone_grapheme_class last;
    bool pictographic; /* a pictograph, then marks, then perhaps a joiner */
    bool consonant;    /* a consonant, then marks and viramas */
    bool virama;       /* one at least among them */
    bool paired;       /* the last regional indicator ends a pair */
} cluster;

hone_grapheme_class hone_grapheme_class_of(uint32_t code)
{
    if (code < 0x80) {
        if (code == '\r')
            return HONE_GRAPHEME_CR;
        if (code == '\n')
            return HONE_GRAPHEME_LF;
        return code < 0x20 || code == 0x7F ? HONE_GRAPHEME_CONTROL : HONE_GRAPHEME_OTHER;
    }
    if (code >= 0xAC00 && code <= 0xD7A3)
        return (code - 0xAC00) % 28 == 0 ? HONE_GRAPHEME_LV : HONE_GRAPHEME_LVT;
    size_t low = 0, high = hone_grapheme_range_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (code > hone_grapheme_ranges[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    bool inside = low < hone_grapheme_range_count && code >= hone_grapheme_ranges[low].first;
    return inside ? hone_grapheme_ranges[low].class : HONE_GRAPHEME_OTHER;
}

/* InCB=Linker. */
static bool is_virama(uint32_t code)
{
    static const uint32_t viramas[] = {0x94D,   0x9CD,   0xACD,   0xB4D,   0xC4D,   0xD4D,  0x1039,
                                       0x17D2,  0x1A60,  0x1B44,  0x1BAB,  0xA9C0,  0xAAF6, 0x10A3F,
                                       0x11133, 0x113D0, 0x1193E, 0x11A47, 0x11A99, 0x11F42};
    for (size_t i = 0; i < sizeof viramas / sizeof viramas[0]; i++)
        if (viramas[i] == code)
            return true;
    return false;
}

static bool is_control(hone_grapheme_class class)
{
    return class == HONE_GRAPHEME_CONTROL || class == HONE_GRAPHEME_CR || class == HONE_GRAPHEME_LF;
}

static bool hangul_joins(hone_grapheme_class a, hone_grapheme_class b)
{
    switch (a) {
    case HONE_GRAPHEME_L:
        return b == HONE_GRAPHEME_L || b == HONE_GRAPHEME_V || b == HONE_GRAPHEME_LV ||
               b == HONE_GRAPHEME_LVT;
    case HONE_GRAPHEME_LV:
    case HONE_GRAPHEME_V: return b == HONE_GRAPHEME_V || b == HONE_GRAPHEME_T;
    case HONE_GRAPHEME_LVT:
    case HONE_GRAPHEME_T: return b == HONE_GRAPHEME_T;
    default: return false;
    }
}

static bool joins(const cluster *c, hone_grapheme_class next)
{
    if (c->last == HONE_GRAPHEME_CR && next == HONE_GRAPHEME_LF)
        return true;
    if (is_control(c->last) || is_control(next))
        return false;
    if (hangul_joins(c->last, next))
        return true;
    if (next == HONE_GRAPHEME_EXTEND || next == HONE_GRAPHEME_ZWJ ||
        next == HONE_GRAPHEME_SPACING_MARK || c->last == HONE_GRAPHEME_PREPEND)
        return true;
    if (next == HONE_GRAPHEME_CONSONANT)
        return c->consonant && c->virama;
    if (next == HONE_GRAPHEME_PICTOGRAPHIC)
        return c->pictographic && c->last == HONE_GRAPHEME_ZWJ;
    return next == HONE_GRAPHEME_REGIONAL && c->last == HONE_GRAPHEME_REGIONAL && !c->paired;
}

static void add(cluster *c, hone_grapheme_class class, uint32_t code)
{
    bool mark = class == HONE_GRAPHEME_EXTEND || class == HONE_GRAPHEME_ZWJ;
    c->paired = class == HONE_GRAPHEME_REGIONAL && c->last == HONE_GRAPHEME_REGIONAL && !c->paired;
    /* A joiner ends the marks behind a pictograph; what follows it is another one or nothing. */
    c->pictographic = class == HONE_GRAPHEME_PICTOGRAPHIC ||
                      (c->pictographic && mark && c->last != HONE_GRAPHEME_ZWJ);
    if (class == HONE_GRAPHEME_CONSONANT) {
        c->consonant = true;
        c->virama = false;
    } else if (is_virama(code)) {
        c->virama = c->consonant;
    } else if (!mark || code == 0x200C) { /* InCB=Extend is every other mark */
        c->consonant = c->virama = false;
    }
    c->last = class;
}

size_t hone_grapheme_next(const char *text, size_t length)
{
    uint32_t code;
    cluster c = {0};
    size_t at = hone_utf8_decode(text, length, &code);
    add(&c, hone_grapheme_class_of(code), code);
    while (at < length) {
        size_t size = hone_utf8_decode(text + at, length - at, &code);
        hone_grapheme_class next = hone_grapheme_class_of(code);
        if (!joins(&c, next))
            break;
        add(&c, next, code);
        at += size;
    }
    return at;
}
