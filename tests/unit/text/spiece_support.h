/* Writing sentencepiece models, good and bad ones, for the tests. Include after cmocka.h. */
#ifndef SPIECE_SUPPORT_H
#define SPIECE_SUPPORT_H

#include "text/tokenizer_parts.h"

/* A protocol buffer's message on its way; zeroed: empty. */
typedef struct message {
    char bytes[1 << 16];
    size_t length;
} message;

void put_varint(message *m, unsigned field, uint64_t value);
void put_float(message *m, unsigned field, float value);
void put_bytes(message *m, unsigned field, const void *bytes, size_t length);
void put_message(message *m, unsigned field, const message *inner);
/* A piece of a model; types as in sentencepiece's file. */
void put_piece(message *m, const char *text, size_t length, float score, unsigned type);
void put_text_piece(message *m, const char *text, float score, unsigned type);
/* <pad> 0, </s> 1, <unk> 2, U+2581 3, a 4, b 5, ab 6, U+2581 ab 7. */
void put_small_model(message *m);

/* A tokenizer of the model alone, without special tokens and extra ids. */
hone_status open_spiece(const void *model, size_t size, hone_tokenizer **out, hone_error *error);

#endif
