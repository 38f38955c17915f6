/* A text that grows: pages and tables are written piece by piece, and whether memory sufficed is
 * asked once, at the end. */
#ifndef HONE_BASE_STRING_BUILDER_H
#define HONE_BASE_STRING_BUILDER_H

#include "base/failure.h"

#include <stdbool.h>
#include <stddef.h>

/* Zero is an empty one. */
typedef struct hone_string {
    char *bytes; /* NUL-terminated; NULL while nothing was added */
    size_t length, capacity;
    bool failed; /* memory ran out: what was added since is lost */
} hone_string;

void hone_string_put(hone_string *text, const char *bytes, size_t length);
void hone_string_add(hone_string *text, const char *string);
void hone_string_format(hone_string *text, const char *format, ...) HONE_PRINTF(2, 3);
/* A JSON string with its quotes; bytes that are no UTF-8 become U+FFFD. */
void hone_string_json(hone_string *text, const char *bytes, size_t length);
/* HONE_MEMORY when something could not be added. */
hone_status hone_string_check(const hone_string *text, const char *what, hone_error *error);
/* Writes the file atomically, unless something could not be added. */
hone_status hone_string_write(const hone_string *text, const char *path, hone_error *error);
void hone_string_deinit(hone_string *text);

#endif
