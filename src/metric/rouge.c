/* ROUGE-N, ROUGE-L and ROUGE-Lsum as the Python package rouge-score 0.1.2 computes them.
 * Source: Lin 2004, "ROUGE: a package for automatic evaluation of summaries", and for the details
 * the package: lower case, runs of a-z and 0-9 are words, words of more than three letters may be
 * stemmed; no words are left out; of several references the one with the best F1 counts.
 *   n-gram: shared n-grams over those of the prediction (precision) and of the reference (recall).
 *   L:      longest common subsequence over the words of either.
 *   Lsum:   lines are sentences. The words of each reference line that are in its longest common
 *           subsequence with any line of the prediction, no word more often than both texts have
 *           it, over the words of either. */
#include "metric/lcs.h"
#include "metric/metric.h"
#include "metric/ngrams.h"
#include "metric/porter.h"
#include "metric/words.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>

/* A text as words; a line ends before word line_ends[i]. Lines without words are left out. */
typedef struct rouge_text {
    hone_sequence words, line_ends;
    int64_t matches[2]; /* of a reference: shared 1- and 2-grams */
} rouge_text;

struct hone_rouge {
    bool ready;
    hone_words words;
    char *letters; /* of all words of the row */
    size_t letter_capacity;
    rouge_text *texts; /* the prediction, then the references */
    size_t count, capacity;
    hone_ngrams ngrams;
    hone_lcs lcs;
    bool *marks;
    size_t mark_capacity;
    uint32_t *left[2]; /* by word: how often the reference and the prediction still have it */
    size_t left_capacity[2];
};

void hone_rouge_reset(struct hone_rouge *rouge)
{
    if (rouge != NULL)
        rouge->ready = false;
}

void hone_rouge_free(struct hone_rouge *rouge)
{
    if (rouge == NULL)
        return;
    for (size_t i = 0; i < rouge->capacity; i++) {
        hone_sequence_deinit(&rouge->texts[i].words);
        hone_sequence_deinit(&rouge->texts[i].line_ends);
    }
    hone_free(rouge->texts);
    hone_words_deinit(&rouge->words);
    hone_ngrams_deinit(&rouge->ngrams);
    hone_lcs_deinit(&rouge->lcs);
    hone_free(rouge->letters);
    hone_free(rouge->marks);
    hone_free(rouge->left[0]);
    hone_free(rouge->left[1]);
    hone_free(rouge);
}

/* The letter or digit that a character is in lower case, or 0. Two characters outside of ASCII have
 * one: the Kelvin sign, and I with a dot, whose lower case is i and a mark. */
static char letter_of(const char *text, size_t left, size_t *size)
{
    char c = text[0];
    *size = 1;
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
        return c;
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    if (left >= 3 && memcmp(text, "\xE2\x84\xAA", 3) == 0) {
        *size = 3;
        return 'k';
    }
    if (left >= 2 && memcmp(text, "\xC4\xB0", 2) == 0) {
        *size = 2;
        return 'i';
    }
    return 0;
}

static hone_status end_word(struct hone_rouge *rouge, rouge_text *text, char *word, size_t length,
                            bool stem, hone_error *error)
{
    uint32_t id;
    if (stem && length > 3)
        length = hone_porter_stem(word, length);
    if (length == 0)
        return HONE_OK;
    HONE_TRY(hone_words_add(&rouge->words, word, length, &id, error));
    return hone_sequence_push(&text->words, id, error);
}

static hone_status end_line(rouge_text *text, hone_error *error)
{
    hone_sequence *ends = &text->line_ends;
    size_t before = ends->count > 0 ? ends->ids[ends->count - 1] : 0;
    if (text->words.count == before)
        return HONE_OK;
    return hone_sequence_push(ends, (uint32_t)text->words.count, error);
}

/* Cuts a text into words; `letters` has room for its bytes. */
static hone_status read_words(struct hone_rouge *rouge, rouge_text *text, hone_text source,
                              bool stem, char *letters, hone_error *error)
{
    size_t length = 0, size;
    text->words.count = text->line_ends.count = 0;
    for (size_t at = 0; at < source.length; at += size) {
        char letter = letter_of(source.text + at, source.length - at, &size);
        if (letter != 0)
            letters[length++] = letter;
        if (length > 0 && (letter == 0 || size == 2)) {
            HONE_TRY(end_word(rouge, text, letters, length, stem, error));
            letters += length;
            length = 0;
        }
        if (source.text[at] == '\n')
            HONE_TRY(end_line(text, error));
    }
    if (length > 0)
        HONE_TRY(end_word(rouge, text, letters, length, stem, error));
    return end_line(text, error);
}

static hone_status reserve_texts(struct hone_rouge *rouge, const hone_score_row *row,
                                 hone_error *error)
{
    size_t before = rouge->capacity, bytes = row->prediction.length;
    for (size_t i = 0; i < row->count; i++)
        if (!hone_size_add(bytes, row->references[i].length, &bytes))
            return hone_fail_memory(error, "ROUGE", SIZE_MAX);
    if (!hone_array_reserve((void **)&rouge->letters, &rouge->letter_capacity, bytes + 1, 1))
        return hone_fail_memory(error, "ROUGE", bytes);
    if (!hone_array_reserve((void **)&rouge->texts, &rouge->capacity, row->count + 1,
                            sizeof *rouge->texts))
        return hone_fail_memory(error, "ROUGE", row->count * sizeof *rouge->texts);
    memset(rouge->texts + before, 0, (rouge->capacity - before) * sizeof *rouge->texts);
    return HONE_OK;
}

static hone_status prepare(hone_metric_context *context, const hone_score_row *row,
                           struct hone_rouge **out, hone_error *error)
{
    bool stem = context->settings->stemmer;
    HONE_TRY(hone_metric_make((void **)&context->rouge, sizeof *context->rouge, error));
    struct hone_rouge *rouge = *out = context->rouge;
    if (rouge->ready)
        return HONE_OK;
    HONE_TRY(reserve_texts(rouge, row, error));
    hone_words_clear(&rouge->words);
    rouge->count = row->count + 1;
    char *letters = rouge->letters;
    for (size_t i = 0; i < rouge->count; i++) {
        hone_text source = i == 0 ? row->prediction : row->references[i - 1];
        HONE_TRY(read_words(rouge, &rouge->texts[i], source, stem, letters, error));
        letters += source.length;
    }
    for (size_t i = 1; i < rouge->count; i++) {
        const hone_sequence *reference = &rouge->texts[i].words;
        HONE_TRY(hone_ngrams_match(&rouge->ngrams, &rouge->texts[0].words, &reference, 1, 2,
                                   rouge->texts[i].matches, error));
    }
    rouge->ready = true;
    return HONE_OK;
}

/* Keeps the better of what is there and hits over both totals. */
static void take_better(double best[3], bool first, double hits, int64_t predicted,
                        int64_t referenced)
{
    double precision = predicted > 0 ? hits / (double)predicted : 0;
    double recall = referenced > 0 ? hits / (double)referenced : 0;
    double sum = precision + recall;
    double f1 = sum > 0 ? 2 * precision * recall / sum : 0;
    if (!first && f1 <= best[2])
        return;
    best[0] = precision;
    best[1] = recall;
    best[2] = f1;
}

static hone_status add_ngrams(hone_metric_context *context, const hone_score_row *row, size_t n,
                              double *numbers, hone_error *error)
{
    struct hone_rouge *rouge;
    HONE_TRY(prepare(context, row, &rouge, error));
    for (size_t i = 1; i < rouge->count; i++)
        take_better(numbers, i == 1, (double)rouge->texts[i].matches[n - 1],
                    hone_ngrams_total(&rouge->texts[0].words, n),
                    hone_ngrams_total(&rouge->texts[i].words, n));
    return HONE_OK;
}

static hone_status add_rouge1(hone_metric_context *context, const hone_score_row *row,
                              double *numbers, hone_error *error)
{
    return add_ngrams(context, row, 1, numbers, error);
}

static hone_status add_rouge2(hone_metric_context *context, const hone_score_row *row,
                              double *numbers, hone_error *error)
{
    return add_ngrams(context, row, 2, numbers, error);
}

static hone_span all_words(const rouge_text *text)
{
    return (hone_span){text->words.ids, text->words.count};
}

static hone_status add_rouge_l(hone_metric_context *context, const hone_score_row *row,
                               double *numbers, hone_error *error)
{
    struct hone_rouge *rouge;
    HONE_TRY(prepare(context, row, &rouge, error));
    hone_span prediction = all_words(&rouge->texts[0]);
    for (size_t i = 1; i < rouge->count; i++) {
        size_t length;
        hone_span reference = all_words(&rouge->texts[i]);
        HONE_TRY(hone_lcs_length(&rouge->lcs, reference, prediction, rouge->words.count, &length,
                                 error));
        take_better(numbers, i == 1, (double)length, (int64_t)prediction.count,
                    (int64_t)reference.count);
    }
    return HONE_OK;
}

/* Words of line `index`. */
static hone_span line_of(const rouge_text *text, size_t index)
{
    size_t start = index > 0 ? text->line_ends.ids[index - 1] : 0;
    return (hone_span){text->words.ids + start, text->line_ends.ids[index] - start};
}

static hone_status count_words(struct hone_rouge *rouge, const rouge_text *reference,
                               hone_error *error)
{
    const rouge_text *texts[2] = {reference, &rouge->texts[0]};
    size_t vocabulary = rouge->words.count;
    for (int k = 0; k < 2; k++) {
        if (!hone_array_reserve((void **)&rouge->left[k], &rouge->left_capacity[k], vocabulary,
                                sizeof *rouge->left[k]))
            return hone_fail_memory(error, "ROUGE-Lsum", vocabulary * sizeof *rouge->left[k]);
        memset(rouge->left[k], 0, vocabulary * sizeof *rouge->left[k]);
        for (size_t i = 0; i < texts[k]->words.count; i++)
            rouge->left[k][texts[k]->words.ids[i]]++;
    }
    return HONE_OK;
}

static hone_status count_hits(struct hone_rouge *rouge, const rouge_text *reference, size_t *hits,
                              hone_error *error)
{
    const rouge_text *prediction = &rouge->texts[0];
    *hits = 0;
    if (reference->words.count == 0 || prediction->words.count == 0)
        return HONE_OK;
    if (reference->line_ends.count == 1 && prediction->line_ends.count == 1)
        return hone_lcs_length(&rouge->lcs, all_words(reference), all_words(prediction),
                               rouge->words.count, hits, error);
    HONE_TRY(count_words(rouge, reference, error));
    if (!hone_array_reserve((void **)&rouge->marks, &rouge->mark_capacity,
                            reference->words.count + 1, sizeof *rouge->marks))
        return hone_fail_memory(error, "ROUGE-Lsum", reference->words.count);
    for (size_t r = 0; r < reference->line_ends.count; r++) {
        hone_span line = line_of(reference, r);
        memset(rouge->marks, 0, line.count * sizeof *rouge->marks);
        for (size_t p = 0; p < prediction->line_ends.count; p++)
            HONE_TRY(hone_lcs_mark(&rouge->lcs, line, line_of(prediction, p), rouge->words.count,
                                   rouge->marks, error));
        for (size_t i = 0; i < line.count; i++) {
            uint32_t *mine = &rouge->left[0][line.ids[i]], *theirs = &rouge->left[1][line.ids[i]];
            if (!rouge->marks[i] || *mine == 0 || *theirs == 0)
                continue;
            --*mine;
            --*theirs;
            ++*hits;
        }
    }
    return HONE_OK;
}

static hone_status add_rouge_lsum(hone_metric_context *context, const hone_score_row *row,
                                  double *numbers, hone_error *error)
{
    struct hone_rouge *rouge;
    HONE_TRY(prepare(context, row, &rouge, error));
    for (size_t i = 1; i < rouge->count; i++) {
        size_t hits;
        HONE_TRY(count_hits(rouge, &rouge->texts[i], &hits, error));
        take_better(numbers, i == 1, (double)hits, (int64_t)rouge->texts[0].words.count,
                    (int64_t)rouge->texts[i].words.count);
    }
    return HONE_OK;
}

static double mean_f1(const hone_score_settings *settings, const double *sums, double rows)
{
    (void)settings;
    return sums[2] / rows;
}

static void describe(const hone_score_settings *settings, char *buffer, size_t size)
{
    snprintf(buffer, size, "case:lc|tok:rouge|stem:%s|f:1", settings->stemmer ? "porter" : "no");
}

#define ROUGE(function, spelt)                                                                     \
    {                                                                                              \
        .name = spelt, .group = "rouge", .scale = 1, .width = 3, .add = function,                  \
        .value = mean_f1, .describe = describe, .has_parts = true                                  \
    }

const hone_metric hone_metric_rouge1 = ROUGE(add_rouge1, "rouge1");
const hone_metric hone_metric_rouge2 = ROUGE(add_rouge2, "rouge2");
const hone_metric hone_metric_rouge_l = ROUGE(add_rouge_l, "rougeL");
const hone_metric hone_metric_rouge_lsum = ROUGE(add_rouge_lsum, "rougeLsum");
