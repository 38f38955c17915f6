/* UTF-8; the three classes of characters that the GPT-2 pattern distinguishes: \p{L}, \p{N} and \s,
 * and \w for added tokens that must stand alone; decomposition and composition. */
#ifndef HONE_TEXT_UNICODE_H
#define HONE_TEXT_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum hone_char_class {
    HONE_CHAR_OTHER,
    HONE_CHAR_LETTER, /* \p{L} */
    HONE_CHAR_NUMBER, /* \p{N} */
    HONE_CHAR_SPACE   /* \s, the property White_Space */
} hone_char_class;

#define HONE_CHAR_INVALID UINT32_MAX /* a byte that is not part of well-formed UTF-8 */

hone_char_class hone_unicode_class(uint32_t code); /* HONE_CHAR_INVALID is OTHER */
bool hone_unicode_is_word(uint32_t code);          /* \w: letters, marks, digits, connectors */

/* General category of the installed version: "Lu", "Po"; "Cn" where nothing is assigned. */
const char *hone_unicode_category(uint32_t code);
uint32_t hone_unicode_simple_lower(uint32_t code); /* code itself when it has none */

/* Bytes of the first character of text (length > 0). Where they are not well-formed UTF-8 (stray or
 * missing continuation, overlong, surrogate, above U+10FFFF) the first byte stands alone as
 * HONE_CHAR_INVALID. */
size_t hone_utf8_decode(const char *text, size_t length, uint32_t *code);
/* Start of the last character of text (length > 0), by the same rule. */
size_t hone_utf8_last(const char *text, size_t length, uint32_t *code);

/* Writes a character in UTF-8 (up to 4 bytes); what is none becomes U+FFFD. */
size_t hone_utf8_encode(uint32_t code, char *out);

#define HONE_DECOMPOSED 32 /* codes that one character makes at most, and to spare */

/* Full decomposition of a character, by compatibility too if asked for, in canonical order; returns
 * how many codes it is. */
size_t hone_unicode_decompose(uint32_t code, bool compatible, uint32_t out[HONE_DECOMPOSED]);
unsigned hone_unicode_combining_class(uint32_t code); /* 0 to 255 */
/* Composes decomposed codes in canonical order, in place; returns how many are left. */
size_t hone_unicode_compose(uint32_t *codes, size_t count);

#endif
