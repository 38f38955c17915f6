/* The documents of a data file as they stand in it: lines of JSON, paragraphs or lines of text,
 * records of CSV, plain or compressed. */
#ifndef HONE_DATA_ITEM_READER_H
#define HONE_DATA_ITEM_READER_H

#include "data/document_reader.h"

typedef enum hone_item_kind { HONE_ITEM_JSON, HONE_ITEM_TEXT, HONE_ITEM_CSV } hone_item_kind;

typedef struct hone_item_reader hone_item_reader;

typedef struct hone_item {
    const char *text; /* borrowed until the next call; NULL after the last one */
    size_t length;
    int64_t line; /* its first, 1-based */
    bool too_long;
} hone_item;

/* The kind follows from the name: .jsonl or .json, .txt, .csv, with .zst behind when compressed.
 * paragraphs: those of a .txt are its items, else its lines. HONE_INPUT for another name, and for a
 * CSV file whose columns are not named well. */
hone_status hone_item_reader_open(const char *path, bool paragraphs, hone_item_reader **out,
                                  hone_error *error);
void hone_item_reader_close(hone_item_reader *reader); /* takes NULL */
hone_item_kind hone_item_reader_kind(const hone_item_reader *reader);
/* Blank lines are passed over (in CSV: empty ones). */
hone_status hone_item_reader_next(hone_item_reader *reader, hone_item *item, hone_error *error);
/* What an item says; its text must outlive the use of the record. Threads may share the reader.
 * Whatever is wrong with the item is HONE_INPUT at its line. */
hone_status hone_item_read(const hone_item_reader *reader, const hone_document_reader *documents,
                           const hone_item *item, int64_t vocabulary, hone_record *record,
                           hone_error *error);

#endif
