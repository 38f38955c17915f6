/* Any bytes come back from decoding, and added tokens of every kind never break a text: with the
 * tokenizers of tests/unit/text/golden. Run in the folder of the source. */
#include "text/tokenizer_parts.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static hone_tokenizer *load_tokenizer(const char *path)
{
    hone_json *root;
    hone_tokenizer_load load = {0};
    hone_tokenizer *tokenizer = hone_tokenizer_new();
    if (hone_json_load(path, 1 << 20, &root, NULL) != HONE_OK || tokenizer == NULL ||
        hone_tokenizer_load_init(&load, tokenizer, hone_tokenizer_json_tokens(root), NULL) !=
            HONE_OK ||
        hone_tokenizer_read_json(&load, root, path, NULL) != HONE_OK ||
        hone_tokenizer_load_finish(&load, path, NULL) != HONE_OK)
        abort();
    hone_tokenizer_load_deinit(&load);
    hone_json_free(root);
    return tokenizer;
}

static void check(const hone_tokenizer *tokenizer, const char *text, size_t size, bool same)
{
    int32_t *ids = NULL;
    size_t capacity = 0, count, length;
    char *back;
    if (hone_tokenizer_encode(tokenizer, text, size, &ids, &capacity, &count, NULL) != HONE_OK ||
        hone_tokenizer_decode(tokenizer, ids, count, 0, &back, &length, NULL) != HONE_OK ||
        (same && (length != size || memcmp(back, text, size) != 0)))
        abort();
    hone_tokenizer_free(back);
    hone_tokenizer_free(ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static hone_tokenizer *plain, *added, *whole;
    if (plain == NULL) {
        plain = load_tokenizer("tests/unit/text/golden/plain.json");
        added = load_tokenizer("tests/unit/text/golden/prefix.json");
        whole = load_tokenizer("tests/unit/text/golden/noregex.json");
    }
    const char *text = (const char *)data;
    check(plain, text, size, true);
    check(whole, text, size, true);
    check(added, text, size, false);
    return 0;
}
