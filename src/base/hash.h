/* 64-bit hashes of content (xxh64): data sets, checkpoint manifests. Not for secrets. */
#ifndef HONE_BASE_HASH_H
#define HONE_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t hone_hash64(const void *data, size_t size, uint64_t seed);

/* The same in pieces: the value depends on the bytes alone, not on how they were cut. */
typedef struct hone_hash {
    uint64_t state[11]; /* opaque */
} hone_hash;

void hone_hash_init(hone_hash *hash, uint64_t seed);
void hone_hash_add(hone_hash *hash, const void *data, size_t size); /* data NULL when size is 0 */
uint64_t hone_hash_get(const hone_hash *hash); /* of all that was added; more may follow */

#endif
