/* Comparing methods: experiments of fine-tuning, run one after the other on the same data, and one
 * folder that sets their results and costs side by side. */
#ifndef HONE_COMPARE_H
#define HONE_COMPARE_H

#include <hone/trainer.h>

/* clang-format off */
#define HONE_COMPARE_SETTINGS(X)                                                                   \
    X(STRING, title, "", 0, 0, NULL, "TEXT", "Title of table and page")                            \
    X(INTEGER, num_predictions, "200", 0, 1e9, NULL, "N",                                          \
      "Validation rows that are predicted and scored at the end; 0: all")
/* clang-format on */

typedef struct hone_compare_settings {
    HONE_COMPARE_SETTINGS(HONE_OPTION_FIELD)
} hone_compare_settings;

hone_option_set hone_compare_option_set(hone_compare_settings *object);

/* What is compared: experiments, each a name and the settings of a run. */
typedef struct hone_study hone_study;

/* From a YAML file, or, with path NULL, without experiments yet. At the top of the file stand keys
 * of hone_compare_settings and `out`; `defaults` holds settings for all experiments, `experiments`
 * a list of them: `name` (else the method's) and what differs from the defaults. Names are of
 * letters, digits, dots, dashes and underscores. Predictions are made while training, too:
 * eval_generate is 32 unless set, metrics are rouge1, rouge2, rougeL and bleu. HONE_INPUT lists
 * what is wrong with the lines. */
hone_status hone_study_create(const char *path, hone_study **out, hone_error *error);
void hone_study_free(hone_study *study); /* takes NULL */
/* Sets a key for the study, its defaults and all its experiments, over what the file said. `place`
 * starts the message of HONE_USAGE. */
hone_status hone_study_set(hone_study *study, const char *key, const char *text, const char *place,
                           hone_error *error);
/* Adds an experiment with the defaults; name NULL: the method's. */
hone_status hone_study_add(hone_study *study, const char *name, hone_error *error);
/* Adds one for each method, with its learning rate where the map has one. */
hone_status hone_study_add_methods(hone_study *study, const hone_list *methods,
                                   const hone_map *learning_rates, hone_error *error);
size_t hone_study_count(const hone_study *study);
const char *hone_study_name(const hone_study *study, size_t index);
const hone_run_settings *hone_study_experiment(const hone_study *study, size_t index);
const char *hone_study_out(const hone_study *study); /* NULL: not set */

typedef enum hone_compare_stage {
    HONE_COMPARE_TRAIN,    /* an experiment's training begins, or goes on */
    HONE_COMPARE_KEPT,     /* .. had ended before */
    HONE_COMPARE_EVALUATE, /* validation loss, predictions, decoding speed are measured */
    HONE_COMPARE_BASELINE, /* .. of what is no experiment: the untouched model, the copied words */
    HONE_COMPARE_NOTE,     /* `text` */
    HONE_COMPARE_WRITTEN   /* `text`: a file */
} hone_compare_stage;

typedef struct hone_compare_event {
    hone_compare_stage stage;
    size_t index, count; /* of the experiment */
    const char *name, *text;
    int64_t done, total; /* EVALUATE, BASELINE: predictions */
} hone_compare_event;

/* A piece of a comparison: HONE_OK when it is done, its results in files. */
typedef hone_status (*hone_compare_work_fn)(void *argument, hone_error *error);

typedef struct hone_compare_options {
    bool rerun; /* experiments that were run with other settings are run anew, else HONE_MISMATCH */
    void (*event)(void *context, const hone_compare_event *event); /* or NULL */
    hone_train_callbacks train;                                    /* of the runs */
    int (*stop)(void *context); /* or NULL; nonzero: HONE_STOPPED, to go on with another time */
    /* Calls work(argument, error), returns what it returned, or how else it ended. All that takes
     * much memory goes through here, a piece at a time, `what` ("training lora") being its name:
     * a host that runs each piece in a process of its own gets the peak memory of each experiment
     * by itself, and survives a piece that is killed. Callbacks come from within the work; no
     * thread of the library is alive when this is called. NULL: in this process, whose peak memory
     * stays with the experiments that follow. */
    hone_status (*isolate)(void *context, const char *what, hone_compare_work_fn work,
                           void *argument, hone_error *error);
    void *context;
} hone_compare_options;

/* Runs what has not been run, and writes hone_study_out(): runs/NAME, an ordinary run folder with
 * predictions.jsonl and results.json, for each experiment; baselines/; table.json, table.tsv,
 * table.md; plots/; report.html. What is there already is kept. */
hone_status hone_compare(hone_study *study, const hone_compare_options *options, hone_error *error);

#endif
