/* Records of runs: see run_record.h. */
#include "report/run_record.h"

#include "base/files.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LINES_LIMIT ((size_t)1 << 30)
#define FILE_LIMIT ((size_t)1 << 24)

/* ---- parts -------------------------------------------------------------------------------- */

hone_status hone_json_lines_load(const char *path, hone_json_line_fn fn, void *context,
                                 hone_error *error)
{
    char *text;
    size_t length;
    if (!hone_file_exists(path))
        return HONE_OK;
    HONE_TRY(hone_file_load(path, LINES_LIMIT, &text, &length, error));
    hone_status status = HONE_OK;
    int64_t line = 1;
    bool more = true;
    for (size_t at = 0; more && at < length && status == HONE_OK; line++) {
        const char *end = memchr(text + at, '\n', length - at);
        if (end == NULL)
            break;
        hone_json *row = NULL;
        size_t size = (size_t)(end - (text + at));
        status = hone_json_parse(text + at, size, path, line, &row, error);
        if (status == HONE_OK)
            more = fn(context, row);
        hone_json_free(row);
        at += size + 1;
    }
    hone_free(text);
    return status;
}

typedef struct times {
    hone_run_record *record;
    double *each; /* seconds of the steps that are known, for the median */
    size_t count, known;
    double sum;
} times;

static bool add_time(void *context, const hone_json *row)
{
    times *t = context;
    double seconds = (double)NAN, bytes = (double)NAN, peak = (double)NAN;
    if (t->count == t->record->train.rows)
        return false;
    hone_json_real(hone_json_get(row, "seconds"), &seconds);
    hone_json_real(hone_json_get(row, "rss_bytes"), &bytes);
    t->sum += seconds;
    if (isfinite(seconds))
        t->each[t->known++] = seconds;
    t->record->seconds[t->count++] = t->sum;
    hone_json_real(hone_json_get(row, "peak_rss_bytes"), &peak);
    t->record->peak_bytes = fmax(t->record->peak_bytes, fmax(bytes, peak)); /* a NaN loses */
    return true;
}

static int compare_numbers(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static hone_status load_times(hone_run_record *record, const char *path, hone_error *error)
{
    times t = {.record = record};
    size_t rows = record->train.rows;
    t.each = hone_alloc_array(rows, sizeof *t.each);
    record->seconds = hone_alloc_array(rows, sizeof *record->seconds);
    hone_status status = t.each == NULL || record->seconds == NULL
                             ? hone_fail_memory(error, path, rows * sizeof(double))
                             : hone_json_lines_load(path, add_time, &t, error);
    for (size_t i = t.count; status == HONE_OK && i < rows; i++)
        record->seconds[i] = (double)NAN;
    if (status == HONE_OK && t.known > 0) {
        qsort(t.each, t.known, sizeof *t.each, compare_numbers);
        record->step_seconds = t.each[t.known / 2];
    }
    hone_free(t.each);
    return status;
}

static hone_status load_settings(hone_run_record *record, const char *path, hone_error *error)
{
    char *text;
    size_t length;
    HONE_TRY(hone_file_load(path, FILE_LIMIT, &text, &length, error));
    hone_status status = hone_yaml_parse(text, length, path, &record->settings, error);
    hone_free(text);
    return status;
}

/* What came after the last step is in no line of the log. */
static hone_status load_summary(hone_run_record *record, const char *path, hone_error *error)
{
    double peak = (double)NAN;
    HONE_TRY(hone_json_load(path, FILE_LIMIT, &record->summary, error));
    hone_json_real(hone_json_get(record->summary, "peak_rss_bytes"), &peak);
    record->peak_bytes = fmax(record->peak_bytes, peak);
    return HONE_OK;
}

/* ---- the whole ---------------------------------------------------------------------------- */

typedef enum part { TRAIN, VALID, TIMES, SUMMARY, SETTINGS, PARTS } part;

static hone_status load_part(hone_run_record *record, part which, hone_error *error)
{
    static const char *const files[PARTS] = {"train.tsv", "valid.tsv", "log.jsonl", "summary.json",
                                             "config.yaml"};
    char *path = hone_path_join(record->path, files[which]);
    if (path == NULL)
        return hone_fail_memory(error, "path", 0);
    hone_status status = HONE_OK;
    bool exists = hone_file_exists(path);
    switch (which) {
    case TRAIN:
        if (exists)
            status = hone_table_load(path, &record->train, error);
        break;
    case VALID:
        if (exists)
            status = hone_table_load(path, &record->valid, error);
        break;
    case TIMES: status = load_times(record, path, error); break;
    case SUMMARY:
        if (exists)
            status = load_summary(record, path, error);
        break;
    case SETTINGS:
        if (exists)
            status = load_settings(record, path, error);
        else
            status = hone_fail_at(error, HONE_INPUT, record->path, -1, -1,
                                  "not a run folder: it has no config.yaml");
        break;
    case PARTS: break;
    }
    hone_free(path);
    return status;
}

hone_status hone_run_record_load(const char *path, const char *name, bool all, hone_run_record *out,
                                 hone_error *error)
{
    *out = (hone_run_record){.step_seconds = (double)NAN, .peak_bytes = (double)NAN};
    out->path = hone_strdup(path);
    out->name = hone_strdup(name);
    hone_status status = HONE_OK;
    if (out->path == NULL || out->name == NULL)
        status = hone_fail_memory(error, "path", strlen(path));
    /* Settings go first: a folder without them is no run. */
    if (status == HONE_OK && all)
        status = load_part(out, SETTINGS, error);
    for (int i = 0; i < SETTINGS && status == HONE_OK; i++)
        if (all || i == TRAIN || i == VALID)
            status = load_part(out, (part)i, error);
    if (status != HONE_OK)
        hone_run_record_deinit(out);
    return status;
}

void hone_run_record_deinit(hone_run_record *record)
{
    hone_free(record->path);
    hone_free(record->name);
    hone_free(record->seconds);
    hone_table_deinit(&record->train);
    hone_table_deinit(&record->valid);
    hone_json_free(record->summary);
    hone_yaml_deinit(&record->settings);
    *record = (hone_run_record){0};
}

/* Seconds until after the step: its row in train.tsv, which has one for each step. */
static double seconds_at(const hone_run_record *record, double step)
{
    int column = hone_table_find(&record->train, "step");
    size_t low = 0, high = record->seconds != NULL && column >= 0 ? record->train.rows : 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        double found = hone_table_at(&record->train, middle, column);
        if (found == step)
            return record->seconds[middle];
        if (found < step)
            low = middle + 1;
        else
            high = middle;
    }
    return (double)NAN;
}

double hone_run_record_x(const hone_run_record *record, const hone_table *table, size_t row,
                         hone_plot_x axis)
{
    static const char *const columns[] = {"epoch", "step", "step"};
    double value = hone_table_at(table, row, hone_table_find(table, columns[axis]));
    return axis == HONE_PLOT_SECONDS ? seconds_at(record, value) : value;
}

const char *hone_run_record_setting(const hone_run_record *record, const char *key)
{
    for (size_t i = 0; i < record->settings.count; i++) {
        const hone_yaml_entry *entry = &record->settings.entries[i];
        if (strcmp(entry->key, key) == 0 && entry->kind == HONE_YAML_SCALAR) {
            const hone_yaml_scalar *item = &entry->items[0];
            return item->plain && strcmp(item->text, "null") == 0 ? "" : item->text;
        }
    }
    return "";
}
