/* The character map of a sentencepiece model (precompiled_charsmap): strings and what normalizing
 * makes of them. */
#ifndef HONE_TEXT_CHARSMAP_H
#define HONE_TEXT_CHARSMAP_H

#include "base/failure.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Read-only once built; zeroed: an empty map. */
typedef struct hone_charsmap {
    uint32_t
        *units; /* a double array as Darts-clone writes it; all places are checked on loading */
    size_t count;
    char *texts; /* NUL-terminated replacements, one after the other */
    size_t texts_size;
} hone_charsmap;

/* What a rule puts in place of the bytes it matches. */
typedef struct hone_charsmap_rule {
    size_t length; /* bytes matched; 0: no rule */
    const char *text;
    size_t text_length;
} hone_charsmap_rule;

/* Reads a blob; copies it. HONE_INPUT for one that could lead anywhere outside of it. Deinit also
 * after a failure. */
hone_status hone_charsmap_init(hone_charsmap *map, const char *blob, size_t size, const char *file,
                               hone_error *error);
void hone_charsmap_deinit(hone_charsmap *map);

/* The rules for the longest and for the shortest beginning of text that has one. */
hone_charsmap_rule hone_charsmap_longest(const hone_charsmap *map, const char *text, size_t length);
hone_charsmap_rule hone_charsmap_shortest(const hone_charsmap *map, const char *text,
                                          size_t length);
/* Whether some rule begins with `byte` and matches it alone or goes on with an ASCII byte. */
bool hone_charsmap_touches_ascii(const hone_charsmap *map, unsigned char byte);
/* Whether any rule begins with `byte`. */
bool hone_charsmap_begins(const hone_charsmap *map, unsigned char byte);

#endif
