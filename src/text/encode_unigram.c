/* Text to ids by a unigram model: normalized, then cut into pieces word by word where spaces part
 * them, so that scratch stays small. The sum of scores goes on from word to word, as in
 * sentencepiece, where its rounding can decide between two ways of cutting. */
#include "text/encoding.h"

#include <string.h>

/* State from word to word. */
typedef struct stretch {
    hone_encoding *e;
    double score;
    bool after_unknown; /* the last piece was unknown: the next one joins it */
} stretch;

static const char mark[] = "\xE2\x96\x81";

/* Bytes of an unknown character one by one. */
static hone_status put_bytes(hone_encoding *e, const char *text, size_t length)
{
    const hone_unigram *unigram = &e->tokenizer->unigram;
    for (size_t i = 0; i < length; i++) {
        bool space = unigram->spaced && text[i] == ' ';
        const char *bytes = space ? mark : text + i;
        size_t count = space ? sizeof mark - 1 : 1;
        HONE_TRY(hone_encoding_reserve(e, count));
        for (size_t j = 0; j < count; j++)
            e->ids[e->count++] = unigram->bytes[(unsigned char)bytes[j]];
    }
    return HONE_OK;
}

/* Ids of a text that has been cut. */
static hone_status put_pieces(stretch *s, const char *text, size_t length)
{
    hone_encoding *e = s->e;
    const hone_unigram *unigram = &e->tokenizer->unigram;
    const hone_unigram_node *nodes = e->encoder->cut.nodes;
    for (size_t at = 0; at < length; at += nodes[at].length) {
        bool unknown = nodes[at].id == unigram->unknown;
        if (unknown && unigram->byte_fallback) {
            HONE_TRY(put_bytes(e, text + at, nodes[at].length));
        } else if (!unknown || !s->after_unknown) {
            HONE_TRY(hone_encoding_reserve(e, 1));
            e->ids[e->count++] = nodes[at].id;
        }
        s->after_unknown = unknown;
    }
    return HONE_OK;
}

static hone_status put_word(stretch *s, const char *word, size_t length)
{
    hone_unigram_cut cut;
    HONE_TRY(hone_unigram_cut_text(&s->e->tokenizer->unigram, &s->e->encoder->cut, word, length,
                                   s->score, &cut, s->e->error));
    s->score = cut.score;
    return put_pieces(s, word, length);
}

hone_status hone_encode_unigram(hone_encoding *e, const char *text, size_t length)
{
    const hone_tokenizer *tokenizer = e->tokenizer;
    hone_text_buffer *normal = &e->encoder->normal;
    HONE_TRY(hone_spiece_rules_apply(&tokenizer->rules, text, length, normal, e->error));
    stretch s = {.e = e};
    if (normal->length > 0 && !tokenizer->unigram.separable)
        return put_word(&s, normal->text, normal->length);
    for (size_t at = 0; at < normal->length;) {
        const char *word = normal->text + at;
        const char *end =
            at + 1 < normal->length ? memchr(word + 1, ' ', normal->length - at - 1) : NULL;
        size_t size = end != NULL ? (size_t)(end - word) : normal->length - at;
        HONE_TRY(put_word(&s, word, size));
        at += size;
    }
    return HONE_OK;
}
