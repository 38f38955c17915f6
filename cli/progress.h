/* What `hone train` shows while it runs, on stderr: one live line on a terminal, plain lines
 * elsewhere. */
#ifndef HONE_CLI_PROGRESS_H
#define HONE_CLI_PROGRESS_H

#include <hone/trainer.h>
#include <time.h>

typedef struct cli_progress {
    bool terminal;
    bool quiet;
    int64_t logging_steps;
    bool shown;              /* a live line stands on the terminal */
    struct timespec begin;   /* of the first step seen */
    struct timespec drawn;   /* when the live line was drawn last */
    int64_t first_step;      /* the first step seen, 0 before */
    double best, validation; /* losses; NaN before the first */
    hone_step_result step;   /* the latest */
} cli_progress;

void cli_progress_init(cli_progress *progress, bool quiet, int64_t logging_steps);
/* The callback of hone_train_callbacks; context is a cli_progress. */
void cli_progress_event(void *context, const hone_train_event *event);
/* Ends the live line. */
void cli_progress_end(cli_progress *progress);
/* "trainable params: 1,234 || all params: 5,678 || trainable%: 21.7330", as PEFT prints it. */
void cli_progress_facts(const cli_progress *progress, const hone_model *model);

#endif
