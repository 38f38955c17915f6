/* spiece.model is hostile: any bytes give a tokenizer that works, or an error. The text is the
 * file's own bytes, so that it has pieces in it. */
#include "text/tokenizer_parts.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const hone_tokenizer *tokenizer, const char *text, size_t length)
{
    int32_t *ids = NULL;
    size_t capacity = 0, count, back_length;
    char *back;
    if (hone_tokenizer_encode(tokenizer, text, length, &ids, &capacity, &count, NULL) != HONE_OK ||
        hone_tokenizer_decode(tokenizer, ids, count, 0, &back, &back_length, NULL) != HONE_OK)
        abort();
    hone_tokenizer_free(back);
    hone_tokenizer_free(ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hone_tokenizer_load load = {0};
    const char *bytes = (const char *)data;
    hone_tokenizer *tokenizer = hone_tokenizer_new();
    if (tokenizer != NULL &&
        hone_tokenizer_load_init(&load, tokenizer, hone_spiece_count(bytes, size) + 1, NULL) ==
            HONE_OK &&
        hone_tokenizer_read_spiece(&load, bytes, size, "spiece.model", NULL) == HONE_OK &&
        hone_tokenizer_load_finish(&load, "spiece.model", NULL) == HONE_OK)
        use(tokenizer, bytes, size);
    hone_tokenizer_load_deinit(&load);
    hone_tokenizer_close(tokenizer);
    return 0;
}
