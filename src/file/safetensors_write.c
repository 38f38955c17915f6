/* Writing safetensors files. The bytes are a function of the tensors alone: the order is that of
 * the format's reference writer (wider types first, then names), the header has no blanks but the
 * padding, metadata is always {"format":"pt"}. The file appears complete or not at all. */
#include "base/files.h"
#include "file/header_scan.h"
#include "file/tensor_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE ((size_t)16384) /* elements converted at a time */

typedef struct text_buffer {
    char *text;
    size_t size, capacity;
} text_buffer;

static bool put(text_buffer *buffer, const char *text, size_t size)
{
    void *array = buffer->text;
    size_t needed;
    if (!hone_size_add(buffer->size, size, &needed) ||
        !hone_array_reserve(&array, &buffer->capacity, needed, 1))
        return false;
    buffer->text = array;
    memcpy(buffer->text + buffer->size, text, size);
    buffer->size = needed;
    return true;
}

static bool put_text(text_buffer *buffer, const char *text)
{
    return put(buffer, text, strlen(text));
}

static bool put_integer(text_buffer *buffer, uint64_t value)
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%" PRIu64, value);
    return put(buffer, digits, (size_t)length);
}

static bool put_string(text_buffer *buffer, const char *text)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    bool ok = put(buffer, "\"", 1);
    for (const char *at = text; ok && *at != '\0'; at++) {
        char escape[8] = {'\\', 0};
        const char *found = strchr(from, *at);
        if (found != NULL) {
            escape[1] = to[found - from];
            ok = put(buffer, escape, 2);
        } else if ((unsigned char)*at < 0x20) {
            snprintf(escape, sizeof escape, "\\u%04x", (unsigned)(unsigned char)*at);
            ok = put(buffer, escape, 6);
        } else {
            ok = put(buffer, at, 1);
        }
    }
    return ok && put(buffer, "\"", 1);
}

/* Place of a type in the reference writer's order, which is not quite that of widths: it settles
 * where F16 stands beside BF16. */
static int rank(hone_dtype dtype)
{
    static const int ranks[HONE_DTYPE_COUNT] = {
        [HONE_BOOL] = 0, [HONE_U8] = 1,  [HONE_I8] = 2,  [HONE_I16] = 3, [HONE_F16] = 4,
        [HONE_BF16] = 5, [HONE_I32] = 6, [HONE_F32] = 7, [HONE_F64] = 8, [HONE_I64] = 9};
    return ranks[dtype];
}

static int by_name(const void *a, const void *b)
{
    const hone_tensor_out *x = *(const hone_tensor_out *const *)a;
    const hone_tensor_out *y = *(const hone_tensor_out *const *)b;
    return strcmp(x->name, y->name);
}

static int by_width_and_name(const void *a, const void *b)
{
    const hone_tensor_out *x = *(const hone_tensor_out *const *)a;
    const hone_tensor_out *y = *(const hone_tensor_out *const *)b;
    int difference = rank(y->dtype) - rank(x->dtype);
    return difference != 0 ? difference : strcmp(x->name, y->name);
}

static bool is_float(hone_dtype dtype)
{
    return dtype == HONE_F32 || dtype == HONE_F16 || dtype == HONE_BF16;
}

static bool type_is_known(hone_dtype dtype)
{
    return dtype >= 0 && dtype < HONE_DTYPE_COUNT;
}

static bool elements_of(const hone_tensor_out *tensor, uint64_t *elements)
{
    uint64_t shape[HONE_MAX_DIMS];
    if (tensor->dims < 0 || tensor->dims > HONE_MAX_DIMS)
        return false;
    for (int i = 0; i < tensor->dims; i++) {
        if (tensor->shape[i] < 0)
            return false;
        shape[i] = (uint64_t)tensor->shape[i];
    }
    return hone_shape_elements(shape, tensor->dims, elements);
}

/* What the caller handed in, before a byte is written. */
static hone_status check_tensor(const hone_tensor_out *tensor, hone_error *error)
{
    uint64_t elements, bytes;
    const char *name = tensor->name != NULL ? tensor->name : "";
    if (tensor->name == NULL || strcmp(name, "__metadata__") == 0 ||
        hone_utf8_check(name, strlen(name)) != strlen(name))
        return hone_fail(error, HONE_USAGE,
                         "cannot write tensor '%.200s': expected a name in UTF-8, other than "
                         "__metadata__",
                         name);
    if (!type_is_known(tensor->dtype) || !type_is_known(tensor->stored))
        return hone_fail(error, HONE_USAGE, "cannot write tensor '%.200s': unknown dtype", name);
    if (!elements_of(tensor, &elements) ||
        __builtin_mul_overflow(elements, (uint64_t)hone_dtype_size(tensor->dtype), &bytes) ||
        bytes > INT64_MAX)
        return hone_fail(error, HONE_USAGE,
                         "cannot write tensor '%.200s': expected at most %d dimensions, none "
                         "negative, and less than 2^63 bytes",
                         name, HONE_MAX_DIMS);
    bool from_float = is_float(tensor->stored) || tensor->stored == HONE_F64;
    bool convertible = tensor->fill != NULL ? is_float(tensor->dtype)
                                            : tensor->stored == tensor->dtype ||
                                                  (from_float && is_float(tensor->dtype));
    if (!convertible)
        return hone_fail(error, HONE_USAGE, "cannot write tensor '%.200s': no conversion to %s",
                         name, hone_dtype_name(tensor->dtype));
    if (tensor->fill == NULL && tensor->data == NULL && elements > 0)
        return hone_fail(error, HONE_USAGE, "cannot write tensor '%.200s': it has no data", name);
    return HONE_OK;
}

/* Pointers to the tensors in file order, names checked; *out is the caller's to free. */
static hone_status order_tensors(const hone_tensor_out *tensors, size_t count,
                                 const hone_tensor_out ***out, hone_error *error)
{
    const hone_tensor_out **order = hone_alloc_array(count, sizeof *order);
    *out = order;
    if (order == NULL)
        return hone_fail_memory(error, "order of tensors", count * sizeof *order);
    for (size_t i = 0; i < count; i++) {
        HONE_TRY(check_tensor(&tensors[i], error));
        order[i] = &tensors[i];
    }
    if (count > 1)
        qsort(order, count, sizeof *order, by_name);
    for (size_t i = 1; i < count; i++)
        if (strcmp(order[i - 1]->name, order[i]->name) == 0)
            return hone_fail(error, HONE_USAGE, "cannot write tensor '%.200s' twice",
                             order[i]->name);
    if (count > 1)
        qsort(order, count, sizeof *order, by_width_and_name);
    return HONE_OK;
}

/* Appends one tensor's entry; *offset moves past its payload. False when out of memory or when the
 * payload passes 2^63. */
static bool put_entry(text_buffer *buffer, const hone_tensor_out *tensor, uint64_t *offset)
{
    uint64_t elements = 0;
    bool ok = elements_of(tensor, &elements) && put(buffer, ",", 1) &&
              put_string(buffer, tensor->name) && put_text(buffer, ":{\"dtype\":\"") &&
              put_text(buffer, hone_dtype_name(tensor->dtype)) &&
              put_text(buffer, "\",\"shape\":[");
    for (int i = 0; ok && i < tensor->dims; i++)
        ok = (i == 0 || put(buffer, ",", 1)) && put_integer(buffer, (uint64_t)tensor->shape[i]);
    ok = ok && put_text(buffer, "],\"data_offsets\":[") && put_integer(buffer, *offset) &&
         put(buffer, ",", 1);
    return ok &&
           !__builtin_add_overflow(*offset, elements * hone_dtype_size(tensor->dtype), offset) &&
           *offset <= INT64_MAX && put_integer(buffer, *offset) && put_text(buffer, "]}");
}

/* The length and the header. */
static hone_status build_header(const hone_tensor_out *const *order, size_t count,
                                text_buffer *buffer, hone_error *error)
{
    uint64_t offset = 0;
    bool ok = put(buffer, "\0\0\0\0\0\0\0", 8) &&
              put_text(buffer, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; ok && i < count; i++)
        ok = put_entry(buffer, order[i], &offset);
    ok = ok && put(buffer, "}", 1);
    while (ok && buffer->size % 8 != 0)
        ok = put(buffer, " ", 1);
    if (!ok)
        return hone_fail_memory(error, "a safetensors header", buffer->size);
    uint64_t size = buffer->size - 8;
    if (size > (uint64_t)HONE_MAX_HEADER)
        return hone_fail(error, HONE_USAGE,
                         "the header would take %llu bytes; safetensors allows %lld, write shards",
                         (unsigned long long)size, (long long)HONE_MAX_HEADER);
    for (int i = 0; i < 8; i++)
        buffer->text[i] = (char)(unsigned char)(size >> 8 * i);
    return HONE_OK;
}

typedef struct piece {
    float filled[PIECE];
    char converted[PIECE * sizeof(float)];
} piece;

static hone_status write_payload(hone_writer *writer, const hone_tensor_out *tensor, piece *work,
                                 hone_error *error)
{
    uint64_t elements = 0;
    elements_of(tensor, &elements);
    size_t width = hone_dtype_size(tensor->dtype), from_width = hone_dtype_size(tensor->stored);
    if (tensor->fill == NULL && tensor->stored == tensor->dtype)
        return hone_writer_put(writer, tensor->data, (size_t)elements * width, error);
    for (uint64_t at = 0; at < elements; at += PIECE) {
        size_t n = elements - at < PIECE ? (size_t)(elements - at) : PIECE;
        if (tensor->fill != NULL) {
            tensor->fill(tensor->context, (int64_t)at, (int64_t)n, work->filled);
            hone_convert(HONE_F32, work->filled, tensor->dtype, work->converted, n);
        } else {
            const char *source = (const char *)tensor->data + at * from_width;
            hone_convert(tensor->stored, source, tensor->dtype, work->converted, n);
        }
        HONE_TRY(hone_writer_put(writer, work->converted, n * width, error));
    }
    return HONE_OK;
}

static hone_status write_file(const char *path, const hone_tensor_out *const *order, size_t count,
                              const text_buffer *header, piece *work, hone_error *error)
{
    hone_writer writer = {.descriptor = -1};
    hone_status status = hone_writer_open(&writer, path, error);
    if (status == HONE_OK)
        status = hone_writer_put(&writer, header->text, header->size, error);
    for (size_t i = 0; status == HONE_OK && i < count; i++)
        status = write_payload(&writer, order[i], work, error);
    if (status == HONE_OK)
        return hone_writer_commit(&writer, error);
    hone_writer_abandon(&writer);
    return status;
}

hone_status hone_safetensors_write(const char *path, const hone_tensor_out *tensors, size_t count,
                                   hone_error *error)
{
    const hone_tensor_out **order = NULL;
    text_buffer header = {0};
    piece *work = hone_alloc(sizeof *work);
    hone_status status =
        work != NULL ? HONE_OK : hone_fail_memory(error, "a piece of a file", sizeof *work);
    if (status == HONE_OK)
        status = order_tensors(tensors, count, &order, error);
    if (status == HONE_OK)
        status = build_header(order, count, &header, error);
    if (status == HONE_OK)
        status = write_file(path, order, count, &header, work, error);
    hone_free(header.text);
    hone_free(order);
    hone_free(work);
    return status;
}
