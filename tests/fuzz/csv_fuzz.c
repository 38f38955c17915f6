/* A table of comma-separated values: its lines are put together to records as the reader of data
 * files does it, and read with the first as names. What a record says, written again with every
 * field in quotes, must say the same. */
#include "data/document_reader.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* Writes the record's fields in quotes; the length, or SIZE_MAX when it is not well formed. */
static size_t quote_all(const char *text, size_t length, char *out, size_t *fields)
{
    hone_csv_record record;
    hone_csv_field field;
    size_t used = 0;
    *fields = 0;
    hone_csv_record_init(&record, text, length);
    while (hone_csv_next(&record, &field)) {
        char *content = malloc(field.length + 1);
        require(content != NULL);
        size_t decoded = hone_csv_decode(&field, content);
        require(decoded <= field.length);
        if ((*fields)++ > 0)
            out[used++] = ',';
        out[used++] = '"';
        for (size_t i = 0; i < decoded; i++) {
            if (content[i] == '"')
                out[used++] = '"';
            out[used++] = content[i];
        }
        out[used++] = '"';
        free(content);
    }
    require(record.at <= length);
    return record.problem != NULL ? SIZE_MAX : used;
}

static void check_record(const char *text, size_t length)
{
    size_t fields, again_fields, room = 3 * length + 8;
    char *first = malloc(2 * room), *second = malloc(6 * room);
    require(first != NULL && second != NULL);
    size_t quoted = quote_all(text, length, first, &fields);
    if (quoted != SIZE_MAX) {
        size_t again = quote_all(first, quoted, second, &again_fields);
        require(again == quoted && again_fields == fields && memcmp(first, second, quoted) == 0);
    }
    free(first);
    free(second);
}

static void read_record(const hone_document_reader *reader, const hone_csv_header *header,
                        const char *text, size_t length, hone_record *record)
{
    hone_error error = {0};
    hone_status status =
        hone_record_read_csv(reader, header, text, length, "table", 1, 257, record, &error);
    require(status == HONE_OK || (status == HONE_INPUT && error.message[0] != '\0'));
    size_t sum = 0; /* reads every byte, for the sanitizer */
    for (size_t i = 0; status == HONE_OK && i < record->text_length; i++)
        sum += (unsigned char)record->text[i];
    if (status == HONE_OK && record->form == HONE_RECORD_PAIR)
        for (size_t i = 0; i < record->source_length; i++)
            sum += (unsigned char)record->source[i];
    require(sum != SIZE_MAX);
}

/* The length of the next record, without its last line break; *next: where the one after starts. */
static size_t take_record(const char *text, size_t length, size_t *next)
{
    bool inside = false;
    size_t at = 0;
    for (;;) {
        const char *end = length > at ? memchr(text + at, '\n', length - at) : NULL;
        size_t line_end = end != NULL ? (size_t)(end - text) : length;
        bool ends = hone_csv_ends(&inside, text + at, line_end - at);
        require(ends == !inside);
        *next = line_end + (end != NULL);
        if (ends || end == NULL)
            return line_end;
        at = *next;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[] = "text", source[] = "source", target[] = "target";
    char template[] = "{source}: {n}";
    if (size == 0)
        return 0;
    hone_data_settings settings = {.text_field = text,
                                   .source_field = source,
                                   .target_field = target,
                                   .prompt_template = data[0] & 1 ? template : NULL};
    hone_document_reader reader;
    hone_csv_header header = {0};
    hone_record record = {0};
    hone_error error;
    require(hone_document_reader_init(&reader, &settings, data[0] & 2, &error) == HONE_OK);
    const char *table = (const char *)data + 1;
    bool named = false;
    for (size_t left = size - 1, next; left > 0; table += next, left -= next) {
        size_t length = take_record(table, left, &next);
        /* A copy of its own, so that the sanitizer sees reads past its end. */
        char *exact = malloc(length > 0 ? length : 1);
        require(exact != NULL);
        memcpy(exact, table, length);
        check_record(exact, length);
        if (named)
            read_record(&reader, &header, exact, length, &record);
        else if (hone_csv_header_read(&header, exact, length, "table", 1, &error) == HONE_OK)
            named = true;
        free(exact);
    }
    hone_record_deinit(&record);
    hone_csv_header_deinit(&header);
    hone_document_reader_deinit(&reader);
    return 0;
}
