/* Whether an experiment is better than what needs no training: tests of its predictions against a
 * baseline's, on the same rows. */
#ifndef HONE_STUDY_PAIRED_H
#define HONE_STUDY_PAIRED_H

#include "base/json.h"

#include <hone/score.h>

/* Tests each metric of a row of the table against a baseline's row, by the paired bootstrap of
 * hone_scorer_compare, from the predictions.jsonl in their folders within `out`. Puts `key`:
 * {"difference", "low", "high", "p_value"} into the row's scores. *done says whether there was
 * something to test: predictions in both, and resamples. HONE_MISMATCH when the two have predicted
 * other rows. */
hone_status hone_paired_test(const char *out, hone_json *row, const hone_json *baseline,
                             const char *key, const hone_score_settings *settings, bool *done,
                             hone_error *error);

#endif
