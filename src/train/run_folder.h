/* The folder of a run on disk: its lock, its config, its logs.
 *
 *   config.yaml      the effective settings; its presence makes a folder a run folder
 *   log.jsonl        one object a step; what depends on the clock or the machine comes last in it
 *   train.tsv        the same without those
 *   valid.tsv        one line a validation; with eval_generate the metrics behind the loss
 *   samples.jsonl    one object a sample
 *   scores.jsonl     one object a validation: each metric with its interval and signature
 *   predictions/     step-N.jsonl: what was scored, beside its references
 *   summary.json     what came of it, rewritten whenever training ends or pauses
 *   adapter/         the best by validation, else the latest of a checkpoint or the end
 *   checkpoints/     see checkpoint.h
 *   plots/           loss.png, loss.svg, perplexity.png, perplexity.svg
 * Logs only grow. A checkpoint knows their sizes, and resuming cuts them back to those. */
#ifndef HONE_TRAIN_RUN_FOLDER_H
#define HONE_TRAIN_RUN_FOLDER_H

#include "train/checkpoint.h"

#include <hone/trainer.h>

/* Zeroed: there is no folder, and every call below does nothing. */
typedef struct hone_run_folder {
    char *path;
    char *columns; /* of valid.tsv behind the common ones, a tab before each; NULL: none */
    int lock;      /* descriptor that holds the lock while the process lives */
} hone_run_folder;

/* Makes a new one and writes config.yaml. HONE_USAGE when the folder is there and not empty. */
hone_status hone_run_folder_create(hone_run_folder *folder, const char *path,
                                   hone_run_settings *settings, hone_error *error);
/* Takes an existing one, and removes what a killed process left in it. HONE_INPUT without
 * config.yaml, HONE_IO when another process has it. */
hone_status hone_run_folder_open(hone_run_folder *folder, const char *path, hone_error *error);
void hone_run_folder_close(hone_run_folder *folder);
/* "<folder>/<name>" as a fresh string, or NULL when out of memory. */
char *hone_run_folder_path(const hone_run_folder *folder, const char *name);

/* The metrics become columns of valid.tsv. Before hone_run_logs_begin. */
hone_status hone_run_folder_add_columns(hone_run_folder *folder, const hone_scorer *scorer,
                                        hone_error *error);

/* Cuts every log to the sizes of a checkpoint (NULL: begins all anew). A log that is shorter is
 * HONE_MISMATCH. */
hone_status hone_run_logs_begin(const hone_run_folder *folder, const int64_t *sizes,
                                hone_error *error);
/* Syncs the logs and tells their sizes. */
hone_status hone_run_logs_sync(const hone_run_folder *folder, int64_t sizes[HONE_RUN_LOGS],
                               hone_error *error);
/* Records. All numbers have 9 significant digits. */
hone_status hone_run_log_step(const hone_run_folder *folder, const hone_step_result *result,
                              hone_error *error);
typedef struct hone_run_validation {
    int64_t step;
    double epoch, loss;
    bool best;
    const hone_score *scores; /* (count), in the order of the columns */
    size_t count;
} hone_run_validation;

hone_status hone_run_log_validation(const hone_run_folder *folder,
                                    const hone_run_validation *validation, hone_error *error);
/* text NULL: text that is not UTF-8 */
hone_status hone_run_log_sample(const hone_run_folder *folder, int64_t step, const char *prompt,
                                const char *text, size_t length, hone_error *error);
/* Writes the pictures of plots/ from train.tsv and valid.tsv. */
hone_status hone_run_plot(const hone_run_folder *folder, hone_error *error);

#endif
