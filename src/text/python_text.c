/* Python's view of text: see python_text.h. */
#include "text/python_text.h"

#include "text/unicode.h"

#include <string.h>

typedef struct category_range {
    uint32_t first, last;
    char category;
} category_range;

/* Punctuation, symbols and numbers that Unicode 15 has not assigned.
 * Source: UCD 17.0 DerivedGeneralCategory.txt, as the package regex 2026.11 has it. */
static const category_range newer[] = {
    {0x1B4E, 0x1B4F, 'P'},   {0x1B7F, 0x1B7F, 'P'},   {0x20C1, 0x20C4, 'S'},
    {0x2427, 0x2429, 'S'},   {0x2B96, 0x2B96, 'S'},   {0x2E60, 0x2E63, 'P'},
    {0x2FFC, 0x2FFF, 'S'},   {0x31E4, 0x31E5, 'S'},   {0x31EF, 0x31EF, 'S'},
    {0xFBC3, 0xFBD2, 'S'},   {0xFD90, 0xFD91, 'S'},   {0xFDC8, 0xFDCE, 'S'},
    {0x10D40, 0x10D49, 'N'}, {0x10D6E, 0x10D6E, 'P'}, {0x10D8E, 0x10D8F, 'S'},
    {0x10EC9, 0x10ECA, 'S'}, {0x10ED0, 0x10ED0, 'P'}, {0x10ED1, 0x10ED8, 'S'},
    {0x113D4, 0x113D5, 'P'}, {0x113D7, 0x113D8, 'P'}, {0x116D0, 0x116E3, 'N'},
    {0x11BE1, 0x11BE1, 'P'}, {0x11BF0, 0x11BF9, 'N'}, {0x11DE0, 0x11DE9, 'N'},
    {0x1246F, 0x1246F, 'N'}, {0x12475, 0x1247F, 'N'}, {0x12550, 0x12686, 'N'},
    {0x16130, 0x16139, 'N'}, {0x16D6D, 0x16D6F, 'P'}, {0x16D70, 0x16D79, 'N'},
    {0x16FF4, 0x16FF6, 'N'}, {0x1CC00, 0x1CCEF, 'S'}, {0x1CCF0, 0x1CCF9, 'N'},
    {0x1CCFA, 0x1CCFC, 'S'}, {0x1CD00, 0x1CEB3, 'S'}, {0x1CEBA, 0x1CED0, 'S'},
    {0x1CED2, 0x1CED4, 'S'}, {0x1CEDD, 0x1CEFD, 'S'}, {0x1D1EB, 0x1D1FF, 'S'},
    {0x1D253, 0x1D25A, 'S'}, {0x1D25D, 0x1D25E, 'S'}, {0x1D260, 0x1D27F, 'S'},
    {0x1DB00, 0x1DB1C, 'S'}, {0x1E5F1, 0x1E5FA, 'N'}, {0x1E5FF, 0x1E5FF, 'P'},
    {0x1F1AE, 0x1F1AE, 'S'}, {0x1F6D8, 0x1F6D9, 'S'}, {0x1F777, 0x1F77A, 'S'},
    {0x1F7DA, 0x1F7DB, 'S'}, {0x1F7F1, 0x1F7FF, 'S'}, {0x1F8B2, 0x1F8BB, 'S'},
    {0x1F8C0, 0x1F8C1, 'S'}, {0x1F8D0, 0x1F8D8, 'S'}, {0x1FA54, 0x1FA57, 'S'},
    {0x1FA89, 0x1FA8F, 'S'}, {0x1FABE, 0x1FABE, 'S'}, {0x1FAC6, 0x1FAC6, 'S'},
    {0x1FAC8, 0x1FAC8, 'S'}, {0x1FACC, 0x1FACD, 'S'}, {0x1FADC, 0x1FADD, 'S'},
    {0x1FADF, 0x1FADF, 'S'}, {0x1FAE9, 0x1FAEB, 'S'}, {0x1FAEF, 0x1FAEF, 'S'},
    {0x1FAF9, 0x1FAFA, 'S'}, {0x1FBCB, 0x1FBEF, 'S'}, {0x1FBFA, 0x1FBFA, 'S'},
};

bool hone_python_is_space(uint32_t code)
{
    return (code >= 0x1C && code <= 0x1F) || hone_unicode_class(code) == HONE_CHAR_SPACE;
}

char hone_python_category(uint32_t code)
{
    char category = hone_unicode_category(code)[0];
    size_t low = 0, high = sizeof newer / sizeof *newer;
    if (category != 'C' || code < newer[0].first)
        return category;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (code > newer[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    bool inside = low < sizeof newer / sizeof *newer && code >= newer[low].first;
    return inside ? newer[low].category : category;
}

/* The property Case_Ignorable: categories, and punctuation within words. */
static bool is_case_ignorable(uint32_t code)
{
    static const uint32_t marks[] = {0x27,   0x2E,   0x3A,   0xB7,   0x387,  0x55F,
                                     0x5F4,  0x2018, 0x2019, 0x2024, 0x2027, 0xFE13,
                                     0xFE52, 0xFE55, 0xFF07, 0xFF0E, 0xFF1A};
    static const char categories[][3] = {"Mn", "Me", "Cf", "Lm", "Sk"};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (code == marks[i])
            return true;
    const char *category = hone_unicode_category(code);
    for (size_t i = 0; i < sizeof categories / sizeof *categories; i++)
        if (strcmp(category, categories[i]) == 0)
            return true;
    return false;
}

/* The property Cased, of characters that are not Case_Ignorable. */
static bool is_cased(uint32_t code)
{
    const char *category = hone_unicode_category(code);
    return strcmp(category, "Lu") == 0 || strcmp(category, "Ll") == 0 ||
           strcmp(category, "Lt") == 0 || code == 0xAA || code == 0xBA ||
           (code >= 0x2160 && code <= 0x217F) || (code >= 0x24B6 && code <= 0x24E9) ||
           (code >= 0x1F130 && code <= 0x1F149) || (code >= 0x1F150 && code <= 0x1F169) ||
           (code >= 0x1F170 && code <= 0x1F189);
}

/* Whether a sigma at text[at] ends a word: a cased letter before it, and none after it, what is
 * ignorable aside (Unicode, table 3-17, Final_Sigma). */
static bool ends_word(const char *text, size_t length, size_t at, size_t size)
{
    uint32_t code;
    bool before = false;
    for (size_t end = at; end > 0;) {
        end = hone_utf8_last(text, end, &code);
        if (is_case_ignorable(code))
            continue;
        before = is_cased(code);
        break;
    }
    if (!before)
        return false;
    for (size_t next = at + size; next < length;) {
        next += hone_utf8_decode(text + next, length - next, &code);
        if (!is_case_ignorable(code))
            return !is_cased(code);
    }
    return true;
}

static size_t put(uint32_t code, char *out)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t size = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = size - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3F));
    out[0] = (char)((0xF00 >> size & 0xFF) | code);
    return size;
}

size_t hone_python_lower(const char *text, size_t length, char *out)
{
    size_t used = 0, size;
    for (size_t at = 0; at < length; at += size) {
        uint32_t code = (unsigned char)text[at];
        size = 1;
        if (code < 0x80) {
            out[used++] = (char)(code >= 'A' && code <= 'Z' ? code + 32 : code);
            continue;
        }
        size = hone_utf8_decode(text + at, length - at, &code);
        if (code == HONE_CHAR_INVALID) {
            out[used++] = text[at];
        } else if (code == 0x130) { /* I with a dot: i and a dot above */
            memcpy(out + used, "i\xCC\x87", 3);
            used += 3;
        } else if (code == 0x3A3) {
            used += put(ends_word(text, length, at, size) ? 0x3C2 : 0x3C3, out + used);
        } else {
            used += put(hone_unicode_simple_lower(code), out + used);
        }
    }
    return used;
}

bool hone_python_next_word(const char *text, size_t length, size_t *at, const char **word,
                           size_t *word_length)
{
    size_t start = *at, end = *at, size;
    for (bool inside = false; end < length; end += size) {
        uint32_t code = (unsigned char)text[end];
        size = code < 0x80 ? 1 : hone_utf8_decode(text + end, length - end, &code);
        bool space =
            code < 0x80 ? code == ' ' || (code >= 9 && code <= 13) || (code >= 0x1C && code <= 0x1F)
                        : hone_python_is_space(code);
        if (space && inside)
            break;
        if (!space && !inside) {
            inside = true;
            start = end;
        }
        if (!inside)
            start = end + size;
    }
    *at = end;
    *word = text + start;
    *word_length = end - start;
    return end > start;
}

size_t hone_python_rstrip(const char *text, size_t length)
{
    while (length > 0) {
        uint32_t code;
        size_t start = hone_utf8_last(text, length, &code);
        if (!hone_python_is_space(code))
            break;
        length = start;
    }
    return length;
}
