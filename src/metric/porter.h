/* Porter's stemmer with the changes that NLTK makes to it, for words of a-z and 0-9.
 * Source: Porter 1980, "An algorithm for suffix stripping", Program 14(3), 130-137; the changes are
 * those of NLTK's mode NLTK_EXTENSIONS (listed in porter.c). */
#ifndef HONE_METRIC_PORTER_H
#define HONE_METRIC_PORTER_H

#include <stddef.h>

/* Stems a word in place and returns the new length, which is never greater. */
size_t hone_porter_stem(char *word, size_t length);

#endif
