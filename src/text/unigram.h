/* The unigram model: the cutting of a text into pieces whose scores have the highest sum. */
#ifndef HONE_TEXT_UNIGRAM_H
#define HONE_TEXT_UNIGRAM_H

#include "text/piece_trie.h"

#define HONE_SPACE_MARK "\xE2\x96\x81" /* U+2581, which stands for a space in pieces */
#define HONE_SPACE_MARK_LENGTH 3

#define HONE_PIECE_LONGEST 7999 /* bytes of a piece; longer ones are refused on loading */

/* Read-only once built, so any number of threads may use it. */
typedef struct hone_unigram {
    hone_piece_trie trie;
    double *scores;       /* by id */
    double unknown_score; /* of a character that is no piece */
    double largest;       /* absolute value of all scores */
    int32_t unknown;      /* id of what no piece covers */
    int32_t bytes[256];   /* ids of byte pieces; with byte_fallback, in place of unknown */
    bool byte_fallback;
    bool single;    /* sums are rounded to float, as sentencepiece's are; otherwise as HF's */
    bool spaced;    /* U+2581 is written as a space, in pieces and in text */
    bool separable; /* no piece has a space behind its first character: spaces part words */
} hone_unigram;

/* One place in a text that is being cut. */
typedef struct hone_unigram_node {
    double score;    /* of the best way up to here */
    float lead;      /* by which it is better than the second best */
    int32_t id;      /* of the piece that ends here; after cutting: that starts here */
    uint32_t length; /* of that piece in bytes, 0: nothing ends here */
} hone_unigram_node;

/* Scratch of one thread; zeroed before first use. */
typedef struct hone_unigram_scratch {
    hone_unigram_node *nodes;
    size_t capacity;
} hone_unigram_scratch;

/* A text that has been cut. */
typedef struct hone_unigram_cut {
    double score; /* at its end */
    double lead;  /* least lead on the best way, infinite for the only one */
    bool unknown; /* some piece on the way is */
} hone_unigram_cut;

void hone_unigram_deinit(hone_unigram *unigram);
/* Cuts text (length > 0), whose sum begins with `score`. Then the piece that starts at 0 is
 * scratch->nodes[0]: id and length; the next one starts where it ends, up to length.
 * Of equal sums the one whose last piece starts first wins. Time goes with length times the longest
 * piece. Errors: memory. */
hone_status hone_unigram_cut_text(const hone_unigram *unigram, hone_unigram_scratch *scratch,
                                  const char *text, size_t length, double score,
                                  hone_unigram_cut *cut, hone_error *error);
void hone_unigram_scratch_deinit(hone_unigram_scratch *scratch);

/* Bytes of the character that starts with `lead`, by its first byte alone, at most `left`. */
static inline size_t hone_unigram_character(unsigned char lead, size_t left)
{
    size_t size = lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    return size < left ? size : left;
}

#endif
