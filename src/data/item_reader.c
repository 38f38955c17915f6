/* See item_reader.h. An item of one line is the line reader's own; one of several lines is put
 * together in a buffer, which holds HONE_LINE_LIMIT at most. */
#include "data/item_reader.h"

#include "base/utf8_check.h"
#include "data/csv_record.h"
#include "data/line_reader.h"

#include <string.h>

struct hone_item_reader {
    char *path;
    hone_item_kind kind;
    bool paragraphs, looked; /* looked: the first line has been */
    hone_line_reader *lines;
    hone_csv_header header;
    char *joined;
    size_t used, capacity;
};

static bool ends_with(const char *text, size_t length, const char *ending)
{
    size_t size = strlen(ending);
    return length >= size && memcmp(text + length - size, ending, size) == 0;
}

static hone_status find_kind(const char *path, hone_item_kind *kind, bool *zstd, hone_error *error)
{
    size_t length = strlen(path);
    *zstd = ends_with(path, length, ".zst");
    if (*zstd)
        length -= strlen(".zst");
    *kind = ends_with(path, length, ".txt")   ? HONE_ITEM_TEXT
            : ends_with(path, length, ".csv") ? HONE_ITEM_CSV
                                              : HONE_ITEM_JSON;
    if (*kind != HONE_ITEM_JSON || ends_with(path, length, ".jsonl") ||
        ends_with(path, length, ".json"))
        return HONE_OK;
    return hone_fail_at(error, HONE_INPUT, path, -1, -1,
                        "unknown kind of data file; expected a name that ends in .jsonl (one JSON "
                        "object a line), .csv (columns named by the first line) or .txt "
                        "(paragraphs), with .zst after it when compressed");
}

/* Whether the bytes are UTF-8; else the error names the line. */
static hone_status check_text(const hone_item_reader *reader, const hone_item *item,
                              hone_error *error)
{
    size_t valid = hone_utf8_valid(item->text, item->length);
    if (valid == item->length)
        return HONE_OK;
    int64_t line = item->line;
    for (size_t i = 0; i < valid; i++)
        line += item->text[i] == '\n';
    return hone_fail_at(error, HONE_INPUT, reader->path, line, -1,
                        "bytes that are not UTF-8, beginning with 0x%02X; convert the file "
                        "with iconv -t UTF-8",
                        (unsigned char)item->text[valid]);
}

static hone_status check_length(const hone_item_reader *reader, const hone_item *item,
                                hone_error *error)
{
    if (!item->too_long)
        return HONE_OK;
    bool paragraph = reader->kind == HONE_ITEM_TEXT && reader->paragraphs;
    return hone_fail_at(error, HONE_INPUT, reader->path, item->line, -1,
                        "the %s is longer than %zu MiB; %s",
                        reader->kind == HONE_ITEM_CSV ? "record"
                        : paragraph                   ? "paragraph"
                                                      : "line",
                        HONE_LINE_LIMIT >> 20,
                        reader->kind == HONE_ITEM_CSV ? "cut it into several, or end its quotes"
                                                      : "cut it into several");
}

static hone_status read_header(hone_item_reader *reader, hone_error *error)
{
    hone_item item;
    HONE_TRY(hone_item_reader_next(reader, &item, error));
    if (item.text == NULL)
        return hone_fail_at(error, HONE_INPUT, reader->path, -1, -1,
                            "the file is empty; expected a first line that names the columns");
    HONE_TRY(check_length(reader, &item, error));
    HONE_TRY(check_text(reader, &item, error));
    return hone_csv_header_read(&reader->header, item.text, item.length, reader->path, item.line,
                                error);
}

hone_status hone_item_reader_open(const char *path, bool paragraphs, hone_item_reader **out,
                                  hone_error *error)
{
    hone_item_kind kind;
    bool zstd;
    hone_status status;
    *out = NULL;
    HONE_TRY(find_kind(path, &kind, &zstd, error));
    hone_item_reader *reader = hone_alloc_array(1, sizeof *reader);
    if (reader == NULL)
        return hone_fail_memory(error, "data reader", sizeof *reader);
    reader->kind = kind;
    reader->paragraphs = paragraphs;
    reader->path = hone_strdup(path);
    if (reader->path == NULL) {
        status = hone_fail_memory(error, "data reader", strlen(path));
        goto fail;
    }
    HONE_TRY_GOTO(hone_line_reader_open(path, zstd, &reader->lines, error), fail);
    if (kind == HONE_ITEM_CSV)
        HONE_TRY_GOTO(read_header(reader, error), fail);
    *out = reader;
    return HONE_OK;
fail:
    hone_item_reader_close(reader);
    return status;
}

void hone_item_reader_close(hone_item_reader *reader)
{
    if (reader == NULL)
        return;
    hone_line_reader_close(reader->lines);
    hone_csv_header_deinit(&reader->header);
    hone_free(reader->joined);
    hone_free(reader->path);
    hone_free(reader);
}

hone_item_kind hone_item_reader_kind(const hone_item_reader *reader)
{
    return reader->kind;
}

/* ---- items -------------------------------------------------------------------------------- */

static hone_item whole_line(const hone_line *line)
{
    return (hone_item){line->text, line->length, line->number, line->too_long};
}

/* Adds to an item that is put together, unless it is too long. */
static hone_status join(hone_item_reader *reader, const char *text, size_t length, hone_item *item,
                        hone_error *error)
{
    item->too_long |= reader->used + length > HONE_LINE_LIMIT;
    if (item->too_long)
        return HONE_OK;
    void *block = reader->joined;
    if (!hone_array_reserve(&block, &reader->capacity, reader->used + length + 1, 1))
        return hone_fail_memory(error, "lines", reader->used + length);
    reader->joined = block;
    memcpy(reader->joined + reader->used, text, length);
    reader->used += length;
    item->text = reader->joined;
    item->length = reader->used;
    return HONE_OK;
}

/* A paragraph, its lines joined by "\n", of which the first is given. */
static hone_status next_paragraph(hone_item_reader *reader, hone_line line, hone_item *item,
                                  hone_error *error)
{
    *item = (hone_item){.text = "", .line = line.number};
    reader->used = 0;
    while (line.text != NULL && (line.too_long || !hone_line_is_blank(&line))) {
        item->too_long |= line.too_long;
        if (line.number > item->line)
            HONE_TRY(join(reader, "\n", 1, item, error));
        HONE_TRY(join(reader, line.text, line.length, item, error));
        HONE_TRY(hone_line_reader_next(reader->lines, &line, error));
    }
    return HONE_OK;
}

/* A record, with line breaks as they are, of which the first line is given. */
static hone_status next_record(hone_item_reader *reader, hone_line line, hone_item *item,
                               hone_error *error)
{
    bool inside = false;
    *item = whole_line(&line);
    if (line.too_long || hone_csv_ends(&inside, line.text, line.length))
        return HONE_OK;
    reader->used = 0;
    for (;;) {
        HONE_TRY(join(reader, line.text, line.length + (inside ? line.ending : 0), item, error));
        if (!inside || item->too_long)
            return HONE_OK;
        HONE_TRY(hone_line_reader_next(reader->lines, &line, error));
        if (line.text == NULL)
            return HONE_OK; /* inside quotes: an error for who reads the record */
        item->too_long = line.too_long;
        hone_csv_ends(&inside, line.text, line.length);
    }
}

static hone_status refuse_array(hone_item_reader *reader, const hone_line *line, hone_error *error)
{
    size_t start = 0; /* the line is not blank */
    while (line->text[start] == ' ' || line->text[start] == '\t')
        start++;
    if (!reader->looked && line->text[start] == '[')
        return hone_fail_at(error, HONE_INPUT, reader->path, line->number, -1,
                            "the file holds one JSON array; expected one JSON object a line: "
                            "jq -c '.[]' FILE > FILE.jsonl makes that of it");
    reader->looked = true;
    return HONE_OK;
}

static bool passed_over(const hone_item_reader *reader, const hone_line *line)
{
    if (line->text == NULL || line->too_long)
        return false;
    return reader->kind == HONE_ITEM_CSV ? line->length == 0 : hone_line_is_blank(line);
}

hone_status hone_item_reader_next(hone_item_reader *reader, hone_item *item, hone_error *error)
{
    hone_line line;
    do
        HONE_TRY(hone_line_reader_next(reader->lines, &line, error));
    while (passed_over(reader, &line));
    *item = whole_line(&line);
    if (line.text == NULL)
        return HONE_OK;
    if (reader->kind == HONE_ITEM_JSON)
        return refuse_array(reader, &line, error);
    if (reader->kind == HONE_ITEM_CSV)
        return next_record(reader, line, item, error);
    return reader->paragraphs ? next_paragraph(reader, line, item, error) : HONE_OK;
}

hone_status hone_item_read(const hone_item_reader *reader, const hone_document_reader *documents,
                           const hone_item *item, int64_t vocabulary, hone_record *record,
                           hone_error *error)
{
    HONE_TRY(check_length(reader, item, error));
    if (reader->kind == HONE_ITEM_JSON)
        return hone_record_read(documents, item->text, item->length, reader->path, item->line,
                                vocabulary, record, error);
    HONE_TRY(check_text(reader, item, error));
    if (reader->kind == HONE_ITEM_CSV)
        return hone_record_read_csv(documents, &reader->header, item->text, item->length,
                                    reader->path, item->line, vocabulary, record, error);
    record->form = HONE_RECORD_TEXT;
    record->text = item->text;
    record->text_length = item->length;
    return HONE_OK;
}
