/* A run's settings as a whole: copying, keeping them in a checkpoint, and telling what changed. */
#ifndef HONE_TRAIN_RUN_SETTINGS_H
#define HONE_TRAIN_RUN_SETTINGS_H

#include "base/json.h"

#include <hone/trainer.h>

/* The defaults. On failure nothing is left to free, as with all of these. */
hone_status hone_run_settings_init(hone_run_settings *settings, hone_error *error);
/* Deep copy. */
hone_status hone_run_settings_copy(hone_run_settings *to, const hone_run_settings *from,
                                   hone_error *error);
/* Reads a config.yaml over the defaults. */
hone_status hone_run_settings_load(hone_run_settings *settings, const char *path,
                                   hone_error *error);
void hone_run_settings_deinit(hone_run_settings *settings);
/* The settings that decide results as one JSON object of texts, in a fixed order; left out is what
 * may change within a run: where files are (their content is hashed), threads, and how often things
 * are written. NULL when out of memory. */
hone_json *hone_run_settings_json(hone_run_settings *settings);
/* Lists every such setting that differs from `stored` in one HONE_MISMATCH error. `path`: the file
 * that the settings are from. */
hone_status hone_run_settings_compare(hone_run_settings *settings, const hone_json *stored,
                                      const char *path, hone_error *error);

#endif
