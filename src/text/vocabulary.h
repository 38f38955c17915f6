/* Token texts and ids while a tokenizer is being loaded: both ways, each pair once. Texts are
 * borrowed (from the JSON documents), spelled in the byte alphabet of GPT-2. */
#ifndef HONE_TEXT_VOCABULARY_H
#define HONE_TEXT_VOCABULARY_H

#include "base/failure.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct hone_vocabulary {
    const char **texts; /* (limit) by id, NULL where the id is free */
    size_t *lengths;    /* (limit) */
    uint64_t *slots;    /* hash table: high half of the hash << 32 | id + 1; 0 is free */
    size_t mask;        /* slots - 1 */
    size_t limit;       /* ids are below it: as many as tokens can come */
    size_t count;       /* tokens added */
    size_t size;        /* highest id + 1 */
    size_t longest;     /* bytes of the longest text */
} hone_vocabulary;

/* Room for ids 0 .. limit-1. Deinit also after a failure and for a zeroed struct. */
hone_status hone_vocabulary_init(hone_vocabulary *vocabulary, size_t limit, hone_error *error);
void hone_vocabulary_deinit(hone_vocabulary *vocabulary);
/* Adds a token. HONE_INPUT (naming `file`) when the text is known, the id is taken, or id is out of
 * range. */
hone_status hone_vocabulary_add(hone_vocabulary *vocabulary, const char *text, size_t length,
                                int64_t id, const char *file, hone_error *error);
/* Id of a text, or -1. */
int32_t hone_vocabulary_find(const hone_vocabulary *vocabulary, const char *text, size_t length);
/* HONE_INPUT when some id below the highest one is free. */
hone_status hone_vocabulary_check(const hone_vocabulary *vocabulary, const char *file,
                                  hone_error *error);

/* Writes the bytes that a text in the byte alphabet stands for (at most length of them) and returns
 * how many; texts with any other character stand for themselves. out may be text. */
size_t hone_byte_alphabet_decode(const char *text, size_t length, char *out);
/* The byte (0 .. 255) that one character of the alphabet stands for, or -1. */
int hone_byte_alphabet_byte(uint32_t code);

#endif
