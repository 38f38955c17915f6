/* One view of the tensors of a model or adapter, whatever holds them: see weight_source.h.
 * Opening picks the files, has each parsed, merges their tables in one sorted by name, and holds
 * them against the index of shards. Reading goes through a window on the payload, so that types
 * are converted and transposed tensors put in order with little memory. */
#include "file/weight_source.h"

#include "base/files.h"
#include "file/shard_index.h"
#include "file/tensor_file.h"
#include "file/zip_archive.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "both formats store little-endian");

#define WINDOW ((size_t)256 << 10) /* bytes of a payload held at a time */

/* Where payloads lie: a file, or with member >= 0 a compressed member of it. */
typedef struct payload {
    size_t file;
    int64_t member;
} payload;

struct hone_weight_source {
    hone_tensor_file *files;
    size_t file_count;
    payload *payloads; /* hone_stored_tensor.shard is an index of it */
    size_t payload_count;
    hone_stored_tensor *tensors;
    size_t count;
};

/* ---- opening ---- */

static bool ends_with(const char *text, const char *ending)
{
    size_t length = strlen(text), tail = strlen(ending);
    return length >= tail && strcmp(text + length - tail, ending) == 0;
}

static hone_status parse_file(hone_tensor_file *file, hone_error *error)
{
    if (ends_with(file->path, ".safetensors"))
        return hone_safetensors_parse(file, error);
    return hone_torch_parse(file, error);
}

static hone_status new_source(size_t file_count, hone_weight_source **out, hone_error *error)
{
    hone_weight_source *source = hone_alloc_array(1, sizeof *source);
    *out = source;
    if (source == NULL)
        return hone_fail_memory(error, "a weight source", sizeof *source);
    source->files = hone_alloc_array(file_count, sizeof *source->files);
    if (source->files == NULL)
        return hone_fail_memory(error, "a weight source", file_count * sizeof *source->files);
    source->file_count = file_count;
    for (size_t i = 0; i < file_count; i++)
        source->files[i].descriptor = -1;
    return HONE_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const hone_stored_tensor *)a)->name, ((const hone_stored_tensor *)b)->name);
}

/* Gives every payload of every file a number, and moves the tensors to one table. */
static hone_status merge_tables(hone_weight_source *source, hone_error *error)
{
    size_t payloads = 0;
    for (size_t i = 0; i < source->file_count; i++) {
        source->count += source->files[i].count;
        payloads += 1 + source->files[i].packed_count;
    }
    source->tensors = hone_alloc_array(source->count, sizeof *source->tensors);
    source->payloads = hone_alloc_array(payloads, sizeof *source->payloads);
    if (source->tensors == NULL || source->payloads == NULL)
        return hone_fail_memory(error, "the table of tensors",
                                source->count * sizeof *source->tensors);
    size_t used = 0;
    for (size_t i = 0; i < source->file_count; i++) {
        hone_tensor_file *file = &source->files[i];
        size_t first = source->payload_count;
        source->payloads[source->payload_count++] = (payload){i, -1};
        for (size_t k = 0; k < file->packed_count; k++)
            source->payloads[source->payload_count++] = (payload){i, file->packed[k]};
        for (size_t k = 0; k < file->count; k++) {
            hone_stored_tensor *tensor = &source->tensors[used++];
            *tensor = file->tensors[k];
            tensor->shard += (int)first;
        }
        hone_free(file->tensors);
        file->tensors = NULL;
        file->count = file->capacity = 0;
    }
    if (source->file_count == 1) /* sorted and without doubles already */
        return HONE_OK;
    qsort(source->tensors, source->count, sizeof *source->tensors, by_name);
    for (size_t i = 1; i < source->count; i++) {
        const hone_stored_tensor *a = &source->tensors[i - 1], *b = &source->tensors[i];
        if (strcmp(a->name, b->name) == 0)
            return hone_fail_at(error, HONE_INPUT, b->file, -1, -1,
                                "tensor '%.200s' is in '%.300s' too; expected each name once",
                                b->name, a->file);
    }
    return HONE_OK;
}

static hone_status open_file(const char *path, hone_weight_source *source, size_t index,
                             hone_error *error)
{
    HONE_TRY(hone_tensor_file_open(&source->files[index], path, error));
    return parse_file(&source->files[index], error);
}

static hone_status open_shards(const char *folder, const hone_shard_index *index,
                               hone_weight_source *source, hone_error *error)
{
    for (size_t i = 0; i < index->shard_count; i++) {
        char *path = hone_path_join(folder, index->shards[i]);
        if (path == NULL)
            return hone_fail_memory(error, "a path", strlen(folder) + strlen(index->shards[i]));
        hone_status status = open_file(path, source, i, error);
        hone_free(path);
        if (status != HONE_OK)
            return status;
    }
    return merge_tables(source, error);
}

/* Every tensor of the index is in the shard that it names; tensors beside are only remarked. */
static hone_status check_index(const hone_weight_source *source, const hone_shard_index *index,
                               const char *path, hone_error *error)
{
    size_t missing = 0;
    for (size_t i = 0; i < index->count; i++) {
        const hone_shard_entry *entry = &index->entries[i];
        const hone_stored_tensor *tensor = hone_weight_source_find(source, entry->tensor);
        const char *slash = tensor != NULL ? strrchr(tensor->file, '/') : NULL;
        if (slash != NULL && strcmp(slash + 1, entry->shard) == 0)
            continue;
        if (missing++ == 0)
            hone_fail_at(error, HONE_INPUT, path, -1, -1,
                         "the index names tensors that are not "
                         "in their shards:");
        if (missing <= 10)
            hone_error_append(error, "%s '%.120s' in %.120s", missing > 1 ? "," : "", entry->tensor,
                              entry->shard);
    }
    if (missing > 10)
        hone_error_append(error, " and %zu more", missing - 10);
    if (missing > 0)
        return HONE_INPUT;
    if (source->count > index->count)
        hone_log(HONE_LOG_WARNING, "%s: %zu tensors of its shards are not in the index", path,
                 source->count - index->count);
    return HONE_OK;
}

/* `path` is that of the index, in `folder`. */
static hone_status open_index(const char *folder, const char *path, hone_weight_source **out,
                              hone_error *error)
{
    const char *ending = ends_with(path, ".bin.index.json") ? ".bin" : ".safetensors";
    hone_shard_index index;
    HONE_TRY(hone_shard_index_load(path, ending, &index, error));
    hone_status status = new_source(index.shard_count, out, error);
    if (status == HONE_OK)
        status = open_shards(folder, &index, *out, error);
    if (status == HONE_OK)
        status = check_index(*out, &index, path, error);
    hone_shard_index_deinit(&index);
    return status;
}

static hone_status open_single(const char *path, hone_weight_source **out, hone_error *error)
{
    HONE_TRY(new_source(1, out, error));
    HONE_TRY(open_file(path, *out, 0, error));
    return merge_tables(*out, error);
}

/* The files that a folder may hold, in order of preference; %s is the stem. */
static const struct {
    const char *stem; /* NULL: any */
    const char *name;
} candidates[] = {
    {NULL, ".safetensors"},
    {NULL, ".safetensors.index.json"},
    {"model", "pytorch_model.bin"},
    {"model", "pytorch_model.bin.index.json"},
    {"adapter_model", "adapter_model.bin"},
};

/* Path of one candidate, or NULL when out of memory. */
static char *candidate_path(const char *folder, const char *stem, size_t index)
{
    char *path = hone_path_join(folder, candidates[index].stem == NULL ? stem : "");
    if (path == NULL)
        return NULL;
    size_t head = strlen(path), tail = strlen(candidates[index].name);
    char *longer = hone_realloc(path, head + tail + 1);
    if (longer == NULL) {
        hone_free(path);
        return NULL;
    }
    memcpy(longer + head, candidates[index].name, tail + 1);
    return longer;
}

static bool candidate_applies(const char *stem, size_t index)
{
    return candidates[index].stem == NULL || strcmp(candidates[index].stem, stem) == 0;
}

static hone_status open_folder(const char *folder, const char *stem, hone_weight_source **out,
                               hone_error *error)
{
    size_t n = sizeof candidates / sizeof *candidates;
    for (size_t i = 0; i < n; i++) {
        if (!candidate_applies(stem, i))
            continue;
        char *path = candidate_path(folder, stem, i);
        if (path == NULL)
            return hone_fail_memory(error, "a path", strlen(folder) + strlen(stem));
        bool exists = hone_file_exists(path);
        hone_status status = HONE_OK;
        if (exists)
            status = ends_with(path, ".json") ? open_index(folder, path, out, error)
                                              : open_single(path, out, error);
        hone_free(path);
        if (exists)
            return status;
    }
    hone_fail_at(error, HONE_IO, folder, -1, -1, "no weights in this folder; looked for");
    for (size_t i = 0; i < n; i++)
        if (candidate_applies(stem, i))
            hone_error_append(error, "%s %s%s", i > 0 ? "," : "",
                              candidates[i].stem == NULL ? stem : "", candidates[i].name);
    return HONE_IO;
}

hone_status hone_weight_source_open(const char *path, const char *stem, hone_weight_source **out,
                                    hone_error *error)
{
    hone_weight_source *source = NULL;
    hone_status status;
    *out = NULL;
    if (hone_folder_exists(path))
        status = open_folder(path, stem, &source, error);
    else if (hone_file_exists(path) && !ends_with(path, ".safetensors") && !ends_with(path, ".bin"))
        status = hone_fail_at(error, HONE_INPUT, path, -1, -1,
                              "expected a folder, a .safetensors file or a .bin file");
    else
        status = open_single(path, &source, error);
    if (status == HONE_OK)
        *out = source;
    else
        hone_weight_source_close(source);
    return status;
}

hone_status hone_weight_source_borrow(const char *name, const void *bytes, size_t size,
                                      hone_weight_source **out, hone_error *error)
{
    hone_weight_source *source;
    *out = NULL;
    hone_status status = new_source(1, &source, error);
    if (status == HONE_OK)
        status = hone_tensor_file_borrow(&source->files[0], name, bytes, size, error);
    if (status == HONE_OK)
        status = parse_file(&source->files[0], error);
    if (status == HONE_OK)
        status = merge_tables(source, error);
    if (status == HONE_OK)
        *out = source;
    else
        hone_weight_source_close(source);
    return status;
}

void hone_weight_source_close(hone_weight_source *source)
{
    if (source == NULL)
        return;
    for (size_t i = 0; i < source->file_count; i++)
        hone_tensor_file_close(&source->files[i]);
    hone_free(source->files);
    hone_free(source->payloads);
    hone_free(source->tensors);
    hone_free(source);
}

/* ---- looking up ---- */

size_t hone_weight_source_count(const hone_weight_source *source)
{
    return source->count;
}

const hone_stored_tensor *hone_weight_source_at(const hone_weight_source *source, size_t index)
{
    return index < source->count ? &source->tensors[index] : NULL;
}

const hone_stored_tensor *hone_weight_source_find(const hone_weight_source *source,
                                                  const char *name)
{
    size_t low = 0, high = source->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(source->tensors[middle].name, name);
        if (order == 0)
            return &source->tensors[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const char *hone_weight_source_metadata(const hone_weight_source *source, const char *key)
{
    const hone_tensor_file *file = &source->files[0];
    for (size_t i = 0; i < file->metadata_count; i++)
        if (strcmp(file->metadata[i].key, key) == 0)
            return file->metadata[i].value;
    return NULL;
}

/* ---- reading ---- */

/* A window on the payload of one tensor. Positions count elements from its first one. */
typedef struct window {
    const hone_tensor_file *file;
    hone_zip_stream *stream; /* of a compressed member, or NULL */
    const hone_stored_tensor *tensor;
    char *bytes;
    size_t width;        /* bytes of an element */
    int64_t begin, have; /* position and number of the elements in bytes */
    int64_t extent;      /* elements from the first to the last in the file */
} window;

static hone_status read_bytes(window *view, void *buffer, int64_t begin, int64_t count,
                              hone_error *error)
{
    size_t size = (size_t)count * view->width;
    int64_t offset = view->tensor->offset + begin * (int64_t)view->width;
    if (view->stream != NULL)
        return hone_zip_stream_read(view->stream, buffer, size, offset, error);
    return hone_tensor_file_read(view->file, buffer, size, offset, error);
}

static hone_status move_window(window *view, int64_t begin, hone_error *error)
{
    int64_t most = (int64_t)(WINDOW / view->width), left = view->extent - begin;
    view->begin = begin;
    view->have = left < most ? left : most;
    return read_bytes(view, view->bytes, begin, view->have, error);
}

static hone_status read_in_order(window *view, hone_dtype to, void *target, hone_error *error)
{
    const hone_stored_tensor *tensor = view->tensor;
    if (tensor->dtype == to)
        return read_bytes(view, target, 0, tensor->elements, error);
    size_t to_width = hone_dtype_size(to);
    for (int64_t at = 0; at < tensor->elements; at += view->have) {
        HONE_TRY(move_window(view, at, error));
        hone_convert(tensor->dtype, view->bytes, to, (char *)target + (size_t)at * to_width,
                     (size_t)view->have);
    }
    return HONE_OK;
}

/* One dimension of a walk in the file's order. */
typedef struct walk {
    int64_t size, from, to, at; /* steps, strides in file and target, counter */
} walk;

/* The dimensions longer than 1, the one with the widest stride in the file first. */
static int plan_walk(const hone_stored_tensor *tensor, walk *order)
{
    int count = 0;
    int64_t to = 1;
    for (int i = tensor->dims - 1; i >= 0; i--) {
        if (tensor->shape[i] == 1)
            continue;
        walk step = {tensor->shape[i], tensor->strides[i], to, 0};
        to *= tensor->shape[i];
        int place = count++;
        for (; place > 0 && order[place - 1].from < step.from; place--)
            order[place] = order[place - 1];
        order[place] = step;
    }
    if (count == 0)
        order[count++] = (walk){1, 1, 1, 0};
    return count;
}

/* Visits the elements as they lie in the file, so the window only moves forward, and scatters them
 * to their places in the target. */
static hone_status read_scattered(window *view, hone_dtype to, char *target, hone_error *error)
{
    walk order[HONE_MAX_DIMS + 1];
    int last = plan_walk(view->tensor, order) - 1;
    size_t to_width = hone_dtype_size(to);
    for (int level = 0; level >= 0;) {
        int64_t from = 0, into = 0;
        for (int i = 0; i < last; i++) {
            from += order[i].at * order[i].from;
            into += order[i].at * order[i].to;
        }
        for (int64_t k = 0; k < order[last].size; k++, from += order[last].from) {
            if (from < view->begin || from - view->begin >= view->have)
                HONE_TRY(move_window(view, from, error));
            hone_convert(view->tensor->dtype, view->bytes + (from - view->begin) * view->width, to,
                         target + (into + k * order[last].to) * to_width, 1);
        }
        for (level = last - 1; level >= 0 && ++order[level].at == order[level].size; level--)
            order[level].at = 0;
    }
    return HONE_OK;
}

static bool is_row_major(const hone_stored_tensor *tensor)
{
    int64_t stride = 1;
    for (int i = tensor->dims - 1; i >= 0; i--) {
        if (tensor->shape[i] != 1 && tensor->strides[i] != stride)
            return false;
        stride *= tensor->shape[i];
    }
    return true;
}

/* After a failure too, close_window releases it. */
static hone_status open_window(const hone_weight_source *source, const hone_stored_tensor *tensor,
                               window *view, hone_error *error)
{
    *view = (window){.tensor = tensor, .width = hone_dtype_size(tensor->dtype), .extent = 1};
    const payload *place = &source->payloads[tensor->shard];
    view->file = &source->files[place->file];
    for (int i = 0; i < tensor->dims; i++)
        view->extent += (tensor->shape[i] - 1) * tensor->strides[i];
    if (place->member >= 0)
        HONE_TRY(hone_zip_stream_open(view->file, place->member, &view->stream, error));
    view->bytes = hone_alloc(WINDOW);
    return view->bytes != NULL ? HONE_OK : hone_fail_memory(error, "a window on a file", WINDOW);
}

static void close_window(window *view)
{
    hone_zip_stream_close(view->stream);
    hone_free(view->bytes);
}

static bool is_float(const hone_stored_tensor *tensor)
{
    return tensor->dtype == HONE_F32 || tensor->dtype == HONE_F16 || tensor->dtype == HONE_BF16 ||
           tensor->dtype == HONE_F64;
}

hone_status hone_weight_source_read(const hone_weight_source *source,
                                    const hone_stored_tensor *tensor, hone_dtype to, void *target,
                                    hone_error *error)
{
    bool from_float = is_float(tensor);
    if (!from_float || (to != HONE_F32 && to != HONE_F16 && to != HONE_BF16))
        return hone_fail_at(error, from_float ? HONE_USAGE : HONE_INPUT, tensor->file, -1, -1,
                            "tensor '%.200s' is %s; expected a float type, to be read as %s",
                            tensor->name, hone_dtype_name(tensor->dtype), hone_dtype_name(to));
    if (tensor->elements == 0)
        return HONE_OK;
    window view;
    hone_status status = open_window(source, tensor, &view, error);
    if (status == HONE_OK)
        status = is_row_major(tensor) ? read_in_order(&view, to, target, error)
                                      : read_scattered(&view, to, target, error);
    close_window(&view);
    return status;
}

/* ---- comparing ---- */

static bool same_shape(const hone_stored_tensor *a, const hone_stored_tensor *b)
{
    return a->dims == b->dims &&
           memcmp(a->shape, b->shape, (size_t)a->dims * sizeof a->shape[0]) == 0;
}

/* Two names of one payload, as a .bin has of tied weights. */
static bool same_place(const hone_stored_tensor *a, const hone_stored_tensor *b)
{
    return a->shard == b->shard && a->offset == b->offset && a->dtype == b->dtype &&
           memcmp(a->strides, b->strides, (size_t)a->dims * sizeof a->strides[0]) == 0;
}

enum { PIECE = 32 << 10 }; /* elements compared at a time: as many as fit in any window */

static hone_status compare_in_order(window *a, window *b, float *values, bool *equal,
                                    hone_error *error)
{
    for (int64_t at = 0; at < a->tensor->elements && *equal; at += PIECE) {
        int64_t left = a->tensor->elements - at, n = left < PIECE ? left : PIECE;
        HONE_TRY(read_bytes(a, a->bytes, at, n, error));
        HONE_TRY(read_bytes(b, b->bytes, at, n, error));
        hone_convert(a->tensor->dtype, a->bytes, HONE_F32, values, (size_t)n);
        hone_convert(b->tensor->dtype, b->bytes, HONE_F32, values + PIECE, (size_t)n);
        *equal = memcmp(values, values + PIECE, (size_t)n * sizeof *values) == 0;
    }
    return HONE_OK;
}

static hone_status compare_scattered(window *a, window *b, bool *equal, hone_error *error)
{
    size_t bytes;
    if (!hone_size_mul((size_t)a->tensor->elements, 2 * sizeof(float), &bytes))
        return hone_fail_memory(error, "two tensors", 0);
    char *values = hone_pages_alloc(bytes);
    if (values == NULL)
        return hone_fail_memory(error, "two tensors", bytes);
    hone_status status = read_scattered(a, HONE_F32, values, error);
    if (status == HONE_OK)
        status = read_scattered(b, HONE_F32, values + bytes / 2, error);
    *equal = status == HONE_OK && memcmp(values, values + bytes / 2, bytes / 2) == 0;
    hone_pages_free(values, bytes);
    return status;
}

hone_status hone_weight_source_equal(const hone_weight_source *source, const hone_stored_tensor *a,
                                     const hone_stored_tensor *b, bool *equal, hone_error *error)
{
    *equal = same_shape(a, b) && is_float(a) && is_float(b);
    if (!*equal || a->elements == 0 || same_place(a, b))
        return HONE_OK;
    window one = {0}, two = {0};
    float *values = hone_alloc(2 * PIECE * sizeof *values);
    hone_status status = values != NULL ? HONE_OK : hone_fail_memory(error, "comparing", PIECE);
    if (status == HONE_OK)
        status = open_window(source, a, &one, error);
    if (status == HONE_OK)
        status = open_window(source, b, &two, error);
    if (status == HONE_OK)
        status = is_row_major(a) && is_row_major(b)
                     ? compare_in_order(&one, &two, values, equal, error)
                     : compare_scattered(&one, &two, equal, error);
    close_window(&one);
    close_window(&two);
    hone_free(values);
    return status;
}
