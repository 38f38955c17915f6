/* Line charts as PNG and SVG, from one drawing. The same numbers give the same files. */
#ifndef HONE_REPORT_PLOT_H
#define HONE_REPORT_PLOT_H

#include "base/failure.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct hone_plot_series {
    const char *name;    /* for the legend */
    const double *x, *y; /* (n); a point that is not finite breaks the line */
    size_t n;
    bool faint; /* in the background: raw values behind a mean */
    bool dots;  /* a dot at each point: few, measured values */
} hone_plot_series;

typedef struct hone_plot {
    const char *title, *x_label, *y_label;
    const hone_plot_series *series;
    size_t count;
} hone_plot;

/* Draws 800 x 500 and writes both files atomically; a path may be NULL. */
hone_status hone_plot_write(const hone_plot *plot, const char *png_path, const char *svg_path,
                            hone_error *error);

/* Ticks at round numbers (1, 2 or 5 times a power of ten): the first one at or above low and their
 * distance, so that at most `most` (>= 2) lie in [low, high]. */
void hone_plot_ticks(double low, double high, int most, double *first, double *step);

#endif
