/* Draws made from the counter-based blocks of random.h. */
#include "base/random.h"

#include <math.h>

static double uniform_from(uint32_t high, uint32_t low)
{
    uint64_t bits = ((uint64_t)high << 32 | low) >> 11;
    return (double)bits * 0x1p-53;
}

double hone_random_uniform(hone_random_key key, uint64_t index)
{
    uint32_t block[4];
    hone_random_block(key, index, block);
    return uniform_from(block[0], block[1]);
}

double hone_random_normal(hone_random_key key, uint64_t index)
{
    uint32_t block[4];
    hone_random_block(key, index, block);
    double radius = sqrt(-2.0 * log(1.0 - uniform_from(block[0], block[1])));
    return radius * cos(6.283185307179586 * uniform_from(block[2], block[3]));
}

uint64_t hone_random_below(hone_random_key key, uint64_t index, uint64_t n)
{
    uint32_t block[4];
    hone_random_block(key, index, block);
    uint64_t bits = (uint64_t)block[0] << 32 | block[1];
    __extension__ typedef unsigned __int128 wide;
    return (uint64_t)(((wide)bits * n) >> 64);
}
