/* What a metric is: a few numbers from each row, and a value from their sums over rows. A resample
 * of the rows is then another sum, so every metric gets its interval in the same way. */
#ifndef HONE_METRIC_METRIC_H
#define HONE_METRIC_METRIC_H

#include "base/failure.h"

#include <hone/score.h>

/* One prediction with its references (count > 0). */
typedef struct hone_score_row {
    hone_text prediction;
    const hone_text *references;
    size_t count;
} hone_score_row;

/* What the metrics of a scorer share. Each family prepares a row once, for all its metrics; its
 * part is made at first use. */
typedef struct hone_metric_context {
    const hone_score_settings *settings;
    struct hone_rouge *rouge;
    struct hone_bleu *bleu;
    struct hone_chrf *chrf;
    struct hone_answers *answers;
} hone_metric_context;

enum { HONE_METRIC_WIDTH = 24 };

typedef struct hone_metric {
    const char *name, *group; /* group: another name that selects it, or NULL */
    double scale;             /* of the best value */
    size_t width;             /* numbers a row, at most HONE_METRIC_WIDTH */
    /* Fills `width` numbers. HONE_MEMORY. */
    hone_status (*add)(hone_metric_context *context, const hone_score_row *row, double *numbers,
                       hone_error *error);
    /* From the sums of the numbers over `rows` > 0 rows. */
    double (*value)(const hone_score_settings *settings, const double *sums, double rows);
    /* Or, where sums don't do, from the numbers themselves: those of row i are at numbers + i *
     * stride, and it counts weights[i] times (once where weights is NULL). scratch has
     * 2 hone_answers_labels() elements. */
    double (*value_rows)(const hone_metric_context *context, const double *numbers, size_t stride,
                         size_t rows, const uint32_t *weights, double *scratch);
    /* Its own part of the signature: "case:lc|stem:no". */
    void (*describe)(const hone_score_settings *settings, char *buffer, size_t size);
    bool has_parts; /* numbers 0 and 1 are precision and recall */
} hone_metric;

extern const hone_metric hone_metric_rouge1, hone_metric_rouge2, hone_metric_rouge_l,
    hone_metric_rouge_lsum, hone_metric_bleu, hone_metric_sentence_bleu, hone_metric_nltk_bleu,
    hone_metric_chrf, hone_metric_chrf_words, hone_metric_exact_match, hone_metric_token_f1,
    hone_metric_accuracy, hone_metric_macro_f1;

/* A value that is the mean of the first number. */
double hone_metric_mean(const hone_score_settings *settings, const double *sums, double rows);
/* A zeroed part of the context where there is none yet. */
hone_status hone_metric_make(void **part, size_t size, hone_error *error);

/* Each family forgets what it prepared for the row before; all take NULL. */
void hone_rouge_reset(struct hone_rouge *rouge);
void hone_bleu_reset(struct hone_bleu *bleu);
void hone_chrf_reset(struct hone_chrf *chrf);
void hone_answers_reset(struct hone_answers *answers);
void hone_rouge_free(struct hone_rouge *rouge);
void hone_bleu_free(struct hone_bleu *bleu);
void hone_chrf_free(struct hone_chrf *chrf);
void hone_answers_free(struct hone_answers *answers);

/* Different labels so far, and forgetting them. Take NULL. */
size_t hone_answers_labels(const struct hone_answers *answers);
void hone_answers_forget(struct hone_answers *answers);

#endif
