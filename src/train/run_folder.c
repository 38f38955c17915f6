/* Run folders: see run_folder.h. */
#include "train/run_folder.h"

#include "base/files.h"
#include "base/memory.h"
#include "base/string_builder.h"
#include "train/leftovers.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

enum { LINE = 1024 }; /* of a table: the metrics are a dozen at most */

/* ---- the folder --------------------------------------------------------------------------- */

char *hone_run_folder_path(const hone_run_folder *folder, const char *name)
{
    return hone_path_join(folder->path, name);
}

/* One process at a time: the lock goes with the process, however it ends. File systems that have no
 * locks are used without. */
static hone_status take_lock(hone_run_folder *folder, const char *config, hone_error *error)
{
    const struct timespec moment = {.tv_nsec = 50000000};
    HONE_TRY(hone_file_open(config, &folder->lock, NULL, error));
    /* A process that has just been killed may take a moment to let go of it. */
    for (int tries = 0; flock(folder->lock, LOCK_EX | LOCK_NB) != 0; tries++) {
        if (errno != EWOULDBLOCK)
            return HONE_OK;
        if (tries == 20)
            return hone_fail_at(error, HONE_IO, folder->path, -1, -1,
                                "another process is training in this run folder");
        nanosleep(&moment, NULL);
    }
    return HONE_OK;
}

/* A process that was killed before config.yaml was there leaves its temporary file at most. */
static hone_status check_empty(const char *path, hone_error *error)
{
    char **names;
    size_t count;
    HONE_TRY(hone_folder_list(path, &names, &count, error));
    hone_status status = HONE_OK;
    for (size_t i = 0; i < count && status == HONE_OK; i++)
        if (strncmp(names[i], "config.yaml.tmp.", 16) != 0)
            status = hone_fail_at(error, HONE_USAGE, path, -1, -1,
                                  "the run folder must be new or empty, found %.200s in it; choose "
                                  "another, or go on with this run by resume",
                                  names[i]);
    hone_names_free(names, count);
    return status;
}

static hone_status remove_leftovers(const hone_run_folder *folder, hone_error *error)
{
    static const char *const parts[] = {"", "adapter", "plots", "predictions"};
    hone_status status = HONE_OK;
    for (size_t i = 0; i < sizeof parts / sizeof *parts && status == HONE_OK; i++) {
        char *path = hone_run_folder_path(folder, parts[i]);
        status =
            path != NULL ? hone_leftovers_remove(path, error) : hone_fail_memory(error, "path", 0);
        hone_free(path);
    }
    return status;
}

hone_status hone_run_folder_create(hone_run_folder *folder, const char *path,
                                   hone_run_settings *settings, hone_error *error)
{
    *folder = (hone_run_folder){.lock = -1};
    if (hone_file_exists(path))
        HONE_TRY(check_empty(path, error));
    HONE_TRY(hone_folder_make(path, error));
    folder->path = hone_strdup(path);
    char *config = hone_path_join(path, "config.yaml");
    hone_option_set sets[HONE_RUN_SETS];
    hone_run_option_sets(settings, sets);
    hone_status status = folder->path == NULL || config == NULL
                             ? hone_fail_memory(error, "path", 0)
                             : hone_options_save(sets, HONE_RUN_SETS, config, error);
    if (status == HONE_OK)
        status = take_lock(folder, config, error);
    if (status == HONE_OK)
        status = remove_leftovers(folder, error);
    hone_free(config);
    if (status != HONE_OK)
        hone_run_folder_close(folder);
    return status;
}

hone_status hone_run_folder_open(hone_run_folder *folder, const char *path, hone_error *error)
{
    *folder = (hone_run_folder){.lock = -1};
    folder->path = hone_strdup(path);
    char *config = hone_path_join(path, "config.yaml");
    hone_status status = HONE_OK;
    if (folder->path == NULL || config == NULL)
        status = hone_fail_memory(error, "path", 0);
    else if (!hone_file_exists(config))
        status = hone_fail_at(error, HONE_INPUT, path, -1, -1,
                              "not a run folder: it has no config.yaml");
    else
        status = take_lock(folder, config, error);
    if (status == HONE_OK)
        status = remove_leftovers(folder, error);
    hone_free(config);
    if (status != HONE_OK)
        hone_run_folder_close(folder);
    return status;
}

void hone_run_folder_close(hone_run_folder *folder)
{
    if (folder->path != NULL && folder->lock >= 0)
        close(folder->lock);
    hone_free(folder->path);
    hone_free(folder->columns);
    *folder = (hone_run_folder){.lock = -1};
}

hone_status hone_run_folder_add_columns(hone_run_folder *folder, const hone_scorer *scorer,
                                        hone_error *error)
{
    hone_string columns = {0};
    for (size_t i = 0; i < hone_scorer_count(scorer); i++)
        hone_string_format(&columns, "\t%s", hone_scorer_name(scorer, i));
    hone_status status = hone_string_check(&columns, "columns", error);
    if (status == HONE_OK)
        folder->columns = columns.bytes;
    else
        hone_string_deinit(&columns);
    return status;
}

/* ---- logs --------------------------------------------------------------------------------- */

/* The first line of a table; empty for the other logs. */
static void put_header(const hone_run_folder *folder, hone_run_log log, char *line, size_t size)
{
    const char *columns = folder->columns != NULL ? folder->columns : "";
    line[0] = '\0';
    if (log == HONE_RUN_LOG_TRAIN)
        snprintf(line, size, "step\tepoch\tloss\tgrad_norm\tlearning_rate\ttokens\n");
    else if (log == HONE_RUN_LOG_VALID)
        snprintf(line, size, "step\tepoch\tloss\tperplexity\tbest%s\n", columns);
}

static hone_status append(const hone_run_folder *folder, hone_run_log log, const char *text,
                          hone_error *error)
{
    char *path = hone_run_folder_path(folder, hone_run_log_name(log));
    if (path == NULL)
        return hone_fail_memory(error, "path", 0);
    hone_status status = hone_file_append(path, text, strlen(text), error);
    hone_free(path);
    return status;
}

hone_status hone_run_logs_begin(const hone_run_folder *folder, const int64_t *sizes,
                                hone_error *error)
{
    if (folder->path == NULL)
        return HONE_OK;
    for (int i = 0; i < HONE_RUN_LOGS; i++) {
        hone_run_log log = (hone_run_log)i;
        int64_t size = sizes != NULL ? sizes[i] : 0;
        char *path = hone_run_folder_path(folder, hone_run_log_name(log));
        if (path == NULL)
            return hone_fail_memory(error, "path", 0);
        hone_status status = hone_file_cut(path, size, error);
        if (status == HONE_MISMATCH)
            hone_error_append(error, "; the log was cut after the checkpoint");
        hone_free(path);
        char header[LINE];
        put_header(folder, log, header, sizeof header);
        if (status == HONE_OK && size == 0 && header[0] != '\0')
            status = append(folder, log, header, error);
        HONE_TRY(status);
    }
    return HONE_OK;
}

hone_status hone_run_logs_sync(const hone_run_folder *folder, int64_t sizes[HONE_RUN_LOGS],
                               hone_error *error)
{
    for (int i = 0; i < HONE_RUN_LOGS; i++) {
        sizes[i] = 0;
        if (folder->path == NULL)
            continue;
        char *path = hone_run_folder_path(folder, hone_run_log_name((hone_run_log)i));
        if (path == NULL)
            return hone_fail_memory(error, "path", 0);
        hone_status status = hone_file_sync(path, &sizes[i], error);
        hone_free(path);
        HONE_TRY(status);
    }
    /* A log that has just begun is there for good with its name. */
    return folder->path != NULL ? hone_folder_sync(folder->path, error) : HONE_OK;
}

/* ---- records ------------------------------------------------------------------------------ */

/* One JSON object as a line; frees the object, which is NULL when memory ran out. */
static hone_status append_json(const hone_run_folder *folder, hone_run_log log, hone_json *object,
                               bool made, hone_error *error)
{
    hone_status status;
    char *line = NULL, *text = NULL;
    size_t length = 0;
    if (made)
        text = hone_json_dump(object, (hone_json_format){.digits = 9});
    if (text != NULL) {
        length = strlen(text);
        line = hone_realloc(text, length + 2);
    }
    if (line == NULL) {
        hone_free(text);
        status = hone_fail_memory(error, "log", length);
    } else {
        memcpy(line + length, "\n", 2);
        status = append(folder, log, line, error);
        hone_free(line);
    }
    hone_json_free(object);
    return status;
}

/* One line of a table; the decimal point is a point in every locale. */
static hone_status append_row(const hone_run_folder *folder, hone_run_log log, hone_error *error,
                              const char *format, ...) HONE_PRINTF(4, 5);

static hone_status append_row(const hone_run_folder *folder, hone_run_log log, hone_error *error,
                              const char *format, ...)
{
    char line[LINE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    for (char *comma = line; (comma = strchr(comma, ',')) != NULL;)
        *comma = '.';
    return append(folder, log, line, error);
}

hone_status hone_run_log_step(const hone_run_folder *folder, const hone_step_result *result,
                              hone_error *error)
{
    if (folder->path == NULL)
        return HONE_OK;
    hone_json *o = hone_json_new_object();
    bool made =
        o != NULL && hone_json_set(o, "step", hone_json_new_integer(result->step)) &&
        hone_json_set(o, "loss", hone_json_new_real(result->loss)) &&
        hone_json_set(o, "grad_norm", hone_json_new_real(result->grad_norm)) &&
        hone_json_set(o, "learning_rate", hone_json_new_real(result->learning_rate)) &&
        hone_json_set(o, "tokens", hone_json_new_integer(result->tokens)) &&
        hone_json_set(o, "tokens_per_second", hone_json_new_real(result->tokens_per_second)) &&
        hone_json_set(o, "seconds", hone_json_new_real(result->seconds)) &&
        hone_json_set(o, "rss_bytes", hone_json_new_integer(result->rss_bytes)) &&
        hone_json_set(o, "peak_rss_bytes", hone_json_new_integer(result->peak_rss_bytes));
    HONE_TRY(append_json(folder, HONE_RUN_LOG_LOG, o, made, error));
    return append_row(folder, HONE_RUN_LOG_TRAIN, error, "%lld\t%.9g\t%.9g\t%.9g\t%.9g\t%lld\n",
                      (long long)result->step, result->epoch, result->loss, result->grad_norm,
                      result->learning_rate, (long long)result->tokens);
}

static hone_json *score_json(const hone_score *score)
{
    hone_json *o = hone_json_new_object();
    bool made = o != NULL && hone_json_set(o, "value", hone_json_new_real(score->value));
    if (made && isfinite(score->low) && isfinite(score->high))
        made = hone_json_set(o, "low", hone_json_new_real(score->low)) &&
               hone_json_set(o, "high", hone_json_new_real(score->high));
    if (made && hone_json_set(o, "signature", hone_json_new_string(score->signature)))
        return o;
    hone_json_free(o);
    return NULL;
}

static hone_status log_scores(const hone_run_folder *folder, const hone_run_validation *validation,
                              hone_error *error)
{
    hone_json *o = hone_json_new_object();
    bool made = o != NULL && hone_json_set(o, "step", hone_json_new_integer(validation->step));
    for (size_t i = 0; i < validation->count && made; i++)
        made = hone_json_set(o, validation->scores[i].name, score_json(&validation->scores[i]));
    return append_json(folder, HONE_RUN_LOG_SCORES, o, made, error);
}

hone_status hone_run_log_validation(const hone_run_folder *folder,
                                    const hone_run_validation *validation, hone_error *error)
{
    char scores[LINE / 2] = "";
    size_t used = 0;
    if (folder->path == NULL)
        return HONE_OK;
    for (size_t i = 0; i < validation->count && used + 32 < sizeof scores; i++)
        used += (size_t)snprintf(scores + used, sizeof scores - used, "\t%.9g",
                                 validation->scores[i].value);
    HONE_TRY(append_row(folder, HONE_RUN_LOG_VALID, error, "%lld\t%.9g\t%.9g\t%.9g\t%s%s\n",
                        (long long)validation->step, validation->epoch, validation->loss,
                        exp(validation->loss), validation->best ? "true" : "false", scores));
    return validation->count > 0 ? log_scores(folder, validation, error) : HONE_OK;
}

hone_status hone_run_log_sample(const hone_run_folder *folder, int64_t step, const char *prompt,
                                const char *text, size_t length, hone_error *error)
{
    if (folder->path == NULL)
        return HONE_OK;
    hone_json *o = hone_json_new_object();
    bool made =
        o != NULL && hone_json_set(o, "step", hone_json_new_integer(step)) &&
        hone_json_set(o, "prompt", hone_json_new_string(prompt)) &&
        hone_json_set(o, "text",
                      text != NULL ? hone_json_new_string_n(text, length) : hone_json_new_null());
    return append_json(folder, HONE_RUN_LOG_SAMPLES, o, made, error);
}
