/* sacrebleu's tokenizers 13a, intl, char and none: a text with white space between its tokens. */
#ifndef HONE_METRIC_BLEU_TOKENIZE_H
#define HONE_METRIC_BLEU_TOKENIZE_H

#include "base/failure.h"

#include <stdbool.h>
#include <stddef.h>

typedef enum hone_bleu_tokenizer {
    HONE_BLEU_13A,
    HONE_BLEU_INTL,
    HONE_BLEU_CHAR,
    HONE_BLEU_NONE
} hone_bleu_tokenizer;

hone_bleu_tokenizer hone_bleu_tokenizer_of(const char *name); /* NONE for another name */

/* Two texts, each written from the other. */
typedef struct hone_text_buffer {
    char *text, *next;
    size_t length, capacity, next_capacity;
} hone_text_buffer;

void hone_text_buffer_deinit(hone_text_buffer *buffer);
/* Takes a copy of a text, in lower case if wanted, without the white space at its end. */
hone_status hone_text_buffer_set(hone_text_buffer *buffer, const char *text, size_t length,
                                 bool lowercase, hone_error *error);
/* Tokenizes it. */
hone_status hone_bleu_tokenize(hone_bleu_tokenizer tokenizer, hone_text_buffer *buffer,
                               hone_error *error);

#endif
