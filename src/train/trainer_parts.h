/* The inside of a trainer, shared by the files that make it: trainer_open.c (parts and memory),
 * trainer.c (steps), trainer_report.c (what is told and written). */
#ifndef HONE_TRAIN_TRAINER_PARTS_H
#define HONE_TRAIN_TRAINER_PARTS_H

#include "engine/model.h"
#include "graph/executor.h"
#include "infer/examples.h"
#include "optim/schedule.h"
#include "train/course.h"
#include "train/run_folder.h"

#include <stdatomic.h>

struct hone_trainer {
    hone_run_settings settings; /* a copy, effective values filled in */
    hone_train_callbacks callbacks;
    hone_json *settings_json;
    hone_run_identity identity;

    hone_model *model;
    hone_dataset *train, *valid; /* valid NULL: no validation */
    hone_course course;
    hone_schedule schedule;
    hone_plan plan;

    hone_executor executor;
    hone_packer *packer;
    float *logprobs; /* (plan rows) */
    hone_optim_range *ranges;
    hone_adamw adamw;

    hone_examples examples; /* of eval_generate; none: nothing is predicted */
    hone_scorer *scorer;    /* or NULL */

    hone_run_folder folder; /* path NULL: nothing is written */
    hone_run_state state;
    hone_step_result latest;
    int64_t saved_step; /* of the newest checkpoint, or -1 */
    atomic_bool stop;
    bool finished, failed;
};

/* Opens model and data and plans, without the memory of training. On failure the caller frees. */
hone_status hone_trainer_prepare(hone_trainer *trainer, hone_error *error);
/* Rows of validation's batches, as documents. */
int64_t hone_trainer_eval_batch(const hone_trainer *trainer);

/* Fractional epoch after `step` steps. */
double hone_trainer_epoch(const hone_trainer *trainer, int64_t step);
int64_t hone_rss_bytes(void);      /* of this process now; 0 where it is not known */
int64_t hone_peak_rss_bytes(void); /* the most that it ever was */
double hone_seconds_now(void);

/* Finds what eval_generate is to predict. */
hone_status hone_trainer_open_examples(hone_trainer *trainer, hone_error *error);
/* Predicts and scores now; predictions/step-N.jsonl. *scores (*count) to be freed with hone_free;
 * none without examples. */
hone_status hone_trainer_predict(hone_trainer *trainer, hone_score **scores, size_t *count,
                                 hone_error *error);
/* Whether the best weights are chosen by a score: else by the loss. */
bool hone_trainer_metric_is_score(const hone_trainer *trainer);

void hone_trainer_tell(const hone_trainer *trainer, hone_event_kind kind, const char *text);
void hone_trainer_tell_start(const hone_trainer *trainer);
/* Text from sample_prompt by the model as it is now, to samples.jsonl and the callback. */
hone_status hone_trainer_sample(hone_trainer *trainer, hone_error *error);
/* Rewrites summary.json: why training is not going on ("finished", "early stopping", "stopped",
 * "failed"). */
hone_status hone_trainer_summarize(const hone_trainer *trainer, const char *status,
                                   hone_error *error);

#endif
