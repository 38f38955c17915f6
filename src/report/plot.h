/* Line charts as PNG and SVG, from one drawing. The same numbers give the same files. */
#ifndef HONE_REPORT_PLOT_H
#define HONE_REPORT_PLOT_H

#include "base/failure.h"

#include <stdbool.h>
#include <stddef.h>

typedef enum hone_plot_look {
    HONE_LOOK_LINE,  /* a strong line in the dashes of its style */
    HONE_LOOK_DOTS,  /* the same with a mark at each point: few, measured values */
    HONE_LOOK_THIN,  /* a thin line of the same colour */
    HONE_LOOK_FAINT, /* in the background: single values behind a mean. Does not widen the axes */
    HONE_LOOK_LEVEL  /* the first value as a grey line across: what the others are held against */
} hone_plot_look;

typedef struct hone_plot_series {
    const char *name;    /* in the legend, where a name stands once; NULL: not there */
    const double *x, *y; /* (n); a point that is not finite breaks the line */
    size_t n;
    hone_plot_look look;
    size_t style; /* colour, dashes and mark, from 0 on; told apart without colours too */
} hone_plot_series;

typedef struct hone_plot_panel {
    const char *title; /* NULL: none */
    const hone_plot_series *series;
    size_t count;
} hone_plot_panel;

/* Panels stand side by side on one x axis, each with a y axis of its own. */
typedef struct hone_plot {
    const char *title, *x_label, *y_label;
    const char *caption; /* below, wrapped; NULL: none */
    bool x_is_time;      /* x is in seconds */
    bool y_may_be_log;   /* a panel whose values span more than a decade has a logarithmic axis */
    const hone_plot_panel *panels;
    size_t count;
} hone_plot;

/* Draws, 800 wide and as high as legend and caption need, and writes both files atomically; a path
 * may be NULL. */
hone_status hone_plot_write(const hone_plot *plot, const char *png_path, const char *svg_path,
                            hone_error *error);
/* The SVG as a text, to be freed with hone_free. */
hone_status hone_plot_svg(const hone_plot *plot, char **svg, size_t *length, hone_error *error);

#endif
