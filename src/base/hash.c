/* xxHash behind hash.h: its state is kept in the caller's storage, so that hashing can't fail. */
#include "base/hash.h"

#include <string.h>

#define XXH_STATIC_LINKING_ONLY /* the layout of XXH64_state_t */
#include <xxhash.h>

_Static_assert(sizeof(XXH64_state_t) <= sizeof(hone_hash), "hone_hash holds xxHash's state");

uint64_t hone_hash64(const void *data, size_t size, uint64_t seed)
{
    return XXH64(data, size, seed);
}

void hone_hash_init(hone_hash *hash, uint64_t seed)
{
    XXH64_state_t state;
    memset(hash, 0, sizeof *hash);
    memset(&state, 0, sizeof state);
    XXH64_reset(&state, seed);
    memcpy(hash, &state, sizeof state);
}

void hone_hash_add(hone_hash *hash, const void *data, size_t size)
{
    if (size == 0)
        return;
    XXH64_state_t state;
    memcpy(&state, hash, sizeof state);
    XXH64_update(&state, data, size);
    memcpy(hash, &state, sizeof state);
}

uint64_t hone_hash_get(const hone_hash *hash)
{
    XXH64_state_t state;
    memcpy(&state, hash, sizeof state);
    return XXH64_digest(&state);
}
