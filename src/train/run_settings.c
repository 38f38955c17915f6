/* A run's settings: see run_settings.h. Everything goes through the option tables, so a new setting
 * is copied, stored and compared without a line here. */
#include "train/run_settings.h"

#include "base/memory.h"

#include <string.h>

void hone_run_option_sets(hone_run_settings *settings, hone_option_set sets[HONE_RUN_SETS])
{
    sets[0] = hone_model_option_set(&settings->model);
    sets[1] = hone_adapter_option_set(&settings->adapter);
    sets[2] = hone_data_option_set(&settings->data);
    sets[3] = hone_train_option_set(&settings->train);
    sets[4] = hone_generate_option_set(&settings->generate);
    sets[5] = hone_score_option_set(&settings->score);
}

hone_status hone_run_settings_init(hone_run_settings *settings, hone_error *error)
{
    hone_option_set sets[HONE_RUN_SETS];
    memset(settings, 0, sizeof *settings);
    hone_run_option_sets(settings, sets);
    for (int s = 0; s < HONE_RUN_SETS; s++) {
        hone_status status = hone_options_init(&sets[s], error);
        if (status != HONE_OK) {
            while (s-- > 0)
                hone_options_deinit(&sets[s]);
            return status;
        }
    }
    return HONE_OK;
}

void hone_run_settings_deinit(hone_run_settings *settings)
{
    hone_option_set sets[HONE_RUN_SETS];
    hone_run_option_sets(settings, sets);
    for (int s = 0; s < HONE_RUN_SETS; s++)
        hone_options_deinit(&sets[s]);
}

/* The sets of settings that are only read. hone_option_set has no const form. */
static void borrow_sets(const hone_run_settings *settings, hone_option_set sets[HONE_RUN_SETS])
{
    union {
        const hone_run_settings *given;
        hone_run_settings *taken;
    } both = {settings};
    hone_run_option_sets(both.taken, sets);
}

hone_status hone_run_settings_copy(hone_run_settings *to, const hone_run_settings *from,
                                   hone_error *error)
{
    hone_option_set source[HONE_RUN_SETS], target[HONE_RUN_SETS];
    HONE_TRY(hone_run_settings_init(to, error));
    borrow_sets(from, source);
    hone_run_option_sets(to, target);
    hone_status status = HONE_OK;
    for (int s = 0; s < HONE_RUN_SETS && status == HONE_OK; s++) {
        for (size_t i = 0; i < source[s].count && status == HONE_OK; i++) {
            const hone_option *option = &source[s].options[i];
            char *text = hone_options_get_text(&source[s], option);
            status = text == NULL ? hone_fail_memory(error, "settings", 0)
                                  : hone_options_set_text(&target[s], 1, option->key, text,
                                                          option->key, error);
            hone_options_free_text(text);
        }
    }
    if (status != HONE_OK)
        hone_run_settings_deinit(to);
    return status;
}

hone_status hone_run_settings_load(hone_run_settings *settings, const char *path, hone_error *error)
{
    hone_option_set sets[HONE_RUN_SETS];
    HONE_TRY(hone_run_settings_init(settings, error));
    hone_run_option_sets(settings, sets);
    hone_status status = hone_options_load(sets, HONE_RUN_SETS, path, error);
    if (status != HONE_OK)
        hone_run_settings_deinit(settings);
    return status;
}

static bool may_change(const char *key)
{
    static const char *const free_keys[] = {"model",         "adapter",    "train",
                                            "valid",         "out",        "threads",
                                            "logging_steps", "save_steps", "save_total_limit"};
    for (size_t i = 0; i < sizeof free_keys / sizeof *free_keys; i++)
        if (strcmp(free_keys[i], key) == 0)
            return true;
    return false;
}

hone_json *hone_run_settings_json(hone_run_settings *settings)
{
    hone_option_set sets[HONE_RUN_SETS];
    hone_run_option_sets(settings, sets);
    hone_json *object = hone_json_new_object();
    bool made = object != NULL;
    for (int s = 0; s < HONE_RUN_SETS; s++) {
        for (size_t i = 0; i < sets[s].count && made; i++) {
            if (may_change(sets[s].options[i].key))
                continue;
            char *text = hone_options_get_text(&sets[s], &sets[s].options[i]);
            made = text != NULL &&
                   hone_json_set(object, sets[s].options[i].key, hone_json_new_string(text));
            hone_options_free_text(text);
        }
    }
    if (made)
        return object;
    hone_json_free(object);
    return NULL;
}

hone_status hone_run_settings_compare(hone_run_settings *settings, const hone_json *stored,
                                      const char *path, hone_error *error)
{
    hone_option_set sets[HONE_RUN_SETS];
    hone_run_option_sets(settings, sets);
    hone_status status = HONE_OK;
    for (int s = 0; s < HONE_RUN_SETS; s++) {
        for (size_t i = 0; i < sets[s].count; i++) {
            const char *key = sets[s].options[i].key;
            const char *before = hone_json_string(hone_json_get(stored, key), NULL);
            if (may_change(key))
                continue;
            char *now = hone_options_get_text(&sets[s], &sets[s].options[i]);
            if (now == NULL)
                return hone_fail_memory(error, "settings", 0);
            if (before == NULL || strcmp(now, before) != 0) {
                if (status == HONE_OK)
                    status = hone_fail_at(error, HONE_MISMATCH, path, -1, -1,
                                          "the run can't go on with other settings; restore them, "
                                          "or start a new run with this one's adapter:");
                hone_error_append(error, "\n  %s: expected \"%.200s\", found \"%.200s\"", key,
                                  before != NULL ? before : "(not there)", now);
            }
            hone_options_free_text(now);
        }
    }
    return status;
}
