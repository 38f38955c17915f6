/* The pickle inside a .bin of torch.save: what it may say, and how it becomes tensors. */
#ifndef HONE_FILE_TORCH_PICKLE_H
#define HONE_FILE_TORCH_PICKLE_H

#include "file/tensor_file.h"

/* Where the bytes of a storage lie: shard and offset as in hone_stored_tensor. */
typedef struct hone_storage_place {
    bool found;
    int shard;
    int64_t offset, size;
} hone_storage_place;

typedef struct hone_pickle {
    const char *bytes;
    size_t size;
    int64_t offset; /* of the pickle in the file, for errors; -1 where packed */
    /* Finds a storage by its key of length bytes; place->found is false where there is none. */
    hone_status (*locate)(void *context, const char *key, size_t length, hone_storage_place *place,
                          hone_error *error);
    void *context;
} hone_pickle;

/* Adds the tensors that the pickle describes to the table of `file`, unsorted. Executes nothing.
 * HONE_INPUT for any opcode or global that torch.save does not write for a dictionary of plain
 * tensors, naming it and its place, and for tensors that do not lie inside their storage. */
hone_status hone_pickle_run(const hone_pickle *pickle, hone_tensor_file *file, hone_error *error);

#endif
