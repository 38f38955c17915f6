/* Counter-based random numbers: a draw is a pure function of (seed, site, step, index), so results
 * don't depend on threads, micro-batches or resuming.
 * Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", Philox4x32-10. */
#ifndef HONE_BASE_RANDOM_H
#define HONE_BASE_RANDOM_H

#include <stdint.h>

/* Where a draw is used: the high part of the counter. */
typedef struct hone_random_key {
    uint64_t seed;
    uint32_t site; /* an operation, a parameter, a purpose */
    uint32_t step; /* optimizer step, epoch or 0 */
} hone_random_key;

/* Four independent 32-bit draws for one index. */
static inline void hone_random_block(hone_random_key key, uint64_t index, uint32_t out[4])
{
    uint32_t c0 = (uint32_t)index, c1 = (uint32_t)(index >> 32), c2 = key.site, c3 = key.step;
    uint32_t k0 = (uint32_t)key.seed, k1 = (uint32_t)(key.seed >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

/* Uniform in [0, 1), 53 bits. */
double hone_random_uniform(hone_random_key key, uint64_t index);
/* Standard normal (Box-Muller on the index's block). */
double hone_random_normal(hone_random_key key, uint64_t index);
/* Uniform integer in [0, n), n > 0, without bias worth naming (64-bit multiply). */
uint64_t hone_random_below(hone_random_key key, uint64_t index, uint64_t n);

#endif
