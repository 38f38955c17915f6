/* Resamples of the rows of a scorer, and what follows from a metric's values on them. */
#ifndef HONE_METRIC_BOOTSTRAP_H
#define HONE_METRIC_BOOTSTRAP_H

#include <stddef.h>
#include <stdint.h>

/* weights[i], i < rows: how often row i is in resample `sample`, which has as many draws as there
 * are rows. A pure function of (seed, sample, rows). */
void hone_bootstrap_draw(uint64_t seed, uint32_t sample, uint32_t *weights, size_t rows);
/* The q-th quantile (0..1) of sorted values, count > 0, linear between them (NumPy's default). */
double hone_bootstrap_quantile(const double *sorted, size_t count, double q);
void hone_bootstrap_sort(double *values, size_t count);

#endif
