/* The smallest tokenizer of GPT-2's kind: the 256 bytes as byte-level BPE spells them, no merges,
 * and
 * <|endoftext|> as 256. */
#ifndef HONE_TESTS_BYTE_TOKENIZER_H
#define HONE_TESTS_BYTE_TOKENIZER_H

#include <stdbool.h>
#include <stdio.h>

enum { BYTE_VOCABULARY = 8192 }; /* room for vocab.json */

#define NO_MERGES "#version: 0.2\n" /* merges.txt */

/* Writes vocab.json into text; its length. */
static inline size_t byte_vocabulary(char text[BYTE_VOCABULARY])
{
    size_t used = (size_t)sprintf(text, "{");
    int other = 256;
    for (int byte = 0; byte < 256; byte++) {
        bool plain = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) ||
                     (byte >= 0xAE && byte <= 0xFF);
        used += (size_t)sprintf(text + used, "\"\\u%04x\": %d, ", plain ? byte : other++, byte);
    }
    return used + (size_t)sprintf(text + used, "\"<|endoftext|>\": 256}");
}

#endif
