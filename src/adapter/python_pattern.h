/* Python's regular expressions, as PEFT uses them on module names, by PCRE2. What the two dialects
 * read differently is an error, so a pattern that compiles means what it means in PEFT. */
#ifndef HONE_ADAPTER_PYTHON_PATTERN_H
#define HONE_ADAPTER_PYTHON_PATTERN_H

#include "base/failure.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct hone_pattern hone_pattern;

typedef enum hone_pattern_use {
    HONE_PATTERN_MATCH,    /* re.match: from the first character on */
    HONE_PATTERN_FULLMATCH /* re.fullmatch: all of the text */
} hone_pattern_use;

/* Compiles `before` + `text` + `after`, of which only `text` is the user's; `key` names it in
 * errors. HONE_INPUT for what is no expression or not one that both dialects read alike. */
hone_status hone_pattern_create(const char *key, const char *before, const char *text,
                                const char *after, hone_pattern_use use, hone_pattern **out,
                                hone_error *error);
void hone_pattern_free(hone_pattern *pattern); /* takes NULL */

/* HONE_INPUT when the expression needs too many steps for this subject. */
hone_status hone_pattern_test(hone_pattern *pattern, const char *subject, bool *matches,
                              hone_error *error);
/* After a match: the piece that the named group took; false when it took none. Borrowed from the
 * subject, which must still stand. */
bool hone_pattern_group(const hone_pattern *pattern, const char *subject, const char *name,
                        const char **start, size_t *length);

#endif
