/* The index of a model in shards: <stem>.safetensors.index.json, <stem>.bin.index.json. */
#ifndef HONE_FILE_SHARD_INDEX_H
#define HONE_FILE_SHARD_INDEX_H

#include "base/failure.h"

#include <stddef.h>

typedef struct hone_shard_entry {
    const char *tensor, *shard; /* file names without folder */
} hone_shard_entry;

typedef struct hone_shard_index {
    hone_shard_entry *entries; /* in the order of shards, then of the file */
    size_t count;
    const char **shards; /* each once, sorted */
    size_t shard_count;
    struct hone_json *json; /* owns the strings */
} hone_shard_index;

/* Parses length bytes; `path` is named in errors. HONE_INPUT unless it is an object with a
 * "weight_map" from names to plain file names that end with `ending`: no folders, no "..". */
hone_status hone_shard_index_parse(const char *text, size_t length, const char *path,
                                   const char *ending, hone_shard_index *out, hone_error *error);
/* Reads and parses a file. */
hone_status hone_shard_index_load(const char *path, const char *ending, hone_shard_index *out,
                                  hone_error *error);
void hone_shard_index_deinit(hone_shard_index *index); /* accepts a zeroed one */

#endif
