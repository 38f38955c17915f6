/* The words of a row as small numbers, so that comparing and counting them is cheap. */
#ifndef HONE_METRIC_WORDS_H
#define HONE_METRIC_WORDS_H

#include "base/failure.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Distinct texts and their numbers 0, 1, 2, ... in the order of adding. Borrows the texts. */
typedef struct hone_words {
    struct hone_word *slots;
    size_t capacity, count; /* capacity is 0 or a power of two */
    uint64_t round;         /* slots of other rounds are empty, so clearing costs nothing */
} hone_words;

void hone_words_clear(hone_words *words);
void hone_words_deinit(hone_words *words);
/* The number of a text, which is added when it is new. The caller keeps them few enough for 32
 * bits. HONE_MEMORY. */
hone_status hone_words_add(hone_words *words, const char *text, size_t length, uint32_t *id,
                           hone_error *error);

/* Whether the text is there, and its number. */
bool hone_words_find(const hone_words *words, const char *text, size_t length, uint32_t *id);

/* A growing array of numbers. */
typedef struct hone_sequence {
    uint32_t *ids;
    size_t count, capacity;
} hone_sequence;

hone_status hone_sequence_push(hone_sequence *sequence, uint32_t id, hone_error *error);
void hone_sequence_deinit(hone_sequence *sequence);

#endif
