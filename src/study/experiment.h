/* One experiment of a study: its run, made, gone on with, or kept. */
#ifndef HONE_STUDY_EXPERIMENT_H
#define HONE_STUDY_EXPERIMENT_H

#include "study/study.h"

/* "<out>/runs/<name>", or NULL when out of memory. */
char *hone_experiment_path(const hone_study *study, size_t index);
/* Trains to the end; without `predicts` nothing is predicted while training. HONE_MISMATCH when the
 * run that is there had other settings or data, unless options->rerun; HONE_STOPPED after a
 * checkpoint. */
hone_status hone_experiment_run(const hone_study *study, size_t index, bool predicts,
                                const hone_compare_options *options, hone_error *error);

#endif
