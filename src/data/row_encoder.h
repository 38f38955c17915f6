/* Documents to token rows: tokenized, ended, masked, and cut to the longest length. */
#ifndef HONE_DATA_ROW_ENCODER_H
#define HONE_DATA_ROW_ENCODER_H

#include "data/dataset.h"
#include "data/document_reader.h"

/* One kept document. */
typedef struct hone_row {
    int64_t first;        /* in ids: the source's, if there is one, then the document's own */
    int64_t labels_first; /* in labels; -1: every token is trained on, the labels are the ids */
    int64_t line;
    int32_t source_length; /* > 0: an encoder-decoder pair */
    int32_t length;
    int32_t trained; /* tokens that are predicted */
    bool corrupted;  /* a text for span corruption */
} hone_row;

/* Rows one after the other. 4 bytes a token where all are trained on, else 8, and 40 a row. */
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
    int64_t vocabulary;
    int64_t max_length;             /* decoder-only: of the whole */
    int64_t max_source, max_target; /* of the parts of a pair */
    hone_long_policy long_policy;
    bool allow_empty, append_eos, encoder_decoder;
    bool corrupts;              /* texts are for span corruption */
    hone_span_corruption spans; /* in pieces of at most .. */
    int64_t max_text;           /* .. this */
} hone_row_encoder;

/* `path` is borrowed. HONE_USAGE for options that don't fit together. */
hone_status hone_row_encoder_init(hone_row_encoder *encoder, const char *path,
                                  const hone_dataset_options *options, hone_error *error);

/* One thread's room for ids; zeroed, it is ready. */
typedef struct hone_encode_scratch {
    int32_t *ids;
    size_t capacity;
} hone_encode_scratch;

void hone_encode_scratch_deinit(hone_encode_scratch *scratch);

/* Adds a record's rows to the store and to *counts (all but the hash). With bos where the tokenizer
 * has one, and eos as append_eos says, a decoder-only model is given
 *   TEXT      bos text eos            all is trained on
 *   PAIR      bos source target eos   the target and its eos are trained on; the two texts are
 *                                     encoded apart and nothing is put between them, so that the
 *                                     border is exact
 *   IDS       as they are
 *   PAIR_IDS  the source's, the target's; these are trained on
 * and an encoder-decoder model
 *   PAIR      bos source eos -> bos target eos
 *   PAIR_IDS  as they are
 *   TEXT, IDS for span corruption: the text alone, in pieces; otherwise HONE_INPUT
 * A source or target over its limit is cut at its end, which stays an eos where it was one, or
 * HONE_INPUT (refuse). A decoder-only record over max_length is cut at its end (truncate), made
 * into pieces that follow each other (split; pieces without anything to train on are dropped), or
 * HONE_INPUT. A record that leaves nothing to train on is HONE_INPUT, or counted when allow_empty.
 * HONE_MISMATCH for a token that the model does not have. */
hone_status hone_row_encode(const hone_row_encoder *encoder, const hone_record *record,
                            int64_t line, hone_encode_scratch *scratch, hone_row_store *store,
                            hone_dataset_counts *counts, hone_error *error);

#endif
