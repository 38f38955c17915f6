/* The tensors of a model or adapter on disk, whatever holds them: one safetensors file, shards with
 * an index, or a pickle-zip .bin (also sharded). Untrusted input: everything is checked on open,
 * before any payload is believed. */
#ifndef HONE_FILE_WEIGHT_SOURCE_H
#define HONE_FILE_WEIGHT_SOURCE_H

#include "base/failure.h"
#include "tensor/dtype.h"

#include <stdbool.h>
#include <stddef.h>

#define HONE_MAX_DIMS 8

typedef struct hone_stored_tensor {
    const char *name; /* as in the file; may not hold NUL */
    hone_dtype dtype;
    int dims;
    int64_t shape[HONE_MAX_DIMS];
    int64_t elements;
    const char *file;               /* path of the file that holds it, for messages */
    int shard;                      /* internal: which file */
    int64_t offset;                 /* internal: first byte of the payload in that file */
    int64_t strides[HONE_MAX_DIMS]; /* internal: in elements; row-major unless a .bin says else */
} hone_stored_tensor;

typedef struct hone_weight_source hone_weight_source;

/* Opens, in this order of preference: `path` itself if it is a .safetensors or .bin file; in a
 * folder: <stem>.safetensors, <stem>.safetensors.index.json, and, for stem "model",
 * pytorch_model.bin, pytorch_model.bin.index.json; for stem "adapter_model" adapter_model.bin.
 * HONE_IO when there is none (the message lists what was looked for). */
hone_status hone_weight_source_open(const char *path, const char *stem, hone_weight_source **out,
                                    hone_error *error);
void hone_weight_source_close(hone_weight_source *source); /* takes NULL */

size_t hone_weight_source_count(const hone_weight_source *source);
/* Sorted by name. Borrowed until close. */
const hone_stored_tensor *hone_weight_source_at(const hone_weight_source *source, size_t index);
const hone_stored_tensor *hone_weight_source_find(const hone_weight_source *source,
                                                  const char *name); /* or NULL */
/* Metadata of the first safetensors file ("format": "pt"), or NULL. */
const char *hone_weight_source_metadata(const hone_weight_source *source, const char *key);
/* Reads all elements, row-major, converted to F32, F16 or BF16. Reads with pread in pieces, so the
 * working memory is small. HONE_INPUT when the stored type is not a float one. */
hone_status hone_weight_source_read(const hone_weight_source *source,
                                    const hone_stored_tensor *tensor, hone_dtype to, void *target,
                                    hone_error *error);
/* Whether two tensors have one shape and, as F32, the same values; those of other than float types
 * are never equal. Two names of one payload are not read. */
hone_status hone_weight_source_equal(const hone_weight_source *source, const hone_stored_tensor *a,
                                     const hone_stored_tensor *b, bool *equal, hone_error *error);

/* One tensor to be written. `data` is row-major in `stored` type; it is converted to `dtype`. */
typedef struct hone_tensor_out {
    const char *name;
    hone_dtype dtype, stored;
    int dims;
    int64_t shape[HONE_MAX_DIMS];
    const void *data;
    /* When not NULL, called instead of reading data: fills n elements from `start` on (F32). */
    void (*fill)(void *context, int64_t start, int64_t n, float *out);
    void *context;
} hone_tensor_out;

/* Writes one safetensors file: tensors ordered by alignment then name, metadata {"format":"pt"},
 * header padded with spaces to 8, atomic and synced. Same tensors, same bytes. */
hone_status hone_safetensors_write(const char *path, const hone_tensor_out *tensors, size_t count,
                                   hone_error *error);

#endif
