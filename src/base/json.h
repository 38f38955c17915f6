/* JSON values. The library behind it (Jansson) is seen by json.c alone. Reading is strict: UTF-8,
 * no duplicate keys, at most 64 levels, integers exact, nothing after the value. */
#ifndef HONE_BASE_JSON_H
#define HONE_BASE_JSON_H

#include "base/failure.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct hone_json hone_json;

typedef enum hone_json_type {
    HONE_JSON_NULL,
    HONE_JSON_BOOL,
    HONE_JSON_INTEGER,
    HONE_JSON_REAL,
    HONE_JSON_STRING,
    HONE_JSON_ARRAY,
    HONE_JSON_OBJECT
} hone_json_type;

/* Parses length bytes; `file` and `line` are only named in errors (line of the first byte, or 1).
 */
hone_status hone_json_parse(const char *text, size_t length, const char *file, int64_t line,
                            hone_json **out, hone_error *error);
/* Reads and parses a file of at most limit bytes. */
hone_status hone_json_load(const char *path, size_t limit, hone_json **out, hone_error *error);
void hone_json_free(hone_json *value); /* drops one reference; takes NULL */

hone_json_type hone_json_type_of(const hone_json *value);
const char *hone_json_type_name(hone_json_type type); /* "a string", "an object": for messages */
/* Borrowed member or element, or NULL. */
hone_json *hone_json_get(const hone_json *object, const char *key);
hone_json *hone_json_at(const hone_json *array, size_t index);
size_t hone_json_size(const hone_json *container); /* of an array or object */
/* Value of a scalar; false when it has another type (an integer is a real too). */
bool hone_json_bool(const hone_json *value, bool *out);
bool hone_json_integer(const hone_json *value, int64_t *out);
bool hone_json_real(const hone_json *value, double *out);
/* Borrowed text of a string with its length (it may hold NUL), or NULL. length may be NULL. */
const char *hone_json_string(const hone_json *value, size_t *length);
/* Members in file order: start with *cursor = NULL; false at the end. */
bool hone_json_next(const hone_json *object, void **cursor, const char **key, hone_json **value);

/* Builders: NULL / false when out of memory. Adding consumes the reference to value, also on
 * failure, and accepts value = NULL as a failure, so that calls nest. */
hone_json *hone_json_new_object(void);
hone_json *hone_json_new_array(void);
hone_json *hone_json_new_null(void);
hone_json *hone_json_new_bool(bool value);
hone_json *hone_json_new_integer(int64_t value);
hone_json *hone_json_new_real(double value); /* must be finite */
hone_json *hone_json_new_string(const char *text);
hone_json *hone_json_new_string_n(const char *text, size_t length); /* NULL if not UTF-8 too */
hone_json *hone_json_share(const hone_json *value);                 /* adds a reference */
bool hone_json_set(hone_json *object, const char *key, hone_json *value);
bool hone_json_append(hone_json *array, hone_json *value);

typedef struct hone_json_format {
    int indent;     /* 0: one line */
    bool sort_keys; /* else in order of adding */
    int digits;     /* significant digits of reals: 9 for logs, 17 for state */
} hone_json_format;

/* Text of a value, NUL-terminated, free with hone_free; NULL when out of memory. */
char *hone_json_dump(const hone_json *value, hone_json_format format);

#endif
