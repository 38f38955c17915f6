/* Paired tests: see paired.h. */
#include "study/paired.h"

#include "base/files.h"
#include "base/memory.h"

#include <math.h>
#include <string.h>

/* The predictions of a row; *path NULL where there are none. */
static hone_status find_predictions(const char *out, const hone_json *row, char **path,
                                    hone_error *error)
{
    const char *folder = hone_json_string(hone_json_get(row, "run"), NULL);
    if (folder == NULL)
        folder = hone_json_string(hone_json_get(row, "folder"), NULL);
    *path = NULL;
    if (folder == NULL || hone_json_get(row, "scores") == NULL)
        return HONE_OK;
    char *place = hone_path_join(out, folder);
    *path = place != NULL ? hone_path_join(place, "predictions.jsonl") : NULL;
    hone_free(place);
    if (*path == NULL)
        return hone_fail_memory(error, "path", 0);
    if (!hone_file_exists(*path)) {
        hone_free(*path);
        *path = NULL;
    }
    return HONE_OK;
}

static hone_status load(const char *path, const hone_score_settings *settings, hone_scorer **out,
                        hone_error *error)
{
    const hone_score_files files = {
        .predictions = path, .prediction_field = "prediction", .reference_field = "reference"};
    HONE_TRY(hone_scorer_create(settings, out, error));
    return hone_scorer_add_files(*out, &files, error);
}

static bool put_test(hone_json *score, const char *key, const hone_comparison *found)
{
    const struct {
        const char *key;
        double value;
    } parts[] = {{"difference", found->difference},
                 {"low", found->low},
                 {"high", found->high},
                 {"p_value", found->p_value}};
    hone_json *test = hone_json_new_object();
    bool made = test != NULL;
    for (size_t i = 0; i < sizeof parts / sizeof *parts && made; i++)
        if (isfinite(parts[i].value))
            made = hone_json_set(test, parts[i].key, hone_json_new_real(parts[i].value));
    if (made)
        return hone_json_set(score, key, test);
    hone_json_free(test);
    return false;
}

static hone_status test_all(hone_scorer *baseline, hone_scorer *own, hone_json *scores,
                            const char *key, hone_error *error)
{
    for (size_t i = 0; i < hone_scorer_count(own); i++) {
        hone_comparison found;
        HONE_TRY(hone_scorer_compare(baseline, own, i, &found, error));
        hone_json *score = hone_json_get(scores, found.name);
        if (score != NULL && !put_test(score, key, &found))
            return hone_fail_memory(error, "results", 0);
    }
    return HONE_OK;
}

hone_status hone_paired_test(const char *out, hone_json *row, const hone_json *baseline,
                             const char *key, const hone_score_settings *settings, bool *done,
                             hone_error *error)
{
    hone_scorer *scorers[2] = {NULL, NULL};
    char *paths[2] = {NULL, NULL};
    *done = false;
    hone_status status = find_predictions(out, baseline, &paths[0], error);
    if (status == HONE_OK)
        status = find_predictions(out, row, &paths[1], error);
    if (status == HONE_OK && paths[0] != NULL && paths[1] != NULL &&
        settings->bootstrap_samples > 0) {
        status = hone_score_same_references(paths[0], paths[1], "reference", error);
        for (int i = 0; i < 2 && status == HONE_OK; i++)
            status = load(paths[i], settings, &scorers[i], error);
        if (status == HONE_OK)
            status = test_all(scorers[0], scorers[1], hone_json_get(row, "scores"), key, error);
        *done = status == HONE_OK;
    }
    for (int i = 0; i < 2; i++) {
        hone_scorer_free(scorers[i]);
        hone_free(paths[i]);
    }
    return status;
}
