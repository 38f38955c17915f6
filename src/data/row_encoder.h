/* Documents to token rows: tokenized, ended, masked, and cut to the longest length. */
#ifndef HONE_DATA_ROW_ENCODER_H
#define HONE_DATA_ROW_ENCODER_H

#include "data/dataset.h"
#include "data/document_reader.h"

/* One kept document. */
typedef struct hone_row {
    int64_t first;        /* in ids */
    int64_t labels_first; /* in labels; -1: every token is trained on, the labels are the ids */
    int64_t line;
    int32_t length;
    int32_t trained; /* tokens that are predicted: labels after the first place */
} hone_row;

/* Rows one after the other. 4 bytes a token where all are trained on, else 8, and 32 a row. */
typedef struct hone_row_store {
    int32_t *ids, *labels;
    hone_row *rows;
    size_t id_count, label_count, row_count;
    size_t id_capacity, label_capacity, row_capacity;
} hone_row_store;

/* A zeroed store is empty. */
void hone_row_store_deinit(hone_row_store *store);
void hone_row_store_clear(hone_row_store *store); /* keeps the memory */
/* Copies the rows of source to the end. */
hone_status hone_row_store_append(hone_row_store *store, const hone_row_store *source,
                                  hone_error *error);

typedef enum hone_long_policy {
    HONE_LONG_TRUNCATE,
    HONE_LONG_SPLIT,
    HONE_LONG_REFUSE
} hone_long_policy;

/* How rows are made; read-only, shared by threads. */
typedef struct hone_row_encoder {
    const hone_tokenizer *tokenizer; /* NULL: records with ids only */
    const char *file;                /* for errors */
    int64_t vocabulary, max_length;
    hone_long_policy long_policy;
    bool allow_empty, append_eos;
} hone_row_encoder;

/* One thread's room for ids; zeroed, it is ready. */
typedef struct hone_encode_scratch {
    int32_t *ids;
    size_t capacity;
} hone_encode_scratch;

void hone_encode_scratch_deinit(hone_encode_scratch *scratch);

/* Adds a record's rows to the store and to *counts (all but the hash).
 *   TEXT: bos? text eos?                all is trained on
 *   PAIR: bos? prompt completion eos?   the completion and its eos are trained on; the two texts
 * are encoded apart and nothing is put between them, so that the border is exact IDS:  as they are
 * bos is there when the tokenizer has one. A record over max_length is cut at its end (truncate),
 * made into pieces that follow each other (split; pieces without anything to train on are dropped),
 * or HONE_INPUT. A record that leaves nothing to train on is HONE_INPUT, or counted when
 * allow_empty. HONE_MISMATCH for a token that the model does not have. */
hone_status hone_row_encode(const hone_row_encoder *encoder, const hone_record *record,
                            int64_t line, hone_encode_scratch *scratch, hone_row_store *store,
                            hone_dataset_counts *counts, hone_error *error);

#endif
