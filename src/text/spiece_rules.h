/* Normalizing text as a sentencepiece model asks for. */
#ifndef HONE_TEXT_SPIECE_RULES_H
#define HONE_TEXT_SPIECE_RULES_H

#include "text/charsmap.h"
#include "text/piece_trie.h"
#include "text/text_buffer.h"

/* The normalizer_spec of a model. Read-only once built. */
typedef struct hone_spiece_rules {
    hone_charsmap map;
    hone_piece_trie own; /* user-defined pieces, which pass as they are */
    bool add_dummy_prefix, remove_extra_whitespaces, escape_whitespaces;
    bool plain[128]; /* bytes that stand for themselves before ASCII and at the end */
} hone_spiece_rules;

/* After map and own are there. */
void hone_spiece_rules_finish(hone_spiece_rules *rules);
void hone_spiece_rules_deinit(hone_spiece_rules *rules);
/* Replaces what is in `out` by the normalized text. With escape_whitespaces, U+2581 is written as a
 * space, whether it stood in the text or for a space. Ill-formed bytes become U+FFFD. Errors:
 * memory. */
hone_status hone_spiece_rules_apply(const hone_spiece_rules *rules, const char *text, size_t length,
                                    hone_text_buffer *out, hone_error *error);

#endif
