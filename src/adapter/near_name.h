/* The name that a misspelt one was meant to be. */
#ifndef HONE_ADAPTER_NEAR_NAME_H
#define HONE_ADAPTER_NEAR_NAME_H

#include <stddef.h>

/* The candidate with the least edit distance, if that is at most a third of the name's length (at
 * least 2); else NULL. NULL candidates are passed over. The first of equals. Only the first
 * 4096 are looked at: a file may hold millions. */
const char *hone_near_name(const char *name, const char *const *candidates, size_t count);

#endif
