/* Running an experiment: see experiment.h. */
#include "study/experiment.h"

#include "base/files.h"
#include "base/json.h"
#include "base/memory.h"
#include "study/fingerprint.h"
#include "train/json_file.h"
#include "train/run_settings.h"

#include <stdio.h>
#include <string.h>

#define SMALL_FILE ((size_t)1 << 20)

enum { KEY = 24 };

char *hone_experiment_path(const hone_study *study, size_t index)
{
    char *runs = hone_path_join(study->out, "runs");
    char *path = runs != NULL ? hone_path_join(runs, study->items[index].name) : NULL;
    hone_free(runs);
    return path;
}

/* ---- what is there ------------------------------------------------------------------------ */

/* Where things are written and how often, and with how many threads, changes no result. */
static bool may_differ(const char *key)
{
    static const char *const keys[] = {"out", "threads", "logging_steps", "save_steps",
                                       "save_total_limit"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(keys[i], key) == 0)
            return true;
    return false;
}

static hone_status compare_settings(hone_run_settings *found, hone_run_settings *wanted,
                                    const char *path, hone_error *error)
{
    hone_option_set found_sets[HONE_RUN_SETS], wanted_sets[HONE_RUN_SETS];
    hone_run_option_sets(found, found_sets);
    hone_run_option_sets(wanted, wanted_sets);
    hone_status status = HONE_OK;
    for (size_t s = 0; s < HONE_RUN_SETS; s++) {
        for (size_t i = 0; i < found_sets[s].count; i++) {
            const hone_option *option = &found_sets[s].options[i];
            if (may_differ(option->key))
                continue;
            char *before = hone_options_get_text(&found_sets[s], option);
            char *now = hone_options_get_text(&wanted_sets[s], option);
            if (before == NULL || now == NULL)
                status = hone_fail_memory(error, "settings", 0);
            /* A run writes down what auto came to. */
            else if (strcmp(before, now) != 0 &&
                     !(strcmp(option->key, "compute") == 0 && strcmp(now, "auto") == 0)) {
                if (status == HONE_OK)
                    status = hone_fail_at(error, HONE_MISMATCH, path, -1, -1,
                                          "this experiment was run with other settings; restore "
                                          "them, or have it run anew (rerun):");
                hone_error_append(error, "\n  %s: was \"%.200s\", is \"%.200s\"", option->key,
                                  before, now);
            }
            hone_options_free_text(before);
            hone_options_free_text(now);
            if (status == HONE_MEMORY)
                return status;
        }
    }
    return status;
}

static hone_status identify(const hone_run_settings *settings, char key[KEY], hone_error *error)
{
    hone_hash hash;
    hone_hash_init(&hash, 0);
    HONE_TRY(hone_fingerprint_folder(&hash, settings->model.model, error));
    if (settings->model.adapter != NULL)
        HONE_TRY(hone_fingerprint_folder(&hash, settings->model.adapter, error));
    HONE_TRY(hone_fingerprint_file(&hash, settings->train.train, error));
    if (settings->train.valid != NULL)
        HONE_TRY(hone_fingerprint_file(&hash, settings->train.valid, error));
    snprintf(key, KEY, "%016llx", (unsigned long long)hone_hash_get(&hash));
    return HONE_OK;
}

/* A text of a JSON file in the run folder, to a buffer; empty when there is none. */
static hone_status read_text(const char *path, const char *file, const char *key, char *text,
                             size_t size, hone_error *error)
{
    char *name = hone_path_join(path, file);
    hone_json *object = NULL;
    text[0] = '\0';
    if (name == NULL)
        return hone_fail_memory(error, "path", 0);
    hone_status status = HONE_OK;
    if (hone_file_exists(name))
        status = hone_json_load(name, SMALL_FILE, &object, error);
    const char *found = hone_json_string(hone_json_get(object, key), NULL);
    if (found != NULL)
        snprintf(text, size, "%s", found);
    hone_json_free(object);
    hone_free(name);
    return status;
}

static hone_status write_key(const char *path, const char *key, hone_error *error)
{
    hone_json *object = hone_json_new_object();
    if (object != NULL && !hone_json_set(object, "made_from", hone_json_new_string(key))) {
        hone_json_free(object);
        object = NULL;
    }
    return hone_json_file_write(path, "experiment.json", object, 17, error);
}

/* Whether the run that is there is this experiment's: HONE_MISMATCH else. */
static hone_status check_run(const char *path, hone_run_settings *wanted, const char *key,
                             hone_error *error)
{
    char before[KEY];
    hone_run_settings found;
    char *config = hone_path_join(path, "config.yaml");
    if (config == NULL)
        return hone_fail_memory(error, "path", 0);
    hone_status status = hone_run_settings_load(&found, config, error);
    if (status == HONE_OK) {
        status = compare_settings(&found, wanted, path, error);
        hone_run_settings_deinit(&found);
    }
    hone_free(config);
    HONE_TRY(status);
    HONE_TRY(read_text(path, "experiment.json", "made_from", before, sizeof before, error));
    if (before[0] != '\0' && strcmp(before, key) != 0)
        return hone_fail_at(error, HONE_MISMATCH, path, -1, -1,
                            "the files of the model or the data have changed since this experiment "
                            "was run; restore them, or have it run anew (rerun)");
    return HONE_OK;
}

/* ---- running ------------------------------------------------------------------------------ */

/* Forwards the trainer's events, and looks at every step whether to stop. */
typedef struct watching {
    const hone_compare_options *options;
    hone_trainer *trainer;
} watching;

static void forward(void *context, const hone_train_event *event)
{
    const watching *w = context;
    const hone_compare_options *options = w->options;
    if (options->train.event != NULL)
        options->train.event(options->train.context, event);
    if (event->kind == HONE_EVENT_STEP && options->stop != NULL && w->trainer != NULL &&
        options->stop(options->context) != 0)
        hone_trainer_stop(w->trainer);
}

static void tell(const hone_study *study, size_t index, hone_compare_stage stage,
                 const hone_compare_options *options)
{
    const hone_compare_event event = {
        .stage = stage, .index = index, .count = study->count, .name = study->items[index].name};
    if (options->event != NULL)
        options->event(options->context, &event);
}

/* A run that begins or goes on: what is handed to the process that trains. */
typedef struct train_work {
    const char *path, *key;
    bool exists;
    const hone_run_settings *settings;
    const hone_compare_options *options;
} train_work;

static hone_status train(void *argument, hone_error *error)
{
    const train_work *work = argument;
    watching w = {.options = work->options};
    const hone_train_callbacks callbacks = {forward, &w};
    hone_status status = work->exists
                             ? hone_trainer_resume(work->path, &callbacks, &w.trainer, error)
                             : hone_trainer_create(work->settings, &callbacks, &w.trainer, error);
    HONE_TRY(status);
    status = write_key(work->path, work->key, error);
    if (status == HONE_OK)
        status = hone_trainer_run(w.trainer, error);
    hone_trainer_free(w.trainer);
    return status;
}

static hone_status run(const hone_study *study, size_t index, const char *path,
                       hone_run_settings *settings, const hone_compare_options *options,
                       hone_error *error)
{
    char key[KEY], ended[32] = "";
    bool exists = false;
    HONE_TRY(identify(settings, key, error));
    char *config = hone_path_join(path, "config.yaml");
    if (config == NULL)
        return hone_fail_memory(error, "path", 0);
    exists = hone_file_exists(config);
    hone_free(config);
    if (exists) {
        hone_status status = check_run(path, settings, key, error);
        if (status == HONE_MISMATCH && options->rerun) {
            HONE_TRY(hone_folder_remove(path, error));
            exists = false;
        } else {
            HONE_TRY(status);
            HONE_TRY(read_text(path, "summary.json", "status", ended, sizeof ended, error));
        }
    }
    if (strcmp(ended, "finished") == 0 || strcmp(ended, "early stopping") == 0) {
        tell(study, index, HONE_COMPARE_KEPT, options);
        return HONE_OK;
    }
    tell(study, index, HONE_COMPARE_TRAIN, options);
    train_work work = {path, key, exists, settings, options};
    return hone_study_isolate(options, "training", study->items[index].name, train, &work, error);
}

hone_status hone_experiment_run(const hone_study *study, size_t index, bool predicts,
                                const hone_compare_options *options, hone_error *error)
{
    hone_run_settings settings;
    hone_option_set sets[HONE_RUN_SETS];
    char *path = hone_experiment_path(study, index);
    if (path == NULL)
        return hone_fail_memory(error, "path", 0);
    hone_status status = hone_run_settings_copy(&settings, &study->items[index].settings, error);
    if (status == HONE_OK) {
        hone_run_option_sets(&settings, sets);
        if (!predicts)
            settings.train.eval_generate = 0;
        status = hone_options_set_text(sets, HONE_RUN_SETS, "out", path, "out", error);
        if (status == HONE_OK)
            status = run(study, index, path, &settings, options, error);
        hone_run_settings_deinit(&settings);
    }
    hone_free(path);
    return status;
}
