/* One row of a data file as the parts of a document: a text, a source with its target, or token
 * ids, found by the field settings.
 *
 * A row's form is the first of these that it has the keys for:
 *   1. "ids" (an array), with "labels" or without: a tokenized text
 *   2. "source_ids" and "target_ids" (arrays): a tokenized pair
 *   3. completion_field and prompt_field (or, with a prompt_template, the keys that it names): a
 *      pair
 *   4. target_field and source_field (or likewise): the same pair under other names
 *   5. text_field: plain text
 * Of 3 to 5, those whose settings name other keys than the defaults go first (3 and 4 do with a
 * prompt_template). An empty field setting turns its form off. Other keys are ignored.
 *
 * prompt_template: {prompt} stands for the value of prompt_field or, in a row without, of
 * source_field; {source} the other way round; {key} for that of any other key, {{ and }} for
 * braces, \n \t \\ for newline, tab and backslash. Values are strings. */
#ifndef HONE_DATA_DOCUMENT_READER_H
#define HONE_DATA_DOCUMENT_READER_H

#include "base/failure.h"
#include "base/memory.h"
#include "data/csv_record.h"

#include <hone/settings.h>

typedef struct hone_pair_fields {
    const char *source, *target; /* NULL: unset */
} hone_pair_fields;

/* The settings, checked and copied. Read-only after init, so threads may share it. */
typedef struct hone_document_reader {
    hone_arena arena;
    const char *text_field, *prompt_field, *source_field; /* NULL: unset */
    hone_pair_fields pairs[2];                            /* forms 3 and 4, the first to be taken
                                                             before the second */
    struct hone_template_part *parts;                     /* of the prompt_template */
    size_t part_count;
    bool text_first;
    bool prompts_only; /* pairs need no target: what generation is given */
} hone_document_reader;

/* HONE_USAGE for a prompt_template that is not well formed. */
hone_status hone_document_reader_init(hone_document_reader *reader,
                                      const hone_data_settings *settings, bool prompts_only,
                                      hone_error *error);
void hone_document_reader_deinit(hone_document_reader *reader);

typedef enum hone_record_form {
    HONE_RECORD_TEXT,
    HONE_RECORD_PAIR,
    HONE_RECORD_IDS,
    HONE_RECORD_PAIR_IDS
} hone_record_form;

/* The parts of one document, and the storage behind them, which is used again for the next. */
typedef struct hone_record {
    hone_record_form form;
    const char *text; /* TEXT: the text; PAIR: the target (NULL when there is none) */
    size_t text_length;
    const char *source; /* PAIR, put into the template */
    size_t source_length;
    int32_t *ids, *labels; /* IDS: (count); labels with HONE_NO_LABEL; has_labels: else all.
                              PAIR_IDS: the target's ids */
    size_t count;
    bool has_labels;
    int32_t *source_ids; /* PAIR_IDS: (source_count) */
    size_t source_count;

    struct hone_record_member *members; /* of the row, as read */
    size_t member_count, member_capacity;
    char *strings, *assembled; /* decoded strings; the source made by the template */
    size_t strings_used, strings_capacity, assembled_capacity;
    size_t ids_capacity, labels_capacity, source_capacity;
} hone_record;

/* A zeroed record is ready for use. */
void hone_record_deinit(hone_record *record);
/* Reads one line of JSON, which must outlive the use of the record. Token ids and labels must be
 * below vocabulary. Whatever is wrong with the line is HONE_INPUT at file:number. */
hone_status hone_record_read(const hone_document_reader *reader, const char *line, size_t length,
                             const char *file, int64_t number, int64_t vocabulary,
                             hone_record *record, hone_error *error);
/* The same of a record of CSV, whose text is UTF-8: a row with the header's names as keys, all
 * values strings. */
hone_status hone_record_read_csv(const hone_document_reader *reader, const hone_csv_header *header,
                                 const char *text, size_t length, const char *file, int64_t number,
                                 int64_t vocabulary, hone_record *record, hone_error *error);

#endif
