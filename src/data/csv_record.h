/* Comma-separated values as RFC 4180 has them: the first record names the columns; a field that
 * holds commas, quotes or line breaks stands in quotes, quotes inside it are doubled. Strict: a
 * quote anywhere else, or text after a closing quote, is an error. Blanks belong to their field. */
#ifndef HONE_DATA_CSV_RECORD_H
#define HONE_DATA_CSV_RECORD_H

#include "base/failure.h"

#include <stdbool.h>

/* Whether a record ends with this line, which is given without its line break. *inside tells
 * whether the line begins in the middle of a quoted field, and then whether the next one does;
 * false before a record. What is not well formed ends the record, so that an error stays on its
 * line. */
bool hone_csv_ends(bool *inside, const char *line, size_t length);

/* A field of a record, without its quotes, borrowed. */
typedef struct hone_csv_field {
    const char *text;
    size_t length;
    bool doubled; /* there are doubled quotes in it: decode it */
} hone_csv_field;

typedef struct hone_csv_record {
    const char *text;
    size_t length, at; /* at: where reading stands, or where the problem is */
    bool ended;
    const char *problem;
} hone_csv_record;

void hone_csv_record_init(hone_csv_record *record, const char *text, size_t length);
/* The next field; a record has one at least. False at its end, and with record->problem set where
 * it is not well formed. */
bool hone_csv_next(hone_csv_record *record, hone_csv_field *field);
/* Writes the content of a field to out, which has room for field->length bytes; its length. */
size_t hone_csv_decode(const hone_csv_field *field, char *out);

/* The names of the columns. */
typedef struct hone_csv_header {
    char *text;            /* all names, one after the other */
    hone_csv_field *names; /* (count), decoded */
    size_t count;
} hone_csv_header;

/* HONE_INPUT at file:line for names that are not well formed or repeated. */
hone_status hone_csv_header_read(hone_csv_header *header, const char *text, size_t length,
                                 const char *file, int64_t line, hone_error *error);
void hone_csv_header_deinit(hone_csv_header *header);

#endif
