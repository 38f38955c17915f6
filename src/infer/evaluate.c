/* Loss, perplexity and log-probabilities: see hone/evaluate.h and evaluate_internal.h. Owns a plan
 * without backward and, for the time of the call, its memory.
 *
 * The idea: documents are packed in order, and the head's log-probabilities of the rows, kept one
 * place further on, are the log-probabilities of the documents' own tokens: the row before a
 * document's first is the last of another one, which predicts nothing and holds NaN. */
#include "infer/evaluate_internal.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

enum { MOST_ROWS = 4096 }; /* of a batch; more make nothing faster. One document may have more */

typedef struct evaluator {
    const hone_model *model;
    const hone_dataset *dataset;
    const hone_evaluate_request *request;
    hone_plan plan;
    hone_executor own, executor; /* `executor` is `own`, or has the memory lent */
    hone_packer *packer;
    float *logprobs; /* (1 + rows): [1 + row] is of the label of a row */
    double sum;      /* of -ln p */
    int64_t counted, rows;
} evaluator;

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- memory ------------------------------------------------------------------------------- */

static hone_status check(const evaluator *e, hone_error *error)
{
    int64_t longest = hone_dataset_longest(e->dataset).target,
            context = e->model->program.context_length;
    if (hone_dataset_size(e->dataset) == 0)
        return hone_fail(error, HONE_INPUT, "the data holds no documents: nothing to measure");
    if (longest > context)
        return hone_fail(error, HONE_INPUT,
                         "the longest document has %lld tokens, the model %lld positions; lower "
                         "max_length",
                         (long long)longest, (long long)context);
    return HONE_OK;
}

/* Rows of a batch: see hone_evaluate_request. */
static int64_t choose_rows(const evaluator *e)
{
    int64_t longest = hone_dataset_longest(e->dataset).target;
    int64_t batch = e->request->batch_size < MOST_ROWS ? e->request->batch_size : MOST_ROWS;
    int64_t rows = batch * longest;
    int64_t most = e->request->lend != NULL ? e->request->lend->plan->options.rows : MOST_ROWS;
    int64_t tokens = hone_dataset_count(e->dataset).tokens;
    rows = rows < most ? rows : most;
    rows = rows < tokens ? rows : tokens;
    return rows > longest ? rows : longest;
}

static hone_status prepare(evaluator *e, hone_error *error)
{
    const hone_executor *lend = e->request->lend;
    HONE_TRY(check(e, error));
    e->rows = choose_rows(e);
    hone_plan_options options = {.rows = e->rows, .compute = e->model->compute};
    HONE_TRY(hone_plan_create(&e->model->program, &options, &e->plan, error));
    if (lend != NULL && lend->plan->value_bytes >= e->plan.value_bytes) {
        e->executor = *lend;
        e->executor.plan = &e->plan;
    } else {
        HONE_TRY(hone_executor_create(&e->plan, &e->own, error));
        e->executor = e->own;
    }
    HONE_TRY(hone_packer_create(&e->packer, error));
    e->logprobs = hone_alloc_array((size_t)e->rows + 1, sizeof *e->logprobs);
    if (e->logprobs == NULL)
        return hone_fail_memory(error, "log-probabilities", (size_t)e->rows * sizeof(float));
    e->logprobs[0] = NAN;
    return HONE_OK;
}

static void release(evaluator *e)
{
    hone_free(e->logprobs);
    hone_packer_free(e->packer);
    hone_executor_free(&e->own);
    hone_plan_free(&e->plan);
}

/* ---- passes ------------------------------------------------------------------------------- */

/* Packs documents from `first` on while they fit; the number of the next one. With `all` every
 * token is labelled, so that the head gives the log-probabilities of all. */
static hone_status pack(evaluator *e, int64_t first, bool all, int64_t *next, hone_error *error)
{
    int64_t at = first, size = hone_dataset_size(e->dataset);
    hone_packer_reset(e->packer);
    for (; at < size; at++) {
        hone_document document = hone_dataset_at(e->dataset, at);
        if (hone_packer_batch(e->packer).target.rows + document.length > e->rows)
            break;
        if (all)
            document.labels = document.ids;
        HONE_TRY(hone_packer_add(e->packer, document, error));
    }
    *next = at;
    return HONE_OK;
}

static hone_status count_document(evaluator *e, int64_t number, const float *logprobs,
                                  hone_error *error)
{
    hone_document document = hone_dataset_at(e->dataset, number);
    double sum = 0.0;
    int64_t counted = 0;
    for (int64_t i = 1; i < document.length; i++)
        if (document.labels[i] != HONE_NO_LABEL) {
            sum -= (double)logprobs[i];
            counted++;
        }
    if (!isfinite(sum))
        return hone_fail(error, HONE_NUMERIC,
                         "the loss of the document at line %lld is not a finite number: the "
                         "model's weights or its training have gone wrong",
                         (long long)document.line);
    e->sum += sum;
    e->counted += counted;
    return HONE_OK;
}

/* Whether rows that bring their own labels name other ids than their tokens'. */
static bool labels_other_ids(const evaluator *e, int64_t first, int64_t next)
{
    for (int64_t n = first; n < next; n++) {
        hone_document document = hone_dataset_at(e->dataset, n);
        for (int64_t i = 1; i < document.length; i++)
            if (document.labels[i] != HONE_NO_LABEL && document.labels[i] != document.ids[i])
                return true;
    }
    return false;
}

static hone_batch run_packed(evaluator *e)
{
    hone_batch batch = hone_packer_batch(e->packer);
    /* A scale of 0: the head of a model in full training adds nothing to a gradient. */
    hone_execution execution = {
        .batch = &batch, .seed = e->model->seed, .head = {.logprobs = e->logprobs + 1}};
    hone_executor_run(&e->executor, &execution);
    return batch;
}

static hone_status run_batch(evaluator *e, int64_t first, int64_t *next, hone_error *error)
{
    const hone_evaluate_request *request = e->request;
    HONE_TRY(pack(e, first, request->logprobs != NULL, next, error));
    hone_batch batch = run_packed(e);
    for (int64_t i = first; i < *next && request->logprobs != NULL; i++) {
        hone_document document = hone_dataset_at(e->dataset, i);
        request->logprobs(request->context, i, document.ids,
                          e->logprobs + batch.target.starts[i - first], document.length);
    }
    if (request->logprobs != NULL && labels_other_ids(e, first, *next)) {
        HONE_TRY(pack(e, first, false, next, error));
        batch = run_packed(e);
    }
    for (int64_t i = first; i < *next; i++)
        HONE_TRY(count_document(e, i, e->logprobs + batch.target.starts[i - first], error));
    return HONE_OK;
}

static hone_status run_all(evaluator *e, hone_error *error)
{
    int64_t size = hone_dataset_size(e->dataset);
    for (int64_t first = 0, next; first < size; first = next) {
        HONE_TRY(run_batch(e, first, &next, error));
        if (e->request->progress != NULL &&
            e->request->progress(e->request->context, next, size) != 0)
            return hone_fail(error, HONE_STOPPED, "stopped on request after %lld of %lld documents",
                             (long long)next, (long long)size);
    }
    if (e->counted == 0)
        return hone_fail(error, HONE_INPUT,
                         "nothing to measure: no token of the data that follows another is "
                         "labelled");
    return HONE_OK;
}

hone_status hone_evaluate_dataset(const hone_model *model, const hone_dataset *dataset,
                                  const hone_evaluate_request *request, hone_evaluation *out,
                                  hone_error *error)
{
    evaluator e = {.model = model, .dataset = dataset, .request = request};
    *out = (hone_evaluation){0};
    double start = 0.0;
    hone_status status = HONE_OK;
    if (request->batch_size < 1)
        return hone_fail(error, HONE_USAGE, "batch_size must be at least 1, found %lld",
                         (long long)request->batch_size);
    HONE_TRY_GOTO(prepare(&e, error), done);
    start = seconds_now();
    HONE_TRY_GOTO(run_all(&e, error), done);
    hone_dataset_counts counts = hone_dataset_count(dataset);
    out->loss = e.sum / (double)e.counted;
    out->perplexity = exp(out->loss);
    out->tokens = e.counted;
    out->documents = counts.documents;
    out->truncated = counts.truncated;
    out->bad_lines = counts.bad_lines;
    out->empty_rows = counts.empty_rows;
    out->seconds = seconds_now() - start;
done:
    release(&e);
    return status;
}

/* ---- files -------------------------------------------------------------------------------- */

hone_status hone_evaluate(hone_model *model, const hone_evaluate_options *options,
                          hone_evaluation *out, hone_error *error)
{
    const hone_data_settings *settings = options->settings;
    int64_t context = model->program.context_length;
    *out = (hone_evaluation){0};
    if (settings->max_length > context)
        return hone_fail(error, HONE_USAGE, "max_length is %lld, the model has %lld positions",
                         (long long)settings->max_length, (long long)context);
    hone_dataset_options data = {.settings = settings,
                                 .tokenizer = model->tokenizer,
                                 .vocabulary = model->program.vocabulary,
                                 .max_length =
                                     settings->max_length > 0 ? settings->max_length : context};
    hone_dataset *dataset;
    HONE_TRY(hone_dataset_open(options->data, &data, &dataset, error));
    hone_evaluate_request request = {.batch_size = options->batch_size,
                                     .logprobs = options->logprobs,
                                     .progress = options->progress,
                                     .context = options->context};
    hone_status status = hone_evaluate_dataset(model, dataset, &request, out, error);
    hone_dataset_close(dataset);
    /* What is wrong with the data is wrong with its file. */
    if ((status == HONE_INPUT || status == HONE_NUMERIC) && error != NULL)
        snprintf(error->file, sizeof error->file, "%s", options->data);
    return status;
}
