/* Loss, perplexity and log-probabilities: see hone/evaluate.h and evaluate_internal.h. Owns a plan
 * without backward and, for the time of the call, its memory.
 *
 * The idea: documents are cut into pieces, the windows, of which there is one where nothing is to
 * be cut. Pieces are packed in order while they fit, and the head's log-probabilities of a piece
 * are put together again into its document's, which is counted and handed out when it is whole. */
#include "infer/evaluate_internal.h"

#include "infer/model_data.h"
#include "infer/text_size.h"
#include "infer/windows.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NOT_PREDICTED INFINITY /* of a log-probability: no row predicts the token */
enum { MOST_ROWS = 4096 }; /* of a batch; more make nothing faster. One document may have more */

/* A piece of a batch: where its rows are, and which tokens of its document they predict. */
typedef struct piece {
    int64_t document;
    hone_window window;
} piece;

typedef struct evaluator {
    const hone_model *model;
    const hone_dataset *dataset;
    const hone_evaluate_request *request;
    hone_plan plan;
    hone_executor own, executor; /* `executor` is `own`, or has the memory lent */
    hone_stream_rows most;       /* of a batch */
    hone_packer *packer;
    float *rows;      /* (target rows) the head's log-probabilities */
    float *logprobs;  /* (longest document) of the document at hand */
    int32_t *labels;  /* (longest document) of a piece, with what is not counted left out */
    int32_t *counted; /* (longest document) ids whose text is measured */
    piece *pieces;    /* (piece_count) of the batch at hand */
    size_t piece_count, piece_capacity;
    piece next; /* the first piece of the next batch */
    double sum; /* of -ln p */
    int64_t tokens;
    hone_text_size text;
    bool text_known;
} evaluator;

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* A token of a decoder-only document is predicted by the row before its own; an encoder-decoder
 * model's target is predicted from its first token on. */
static int64_t first_predicted(const hone_document *document)
{
    return document->source != NULL || document->spans != NULL ? 0 : 1;
}

/* ---- memory ------------------------------------------------------------------------------- */

static hone_status check(const evaluator *e, hone_error *error)
{
    const hone_evaluate_request *request = e->request;
    int64_t longest = hone_dataset_longest(e->dataset).target;
    int64_t context = e->model->program.context_length;
    if (hone_dataset_size(e->dataset) == 0)
        return hone_fail(error, HONE_INPUT, "the data holds no documents: nothing to measure");
    if (request->window > 0 && (request->stride < 1 || request->stride > request->window))
        return hone_fail(error, HONE_USAGE, "stride is %lld; expected 1 to window, %lld",
                         (long long)request->stride, (long long)request->window);
    if (request->window > 0)
        longest = request->window;
    if (longest > context)
        return hone_fail(error, HONE_INPUT,
                         "the longest document has %lld tokens, the model %lld positions; lower "
                         "max_length",
                         (long long)longest, (long long)context);
    return HONE_OK;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Rows of a batch in one stream: see hone_evaluate_request. `most` is 0 where nothing is lent. */
static int64_t choose_rows(const evaluator *e, int64_t longest, int64_t tokens, int64_t most)
{
    int64_t batch = least(e->request->batch_size, MOST_ROWS);
    int64_t rows = least(batch * longest, most > 0 ? most : MOST_ROWS);
    rows = least(rows, tokens);
    return rows > longest ? rows : longest;
}

static void choose_batch(evaluator *e)
{
    const hone_executor *lend = e->request->lend;
    hone_stream_rows longest = hone_dataset_longest(e->dataset), lent = {0};
    hone_dataset_counts counts = hone_dataset_count(e->dataset);
    int64_t tokens = counts.tokens;
    if (lend != NULL)
        lent = (hone_stream_rows){lend->plan->options.rows, lend->plan->options.source_rows};
    if (e->request->window > 0 && e->request->window < longest.target) {
        longest.target = e->request->window;
        tokens = INT64_MAX; /* windows overlap */
    }
    e->most.target = choose_rows(e, longest.target, tokens, lent.target);
    e->most.source = choose_rows(e, longest.source, counts.source_tokens, lent.source);
}

static hone_status prepare(evaluator *e, hone_error *error)
{
    const hone_executor *lend = e->request->lend;
    HONE_TRY(check(e, error));
    choose_batch(e);
    hone_plan_options options = {
        .rows = e->most.target, .source_rows = e->most.source, .compute = e->model->compute};
    HONE_TRY(hone_plan_create(&e->model->program, &options, &e->plan, error));
    if (lend != NULL && lend->plan->value_bytes >= e->plan.value_bytes) {
        e->executor = *lend;
        e->executor.plan = &e->plan;
    } else {
        HONE_TRY(hone_executor_create(&e->plan, &e->own, error));
        e->executor = e->own;
    }
    HONE_TRY(hone_packer_create(&e->packer, error));
    size_t longest = (size_t)hone_dataset_longest(e->dataset).target;
    e->rows = hone_alloc_array((size_t)e->most.target, sizeof *e->rows);
    e->logprobs = hone_alloc_array(longest, sizeof *e->logprobs);
    e->labels = hone_alloc_array(longest, sizeof *e->labels);
    e->counted = hone_alloc_array(longest, sizeof *e->counted);
    if (e->rows == NULL || e->logprobs == NULL || e->labels == NULL || e->counted == NULL)
        return hone_fail_memory(error, "log-probabilities", longest * sizeof(float));
    e->text_known = e->model->tokenizer != NULL;
    return HONE_OK;
}

static void release(evaluator *e)
{
    hone_free(e->pieces);
    hone_free(e->rows);
    hone_free(e->logprobs);
    hone_free(e->labels);
    hone_free(e->counted);
    hone_packer_free(e->packer);
    hone_executor_free(&e->own);
    hone_plan_free(&e->plan);
}

/* ---- packing ------------------------------------------------------------------------------ */

static void start_document(evaluator *e, int64_t number)
{
    e->next.document = number;
    if (number < hone_dataset_size(e->dataset))
        e->next.window =
            hone_window_first(hone_dataset_at(e->dataset, number).length, e->request->window);
}

/* A piece as a document of its own. With `all` every token is labelled, so that the head gives the
 * log-probabilities of all. */
static hone_document cut_piece(evaluator *e, const piece *at, bool all)
{
    hone_document document = hone_dataset_at(e->dataset, at->document);
    if (document.spans != NULL)
        return document;
    const int32_t *labels = all ? document.ids : document.labels;
    if (at->window.begin == 0 && at->window.last) {
        document.labels = labels;
        return document;
    }
    for (int64_t i = at->window.begin; i < at->window.end; i++)
        e->labels[i - at->window.begin] = i < at->window.counted ? HONE_NO_LABEL : labels[i];
    document.ids += at->window.begin;
    document.length = at->window.end - at->window.begin;
    document.labels = e->labels;
    return document;
}

/* Packs pieces from e->next on while they fit. */
static hone_status pack(evaluator *e, bool all, hone_error *error)
{
    int64_t size = hone_dataset_size(e->dataset);
    hone_packer_reset(e->packer);
    e->piece_count = 0;
    while (e->next.document < size) {
        hone_document document = cut_piece(e, &e->next, all);
        hone_stream_rows rows = hone_document_rows(&document);
        hone_batch batch = hone_packer_batch(e->packer);
        if (batch.target.rows + rows.target > e->most.target ||
            batch.source.rows + rows.source > e->most.source)
            break;
        if (!hone_array_reserve((void **)&e->pieces, &e->piece_capacity, e->piece_count + 1,
                                sizeof *e->pieces))
            return hone_fail_memory(error, "pieces of documents", e->piece_count);
        HONE_TRY(hone_packer_add(e->packer, document, error));
        e->pieces[e->piece_count++] = e->next;
        if (e->next.window.last)
            start_document(e, e->next.document + 1);
        else
            e->next.window = hone_window_next(e->next.window,
                                              hone_dataset_at(e->dataset, e->next.document).length,
                                              e->request->window, e->request->stride);
    }
    return HONE_OK;
}

static hone_batch run_packed(evaluator *e)
{
    hone_batch batch = hone_packer_batch(e->packer);
    /* A scale of 0: the head of a model in full training adds nothing to a gradient. */
    hone_execution execution = {
        .batch = &batch, .seed = e->model->seed, .head = {.logprobs = e->rows}};
    hone_executor_run(&e->executor, &execution);
    return batch;
}

/* ---- counting ----------------------------------------------------------------------------- */

static hone_status not_finite(const hone_document *document, hone_error *error)
{
    return hone_fail(error, HONE_NUMERIC,
                     "the loss of the document at line %lld is not a finite number: the model's "
                     "weights or its training have gone wrong",
                     (long long)document->line);
}

/* A text for span corruption: its target was drawn when it was packed. */
static hone_status count_spans(evaluator *e, const hone_document *document, const int32_t *labels,
                               const float *rows, int64_t count, hone_error *error)
{
    double sum = 0.0;
    for (int64_t i = 0; i < count; i++)
        if (labels[i] != HONE_NO_LABEL) {
            sum -= (double)rows[i];
            e->tokens++;
        }
    e->text_known = false;
    e->sum += sum;
    return isfinite(sum) ? HONE_OK : not_finite(document, error);
}

/* A document whose log-probabilities are together. */
static hone_status count_document(evaluator *e, const hone_document *document, hone_error *error)
{
    double sum = 0.0;
    int64_t count = 0;
    for (int64_t i = first_predicted(document); i < document->length; i++)
        if (document->labels[i] != HONE_NO_LABEL && e->logprobs[i] != NOT_PREDICTED) {
            sum -= (double)e->logprobs[i];
            e->counted[count++] = document->labels[i];
        }
    e->sum += sum;
    e->tokens += count;
    if (!isfinite(sum))
        return not_finite(document, error);
    if (e->text_known)
        HONE_TRY(hone_text_size_add(&e->text, e->model->tokenizer, e->counted, count, error));
    return HONE_OK;
}

/* A piece's log-probabilities to their places in the document's. */
static void gather(evaluator *e, const piece *at, const hone_document *document, const float *rows)
{
    int64_t shift = first_predicted(document), begin = at->window.begin;
    int64_t from = begin > 0 ? at->window.counted : shift;
    for (int64_t i = 0; i < document->length && begin == 0; i++)
        e->logprobs[i] = NOT_PREDICTED;
    for (int64_t i = from; i < at->window.end; i++)
        e->logprobs[i] = rows[i - begin - shift];
}

static void hand_out(evaluator *e, int64_t number, const hone_document *document)
{
    const hone_evaluate_request *request = e->request;
    for (int64_t i = 0; i < document->length; i++)
        if (e->logprobs[i] == NOT_PREDICTED)
            e->logprobs[i] = NAN;
    request->logprobs(request->context, number, document->ids, e->logprobs, document->length);
}

/* What a pass over the data is for. */
typedef struct pass {
    bool count;    /* the loss */
    bool hand_out; /* log-probabilities of all tokens, labelled or not */
} pass;

static hone_status finish_batch(evaluator *e, const hone_batch *batch, pass p, hone_error *error)
{
    for (size_t s = 0; s < e->piece_count; s++) {
        const piece *at = &e->pieces[s];
        int64_t first = batch->target.starts[s], count = batch->target.starts[s + 1] - first;
        hone_document document = hone_dataset_at(e->dataset, at->document);
        if (document.spans != NULL) {
            HONE_TRY(
                count_spans(e, &document, batch->labels + first, e->rows + first, count, error));
            continue;
        }
        gather(e, at, &document, e->rows + first);
        if (at->window.last && p.count)
            HONE_TRY(count_document(e, &document, error));
        if (at->window.last && p.hand_out)
            hand_out(e, at->document, &document);
    }
    return HONE_OK;
}

static hone_status run_pass(evaluator *e, pass p, hone_error *error)
{
    int64_t size = hone_dataset_size(e->dataset);
    start_document(e, 0);
    while (e->next.document < size) {
        HONE_TRY(pack(e, p.hand_out, error));
        hone_batch batch = run_packed(e);
        HONE_TRY(finish_batch(e, &batch, p, error));
        if (e->request->progress != NULL &&
            e->request->progress(e->request->context, e->next.document, size) != 0)
            return hone_fail(error, HONE_STOPPED, "stopped on request after %lld of %lld documents",
                             (long long)e->next.document, (long long)size);
    }
    return HONE_OK;
}

/* Whether some row brings labels that name other ids than its tokens'; `spans`: whether some target
 * is drawn when it is packed. */
static bool labels_other_ids(const evaluator *e, bool *spans)
{
    bool others = false;
    *spans = false;
    for (int64_t n = 0; n < hone_dataset_size(e->dataset); n++) {
        hone_document document = hone_dataset_at(e->dataset, n);
        *spans = *spans || document.spans != NULL;
        for (int64_t i = 0; i < document.length && document.labels != document.ids; i++)
            others = others || (document.labels != NULL && document.labels[i] != HONE_NO_LABEL &&
                                document.labels[i] != document.ids[i]);
    }
    return others;
}

static hone_status run_all(evaluator *e, hone_error *error)
{
    pass once = {.count = true, .hand_out = e->request->logprobs != NULL};
    bool spans = false, twice = once.hand_out && labels_other_ids(e, &spans);
    if (spans)
        return hone_fail(error, HONE_USAGE,
                         "log-probabilities are of tokens that are there; with span corruption "
                         "the targets are drawn (logprobs, objective)");
    if (twice)
        HONE_TRY(run_pass(e, (pass){.hand_out = true}, error));
    once.hand_out = once.hand_out && !twice;
    HONE_TRY(run_pass(e, once, error));
    if (e->tokens == 0)
        return hone_fail(error, HONE_INPUT,
                         "nothing to measure: no token of the data that follows another is "
                         "labelled");
    return HONE_OK;
}

/* ---- the whole ---------------------------------------------------------------------------- */

static void summarize(const evaluator *e, hone_evaluation *out)
{
    hone_dataset_counts counts = hone_dataset_count(e->dataset);
    out->loss = e->sum / (double)e->tokens;
    out->perplexity = exp(out->loss);
    out->tokens = e->tokens;
    if (e->text_known) {
        out->words = e->text.words;
        out->bytes = e->text.bytes;
    }
    if (out->words > 0 && out->bytes > 0) {
        out->word_perplexity = exp(e->sum / (double)out->words);
        out->byte_perplexity = exp(e->sum / (double)out->bytes);
        out->bits_per_byte = e->sum / (double)out->bytes / log(2.0);
    }
    out->window = e->request->window;
    out->stride = e->request->stride;
    out->documents = counts.documents;
    out->truncated = counts.truncated;
    out->bad_lines = counts.bad_lines;
    out->empty_rows = counts.empty_rows;
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
    summarize(&e, out);
    out->seconds = seconds_now() - start;
done:
    release(&e);
    return status;
}

/* ---- files -------------------------------------------------------------------------------- */

/* With a window the documents are read whole. */
static hone_status prepare_window(const hone_model *model, const hone_evaluate_options *options,
                                  hone_dataset_options *data, hone_evaluate_request *request,
                                  hone_error *error)
{
    request->window = options->window;
    request->stride = options->stride > 0 ? options->stride : (options->window + 1) / 2;
    if (options->window <= 0)
        return HONE_OK;
    if (model->program.encoder_decoder)
        return hone_fail(error, HONE_USAGE,
                         "a window slides over the documents of decoder-only models; this one "
                         "has an encoder (window)");
    if (options->window > model->program.context_length)
        return hone_fail(error, HONE_USAGE, "window is %lld, the model has %lld positions",
                         (long long)options->window, (long long)model->program.context_length);
    if (options->settings->max_length > 0)
        return hone_fail(error, HONE_USAGE,
                         "max_length cuts documents, a window does not; give one of them");
    data->max_length = INT32_MAX;
    return HONE_OK;
}

hone_status hone_evaluate(hone_model *model, const hone_evaluate_options *options,
                          hone_evaluation *out, hone_error *error)
{
    const hone_data_settings *settings = options->settings;
    hone_evaluate_request request = {.batch_size = options->batch_size,
                                     .logprobs = options->logprobs,
                                     .progress = options->progress,
                                     .context = options->context};
    hone_dataset_options data;
    hone_dataset *dataset;
    *out = (hone_evaluation){0};
    HONE_TRY(hone_model_data_options(model, settings, &data, error));
    HONE_TRY(prepare_window(model, options, &data, &request, error));
    HONE_TRY(hone_dataset_open(options->data, &data, &dataset, error));
    hone_status status = hone_evaluate_dataset(model, dataset, &request, out, error);
    hone_dataset_close(dataset);
    /* What is wrong with the data is wrong with its file. */
    if ((status == HONE_INPUT || status == HONE_NUMERIC) && error != NULL)
        snprintf(error->file, sizeof error->file, "%s", options->data);
    return status;
}

int hone_evaluation_signature(const hone_evaluation *evaluation, char *text, size_t size)
{
    const hone_evaluation *e = evaluation;
    if (e->window <= 0)
        return snprintf(text, size, "nll:mean|window:document|tokens:%lld", (long long)e->tokens);
    return snprintf(text, size, "nll:mean|window:%lld|stride:%lld|tokens:%lld",
                    (long long)e->window, (long long)e->stride, (long long)e->tokens);
}
