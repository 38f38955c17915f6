/* The bytes and the table of one file of tensors: see tensor_file.h.
 * Invariant: what a parser leaves in the table has been checked against the file's size, so a later
 * read can fail only because the file changed or the disk did. */
#include "file/tensor_file.h"

#include "base/files.h"

#include <stdlib.h>
#include <string.h>

hone_status hone_tensor_file_open(hone_tensor_file *file, const char *path, hone_error *error)
{
    *file = (hone_tensor_file){.descriptor = -1};
    file->path = hone_strdup(path);
    if (file->path == NULL)
        return hone_fail_memory(error, "a path", strlen(path) + 1);
    hone_status status = hone_file_open(path, &file->descriptor, &file->size, error);
    if (status != HONE_OK)
        file->descriptor = -1;
    return status;
}

hone_status hone_tensor_file_borrow(hone_tensor_file *file, const char *path, const void *bytes,
                                    size_t size, hone_error *error)
{
    *file = (hone_tensor_file){.descriptor = -1, .memory = bytes, .size = (int64_t)size};
    file->path = hone_strdup(path);
    return file->path != NULL ? HONE_OK : hone_fail_memory(error, "a path", strlen(path) + 1);
}

void hone_tensor_file_close(hone_tensor_file *file)
{
    if (file->path != NULL && file->descriptor >= 0)
        hone_file_close(file->descriptor);
    hone_free(file->path);
    hone_free(file->tensors);
    hone_free(file->metadata);
    hone_free(file->header);
    hone_free(file->packed);
    hone_arena_deinit(&file->names);
    *file = (hone_tensor_file){.descriptor = -1};
}

hone_status hone_tensor_file_read(const hone_tensor_file *file, void *buffer, size_t size,
                                  int64_t offset, hone_error *error)
{
    if (size == 0)
        return HONE_OK;
    if (file->descriptor >= 0)
        return hone_file_read_at(file->descriptor, file->path, buffer, size, offset, error);
    if (offset < 0 || offset > file->size || size > (uint64_t)(file->size - offset))
        return hone_fail_at(error, HONE_INPUT, file->path, -1, offset,
                            "expected %zu bytes here, but the file ends at byte %lld", size,
                            (long long)file->size);
    memcpy(buffer, file->memory + offset, size);
    return HONE_OK;
}

hone_status hone_tensor_file_add(hone_tensor_file *file, hone_stored_tensor **tensor,
                                 hone_error *error)
{
    if (file->count == HONE_MAX_TENSORS)
        return hone_fail_at(error, HONE_INPUT, file->path, -1, -1,
                            "more than %zu tensors in one file; expected at most that many, "
                            "split the file into shards",
                            HONE_MAX_TENSORS);
    void *array = file->tensors;
    if (!hone_array_reserve(&array, &file->capacity, file->count + 1, sizeof *file->tensors))
        return hone_fail_memory(error, "the table of tensors",
                                (file->count + 1) * sizeof *file->tensors);
    file->tensors = array;
    *tensor = &file->tensors[file->count++];
    memset(*tensor, 0, sizeof **tensor);
    return HONE_OK;
}

hone_status hone_tensor_file_add_metadata(hone_tensor_file *file, const char *key,
                                          const char *value, hone_error *error)
{
    if (file->metadata_count == HONE_MAX_TENSORS)
        return hone_fail_at(error, HONE_INPUT, file->path, -1, -1,
                            "more than %zu entries of metadata", HONE_MAX_TENSORS);
    void *array = file->metadata;
    if (!hone_array_reserve(&array, &file->metadata_capacity, file->metadata_count + 1,
                            sizeof *file->metadata))
        return hone_fail_memory(error, "metadata",
                                (file->metadata_count + 1) * sizeof *file->metadata);
    file->metadata = array;
    file->metadata[file->metadata_count++] = (hone_text_pair){key, value};
    return HONE_OK;
}

/* Where in the file the later of two names stands, or -1 where that is not known. */
static int64_t place_of(const hone_tensor_file *file, const char *a, const char *b)
{
    uintptr_t base = (uintptr_t)file->header,
              at = (uintptr_t)a > (uintptr_t)b ? (uintptr_t)a : (uintptr_t)b;
    bool inside = base != 0 && at >= base && at - base < file->header_size;
    return inside ? file->header_offset + (int64_t)(at - base) : -1;
}

static int by_tensor_name(const void *a, const void *b)
{
    return strcmp(((const hone_stored_tensor *)a)->name, ((const hone_stored_tensor *)b)->name);
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const hone_text_pair *)a)->key, ((const hone_text_pair *)b)->key);
}

hone_status hone_tensor_file_sort(hone_tensor_file *file, hone_error *error)
{
    if (file->count > 1)
        qsort(file->tensors, file->count, sizeof *file->tensors, by_tensor_name);
    for (size_t i = 1; i < file->count; i++) {
        const char *a = file->tensors[i - 1].name, *b = file->tensors[i].name;
        if (strcmp(a, b) == 0)
            return hone_fail_at(error, HONE_INPUT, file->path, -1, place_of(file, a, b),
                                "tensor '%.200s' appears twice; expected each name once", b);
    }
    if (file->metadata_count > 1)
        qsort(file->metadata, file->metadata_count, sizeof *file->metadata, by_key);
    for (size_t i = 1; i < file->metadata_count; i++) {
        const char *a = file->metadata[i - 1].key, *b = file->metadata[i].key;
        if (strcmp(a, b) == 0)
            return hone_fail_at(error, HONE_INPUT, file->path, -1, place_of(file, a, b),
                                "metadata key '%.200s' appears twice; expected each key once", b);
    }
    return HONE_OK;
}

bool hone_shape_elements(const uint64_t *shape, int dims, uint64_t *elements)
{
    uint64_t product = 1;
    for (int i = 0; i < dims; i++)
        if (__builtin_mul_overflow(product, shape[i], &product))
            return false;
    *elements = product;
    return true;
}

void hone_tensor_set_row_major(hone_stored_tensor *tensor)
{
    /* An empty tensor may have other dimensions whose product would overflow. */
    int64_t stride = 1;
    for (int i = tensor->dims - 1; i >= 0; i--) {
        tensor->strides[i] = stride;
        stride = tensor->elements > 0 ? stride * tensor->shape[i] : 1;
    }
}
