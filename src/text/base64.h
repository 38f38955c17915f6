/* Base64 as in RFC 4648, section 4. */
#ifndef HONE_TEXT_BASE64_H
#define HONE_TEXT_BASE64_H

#include <stdbool.h>
#include <stddef.h>

/* Decodes length characters, padded to a multiple of four, into out (3 bytes for each four
 * characters), which may be text; false for anything else. */
bool hone_base64_decode(const char *text, size_t length, char *out, size_t *size);

#endif
