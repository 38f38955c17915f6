/* Evaluation of an open data set: what hone_evaluate and the trainer's validation share. */
#ifndef HONE_INFER_EVALUATE_INTERNAL_H
#define HONE_INFER_EVALUATE_INTERNAL_H

#include "data/dataset.h"
#include "engine/model.h"
#include "graph/executor.h"

#include <hone/evaluate.h>

typedef struct hone_evaluate_request {
    int64_t batch_size;        /* > 0: the rows of so many of the longest documents at once, filled
                                  with as many documents as fit. Changes results by rounding only */
    int64_t window, stride;    /* window > 0: see hone_evaluate_options; both resolved */
    hone_logprobs_fn logprobs; /* or NULL: then only tokens that count for the loss are computed */
    hone_progress_fn progress; /* or NULL */
    void *context;             /* of both */
    /* An executor whose memory is free for use now and undefined afterwards, or NULL. The trainer
     * lends its own, so that validating needs no second one; it is used where it is large enough.
     */
    const hone_executor *lend;
} hone_evaluate_request;

/* Documents are read in the order of the set, dropout is off, and no parameter or gradient changes.
 * `seconds` is the time of the passes. HONE_INPUT: nothing to measure, or a document longer than
 * the model's context. HONE_NUMERIC: a loss that is not finite. */
hone_status hone_evaluate_dataset(const hone_model *model, const hone_dataset *dataset,
                                  const hone_evaluate_request *request, hone_evaluation *out,
                                  hone_error *error);

#endif
