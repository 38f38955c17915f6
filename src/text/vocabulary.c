/* The loading vocabulary: see vocabulary.h. An open-addressing table sized once; most of a
 * tokenizer's opening time is spent in its look-ups. */
#include "text/vocabulary.h"

#include "base/memory.h"
#include "text/unicode.h"

#include <string.h>

hone_status hone_vocabulary_init(hone_vocabulary *vocabulary, size_t limit, hone_error *error)
{
    *vocabulary = (hone_vocabulary){.limit = limit};
    if (limit >= INT32_MAX)
        return hone_fail(error, HONE_INPUT, "vocabulary of %zu tokens: at most %d are supported",
                         limit, INT32_MAX - 1);
    size_t slots = 16;
    while (slots < 2 * limit)
        slots *= 2;
    vocabulary->mask = slots - 1;
    vocabulary->texts = hone_alloc_array(limit, sizeof *vocabulary->texts);
    vocabulary->lengths = hone_alloc_array(limit, sizeof *vocabulary->lengths);
    vocabulary->slots = hone_alloc_array(slots, sizeof *vocabulary->slots);
    if (vocabulary->texts == NULL || vocabulary->lengths == NULL || vocabulary->slots == NULL)
        return hone_fail_memory(error, "vocabulary", slots * sizeof *vocabulary->slots);
    return HONE_OK;
}

void hone_vocabulary_deinit(hone_vocabulary *vocabulary)
{
    hone_free(vocabulary->texts);
    hone_free(vocabulary->lengths);
    hone_free(vocabulary->slots);
    *vocabulary = (hone_vocabulary){0};
}

static uint64_t load_word(const char *text, size_t length)
{
    uint64_t word = 0;
    memcpy(&word, text, length);
    return word;
}

static uint64_t hash_text(const char *text, size_t length)
{
    uint64_t hash = length * 0x9E3779B97F4A7C15u;
    for (; length >= 8; text += 8, length -= 8) {
        hash = (hash ^ load_word(text, 8)) * 0xFF51AFD7ED558CCDu;
        hash ^= hash >> 32;
    }
    hash = (hash ^ load_word(text, length)) * 0xC4CEB9FE1A85EC53u;
    return hash ^ hash >> 29;
}

/* Slot that holds the text, or the free slot where it belongs. */
static size_t find_slot(const hone_vocabulary *vocabulary, uint64_t hash, const char *text,
                        size_t length)
{
    size_t slot = (size_t)hash & vocabulary->mask;
    for (;; slot = (slot + 1) & vocabulary->mask) {
        uint64_t entry = vocabulary->slots[slot];
        if (entry == 0)
            return slot;
        size_t id = (uint32_t)entry - 1u;
        if (entry >> 32 == hash >> 32 && vocabulary->lengths[id] == length &&
            memcmp(vocabulary->texts[id], text, length) == 0)
            return slot;
    }
}

int32_t hone_vocabulary_find(const hone_vocabulary *vocabulary, const char *text, size_t length)
{
    size_t slot = find_slot(vocabulary, hash_text(text, length), text, length);
    return (int32_t)(uint32_t)vocabulary->slots[slot] - 1;
}

/* Length of a text for "%.*s" in messages. */
static int shown(size_t length)
{
    return length < 80 ? (int)length : 80;
}

hone_status hone_vocabulary_add(hone_vocabulary *vocabulary, const char *text, size_t length,
                                int64_t id, const char *file, hone_error *error)
{
    if (id < 0 || id >= (int64_t)vocabulary->limit)
        return hone_fail_at(error, HONE_INPUT, file, -1, -1,
                            "token '%.*s' has id %lld: expected 0 to %zu, the number of tokens "
                            "less one",
                            shown(length), text, (long long)id, vocabulary->limit - 1);
    uint64_t hash = hash_text(text, length);
    size_t slot = find_slot(vocabulary, hash, text, length);
    if (vocabulary->slots[slot] != 0)
        return hone_fail_at(error, HONE_INPUT, file, -1, -1,
                            "token '%.*s' has two ids: %u and %lld", shown(length), text,
                            (uint32_t)vocabulary->slots[slot] - 1u, (long long)id);
    if (vocabulary->texts[id] != NULL)
        return hone_fail_at(error, HONE_INPUT, file, -1, -1,
                            "id %lld belongs to two tokens: '%.*s' and '%.*s'", (long long)id,
                            shown(vocabulary->lengths[id]), vocabulary->texts[id], shown(length),
                            text);
    vocabulary->texts[id] = text;
    vocabulary->lengths[id] = length;
    vocabulary->slots[slot] = (hash >> 32 << 32) | (uint64_t)(id + 1);
    vocabulary->count++;
    if ((size_t)id >= vocabulary->size)
        vocabulary->size = (size_t)id + 1;
    if (length > vocabulary->longest)
        vocabulary->longest = length;
    return HONE_OK;
}

hone_status hone_vocabulary_check(const hone_vocabulary *vocabulary, const char *file,
                                  hone_error *error)
{
    if (vocabulary->size == 0)
        return hone_fail_at(error, HONE_INPUT, file, -1, -1, "the vocabulary is empty");
    size_t missing = vocabulary->size - vocabulary->count;
    if (missing == 0)
        return HONE_OK;
    size_t id = 0;
    while (vocabulary->texts[id] != NULL)
        id++;
    return hone_fail_at(error, HONE_INPUT, file, -1, -1,
                        "ids 0 to %zu are used with gaps: id %zu has no token%s",
                        vocabulary->size - 1, id, missing > 1 ? ", nor have others" : "");
}

/* GPT-2 shows printable Latin-1 bytes as themselves and the other 68 as U+0100 and up, in order. */
int hone_byte_alphabet_byte(uint32_t code)
{
    if ((code >= 0x21 && code <= 0x7E) || (code >= 0xA1 && code <= 0xFF && code != 0xAD))
        return (int)code;
    if (code >= 0x100 && code <= 0x120)
        return (int)(code - 0x100);
    if (code >= 0x121 && code <= 0x142)
        return (int)(code - 0x121 + 0x7F);
    return code == 0x143 ? 0xAD : -1;
}

size_t hone_byte_alphabet_decode(const char *text, size_t length, char *out)
{
    for (int pass = 0;; pass++) {
        /* First only look, since out may be text. */
        size_t used = 0;
        for (size_t at = 0; at < length;) {
            uint32_t code;
            at += hone_utf8_decode(text + at, length - at, &code);
            int byte = hone_byte_alphabet_byte(code);
            if (byte < 0) {
                memmove(out, text, length);
                return length;
            }
            if (pass == 1)
                out[used] = (char)byte;
            used++;
        }
        if (pass == 1)
            return used;
    }
}
