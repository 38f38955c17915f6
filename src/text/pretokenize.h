/* Splitting text as GPT-2 does before byte pairs are merged. */
#ifndef HONE_TEXT_PRETOKENIZE_H
#define HONE_TEXT_PRETOKENIZE_H

#include <stddef.h>

/* Bytes of the first match (at least 1) of
 *     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 * in text (length > 0). Matches cover every byte; bytes that are not UTF-8 count as one character
 * each that is neither letter, number nor space. */
size_t hone_pretokenize_next(const char *text, size_t length);

#endif
