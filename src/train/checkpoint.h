/* Checkpoints: everything that a run needs to go on as if it had never stopped.
 *
 * A run's folder `checkpoints` holds step-N folders of four files:
 *   trainable.safetensors  the trained values, f32
 *   optimizer.safetensors  Adam's moments, f32: "first/<name>", "second/<name>"
 *   state.json             hone_run_state and the settings
 *   manifest.json          format, step, identity; size and xxh64 of each of the others
 * Random draws and the place in the data are functions of seed and step: there is no state of them.
 *
 * A checkpoint is written to step-N.tmp.<pid> beside its place, every file synced, then renamed. It
 * is whole when its manifest is readable, says the step of the folder's name, and all sizes and
 * hashes agree. */
#ifndef HONE_TRAIN_CHECKPOINT_H
#define HONE_TRAIN_CHECKPOINT_H

#include "base/json.h"
#include "graph/parameters.h"
#include "optim/adamw.h"
#include "train/early_stopping.h"

/* The logs of a run folder, in the order of hone_run_state.log_sizes. */
#define HONE_RUN_LOG_LIST(X)                                                                       \
    X(LOG, "log.jsonl")                                                                            \
    X(TRAIN, "train.tsv")                                                                          \
    X(VALID, "valid.tsv")                                                                          \
    X(SAMPLES, "samples.jsonl")                                                                    \
    X(SCORES, "scores.jsonl")

typedef enum hone_run_log {
#define HONE_RUN_LOG_ENUM(name, file) HONE_RUN_LOG_##name,
    HONE_RUN_LOG_LIST(HONE_RUN_LOG_ENUM)
#undef HONE_RUN_LOG_ENUM
        HONE_RUN_LOGS
} hone_run_log;

const char *hone_run_log_name(hone_run_log log); /* "log.jsonl" */

/* What changes from step to step beside the tensors. */
typedef struct hone_run_state {
    int64_t step; /* steps done */
    bool ended_early;
    hone_early_stopping stopping;
    double kept_loss; /* of the best validation, by whatever measure it is the best */
    double loss, grad_norm, learning_rate; /* of the last step */
    int64_t tokens;                        /* rows processed so far */
    double seconds;                        /* of training so far: wall-clock */
    int64_t log_sizes[HONE_RUN_LOGS];      /* bytes */
} hone_run_state;

/* Hashes of what a run is made from: only parts with the same ones belong together. */
typedef struct hone_run_identity {
    uint64_t settings, base, train, valid; /* valid: 0 without validation */
} hone_run_identity;

typedef struct hone_checkpoint {
    const hone_parameters *parameters;
    const hone_adamw *adamw;
    const hone_run_state *state;
    const hone_json *settings;
    hone_run_identity identity;
} hone_checkpoint;

/* Writes folder/step-N; *path is its fresh name (NULL when not wanted). A step-N that stands there
 * is replaced in one move if it is broken or of this run; one of another run is HONE_MISMATCH.
 * HONE_NUMERIC when a value is not finite. After a failure nothing is left behind. */
hone_status hone_checkpoint_write(const char *folder, const hone_checkpoint *checkpoint,
                                  char **path, hone_error *error);
/* Reads back what was written; the caller frees *settings (hone_json_free). */
hone_status hone_checkpoint_read_state(const char *path, hone_run_state *state,
                                       hone_json **settings, hone_error *error);
/* Fills the values and both moments. HONE_MISMATCH for a tensor that is missing or of another
 * shape. */
hone_status hone_checkpoint_read_tensors(const char *path, const hone_parameters *parameters,
                                         hone_adamw *adamw, hone_error *error);

#endif
