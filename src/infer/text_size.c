/* Bytes and words of tokens: see text_size.h. */
#include "infer/text_size.h"

#include "base/failure.h"

#include <stdbool.h>

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Ids that the tokenizer knows, one after the other. */
static hone_status add_run(hone_text_size *size, const hone_tokenizer *tokenizer,
                           const int32_t *ids, int64_t count, hone_error *error)
{
    char *text;
    size_t length;
    HONE_TRY(hone_tokenizer_decode(tokenizer, ids, (size_t)count, 1, &text, &length, error));
    bool inside = false;
    for (size_t i = 0; i < length; i++) {
        size->words += !is_space(text[i]) && !inside;
        inside = !is_space(text[i]);
    }
    size->bytes += (int64_t)length;
    hone_tokenizer_free(text);
    return HONE_OK;
}

hone_status hone_text_size_add(hone_text_size *size, const hone_tokenizer *tokenizer,
                               const int32_t *ids, int64_t count, hone_error *error)
{
    int32_t known = hone_tokenizer_size(tokenizer);
    for (int64_t first = 0, next; first < count; first = next + 1) {
        for (next = first; next < count && ids[next] < known;)
            next++;
        if (next > first)
            HONE_TRY(add_run(size, tokenizer, ids + first, next - first, error));
    }
    return HONE_OK;
}
