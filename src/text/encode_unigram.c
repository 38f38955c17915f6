/* Text to ids by a unigram model: normalized, then cut into pieces word by word where spaces part
 * them. Words that were cut before come from a cache.
 *
 * Models from tokenizer.json cut each word on its own, as HF tokenizers does. Those from
 * spiece.model go on with one sum of scores from word to word, as in sentencepiece, where it is a
 * float whose rounding can decide between two ways of cutting. A cached word says up to which sum
 * it can't. */
#include "text/encoding.h"
#include "text/unicode.h"

#include <math.h>
#include <string.h>

#define CACHE_BITS 15 /* of a bucket's number */
#define KEY_BYTES 15  /* of a word; the key's last byte is its length, so never 0 */
#define KEY_IDS 8
#define SUM_LIMIT 100000.0F /* sums beyond are started anew */

typedef struct cache_entry {
    uint64_t key[2];
    int32_t ids[KEY_IDS];
    float limit; /* of the sum before the word, on either side of 0 */
    uint32_t count;
    uint64_t unused; /* fills a line of the processor's cache */
} cache_entry;

/* The newer entry first. */
typedef struct cache_bucket {
    cache_entry entries[2];
} cache_bucket;

_Static_assert(sizeof(cache_bucket) << CACHE_BITS == HONE_ENCODER_CACHE, "buckets fill the cache");

/* State from word to word. */
typedef struct stretch {
    hone_encoding *e;
    float score;
    bool after_unknown; /* the last piece was unknown: the next one joins it */
} stretch;

/* ---- ids of pieces ------------------------------------------------------------------------ */

/* The bytes of unknown text as pieces; false, with none written, where one has none. */
static bool put_bytes(hone_encoding *e, const char *text, size_t length, hone_status *status)
{
    const hone_unigram *unigram = &e->tokenizer->unigram;
    size_t start = e->count;
    for (size_t i = 0; i < length; i++) {
        bool space = unigram->spaced && text[i] == ' ';
        const char *bytes = space ? HONE_SPACE_MARK : text + i;
        size_t count = space ? HONE_SPACE_MARK_LENGTH : 1;
        *status = hone_encoding_reserve(e, count);
        if (*status != HONE_OK)
            return true;
        for (size_t j = 0; j < count; j++) {
            int32_t id = unigram->bytes[(unsigned char)bytes[j]];
            if (id < 0) {
                e->count = start;
                return false;
            }
            e->ids[e->count++] = id;
        }
    }
    return true;
}

/* Unknown text: as HF tokenizers does, neighbours are one text, which may be a piece after all. */
static hone_status put_unknown(hone_encoding *e, const char *text, size_t length, bool whole)
{
    const hone_unigram *unigram = &e->tokenizer->unigram;
    int32_t id = whole ? hone_piece_trie_find(&unigram->trie, text, length) : -1;
    hone_status status = HONE_OK;
    if (id < 0 && unigram->byte_fallback && put_bytes(e, text, length, &status))
        return status;
    HONE_TRY(hone_encoding_reserve(e, 1));
    e->ids[e->count++] = id >= 0 ? id : unigram->unknown;
    return HONE_OK;
}

/* Ids of a text that has been cut. */
static hone_status put_pieces(stretch *s, const char *text, size_t length)
{
    hone_encoding *e = s->e;
    const hone_unigram *unigram = &e->tokenizer->unigram;
    const hone_unigram_node *nodes = e->encoder->cut.nodes;
    bool whole = e->tokenizer->from_json, joined = whole || !unigram->byte_fallback;
    for (size_t at = 0, size; at < length; at += size) {
        bool unknown = nodes[at].id == unigram->unknown;
        size = nodes[at].length;
        if (!unknown) {
            HONE_TRY(hone_encoding_reserve(e, 1));
            e->ids[e->count++] = nodes[at].id;
        } else {
            while (joined && at + size < length && nodes[at + size].id == unigram->unknown)
                size += nodes[at + size].length;
            if (!joined || !s->after_unknown)
                HONE_TRY(put_unknown(e, text + at, size, whole));
        }
        s->after_unknown = unknown;
    }
    return HONE_OK;
}

static hone_status cut_word(stretch *s, const char *word, size_t length, hone_unigram_cut *cut)
{
    hone_encoding *e = s->e;
    if (e->tokenizer->from_json) {
        s->score = 0;
        s->after_unknown = false;
    }
    HONE_TRY(hone_unigram_cut_text(&e->tokenizer->unigram, &e->encoder->cut, word, length,
                                   (double)s->score, cut, e->error));
    s->score = (float)cut->score;
    return put_pieces(s, word, length);
}

/* ---- cache -------------------------------------------------------------------------------- */

static inline void load_key(const char *text, size_t left, size_t length, uint64_t key[2])
{
    if (left >= 16) {
        memcpy(key, text, 16);
        if (length < 8) {
            key[0] &= ((uint64_t)1 << 8 * length) - 1;
            key[1] = 0;
        } else {
            key[1] &= ((uint64_t)1 << 8 * (length - 8)) - 1;
        }
    } else {
        key[0] = key[1] = 0;
        memcpy(key, text, length);
    }
    key[1] |= (uint64_t)length << 56;
}

static inline size_t hash_key(const uint64_t key[2])
{
    uint64_t hash = (key[0] ^ key[1] * 0x9E3779B97F4A7C15u) * 0xD6E8FEB86659FD93u;
    return (size_t)((hash ^ hash >> 32) * 0xFF51AFD7ED558CCDu >> (64 - CACHE_BITS));
}

/* The largest sum before a word of this length up to which its way of cutting stays the best.
 *
 * Up to any place a way has at most `length` pieces, so that its sum is off by length times half
 * the rounding of a float of the largest sum there; two ways differ by twice that. The lead was
 * measured at the sum of now, and is off by as much. The bound is halved once more for good
 * measure. */
static float safe_limit(const hone_unigram *unigram, const hone_unigram_cut *cut, double now,
                        size_t length)
{
    double pieces = (double)length, span = pieces * unigram->largest;
    double rounding = (fabs(now) + span) * 0x1p-23;
    double lead = cut->lead - pieces * rounding;
    double limit = lead * 0x1p22 / pieces - span;
    double most = (double)SUM_LIMIT - span;
    return (float)(limit < most ? limit : most);
}

static hone_status cut_and_keep(stretch *s, const char *word, size_t length, const uint64_t key[2],
                                cache_bucket *bucket)
{
    hone_encoding *e = s->e;
    size_t start = e->count;
    double before = (double)s->score;
    bool json = e->tokenizer->from_json;
    hone_unigram_cut cut;
    HONE_TRY(cut_word(s, word, length, &cut));
    size_t count = e->count - start;
    if (count == 0 || count > KEY_IDS || (cut.unknown && !json))
        return HONE_OK;
    cache_entry entry = {.key = {key[0], key[1]}, .count = (uint32_t)count, .limit = INFINITY};
    if (!json)
        entry.limit = safe_limit(&e->tokenizer->unigram, &cut, before, length);
    memcpy(entry.ids, e->ids + start, count * sizeof *entry.ids);
    bucket->entries[1] = bucket->entries[0];
    bucket->entries[0] = entry;
    return HONE_OK;
}

/* Appends a cached word's ids; there is room for KEY_IDS. */
static inline void put_entry(stretch *s, const cache_entry *entry)
{
    hone_encoding *e = s->e;
    memcpy(e->ids + e->count, entry->ids, sizeof entry->ids);
    e->count += entry->count;
    s->after_unknown = false;
    if (e->tokenizer->from_json)
        return;
    for (uint32_t i = 0; i < entry->count; i++)
        s->score += (float)e->tokenizer->unigram.scores[entry->ids[i]];
}

static inline const cache_entry *find_entry(const cache_bucket *bucket, const uint64_t key[2])
{
    for (int i = 0; i < 2; i++)
        if (bucket->entries[i].key[0] == key[0] && bucket->entries[i].key[1] == key[1])
            return &bucket->entries[i];
    return NULL;
}

/* A word, behind which there are bytes up to `left`, counted from its start. */
static inline hone_status put_word(stretch *s, const char *word, size_t length, size_t left)
{
    hone_encoding *e = s->e;
    hone_unigram_cut cut;
    if (length > KEY_BYTES)
        return cut_word(s, word, length, &cut);
    uint64_t key[2];
    load_key(word, left, length, key);
    cache_bucket *bucket = (cache_bucket *)e->encoder->cache + hash_key(key);
    const cache_entry *entry = find_entry(bucket, key);
    if (entry == NULL)
        return cut_and_keep(s, word, length, key, bucket);
    if (!(fabsf(s->score) <= entry->limit))
        return cut_word(s, word, length, &cut);
    if (e->capacity - e->count < KEY_IDS)
        HONE_TRY(hone_encoding_reserve(e, KEY_IDS));
    put_entry(s, entry);
    return HONE_OK;
}

/* Text in which every space begins a word. */
static hone_status put_words(stretch *s, const char *text, size_t length)
{
    for (size_t at = 0, size; at < length; at += size) {
        const char *word = text + at;
        const char *end = length - at > 1 ? memchr(word + 1, ' ', length - at - 1) : NULL;
        size = end != NULL ? (size_t)(end - word) : length - at;
        HONE_TRY(put_word(s, word, size, length - at));
    }
    return HONE_OK;
}

hone_status hone_encode_spiece(hone_encoding *e, const char *text, size_t length)
{
    hone_text_buffer *normal = &e->encoder->normal[0];
    HONE_TRY(hone_spiece_rules_apply(&e->tokenizer->rules, text, length, normal, e->error));
    stretch s = {.e = e};
    hone_unigram_cut cut;
    if (normal->length == 0)
        return HONE_OK;
    if (!e->tokenizer->unigram.separable)
        return cut_word(&s, normal->text, normal->length, &cut);
    return put_words(&s, normal->text, normal->length);
}

/* ---- tokenizer.json ----------------------------------------------------------------------- */

/* Copies text with spaces for U+2581 behind what is in `out`. */
static bool put_spaced(hone_text_buffer *out, const char *text, size_t length)
{
    if (!hone_text_buffer_reserve(out, length))
        return false;
    for (size_t at = 0; at < length;) {
        bool found = text[at] == HONE_SPACE_MARK[0] && length - at >= HONE_SPACE_MARK_LENGTH &&
                     memcmp(text + at, HONE_SPACE_MARK, HONE_SPACE_MARK_LENGTH) == 0;
        out->text[out->length++] = found ? ' ' : text[at];
        at += found ? HONE_SPACE_MARK_LENGTH : 1;
    }
    return true;
}

/* What white space, or nothing, parts. `first`: it is the beginning of all text. */
static hone_status encode_piece(hone_encoding *e, const char *text, size_t length, bool first)
{
    const hone_unigram_text *how = &e->tokenizer->text;
    stretch s = {.e = e};
    if (!how->metaspace)
        return put_word(&s, text, length, length);
    hone_text_buffer *words = &e->encoder->words;
    words->length = 0;
    if (!hone_text_buffer_reserve(words, 1) || !put_spaced(words, " ", 1) ||
        !put_spaced(words, text, length))
        return hone_fail_memory(e->error, "words", length);
    bool prefix = words->text[1] != ' ' && (how->scheme == HONE_PREPEND_ALWAYS ||
                                            (how->scheme == HONE_PREPEND_FIRST && first));
    const char *begin = words->text + (prefix ? 0 : 1);
    size_t size = words->length - (prefix ? 0 : 1);
    return how->split ? put_words(&s, begin, size) : put_word(&s, begin, size, size);
}

/* Normalized text without added tokens; its first `head` bytes stand for the first character of all
 * text. */
static hone_status encode_part(hone_encoding *e, const char *text, size_t length, size_t head)
{
    if (!e->tokenizer->text.split_white)
        return length > 0 ? encode_piece(e, text, length, head > 0) : HONE_OK;
    for (size_t at = 0, start = 0; at <= length;) {
        uint32_t code = ' ';
        size_t size = 1;
        if (at < length) {
            code = (unsigned char)text[at];
            if (code >= 0x80)
                size = hone_utf8_decode(text + at, length - at, &code);
        }
        bool space = code < 0x80 ? code == ' ' || (code >= '\t' && code <= '\r')
                                 : hone_unicode_class(code) == HONE_CHAR_SPACE;
        if (space && at > start)
            HONE_TRY(encode_piece(e, text + start, at - start, start < head));
        at += size;
        start = space ? at : start;
    }
    return HONE_OK;
}

hone_status hone_encode_unigram_json(hone_encoding *e, const char *text, size_t length, bool first)
{
    const hone_tokenizer *tokenizer = e->tokenizer;
    int which;
    size_t head;
    HONE_TRY(hone_text_steps_apply(&tokenizer->text.steps, text, length, e->encoder->normal, &which,
                                   &head, e->error));
    const hone_text_buffer *normal = &e->encoder->normal[which];
    hone_added_walk walk = {0};
    for (;;) {
        hone_added_cut cut =
            hone_added_set_next(&tokenizer->added[1], normal->text, normal->length, &walk);
        HONE_TRY(encode_part(e, normal->text + walk.begin, cut.start - walk.begin,
                             first && head > walk.begin ? head - walk.begin : 0));
        if (cut.token == NULL)
            return HONE_OK;
        HONE_TRY(hone_encoding_reserve(e, 1));
        e->ids[e->count++] = cut.token->id;
        walk.begin = cut.end;
    }
}
