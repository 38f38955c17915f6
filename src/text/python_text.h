/* What Python says of text, for metrics that are defined by what Python packages do: str.isspace,
 * str.lower, and the categories of the package regex. */
#ifndef HONE_TEXT_PYTHON_TEXT_H
#define HONE_TEXT_PYTHON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* str.isspace: \s of unicode.h and the separators U+001C to U+001F. */
bool hone_python_is_space(uint32_t code);
/* The first letter of the general category: 'P', 'S' and 'N' are of Unicode 17 (and some characters
 * of the next), others of the installed version. HONE_CHAR_INVALID is 'C'. */
char hone_python_category(uint32_t code);

/* Writes text as str.lower does (full mappings, a final sigma by what stands around it) and returns
 * its length. `out` has room for hone_python_lower_room(length) bytes. Bytes that are not UTF-8
 * stay. */
size_t hone_python_lower(const char *text, size_t length, char *out);
static inline size_t hone_python_lower_room(size_t length)
{
    return length + length / 2; /* two bytes become three at most */
}

/* The next word of text[*at .. length) as str.split finds it: true and a span that borrows from
 * text; *at goes behind it. */
bool hone_python_next_word(const char *text, size_t length, size_t *at, const char **word,
                           size_t *word_length);
/* Length without the white space at the end, as str.rstrip leaves it. */
size_t hone_python_rstrip(const char *text, size_t length);

#endif
