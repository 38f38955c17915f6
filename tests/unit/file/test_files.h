/* What the tests of src/file share: a scratch folder, files built byte by byte, values that can be
 * computed, and an allocator that fails on demand. */
#ifndef HONE_TEST_FILES_H
#define HONE_TEST_FILES_H

#include "file/tensor_file.h"

#include <stddef.h>
#include <stdint.h>

typedef struct bytes {
    unsigned char *data; /* of exactly size bytes, so that a sanitizer sees the one after */
    size_t size;
} bytes;

bytes bytes_new(const void *data, size_t size);
bytes bytes_load(const char *path); /* fails the test when it cannot */
void bytes_save(const char *path, bytes content);
void bytes_free(bytes *content);

/* Length, header, and payload_size bytes 0, 1, 2... */
bytes build_safetensors(const char *header, size_t header_size, size_t payload_size);

typedef struct zip_entry {
    const char *name;
    const void *data;
    size_t size;
} zip_entry;

/* A zip of stored members. */
bytes build_zip(const zip_entry *entries, size_t count);

/* Path of a name in a scratch folder that is removed at exit; valid until the next 8 calls. */
const char *scratch(const char *name);

/* Opens by the ending of name, then reads every float tensor of at most 2^20 elements. */
hone_status open_and_read_all(const char *name, bytes content, hone_error *error);

/* Makes the n-th allocation from now on fail (1: the next); 0: none. Returns whether the last one
 * asked for has failed. */
int fail_allocation(long n);
void *take_memory(size_t size); /* malloc that fails the test */

/* Fails the test unless status and message are as expected, and says what was found. */
void expect_error(const char *what, hone_status status, const hone_error *error,
                  hone_status expected, const char *message);
void expect_ok(const char *what, hone_status status, const hone_error *error);

#endif
