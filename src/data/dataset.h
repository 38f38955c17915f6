/* A data file as token rows: read, mapped to documents, tokenized, masked, kept in memory as ids.
 */
#ifndef HONE_DATA_DATASET_H
#define HONE_DATA_DATASET_H

#include "tensor/batch.h"

#include <hone/settings.h>
#include <hone/tokenizer.h>

typedef struct hone_document {
    const int32_t *ids;    /* (length) */
    const int32_t *labels; /* (length) labels[i] = ids[i] where the token is trained on, else
                              HONE_NO_LABEL; not shifted. Rows that bring their own labels may name
                              other ids. NULL: none */
    int64_t length;
    int64_t line; /* of the data file, 1-based */
} hone_document;

typedef struct hone_dataset_counts {
    int64_t documents, tokens;         /* kept */
    int64_t trained_tokens;            /* labels after each document's first place: predictions */
    int64_t truncated, dropped_tokens; /* documents cut, tokens lost by it */
    int64_t split;                     /* documents made into several */
    int64_t bad_lines, empty_rows;     /* skipped, where allowed */
    uint64_t hash;                     /* xxh64 of all ids and labels in order */
} hone_dataset_counts;

typedef struct hone_dataset hone_dataset;

typedef struct hone_dataset_options {
    const hone_data_settings *settings;
    const hone_tokenizer *tokenizer; /* NULL: only rows that carry ids */
    int64_t vocabulary;              /* ids at or above are an error naming the line */
    int64_t max_length;              /* resolved, > 0 */
} hone_dataset_options;

/* Reads path: .jsonl or .json (one object a line, blank lines ignored; see document_reader.h) or
 * .txt (one document a paragraph; blank lines separate), .zst behind either; how a document becomes
 * tokens: row_encoder.h. A broken line is HONE_INPUT with its number, or is counted where
 * on_bad_line = skip, with one remark to the log. A file without documents is HONE_INPUT. */
hone_status hone_dataset_open(const char *path, const hone_dataset_options *options,
                              hone_dataset **out, hone_error *error);
void hone_dataset_close(hone_dataset *dataset); /* takes NULL */
/* Moves a seeded share (1 - share) of the documents of *dataset to a second set; at least one stays
 * and one goes, pieces of one line stay together, both keep the file's order. The counts of what
 * was cut, skipped or empty remain with *dataset. HONE_INPUT for a single document. */
hone_status hone_dataset_split(hone_dataset *dataset, double share, uint64_t seed,
                               hone_dataset **rest, hone_error *error);
int64_t hone_dataset_size(const hone_dataset *dataset);                    /* documents */
hone_document hone_dataset_at(const hone_dataset *dataset, int64_t index); /* borrowed */
hone_dataset_counts hone_dataset_count(const hone_dataset *dataset);
int64_t hone_dataset_longest(const hone_dataset *dataset); /* tokens of the longest document */

/* The order of an epoch: document number at place i; a pure function of (seed, epoch), computed
 * without stored state (a keyed permutation), the identity when shuffle is false. */
int64_t hone_dataset_order(const hone_dataset *dataset, bool shuffle, uint64_t seed, int64_t epoch,
                           int64_t place);

/* Packs documents into a batch, whose arrays live in the packer. */
typedef struct hone_packer hone_packer;

hone_status hone_packer_create(hone_packer **out, hone_error *error);
void hone_packer_free(hone_packer *packer); /* takes NULL */
void hone_packer_reset(hone_packer *packer);
/* Adds one document as one segment: rows 0 .. length-2 predict the next token (the last row has no
 * label). Documents of one token add a row without label. */
hone_status hone_packer_add(hone_packer *packer, hone_document document, hone_error *error);
hone_batch hone_packer_batch(const hone_packer *packer); /* borrowed until the next reset */
int64_t hone_packer_labels(const hone_packer *packer);   /* rows with a label */

#endif
