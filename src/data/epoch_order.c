/* A keyed permutation: see epoch_order.h.
 * Idea: a Feistel network permutes [0, 2^bits), the smallest such range that holds count. A result
 * at or above count is put through again ("cycle walking"): since the network is a bijection, the
 * walk from a place below count comes back below it, and two walks never meet. On average it takes
 * fewer than two rounds of the network.
 * Source: Black and Rogaway 2002, "Ciphers with arbitrary finite domains". */
#include "data/epoch_order.h"

#include <assert.h>

#define ROUNDS 8 /* even, so that the two halves are back in their places */

static uint64_t low_bits(int bits)
{
    return ((uint64_t)1 << bits) - 1;
}

/* Halves of `low` and `high` bits change roles each round, so an odd number of bits works too. */
static uint64_t feistel(uint32_t keys[ROUNDS][4], int low, int high, uint64_t value)
{
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t right = value & low_bits(low), left = value >> low;
        /* Mixing by two odd multipliers with shifts; the keys are Philox output. */
        uint64_t mixed = right + ((uint64_t)keys[round][0] << 32 | keys[round][1]);
        mixed = (mixed ^ mixed >> 32) * 0xD6E8FEB86659FD93u;
        mixed ^= (uint64_t)keys[round][2] << 32 | keys[round][3];
        mixed = (mixed ^ mixed >> 32) * 0xD6E8FEB86659FD93u;
        left ^= (mixed >> 32 ^ mixed >> 17) & low_bits(high);
        value = right << high | left;
        int swap = low;
        low = high;
        high = swap;
    }
    return value;
}

int64_t hone_permutation_at(hone_random_key key, int64_t count, int64_t place)
{
    assert(place >= 0 && place < count);
    int bits = 1;
    while (bits < 62 && ((int64_t)1 << bits) < count)
        bits++;
    uint32_t keys[ROUNDS][4];
    for (int round = 0; round < ROUNDS; round++)
        hone_random_block(key, (uint64_t)round, keys[round]);
    uint64_t value = (uint64_t)place;
    do {
        value = feistel(keys, bits - bits / 2, bits / 2, value);
    } while (value >= (uint64_t)count);
    return (int64_t)value;
}
