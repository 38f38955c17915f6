/* How much text tokens stand for: what perplexity by word and by byte is divided by. */
#ifndef HONE_INFER_TEXT_SIZE_H
#define HONE_INFER_TEXT_SIZE_H

#include <hone/tokenizer.h>
#include <stdint.h>

typedef struct hone_text_size {
    int64_t bytes; /* of UTF-8, special tokens left out */
    int64_t words; /* runs of characters other than spaces, tabs and line ends */
} hone_text_size;

/* Adds the size of the text of a sequence of ids; those beyond the tokenizer's stand for none. */
hone_status hone_text_size_add(hone_text_size *size, const hone_tokenizer *tokenizer,
                               const int32_t *ids, int64_t count, hone_error *error);

#endif
