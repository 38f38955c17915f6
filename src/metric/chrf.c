/* chrF and chrF++ as sacrebleu 2.6.0 computes them.
 * Sources: Popovic 2015, "chrF: character n-gram F-score for automatic MT evaluation"; Popovic
 * 2017, "chrF++: words helping character n-grams". Character n-grams of 1 to 6, white space left
 * out; chrF++ adds n-grams of 1 and 2 words, where a word's last, or else its first, character of
 * ASCII punctuation is a word of its own. Precision and recall are averaged over the orders that
 * both texts have n-grams of; the value is their F with beta = 2. Over rows the counts are summed;
 * of several references the one with the best F counts. */
#include "metric/metric.h"
#include "metric/ngrams.h"
#include "metric/words.h"

#include "base/memory.h"
#include "text/python_text.h"
#include "text/unicode.h"

#include <stdio.h>
#include <string.h>

enum { CHARACTERS = 6, WORDS = 2, ORDERS = CHARACTERS + WORDS };

/* The numbers of a row: for each order how many n-grams there are in the prediction, in the
 * reference, and in both. */
enum { PREDICTED, REFERENCED, MATCHED, COUNTS };

typedef struct chrf_text {
    char *lowered; /* where case does not count */
    size_t lowered_capacity;
    hone_sequence characters, words;
} chrf_text;

struct hone_chrf {
    bool ready;
    chrf_text prediction, reference;
    hone_words words;
    hone_ngrams ngrams;
    double *numbers; /* (references, ORDERS, COUNTS) */
    size_t count, capacity;
};

void hone_chrf_reset(struct hone_chrf *chrf)
{
    if (chrf != NULL)
        chrf->ready = false;
}

static void deinit_text(chrf_text *text)
{
    hone_free(text->lowered);
    hone_sequence_deinit(&text->characters);
    hone_sequence_deinit(&text->words);
}

void hone_chrf_free(struct hone_chrf *chrf)
{
    if (chrf == NULL)
        return;
    deinit_text(&chrf->prediction);
    deinit_text(&chrf->reference);
    hone_words_deinit(&chrf->words);
    hone_ngrams_deinit(&chrf->ngrams);
    hone_free(chrf->numbers);
    hone_free(chrf);
}

static hone_status add_word(struct hone_chrf *chrf, chrf_text *text, const char *word,
                            size_t length, hone_error *error)
{
    uint32_t id;
    HONE_TRY(hone_words_add(&chrf->words, word, length, &id, error));
    return hone_sequence_push(&text->words, id, error);
}

static bool is_punctuation(char c)
{
    return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
           (c >= '{' && c <= '~');
}

/* A word of white space's making, as one word or two. */
static hone_status split_word(struct hone_chrf *chrf, chrf_text *text, const char *word,
                              size_t length, hone_error *error)
{
    uint32_t code;
    size_t cut = length;
    if (hone_utf8_decode(word, length, &code) < length) {
        if (is_punctuation(word[length - 1]))
            cut = length - 1;
        else if (is_punctuation(word[0]))
            cut = 1;
    }
    HONE_TRY(add_word(chrf, text, word, cut, error));
    return cut < length ? add_word(chrf, text, word + cut, length - cut, error) : HONE_OK;
}

static hone_status read_text(struct hone_chrf *chrf, chrf_text *text, hone_text source,
                             bool lowercase, hone_error *error)
{
    const char *word;
    size_t at = 0, length;
    text->characters.count = text->words.count = 0;
    if (lowercase) {
        size_t room = hone_python_lower_room(source.length) + 1;
        if (!hone_array_reserve((void **)&text->lowered, &text->lowered_capacity, room, 1))
            return hone_fail_memory(error, "text to score", room);
        source.length = hone_python_lower(source.text, source.length, text->lowered);
        source.text = text->lowered;
    }
    while (hone_python_next_word(source.text, source.length, &at, &word, &length)) {
        HONE_TRY(split_word(chrf, text, word, length, error));
        for (size_t i = 0; i < length;) {
            uint32_t code;
            i += hone_utf8_decode(word + i, length - i, &code);
            HONE_TRY(hone_sequence_push(&text->characters, code, error));
        }
    }
    return HONE_OK;
}

static hone_status count(struct hone_chrf *chrf, double *numbers, hone_error *error)
{
    int64_t matches[ORDERS];
    const hone_sequence *others[2] = {&chrf->reference.characters, &chrf->reference.words};
    HONE_TRY(hone_ngrams_match(&chrf->ngrams, &chrf->prediction.characters, &others[0], 1,
                               CHARACTERS, matches, error));
    HONE_TRY(hone_ngrams_match(&chrf->ngrams, &chrf->prediction.words, &others[1], 1, WORDS,
                               matches + CHARACTERS, error));
    for (size_t order = 0; order < ORDERS; order++, numbers += COUNTS) {
        bool is_word = order >= CHARACTERS;
        size_t n = is_word ? order - CHARACTERS + 1 : order + 1;
        const hone_sequence *own = is_word ? &chrf->prediction.words : &chrf->prediction.characters;
        numbers[REFERENCED] = (double)hone_ngrams_total(others[is_word], n);
        numbers[PREDICTED] = numbers[REFERENCED] > 0 ? (double)hone_ngrams_total(own, n) : 0;
        numbers[MATCHED] = (double)matches[order];
    }
    return HONE_OK;
}

static hone_status prepare(hone_metric_context *context, const hone_score_row *row,
                           hone_error *error)
{
    HONE_TRY(hone_metric_make((void **)&context->chrf, sizeof *context->chrf, error));
    struct hone_chrf *chrf = context->chrf;
    bool lowercase = context->settings->lowercase;
    size_t needed;
    if (chrf->ready)
        return HONE_OK;
    if (!hone_size_mul(row->count, ORDERS * COUNTS, &needed) ||
        !hone_array_reserve((void **)&chrf->numbers, &chrf->capacity, needed,
                            sizeof *chrf->numbers))
        return hone_fail_memory(error, "chrF", row->count * ORDERS * COUNTS * sizeof(double));
    for (size_t i = 0; i < row->count; i++) {
        /* Words are numbered anew, for those of a reference that has gone are borrowed from it. */
        hone_words_clear(&chrf->words);
        HONE_TRY(read_text(chrf, &chrf->prediction, row->prediction, lowercase, error));
        HONE_TRY(read_text(chrf, &chrf->reference, row->references[i], lowercase, error));
        HONE_TRY(count(chrf, chrf->numbers + i * ORDERS * COUNTS, error));
    }
    chrf->count = row->count;
    chrf->ready = true;
    return HONE_OK;
}

static double f_score(const double *numbers, size_t orders)
{
    const double factor = 4; /* beta squared */
    double precision = 0, recall = 0;
    int used = 0;
    for (size_t order = 0; order < orders; order++, numbers += COUNTS) {
        if (numbers[PREDICTED] == 0 || numbers[REFERENCED] == 0)
            continue;
        precision += numbers[MATCHED] / numbers[PREDICTED];
        recall += numbers[MATCHED] / numbers[REFERENCED];
        used++;
    }
    if (used == 0 || precision + recall == 0)
        return 0;
    precision /= used;
    recall /= used;
    return 100 * (1 + factor) * precision * recall / (factor * precision + recall);
}

static hone_status add(hone_metric_context *context, const hone_score_row *row, size_t orders,
                       double *numbers, hone_error *error)
{
    double best = -1;
    HONE_TRY(prepare(context, row, error));
    for (size_t i = 0; i < context->chrf->count; i++) {
        const double *found = context->chrf->numbers + i * ORDERS * COUNTS;
        double score = f_score(found, orders);
        if (score <= best)
            continue;
        best = score;
        memcpy(numbers, found, orders * COUNTS * sizeof *numbers);
    }
    return HONE_OK;
}

static hone_status add_chrf(hone_metric_context *context, const hone_score_row *row,
                            double *numbers, hone_error *error)
{
    return add(context, row, CHARACTERS, numbers, error);
}

static hone_status add_chrf_words(hone_metric_context *context, const hone_score_row *row,
                                  double *numbers, hone_error *error)
{
    return add(context, row, ORDERS, numbers, error);
}

static double chrf_value(const hone_score_settings *settings, const double *sums, double rows)
{
    (void)settings, (void)rows;
    return f_score(sums, CHARACTERS);
}

static double chrf_words_value(const hone_score_settings *settings, const double *sums, double rows)
{
    (void)settings, (void)rows;
    return f_score(sums, ORDERS);
}

static void describe(const hone_score_settings *settings, int words, char *buffer, size_t size)
{
    snprintf(buffer, size, "case:%s|eff:yes|nc:%d|nw:%d|space:no",
             settings->lowercase ? "lc" : "mixed", CHARACTERS, words);
}

static void describe_chrf(const hone_score_settings *settings, char *buffer, size_t size)
{
    describe(settings, 0, buffer, size);
}

static void describe_chrf_words(const hone_score_settings *settings, char *buffer, size_t size)
{
    describe(settings, WORDS, buffer, size);
}

const hone_metric hone_metric_chrf = {.name = "chrf",
                                      .scale = 100,
                                      .width = CHARACTERS * COUNTS,
                                      .add = add_chrf,
                                      .value = chrf_value,
                                      .describe = describe_chrf};
const hone_metric hone_metric_chrf_words = {.name = "chrf++",
                                            .scale = 100,
                                            .width = ORDERS * COUNTS,
                                            .add = add_chrf_words,
                                            .value = chrf_words_value,
                                            .describe = describe_chrf_words};
