/* tokenizer.json is hostile: any bytes give a tokenizer that works, or an error. */
#include "text/tokenizer_parts.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static hone_status build(hone_tokenizer_load *load, const hone_json *root, hone_error *error)
{
    HONE_TRY(hone_tokenizer_read_json(load, root, "tokenizer.json", error));
    return hone_tokenizer_load_finish(load, "tokenizer.json", error);
}

/* Encodes the file's own bytes; whatever the ids are, they can be decoded. */
static void use(const hone_tokenizer *tokenizer, const char *text, size_t length)
{
    int32_t *ids = NULL;
    size_t capacity = 0, count, back_length;
    char *back;
    if (hone_tokenizer_encode(tokenizer, text, length, &ids, &capacity, &count, NULL) != HONE_OK ||
        hone_tokenizer_decode(tokenizer, ids, count, 1, &back, &back_length, NULL) != HONE_OK)
        abort();
    hone_tokenizer_free(back);
    hone_tokenizer_free(ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hone_json *root;
    hone_error error;
    hone_tokenizer_load load = {0};
    const char *text = (const char *)data;
    if (hone_json_parse(text, size, "tokenizer.json", 1, &root, &error) != HONE_OK)
        return 0;
    hone_tokenizer *tokenizer = hone_tokenizer_new();
    if (tokenizer != NULL &&
        hone_tokenizer_load_init(&load, tokenizer, hone_tokenizer_json_tokens(root), &error) ==
            HONE_OK &&
        build(&load, root, &error) == HONE_OK)
        use(tokenizer, text, size);
    hone_tokenizer_load_deinit(&load);
    hone_tokenizer_close(tokenizer);
    hone_json_free(root);
    return 0;
}
