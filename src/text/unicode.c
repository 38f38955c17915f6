/* Character classes: see unicode.h. Categories come from utf8proc; letters and numbers that newer
 * versions of Unicode have added are listed here, so that ids don't depend on the version that is
 * installed. The classes as a whole are those of Unicode 16, which HF tokenizers 0.23 has too. */
#include "text/unicode.h"

#include <utf8proc.h>

typedef struct class_range {
    uint32_t first, last;
    hone_char_class class;
} class_range;

/* Source: UCD 16.0 DerivedGeneralCategory.txt, less what is assigned in 15.0. */
static const class_range additions[] = {
    {0x1C89, 0x1C8A, HONE_CHAR_LETTER},   {0xA7CB, 0xA7CD, HONE_CHAR_LETTER},
    {0xA7DA, 0xA7DC, HONE_CHAR_LETTER},   {0x105C0, 0x105F3, HONE_CHAR_LETTER},
    {0x10D40, 0x10D49, HONE_CHAR_NUMBER}, {0x10D4A, 0x10D65, HONE_CHAR_LETTER},
    {0x10D6F, 0x10D85, HONE_CHAR_LETTER}, {0x10EC2, 0x10EC4, HONE_CHAR_LETTER},
    {0x11380, 0x11389, HONE_CHAR_LETTER}, {0x1138B, 0x1138B, HONE_CHAR_LETTER},
    {0x1138E, 0x1138E, HONE_CHAR_LETTER}, {0x11390, 0x113B5, HONE_CHAR_LETTER},
    {0x113B7, 0x113B7, HONE_CHAR_LETTER}, {0x113D1, 0x113D1, HONE_CHAR_LETTER},
    {0x113D3, 0x113D3, HONE_CHAR_LETTER}, {0x116D0, 0x116E3, HONE_CHAR_NUMBER},
    {0x11BC0, 0x11BE0, HONE_CHAR_LETTER}, {0x11BF0, 0x11BF9, HONE_CHAR_NUMBER},
    {0x13460, 0x143FA, HONE_CHAR_LETTER}, {0x16100, 0x1611D, HONE_CHAR_LETTER},
    {0x16130, 0x16139, HONE_CHAR_NUMBER}, {0x16D40, 0x16D6C, HONE_CHAR_LETTER},
    {0x16D70, 0x16D79, HONE_CHAR_NUMBER}, {0x18CFF, 0x18CFF, HONE_CHAR_LETTER},
    {0x1CCF0, 0x1CCF9, HONE_CHAR_NUMBER}, {0x1E5D0, 0x1E5ED, HONE_CHAR_LETTER},
    {0x1E5F0, 0x1E5F0, HONE_CHAR_LETTER}, {0x1E5F1, 0x1E5FA, HONE_CHAR_NUMBER},
    {0x2EBF0, 0x2EE5D, HONE_CHAR_LETTER},
};

static hone_char_class class_of_addition(uint32_t code)
{
    size_t low = 0, high = sizeof additions / sizeof additions[0];
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (code > additions[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    bool inside = low < sizeof additions / sizeof additions[0] && code >= additions[low].first;
    return inside ? additions[low].class : HONE_CHAR_OTHER;
}

static bool is_space(uint32_t code)
{
    return (code >= 0x09 && code <= 0x0D) || code == 0x20 || code == 0x85 || code == 0xA0 ||
           code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 ||
           code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

hone_char_class hone_unicode_class(uint32_t code)
{
    if (code > 0x10FFFF)
        return HONE_CHAR_OTHER;
    switch (utf8proc_category((utf8proc_int32_t)code)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO: return HONE_CHAR_LETTER;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO: return HONE_CHAR_NUMBER;
    case UTF8PROC_CATEGORY_CN: return class_of_addition(code);
    default: return is_space(code) ? HONE_CHAR_SPACE : HONE_CHAR_OTHER;
    }
}

bool hone_unicode_is_word(uint32_t code)
{
    if (code > 0x10FFFF)
        return false;
    switch (utf8proc_category((utf8proc_int32_t)code)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC: return true;
    case UTF8PROC_CATEGORY_NO: return false;
    case UTF8PROC_CATEGORY_CF: return code == 0x200C || code == 0x200D;
    case UTF8PROC_CATEGORY_SO: /* circled and squared letters are alphabetic */
        return (code >= 0x24B6 && code <= 0x24E9) || (code >= 0x1F130 && code <= 0x1F149) ||
               (code >= 0x1F150 && code <= 0x1F169) || (code >= 0x1F170 && code <= 0x1F189);
    default: {
        hone_char_class class = hone_unicode_class(code);
        return class == HONE_CHAR_LETTER || class == HONE_CHAR_NUMBER;
    }
    }
}

const char *hone_unicode_category(uint32_t code)
{
    return code > 0x10FFFF ? "Cn" : utf8proc_category_string((utf8proc_int32_t)code);
}

uint32_t hone_unicode_simple_lower(uint32_t code)
{
    return code > 0x10FFFF ? code : (uint32_t)utf8proc_tolower((utf8proc_int32_t)code);
}

size_t hone_utf8_decode(const char *text, size_t length, uint32_t *code)
{
    const unsigned char *s = (const unsigned char *)text;
    unsigned lead = s[0];
    if (lead < 0x80) {
        *code = lead;
        return 1;
    }
    *code = HONE_CHAR_INVALID;
    size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || length < size)
        return 1;
    /* The second byte's range excludes overlong forms, surrogates and what is above U+10FFFF. */
    unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (s[1] < low || s[1] > high)
        return 1;
    uint32_t value = (lead & (0x7Fu >> size)) << 6 | (s[1] & 0x3Fu);
    for (size_t i = 2; i < size; i++) {
        if ((s[i] & 0xC0u) != 0x80u)
            return 1;
        value = value << 6 | (s[i] & 0x3Fu);
    }
    *code = value;
    return size;
}

size_t hone_utf8_last(const char *text, size_t length, uint32_t *code)
{
    for (size_t size = length < 4 ? length : 4; size > 1; size--)
        if (hone_utf8_decode(text + length - size, size, code) == size)
            return length - size;
    if (hone_utf8_decode(text + length - 1, 1, code) != 1)
        *code = HONE_CHAR_INVALID;
    return length - 1;
}

size_t hone_utf8_encode(uint32_t code, char *out)
{
    if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
        code = 0xFFFD;
    return (size_t)utf8proc_encode_char((utf8proc_int32_t)code, (utf8proc_uint8_t *)out);
}

size_t hone_unicode_decompose(uint32_t code, bool compatible, uint32_t out[HONE_DECOMPOSED])
{
    int boundary = 0;
    unsigned options = UTF8PROC_DECOMPOSE | (compatible ? UTF8PROC_COMPAT : 0);
    utf8proc_ssize_t count =
        utf8proc_decompose_char((utf8proc_int32_t)code, (utf8proc_int32_t *)out, HONE_DECOMPOSED,
                                (utf8proc_option_t)options, &boundary);
    if (count >= 0 && count <= HONE_DECOMPOSED)
        return (size_t)count;
    out[0] = code;
    return 1;
}

unsigned hone_unicode_combining_class(uint32_t code)
{
    utf8proc_propval_t class = utf8proc_get_property((utf8proc_int32_t)code)->combining_class;
    return (unsigned)class & 0xFF;
}

size_t hone_unicode_compose(uint32_t *codes, size_t count)
{
    utf8proc_ssize_t left = utf8proc_normalize_utf32(
        (utf8proc_int32_t *)codes, (utf8proc_ssize_t)count, UTF8PROC_COMPOSE | UTF8PROC_STABLE);
    return left >= 0 ? (size_t)left : count;
}
