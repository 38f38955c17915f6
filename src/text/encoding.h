/* Encoding in progress, shared by the kinds of tokenizer: one call, and the scratch it works in. */
#ifndef HONE_TEXT_ENCODING_H
#define HONE_TEXT_ENCODING_H

#include "text/text_buffer.h"
#include "text/tokenizer_parts.h"
#include "text/unigram.h"

/* Scratch of one thread; idle ones wait in the tokenizer. */
typedef struct hone_encoder {
    struct hone_encoder *next;
    void *cache; /* HONE_ENCODER_CACHE bytes, zeroed at first; entries are each kind's own */
    hone_bpe_scratch scratch;
    hone_unigram_scratch cut;
    hone_text_buffer normal[2], words;
} hone_encoder;

#define HONE_ENCODER_CACHE ((size_t)4 << 20) /* touched as words come */

/* One call of encode. */
typedef struct hone_encoding {
    const hone_tokenizer *tokenizer;
    hone_encoder *encoder;
    int32_t *ids;
    size_t count, capacity;
    hone_error *error;
} hone_encoding;

/* Room for `more` ids behind what is there. */
hone_status hone_encoding_reserve(hone_encoding *e, size_t more);
/* Ids of text without added tokens (length > 0), by the unigram model of a spiece.model. */
hone_status hone_encode_spiece(hone_encoding *e, const char *text, size_t length);
/* The same by that of a tokenizer.json; added tokens that are matched in normalized text may be in
 * it. `first`: it is the beginning of all text. */
hone_status hone_encode_unigram_json(hone_encoding *e, const char *text, size_t length, bool first);

#endif
