/* The pictures of runs: which curves stand in which, and what they say. One run shows training and
 * validation; several share a picture, a colour each. */
#ifndef HONE_REPORT_CHARTS_H
#define HONE_REPORT_CHARTS_H

#include "report/plot.h"
#include "report/run_record.h"

typedef enum hone_chart_kind {
    HONE_CHART_LOSS,
    HONE_CHART_PERPLEXITY,
    HONE_CHART_ROUGE,
    HONE_CHART_BLEU,
    HONE_CHARTS
} hone_chart_kind;

const char *hone_chart_name(hone_chart_kind kind); /* "loss": of files */

/* What runs are held against: the untouched model, a baseline. A line across. */
typedef struct hone_chart_level {
    const char *name;
    const char *column; /* of valid.tsv: "loss", "rouge1" */
    double value;       /* as in that column */
} hone_chart_level;

typedef struct hone_chart_request {
    hone_chart_kind kind;
    const hone_run_record *runs;
    size_t count;
    const hone_chart_level *levels;
    size_t level_count;
    hone_plot_x x;
} hone_chart_request;

/* A plot with what it is made of. */
typedef struct hone_chart {
    hone_plot plot; /* of no panels when the runs have nothing to show in it */
    hone_arena arena;
} hone_chart;

hone_status hone_chart_build(const hone_chart_request *request, hone_chart *out, hone_error *error);
void hone_chart_deinit(hone_chart *chart);

/* Draws all charts that have something to show into a folder, as "<name><suffix>.png" and .svg;
 * *drawn counts them. written may be NULL. */
hone_status hone_charts_write(const hone_chart_request *request, const char *folder,
                              const char *suffix, void (*written)(void *context, const char *path),
                              void *context, size_t *drawn, hone_error *error);

#endif
