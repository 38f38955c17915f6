/* See data_support.h. Defining every function of hone/tokenizer.h here keeps the linker from taking
 * the real tokenizer out of the library. */
#include "data_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zstd.h>

static char folder[64], path[128];
static char fields[5][16] = {"text", "prompt", "completion", "source", "target"};
static char policies[3][16] = {"truncate", "error", "supervised"};

static void require(int condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "test support: %s failed\n", what);
        exit(99);
    }
}

const hone_tokenizer *as_tokenizer(const byte_tokenizer *tokenizer)
{
    return (const hone_tokenizer *)(const void *)tokenizer;
}

static const byte_tokenizer *bytes_of(const hone_tokenizer *tokenizer)
{
    return (const byte_tokenizer *)(const void *)tokenizer;
}

hone_status hone_tokenizer_open(const char *name, hone_tokenizer **out, hone_error *error)
{
    (void)name, (void)error;
    *out = NULL;
    return HONE_IO;
}

void hone_tokenizer_close(hone_tokenizer *tokenizer)
{
    (void)tokenizer;
}

int32_t hone_tokenizer_size(const hone_tokenizer *tokenizer)
{
    (void)tokenizer;
    return BYTE_BOS + 1;
}

int32_t hone_tokenizer_eos(const hone_tokenizer *tokenizer)
{
    return bytes_of(tokenizer)->eos;
}

int32_t hone_tokenizer_bos(const hone_tokenizer *tokenizer)
{
    return bytes_of(tokenizer)->bos;
}

const char *hone_tokenizer_token(const hone_tokenizer *tokenizer, int32_t id, size_t *length)
{
    (void)tokenizer, (void)id;
    *length = 0;
    return NULL;
}

hone_status hone_tokenizer_encode(const hone_tokenizer *tokenizer, const char *text, size_t length,
                                  int32_t **ids, size_t *capacity, size_t *count, hone_error *error)
{
    (void)tokenizer, (void)error;
    if (*capacity < length) {
        *ids = realloc(*ids, length * sizeof **ids);
        require(*ids != NULL, "realloc");
        *capacity = length;
    }
    for (size_t i = 0; i < length; i++)
        (*ids)[i] = (unsigned char)text[i];
    *count = length;
    return HONE_OK;
}

hone_status hone_tokenizer_decode(const hone_tokenizer *tokenizer, const int32_t *ids, size_t count,
                                  int skip_special, char **text, size_t *length, hone_error *error)
{
    (void)tokenizer, (void)ids, (void)count, (void)skip_special, (void)text, (void)length;
    (void)error;
    return HONE_INPUT;
}

void hone_tokenizer_free(void *block)
{
    free(block);
}

void make_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/hone-data-XXXXXX");
    require(mkdtemp(folder) != NULL, "mkdtemp");
}

void remove_folder(void)
{
    char command[96];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    require(system(command) == 0, "rm");
}

const char *write_file(const char *name, const void *content, size_t size)
{
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    require(file != NULL, "fopen");
    require(fwrite(content, 1, size, file) == size, "fwrite");
    require(fclose(file) == 0, "fclose");
    return path;
}

hone_data_settings default_settings(void)
{
    return (hone_data_settings){.text_field = fields[0],
                                .prompt_field = fields[1],
                                .completion_field = fields[2],
                                .source_field = fields[3],
                                .target_field = fields[4],
                                .long_documents = policies[0],
                                .on_bad_line = policies[1],
                                .append_eos = true,
                                .objective = policies[2],
                                .noise_density = 0.15,
                                .mean_noise_span_length = 3,
                                .shuffle = true};
}

char *compress_frame(const void *content, size_t size, zstd_options options, size_t *out_size)
{
    size_t bound = ZSTD_compressBound(size);
    char *frame = malloc(bound);
    ZSTD_CCtx *context = ZSTD_createCCtx();
    require(frame != NULL && context != NULL, "compression");
    if (options.level != 0)
        ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, options.level);
    if (options.window_log != 0) {
        ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, options.window_log);
        /* Else a small content would shrink the window in the header. */
        ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
    }
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, options.checksum);
    ZSTD_outBuffer output = {frame, bound, 0};
    ZSTD_inBuffer input = {content, size, 0};
    /* Fed in two calls, so that the size isn't known when the header is written. */
    if (options.window_log != 0)
        require(!ZSTD_isError(ZSTD_compressStream2(context, &output, &input, ZSTD_e_flush)),
                "compression");
    require(ZSTD_compressStream2(context, &output, &input, ZSTD_e_end) == 0, "compression");
    ZSTD_freeCCtx(context);
    *out_size = output.pos;
    return frame;
}
