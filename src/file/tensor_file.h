/* One file that holds tensors, of either format: its bytes, its table of tensors, and the checks
 * that the formats share. Parsers fill it; weight_source.c reads from it. */
#ifndef HONE_FILE_TENSOR_FILE_H
#define HONE_FILE_TENSOR_FILE_H

#include "base/memory.h"
#include "file/weight_source.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Caps that bound the memory of a hostile file before it is validated. */
#define HONE_MAX_TENSORS ((size_t)1 << 18)       /* in one file */
#define HONE_MAX_HEADER ((int64_t)100 * 1000000) /* bytes of a header; safetensors' own limit */

typedef struct hone_text_pair {
    const char *key, *value;
} hone_text_pair;

typedef struct hone_tensor_file {
    char *path;
    int descriptor;        /* -1 where the bytes are in memory */
    const uint8_t *memory; /* borrowed */
    int64_t size;

    hone_stored_tensor *tensors;
    size_t count, capacity;
    hone_text_pair *metadata; /* sorted by key */
    size_t metadata_count, metadata_capacity;
    char *header; /* what lies at header_offset; names and metadata may point into it */
    size_t header_size;
    int64_t header_offset;
    hone_arena names;

    /* Compressed members of a zip that hold payloads. A tensor with shard s > 0 lies in
     * packed[s - 1], with its offset counted in the unpacked bytes; shard 0 is the file itself. */
    int64_t *packed;
    size_t packed_count, packed_capacity;
} hone_tensor_file;

/* Makes *file ready for a parser. After a failure too, hone_tensor_file_close releases it. */
hone_status hone_tensor_file_open(hone_tensor_file *file, const char *path, hone_error *error);
/* The same over borrowed bytes; `path` is only named in errors. */
hone_status hone_tensor_file_borrow(hone_tensor_file *file, const char *path, const void *bytes,
                                    size_t size, hone_error *error);
void hone_tensor_file_close(hone_tensor_file *file); /* accepts a zeroed one */

/* Reads exactly size bytes; HONE_INPUT where the file ends before. Thread-safe. */
hone_status hone_tensor_file_read(const hone_tensor_file *file, void *buffer, size_t size,
                                  int64_t offset, hone_error *error);

/* Adds a zeroed tensor to the table, or fails beyond HONE_MAX_TENSORS. */
hone_status hone_tensor_file_add(hone_tensor_file *file, hone_stored_tensor **tensor,
                                 hone_error *error);
hone_status hone_tensor_file_add_metadata(hone_tensor_file *file, const char *key,
                                          const char *value, hone_error *error);
/* Sorts tensors and metadata by name; a name that appears twice is HONE_INPUT. */
hone_status hone_tensor_file_sort(hone_tensor_file *file, hone_error *error);

/* Product of the shape: false on overflow, also where a later 0 would hide it. */
bool hone_shape_elements(const uint64_t *shape, int dims, uint64_t *elements);
void hone_tensor_set_row_major(hone_stored_tensor *tensor); /* strides from the shape */

/* Parsers: fill the tables of an open file, sorted and checked. HONE_INPUT names the place. */
hone_status hone_safetensors_parse(hone_tensor_file *file, hone_error *error);
hone_status hone_torch_parse(hone_tensor_file *file, hone_error *error);

/* A whole source over borrowed bytes of one file, parsed by its name's ending. Test entry. */
hone_status hone_weight_source_borrow(const char *name, const void *bytes, size_t size,
                                      hone_weight_source **out, hone_error *error);

#endif
