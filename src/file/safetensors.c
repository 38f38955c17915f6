/* Strict reading of safetensors files. The file says: u64 header length, JSON header, payload.
 * Everything about it is settled here, before any payload is read: the tensors' ranges, sorted,
 * begin at 0, follow each other without hole or overlap, have the size that type and shape give,
 * and end where the file ends. One rule so kills truncation, trailing bytes, overlap and overflow.
 * The order of the checks is that of the format's reference reader. Beyond it, names that appear
 * twice are refused, so that no two readers see different tensors in one file. */
#include "file/header_scan.h"
#include "file/tensor_file.h"

#include <stdlib.h>
#include <string.h>

#define METADATA_KEY "__metadata__"

/* A range of the payload as the header gives it; tensor is an index of the table. */
typedef struct span {
    uint64_t begin, end;
    size_t tensor;
} span;

typedef struct span_list {
    span *items;
    size_t count, capacity;
} span_list;

static hone_status read_header(hone_tensor_file *file, hone_error *error)
{
    if (file->size < 8)
        return hone_fail_at(error, HONE_INPUT, file->path, -1, 0,
                            "header too small: expected at least 8 bytes, found %lld",
                            (long long)file->size);
    uint8_t prefix[8];
    HONE_TRY(hone_tensor_file_read(file, prefix, sizeof prefix, 0, error));
    uint64_t size = 0;
    for (int i = 7; i >= 0; i--)
        size = size << 8 | prefix[i];
    if (size > (uint64_t)HONE_MAX_HEADER)
        return hone_fail_at(error, HONE_INPUT, file->path, -1, 0,
                            "header too large: expected at most %lld bytes, found a length of "
                            "%llu; is this a safetensors file?",
                            (long long)HONE_MAX_HEADER, (unsigned long long)size);
    if (size > (uint64_t)file->size - 8)
        return hone_fail_at(error, HONE_INPUT, file->path, -1, 0,
                            "invalid header length: %llu bytes announced, but the file has %lld "
                            "after the length; it is cut short or not a safetensors file",
                            (unsigned long long)size, (long long)file->size - 8);
    file->header = hone_alloc((size_t)size);
    if (file->header == NULL)
        return hone_fail_memory(error, "a safetensors header", (size_t)size);
    file->header_size = (size_t)size;
    file->header_offset = 8;
    HONE_TRY(hone_tensor_file_read(file, file->header, file->header_size, 8, error));
    size_t bad = hone_utf8_check(file->header, file->header_size);
    if (bad < file->header_size)
        return hone_fail_at(error, HONE_INPUT, file->path, -1, 8 + (int64_t)bad,
                            "invalid header: expected UTF-8, found byte 0x%02x",
                            (unsigned char)file->header[bad]);
    return HONE_OK;
}

static hone_status scan_metadata(hone_tensor_file *file, hone_scan *scan)
{
    HONE_TRY(hone_scan_take(scan, '{', "an object of strings as " METADATA_KEY));
    if (hone_scan_next(scan) == '}') {
        scan->at++;
        return HONE_OK;
    }
    for (int more = 1; more;) {
        char *key, *value;
        HONE_TRY(hone_scan_string(scan, "a metadata key", &key));
        HONE_TRY(hone_scan_take(scan, ':', "':'"));
        HONE_TRY(hone_scan_string(scan, "a string as metadata value", &value));
        HONE_TRY(hone_tensor_file_add_metadata(file, key, value, scan->error));
        HONE_TRY(hone_scan_separator(scan, '}', &more));
    }
    return HONE_OK;
}

static hone_status scan_dtype(hone_scan *scan, const char *tensor, hone_dtype *dtype)
{
    char *name;
    HONE_TRY(hone_scan_string(scan, "a string as dtype", &name));
    for (int i = 0; i < HONE_DTYPE_COUNT; i++)
        if (strcmp(name, hone_dtype_name((hone_dtype)i)) == 0) {
            *dtype = (hone_dtype)i;
            return HONE_OK;
        }
    return hone_fail_at(scan->error, HONE_INPUT, scan->file, -1,
                        scan->base + (int64_t)(name - scan->text),
                        "tensor '%.200s': unsupported dtype '%.40s'; expected one of F32, F16, "
                        "BF16, F64, I64, I32, I16, I8, U8, BOOL",
                        tensor, name);
}

static hone_status scan_shape(hone_scan *scan, hone_stored_tensor *tensor)
{
    HONE_TRY(hone_scan_take(scan, '[', "an array as shape"));
    if (hone_scan_next(scan) == ']') {
        scan->at++;
        return HONE_OK;
    }
    for (int more = 1; more;) {
        uint64_t size;
        if (tensor->dims == HONE_MAX_DIMS)
            return hone_scan_fail(scan, "at most 8 dimensions");
        HONE_TRY(hone_scan_unsigned(scan, "an unsigned integer in shape", &size));
        if (size > INT64_MAX)
            return hone_scan_fail(scan, "a dimension below 2^63 before this place");
        tensor->shape[tensor->dims++] = (int64_t)size;
        HONE_TRY(hone_scan_separator(scan, ']', &more));
    }
    return HONE_OK;
}

static hone_status scan_offsets(hone_scan *scan, span *range)
{
    HONE_TRY(hone_scan_take(scan, '[', "an array of two integers as data_offsets"));
    HONE_TRY(hone_scan_unsigned(scan, "an unsigned integer in data_offsets", &range->begin));
    HONE_TRY(hone_scan_take(scan, ',', "',' and a second integer in data_offsets"));
    HONE_TRY(hone_scan_unsigned(scan, "an unsigned integer in data_offsets", &range->end));
    return hone_scan_take(scan, ']', "']' after two data_offsets");
}

/* {"dtype":...,"shape":[...],"data_offsets":[b,e]}: each once, in any order, nothing else. */
static hone_status scan_tensor(hone_scan *scan, hone_stored_tensor *tensor, span *range)
{
    enum { DTYPE = 1, SHAPE = 2, OFFSETS = 4, ALL = 7 };
    int seen = 0;
    HONE_TRY(hone_scan_take(scan, '{', "an object that describes a tensor"));
    for (int more = hone_scan_next(scan) != '}'; more;) {
        char *key;
        HONE_TRY(hone_scan_string(scan, "a field's name", &key));
        int field = strcmp(key, "dtype") == 0          ? DTYPE
                    : strcmp(key, "shape") == 0        ? SHAPE
                    : strcmp(key, "data_offsets") == 0 ? OFFSETS
                                                       : 0;
        if (field == 0 || (seen & field) != 0)
            return hone_fail_at(scan->error, HONE_INPUT, scan->file, -1,
                                scan->base + (int64_t)(key - scan->text),
                                "invalid header: tensor '%.200s' has %s field '%.40s'; expected "
                                "dtype, shape and data_offsets, each once",
                                tensor->name, field == 0 ? "an unknown" : "twice the", key);
        seen |= field;
        HONE_TRY(hone_scan_take(scan, ':', "':'"));
        if (field == DTYPE)
            HONE_TRY(scan_dtype(scan, tensor->name, &tensor->dtype));
        else if (field == SHAPE)
            HONE_TRY(scan_shape(scan, tensor));
        else
            HONE_TRY(scan_offsets(scan, range));
        HONE_TRY(hone_scan_separator(scan, '}', &more));
    }
    if (seen == ALL)
        return HONE_OK;
    if (seen == 0)
        scan->at++;
    return hone_fail_at(scan->error, HONE_INPUT, scan->file, -1, scan->base + (int64_t)scan->at,
                        "invalid header: tensor '%.200s' lacks %s", tensor->name,
                        !(seen & DTYPE)   ? "dtype"
                        : !(seen & SHAPE) ? "shape"
                                          : "data_offsets");
}

static hone_status scan_entry(hone_tensor_file *file, hone_scan *scan, span_list *spans,
                              int *has_metadata)
{
    char *name;
    HONE_TRY(hone_scan_string(scan, "a tensor's name", &name));
    HONE_TRY(hone_scan_take(scan, ':', "':'"));
    if (strcmp(name, METADATA_KEY) == 0) {
        if (*has_metadata)
            return hone_scan_fail(scan, METADATA_KEY " only once");
        *has_metadata = 1;
        return scan_metadata(file, scan);
    }
    hone_stored_tensor *tensor;
    HONE_TRY(hone_tensor_file_add(file, &tensor, scan->error));
    tensor->name = name;
    tensor->file = file->path;
    void *items = spans->items;
    if (!hone_array_reserve(&items, &spans->capacity, spans->count + 1, sizeof *spans->items))
        return hone_fail_memory(scan->error, "ranges of tensors",
                                (spans->count + 1) * sizeof *spans->items);
    spans->items = items;
    span *range = &spans->items[spans->count++];
    range->tensor = file->count - 1;
    return scan_tensor(scan, tensor, range);
}

static hone_status scan_header(hone_tensor_file *file, span_list *spans, hone_error *error)
{
    hone_scan scan = {file->header, file->header_size, 0, file->path, 8, error};
    int has_metadata = 0;
    HONE_TRY(hone_scan_take(&scan, '{', "'{'"));
    int more = hone_scan_next(&scan) != '}';
    if (!more)
        scan.at++;
    while (more) {
        HONE_TRY(scan_entry(file, &scan, spans, &has_metadata));
        HONE_TRY(hone_scan_separator(&scan, '}', &more));
    }
    return hone_scan_next(&scan) < 0 ? HONE_OK : hone_scan_fail(&scan, "nothing after the object");
}

static int by_range(const void *a, const void *b)
{
    const span *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

static hone_status check_size(hone_stored_tensor *tensor, const span *range, hone_error *error)
{
    uint64_t shape[HONE_MAX_DIMS], elements, bits;
    for (int i = 0; i < tensor->dims; i++)
        shape[i] = (uint64_t)tensor->shape[i];
    /* In bits as the reference reader does, so that the same shapes overflow. */
    uint64_t width = 8 * (uint64_t)hone_dtype_size(tensor->dtype);
    if (!hone_shape_elements(shape, tensor->dims, &elements) ||
        __builtin_mul_overflow(elements, width, &bits))
        return hone_fail_at(error, HONE_INPUT, tensor->file, -1, -1,
                            "tensor '%.200s': shape overflows; expected a size below 2^64 bits",
                            tensor->name);
    if (range->end - range->begin != bits / 8)
        return hone_fail_at(error, HONE_INPUT, tensor->file, -1, -1,
                            "tensor '%.200s': data_offsets hold %llu bytes; expected %llu from "
                            "dtype %s and shape",
                            tensor->name, (unsigned long long)(range->end - range->begin),
                            (unsigned long long)(bits / 8), hone_dtype_name(tensor->dtype));
    tensor->elements = (int64_t)elements;
    return HONE_OK;
}

static hone_status place_tensors(hone_tensor_file *file, span_list *spans, hone_error *error)
{
    uint64_t at = 0, payload = (uint64_t)file->size - 8 - file->header_size;
    if (spans->count > 1)
        qsort(spans->items, spans->count, sizeof *spans->items, by_range);
    for (size_t i = 0; i < spans->count; i++) {
        const span *range = &spans->items[i];
        hone_stored_tensor *tensor = &file->tensors[range->tensor];
        if (range->begin != at || range->end < range->begin)
            return hone_fail_at(error, HONE_INPUT, file->path, -1, -1,
                                "tensor '%.200s': invalid data_offsets [%llu, %llu]; expected to "
                                "begin at %llu, where the one before ends",
                                tensor->name, (unsigned long long)range->begin,
                                (unsigned long long)range->end, (unsigned long long)at);
        at = range->end;
        HONE_TRY(check_size(tensor, range, error));
        if (at > payload)
            break;
        tensor->offset = 8 + (int64_t)file->header_size + (int64_t)range->begin;
        hone_tensor_set_row_major(tensor);
    }
    if (at != payload)
        return hone_fail_at(error, HONE_INPUT, file->path, -1, -1,
                            "incomplete or overlong file: %llu bytes of tensors announced, %llu "
                            "found after the header; download it again",
                            (unsigned long long)at, (unsigned long long)payload);
    return HONE_OK;
}

hone_status hone_safetensors_parse(hone_tensor_file *file, hone_error *error)
{
    span_list spans = {0};
    hone_status status = read_header(file, error);
    if (status == HONE_OK)
        status = scan_header(file, &spans, error);
    if (status == HONE_OK)
        status = place_tensors(file, &spans, error);
    hone_free(spans.items);
    if (status == HONE_OK)
        status = hone_tensor_file_sort(file, error);
    return status;
}
