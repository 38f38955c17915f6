/* Pictures and pages from run folders. */
#ifndef HONE_REPORT_H
#define HONE_REPORT_H

#include <hone/status.h>
#include <stddef.h>

/* What the curves are drawn against. HONE_PLOT_SECONDS: the time spent in steps of training,
 * without validation, samples and checkpoints. */
typedef enum hone_plot_x { HONE_PLOT_EPOCH, HONE_PLOT_STEP, HONE_PLOT_SECONDS } hone_plot_x;

typedef struct hone_plot_request {
    const char *const *runs; /* run folders; a folder of hone_compare stands for its runs */
    size_t count;
    const char *out; /* folder for the pictures, made when needed; NULL: "plots" in the only run */
    hone_plot_x x;
    void (*written)(void *context, const char *path); /* each picture, or NULL */
    void *context;
} hone_plot_request;

/* Draws what the runs have: loss, perplexity, ROUGE, BLEU, as "loss-epoch.png" and .svg and so on,
 * all runs in one picture. HONE_USAGE without a run, and for several without `out`; HONE_INPUT when
 * one is no run folder or broken, or when there is nothing to draw yet. */
hone_status hone_plot_runs(const hone_plot_request *request, hone_error *error);

/* Writes a page that needs nothing but itself: settings, results, curves and samples of a run, or
 * the comparison in a folder of hone_compare. out NULL: "report.html" in the folder. */
hone_status hone_report_write(const char *folder, const char *out, hone_error *error);

#endif
