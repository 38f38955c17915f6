/* A hash table with open addressing: see words.h. */
#include "metric/words.h"

#include "base/hash.h"
#include "base/memory.h"

#include <string.h>

struct hone_word {
    const char *text;
    size_t length;
    uint64_t hash, round;
    uint32_t id;
};

enum { FIRST_CAPACITY = 256 };

void hone_words_clear(hone_words *words)
{
    words->count = 0;
    words->round++;
}

void hone_words_deinit(hone_words *words)
{
    hone_free(words->slots);
    *words = (hone_words){0};
}

/* The slot of a text, or the empty one where it belongs. */
static struct hone_word *find(const hone_words *words, const char *text, size_t length,
                              uint64_t hash)
{
    size_t mask = words->capacity - 1;
    for (size_t at = (size_t)hash & mask;; at = (at + 1) & mask) {
        struct hone_word *slot = &words->slots[at];
        if (slot->round != words->round)
            return slot;
        if (slot->hash == hash && slot->length == length && memcmp(slot->text, text, length) == 0)
            return slot;
    }
}

static hone_status grow(hone_words *words, hone_error *error)
{
    size_t capacity = words->capacity == 0 ? FIRST_CAPACITY : 2 * words->capacity;
    hone_words larger = {.capacity = capacity, .count = words->count, .round = 1};
    larger.slots = hone_alloc_array(capacity, sizeof *larger.slots);
    if (larger.slots == NULL)
        return hone_fail_memory(error, "words", capacity * sizeof *larger.slots);
    for (size_t i = 0; i < words->capacity; i++) {
        struct hone_word *slot = &words->slots[i];
        if (slot->round == words->round) {
            slot->round = larger.round;
            *find(&larger, slot->text, slot->length, slot->hash) = *slot;
        }
    }
    hone_free(words->slots);
    *words = larger;
    return HONE_OK;
}

bool hone_words_find(const hone_words *words, const char *text, size_t length, uint32_t *id)
{
    text = length > 0 ? text : "";
    if (words->count == 0)
        return false;
    const struct hone_word *slot = find(words, text, length, hone_hash64(text, length, 0));
    if (slot->round != words->round)
        return false;
    *id = slot->id;
    return true;
}

hone_status hone_words_add(hone_words *words, const char *text, size_t length, uint32_t *id,
                           hone_error *error)
{
    if (words->round == 0)
        words->round = 1;
    if (2 * (words->count + 1) > words->capacity)
        HONE_TRY(grow(words, error));
    text = length > 0 ? text : ""; /* a NULL must not reach memcmp */
    uint64_t hash = hone_hash64(text, length, 0);
    struct hone_word *slot = find(words, text, length, hash);
    if (slot->round != words->round)
        *slot = (struct hone_word){text, length, hash, words->round, (uint32_t)words->count++};
    *id = slot->id;
    return HONE_OK;
}

hone_status hone_sequence_push(hone_sequence *sequence, uint32_t id, hone_error *error)
{
    if (sequence->count == sequence->capacity &&
        !hone_array_reserve((void **)&sequence->ids, &sequence->capacity, sequence->count + 1,
                            sizeof *sequence->ids))
        return hone_fail_memory(error, "words", sequence->count * sizeof *sequence->ids);
    sequence->ids[sequence->count++] = id;
    return HONE_OK;
}

void hone_sequence_deinit(hone_sequence *sequence)
{
    hone_free(sequence->ids);
    *sequence = (hone_sequence){0};
}
