/* Fine-tuning: a run with its folder, steps, validation, checkpoints and resume. */
#ifndef HONE_TRAINER_H
#define HONE_TRAINER_H

#include <hone/model.h>
#include <hone/score.h>

typedef struct hone_trainer hone_trainer;

typedef struct hone_run_settings {
    hone_model_settings model;
    hone_adapter_settings adapter;
    hone_data_settings data;
    hone_train_settings train;
    hone_generate_settings generate; /* how eval_generate predicts .. */
    hone_score_settings score;       /* .. and scores */
} hone_run_settings;

enum { HONE_RUN_SETS = 6 };
/* The tables bound to the object, for hone_options_*. */
void hone_run_option_sets(hone_run_settings *settings, hone_option_set sets[HONE_RUN_SETS]);

typedef struct hone_step_result {
    int64_t step; /* 1-based: steps done */
    int64_t total_steps;
    double epoch;
    double loss; /* mean over the step's trained tokens */
    double grad_norm, learning_rate;
    int64_t tokens; /* rows processed in this step, of source and target */
    double tokens_per_second, seconds;
    int64_t rss_bytes, peak_rss_bytes; /* of the process: now, and the most so far; 0: not known */
} hone_step_result;

typedef enum hone_event_kind {
    HONE_EVENT_START,      /* model and data are ready: `text` sums them up */
    HONE_EVENT_STEP,       /* `step` */
    HONE_EVENT_VALIDATION, /* `loss`, `best`, `scores` */
    HONE_EVENT_SAMPLE,     /* `text` */
    HONE_EVENT_CHECKPOINT, /* `text`: its folder */
    HONE_EVENT_NOTE,       /* `text`: truncated documents, skipped lines ... */
    HONE_EVENT_END         /* `text`: why training ended */
} hone_event_kind;

typedef struct hone_train_event {
    hone_event_kind kind;
    const hone_step_result *step; /* the latest step */
    double loss;                  /* validation */
    bool best;
    const hone_score *scores; /* of eval_generate's predictions: (score_count) */
    size_t score_count;
    const char *text;
} hone_train_event;

typedef struct hone_train_callbacks {
    void (*event)(void *context, const hone_train_event *event); /* or NULL */
    void *context;
} hone_train_callbacks;

/* Starts a run: opens model and data, makes the run folder settings->train.out (which must not
 * exist or be empty). out == NULL in settings: no folder, nothing is written. The settings are
 * copied. Callbacks may be NULL. */
hone_status hone_trainer_create(const hone_run_settings *settings,
                                const hone_train_callbacks *callbacks, hone_trainer **out,
                                hone_error *error);
/* Goes on with a run folder from its newest whole checkpoint, byte for byte as if never stopped. */
hone_status hone_trainer_resume(const char *run, const hone_train_callbacks *callbacks,
                                hone_trainer **out, hone_error *error);
/* One optimizer step with its logs, validation, samples and checkpoints. *done at the end. */
hone_status hone_trainer_step(hone_trainer *trainer, hone_step_result *result, bool *done,
                              hone_error *error);
/* Steps to the end. HONE_STOPPED (after a checkpoint) when hone_trainer_stop was called. */
hone_status hone_trainer_run(hone_trainer *trainer, hone_error *error);
/* Asks for a stop after the current step; from any thread. Take signals in a thread that does not
 * compute (block them elsewhere and sigwait, as cli/stop.c does), or on a stack of their own
 * (SA_ONSTACK): a kernel of oneDNN may be using the stack pointer as a common register. */
void hone_trainer_stop(hone_trainer *trainer);
/* Writes a checkpoint now. */
hone_status hone_trainer_checkpoint(hone_trainer *trainer, hone_error *error);
/* Validation loss now. Changes nothing: it is no entry of the log and takes no patience. HONE_USAGE
 * without validation data. */
hone_status hone_trainer_validate(hone_trainer *trainer, double *loss, hone_error *error);
hone_model *hone_trainer_model(hone_trainer *trainer); /* borrowed */
void hone_trainer_free(hone_trainer *trainer);         /* takes NULL */

/* What a run would need, from the very plan that it would use. Bytes. Scratch lies among values;
 * `other` is what tokenizer, libraries and reading took when it was measured, while planning. */
typedef struct hone_memory_plan {
    int64_t rows; /* tokens in the largest micro-batch, of source and target */
    size_t weights, trainable, gradients, optimizer, values, data, other, total;
    size_t generation; /* of the total: cache and values of eval_generate's predictions, which are
                          made while all the rest is there */
    size_t values_with_checkpointing; /* values, were gradient_checkpointing on */
} hone_memory_plan;

hone_status hone_trainer_plan(const hone_run_settings *settings, hone_memory_plan *out,
                              hone_error *error);

#endif
