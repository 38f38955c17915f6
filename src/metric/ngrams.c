/* Shared n-grams: see ngrams.h.
 * Idea: an n-gram is the pair (id of its first n-1 elements, last element), so one table of pairs
 * an order gives every n-gram a small id, whatever its elements are, and counting is indexing
 * arrays. An n-gram that no other sequence has begins no longer one that another has: it is
 * dropped, and so is the work for longer ones. */
#include "metric/ngrams.h"

#include "base/memory.h"

#include <string.h>

#define NO_GRAM UINT32_MAX
#define EMPTY UINT64_MAX /* no key: ids are below NO_GRAM */

enum { OWN, OTHER, LARGEST };

void hone_ngrams_deinit(hone_ngrams *ngrams)
{
    hone_free(ngrams->keys);
    hone_free(ngrams->ids);
    hone_free(ngrams->grams);
    hone_free(ngrams->others);
    for (int i = 0; i < 3; i++)
        hone_free(ngrams->counts[i]);
    *ngrams = (hone_ngrams){0};
}

/* Replaces an array, whose content is not kept, by one for at least `needed` elements. */
static bool renew(void *array, size_t needed, size_t size)
{
    void **place = array;
    hone_free(*place);
    *place = hone_alloc_array(needed, size);
    return *place != NULL;
}

static bool reserve(hone_ngrams *ngrams, size_t own, size_t all)
{
    size_t slots = 64;
    while (slots / 2 < own) {
        if (slots > SIZE_MAX / 2)
            return false;
        slots *= 2;
    }
    ngrams->slots = slots;
    if (slots > ngrams->capacity) {
        ngrams->capacity = 0;
        if (!renew(&ngrams->keys, slots, sizeof *ngrams->keys) ||
            !renew(&ngrams->ids, slots, sizeof *ngrams->ids))
            return false;
        ngrams->capacity = slots;
    }
    if (own > ngrams->gram_capacity) {
        ngrams->gram_capacity = 0;
        if (!renew(&ngrams->grams, slots / 2, sizeof *ngrams->grams))
            return false;
        for (int i = 0; i < 3; i++)
            if (!renew(&ngrams->counts[i], slots / 2, sizeof *ngrams->counts[i]))
                return false;
        ngrams->gram_capacity = slots / 2;
    }
    if (all > ngrams->other_capacity) {
        size_t room = all + all / 2;
        ngrams->other_capacity = 0;
        if (!renew(&ngrams->others, room, sizeof *ngrams->others))
            return false;
        ngrams->other_capacity = room;
    }
    return true;
}

/* The slot of a pair, or the empty one where it belongs. */
static size_t find(const hone_ngrams *ngrams, uint64_t key)
{
    uint64_t hash = key * 0x9E3779B97F4A7C15u; /* Knuth's multiplicative hash, 2^64 / phi */
    size_t mask = ngrams->slots - 1;
    size_t at = (size_t)(hash >> 32) & mask;
    while (ngrams->keys[at] != EMPTY && ngrams->keys[at] != key)
        at = (at + 1) & mask;
    return at;
}

/* Key of the n-gram at `at`, or EMPTY when its first n-1 elements are dropped or it reaches over
 * the end. `grams` are the n-grams of one order less. */
static uint64_t key_at(const uint32_t *grams, const hone_sequence *sequence, size_t at, size_t n)
{
    if (at + n > sequence->count)
        return EMPTY;
    uint32_t first = n == 1 ? 0 : grams[at];
    return first == NO_GRAM ? EMPTY : (uint64_t)first << 32 | sequence->ids[at + n - 1];
}

/* From order n-1 to n for the sequence itself: new ids, and how often each occurs. */
static void count_own(hone_ngrams *ngrams, const hone_sequence *sequence, size_t n)
{
    memset(ngrams->keys, 0xFF, ngrams->slots * sizeof *ngrams->keys);
    ngrams->count = 0;
    for (size_t i = 0; i < sequence->count; i++) {
        uint64_t key = key_at(ngrams->grams, sequence, i, n);
        ngrams->grams[i] = NO_GRAM;
        if (key == EMPTY)
            continue;
        size_t slot = find(ngrams, key);
        if (ngrams->keys[slot] == EMPTY) {
            ngrams->keys[slot] = key;
            ngrams->ids[slot] = (uint32_t)ngrams->count;
            for (int k = OWN; k <= LARGEST; k++)
                ngrams->counts[k][ngrams->count] = 0;
            ngrams->count++;
        }
        ngrams->grams[i] = ngrams->ids[slot];
        ngrams->counts[OWN][ngrams->grams[i]]++;
    }
}

/* The same for another sequence, whose n-grams are only looked up. */
static void count_other(hone_ngrams *ngrams, const hone_sequence *other, uint32_t *grams, size_t n)
{
    uint32_t *counts = ngrams->counts[OTHER], *largest = ngrams->counts[LARGEST];
    for (size_t i = 0; i < other->count; i++) {
        uint64_t key = key_at(grams, other, i, n);
        grams[i] = NO_GRAM;
        if (key == EMPTY)
            continue;
        size_t slot = find(ngrams, key);
        if (ngrams->keys[slot] == EMPTY)
            continue;
        grams[i] = ngrams->ids[slot];
        if (++counts[grams[i]] > largest[grams[i]])
            largest[grams[i]] = counts[grams[i]];
    }
    for (size_t i = 0; i < other->count; i++)
        if (grams[i] != NO_GRAM)
            counts[grams[i]] = 0;
}

hone_status hone_ngrams_match(hone_ngrams *ngrams, const hone_sequence *sequence,
                              const hone_sequence *const *others, size_t other_count, size_t orders,
                              int64_t *matches, hone_error *error)
{
    size_t all = 0;
    for (size_t i = 0; i < other_count; i++)
        all += others[i]->count;
    memset(matches, 0, orders * sizeof *matches);
    if (sequence->count == 0 || all == 0)
        return HONE_OK;
    if (!reserve(ngrams, sequence->count, all))
        return hone_fail_memory(error, "n-grams", (sequence->count + all) * sizeof(uint64_t));
    for (size_t n = 1; n <= orders; n++) {
        uint32_t *grams = ngrams->others;
        count_own(ngrams, sequence, n);
        for (size_t i = 0; i < other_count; i++) {
            count_other(ngrams, others[i], grams, n);
            grams += others[i]->count;
        }
        for (size_t id = 0; id < ngrams->count; id++) {
            uint32_t own = ngrams->counts[OWN][id], largest = ngrams->counts[LARGEST][id];
            matches[n - 1] += own < largest ? own : largest;
        }
        if (matches[n - 1] == 0)
            return HONE_OK;
        for (size_t i = 0; i < sequence->count; i++)
            if (ngrams->grams[i] != NO_GRAM && ngrams->counts[LARGEST][ngrams->grams[i]] == 0)
                ngrams->grams[i] = NO_GRAM;
    }
    return HONE_OK;
}
