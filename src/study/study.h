/* The inside of a study. */
#ifndef HONE_STUDY_STUDY_H
#define HONE_STUDY_STUDY_H

#include "base/failure.h"

#include <hone/compare.h>

typedef struct hone_experiment {
    char *name;
    hone_run_settings settings;
} hone_experiment;

struct hone_study {
    hone_compare_settings settings;
    char *out; /* or NULL */
    hone_run_settings defaults;
    hone_experiment *items;
    size_t count, capacity;
};

/* HONE_USAGE unless the study can be run: a folder, experiments, each with model and data. */
hone_status hone_study_check(const hone_study *study, hone_error *error);
/* Writes the study as a file that hone_study_create reads back to the same. Atomic. */
hone_status hone_study_save(const hone_study *study, const char *path, hone_error *error);
/* Parses a file's text; a study that is not empty is HONE_USAGE. */
hone_status hone_study_parse(hone_study *study, const char *text, size_t length, const char *file,
                             hone_error *error);
/* Runs a piece of work by options->isolate, in this process where there is none. `what` and `name`
 * make its name: "training", "lora". */
hone_status hone_study_isolate(const hone_compare_options *options, const char *what,
                               const char *name, hone_compare_work_fn work, void *argument,
                               hone_error *error);

#endif
