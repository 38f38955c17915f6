/* Predictions for examples: generated, written beside their references, scored, timed. */
#ifndef HONE_INFER_PREDICT_EXAMPLES_H
#define HONE_INFER_PREDICT_EXAMPLES_H

#include "base/string_builder.h"
#include "infer/examples.h"

#include <hone/evaluate.h>

typedef struct hone_predict_request {
    const hone_generate_settings *settings; /* num_return_sequences 1 */
    uint64_t seed;
    hone_scorer *scorer;       /* takes each row; or NULL */
    const char *path;          /* one JSON object a line, in order, atomically; or NULL */
    hone_progress_fn progress; /* or NULL */
    void *context;
} hone_predict_request;

typedef struct hone_prediction_costs {
    int64_t tokens; /* generated */
    double seconds; /* of generating them */
} hone_prediction_costs;

/* The lines: {"line":7,"prediction":...,"reference":...,"source":...,"finish":"eos"}. Space around
 * a prediction is left out. HONE_USAGE without a tokenizer. costs may be NULL. */
hone_status hone_predict_examples(hone_model *model, const hone_examples *examples,
                                  const hone_predict_request *request, hone_prediction_costs *costs,
                                  hone_error *error);

/* One such line, for predictions that no model made. finish may be NULL. */
void hone_prediction_put(hone_string *out, const hone_example *example, hone_text prediction,
                         const char *finish);

#endif
