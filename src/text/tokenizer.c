/* The public tokenizer: encoding and decoding. Text is cut at added tokens, then into pre-tokens,
 * whose ids come from a cache of fixed size or are merged. Each call takes an encoder (cache and
 * scratch) from a list and puts it back, so threads share nothing while they encode. A cache hit
 * gives what merging would: results don't depend on what was encoded before. */
#include "text/encoding.h"
#include "text/pretokenize.h"

#include <string.h>

#define CACHE_BITS 16 /* of a bucket's number */
#define KEY_BYTES 15  /* of a pre-token; the key's last byte is its length, so never 0 */
#define KEY_IDS 4
#define SCRATCH_KEPT ((size_t)1 << 16) /* symbols that an idle encoder may keep room for */

__extension__ typedef unsigned __int128 wide;
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "load_key cuts words by shifting");

typedef struct cache_entry {
    uint64_t key[2];
    int32_t ids[KEY_IDS]; /* -1 after the last */
} cache_entry;

/* One line of the processor's cache: the newer entry first. */
typedef struct cache_bucket {
    cache_entry entries[2];
} cache_bucket;

_Static_assert(sizeof(cache_bucket) << CACHE_BITS == HONE_ENCODER_CACHE, "buckets fill the cache");

hone_tokenizer *hone_tokenizer_new(void)
{
    hone_tokenizer *tokenizer = hone_alloc_array(1, sizeof *tokenizer);
    if (tokenizer == NULL)
        return NULL;
    tokenizer->eos = tokenizer->bos = -1;
    pthread_mutex_init(&tokenizer->lock, NULL);
    return tokenizer;
}

static void encoder_free(hone_encoder *encoder)
{
    hone_pages_free(encoder->cache, HONE_ENCODER_CACHE);
    hone_bpe_scratch_deinit(&encoder->scratch);
    hone_unigram_scratch_deinit(&encoder->cut);
    for (int i = 0; i < 2; i++)
        hone_text_buffer_deinit(&encoder->normal[i]);
    hone_text_buffer_deinit(&encoder->words);
    hone_free(encoder);
}

void hone_tokenizer_close(hone_tokenizer *tokenizer)
{
    if (tokenizer == NULL)
        return;
    while (tokenizer->encoders != NULL) {
        hone_encoder *next = tokenizer->encoders->next;
        encoder_free(tokenizer->encoders);
        tokenizer->encoders = next;
    }
    pthread_mutex_destroy(&tokenizer->lock);
    hone_bpe_deinit(&tokenizer->bpe);
    hone_unigram_deinit(&tokenizer->unigram);
    hone_spiece_rules_deinit(&tokenizer->rules);
    hone_text_steps_deinit(&tokenizer->text.steps);
    for (int i = 0; i < 2; i++)
        hone_added_set_deinit(&tokenizer->added[i]);
    hone_free(tokenizer->bytes);
    hone_free(tokenizer->offsets);
    hone_free(tokenizer->flags);
    hone_arena_deinit(&tokenizer->texts);
    hone_free(tokenizer);
}

int32_t hone_tokenizer_size(const hone_tokenizer *tokenizer)
{
    return tokenizer->size;
}

int32_t hone_tokenizer_eos(const hone_tokenizer *tokenizer)
{
    return tokenizer->eos;
}

int32_t hone_tokenizer_bos(const hone_tokenizer *tokenizer)
{
    return tokenizer->bos;
}

int32_t hone_tokenizer_special_id(const hone_tokenizer *tokenizer, const char *text, size_t length)
{
    for (int i = 0; i < 2; i++) {
        const hone_added_token *token = hone_added_set_get(&tokenizer->added[i], text, length);
        if (token != NULL)
            return token->id;
    }
    return -1;
}

const char *hone_tokenizer_token(const hone_tokenizer *tokenizer, int32_t id, size_t *length)
{
    if (id < 0 || id >= tokenizer->size)
        return NULL;
    *length = tokenizer->offsets[id + 1] - tokenizer->offsets[id] - 1;
    return tokenizer->bytes + tokenizer->offsets[id];
}

static hone_status take_encoder(const hone_tokenizer *constant, hone_encoder **out,
                                hone_error *error)
{
    /* The list of idle encoders is the one part that changes; it has its lock. */
    hone_tokenizer *tokenizer = (hone_tokenizer *)(uintptr_t)constant;
    pthread_mutex_lock(&tokenizer->lock);
    hone_encoder *encoder = tokenizer->encoders;
    if (encoder != NULL)
        tokenizer->encoders = encoder->next;
    pthread_mutex_unlock(&tokenizer->lock);
    if (encoder == NULL) {
        encoder = hone_alloc_array(1, sizeof *encoder);
        if (encoder == NULL)
            return hone_fail_memory(error, "encoder", sizeof *encoder);
        encoder->cache = hone_pages_alloc(HONE_ENCODER_CACHE);
        if (encoder->cache == NULL) {
            hone_free(encoder);
            return hone_fail_memory(error, "encoder", HONE_ENCODER_CACHE);
        }
    }
    *out = encoder;
    return HONE_OK;
}

static void put_encoder(const hone_tokenizer *constant, hone_encoder *encoder)
{
    hone_tokenizer *tokenizer = (hone_tokenizer *)(uintptr_t)constant;
    if (encoder->scratch.capacity > SCRATCH_KEPT)
        hone_bpe_scratch_deinit(&encoder->scratch);
    if (encoder->cut.capacity > SCRATCH_KEPT)
        hone_unigram_scratch_deinit(&encoder->cut);
    hone_text_buffer *const buffers[] = {&encoder->normal[0], &encoder->normal[1], &encoder->words};
    for (int i = 0; i < 3; i++)
        if (buffers[i]->capacity > SCRATCH_KEPT)
            hone_text_buffer_deinit(buffers[i]);
    pthread_mutex_lock(&tokenizer->lock);
    encoder->next = tokenizer->encoders;
    tokenizer->encoders = encoder;
    pthread_mutex_unlock(&tokenizer->lock);
}

hone_status hone_encoding_reserve(hone_encoding *e, size_t more)
{
    size_t needed;
    if (!hone_size_add(e->count, more, &needed) ||
        !hone_array_reserve((void **)&e->ids, &e->capacity, needed, sizeof *e->ids))
        return hone_fail_memory(e->error, "token ids", more * sizeof *e->ids);
    return HONE_OK;
}

/* The bytes of a pre-token at text[at], zeros after its end, and its length in the last byte. Reads
 * 16 bytes of text whatever their place, so that no word is assembled byte by byte. */
static inline void load_key(const char *text, size_t text_length, size_t at, size_t length,
                            uint64_t key[2])
{
    wide value = 0;
    if (text_length - at >= sizeof value) {
        memcpy(&value, text + at, sizeof value);
    } else if (text_length >= sizeof value) {
        memcpy(&value, text + text_length - sizeof value, sizeof value);
        value >>= 8 * (sizeof value - (text_length - at));
    } else {
        memcpy(&value, text + at, length);
    }
    value &= ((wide)1 << 8 * length) - 1;
    key[0] = (uint64_t)value;
    key[1] = (uint64_t)(value >> 64) | (uint64_t)length << 56;
}

static inline size_t hash_key(const uint64_t key[2])
{
    uint64_t hash = (key[0] ^ key[1] * 0x9E3779B97F4A7C15u) * 0xD6E8FEB86659FD93u;
    return (size_t)((hash ^ hash >> 32) * 0xFF51AFD7ED558CCDu >> (64 - CACHE_BITS));
}

/* Appends the ids of an entry; there is room for KEY_IDS. */
static inline void append_entry(hone_encoding *e, const cache_entry *entry)
{
    memcpy(e->ids + e->count, entry->ids, sizeof entry->ids);
    e->count += 1 + (size_t)(entry->ids[1] >= 0) + (size_t)(entry->ids[2] >= 0) +
                (size_t)(entry->ids[3] >= 0);
}

static hone_status merge_word(hone_encoding *e, const char *word, size_t length, size_t *added)
{
    HONE_TRY(hone_encoding_reserve(e, length > KEY_IDS ? length : KEY_IDS));
    HONE_TRY(hone_bpe_encode(&e->tokenizer->bpe, &e->encoder->scratch, word, length,
                             e->ids + e->count, added, e->error));
    e->count += *added;
    return HONE_OK;
}

static hone_status merge_and_keep(hone_encoding *e, const char *word, size_t length,
                                  const uint64_t key[2], cache_bucket *bucket)
{
    size_t added;
    HONE_TRY(merge_word(e, word, length, &added));
    if (added == 0 || added > KEY_IDS)
        return HONE_OK;
    cache_entry entry = {{key[0], key[1]}, {-1, -1, -1, -1}};
    memcpy(entry.ids, e->ids + e->count - added, added * sizeof *entry.ids);
    bucket->entries[1] = bucket->entries[0];
    bucket->entries[0] = entry;
    return HONE_OK;
}

/* Text without added tokens. */
static hone_status encode_words(hone_encoding *e, const char *text, size_t length)
{
    for (size_t at = 0, size; at < length; at += size) {
        size =
            e->tokenizer->use_regex ? hone_pretokenize_next(text + at, length - at) : length - at;
        if (size > KEY_BYTES) {
            size_t added;
            HONE_TRY(merge_word(e, text + at, size, &added));
            continue;
        }
        uint64_t key[2];
        load_key(text, length, at, size, key);
        cache_bucket *bucket = (cache_bucket *)e->encoder->cache + hash_key(key);
        if (e->capacity - e->count < KEY_IDS)
            HONE_TRY(hone_encoding_reserve(e, KEY_IDS));
        cache_entry *entries = bucket->entries;
        if (entries[0].key[0] == key[0] && entries[0].key[1] == key[1])
            append_entry(e, &entries[0]);
        else if (entries[1].key[0] == key[0] && entries[1].key[1] == key[1])
            append_entry(e, &entries[1]);
        else
            HONE_TRY(merge_and_keep(e, text + at, size, key, bucket));
    }
    return HONE_OK;
}

static hone_status encode_stretch(hone_encoding *e, const char *text, size_t length)
{
    if (e->tokenizer->kind == HONE_TOKENIZER_UNIGRAM)
        return hone_encode_spiece(e, text, length);
    if (!e->tokenizer->add_prefix_space || text[0] == ' ')
        return encode_words(e, text, length);
    char *copy = hone_alloc(length + 1);
    if (copy == NULL)
        return hone_fail_memory(e->error, "text with a space before it", length + 1);
    copy[0] = ' ';
    memcpy(copy + 1, text, length);
    hone_status status = encode_words(e, copy, length + 1);
    hone_free(copy);
    return status;
}

/* Cuts text at the added tokens of set number `level`, and what is between them at the next.
 * `first`: it is the beginning of all text. */
static hone_status encode_cut(hone_encoding *e, const char *text, size_t length, int level,
                              bool first)
{
    if (level == 1 && e->tokenizer->from_json)
        return hone_encode_unigram_json(e, text, length, first);
    if (level == 2)
        return encode_stretch(e, text, length);
    hone_added_walk walk = {0};
    for (;;) {
        hone_added_cut cut = hone_added_set_next(&e->tokenizer->added[level], text, length, &walk);
        if (cut.start > walk.begin)
            HONE_TRY(encode_cut(e, text + walk.begin, cut.start - walk.begin, level + 1,
                                first && walk.begin == 0));
        if (cut.token == NULL)
            return HONE_OK;
        HONE_TRY(hone_encoding_reserve(e, 1));
        e->ids[e->count++] = cut.token->id;
        walk.begin = cut.end;
    }
}

hone_status hone_tokenizer_encode(const hone_tokenizer *tokenizer, const char *text, size_t length,
                                  int32_t **ids, size_t *capacity, size_t *count, hone_error *error)
{
    hone_encoding e = {.tokenizer = tokenizer, .ids = *ids, .capacity = *capacity, .error = error};
    *count = 0;
    HONE_TRY(take_encoder(tokenizer, &e.encoder, error));
    hone_status status = encode_cut(&e, text, length, 0, true);
    put_encoder(tokenizer, e.encoder);
    *ids = e.ids;
    *capacity = e.capacity;
    if (status == HONE_OK)
        *count = e.count;
    return status;
}

/* Appends a token's bytes at `out`, or only counts them where it is NULL; *leading tells what is
 * still to be left out. */
static size_t put_token(const hone_tokenizer *tokenizer, int32_t id, bool skip_special,
                        hone_leading_spaces *leading, char *out)
{
    size_t used = 0, begin = tokenizer->offsets[id],
           length = tokenizer->offsets[id + 1] - begin - 1;
    const char *bytes = tokenizer->bytes + begin;
    unsigned char flags = tokenizer->flags[id];
    if (skip_special && (flags & HONE_TOKEN_SPECIAL) != 0)
        return 0;
    bool spaces = (flags & HONE_TOKEN_VERBATIM) == 0;
    if (*leading == HONE_SPACES_FIRST && spaces && memchr(bytes, ' ', length) != NULL) {
        for (size_t i = 0; i < length; i++) {
            if (bytes[i] != ' ' && out != NULL)
                out[used] = bytes[i];
            used += bytes[i] != ' ';
        }
        *leading = HONE_SPACES_KEPT;
        return used;
    }
    bool strip = (*leading == HONE_SPACES_ONE || *leading == HONE_SPACES_EACH) && spaces &&
                 length > 0 && bytes[0] == ' ';
    if (*leading != HONE_SPACES_EACH || length > strip)
        *leading = HONE_SPACES_KEPT;
    if (out != NULL)
        memcpy(out, bytes + strip, length - strip);
    return length - strip;
}

hone_status hone_tokenizer_decode_more(const hone_tokenizer *tokenizer, const int32_t *ids,
                                       size_t count, int skip_special, int *begun, char **text,
                                       size_t *length, hone_error *error)
{
    size_t total = 0;
    hone_leading_spaces leading = *begun ? HONE_SPACES_KEPT : tokenizer->leading, after = leading;
    *text = NULL;
    *length = 0;
    for (size_t i = 0; i < count; i++) {
        if (ids[i] < 0 || ids[i] >= tokenizer->size)
            return hone_fail(error, HONE_INPUT, "token id %d at place %zu: expected 0 to %d",
                             ids[i], i, tokenizer->size - 1);
        size_t size = put_token(tokenizer, ids[i], skip_special != 0, &after, NULL);
        if (!hone_size_add(total, size, &total) || total == SIZE_MAX)
            return hone_fail_memory(error, "decoded text", SIZE_MAX);
    }
    char *out = hone_alloc(total + 1);
    if (out == NULL)
        return hone_fail_memory(error, "decoded text", total + 1);
    size_t used = 0;
    for (size_t i = 0; i < count; i++)
        used += put_token(tokenizer, ids[i], skip_special != 0, &leading, out + used);
    out[used] = '\0';
    *text = out;
    *length = used;
    *begun = leading == HONE_SPACES_KEPT;
    return HONE_OK;
}

hone_status hone_tokenizer_decode(const hone_tokenizer *tokenizer, const int32_t *ids, size_t count,
                                  int skip_special, char **text, size_t *length, hone_error *error)
{
    int begun = 0;
    return hone_tokenizer_decode_more(tokenizer, ids, count, skip_special, &begun, text, length,
                                      error);
}

void hone_tokenizer_free(void *block)
{
    hone_free(block);
}
