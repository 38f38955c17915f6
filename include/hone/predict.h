/* Generation over a data file: predictions beside references, as a file of JSON lines. */
#ifndef HONE_PREDICT_H
#define HONE_PREDICT_H

#include <hone/prompts.h>

typedef struct hone_prediction_counts {
    int64_t prompts; /* whose texts are written */
    int64_t texts, tokens;
} hone_prediction_counts;

typedef struct hone_predict_options {
    const hone_generate_settings *settings;
    uint64_t seed;
    /* Called often while texts are made, and at the end. Nonzero stops (HONE_STOPPED). Or NULL. */
    int (*progress)(void *context, const hone_prediction_counts *done, int64_t prompts);
    void *context;
} hone_predict_options;

/* Makes texts for all prompts (see hone_generate) and writes one line for each, in order of prompt
 * and sequence:
 *   {"prediction": TEXT, "reference": TEXT, "prompt": TEXT, "finish": "eos" | "stop" | "length"}
 * with "source" in place of "prompt" for an encoder-decoder model; "reference" and "prompt" where
 * the prompt's row had them and was kept; "sequence" where there are several for a prompt; "score"
 * with beams. Where a text can't be had, for lack of a tokenizer or because the row held ids,
 * "prediction_ids", "reference_ids" and "prompt_ids" (or "source_ids") stand instead. Bytes that
 * are not UTF-8 become U+FFFD.
 * The file appears complete under `path`, or not at all: what was made before an error or a stop
 * is then in "PATH.partial", and the error says so. *counts may be NULL. */
hone_status hone_predict(hone_model *model, const hone_prompts *prompts,
                         const hone_predict_options *options, const char *path,
                         hone_prediction_counts *counts, hone_error *error);

#endif
