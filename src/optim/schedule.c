/* Learning rate schedules: see schedule.h for the formulas. */
#include "optim/schedule.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

bool hone_schedule_find(const char *name, hone_schedule_shape *out)
{
    static const char *const names[] = {[HONE_SCHEDULE_CONSTANT] = "constant",
                                        [HONE_SCHEDULE_LINEAR] = "linear",
                                        [HONE_SCHEDULE_COSINE] = "cosine",
                                        [HONE_SCHEDULE_CYCLICAL] = "cyclical"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], name) == 0) {
            *out = (hone_schedule_shape)i;
            return true;
        }
    }
    return false;
}

int64_t hone_schedule_warmup(int64_t steps, double ratio, int64_t total)
{
    double wanted = steps > 0 ? (double)steps : ceil(ratio * (double)total);
    return wanted < (double)total ? (int64_t)wanted : total;
}

static double triangle(const hone_schedule *schedule, double minimum, int64_t step)
{
    int64_t place = (step + 1) % schedule->cycle;
    double half = (double)schedule->cycle / 2.0;
    double rise = 1.0 - fabs((double)place - half) / half;
    return minimum + (schedule->peak - minimum) * rise;
}

double hone_schedule_rate(const hone_schedule *schedule, int64_t step, int64_t total)
{
    const double pi = 3.14159265358979323846;
    double peak = schedule->peak;
    double minimum = schedule->minimum < peak ? schedule->minimum : peak;
    double warm = step < schedule->warmup ? (double)(step + 1) / (double)schedule->warmup : 1.0;
    if (schedule->shape == HONE_SCHEDULE_CYCLICAL)
        return warm * triangle(schedule, minimum, step);
    if (step < schedule->warmup)
        return peak * warm;
    double t = 0.0;
    if (total > schedule->warmup)
        t = fmin((double)(step - schedule->warmup) / (double)(total - schedule->warmup), 1.0);
    switch (schedule->shape) {
    case HONE_SCHEDULE_LINEAR: return minimum + (peak - minimum) * (1.0 - t);
    case HONE_SCHEDULE_COSINE: return minimum + (peak - minimum) * 0.5 * (1.0 + cos(pi * t));
    case HONE_SCHEDULE_CONSTANT:
    case HONE_SCHEDULE_CYCLICAL: break;
    }
    return peak;
}
