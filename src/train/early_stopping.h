/* When validation says that training should end, and which weights were best. */
#ifndef HONE_TRAIN_EARLY_STOPPING_H
#define HONE_TRAIN_EARLY_STOPPING_H

#include <stdbool.h>
#include <stdint.h>

/* Part of a checkpoint. Zeroed: nothing validated yet. */
typedef struct hone_early_stopping {
    double best;       /* lowest measure so far; meaningless while best_step is 0 */
    int64_t best_step; /* 1-based step after which it was measured; 0: none yet */
    int64_t bad;       /* validations since the last one that improved by the threshold */
} hone_early_stopping;

/* Takes the measure of a validation: its loss, or minus a metric that is better when higher. True
 * when it is the lowest so far: these weights are to be kept. As in Transformers' callback,
 * patience is lost unless the best so far is beaten by more than threshold. */
bool hone_early_stopping_take(hone_early_stopping *stopping, double measure, int64_t step,
                              double threshold);
/* Whether patience (0: endless) has run out. */
bool hone_early_stopping_ends(const hone_early_stopping *stopping, int64_t patience);

#endif
