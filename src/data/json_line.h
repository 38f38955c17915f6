/* One JSON object on one line, member after member, without building a tree: a line of 16 MiB costs
 * no memory but its own, whatever it holds, and an unused member is only checked and passed over.
 * Strict as base/json.h is: RFC 8259, valid UTF-8, paired surrogates, at most 64 levels, nothing
 * after the object. Repeated keys are for the caller to see. */
#ifndef HONE_DATA_JSON_LINE_H
#define HONE_DATA_JSON_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum hone_json_line_type {
    HONE_JSON_LINE_STRING,
    HONE_JSON_LINE_NUMBER,
    HONE_JSON_LINE_BOOL,
    HONE_JSON_LINE_NULL,
    HONE_JSON_LINE_ARRAY,
    HONE_JSON_LINE_OBJECT
} hone_json_line_type;

/* A checked value, borrowed from the line: a string without its quotes, else the source text. */
typedef struct hone_json_line_value {
    hone_json_line_type type;
    bool escaped; /* a string with backslashes: decode it; others are their own content */
    const char *text;
    size_t length;
} hone_json_line_value;

typedef struct hone_json_line {
    const char *text;
    size_t length, at; /* at: where reading stands, or where the problem is */
    const char *problem;
    bool started;
} hone_json_line;

void hone_json_line_init(hone_json_line *line, const char *text, size_t length);
/* The next member. False at the end of the object, and with line->problem set when the text is not
 * JSON; "not an object" included. */
bool hone_json_line_next(hone_json_line *line, hone_json_line_value *key,
                         hone_json_line_value *value);
/* Writes the content of a string to out, which has room for value->length bytes; its length. */
size_t hone_json_line_decode(const hone_json_line_value *value, char *out);
/* Walks an ARRAY of integers: start with *cursor = 0. 1: *number is set; 0: the end; -1: the
 * element is no integer of 64 bits. */
int hone_json_line_integer(const hone_json_line_value *array, size_t *cursor, int64_t *number);
/* The same for an ARRAY of strings; -1: the element is no string. */
int hone_json_line_string(const hone_json_line_value *array, size_t *cursor,
                          hone_json_line_value *string);
const char *hone_json_line_type_name(hone_json_line_type type); /* "a string": for messages */

#endif
