/* A folder of vocab.json, merges.txt, tokenizer_config.json and config.json, which the input holds
 * one after the other with NULs between them: a tokenizer that works, or an error. */
#include <fcntl.h>
#include <hone/tokenizer.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FILES 4
static const char *const names[FILES] = {"vocab.json", "merges.txt", "tokenizer_config.json",
                                         "config.json"};
static char folder[32], paths[FILES][64];

static void remove_folder(void)
{
    for (int i = 0; i < FILES; i++)
        unlink(paths[i]);
    rmdir(folder);
}

static void make_folder(void)
{
    strcpy(folder, "/tmp/hone-fuzz-XXXXXX");
    if (mkdtemp(folder) == NULL)
        abort();
    for (int i = 0; i < FILES; i++)
        snprintf(paths[i], sizeof paths[i], "%s/%s", folder, names[i]);
    atexit(remove_folder);
}

static void write_file(const char *path, const char *text, size_t size)
{
    int descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (descriptor < 0 || write(descriptor, text, size) != (ssize_t)size)
        abort();
    close(descriptor);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *at = (const char *)data, *end = at + size;
    hone_tokenizer *tokenizer;
    int32_t *ids = NULL;
    size_t capacity = 0, count, length;
    char *text;
    if (folder[0] == '\0')
        make_folder();
    for (int i = 0; i < FILES; i++) {
        const char *stop = at < end ? memchr(at, '\0', (size_t)(end - at)) : NULL;
        if (stop == NULL)
            stop = end;
        unlink(paths[i]);
        if (i < 2 || stop > at)
            write_file(paths[i], at, (size_t)(stop - at));
        at = stop < end ? stop + 1 : end;
    }
    if (hone_tokenizer_open(folder, &tokenizer, NULL) != HONE_OK)
        return 0;
    const char *bytes = (const char *)data;
    if (hone_tokenizer_encode(tokenizer, bytes, size, &ids, &capacity, &count, NULL) != HONE_OK ||
        hone_tokenizer_decode(tokenizer, ids, count, 0, &text, &length, NULL) != HONE_OK)
        abort();
    hone_tokenizer_free(text);
    hone_tokenizer_free(ids);
    hone_tokenizer_close(tokenizer);
    return 0;
}
