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

/* What the metrics of a scorer share. Each family prepares a row once, for all its metrics. */
typedef struct hone_metric_context {
    const hone_score_settings *settings;
    struct hone_rouge *rouge; /* made at first use */
} hone_metric_context;

enum { HONE_METRIC_WIDTH = 24 };

typedef struct hone_metric {
    const char *name, *group; /* group: another name that selects it, or NULL */
    double scale;
    size_t width; /* numbers a row, at most HONE_METRIC_WIDTH */
    /* Fills `width` numbers. HONE_MEMORY. */
    hone_status (*add)(hone_metric_context *context, const hone_score_row *row, double *numbers,
                       hone_error *error);
    /* From the sums of the numbers over `rows` > 0 rows. */
    double (*value)(const hone_score_settings *settings, const double *sums, double rows);
    /* Its own part of the signature: "case:lc|stem:no". */
    void (*describe)(const hone_score_settings *settings, char *buffer, size_t size);
    bool has_parts; /* numbers 0 and 1 are precision and recall */
} hone_metric;

extern const hone_metric hone_metric_rouge1, hone_metric_rouge2, hone_metric_rouge_l,
    hone_metric_rouge_lsum;

/* Forgets what was prepared for the row before. */
void hone_rouge_reset(struct hone_rouge *rouge); /* takes NULL */
void hone_rouge_free(struct hone_rouge *rouge);  /* takes NULL */

#endif
