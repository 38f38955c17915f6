/* A text that grows: pages and tables are written piece by piece, and whether memory sufficed is
 * asked once, at the end. */
#ifndef HONE_BASE_TEXT_H
#define HONE_BASE_TEXT_H

#include "base/failure.h"

#include <stdbool.h>
#include <stddef.h>

/* Zero is an empty one. */
typedef struct hone_text {
    char *bytes; /* NUL-terminated; NULL while nothing was added */
    size_t length, capacity;
    bool failed; /* memory ran out: what was added since is lost */
} hone_text;

void hone_text_put(hone_text *text, const char *bytes, size_t length);
void hone_text_add(hone_text *text, const char *string);
void hone_text_format(hone_text *text, const char *format, ...) HONE_PRINTF(2, 3);
/* HONE_MEMORY when something could not be added. */
hone_status hone_text_check(const hone_text *text, const char *what, hone_error *error);
/* Writes the file atomically, unless something could not be added. */
hone_status hone_text_write(const hone_text *text, const char *path, hone_error *error);
void hone_text_deinit(hone_text *text);

#endif
