/* Axes of charts: what range is shown, where the ticks stand and what they say. */
#ifndef HONE_REPORT_AXIS_H
#define HONE_REPORT_AXIS_H

#include <stdbool.h>

enum { HONE_AXIS_TICKS = 10, HONE_AXIS_LABEL = 24 };

typedef enum hone_axis_kind {
    HONE_AXIS_NUMBER, /* 1,000  0.25  1.5M */
    HONE_AXIS_LOG,    /* positive numbers; each decade is as wide */
    HONE_AXIS_TIME    /* seconds, told in the unit that suits the range */
} hone_axis_kind;

typedef struct hone_axis {
    hone_axis_kind kind;
    double low, high; /* the range shown, low < high */
    int count;        /* of ticks, in ascending order, within the range */
    double at[HONE_AXIS_TICKS];
    char label[HONE_AXIS_TICKS][HONE_AXIS_LABEL];
    const char *unit; /* of TIME, for the axis's title: "min", "h:min"; "" else */
} hone_axis;

/* Ticks for the range, at most `most` (2 to HONE_AXIS_TICKS). A range that is empty, reversed or
 * not finite (for LOG: not positive) is replaced by one that can be drawn. */
void hone_axis_make(hone_axis_kind kind, double low, double high, int most, hone_axis *axis);
/* Where a value lies: 0 at low, 1 at high. NaN for what the axis can't show (LOG: 0 and below). */
double hone_axis_place(const hone_axis *axis, double value);

/* Ticks at round numbers (1, 2 or 5 times a power of ten): the first one at or above low and their
 * distance, so that at most `most` (>= 2) lie in [low, high]. */
void hone_axis_round(double low, double high, int most, double *first, double *step);
/* "12,345.60": a decimal point and commas whatever the locale; digits after the point. */
void hone_axis_number(double value, int digits, char *text, int size);

#endif
