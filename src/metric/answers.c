/* Scores of short answers and labels.
 *   exact_match, token_f1: as the evaluation script of SQuAD 2.0 (Rajpurkar et al. 2018, "Know what
 *     you don't know"): in lower case, without ASCII punctuation, without the words a, an and the,
 *     split at white space. Exact match: the same words in the same order. F1: of the words that
 *     both have, each as often as both have it; where one has no words, 1 if neither has any, else
 *     0. Of several references the best one counts.
 *   accuracy: the same text, white space at both ends aside.
 *   macro_f1: F1 of each label, averaged over the labels that occur among predictions or references
 *     (scikit-learn's f1_score with average="macro", zero_division=0). Of several references the
 *     one that is equal counts, or else the first. */
#include "metric/metric.h"
#include "metric/words.h"

#include "base/memory.h"
#include "text/python_text.h"
#include "text/unicode.h"

#include <stdio.h>
#include <string.h>

/* A text as SQuAD's words. */
typedef struct answer {
    char *text;
    size_t capacity;
    hone_sequence words;
} answer;

struct hone_answers {
    bool ready;
    double exact, f1; /* of the row */
    answer prediction, reference;
    hone_words words;
    int32_t *balance; /* by word: how often more the reference has it */
    size_t balance_capacity;

    char *lowered[2]; /* labels, where case does not count */
    size_t lowered_capacity[2];
    hone_words labels; /* of all rows */
    hone_arena names;  /* their letters */
};

void hone_answers_reset(struct hone_answers *answers)
{
    if (answers != NULL)
        answers->ready = false;
}

void hone_answers_forget(struct hone_answers *answers)
{
    if (answers == NULL)
        return;
    hone_words_clear(&answers->labels);
    hone_arena_deinit(&answers->names);
}

static void deinit_answer(answer *text)
{
    hone_free(text->text);
    hone_sequence_deinit(&text->words);
}

void hone_answers_free(struct hone_answers *answers)
{
    if (answers == NULL)
        return;
    deinit_answer(&answers->prediction);
    deinit_answer(&answers->reference);
    hone_words_deinit(&answers->words);
    hone_free(answers->balance);
    hone_free(answers->lowered[0]);
    hone_free(answers->lowered[1]);
    hone_words_deinit(&answers->labels);
    hone_arena_deinit(&answers->names);
    hone_free(answers);
}

size_t hone_answers_labels(const struct hone_answers *answers)
{
    return answers != NULL ? answers->labels.count : 0;
}

static bool is_punctuation(char c)
{
    return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
           (c >= '{' && c <= '~');
}

/* \w of Python's re. */
static bool is_word_character(uint32_t code)
{
    hone_char_class class = hone_unicode_class(code);
    return class == HONE_CHAR_LETTER || class == HONE_CHAR_NUMBER || code == '_';
}

/* Length of an article that starts at text[at] and has a word's edges on both sides, or 0. */
static size_t article_at(const char *text, size_t length, size_t at)
{
    static const char *const articles[] = {"an", "a", "the"};
    uint32_t code;
    if (at > 0) {
        hone_utf8_last(text, at, &code);
        if (is_word_character(code))
            return 0;
    }
    for (size_t i = 0; i < sizeof articles / sizeof *articles; i++) {
        size_t size = strlen(articles[i]);
        if (length - at < size || memcmp(text + at, articles[i], size) != 0)
            continue;
        if (at + size == length)
            return size;
        hone_utf8_decode(text + at + size, length - at - size, &code);
        if (!is_word_character(code))
            return size;
    }
    return 0;
}

/* Articles become spaces; text that ends up with none is split. */
static void remove_articles(char *text, size_t length)
{
    for (size_t at = 0; at < length;) {
        size_t size = text[at] == 'a' || text[at] == 't' ? article_at(text, length, at) : 0;
        memset(text + at, ' ', size);
        at += size > 0 ? size : 1;
    }
}

static hone_status read_answer(struct hone_answers *answers, answer *to, hone_text source,
                               hone_error *error)
{
    size_t room = hone_python_lower_room(source.length) + 1, kept = 0, at = 0, size;
    const char *word;
    if (!hone_array_reserve((void **)&to->text, &to->capacity, room, 1))
        return hone_fail_memory(error, "answer", room);
    size_t length = hone_python_lower(source.text, source.length, to->text);
    for (size_t i = 0; i < length; i++)
        if (!is_punctuation(to->text[i]))
            to->text[kept++] = to->text[i];
    remove_articles(to->text, kept);
    to->words.count = 0;
    while (hone_python_next_word(to->text, kept, &at, &word, &size)) {
        uint32_t id;
        HONE_TRY(hone_words_add(&answers->words, word, size, &id, error));
        HONE_TRY(hone_sequence_push(&to->words, id, error));
    }
    return HONE_OK;
}

static hone_status compare_answers(struct hone_answers *answers, double *exact, double *f1,
                                   hone_error *error)
{
    const hone_sequence *a = &answers->prediction.words, *b = &answers->reference.words;
    size_t shared = 0;
    *exact = a->count == b->count &&
             (a->count == 0 || memcmp(a->ids, b->ids, a->count * sizeof *a->ids) == 0);
    *f1 = *exact;
    if (a->count == 0 || b->count == 0)
        return HONE_OK;
    if (!hone_array_reserve((void **)&answers->balance, &answers->balance_capacity,
                            answers->words.count, sizeof *answers->balance))
        return hone_fail_memory(error, "token F1", answers->words.count * sizeof(int32_t));
    memset(answers->balance, 0, answers->words.count * sizeof *answers->balance);
    for (size_t i = 0; i < b->count; i++)
        answers->balance[b->ids[i]]++;
    for (size_t i = 0; i < a->count; i++)
        shared += answers->balance[a->ids[i]]-- > 0;
    double precision = (double)shared / (double)a->count,
           recall = (double)shared / (double)b->count;
    *f1 = shared > 0 ? 2 * precision * recall / (precision + recall) : 0;
    return HONE_OK;
}

static hone_status prepare(hone_metric_context *context, const hone_score_row *row,
                           hone_error *error)
{
    HONE_TRY(hone_metric_make((void **)&context->answers, sizeof *context->answers, error));
    struct hone_answers *answers = context->answers;
    if (answers->ready)
        return HONE_OK;
    answers->exact = answers->f1 = 0;
    for (size_t i = 0; i < row->count; i++) {
        double exact, f1;
        hone_words_clear(&answers->words);
        HONE_TRY(read_answer(answers, &answers->prediction, row->prediction, error));
        HONE_TRY(read_answer(answers, &answers->reference, row->references[i], error));
        HONE_TRY(compare_answers(answers, &exact, &f1, error));
        answers->exact = exact > answers->exact ? exact : answers->exact;
        answers->f1 = f1 > answers->f1 ? f1 : answers->f1;
    }
    answers->ready = true;
    return HONE_OK;
}

static hone_status add_exact_match(hone_metric_context *context, const hone_score_row *row,
                                   double *numbers, hone_error *error)
{
    HONE_TRY(prepare(context, row, error));
    numbers[0] = context->answers->exact;
    return HONE_OK;
}

static hone_status add_token_f1(hone_metric_context *context, const hone_score_row *row,
                                double *numbers, hone_error *error)
{
    HONE_TRY(prepare(context, row, error));
    numbers[0] = context->answers->f1;
    return HONE_OK;
}

/* A label: a text without the white space around it, in lower case (in place `which`) if wanted. */
static hone_status read_label(hone_metric_context *context, hone_text *label, int which,
                              hone_error *error)
{
    struct hone_answers *answers = context->answers;
    if (context->settings->lowercase) {
        size_t room = hone_python_lower_room(label->length) + 1;
        if (!hone_array_reserve((void **)&answers->lowered[which],
                                &answers->lowered_capacity[which], room, 1))
            return hone_fail_memory(error, "label", room);
        label->length = hone_python_lower(label->text, label->length, answers->lowered[which]);
        label->text = answers->lowered[which];
    }
    label->length = hone_python_rstrip(label->text, label->length);
    size_t at = 0, length;
    const char *word;
    if (hone_python_next_word(label->text, label->length, &at, &word, &length)) {
        label->length -= (size_t)(word - label->text);
        label->text = word;
    }
    return HONE_OK;
}

/* The labels of a row: the prediction, and the reference that is equal, or else the first. */
static hone_status read_labels(hone_metric_context *context, const hone_score_row *row,
                               hone_text labels[2], bool *equal, hone_error *error)
{
    HONE_TRY(hone_metric_make((void **)&context->answers, sizeof *context->answers, error));
    labels[0] = row->prediction;
    HONE_TRY(read_label(context, &labels[0], 0, error));
    *equal = false;
    for (size_t i = 0; i < row->count && !*equal; i++) {
        labels[1] = row->references[i];
        HONE_TRY(read_label(context, &labels[1], 1, error));
        *equal = labels[0].length == labels[1].length &&
                 (labels[0].length == 0 ||
                  memcmp(labels[0].text, labels[1].text, labels[0].length) == 0);
    }
    if (*equal || row->count == 1)
        return HONE_OK;
    labels[1] = row->references[0];
    return read_label(context, &labels[1], 1, error);
}

static hone_status add_accuracy(hone_metric_context *context, const hone_score_row *row,
                                double *numbers, hone_error *error)
{
    hone_text labels[2];
    bool equal;
    HONE_TRY(read_labels(context, row, labels, &equal, error));
    numbers[0] = equal;
    return HONE_OK;
}

/* The number of a label, whose letters are copied when it is new. */
static hone_status label_id(struct hone_answers *answers, hone_text label, double *id,
                            hone_error *error)
{
    uint32_t found;
    if (!hone_words_find(&answers->labels, label.text, label.length, &found)) {
        char *name = hone_arena_strndup(&answers->names, label.text, label.length);
        if (name == NULL)
            return hone_fail_memory(error, "label", label.length);
        HONE_TRY(hone_words_add(&answers->labels, name, label.length, &found, error));
    }
    *id = (double)found;
    return HONE_OK;
}

static hone_status add_macro_f1(hone_metric_context *context, const hone_score_row *row,
                                double *numbers, hone_error *error)
{
    hone_text labels[2];
    bool equal;
    HONE_TRY(read_labels(context, row, labels, &equal, error));
    HONE_TRY(label_id(context->answers, labels[0], &numbers[0], error));
    return label_id(context->answers, labels[1], &numbers[1], error);
}

/* With t rows right, p predicted and r in the references, F1 of a label is 2 t / (p + r). */
static double macro_f1(const hone_metric_context *context, const double *numbers, size_t stride,
                       size_t rows, const uint32_t *weights, double *scratch)
{
    size_t labels = hone_answers_labels(context->answers), used = 0;
    double *right = scratch, *all = scratch + labels, sum = 0;
    memset(scratch, 0, 2 * labels * sizeof *scratch);
    for (size_t i = 0; i < rows; i++, numbers += stride) {
        double weight = weights != NULL ? (double)weights[i] : 1;
        size_t predicted = (size_t)numbers[0], referenced = (size_t)numbers[1];
        all[predicted] += weight;
        all[referenced] += weight;
        if (predicted == referenced)
            right[predicted] += weight;
    }
    for (size_t i = 0; i < labels; i++) {
        used += all[i] > 0;
        sum += all[i] > 0 ? 2 * right[i] / all[i] : 0;
    }
    return sum / (double)used;
}

static void describe_answer(const hone_score_settings *settings, char *buffer, size_t size)
{
    (void)settings;
    snprintf(buffer, size, "case:lc|norm:squad");
}

static void describe_label(const hone_score_settings *settings, char *buffer, size_t size)
{
    snprintf(buffer, size, "case:%s|norm:strip", settings->lowercase ? "lc" : "mixed");
}

static void describe_macro(const hone_score_settings *settings, char *buffer, size_t size)
{
    snprintf(buffer, size, "case:%s|norm:strip|avg:macro", settings->lowercase ? "lc" : "mixed");
}

const hone_metric hone_metric_exact_match = {.name = "exact_match",
                                             .scale = 1,
                                             .width = 1,
                                             .add = add_exact_match,
                                             .value = hone_metric_mean,
                                             .describe = describe_answer};
const hone_metric hone_metric_token_f1 = {.name = "token_f1",
                                          .scale = 1,
                                          .width = 1,
                                          .add = add_token_f1,
                                          .value = hone_metric_mean,
                                          .describe = describe_answer};
const hone_metric hone_metric_accuracy = {.name = "accuracy",
                                          .scale = 1,
                                          .width = 1,
                                          .add = add_accuracy,
                                          .value = hone_metric_mean,
                                          .describe = describe_label};
const hone_metric hone_metric_macro_f1 = {.name = "macro_f1",
                                          .scale = 1,
                                          .width = 2,
                                          .add = add_macro_f1,
                                          .value_rows = macro_f1,
                                          .describe = describe_macro};
