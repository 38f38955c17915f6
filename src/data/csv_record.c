/* See csv_record.h. A quoted field is walked over from quote to quote: two in a row are content,
 * one is its end. */
#include "data/csv_record.h"

#include "base/memory.h"

#include <string.h>

#define MOST_COLUMNS 1024 /* as many as a row of JSON may have keys */

/* The offset behind the quote that ends a quoted field whose content goes on at `at`, or 0 where
 * the text ends before. */
static size_t closing_quote(const char *text, size_t length, size_t at, bool *doubled)
{
    while (at < length) {
        const char *quote = memchr(text + at, '"', length - at);
        if (quote == NULL)
            return 0;
        at = (size_t)(quote - text) + 1;
        if (at == length || text[at] != '"')
            return at;
        *doubled = true;
        at++;
    }
    return 0;
}

/* The end of a field without quotes: its comma, the end of the text, or a quote. */
static size_t plain_end(const char *text, size_t length, size_t at)
{
    while (at < length && text[at] != ',' && text[at] != '"')
        at++;
    return at;
}

bool hone_csv_ends(bool *inside, const char *line, size_t length)
{
    bool quoted = *inside, doubled = false;
    *inside = false;
    for (size_t at = 0;; at++) { /* over the comma */
        if (!quoted && at < length && line[at] == '"') {
            quoted = true;
            at++;
        }
        if (quoted) {
            at = closing_quote(line, length, at, &doubled);
            *inside = at == 0;
        } else {
            at = plain_end(line, length, at);
        }
        quoted = false;
        if (*inside || at >= length || line[at] != ',')
            return !*inside;
    }
}

void hone_csv_record_init(hone_csv_record *record, const char *text, size_t length)
{
    *record = (hone_csv_record){.text = text, .length = length};
}

static bool problem(hone_csv_record *record, const char *message)
{
    record->problem = message;
    return false;
}

bool hone_csv_next(hone_csv_record *record, hone_csv_field *field)
{
    const char *text = record->text;
    size_t length = record->length, start = record->at;
    if (record->ended)
        return false;
    *field = (hone_csv_field){.text = text + start};
    if (start < length && text[start] == '"') {
        size_t end = closing_quote(text, length, start + 1, &field->doubled);
        if (end == 0)
            return problem(record, "a quoted field without its end");
        field->text++;
        field->length = end - start - 2;
        record->at = end;
        if (end < length && text[end] != ',')
            return problem(record, "text after a closing quote; quotes inside a field are doubled");
    } else {
        record->at = plain_end(text, length, start);
        field->length = record->at - start;
        if (record->at < length && text[record->at] == '"')
            return problem(record, "a quote in a field that does not begin with one; put the "
                                   "field in quotes and double those inside");
    }
    record->ended = record->at == length;
    record->at += !record->ended; /* over the comma */
    return true;
}

size_t hone_csv_decode(const hone_csv_field *field, char *out)
{
    size_t used = 0;
    for (size_t i = 0; i < field->length; i++) {
        out[used++] = field->text[i];
        i += field->doubled && field->text[i] == '"'; /* over the second */
    }
    return used;
}

void hone_csv_header_deinit(hone_csv_header *header)
{
    hone_free(header->text);
    hone_free(header->names);
    *header = (hone_csv_header){0};
}

static bool is_known(const hone_csv_header *header, const char *name, size_t length)
{
    for (size_t i = 0; i < header->count; i++)
        if (header->names[i].length == length && memcmp(header->names[i].text, name, length) == 0)
            return true;
    return false;
}

static hone_status read_names(hone_csv_header *header, hone_csv_record *record, const char *file,
                              int64_t line, hone_error *error)
{
    hone_csv_field field;
    size_t used = 0, capacity = 0;
    while (hone_csv_next(record, &field)) {
        void *names = header->names;
        if (header->count == MOST_COLUMNS)
            return hone_fail_at(error, HONE_INPUT, file, line, -1, "more than %d columns",
                                MOST_COLUMNS);
        if (!hone_array_reserve(&names, &capacity, header->count + 1, sizeof field))
            return hone_fail_memory(error, "columns", header->count * sizeof field);
        header->names = names;
        char *name = header->text + used;
        size_t length = hone_csv_decode(&field, name);
        if (is_known(header, name, length))
            return hone_fail_at(error, HONE_INPUT, file, line, -1,
                                "column %zu has the name of an earlier one; each needs its own",
                                header->count + 1);
        header->names[header->count++] = (hone_csv_field){.text = name, .length = length};
        used += length;
    }
    if (record->problem != NULL)
        return hone_fail_at(error, HONE_INPUT, file, line, -1,
                            "%s, at byte %zu of the record that names the columns", record->problem,
                            record->at + 1);
    return HONE_OK;
}

hone_status hone_csv_header_read(hone_csv_header *header, const char *text, size_t length,
                                 const char *file, int64_t line, hone_error *error)
{
    hone_csv_record record;
    *header = (hone_csv_header){.text = hone_alloc(length + 1)};
    if (header->text == NULL)
        return hone_fail_memory(error, "columns", length);
    hone_csv_record_init(&record, text, length);
    hone_status status = read_names(header, &record, file, line, error);
    if (status != HONE_OK)
        hone_csv_header_deinit(header);
    return status;
}
