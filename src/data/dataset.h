/* A data file as token rows: read, mapped to documents, tokenized, masked, kept in memory as ids.
 */
#ifndef HONE_DATA_DATASET_H
#define HONE_DATA_DATASET_H

#include "data/span_corruption.h"
#include "tensor/batch.h"

#include <hone/settings.h>
#include <hone/tokenizer.h>

/* One document, borrowed. Of a decoder-only model it is ids with their labels; of an
 * encoder-decoder model a source and its target (the ids), or a text for span corruption. */
typedef struct hone_document {
    const int32_t *ids;    /* (length) */
    const int32_t *labels; /* (length) labels[i] = ids[i] where the token is trained on, else
                              HONE_NO_LABEL; not shifted. Rows that bring their own labels may name
                              other ids. NULL: none */
    int64_t length;
    const int32_t *source; /* (source_length) an encoder-decoder pair; else NULL */
    int64_t source_length;
    int32_t decoder_start; /* what the target's rows begin with; only with `source` or `spans` */
    const hone_span_corruption *spans; /* the ids are a text whose source and target are drawn, by
                                          `key`, when it is packed; else NULL */
    hone_span_key key; /* as given out by hone_dataset_at: seed and epoch 0, for evaluation; a
                          trainer sets both, so that each epoch draws anew */
    int64_t line;      /* of the data file, 1-based */
} hone_document;

/* Rows in each stream of a batch. */
typedef struct hone_stream_rows {
    int64_t target, source; /* source = 0 for decoder-only models */
} hone_stream_rows;

/* Rows that the document takes. */
hone_stream_rows hone_document_rows(const hone_document *document);
/* Its rows with a label. */
int64_t hone_document_labels(const hone_document *document);

typedef struct hone_dataset_counts {
    int64_t documents;                        /* kept */
    int64_t tokens, source_tokens;            /* kept: rows of each stream */
    int64_t trained_tokens;                   /* predictions: rows with a label */
    int64_t truncated, dropped_tokens;        /* documents cut, tokens lost by it; of these .. */
    int64_t source_truncated, source_dropped; /* .. at max_source_length */
    int64_t target_truncated, target_dropped; /* .. at max_target_length */
    int64_t split;                            /* documents made into several */
    int64_t bad_lines, empty_rows;            /* skipped, where allowed */
    uint64_t hash;                            /* xxh64 of all documents in order */
} hone_dataset_counts;

typedef struct hone_dataset hone_dataset;

typedef struct hone_dataset_options {
    const hone_data_settings *settings;
    const hone_tokenizer *tokenizer; /* NULL: only rows that carry ids */
    int64_t vocabulary;              /* ids at or above are an error naming the line */
    int64_t max_length;              /* resolved, > 0. Of an encoder-decoder model: of source and of
                                        target where settings name no other; 0: it has no limit of
                                        its own, 512 is taken */
    bool encoder_decoder;
    int32_t decoder_start;                  /* of an encoder-decoder model */
    int32_t first_sentinel, sentinel_count; /* the tokenizer's <extra_id_0>, and how many go down
                                               from it; for span corruption */
} hone_dataset_options;

/* Reads path: .jsonl or .json (one object a line), .csv or .txt (one document a paragraph), .zst
 * behind any: see item_reader.h; what a row says: document_reader.h; how it becomes tokens:
 * row_encoder.h. The tokenizer must outlive the call only. A broken line is HONE_INPUT with
 * its number, or is counted where on_bad_line = skip, with one remark to the log. A file without
 * documents is HONE_INPUT. */
hone_status hone_dataset_open(const char *path, const hone_dataset_options *options,
                              hone_dataset **out, hone_error *error);
void hone_dataset_close(hone_dataset *dataset); /* takes NULL */
/* Moves a seeded share (1 - share) of the documents of *dataset to a second set; at least one stays
 * and one goes, both keep the file's order. Pieces of one line stay together, and so do pairs of an
 * encoder-decoder model with the same source, so that nothing is validated on what was trained on.
 * The counts of what was cut, skipped or empty remain with *dataset. HONE_INPUT where there is only
 * one document, or only one source. */
hone_status hone_dataset_split(hone_dataset *dataset, double share, uint64_t seed,
                               hone_dataset **rest, hone_error *error);
int64_t hone_dataset_size(const hone_dataset *dataset);                    /* documents */
hone_document hone_dataset_at(const hone_dataset *dataset, int64_t index); /* borrowed */
hone_dataset_counts hone_dataset_count(const hone_dataset *dataset);
size_t hone_dataset_bytes(const hone_dataset *dataset); /* that its documents take in memory */
/* Rows of the longest document, in each stream (not always the same document's). */
hone_stream_rows hone_dataset_longest(const hone_dataset *dataset);
/* Rows that `count` documents can take at most in each stream, whichever they are. */
hone_stream_rows hone_dataset_most_rows(const hone_dataset *dataset, int64_t count);

/* The order of an epoch: document number at place i; a pure function of (seed, epoch), computed
 * without stored state (a keyed permutation), the identity when shuffle is false. */
int64_t hone_dataset_order(const hone_dataset *dataset, bool shuffle, uint64_t seed, int64_t epoch,
                           int64_t place);

/* Packs documents into a batch, whose arrays live in the packer. */
typedef struct hone_packer hone_packer;

hone_status hone_packer_create(hone_packer **out, hone_error *error);
void hone_packer_free(hone_packer *packer); /* takes NULL */
void hone_packer_reset(hone_packer *packer);
/* Adds one document as one segment.
 *   decoder-only: rows 0 .. length-2 predict the next token, the last row has no label; a document
 *   of one token adds a row without label
 *   encoder-decoder: the target's row i predicts label i, having been given token i - 1, or
 *   decoder_start; the source's rows are the source
 * All documents of a batch are of one kind. HONE_USAGE for a document without tokens. */
hone_status hone_packer_add(hone_packer *packer, hone_document document, hone_error *error);
hone_batch hone_packer_batch(const hone_packer *packer); /* borrowed until the next reset */
int64_t hone_packer_labels(const hone_packer *packer);   /* rows with a label */

#endif
