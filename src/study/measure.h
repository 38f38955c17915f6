/* What a model is worth on the validation data, and what it costs to use: its loss, its predictions
 * with their scores, how fast it decodes. */
#ifndef HONE_STUDY_MEASURE_H
#define HONE_STUDY_MEASURE_H

#include "base/json.h"
#include "infer/examples.h"

#include <hone/compare.h>
#include <hone/evaluate.h>

typedef struct hone_measure_request {
    const hone_run_settings *settings; /* data, generation and scores are those of a run */
    const char *model, *adapter;       /* what is opened; adapter NULL: none */
    int64_t num_predictions;           /* 0: all */
    const char *folder;                /* takes predictions.jsonl and results.json */
    bool merge;                        /* time decoding with the adapter merged, too */
    hone_progress_fn progress;         /* of the predictions; or NULL */
    void *context;
    const char *name;                    /* of what is measured, .. */
    const hone_compare_options *options; /* .. which options->isolate is told; or NULL */
} hone_measure_request;

/* *results: {"loss", "perplexity", "validation_tokens", "validation_bytes", "bits_per_byte",
 * "tokenizer": a hash of its tokens, "predictions", "scores": {name: {"value", "low", "high",
 * "signature", "scale"}}, "decode_tokens_per_second", "decode_tokens_per_second_merged"}; without
 * rows to predict, or a tokenizer, only the first two. Kept from results.json when what it was made
 * from is the same, then *kept is set. */
hone_status hone_measure(const hone_measure_request *request, hone_json **results, bool *kept,
                         hone_error *error);

/* The copied words: the first K words of each source, K the mean number of words in the training
 * set's targets, as predictions. *results: "words": K, "predictions", "scores"; an empty object
 * without rows to predict. */
hone_status hone_measure_copy(const hone_measure_request *request, hone_json **results, bool *kept,
                              hone_error *error);

#endif
