/* Parts of the metrics for the parity script. Standard input holds frames: a length in 4 bytes,
 * little-endian, and that many bytes; so does standard output.
 * usage: metric_tool stem | lower | 13a | intl | char | none */
#include "metric/bleu_tokenize.h"
#include "metric/porter.h"
#include "text/python_text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put(const char *text, uint32_t length)
{
    fwrite(&length, sizeof length, 1, stdout);
    fwrite(text, 1, length, stdout);
}

/* The tokens with one space between them. */
static void put_tokens(hone_bleu_tokenizer tokenizer, const char *text, size_t length)
{
    static hone_text_buffer buffer;
    const char *word;
    size_t at = 0, size;
    if (hone_text_buffer_set(&buffer, text, length, false, NULL) != HONE_OK ||
        hone_bleu_tokenize(tokenizer, &buffer, NULL) != HONE_OK)
        exit(1);
    char *out = malloc(2 * buffer.length + 1), *end = out;
    while (hone_python_next_word(buffer.text, buffer.length, &at, &word, &size)) {
        if (end > out)
            *end++ = ' ';
        memcpy(end, word, size);
        end += size;
    }
    put(out, (uint32_t)(end - out));
    free(out);
}

int main(int argc, char **argv)
{
    uint32_t length;
    if (argc != 2)
        return 2;
    while (fread(&length, sizeof length, 1, stdin) == 1) {
        char *text = malloc((size_t)length + 1);
        if (text == NULL || fread(text, 1, length, stdin) != length)
            return 1;
        if (strcmp(argv[1], "stem") == 0) {
            put(text, (uint32_t)hone_porter_stem(text, length));
        } else if (strcmp(argv[1], "lower") == 0) {
            char *lower = malloc(hone_python_lower_room(length) + 1);
            put(lower, (uint32_t)hone_python_lower(text, length, lower));
            free(lower);
        } else {
            put_tokens(hone_bleu_tokenizer_of(argv[1]), text, length);
        }
        free(text);
    }
    return ferror(stdout) != 0;
}
