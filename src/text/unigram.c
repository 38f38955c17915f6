/* Cutting by the unigram model: see unigram.h. One pass from left to right keeps the best way to
 * every place; the way is then turned around, from its end to its start.
 * Source: Kudo 2018, arXiv:1804.10959, section 3.2; ties, rounding and the score of unknown
 * characters are those of sentencepiece 0.2.3 (src/unigram_model.cc) and HF tokenizers. */
#include "text/unigram.h"

#include "base/memory.h"

#include <math.h>

void hone_unigram_deinit(hone_unigram *unigram)
{
    hone_piece_trie_deinit(&unigram->trie);
    hone_free(unigram->scores);
    *unigram = (hone_unigram){0};
}

/* Beyond this, sentencepiece starts a sum of floats anew, so that it stays exact enough. */
#define SINGLE_LIMIT 100000.0

static inline double sum(double a, double b, bool single)
{
    return single ? (double)((float)a + (float)b) : a + b;
}

static inline void offer(hone_unigram_node *node, double score, int32_t id, size_t length)
{
    if (node->length == 0) {
        node->lead = INFINITY;
    } else if (score > node->score) {
        node->lead = (float)(score - node->score);
    } else {
        double behind = node->score - score;
        node->lead = behind < (double)node->lead ? (float)behind : node->lead;
        return;
    }
    node->score = score;
    node->id = id;
    node->length = (uint32_t)length;
}

/* Makes the sum 0 at `start` and lowers those that have been found behind it alike. */
static void start_anew(hone_unigram_node *nodes, size_t start, size_t frontier)
{
    double score = nodes[start].score;
    nodes[start].score = 0;
    for (size_t i = start + 1; i <= frontier; i++)
        if (nodes[i].length > 0)
            nodes[i].score = sum(nodes[i].score, -score, true);
}

static inline void spread(const hone_unigram *unigram, hone_unigram_node *nodes, const char *text,
                          size_t length, bool single)
{
    const hone_piece_trie *trie = &unigram->trie;
    size_t frontier = 0;
    for (size_t start = 0, size; start < length; start += size) {
        if (single && fabs(nodes[start].score) > SINGLE_LIMIT)
            start_anew(nodes, start, frontier);
        double score = nodes[start].score;
        bool covered = false;
        size = hone_unigram_character((unsigned char)text[start], length - start);
        uint32_t place = 0;
        size_t end = start + size;
        for (size_t at = start; at < length;) {
            place = hone_piece_trie_child(trie, place, (unsigned char)text[at]);
            if (place == 0)
                break;
            at++;
            int32_t id = trie->nodes[place].id;
            if (id < 0)
                continue;
            offer(&nodes[at], sum(score, unigram->scores[id], single), id, at - start);
            covered |= at - start == size;
            end = at > end ? at : end;
        }
        if (!covered)
            offer(&nodes[start + size], sum(score, unigram->unknown_score, single),
                  unigram->unknown, size);
        frontier = end > frontier ? end : frontier;
    }
}

hone_status hone_unigram_cut_text(const hone_unigram *unigram, hone_unigram_scratch *scratch,
                                  const char *text, size_t length, double score,
                                  hone_unigram_cut *cut, hone_error *error)
{
    if (length >= UINT32_MAX || !hone_array_reserve((void **)&scratch->nodes, &scratch->capacity,
                                                    length + 1, sizeof *scratch->nodes))
        return hone_fail_memory(error, "a text being cut into pieces", length);
    hone_unigram_node *nodes = scratch->nodes;
    for (size_t i = 0; i <= length; i++)
        nodes[i].length = 0;
    nodes[0].score = score;
    if (unigram->single)
        spread(unigram, nodes, text, length, true);
    else
        spread(unigram, nodes, text, length, false);

    *cut = (hone_unigram_cut){.score = nodes[length].score, .lead = HUGE_VAL};
    hone_unigram_node next = nodes[length];
    for (size_t end = length; end > 0;) {
        size_t start = end - next.length;
        hone_unigram_node piece = next;
        next = nodes[start];
        nodes[start].id = piece.id;
        nodes[start].length = piece.length;
        cut->lead = (double)piece.lead < cut->lead ? (double)piece.lead : cut->lead;
        cut->unknown |= piece.id == unigram->unknown;
        end = start;
    }
    return HONE_OK;
}

void hone_unigram_scratch_deinit(hone_unigram_scratch *scratch)
{
    hone_free(scratch->nodes);
    *scratch = (hone_unigram_scratch){0};
}
