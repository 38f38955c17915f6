/* Text as it is made, token by token: ends it where a stop string appears, and says which bytes
 * can be shown already. */
#ifndef HONE_INFER_STOP_TEXT_H
#define HONE_INFER_STOP_TEXT_H

#include <hone/options.h>

typedef struct hone_stop_text {
    const hone_list *stops; /* borrowed; none of them empty */
    char *text;             /* (length), NUL-terminated when not NULL */
    size_t length, capacity;
    size_t shown; /* bytes that hone_stop_text_take has given */
} hone_stop_text;

void hone_stop_text_init(hone_stop_text *text, const hone_list *stops);
void hone_stop_text_deinit(hone_stop_text *text);
/* Adds a token's bytes. With `may_stop`, *stopped when a stop string ends in them: the one that
 * ends first, and of those the longest, is cut off with all after it, so that the result does not
 * depend on how the text is cut into tokens. Errors: memory. */
hone_status hone_stop_text_add(hone_stop_text *text, const char *bytes, size_t length,
                               bool may_stop, bool *stopped, hone_error *error);
/* What can be shown and has not been: up to a possible beginning of a stop string or an unfinished
 * UTF-8 character; with `all`, up to the end. Bytes that are not UTF-8 are held back no longer than
 * they might become it. */
const char *hone_stop_text_take(hone_stop_text *text, bool all, size_t *length);

#endif
