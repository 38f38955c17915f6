/* Finding added tokens: see added_tokens.h. A sorted list narrowed byte by byte stands in for a
 * trie; few texts have more than a handful of candidates. */
#include "text/added_tokens.h"

#include "base/memory.h"
#include "text/unicode.h"

#include <stdlib.h>
#include <string.h>

static int compare_texts(const void *a, const void *b)
{
    const hone_added_token *x = a, *y = b;
    int order = memcmp(x->text, y->text, x->length < y->length ? x->length : y->length);
    return order != 0 ? order : (x->length > y->length) - (x->length < y->length);
}

static int compare_tokens(const void *a, const void *b)
{
    const hone_added_token *x = a, *y = b;
    int order = compare_texts(a, b);
    return order != 0 ? order : (x->id > y->id) - (x->id < y->id);
}

hone_status hone_added_set_init(hone_added_set *set, const hone_added_token *tokens, size_t count,
                                bool normalized, hone_error *error)
{
    *set = (hone_added_set){.only_byte = -1};
    if (count == 0)
        return HONE_OK;
    set->tokens = hone_alloc_array(count, sizeof *set->tokens);
    if (set->tokens == NULL)
        return hone_fail_memory(error, "added tokens", count * sizeof *set->tokens);
    for (size_t i = 0; i < count; i++)
        if (tokens[i].normalized == normalized && tokens[i].length > 0)
            set->tokens[set->count++] = tokens[i];
    if (set->count == 0)
        return HONE_OK;
    qsort(set->tokens, set->count, sizeof *set->tokens, compare_tokens);
    size_t kept = 1;
    for (size_t i = 1; i < set->count; i++)
        if (compare_texts(&set->tokens[kept - 1], &set->tokens[i]) != 0)
            set->tokens[kept++] = set->tokens[i];
    set->count = kept;
    for (size_t i = 0; i < set->count; i++)
        set->first[(unsigned char)set->tokens[i].text[0] + 1] = i + 1;
    for (size_t b = 1; b <= 256; b++)
        if (set->first[b] == 0)
            set->first[b] = set->first[b - 1];
    unsigned char first = (unsigned char)set->tokens[0].text[0];
    if (first == (unsigned char)set->tokens[set->count - 1].text[0])
        set->only_byte = first;
    return HONE_OK;
}

void hone_added_set_deinit(hone_added_set *set)
{
    hone_free(set->tokens);
    *set = (hone_added_set){0};
}

/* First of tokens low .. high-1, equal in `depth` bytes and longer, whose next byte is >= byte. */
static size_t lower_bound(const hone_added_token *tokens, size_t low, size_t high, size_t depth,
                          unsigned byte)
{
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if ((unsigned char)tokens[middle].text[depth] < byte)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Longest token that text starts with. */
static const hone_added_token *match_here(const hone_added_set *set, const char *text,
                                          size_t length)
{
    const hone_added_token *tokens = set->tokens, *best = NULL;
    unsigned byte = (unsigned char)text[0];
    size_t low = set->first[byte], high = set->first[byte + 1];
    for (size_t depth = 1; low < high; depth++) {
        if (tokens[low].length == depth)
            best = &tokens[low++];
        if (depth >= length)
            break;
        if (high - low == 1) {
            const hone_added_token *last = &tokens[low];
            return last->length <= length && memcmp(last->text, text, last->length) == 0 ? last
                                                                                         : best;
        }
        byte = (unsigned char)text[depth];
        low = lower_bound(tokens, low, high, depth, byte);
        high = lower_bound(tokens, low, high, depth, byte + 1);
    }
    return best;
}

const hone_added_token *hone_added_set_find(const hone_added_set *set, const char *text,
                                            size_t length, size_t from, size_t *start)
{
    if (set->count == 0)
        return NULL;
    for (size_t at = from; at < length; at++) {
        if (set->only_byte >= 0) {
            const char *hit = memchr(text + at, set->only_byte, length - at);
            if (hit == NULL)
                return NULL;
            at = (size_t)(hit - text);
        }
        const hone_added_token *token = match_here(set, text + at, length - at);
        if (token != NULL) {
            *start = at;
            return token;
        }
    }
    return NULL;
}

const hone_added_token *hone_added_set_get(const hone_added_set *set, const char *text,
                                           size_t length)
{
    hone_added_token key = {.text = text, .length = length};
    return set->count == 0 ? NULL
                           : bsearch(&key, set->tokens, set->count, sizeof key, compare_texts);
}

static bool touches_word(const char *text, size_t length, size_t start, size_t end)
{
    uint32_t code;
    if (start > 0) {
        hone_utf8_last(text, start, &code);
        if (hone_unicode_is_word(code))
            return true;
    }
    if (end == length)
        return false;
    hone_utf8_decode(text + end, length - end, &code);
    return hone_unicode_is_word(code);
}

hone_added_cut hone_added_set_next(const hone_added_set *set, const char *text, size_t length,
                                   hone_added_walk *walk)
{
    const hone_added_token *token;
    size_t start, end;
    do {
        token = hone_added_set_find(set, text, length, walk->search, &start);
        if (token == NULL) {
            hone_added_cut rest = {NULL, length, length};
            return rest;
        }
        end = start + token->length;
        walk->search = end;
    } while (token->single_word && touches_word(text, length, start, end));
    uint32_t code;
    if (token->lstrip) {
        while (start > walk->begin) {
            size_t last = hone_utf8_last(text, start, &code);
            if (hone_unicode_class(code) != HONE_CHAR_SPACE)
                break;
            start = last;
        }
        start = start > walk->begin ? start : walk->begin;
    }
    while (token->rstrip && end < length) {
        size_t size = hone_utf8_decode(text + end, length - end, &code);
        if (hone_unicode_class(code) != HONE_CHAR_SPACE)
            break;
        end += size;
    }
    return (hone_added_cut){token, start, end};
}
