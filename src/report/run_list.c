/* Lists of runs: see run_list.h. */
#include "report/run_list.h"

#include "base/files.h"

#include <string.h>

#define TABLE_LIMIT ((size_t)1 << 24)

static bool holds(const char *folder, const char *name, bool *has)
{
    char *path = hone_path_join(folder, name);
    if (path == NULL)
        return false;
    *has = hone_file_exists(path);
    hone_free(path);
    return true;
}

/* Takes the path, which may be NULL: memory had run out. */
static bool add_path(hone_run_list *list, char *path)
{
    void *paths = list->paths;
    bool made = path != NULL &&
                hone_array_reserve(&paths, &list->capacity, list->count + 1, sizeof *list->paths);
    list->paths = paths;
    if (made)
        list->paths[list->count++] = path;
    else
        hone_free(path);
    return made;
}

/* The rows of a comparison's table that are runs: each names its folder, within the whole. */
static hone_status add_compared(hone_run_list *list, const char *folder, hone_error *error)
{
    hone_json *table;
    char *path = hone_path_join(folder, "table.json");
    if (path == NULL)
        return hone_fail_memory(error, "path", 0);
    hone_status status = hone_json_load(path, TABLE_LIMIT, &table, error);
    hone_free(path);
    HONE_TRY(status);
    const hone_json *rows = hone_json_get(table, "rows");
    for (size_t i = 0; i < hone_json_size(rows) && status == HONE_OK; i++) {
        const char *run = hone_json_string(hone_json_get(hone_json_at(rows, i), "run"), NULL);
        if (run == NULL)
            continue;
        if (run[0] == '/' || strstr(run, "..") != NULL)
            status = hone_fail_at(error, HONE_INPUT, folder, -1, -1,
                                  "table.json: expected the run to lie in this folder, found "
                                  "\"%.200s\"",
                                  run);
        else if (!add_path(list, hone_path_join(folder, run)))
            status = hone_fail_memory(error, "path", 0);
    }
    hone_json_free(table);
    return status;
}

static hone_status add_folder(hone_run_list *list, const char *path, hone_error *error)
{
    bool is_run = false, is_comparison = false;
    if (!holds(path, "config.yaml", &is_run) || !holds(path, "table.json", &is_comparison))
        return hone_fail_memory(error, "path", 0);
    if (is_run)
        return add_path(list, hone_strdup(path)) ? HONE_OK : hone_fail_memory(error, "path", 0);
    if (is_comparison)
        return add_compared(list, path, error);
    return hone_fail_at(error, HONE_INPUT, path, -1, -1,
                        "expected a run folder (with config.yaml) or the folder of a comparison "
                        "(with table.json)");
}

/* The last part of a path, without slashes at its end. */
static const char *last_part(const char *path, size_t *length)
{
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/')
        end--;
    size_t begin = end;
    while (begin > 0 && path[begin - 1] != '/')
        begin--;
    *length = end - begin;
    return path + begin;
}

static bool same_last_part(const char *a, const char *b)
{
    size_t length_a, length_b;
    const char *part_a = last_part(a, &length_a), *part_b = last_part(b, &length_b);
    return length_a == length_b && memcmp(part_a, part_b, length_a) == 0;
}

static bool name_runs(hone_run_list *list)
{
    void *names = NULL;
    if (!hone_array_reserve(&names, &list->name_capacity, list->count, sizeof *list->names))
        return false;
    list->names = names;
    memset(list->names, 0, list->count * sizeof *list->names);
    for (size_t i = 0; i < list->count; i++) {
        bool shared = false;
        for (size_t j = 0; j < list->count; j++)
            shared = shared || (j != i && same_last_part(list->paths[i], list->paths[j]));
        size_t length;
        const char *part = last_part(list->paths[i], &length);
        list->names[i] =
            shared || length == 0 ? hone_strdup(list->paths[i]) : hone_strndup(part, length);
        if (list->names[i] == NULL)
            return false;
    }
    return true;
}

hone_status hone_run_list_find(const char *const *paths, size_t count, hone_run_list *out,
                               hone_error *error)
{
    *out = (hone_run_list){0};
    hone_status status = HONE_OK;
    for (size_t i = 0; i < count && status == HONE_OK; i++)
        status = add_folder(out, paths[i], error);
    if (status == HONE_OK && out->count > 0 && !name_runs(out))
        status = hone_fail_memory(error, "path", 0);
    if (status != HONE_OK)
        hone_run_list_deinit(out);
    return status;
}

void hone_run_list_deinit(hone_run_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        hone_free(list->paths[i]);
        if (list->names != NULL)
            hone_free(list->names[i]);
    }
    hone_free(list->paths);
    hone_free(list->names);
    *list = (hone_run_list){0};
}

hone_status hone_run_records_load(const hone_run_list *list, bool all, hone_run_record **out,
                                  hone_error *error)
{
    hone_run_record *records = hone_alloc_array(list->count, sizeof *records);
    *out = NULL;
    if (records == NULL)
        return hone_fail_memory(error, "runs", list->count * sizeof *records);
    for (size_t i = 0; i < list->count; i++) {
        hone_status status =
            hone_run_record_load(list->paths[i], list->names[i], all, &records[i], error);
        if (status != HONE_OK) {
            hone_run_records_free(records, i);
            return status;
        }
    }
    *out = records;
    return HONE_OK;
}

void hone_run_records_free(hone_run_record *records, size_t count)
{
    for (size_t i = 0; records != NULL && i < count; i++)
        hone_run_record_deinit(&records[i]);
    hone_free(records);
}
