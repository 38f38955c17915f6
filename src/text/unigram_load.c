/* The trie of a unigram model, from pieces, types and scores, whichever file they come from. Where
 * text has U+2581 for every space, both are spelled with a plain space, a third as long. */
#include "text/tokenizer_parts.h"

#include <math.h>
#include <string.h>

hone_status hone_tokenizer_start_unigram(hone_tokenizer_load *load, hone_error *error)
{
    hone_unigram *unigram = &load->tokenizer->unigram;
    size_t count = load->vocabulary.limit;
    load->tokenizer->kind = HONE_TOKENIZER_UNIGRAM;
    unigram->scores = hone_alloc_array(count, sizeof *unigram->scores);
    load->types = hone_alloc_array(count, 1);
    if (unigram->scores == NULL || load->types == NULL)
        return hone_fail_memory(error, "pieces", count * sizeof *unigram->scores);
    return HONE_OK;
}

/* Copies a piece with U+2581 as a space; false when it has a space itself, and so is in no text. */
static bool put_spaced(const char *text, size_t length, hone_piece *piece, char **out)
{
    char *begin = *out;
    for (size_t at = 0; at < length;) {
        bool space = length - at >= HONE_SPACE_MARK_LENGTH &&
                     memcmp(text + at, HONE_SPACE_MARK, HONE_SPACE_MARK_LENGTH) == 0;
        if (text[at] == ' ') {
            *out = begin;
            return false;
        }
        *(*out)++ = space ? ' ' : text[at];
        at += space ? HONE_SPACE_MARK_LENGTH : 1;
    }
    piece->text = begin;
    piece->length = (size_t)(*out - begin);
    return true;
}

static hone_status fill_trie(hone_tokenizer_load *load, hone_piece *pieces, char *texts,
                             const char *file, hone_error *error)
{
    const hone_vocabulary *vocabulary = &load->vocabulary;
    hone_unigram *unigram = &load->tokenizer->unigram;
    size_t count = 0;
    unigram->separable = unigram->spaced;
    for (size_t id = 0; id < vocabulary->size; id++) {
        unsigned type = load->types[id];
        hone_piece *piece = &pieces[count];
        double size = fabs(unigram->scores[id]);
        unigram->largest = size > unigram->largest ? size : unigram->largest;
        bool found = load->all_pieces
                         ? type != HONE_PIECE_NONE
                         : type == HONE_PIECE_NORMAL || type == HONE_PIECE_USER_DEFINED;
        if (!found)
            continue;
        *piece = (hone_piece){vocabulary->texts[id], vocabulary->lengths[id], (int32_t)id};
        if (unigram->spaced && !put_spaced(piece->text, piece->length, piece, &texts))
            continue;
        if (memchr(piece->text + 1, ' ', piece->length - 1) != NULL)
            unigram->separable = false;
        count++;
    }
    if (count == 0)
        return hone_fail_at(error, HONE_INPUT, file, -1, -1, "none of %zu pieces is a normal one",
                            vocabulary->size);
    double size = fabs(unigram->unknown_score);
    unigram->largest = size > unigram->largest ? size : unigram->largest;
    return hone_piece_trie_init(&unigram->trie, pieces, count, error);
}

hone_status hone_tokenizer_build_unigram(hone_tokenizer_load *load, const char *file,
                                         hone_error *error)
{
    const hone_vocabulary *vocabulary = &load->vocabulary;
    size_t total = 1;
    for (size_t id = 0; id < vocabulary->size; id++)
        total += vocabulary->lengths[id];
    hone_piece *pieces = hone_alloc_array(vocabulary->size + 1, sizeof *pieces);
    char *texts = hone_alloc(total);
    hone_status status = HONE_OK;
    if (pieces == NULL || texts == NULL)
        status = hone_fail_memory(error, "pieces", total);
    else
        status = fill_trie(load, pieces, texts, file, error);
    hone_free(pieces);
    hone_free(texts);
    return status;
}
