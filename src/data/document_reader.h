/* One line of a data file as the parts of a document: a text, a prompt with its completion, or
 * token ids, found by the field settings.
 *
 * A row's form is the first of these that it has the keys for:
 *   1. "ids" (an array), with "labels" or without: already tokenized;
 *   2. completion_field and prompt_field (or, with a prompt_template, the keys that it names): a
 * pair;
 *   3. text_field: plain text.
 * Where only text_field has been set to another key than its default, form 3 goes before 2. An
 * empty field setting turns its form off. Other keys are ignored.
 *
 * prompt_template: {prompt} stands for the value of prompt_field, {key} for that of any other key,
 * {{ and }} for braces, \n \t \\ for newline, tab and backslash. Values are strings. */
#ifndef HONE_DATA_DOCUMENT_READER_H
#define HONE_DATA_DOCUMENT_READER_H

#include "base/failure.h"
#include "base/memory.h"

#include <hone/settings.h>

/* The settings, checked and copied. Read-only after init, so threads may share it. */
typedef struct hone_document_reader {
    hone_arena arena;
    const char *text_field, *prompt_field, *completion_field; /* NULL: unset */
    struct hone_template_part *parts;                         /* of the prompt_template */
    size_t part_count;
    bool text_first;
    bool prompts_only; /* form 2 needs no completion: what generation is given */
} hone_document_reader;

/* HONE_USAGE for a prompt_template that is not well formed. */
hone_status hone_document_reader_init(hone_document_reader *reader,
                                      const hone_data_settings *settings, bool prompts_only,
                                      hone_error *error);
void hone_document_reader_deinit(hone_document_reader *reader);

typedef enum hone_record_form {
    HONE_RECORD_TEXT,
    HONE_RECORD_PAIR,
    HONE_RECORD_IDS
} hone_record_form;

/* The parts of one document, and the storage behind them, which is used again for the next. */
typedef struct hone_record {
    hone_record_form form;
    const char *text; /* TEXT: the text; PAIR: the completion (NULL when there is none) */
    size_t text_length;
    const char *prompt; /* PAIR */
    size_t prompt_length;
    int32_t *ids, *labels; /* IDS: (count); labels with HONE_NO_LABEL; has_labels: else all */
    size_t count;
    bool has_labels;

    struct hone_record_member *members; /* of the row, as read */
    size_t member_count, member_capacity;
    char *strings, *assembled; /* decoded strings; the prompt made by the template */
    size_t strings_used, strings_capacity, assembled_capacity;
    size_t ids_capacity, labels_capacity;
} hone_record;

/* A zeroed record is ready for use. */
void hone_record_deinit(hone_record *record);
/* Reads one line of JSON, which must outlive the use of the record. Token ids and labels must be
 * below vocabulary. Whatever is wrong with the line is HONE_INPUT at file:number. */
hone_status hone_record_read(const hone_document_reader *reader, const char *line, size_t length,
                             const char *file, int64_t number, int64_t vocabulary,
                             hone_record *record, hone_error *error);

#endif
