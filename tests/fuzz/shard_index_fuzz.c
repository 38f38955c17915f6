/* Any bytes as an index of shards: what is accepted names plain files only, each shard once. */
#include "file/shard_index.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hone_shard_index index;
    hone_error error;
    error.message[0] = '\0';
    hone_status status = hone_shard_index_parse((const char *)data, size, "fuzz.index.json",
                                                ".safetensors", &index, &error);
    if (status != HONE_OK)
        return status == HONE_INPUT && error.message[0] != '\0' ? 0 : (abort(), 0);
    if (index.count == 0 || index.shard_count == 0 || index.shard_count > index.count)
        abort();
    for (size_t i = 0; i < index.count; i++)
        if (strchr(index.entries[i].shard, '/') != NULL || index.entries[i].shard[0] == '.')
            abort();
    for (size_t i = 1; i < index.shard_count; i++)
        if (strcmp(index.shards[i - 1], index.shards[i]) >= 0)
            abort();
    hone_shard_index_deinit(&index);
    return 0;
}
