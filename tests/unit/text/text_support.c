#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/files.h"
#include "base/memory.h"
#include "text_support.h"

#include <hone/memory.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *make_folder(const char *const *files)
{
    static char folder[64];
    strcpy(folder, "/tmp/hone-text-XXXXXX");
    assert_non_null(mkdtemp(folder));
    for (; files[0] != NULL; files += 2) {
        char path[256];
        snprintf(path, sizeof path, "%s/%s", folder, files[0]);
        assert_int_equal(hone_file_write(path, files[1], strlen(files[1]), NULL), HONE_OK);
    }
    return folder;
}

void remove_folder(const char *folder)
{
    assert_int_equal(hone_folder_remove(folder, NULL), HONE_OK);
}

hone_tokenizer *open_files(const char *const *files)
{
    const char *folder = make_folder(files);
    hone_tokenizer *tokenizer;
    hone_error error;
    if (hone_tokenizer_open(folder, &tokenizer, &error) != HONE_OK)
        fail_msg("%s: %s", error.file, error.message);
    remove_folder(folder);
    return tokenizer;
}

hone_tokenizer *open_json(const char *path)
{
    char *text;
    size_t size;
    assert_int_equal(hone_file_load(path, 1 << 24, &text, &size, NULL), HONE_OK);
    const char *files[] = {"tokenizer.json", text, NULL};
    hone_tokenizer *tokenizer = open_files(files);
    hone_free(text);
    return tokenizer;
}

hone_tokenizer *open_gpt2(void)
{
    const char *shared = getenv("HONE_SHARED");
    char path[512];
    snprintf(path, sizeof path, "%s/data/gpt2-bpe", shared != NULL ? shared : "../shared");
    if (!hone_folder_exists(path)) {
        print_message("skipped: no %s (set HONE_SHARED)\n", path);
        return NULL;
    }
    hone_tokenizer *tokenizer;
    hone_error error;
    if (hone_tokenizer_open(path, &tokenizer, &error) != HONE_OK)
        fail_msg("%s: %s", error.file, error.message);
    return tokenizer;
}

const char *encode_to_text(const hone_tokenizer *tokenizer, const char *text, size_t length)
{
    static char out[4096];
    int32_t *ids = NULL;
    size_t capacity = 0, count, used = 0;
    assert_int_equal(hone_tokenizer_encode(tokenizer, text, length, &ids, &capacity, &count, NULL),
                     HONE_OK);
    out[0] = '\0';
    for (size_t i = 0; i < count && used < sizeof out - 16; i++)
        used += (size_t)sprintf(out + used, i > 0 ? " %d" : "%d", ids[i]);
    hone_tokenizer_free(ids);
    return out;
}

/* Fails the n-th allocation and, where `after` says so, all later ones. */
typedef struct faulty {
    size_t calls, fail_at;
    bool after;
} faulty;

static bool refuse(faulty *state)
{
    state->calls++;
    return state->calls == state->fail_at || (state->after && state->calls > state->fail_at);
}

static void *faulty_reallocate(void *context, void *block, size_t old_size, size_t new_size)
{
    (void)old_size;
    if (new_size == 0) {
        free(block);
        return NULL;
    }
    return refuse(context) ? NULL : realloc(block, new_size);
}

static void *faulty_map(void *context, size_t size)
{
    void *block = refuse(context) ? NULL : aligned_alloc(4096, size);
    return block != NULL ? memset(block, 0, size) : NULL;
}

static void faulty_unmap(void *context, void *block, size_t size)
{
    (void)context;
    (void)size;
    free(block);
}

void fail_every_allocation(const char *folder, use_folder *use, size_t least)
{
    for (int after = 0; after < 2; after++) {
        faulty fault = {0, 0, after == 1};
        hone_allocator allocator = {faulty_reallocate, faulty_map, faulty_unmap, &fault};
        hone_status status = HONE_MEMORY;
        hone_memory_set_allocator(&allocator);
        for (size_t n = 1; status != HONE_OK; n++) {
            hone_error error = {0};
            fault.calls = 0;
            fault.fail_at = n;
            status = use(folder, &error);
            if (status != HONE_OK && status != HONE_MEMORY)
                fail_msg("allocation %zu: %s: %s", n, hone_status_name(status), error.message);
            assert_true(n < 4000);
        }
        assert_true(fault.fail_at > least);
        hone_memory_set_allocator(NULL);
    }
}
