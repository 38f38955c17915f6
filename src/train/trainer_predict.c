/* Predictions during training: what eval_generate asks for. They are functions of settings, data
 * and weights, so that a run which goes on writes them as they would have been. */
#include "train/trainer_parts.h"

#include "base/files.h"
#include "infer/predict_examples.h"

#include <stdio.h>
#include <string.h>

bool hone_trainer_metric_is_score(const hone_trainer *trainer)
{
    return strcmp(trainer->settings.train.metric_for_best_model, "loss") != 0;
}

static hone_status check_metric(const hone_trainer *t, hone_error *error)
{
    const char *metric = t->settings.train.metric_for_best_model;
    if (!hone_trainer_metric_is_score(t))
        return HONE_OK;
    if (t->scorer == NULL)
        return hone_fail(
            error, HONE_USAGE,
            "metric_for_best_model is \"%.60s\": that needs predictions (eval_generate "
            "above 0)",
            metric);
    if (hone_scorer_find(t->scorer, metric) >= 0)
        return HONE_OK;
    hone_fail(error, HONE_USAGE,
              "metric_for_best_model: expected loss or one of the metrics that are measured, found "
              "\"%.60s\"; these are:",
              metric);
    for (size_t i = 0; i < hone_scorer_count(t->scorer); i++)
        hone_error_append(error, " %s", hone_scorer_name(t->scorer, i));
    return HONE_USAGE;
}

hone_status hone_trainer_open_examples(hone_trainer *trainer, hone_error *error)
{
    const hone_train_settings *train = &trainer->settings.train;
    if (train->eval_generate == 0)
        return check_metric(trainer, error);
    if (trainer->valid == NULL)
        return hone_fail(error, HONE_USAGE,
                         "eval_generate predicts validation rows: there are none (valid or split)");
    HONE_TRY(hone_scorer_create(&trainer->settings.score, &trainer->scorer, error));
    HONE_TRY(check_metric(trainer, error));
    return hone_examples_find(
        trainer->model, trainer->valid, train->valid != NULL ? train->valid : train->train,
        &trainer->settings.data, train->eval_generate, &trainer->examples, error);
}

static hone_status collect_scores(hone_scorer *scorer, hone_score **scores, size_t *count,
                                  hone_error *error)
{
    size_t metrics = hone_scorer_count(scorer);
    hone_score *found = hone_alloc_array(metrics, sizeof *found);
    if (found == NULL)
        return hone_fail_memory(error, "scores", metrics * sizeof *found);
    for (size_t i = 0; i < metrics; i++) {
        hone_status status = hone_scorer_result(scorer, i, &found[i], error);
        if (status != HONE_OK) {
            hone_free(found);
            return status;
        }
    }
    *scores = found;
    *count = metrics;
    return HONE_OK;
}

/* Where predictions go; *path NULL without a run folder. */
static hone_status make_path(const hone_trainer *t, char **path, hone_error *error)
{
    char name[64];
    *path = NULL;
    if (t->folder.path == NULL)
        return HONE_OK;
    char *folder = hone_run_folder_path(&t->folder, "predictions");
    snprintf(name, sizeof name, "predictions/step-%lld.jsonl", (long long)t->state.step);
    hone_status status =
        folder == NULL ? hone_fail_memory(error, "path", 0) : hone_folder_make(folder, error);
    hone_free(folder);
    if (status == HONE_OK && (*path = hone_run_folder_path(&t->folder, name)) == NULL)
        status = hone_fail_memory(error, "path", 0);
    return status;
}

hone_status hone_trainer_predict(hone_trainer *trainer, hone_score **scores, size_t *count,
                                 hone_error *error)
{
    *scores = NULL;
    *count = 0;
    if (trainer->examples.count == 0)
        return HONE_OK;
    char *path;
    HONE_TRY(make_path(trainer, &path, error));
    const hone_predict_request request = {.settings = &trainer->settings.generate,
                                          .seed = (uint64_t)trainer->settings.model.seed,
                                          .scorer = trainer->scorer,
                                          .path = path};
    hone_scorer_reset(trainer->scorer);
    hone_status status =
        hone_predict_examples(trainer->model, &trainer->examples, &request, NULL, error);
    hone_free(path);
    return status == HONE_OK ? collect_scores(trainer->scorer, scores, count, error) : status;
}
