/* Whether bytes are UTF-8 (RFC 3629: shortest forms, no surrogates, at most U+10FFFF). */
#ifndef HONE_BASE_UTF8_CHECK_H
#define HONE_BASE_UTF8_CHECK_H

#include <stddef.h>

/* Bytes of the character that starts at text[0] (1 to 4), or 0 when it is not valid; length > 0. */
size_t hone_utf8_length(const char *text, size_t length);
/* Length of the longest valid beginning: `length` when all is valid. */
size_t hone_utf8_valid(const char *text, size_t length);
/* Copies text; each byte that is none becomes U+FFFD. `out` has room for 3 * length bytes. Returns
 * the bytes written. */
size_t hone_utf8_repair(const char *text, size_t length, char *out);

#endif
