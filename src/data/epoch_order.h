/* The order in which an epoch visits its documents, computed and never stored: resuming in the
 * middle of an epoch of a billion documents needs two numbers. */
#ifndef HONE_DATA_EPOCH_ORDER_H
#define HONE_DATA_EPOCH_ORDER_H

#include "base/random.h"

/* Place `place` of a keyed permutation of 0 .. count-1: place in [0, count), count > 0. The same
 * key and count give a bijection; other keys give unrelated ones. */
int64_t hone_permutation_at(hone_random_key key, int64_t count, int64_t place);

#endif
