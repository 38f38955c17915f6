/* Extended grapheme clusters: what a reader takes for one character. */
#ifndef HONE_TEXT_GRAPHEME_H
#define HONE_TEXT_GRAPHEME_H

#include <stddef.h>
#include <stdint.h>

typedef enum hone_grapheme_class {
    HONE_GRAPHEME_OTHER,
    HONE_GRAPHEME_CR,
    HONE_GRAPHEME_LF,
    HONE_GRAPHEME_CONTROL,
    HONE_GRAPHEME_EXTEND,
    HONE_GRAPHEME_SPACING_MARK,
    HONE_GRAPHEME_ZWJ,
    HONE_GRAPHEME_PREPEND,
    HONE_GRAPHEME_REGIONAL,
    HONE_GRAPHEME_PICTOGRAPHIC,
    HONE_GRAPHEME_CONSONANT, /* of the scripts that join consonants by a virama */
    HONE_GRAPHEME_L,         /* Hangul: leading consonant, vowel, trailing consonant */
    HONE_GRAPHEME_V,
    HONE_GRAPHEME_T,
    HONE_GRAPHEME_LV, /* and syllables */
    HONE_GRAPHEME_LVT
} hone_grapheme_class;

typedef struct hone_grapheme_range {
    uint32_t first, last;
    hone_grapheme_class class;
} hone_grapheme_range;

/* Sorted and disjoint. */
extern const hone_grapheme_range hone_grapheme_ranges[];
extern const size_t hone_grapheme_range_count;

hone_grapheme_class hone_grapheme_class_of(uint32_t code);
/* Bytes of the first cluster of text (length > 0), which is well-formed UTF-8. */
size_t hone_grapheme_next(const char *text, size_t length);

#endif
