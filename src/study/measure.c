/* Measuring: see measure.h. */
#include "study/measure.h"

#include "base/files.h"
#include "base/parallel.h"
#include "infer/evaluate_internal.h"
#include "infer/model_data.h"
#include "infer/predict_examples.h"
#include "study/fingerprint.h"
#include "study/study.h"
#include "train/json_file.h"
#include "train/leftovers.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define RESULTS_LIMIT ((size_t)4 << 20)

enum { RESULTS_VERSION = 1, TIMED = 32, COUNTED_TARGETS = 10000, DIGITS = 9 };

/* ---- what results are from ---------------------------------------------------------------- */

static hone_status add_settings(hone_hash *hash, const hone_run_settings *settings,
                                hone_error *error)
{
    /* Only read: hone_option_set has no const form. */
    union {
        const hone_run_settings *given;
        hone_run_settings *taken;
    } both = {settings};
    const hone_option_set sets[] = {hone_data_option_set(&both.taken->data),
                                    hone_generate_option_set(&both.taken->generate),
                                    hone_score_option_set(&both.taken->score)};
    for (size_t s = 0; s < sizeof sets / sizeof *sets; s++) {
        for (size_t i = 0; i < sets[s].count; i++) {
            char *text = hone_options_get_text(&sets[s], &sets[s].options[i]);
            if (text == NULL)
                return hone_fail_memory(error, "settings", 0);
            hone_hash_add(hash, text, strlen(text) + 1);
            hone_options_free_text(text);
        }
    }
    const char *compute = settings->model.compute;
    hone_hash_add(hash, compute, strlen(compute) + 1);
    hone_hash_add(hash, &settings->model.seed, sizeof settings->model.seed);
    hone_hash_add(hash, &settings->train.split, sizeof settings->train.split);
    return HONE_OK;
}

static hone_status identify(const hone_measure_request *request, const char *what, char key[24],
                            hone_error *error)
{
    hone_hash hash;
    const hone_train_settings *train = &request->settings->train;
    /* Results of another version, which had less in them, are measured anew. */
    hone_hash_init(&hash, RESULTS_VERSION);
    hone_hash_add(&hash, what, strlen(what) + 1);
    hone_hash_add(&hash, &request->num_predictions, sizeof request->num_predictions);
    hone_hash_add(&hash, &request->merge, sizeof request->merge);
    HONE_TRY(add_settings(&hash, request->settings, error));
    HONE_TRY(hone_fingerprint_folder(&hash, request->model, error));
    if (request->adapter != NULL)
        HONE_TRY(hone_fingerprint_folder(&hash, request->adapter, error));
    HONE_TRY(hone_fingerprint_file(&hash, train->train, error));
    if (train->valid != NULL)
        HONE_TRY(hone_fingerprint_file(&hash, train->valid, error));
    snprintf(key, 24, "%016llx", (unsigned long long)hone_hash_get(&hash));
    return HONE_OK;
}

/* The results that are there, if they are from the same; else *results is NULL. */
static hone_status find_kept(const char *folder, const char *key, hone_json **results,
                             hone_error *error)
{
    *results = NULL;
    char *path = hone_path_join(folder, "results.json");
    if (path == NULL)
        return hone_fail_memory(error, "path", 0);
    hone_json *found = NULL;
    hone_status status = HONE_OK;
    if (hone_file_exists(path))
        status = hone_json_load(path, RESULTS_LIMIT, &found, NULL);
    hone_free(path);
    if (status == HONE_MEMORY)
        return hone_fail_memory(error, "results", 0);
    const char *from =
        status == HONE_OK ? hone_json_string(hone_json_get(found, "made_from"), NULL) : NULL;
    if (from != NULL && strcmp(from, key) == 0)
        *results = found;
    else
        hone_json_free(found);
    return HONE_OK;
}

/* ---- parts -------------------------------------------------------------------------------- */

/* An open model with its validation data. */
typedef struct measuring {
    const hone_measure_request *request;
    hone_model *model;
    hone_dataset *train, *valid; /* train: with a split, and for the copied words */
    hone_json *out;
} measuring;

/* Opens a folder as the run's settings say. What a run wrote has weights, even where the run began
 * with random ones. */
static hone_status open_model(const hone_measure_request *request, const char *folder,
                              const char *adapter, const char *compute, hone_model **out,
                              hone_error *error)
{
    hone_model_settings settings = request->settings->model; /* its texts stay the run's */
    static char pretrained[] = "pretrained";
    union {
        const char *given;
        char *taken;
    } model = {folder}, attached = {adapter}, type = {compute};
    if (strcmp(folder, settings.model) != 0)
        settings.init = pretrained;
    settings.model = model.taken;
    settings.adapter = attached.taken;
    settings.compute = type.taken;
    return hone_model_open(&settings, NULL, out, error);
}

static hone_status open_data(measuring *m, bool training, hone_error *error)
{
    const hone_run_settings *settings = m->request->settings;
    hone_dataset_options options;
    HONE_TRY(hone_model_data_options(m->model, &settings->data, &options, error));
    if (training || settings->train.valid == NULL)
        HONE_TRY(hone_dataset_open(settings->train.train, &options, &m->train, error));
    if (settings->train.valid != NULL)
        return hone_dataset_open(settings->train.valid, &options, &m->valid, error);
    return hone_dataset_split(m->train, settings->train.split, (uint64_t)settings->model.seed,
                              &m->valid, error);
}

static void close_all(measuring *m)
{
    hone_dataset_close(m->valid);
    hone_dataset_close(m->train);
    hone_model_close(m->model);
    *m = (measuring){0};
}

static hone_status put_real(measuring *m, const char *key, double value, hone_error *error)
{
    hone_json *number = isfinite(value) ? hone_json_new_real(value) : hone_json_new_null();
    return hone_json_set(m->out, key, number) ? HONE_OK : hone_fail_memory(error, "results", 0);
}

static hone_status put_integer(measuring *m, const char *key, int64_t value, hone_error *error)
{
    return hone_json_set(m->out, key, hone_json_new_integer(value))
               ? HONE_OK
               : hone_fail_memory(error, "results", 0);
}

static hone_json *number_or_null(double value)
{
    return isfinite(value) ? hone_json_new_real(value) : hone_json_new_null();
}

static bool put_score(hone_json *scores, const hone_score *score)
{
    hone_json *o = hone_json_new_object();
    bool made = o != NULL && hone_json_set(o, "value", number_or_null(score->value)) &&
                hone_json_set(o, "low", number_or_null(score->low)) &&
                hone_json_set(o, "high", number_or_null(score->high)) &&
                hone_json_set(o, "scale", hone_json_new_real(score->scale)) &&
                hone_json_set(o, "signature", hone_json_new_string(score->signature));
    if (made)
        return hone_json_set(scores, score->name, o);
    hone_json_free(o);
    return false;
}

static hone_status put_scores(measuring *m, hone_scorer *scorer, hone_error *error)
{
    hone_json *scores = hone_json_new_object();
    hone_status status = scores != NULL ? HONE_OK : hone_fail_memory(error, "results", 0);
    for (size_t i = 0; i < hone_scorer_count(scorer) && status == HONE_OK; i++) {
        hone_score score;
        status = hone_scorer_result(scorer, i, &score, error);
        if (status == HONE_OK && !put_score(scores, &score))
            status = hone_fail_memory(error, "results", 0);
    }
    if (status == HONE_OK)
        status = put_integer(m, "predictions", hone_scorer_rows(scorer), error);
    if (status != HONE_OK) {
        hone_json_free(scores);
        return status;
    }
    return hone_json_set(m->out, "scores", scores) ? HONE_OK
                                                   : hone_fail_memory(error, "results", 0);
}

/* The loss is no prediction that could be counted; a stop is looked for all the same. */
static int look_for_stop(void *context, int64_t done, int64_t total)
{
    (void)done, (void)total;
    const hone_compare_options *options = ((const measuring *)context)->request->options;
    return options != NULL && options->stop != NULL && options->stop(options->context) != 0;
}

static hone_status measure_loss(measuring *m, hone_error *error)
{
    const hone_train_settings *train = &m->request->settings->train;
    const hone_evaluate_request request = {
        .batch_size = train->eval_batch_size > 0 ? train->eval_batch_size : train->batch_size,
        .progress = look_for_stop,
        .context = m};
    hone_evaluation evaluation;
    HONE_TRY(hone_evaluate_dataset(m->model, m->valid, &request, &evaluation, error));
    HONE_TRY(put_real(m, "loss", evaluation.loss, error));
    HONE_TRY(put_real(m, "perplexity", evaluation.perplexity, error));
    HONE_TRY(put_integer(m, "validation_tokens", evaluation.tokens, error));
    if (evaluation.bytes == 0)
        return HONE_OK;
    HONE_TRY(put_integer(m, "validation_bytes", evaluation.bytes, error));
    return put_real(m, "bits_per_byte", evaluation.bits_per_byte, error);
}

/* Which tokenizer it is, by what its tokens say: whatever file it came from. */
static hone_status put_tokenizer(measuring *m, hone_error *error)
{
    const hone_tokenizer *tokenizer = hone_model_tokenizer(m->model);
    char text[24];
    hone_hash hash;
    if (tokenizer == NULL)
        return HONE_OK;
    hone_hash_init(&hash, 0);
    for (int32_t id = 0; id < hone_tokenizer_size(tokenizer); id++) {
        size_t length = 0;
        const char *token = hone_tokenizer_token(tokenizer, id, &length);
        hone_hash_add(&hash, &length, sizeof length);
        hone_hash_add(&hash, token, token != NULL ? length : 0);
    }
    snprintf(text, sizeof text, "%016llx", (unsigned long long)hone_hash_get(&hash));
    return hone_json_set(m->out, "tokenizer", hone_json_new_string(text))
               ? HONE_OK
               : hone_fail_memory(error, "results", 0);
}

/* ---- decoding speed ----------------------------------------------------------------------- */

/* Tokens a second over the first few examples, the reading of their prompts included. */
static hone_status time_decoding(measuring *m, hone_model *model, const hone_examples *examples,
                                 const char *key, hone_error *error)
{
    hone_examples few = *examples;
    few.count = few.count < TIMED ? few.count : TIMED;
    const hone_predict_request request = {.settings = &m->request->settings->generate,
                                          .seed = (uint64_t)m->request->settings->model.seed};
    hone_prediction_costs costs;
    HONE_TRY(hone_predict_examples(model, &few, &request, &costs, error));
    return put_real(m, key, (double)costs.tokens / fmax(costs.seconds, 1e-9), error);
}

/* Writes the merged model: from weights as they are on disk, whatever the run's products multiply.
 */
static hone_status merge(const hone_measure_request *request, const char *folder, hone_error *error)
{
    hone_model *exact = NULL;
    HONE_TRY(open_model(request, request->model, request->adapter, "f32", &exact, error));
    hone_status status = hone_model_merge(exact, folder, error);
    hone_model_close(exact);
    return status;
}

/* The merged model is written, opened, timed and removed. */
static hone_status time_merged(measuring *m, const hone_examples *examples, hone_error *error)
{
    hone_model *merged = NULL;
    char *folder = hone_path_join(m->request->folder, "merged.tmp.0");
    if (folder == NULL)
        return hone_fail_memory(error, "path", 0);
    hone_status status = hone_folder_remove(folder, error);
    if (status == HONE_OK)
        status = merge(m->request, folder, error);
    if (status == HONE_OK)
        status = open_model(m->request, folder, NULL, m->request->settings->model.compute, &merged,
                            error);
    if (status == HONE_OK)
        status = time_decoding(m, merged, examples, "decode_tokens_per_second_merged", error);
    hone_model_close(merged);
    hone_status removed = hone_folder_remove(folder, status == HONE_OK ? error : NULL);
    hone_free(folder);
    return status == HONE_OK ? removed : status;
}

static hone_status predict(measuring *m, const hone_examples *examples, hone_error *error)
{
    hone_scorer *scorer = NULL;
    char *path = hone_path_join(m->request->folder, "predictions.jsonl");
    if (path == NULL)
        return hone_fail_memory(error, "path", 0);
    const hone_run_settings *settings = m->request->settings;
    hone_status status = hone_scorer_create(&settings->score, &scorer, error);
    const hone_predict_request request = {.settings = &settings->generate,
                                          .seed = (uint64_t)settings->model.seed,
                                          .scorer = scorer,
                                          .path = path,
                                          .progress = m->request->progress,
                                          .context = m->request->context};
    if (status == HONE_OK)
        status = hone_predict_examples(m->model, examples, &request, NULL, error);
    if (status == HONE_OK)
        status = put_scores(m, scorer, error);
    hone_scorer_free(scorer);
    hone_free(path);
    if (status == HONE_OK)
        status = time_decoding(m, m->model, examples, "decode_tokens_per_second", error);
    if (status == HONE_OK && m->request->merge)
        status = time_merged(m, examples, error);
    return status;
}

static hone_status find_examples(const measuring *m, bool training, int64_t most,
                                 hone_examples *out, hone_error *error)
{
    const hone_run_settings *settings = m->request->settings;
    bool own = !training && settings->train.valid != NULL;
    return hone_examples_find(m->model, training ? m->train : m->valid,
                              own ? settings->train.valid : settings->train.train, &settings->data,
                              most, out, error);
}

static hone_status measure_model(measuring *m, hone_error *error)
{
    HONE_TRY(open_model(m->request, m->request->model, m->request->adapter,
                        m->request->settings->model.compute, &m->model, error));
    HONE_TRY(open_data(m, false, error));
    HONE_TRY(measure_loss(m, error));
    HONE_TRY(put_tokenizer(m, error));
    if (m->model->tokenizer == NULL || hone_examples_usable(m->valid) == 0)
        return HONE_OK;
    hone_examples examples;
    HONE_TRY(find_examples(m, false, m->request->num_predictions, &examples, error));
    hone_status status = predict(m, &examples, error);
    hone_examples_deinit(&examples);
    return status;
}

/* ---- the copied words --------------------------------------------------------------------- */

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* Where the first `most` words end; *count of them. */
static size_t skip_words(hone_text text, int64_t most, int64_t *count)
{
    size_t at = 0, end = 0;
    *count = 0;
    while (at < text.length && *count < most) {
        while (at < text.length && is_space(text.text[at]))
            at++;
        if (at == text.length)
            break;
        while (at < text.length && !is_space(text.text[at]))
            at++;
        end = at;
        ++*count;
    }
    return end;
}

static hone_status mean_target_words(const measuring *m, int64_t *words, hone_error *error)
{
    hone_examples examples;
    int64_t sum = 0, count;
    HONE_TRY(find_examples(m, true, COUNTED_TARGETS, &examples, error));
    for (int64_t i = 0; i < examples.count; i++) {
        skip_words(examples.items[i].target, INT64_MAX, &count);
        sum += count;
    }
    *words = (int64_t)llround((double)sum / (double)examples.count);
    *words = *words > 0 ? *words : 1;
    hone_examples_deinit(&examples);
    return HONE_OK;
}

static hone_status copy_words(measuring *m, const hone_examples *examples, int64_t words,
                              hone_error *error)
{
    hone_scorer *scorer = NULL;
    hone_string lines = {0};
    HONE_TRY(hone_scorer_create(&m->request->settings->score, &scorer, error));
    hone_status status = HONE_OK;
    for (int64_t i = 0; i < examples->count && status == HONE_OK; i++) {
        int64_t count;
        const hone_example *example = &examples->items[i];
        hone_text text = example->source;
        text.length = skip_words(text, words, &count);
        while (text.length > 0 && is_space(text.text[0])) {
            text.text++;
            text.length--;
        }
        hone_prediction_put(&lines, example, text, NULL);
        status = hone_scorer_add(scorer, text, &example->target, 1, error);
    }
    if (status == HONE_OK)
        status = put_scores(m, scorer, error);
    char *path = hone_path_join(m->request->folder, "predictions.jsonl");
    if (status == HONE_OK)
        status = path == NULL ? hone_fail_memory(error, "path", 0)
                              : hone_string_write(&lines, path, error);
    hone_free(path);
    hone_string_deinit(&lines);
    hone_scorer_free(scorer);
    return status;
}

static hone_status measure_copied(measuring *m, hone_error *error)
{
    HONE_TRY(open_model(m->request, m->request->model, NULL, m->request->settings->model.compute,
                        &m->model, error));
    HONE_TRY(open_data(m, true, error));
    if (m->model->tokenizer == NULL || hone_examples_usable(m->valid) == 0 ||
        hone_examples_usable(m->train) == 0)
        return HONE_OK;
    int64_t words;
    HONE_TRY(mean_target_words(m, &words, error));
    HONE_TRY(put_integer(m, "words", words, error));
    hone_examples examples;
    HONE_TRY(find_examples(m, false, m->request->num_predictions, &examples, error));
    hone_status status = copy_words(m, &examples, words, error);
    hone_examples_deinit(&examples);
    return status;
}

/* ---- the whole ---------------------------------------------------------------------------- */

/* What is handed to the process that measures; its results come back as results.json. */
typedef struct measure_work {
    const hone_measure_request *request;
    const char *key;
    hone_status (*make)(measuring *m, hone_error *error);
} measure_work;

static hone_status run_measure(void *argument, hone_error *error)
{
    const measure_work *work = argument;
    const hone_measure_request *request = work->request;
    measuring m = {.request = request, .out = hone_json_new_object()};
    hone_status status = HONE_OK;
    hone_parallel_set_threads((int)request->settings->model.threads);
    if (m.out == NULL || !hone_json_set(m.out, "made_from", hone_json_new_string(work->key)))
        status = hone_fail_memory(error, "results", 0);
    if (status == HONE_OK)
        status = hone_folder_make(request->folder, error);
    if (status == HONE_OK)
        status = hone_leftovers_remove(request->folder, error);
    if (status == HONE_OK)
        status = work->make(&m, error);
    hone_json *out = m.out;
    close_all(&m);
    if (status == HONE_OK)
        return hone_json_file_write(request->folder, "results.json", out, DIGITS, error);
    hone_json_free(out);
    return status;
}

static hone_status measure(const hone_measure_request *request, const char *what,
                           hone_status (*make)(measuring *m, hone_error *error),
                           hone_json **results, bool *kept, hone_error *error)
{
    char key[24];
    *results = NULL;
    HONE_TRY(identify(request, what, key, error));
    HONE_TRY(find_kept(request->folder, key, results, error));
    *kept = *results != NULL;
    if (*kept)
        return HONE_OK;
    measure_work work = {request, key, make};
    HONE_TRY(hone_study_isolate(request->options, "measuring", request->name, run_measure, &work,
                                error));
    HONE_TRY(find_kept(request->folder, key, results, error));
    if (*results == NULL)
        return hone_fail_at(error, HONE_IO, request->folder, -1, -1,
                            "expected results.json of what has been measured, found none");
    return HONE_OK;
}

hone_status hone_measure(const hone_measure_request *request, hone_json **results, bool *kept,
                         hone_error *error)
{
    return measure(request, "model", measure_model, results, kept, error);
}

hone_status hone_measure_copy(const hone_measure_request *request, hone_json **results, bool *kept,
                              hone_error *error)
{
    return measure(request, "copy", measure_copied, results, kept, error);
}
