/* BLEU, three ways.
 * Sources: Papineni et al. 2002, "BLEU: a method for automatic evaluation of machine translation";
 * Chen and Cherry 2014, "A systematic comparison of smoothing techniques for sentence-level BLEU";
 * for the details sacrebleu 2.6.0 (bleu, sentence_bleu) and NLTK's sentence_bleu with its smoothing
 * method 1 (nltk_bleu).
 * n-grams of up to four words; those of the prediction that any reference has, each as often as the
 * reference that has it most, over all of the prediction: p1 .. p4. The brevity penalty takes the
 * reference length that is nearest, the shorter of two. BLEU = penalty * (p1 p2 p3 p4)^(1/4). */
#include "metric/bleu_tokenize.h"
#include "metric/metric.h"
#include "metric/ngrams.h"
#include "metric/words.h"

#include "base/memory.h"
#include "text/python_text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ORDER = 4 };

/* The numbers of a row; sums of them have the same places. */
enum { PREDICTED, REFERENCED, MATCHES, TOTALS = MATCHES + ORDER, NUMBERS = TOTALS + ORDER };

/* The texts of a row as words, by one tokenizer. */
typedef struct bleu_texts {
    bool ready;
    hone_words words;
    hone_text_buffer *buffers; /* the words' letters: the prediction's, then the references' */
    hone_sequence *sequences;
    const hone_sequence **references; /* of the sequences */
    size_t buffer_capacity, sequence_capacity, reference_capacity;
    hone_ngrams ngrams;
    double numbers[NUMBERS];
} bleu_texts;

struct hone_bleu {
    bleu_texts tokenized, plain;
};

void hone_bleu_reset(struct hone_bleu *bleu)
{
    if (bleu != NULL)
        bleu->tokenized.ready = bleu->plain.ready = false;
}

static void deinit_texts(bleu_texts *texts)
{
    for (size_t i = 0; i < texts->buffer_capacity; i++)
        hone_text_buffer_deinit(&texts->buffers[i]);
    for (size_t i = 0; i < texts->sequence_capacity; i++)
        hone_sequence_deinit(&texts->sequences[i]);
    hone_free(texts->buffers);
    hone_free(texts->sequences);
    hone_free(texts->references);
    hone_words_deinit(&texts->words);
    hone_ngrams_deinit(&texts->ngrams);
}

void hone_bleu_free(struct hone_bleu *bleu)
{
    if (bleu == NULL)
        return;
    deinit_texts(&bleu->tokenized);
    deinit_texts(&bleu->plain);
    hone_free(bleu);
}

static hone_status reserve(bleu_texts *texts, size_t count, hone_error *error)
{
    size_t buffers = texts->buffer_capacity, sequences = texts->sequence_capacity;
    bool there = hone_array_reserve((void **)&texts->buffers, &texts->buffer_capacity, count,
                                    sizeof *texts->buffers);
    if (there && texts->buffer_capacity > buffers)
        memset(texts->buffers + buffers, 0,
               (texts->buffer_capacity - buffers) * sizeof *texts->buffers);
    there = there && hone_array_reserve((void **)&texts->sequences, &texts->sequence_capacity,
                                        count, sizeof *texts->sequences);
    if (there && texts->sequence_capacity > sequences)
        memset(texts->sequences + sequences, 0,
               (texts->sequence_capacity - sequences) * sizeof *texts->sequences);
    if (!there || !hone_array_reserve((void **)&texts->references, &texts->reference_capacity,
                                      count, sizeof *texts->references))
        return hone_fail_memory(error, "BLEU", count * sizeof *texts->buffers);
    return HONE_OK;
}

static hone_status read_words(bleu_texts *texts, size_t index, hone_text source,
                              hone_bleu_tokenizer tokenizer, bool lowercase, hone_error *error)
{
    hone_text_buffer *buffer = &texts->buffers[index];
    hone_sequence *sequence = &texts->sequences[index];
    const char *word;
    size_t at = 0, length;
    uint32_t id;
    sequence->count = 0;
    HONE_TRY(hone_text_buffer_set(buffer, source.text, source.length, lowercase, error));
    HONE_TRY(hone_bleu_tokenize(tokenizer, buffer, error));
    while (hone_python_next_word(buffer->text, buffer->length, &at, &word, &length)) {
        HONE_TRY(hone_words_add(&texts->words, word, length, &id, error));
        HONE_TRY(hone_sequence_push(sequence, id, error));
    }
    return HONE_OK;
}

static size_t nearest_length(const bleu_texts *texts, size_t count)
{
    size_t own = texts->sequences[0].count, best = texts->references[0]->count;
    for (size_t i = 1; i < count; i++) {
        size_t length = texts->references[i]->count;
        size_t off = length > own ? length - own : own - length;
        size_t best_off = best > own ? best - own : own - best;
        if (off < best_off || (off == best_off && length < best))
            best = length;
    }
    return best;
}

static hone_status prepare(bleu_texts *texts, const hone_score_row *row,
                           hone_bleu_tokenizer tokenizer, bool lowercase, hone_error *error)
{
    int64_t matches[ORDER];
    if (texts->ready)
        return HONE_OK;
    HONE_TRY(reserve(texts, row->count + 1, error));
    hone_words_clear(&texts->words);
    for (size_t i = 0; i <= row->count; i++)
        HONE_TRY(read_words(texts, i, i == 0 ? row->prediction : row->references[i - 1], tokenizer,
                            lowercase, error));
    for (size_t i = 0; i < row->count; i++)
        texts->references[i] = &texts->sequences[i + 1];
    HONE_TRY(hone_ngrams_match(&texts->ngrams, &texts->sequences[0], texts->references, row->count,
                               ORDER, matches, error));
    texts->numbers[PREDICTED] = (double)texts->sequences[0].count;
    texts->numbers[REFERENCED] = (double)nearest_length(texts, row->count);
    for (size_t n = 0; n < ORDER; n++) {
        texts->numbers[MATCHES + n] = (double)matches[n];
        texts->numbers[TOTALS + n] = (double)hone_ngrams_total(&texts->sequences[0], n + 1);
    }
    texts->ready = true;
    return HONE_OK;
}

static hone_status prepare_tokenized(hone_metric_context *context, const hone_score_row *row,
                                     const double **numbers, hone_error *error)
{
    const hone_score_settings *settings = context->settings;
    HONE_TRY(hone_metric_make((void **)&context->bleu, sizeof *context->bleu, error));
    *numbers = context->bleu->tokenized.numbers;
    return prepare(&context->bleu->tokenized, row, hone_bleu_tokenizer_of(settings->bleu_tokenize),
                   settings->lowercase, error);
}

/* exp(1 - r/c) for a prediction that is shorter than its reference. */
static double brevity_penalty(const double *sums)
{
    if (sums[PREDICTED] >= sums[REFERENCED])
        return 1;
    return sums[PREDICTED] > 0 ? exp(1 - sums[REFERENCED] / sums[PREDICTED]) : 0;
}

static bool has_smoothing(const hone_score_settings *settings, const char *name)
{
    return strcmp(settings->bleu_smooth, name) == 0;
}

static double smoothing_value(const hone_score_settings *settings)
{
    if (settings->bleu_smooth_value >= 0)
        return settings->bleu_smooth_value;
    return has_smoothing(settings, "floor") ? 0.1 : 1;
}

/* sacrebleu's value, 0..100. With `effective` the mean is over the orders that the prediction has
 * n-grams of. */
static double smoothed_bleu(const hone_score_settings *settings, const double *sums, bool effective)
{
    bool add_k = has_smoothing(settings, "add-k"), is_floor = has_smoothing(settings, "floor");
    bool is_exp = has_smoothing(settings, "exp"), any = false;
    double added = smoothing_value(settings), halved = 1, logs = 0;
    int orders = ORDER, n;
    for (n = 0; n < ORDER; n++)
        any = any || sums[MATCHES + n] > 0;
    if (!any)
        return 0;
    for (n = 0; n < ORDER; n++) {
        double matches = sums[MATCHES + n], total = sums[TOTALS + n], precision = 0;
        if (add_k && n > 0) {
            matches += added;
            total += added;
        }
        if (total == 0)
            break;
        if (matches > 0) {
            precision = matches / total;
        } else if (is_exp) {
            halved *= 2;
            precision = 1 / (halved * total);
        } else if (is_floor) {
            precision = added / total;
        }
        if (precision == 0)
            return 0;
        logs += log(100 * precision);
    }
    if (effective)
        orders = n;
    else if (n < ORDER)
        return 0;
    return brevity_penalty(sums) * exp(logs / orders);
}

static hone_status add_bleu(hone_metric_context *context, const hone_score_row *row,
                            double *numbers, hone_error *error)
{
    const double *found;
    HONE_TRY(prepare_tokenized(context, row, &found, error));
    memcpy(numbers, found, NUMBERS * sizeof *numbers);
    return HONE_OK;
}

static double bleu_value(const hone_score_settings *settings, const double *sums, double rows)
{
    (void)rows;
    return smoothed_bleu(settings, sums, false);
}

static hone_status add_sentence_bleu(hone_metric_context *context, const hone_score_row *row,
                                     double *numbers, hone_error *error)
{
    const double *found;
    HONE_TRY(prepare_tokenized(context, row, &found, error));
    numbers[0] = smoothed_bleu(context->settings, found, true);
    return HONE_OK;
}

/* NLTK's value, 0..1: a precision of no matches gets 0.1 of them, and an order without n-grams
 * counts as one with a single n-gram. */
static hone_status add_nltk_bleu(hone_metric_context *context, const hone_score_row *row,
                                 double *numbers, hone_error *error)
{
    const double epsilon = 0.1;
    double logs = 0;
    HONE_TRY(hone_metric_make((void **)&context->bleu, sizeof *context->bleu, error));
    bleu_texts *texts = &context->bleu->plain;
    HONE_TRY(prepare(texts, row, HONE_BLEU_NONE, false, error));
    numbers[0] = 0;
    if (texts->numbers[MATCHES] == 0)
        return HONE_OK;
    for (int n = 0; n < ORDER; n++) {
        double matches = texts->numbers[MATCHES + n], total = texts->numbers[TOTALS + n];
        logs += log((matches > 0 ? matches : epsilon) / (total > 1 ? total : 1));
    }
    numbers[0] = brevity_penalty(texts->numbers) * exp(logs / ORDER);
    return HONE_OK;
}

static void describe(const hone_score_settings *settings, bool effective, char *buffer, size_t size)
{
    char value[32] = "";
    if (has_smoothing(settings, "floor") || has_smoothing(settings, "add-k"))
        snprintf(value, sizeof value, "[%.2f]", smoothing_value(settings));
    snprintf(buffer, size, "case:%s|eff:%s|tok:%s|smooth:%s%s",
             settings->lowercase ? "lc" : "mixed", effective ? "yes" : "no",
             settings->bleu_tokenize, settings->bleu_smooth, value);
}

static void describe_bleu(const hone_score_settings *settings, char *buffer, size_t size)
{
    describe(settings, false, buffer, size);
}

static void describe_sentence_bleu(const hone_score_settings *settings, char *buffer, size_t size)
{
    describe(settings, true, buffer, size);
}

static void describe_nltk_bleu(const hone_score_settings *settings, char *buffer, size_t size)
{
    (void)settings;
    snprintf(buffer, size, "case:mixed|tok:none|smooth:method1[0.10]");
}

const hone_metric hone_metric_bleu = {.name = "bleu",
                                      .scale = 100,
                                      .width = NUMBERS,
                                      .add = add_bleu,
                                      .value = bleu_value,
                                      .describe = describe_bleu};
const hone_metric hone_metric_sentence_bleu = {.name = "sentence_bleu",
                                               .scale = 100,
                                               .width = 1,
                                               .add = add_sentence_bleu,
                                               .value = hone_metric_mean,
                                               .describe = describe_sentence_bleu};
const hone_metric hone_metric_nltk_bleu = {.name = "nltk_bleu",
                                           .scale = 1,
                                           .width = 1,
                                           .add = add_nltk_bleu,
                                           .value = hone_metric_mean,
                                           .describe = describe_nltk_bleu};
