/* Early stopping: see early_stopping.h. */
#include "train/early_stopping.h"

bool hone_early_stopping_take(hone_early_stopping *stopping, double measure, int64_t step,
                              double threshold)
{
    bool first = stopping->best_step == 0;
    if (first || measure < stopping->best - threshold)
        stopping->bad = 0;
    else
        stopping->bad++;
    if (!first && !(measure < stopping->best))
        return false;
    stopping->best = measure;
    stopping->best_step = step;
    return true;
}

bool hone_early_stopping_ends(const hone_early_stopping *stopping, int64_t patience)
{
    return patience > 0 && stopping->bad >= patience;
}
