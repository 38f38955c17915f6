/* Tokenizes length-prefixed texts for the parity script: each text on stdin is a 32-bit length and
 * as many bytes; each answer on stdout is a 32-bit count and as many 32-bit ids. Host byte order.
 * With --decode it is the other way round. Every text is also decoded and compared.
 * usage: tokenize_lines FOLDER [--decode] */
#include <hone/tokenizer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(const hone_error *error)
{
    char text[4096];
    hone_error_format(error, text, sizeof text);
    fprintf(stderr, "tokenize_lines: %s\n", text);
    return hone_status_exit_code(error->status);
}

/* Reads a 32-bit number and as many items; false at the end. */
static int read_block(void **block, size_t *capacity, uint32_t *count, size_t size)
{
    if (fread(count, sizeof *count, 1, stdin) != 1)
        return 0;
    if (*count * size + 1 > *capacity) {
        *capacity = 2 * (*count * size) + 1;
        *block = realloc(*block, *capacity);
        if (*block == NULL)
            exit(5);
    }
    return fread(*block, size, *count, stdin) == *count;
}

static void write_block(const void *block, size_t count, size_t size)
{
    uint32_t number = (uint32_t)count;
    fwrite(&number, sizeof number, 1, stdout);
    fwrite(block, size, count, stdout);
}

int main(int argc, char **argv)
{
    hone_tokenizer *tokenizer;
    hone_error error;
    if (argc < 2) {
        fprintf(stderr, "usage: tokenize_lines FOLDER [--decode]\n");
        return 2;
    }
    if (hone_tokenizer_open(argv[1], &tokenizer, &error) != HONE_OK)
        return fail(&error);
    int decode = argc > 2 && strcmp(argv[2], "--decode") == 0;
    void *block = NULL;
    size_t block_capacity = 0, capacity = 0, count, length;
    uint32_t size;
    int32_t *ids = NULL;
    while (read_block(&block, &block_capacity, &size, decode ? sizeof *ids : 1)) {
        const int32_t *given = block;
        char *text;
        if (!decode) {
            if (hone_tokenizer_encode(tokenizer, block, size, &ids, &capacity, &count, &error) !=
                HONE_OK)
                return fail(&error);
            write_block(ids, count, sizeof *ids);
            given = ids;
        } else {
            count = size;
        }
        if (hone_tokenizer_decode(tokenizer, given, count, 0, &text, &length, &error) != HONE_OK)
            return fail(&error);
        if (decode)
            write_block(text, length, 1);
        else if (length != size || memcmp(text, block, length) != 0)
            fprintf(stderr, "not the same after decoding: '%.*s'\n", (int)size, (char *)block);
        hone_tokenizer_free(text);
    }
    hone_tokenizer_free(ids);
    free(block);
    hone_tokenizer_close(tokenizer);
    return 0;
}
