/* Added tokens: texts that become one id wherever they occur, before anything else is split. */
#ifndef HONE_TEXT_ADDED_TOKENS_H
#define HONE_TEXT_ADDED_TOKENS_H

#include "base/failure.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HONE_ADDED_TOKEN_LONGEST 1024 /* bytes; longer ones are refused on loading */

typedef struct hone_added_token {
    const char *text; /* UTF-8, borrowed, 1 to HONE_ADDED_TOKEN_LONGEST bytes in files */
    size_t length;
    int32_t id;
    bool special;     /* left out by decoding that skips special tokens */
    bool normalized;  /* matched after those that are not */
    bool lstrip;      /* takes the white space on its left with it */
    bool rstrip;      /* and on its right */
    bool single_word; /* matches only where no word character touches it */
    bool foreign;     /* the model's vocabulary does not have it */
} hone_added_token;

/* A set that is searched; no text occurs twice. Read-only once built. */
typedef struct hone_added_set {
    hone_added_token *tokens; /* (count) sorted by bytes */
    size_t count;
    size_t first[257]; /* those that start with byte b: first[b] .. first[b + 1] - 1 */
    int only_byte;     /* the byte that all start with, or -1 */
} hone_added_set;

/* Builds the set from those of tokens[0 .. count-1] whose `normalized` is as given and whose text
 * is not empty; of equal texts the one with the lowest id counts. Texts stay borrowed. Deinit also
 * after a failure and for a zeroed set. */
hone_status hone_added_set_init(hone_added_set *set, const hone_added_token *tokens, size_t count,
                                bool normalized, hone_error *error);
void hone_added_set_deinit(hone_added_set *set);
/* The leftmost match at or after `from`, the longest of those; NULL when there is none. */
const hone_added_token *hone_added_set_find(const hone_added_set *set, const char *text,
                                            size_t length, size_t from, size_t *start);

/* The token with just this text, or NULL. */
const hone_added_token *hone_added_set_get(const hone_added_set *set, const char *text,
                                           size_t length);

/* A place where text is cut: up to `start` it is ordinary text, then comes the token, and the rest
 * begins at `end`. */
typedef struct hone_added_cut {
    const hone_added_token *token; /* NULL: ordinary text up to the end */
    size_t start, end;
} hone_added_cut;

/* Walks over the cuts of a text; starts zeroed. Honours single_word, lstrip and rstrip just as HF
 * tokenizers does. */
typedef struct hone_added_walk {
    size_t search; /* where the next match may begin */
    size_t begin;  /* where ordinary text goes on */
} hone_added_walk;

hone_added_cut hone_added_set_next(const hone_added_set *set, const char *text, size_t length,
                                   hone_added_walk *walk);

#endif
