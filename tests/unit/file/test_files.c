#include "test_files.h"

#include "base/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

void *take_memory(size_t size)
{
    void *block = malloc(size > 0 ? size : 1);
    if (block == NULL)
        fail_msg("no memory for the test");
    return block;
}

bytes bytes_new(const void *data, size_t size)
{
    bytes out = {take_memory(size), size};
    if (data != NULL && size > 0)
        memcpy(out.data, data, size);
    return out;
}

bytes bytes_load(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        fail_msg("cannot open %s", path);
    fseek(file, 0, SEEK_END);
    bytes out = bytes_new(NULL, (size_t)ftell(file));
    rewind(file);
    assert_int_equal(fread(out.data, 1, out.size, file), out.size);
    fclose(file);
    return out;
}

void bytes_save(const char *path, bytes content)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL)
        fail_msg("cannot create %s", path);
    assert_int_equal(fwrite(content.data, 1, content.size, file), content.size);
    assert_int_equal(fclose(file), 0);
}

void bytes_free(bytes *content)
{
    free(content->data);
    *content = (bytes){NULL, 0};
}

static void put_number(unsigned char *out, uint64_t value, size_t width)
{
    for (size_t i = 0; i < width; i++)
        out[i] = (unsigned char)(value >> 8 * i);
}

bytes build_safetensors(const char *header, size_t header_size, size_t payload_size)
{
    bytes out = bytes_new(NULL, 8 + header_size + payload_size);
    put_number(out.data, header_size, 8);
    memcpy(out.data + 8, header, header_size);
    for (size_t i = 0; i < payload_size; i++)
        out.data[8 + header_size + i] = (unsigned char)i;
    return out;
}

static uint32_t checksum(const unsigned char *data, size_t size)
{
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0xEDB88320u & (0u - (crc & 1u)));
    }
    return ~crc;
}

/* The fields that a local header and an entry of the directory share, 26 bytes. */
static void put_facts(unsigned char *out, const zip_entry *entry)
{
    memset(out, 0, 26);
    put_number(out, 20, 2);
    put_number(out + 8, 0x21, 2); /* 1980-01-01 */
    put_number(out + 10, checksum(entry->data, entry->size), 4);
    put_number(out + 14, entry->size, 4);
    put_number(out + 18, entry->size, 4);
    put_number(out + 22, strlen(entry->name), 2);
}

bytes build_zip(const zip_entry *entries, size_t count)
{
    size_t size = 22, at = 0;
    for (size_t i = 0; i < count; i++)
        size += 30 + 46 + 2 * strlen(entries[i].name) + entries[i].size;
    bytes out = bytes_new(NULL, size);
    memset(out.data, 0, size);
    size_t *starts = take_memory(count * sizeof *starts);
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(entries[i].name);
        starts[i] = at;
        put_number(out.data + at, 0x04034B50u, 4);
        put_facts(out.data + at + 4, &entries[i]);
        memcpy(out.data + at + 30, entries[i].name, length);
        memcpy(out.data + at + 30 + length, entries[i].data, entries[i].size);
        at += 30 + length + entries[i].size;
    }
    size_t directory = at;
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(entries[i].name);
        put_number(out.data + at, 0x02014B50u, 4);
        put_number(out.data + at + 4, 20, 2);
        put_facts(out.data + at + 6, &entries[i]);
        put_number(out.data + at + 42, starts[i], 4);
        memcpy(out.data + at + 46, entries[i].name, length);
        at += 46 + length;
    }
    free(starts);
    put_number(out.data + at, 0x06054B50u, 4);
    put_number(out.data + at + 8, count, 2);
    put_number(out.data + at + 10, count, 2);
    put_number(out.data + at + 12, at - directory, 4);
    put_number(out.data + at + 16, directory, 4);
    return out;
}

static char folder[] = "/tmp/hone-file-test-XXXXXX";

static void remove_scratch(void)
{
    hone_folder_remove(folder, NULL);
}

const char *scratch(const char *name)
{
    static char paths[8][512];
    static int next = -1;
    if (next < 0) {
        if (mkdtemp(folder) == NULL)
            fail_msg("cannot make a scratch folder");
        atexit(remove_scratch);
        next = 0;
    }
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

hone_status open_and_read_all(const char *name, bytes content, hone_error *error)
{
    hone_weight_source *source = NULL;
    hone_status status =
        hone_weight_source_borrow(name, content.data, content.size, &source, error);
    assert_true((status == HONE_OK) == (source != NULL));
    for (size_t i = 0; status == HONE_OK && i < hone_weight_source_count(source); i++) {
        const hone_stored_tensor *tensor = hone_weight_source_at(source, i);
        assert_ptr_equal(hone_weight_source_find(source, tensor->name), tensor);
        if (tensor->dtype == HONE_F32 || tensor->dtype == HONE_F16 || tensor->dtype == HONE_BF16) {
            if (tensor->elements > 1 << 20)
                continue;
            float *target = take_memory((size_t)tensor->elements * sizeof *target);
            status = hone_weight_source_read(source, tensor, HONE_F32, target, error);
            free(target);
        }
    }
    hone_weight_source_close(source);
    return status;
}

static long countdown;
static int failed;

static void *reallocate(void *context, void *block, size_t old_size, size_t new_size)
{
    (void)context;
    (void)old_size;
    if (new_size == 0) {
        free(block);
        return NULL;
    }
    if (countdown > 0 && --countdown == 0) {
        failed = 1;
        return NULL;
    }
    return realloc(block, new_size);
}

static void *map_pages(void *context, size_t size)
{
    (void)context;
    return countdown > 0 && --countdown == 0 ? NULL : aligned_alloc((size_t)2 << 20, size);
}

static void unmap_pages(void *context, void *block, size_t size)
{
    (void)context;
    (void)size;
    free(block);
}

int fail_allocation(long n)
{
    static const hone_allocator failing = {reallocate, map_pages, unmap_pages, NULL};
    int before = failed;
    failed = 0;
    countdown = n;
    hone_memory_set_allocator(&failing);
    return before;
}

void expect_error(const char *what, hone_status status, const hone_error *error,
                  hone_status expected, const char *message)
{
    if (status != expected)
        fail_msg("%s: expected %s, found %s: %s", what, hone_status_name(expected),
                 hone_status_name(status), status == HONE_OK ? "" : error->message);
    if (error->status != expected || strstr(error->message, message) == NULL)
        fail_msg("%s: expected a message with '%s', found '%s'", what, message, error->message);
}

void expect_ok(const char *what, hone_status status, const hone_error *error)
{
    if (status != HONE_OK)
        fail_msg("%s: expected success, found %s: %s", what, hone_status_name(status),
                 error->message);
}
