/* The learning rate of a step: a pure function of (settings, step, total), so there is no state to
 * save and none to get wrong on resume. */
#ifndef HONE_OPTIM_SCHEDULE_H
#define HONE_OPTIM_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

typedef enum hone_schedule_shape {
    HONE_SCHEDULE_CONSTANT,
    HONE_SCHEDULE_LINEAR,
    HONE_SCHEDULE_COSINE,
    HONE_SCHEDULE_CYCLICAL
} hone_schedule_shape;

typedef struct hone_schedule {
    hone_schedule_shape shape;
    double peak, minimum;
    int64_t warmup; /* steps */
    int64_t cycle;  /* steps of one cycle, >= 2 */
} hone_schedule;

/* Shape by its name ("cosine"); false when unknown. */
bool hone_schedule_find(const char *name, hone_schedule_shape *out);
/* Warmup in steps: `steps` when > 0, else ratio * total rounded up as Transformers does; never more
 * than total. */
int64_t hone_schedule_warmup(int64_t steps, double ratio, int64_t total);
/* Rate of the 0-based step `step` of a run of `total` steps.
 * Warmup (w steps): peak * (step + 1) / w, so the first step already learns and step w - 1 is at
 * the peak. After it, with t = (step - w) / (total - w) in [0, 1):
 *   constant   peak
 *   linear     minimum + (peak - minimum) * (1 - t)
 *   cosine     minimum + (peak - minimum) * (1 + cos(pi t)) / 2
 * Cyclical is a triangle over the whole run, minimum at step + 1 = 0, peak half a cycle later; in
 * its warmup the triangle is scaled by (step + 1) / w.
 * A minimum above the peak counts as the peak. */
double hone_schedule_rate(const hone_schedule *schedule, int64_t step, int64_t total);

#endif
