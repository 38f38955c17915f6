/* The scorer: see score.h. Of each row it keeps the numbers of all metrics, side by side; values,
 * intervals and comparisons are sums over them. */
#include "metric/bootstrap.h"
#include "metric/metric.h"

#include "base/memory.h"
#include "base/parallel.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The order is that of "rouge" spelt out. */
static const hone_metric *const all_metrics[] = {
    &hone_metric_rouge1,      &hone_metric_rouge2,   &hone_metric_rouge_l,
    &hone_metric_rouge_lsum,  &hone_metric_bleu,     &hone_metric_sentence_bleu,
    &hone_metric_nltk_bleu,   &hone_metric_chrf,     &hone_metric_chrf_words,
    &hone_metric_exact_match, &hone_metric_token_f1, &hone_metric_accuracy,
    &hone_metric_macro_f1,
};
enum { METRICS = sizeof all_metrics / sizeof *all_metrics };

/* Bytes of a row's texts, so that 32 bits count its words. */
#define ROW_LIMIT ((size_t)INT32_MAX)

struct hone_scorer {
    hone_score_settings settings; /* its texts are copies, its list is empty */
    hone_metric_context context;
    const hone_metric *metrics[METRICS];
    size_t offsets[METRICS]; /* of a metric's numbers among those of a row */
    size_t metric_count, width;
    double *numbers; /* (rows, width) */
    size_t rows, capacity;
    int64_t references; /* of each row; -1 when they differ, 0 without rows */
    double *samples; /* (metric_count, bootstrap_samples), or NULL: not made since the last add */
};

double hone_metric_mean(const hone_score_settings *settings, const double *sums, double rows)
{
    (void)settings;
    return sums[0] / rows;
}

hone_status hone_metric_make(void **part, size_t size, hone_error *error)
{
    if (*part == NULL)
        *part = hone_alloc_array(1, size);
    return *part != NULL ? HONE_OK : hone_fail_memory(error, "metric", size);
}

static bool selects(const hone_metric *metric, const char *name, size_t length)
{
    const char *const names[] = {metric->name, metric->group};
    for (int i = 0; i < 2; i++)
        if (names[i] != NULL && strlen(names[i]) == length && memcmp(names[i], name, length) == 0)
            return true;
    return false;
}

/* Adds what a name of `length` bytes selects; false when it selects nothing. */
static bool select_metrics(hone_scorer *scorer, const char *name, size_t length)
{
    bool found = false;
    for (size_t i = 0; i < METRICS; i++) {
        if (!selects(all_metrics[i], name, length))
            continue;
        found = true;
        bool there = false;
        for (size_t k = 0; k < scorer->metric_count; k++)
            there = there || scorer->metrics[k] == all_metrics[i];
        if (there)
            continue;
        scorer->offsets[scorer->metric_count] = scorer->width;
        scorer->metrics[scorer->metric_count++] = all_metrics[i];
        scorer->width += all_metrics[i]->width;
    }
    return found;
}

bool hone_metric_known(const char *name)
{
    for (size_t i = 0; i < METRICS; i++)
        if (selects(all_metrics[i], name, strlen(name)))
            return true;
    return false;
}

static hone_status fail_name(const char *name, size_t length, hone_error *error)
{
    hone_fail(error, HONE_USAGE, "metrics: there is no metric '%.*s'; there are rouge",
              (int)(length < 40 ? length : 40), name);
    for (size_t i = 0; i < METRICS; i++)
        hone_error_append(error, ", %s", all_metrics[i]->name);
    return HONE_USAGE;
}

/* A list item may hold several names: option lists leave "bleu,chrf++" whole for its plus. */
static hone_status select_item(hone_scorer *scorer, const char *item, hone_error *error)
{
    while (*item != '\0') {
        size_t length = strcspn(item, ", ");
        if (length > 0 && !select_metrics(scorer, item, length))
            return fail_name(item, length, error);
        item += length;
        item += strspn(item, ", ");
    }
    return HONE_OK;
}

/* Copies settings by way of their table, so that a new one can't be forgotten. */
static hone_status copy_settings(hone_scorer *scorer, const hone_score_settings *settings,
                                 hone_error *error)
{
    hone_option_set to = hone_score_option_set(&scorer->settings), from = to;
    hone_score_settings source = *settings;
    from.object = &source;
    HONE_TRY(hone_options_init(&to, error));
    for (size_t i = 0; i < to.count; i++) {
        if (to.options[i].type == HONE_OPTION_LIST)
            continue;
        char *text = hone_options_get_text(&from, &to.options[i]);
        if (text == NULL)
            return hone_fail_memory(error, "scorer", sizeof *scorer);
        hone_status status =
            hone_options_set_text(&to, 1, to.options[i].key, text, to.options[i].key, error);
        hone_options_free_text(text);
        HONE_TRY(status);
    }
    return HONE_OK;
}

hone_status hone_scorer_create(const hone_score_settings *settings, hone_scorer **out,
                               hone_error *error)
{
    hone_scorer *scorer = hone_alloc_array(1, sizeof *scorer);
    *out = NULL;
    if (scorer == NULL)
        return hone_fail_memory(error, "scorer", sizeof *scorer);
    hone_status status = copy_settings(scorer, settings, error);
    scorer->context.settings = &scorer->settings;
    for (size_t i = 0; status == HONE_OK && i < settings->metrics.count; i++)
        status = select_item(scorer, settings->metrics.items[i], error);
    if (status == HONE_OK && scorer->metric_count == 0)
        status = hone_fail(error, HONE_USAGE, "metrics: expected at least one name");
    if (status != HONE_OK) {
        hone_scorer_free(scorer);
        return status;
    }
    *out = scorer;
    return HONE_OK;
}

void hone_scorer_free(hone_scorer *scorer)
{
    if (scorer == NULL)
        return;
    hone_option_set set = hone_score_option_set(&scorer->settings);
    hone_options_deinit(&set);
    hone_rouge_free(scorer->context.rouge);
    hone_bleu_free(scorer->context.bleu);
    hone_chrf_free(scorer->context.chrf);
    hone_answers_free(scorer->context.answers);
    hone_free(scorer->numbers);
    hone_free(scorer->samples);
    hone_free(scorer);
}

static void forget_samples(hone_scorer *scorer)
{
    hone_free(scorer->samples);
    scorer->samples = NULL;
}

void hone_scorer_reset(hone_scorer *scorer)
{
    forget_samples(scorer);
    hone_answers_forget(scorer->context.answers);
    scorer->rows = 0;
    scorer->references = 0;
}

static hone_status check_row(const hone_score_row *row, hone_error *error)
{
    size_t bytes = row->prediction.length;
    if (row->count == 0)
        return hone_fail(error, HONE_USAGE, "a prediction needs at least one reference");
    for (size_t i = 0; i < row->count && bytes <= ROW_LIMIT; i++)
        bytes += row->references[i].length < ROW_LIMIT ? row->references[i].length : ROW_LIMIT + 1;
    if (bytes > ROW_LIMIT)
        return hone_fail(error, HONE_USAGE, "the texts of a row have more than %zu bytes",
                         ROW_LIMIT);
    return HONE_OK;
}

hone_status hone_scorer_add(hone_scorer *scorer, hone_text prediction, const hone_text *references,
                            size_t count, hone_error *error)
{
    const hone_score_row row = {prediction, references, count};
    size_t needed;
    HONE_TRY(check_row(&row, error));
    if (!hone_size_mul(scorer->rows + 1, scorer->width, &needed) ||
        !hone_array_reserve((void **)&scorer->numbers, &scorer->capacity, needed,
                            sizeof *scorer->numbers))
        return hone_fail_memory(error, "scores", scorer->width * sizeof *scorer->numbers);
    double *numbers = scorer->numbers + scorer->rows * scorer->width;
    hone_rouge_reset(scorer->context.rouge);
    hone_bleu_reset(scorer->context.bleu);
    hone_chrf_reset(scorer->context.chrf);
    hone_answers_reset(scorer->context.answers);
    for (size_t i = 0; i < scorer->metric_count; i++)
        HONE_TRY(
            scorer->metrics[i]->add(&scorer->context, &row, numbers + scorer->offsets[i], error));
    if (scorer->rows > 0 && scorer->references != (int64_t)count)
        scorer->references = -1;
    else
        scorer->references = (int64_t)count;
    scorer->rows++;
    forget_samples(scorer);
    return HONE_OK;
}

int64_t hone_scorer_rows(const hone_scorer *scorer)
{
    return (int64_t)scorer->rows;
}

size_t hone_scorer_count(const hone_scorer *scorer)
{
    return scorer->metric_count;
}

const char *hone_scorer_name(const hone_scorer *scorer, size_t index)
{
    return scorer->metrics[index]->name;
}

int64_t hone_scorer_find(const hone_scorer *scorer, const char *name)
{
    for (size_t i = 0; i < scorer->metric_count; i++)
        if (strcmp(scorer->metrics[i]->name, name) == 0)
            return (int64_t)i;
    return -1;
}

/* Sums of all numbers, each row as often as its weight says (once where weights is NULL). */
static void sum_rows(const hone_scorer *scorer, const uint32_t *weights, double *sums)
{
    size_t width = scorer->width;
    memset(sums, 0, width * sizeof *sums);
    for (size_t i = 0; i < scorer->rows; i++) {
        double weight = weights != NULL ? (double)weights[i] : 1;
        const double *numbers = scorer->numbers + i * width;
        if (weight == 0)
            continue;
        for (size_t k = 0; k < width; k++)
            sums[k] += weight * numbers[k];
    }
}

/* Elements of scratch that value_rows wants. */
static size_t scratch_size(const hone_scorer *scorer)
{
    return 2 * hone_answers_labels(scorer->context.answers) + 1;
}

/* A metric's value with each row as often as its weight says, given the sums of all numbers. */
static double value_of(const hone_scorer *scorer, size_t index, const uint32_t *weights,
                       const double *sums, double *scratch)
{
    const hone_metric *metric = scorer->metrics[index];
    size_t offset = scorer->offsets[index];
    if (metric->value_rows != NULL)
        return metric->value_rows(&scorer->context, scorer->numbers + offset, scorer->width,
                                  scorer->rows, weights, scratch);
    return metric->value(&scorer->settings, sums + offset, (double)scorer->rows);
}

/* The value over all rows, and the sums of all numbers. */
static hone_status value_of_all(const hone_scorer *scorer, size_t index, double *sums,
                                double *value, hone_error *error)
{
    double *scratch = hone_alloc_array(scratch_size(scorer), sizeof *scratch);
    if (scratch == NULL)
        return hone_fail_memory(error, "scores", scratch_size(scorer) * sizeof *scratch);
    sum_rows(scorer, NULL, sums);
    *value = value_of(scorer, index, NULL, sums, scratch);
    hone_free(scratch);
    return HONE_OK;
}

hone_status hone_scorer_row_value(const hone_scorer *scorer, size_t index, int64_t row,
                                  double *value, hone_error *error)
{
    hone_scorer one = *scorer;
    double sums[METRICS * HONE_METRIC_WIDTH];
    one.numbers += (size_t)row * one.width;
    one.rows = 1;
    return value_of_all(&one, index, sums, value, error);
}

/* Resamples being drawn; the threads have room of their own. */
typedef struct sampling {
    const hone_scorer *scorer;
    uint32_t *weights; /* (threads, rows) */
    double *scratch;   /* (threads, scratch_size) */
    double *samples;
} sampling;

static void draw_sample(void *context, int64_t sample, int thread)
{
    const sampling *job = context;
    const hone_scorer *scorer = job->scorer;
    double sums[METRICS * HONE_METRIC_WIDTH];
    uint32_t *weights = job->weights + (size_t)thread * scorer->rows;
    double *scratch = job->scratch + (size_t)thread * scratch_size(scorer);
    hone_bootstrap_draw((uint64_t)scorer->settings.bootstrap_seed, (uint32_t)sample, weights,
                        scorer->rows);
    sum_rows(scorer, weights, sums);
    for (size_t i = 0; i < scorer->metric_count; i++)
        job->samples[i * (size_t)scorer->settings.bootstrap_samples + (size_t)sample] =
            value_of(scorer, i, weights, sums, scratch);
}

/* Fills scorer->samples; there are rows and resamples. */
static hone_status draw_samples(hone_scorer *scorer, hone_error *error)
{
    size_t threads = (size_t)hone_parallel_threads(), weights, scratch, values;
    size_t count = (size_t)scorer->settings.bootstrap_samples;
    sampling job = {.scorer = scorer};
    if (scorer->samples != NULL)
        return HONE_OK;
    if (hone_size_mul(threads, scorer->rows, &weights) &&
        hone_size_mul(threads, scratch_size(scorer), &scratch) &&
        hone_size_mul(count, scorer->metric_count, &values)) {
        job.weights = hone_alloc_array(weights, sizeof *job.weights);
        job.scratch = hone_alloc_array(scratch, sizeof *job.scratch);
        job.samples = hone_alloc_array(values, sizeof *job.samples);
    }
    bool there = job.weights != NULL && job.scratch != NULL && job.samples != NULL;
    if (there) {
        hone_parallel_run((int64_t)count, draw_sample, &job);
        scorer->samples = job.samples;
    } else {
        hone_free(job.samples);
    }
    hone_free(job.weights);
    hone_free(job.scratch);
    return there ? HONE_OK : hone_fail_memory(error, "resamples", scorer->rows * threads);
}

/* Sorts the values and takes the interval of the settings' confidence. */
static void take_interval(const hone_score_settings *settings, double *values, double *low,
                          double *high)
{
    size_t count = (size_t)settings->bootstrap_samples;
    double tail = (1 - settings->confidence) / 2;
    hone_bootstrap_sort(values, count);
    *low = hone_bootstrap_quantile(values, count, tail);
    *high = hone_bootstrap_quantile(values, count, 1 - tail);
}

static void write_signature(const hone_scorer *scorer, const hone_metric *metric, char *buffer,
                            size_t size)
{
    const hone_score_settings *settings = &scorer->settings;
    char references[24] = "var", bootstrap[96] = "", own[128] = "";
    if (scorer->references >= 0)
        snprintf(references, sizeof references, "%lld", (long long)scorer->references);
    if (settings->bootstrap_samples > 0) {
        int used =
            snprintf(bootstrap, sizeof bootstrap, "bs:%lld|seed:%lld|",
                     (long long)settings->bootstrap_samples, (long long)settings->bootstrap_seed);
        if (settings->confidence != 0.95)
            snprintf(bootstrap + used, sizeof bootstrap - (size_t)used, "ci:%g|",
                     settings->confidence);
    }
    metric->describe(settings, own, sizeof own);
    snprintf(buffer, size, "nrefs:%s|%s%s|examples:%zu|version:hone-" HONE_VERSION, references,
             bootstrap, own, scorer->rows);
}

hone_status hone_scorer_result(hone_scorer *scorer, size_t index, hone_score *out,
                               hone_error *error)
{
    const hone_metric *metric = scorer->metrics[index];
    double sums[METRICS * HONE_METRIC_WIDTH];
    size_t count = (size_t)scorer->settings.bootstrap_samples;
    double nan = (double)NAN;
    *out = (hone_score){.name = metric->name, .scale = metric->scale};
    out->value = out->low = out->high = out->precision = out->recall = nan;
    write_signature(scorer, metric, out->signature, sizeof out->signature);
    if (scorer->rows == 0)
        return HONE_OK;
    HONE_TRY(value_of_all(scorer, index, sums, &out->value, error));
    if (metric->has_parts) {
        out->precision = sums[scorer->offsets[index]] / (double)scorer->rows;
        out->recall = sums[scorer->offsets[index] + 1] / (double)scorer->rows;
    }
    if (count == 0)
        return HONE_OK;
    HONE_TRY(draw_samples(scorer, error));
    double *values = hone_alloc_array(count, sizeof *values);
    if (values == NULL)
        return hone_fail_memory(error, "resamples", count * sizeof *values);
    memcpy(values, scorer->samples + index * count, count * sizeof *values);
    take_interval(&scorer->settings, values, &out->low, &out->high);
    hone_free(values);
    return HONE_OK;
}

static hone_status check_pair(const hone_scorer *first, const hone_scorer *second, size_t index,
                              hone_error *error)
{
    const hone_score_settings *a = &first->settings, *b = &second->settings;
    if (index >= second->metric_count || first->metrics[index] != second->metrics[index])
        return hone_fail(error, HONE_USAGE, "the two scorers have different metrics");
    if (first->rows != second->rows || first->rows == 0)
        return hone_fail(error, HONE_USAGE, "a comparison needs as many rows in both: %zu and %zu",
                         first->rows, second->rows);
    if (a->bootstrap_seed != b->bootstrap_seed || a->bootstrap_samples != b->bootstrap_samples)
        return hone_fail(error, HONE_USAGE, "the two scorers have different resamples");
    if (a->bootstrap_samples == 0)
        return hone_fail(error, HONE_USAGE, "bootstrap_samples: a comparison needs resamples");
    return HONE_OK;
}

hone_status hone_scorer_compare(hone_scorer *first, hone_scorer *second, size_t index,
                                hone_comparison *out, hone_error *error)
{
    double sums[METRICS * HONE_METRIC_WIDTH], here, there;
    HONE_TRY(check_pair(first, second, index, error));
    HONE_TRY(value_of_all(first, index, sums, &here, error));
    HONE_TRY(value_of_all(second, index, sums, &there, error));
    HONE_TRY(draw_samples(first, error));
    HONE_TRY(draw_samples(second, error));
    size_t count = (size_t)first->settings.bootstrap_samples, better = 0, worse = 0;
    double *differences = hone_alloc_array(count, sizeof *differences);
    if (differences == NULL)
        return hone_fail_memory(error, "resamples", count * sizeof *differences);
    *out = (hone_comparison){.name = first->metrics[index]->name};
    out->difference = there - here;
    for (size_t i = 0; i < count; i++) {
        double difference = second->samples[index * count + i] - first->samples[index * count + i];
        better += difference > 0;
        worse += difference < 0;
        differences[i] = difference;
    }
    take_interval(&first->settings, differences, &out->low, &out->high);
    hone_free(differences);
    double ties = (double)(count - better - worse), all = (double)count;
    out->wins = ((double)better + ties / 2) / all;
    double not_better = (all - (double)better + 1) / (all + 1);
    double not_worse = (all - (double)worse + 1) / (all + 1);
    out->p_value = fmin(1, 2 * fmin(not_better, not_worse));
    return HONE_OK;
}
