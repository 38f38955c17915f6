/* The public tokenizer: encoding and decoding. Text is cut at added tokens, then into pre-tokens,
 * whose ids come from a cache of fixed size or are merged. Each call takes an encoder (cache and
 * scratch) from a list and puts it back, so threads share nothing while they encode. A cache hit
 * gives what merging would: results don't depend on what was encoded before. */
#include "text/pretokenize.h"
#include "text/tokenizer_parts.h"

#include <string.h>

#define CACHE_BITS 16 /* of a bucket's number: 4 MiB, touched as words come */
#define CACHE_BUCKETS ((size_t)1 << CACHE_BITS)
#define CACHE_BYTES (CACHE_BUCKETS * sizeof(cache_bucket))
#define KEY_BYTES 15 /* of a pre-token; the key's last byte is its length, so never 0 */
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

typedef struct hone_encoder {
    struct hone_encoder *next; /* of the idle ones */
    cache_bucket *cache;
    hone_bpe_scratch scratch;
} hone_encoder;

/* One call of encode. */
typedef struct encoding {
    const hone_tokenizer *tokenizer;
    hone_encoder *encoder;
    int32_t *ids;
    size_t count, capacity;
    hone_error *error;
} encoding;

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
    hone_pages_free(encoder->cache, CACHE_BYTES);
    hone_bpe_scratch_deinit(&encoder->scratch);
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
    for (int i = 0; i < 2; i++)
        hone_added_set_deinit(&tokenizer->added[i]);
    hone_free(tokenizer->bytes);
    hone_free(tokenizer->offsets);
    hone_free(tokenizer->special);
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
        encoder->cache = hone_pages_alloc(CACHE_BYTES);
        if (encoder->cache == NULL) {
            hone_free(encoder);
            return hone_fail_memory(error, "encoder", CACHE_BYTES);
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
    pthread_mutex_lock(&tokenizer->lock);
    encoder->next = tokenizer->encoders;
    tokenizer->encoders = encoder;
    pthread_mutex_unlock(&tokenizer->lock);
}

static hone_status reserve(encoding *e, size_t more)
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
static inline void append_entry(encoding *e, const cache_entry *entry)
{
    memcpy(e->ids + e->count, entry->ids, sizeof entry->ids);
    e->count += 1 + (size_t)(entry->ids[1] >= 0) + (size_t)(entry->ids[2] >= 0) +
                (size_t)(entry->ids[3] >= 0);
}

static hone_status merge_word(encoding *e, const char *word, size_t length, size_t *added)
{
    HONE_TRY(reserve(e, length > KEY_IDS ? length : KEY_IDS));
    HONE_TRY(hone_bpe_encode(&e->tokenizer->bpe, &e->encoder->scratch, word, length,
                             e->ids + e->count, added, e->error));
    e->count += *added;
    return HONE_OK;
}

static hone_status merge_and_keep(encoding *e, const char *word, size_t length,
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
static hone_status encode_words(encoding *e, const char *text, size_t length)
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
        cache_bucket *bucket = &e->encoder->cache[hash_key(key)];
        if (e->capacity - e->count < KEY_IDS)
            HONE_TRY(reserve(e, KEY_IDS));
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

static hone_status encode_stretch(encoding *e, const char *text, size_t length)
{
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

/* Cuts text at the added tokens of set number `level`, and what is between them at the next. */
static hone_status encode_cut(encoding *e, const char *text, size_t length, int level)
{
    if (level == 2)
        return encode_stretch(e, text, length);
    hone_added_walk walk = {0};
    for (;;) {
        hone_added_cut cut = hone_added_set_next(&e->tokenizer->added[level], text, length, &walk);
        if (cut.start > walk.begin)
            HONE_TRY(encode_cut(e, text + walk.begin, cut.start - walk.begin, level + 1));
        if (cut.token == NULL)
            return HONE_OK;
        HONE_TRY(reserve(e, 1));
        e->ids[e->count++] = cut.token->id;
        walk.begin = cut.end;
    }
}

hone_status hone_tokenizer_encode(const hone_tokenizer *tokenizer, const char *text, size_t length,
                                  int32_t **ids, size_t *capacity, size_t *count, hone_error *error)
{
    encoding e = {.tokenizer = tokenizer, .ids = *ids, .capacity = *capacity, .error = error};
    *count = 0;
    HONE_TRY(take_encoder(tokenizer, &e.encoder, error));
    hone_status status = encode_cut(&e, text, length, 0);
    put_encoder(tokenizer, e.encoder);
    *ids = e.ids;
    *capacity = e.capacity;
    if (status == HONE_OK)
        *count = e.count;
    return status;
}

hone_status hone_tokenizer_decode(const hone_tokenizer *tokenizer, const int32_t *ids, size_t count,
                                  int skip_special, char **text, size_t *length, hone_error *error)
{
    const size_t *offsets = tokenizer->offsets;
    size_t total = 0;
    *text = NULL;
    *length = 0;
    for (size_t i = 0; i < count; i++) {
        if (ids[i] < 0 || ids[i] >= tokenizer->size)
            return hone_fail(error, HONE_INPUT, "token id %d at place %zu: expected 0 to %d",
                             ids[i], i, tokenizer->size - 1);
        bool skip = skip_special && tokenizer->special[ids[i]];
        size_t size = skip ? 0 : offsets[ids[i] + 1] - offsets[ids[i]] - 1;
        if (!hone_size_add(total, size, &total) || total == SIZE_MAX)
            return hone_fail_memory(error, "decoded text", SIZE_MAX);
    }
    char *out = hone_alloc(total + 1);
    if (out == NULL)
        return hone_fail_memory(error, "decoded text", total + 1);
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        size_t size = offsets[ids[i] + 1] - offsets[ids[i]] - 1;
        if (skip_special && tokenizer->special[ids[i]])
            continue;
        memcpy(out + used, tokenizer->bytes + offsets[ids[i]], size);
        used += size;
    }
    out[used] = '\0';
    *text = out;
    *length = used;
    return HONE_OK;
}

void hone_tokenizer_free(void *block)
{
    hone_free(block);
}
