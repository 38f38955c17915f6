/* Reading the index of shards: see shard_index.h. The index only says which files to open; what
 * they hold is compared with it by weight_source.c. */
#include "file/shard_index.h"

#include "base/json.h"
#include "base/memory.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT ((size_t)32 << 20) /* bytes; the largest on the hub has 9 MB */

static int by_shard(const void *a, const void *b)
{
    const hone_shard_entry *x = a, *y = b;
    int difference = strcmp(x->shard, y->shard);
    return difference != 0 ? difference : strcmp(x->tensor, y->tensor);
}

static bool plain_name(const char *name, size_t length, const char *ending)
{
    size_t tail = strlen(ending);
    return length == strlen(name) && length > tail && name[0] != '.' && strchr(name, '/') == NULL &&
           strchr(name, '\\') == NULL && strcmp(name + length - tail, ending) == 0;
}

static hone_status take_entry(const char *tensor, const hone_json *value, const char *path,
                              const char *ending, hone_shard_entry *entry, hone_error *error)
{
    size_t length;
    const char *shard = hone_json_string(value, &length);
    if (shard == NULL)
        return hone_fail_at(error, HONE_INPUT, path, -1, -1,
                            "weight_map of '%.200s': expected a file name, found %s", tensor,
                            hone_json_type_name(hone_json_type_of(value)));
    if (!plain_name(shard, length, ending))
        return hone_fail_at(error, HONE_INPUT, path, -1, -1,
                            "weight_map of '%.200s': expected the name of a %s file in the same "
                            "folder, found '%.200s'",
                            tensor, ending, shard);
    *entry = (hone_shard_entry){tensor, shard};
    return HONE_OK;
}

static hone_status take_map(const hone_json *map, const char *path, const char *ending,
                            hone_shard_index *out, hone_error *error)
{
    size_t count = hone_json_size(map);
    if (count == 0)
        return hone_fail_at(error, HONE_INPUT, path, -1, -1, "weight_map is empty");
    out->entries = hone_alloc_array(count, sizeof *out->entries);
    out->shards = hone_alloc_array(count, sizeof *out->shards);
    if (out->entries == NULL || out->shards == NULL)
        return hone_fail_memory(error, "the index of shards", count * sizeof *out->entries);
    const char *tensor;
    hone_json *value;
    for (void *cursor = NULL; out->count < count && hone_json_next(map, &cursor, &tensor, &value);)
        HONE_TRY(take_entry(tensor, value, path, ending, &out->entries[out->count++], error));
    qsort(out->entries, out->count, sizeof *out->entries, by_shard);
    for (size_t i = 0; i < out->count; i++)
        if (i == 0 || strcmp(out->entries[i - 1].shard, out->entries[i].shard) != 0)
            out->shards[out->shard_count++] = out->entries[i].shard;
    return HONE_OK;
}

/* Goes on from out->json; releases everything on failure. */
static hone_status take_index(const char *path, const char *ending, hone_shard_index *out,
                              hone_error *error)
{
    const hone_json *map = hone_json_type_of(out->json) == HONE_JSON_OBJECT
                               ? hone_json_get(out->json, "weight_map")
                               : NULL;
    hone_status status;
    if (map == NULL || hone_json_type_of(map) != HONE_JSON_OBJECT)
        status = hone_fail_at(error, HONE_INPUT, path, -1, -1,
                              "expected an object with an object \"weight_map\", as Transformers "
                              "writes it");
    else
        status = take_map(map, path, ending, out, error);
    if (status != HONE_OK)
        hone_shard_index_deinit(out);
    return status;
}

hone_status hone_shard_index_parse(const char *text, size_t length, const char *path,
                                   const char *ending, hone_shard_index *out, hone_error *error)
{
    *out = (hone_shard_index){0};
    HONE_TRY(hone_json_parse(text, length, path, 1, &out->json, error));
    return take_index(path, ending, out, error);
}

hone_status hone_shard_index_load(const char *path, const char *ending, hone_shard_index *out,
                                  hone_error *error)
{
    *out = (hone_shard_index){0};
    HONE_TRY(hone_json_load(path, LIMIT, &out->json, error));
    return take_index(path, ending, out, error);
}

void hone_shard_index_deinit(hone_shard_index *index)
{
    hone_free(index->entries);
    hone_free(index->shards);
    hone_json_free(index->json);
    *index = (hone_shard_index){0};
}
