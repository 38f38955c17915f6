/* The percentile bootstrap: see bootstrap.h.
 * Source: Efron 1979, "Bootstrap methods: another look at the jackknife". */
#include "metric/bootstrap.h"

#include "base/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SITE 0x424F4F54u /* "BOOT" */

void hone_bootstrap_draw(uint64_t seed, uint32_t sample, uint32_t *weights, size_t rows)
{
    hone_random_key key = {seed, SITE, sample};
    __extension__ typedef unsigned __int128 wide;
    memset(weights, 0, rows * sizeof *weights);
    for (size_t i = 0; i < rows; i += 2) {
        uint32_t bits[4];
        hone_random_block(key, i / 2, bits);
        for (size_t k = 0; k < 2 && i + k < rows; k++) {
            uint64_t draw = (uint64_t)bits[2 * k + 1] << 32 | bits[2 * k];
            weights[(size_t)((wide)draw * rows >> 64)]++;
        }
    }
}

double hone_bootstrap_quantile(const double *sorted, size_t count, double q)
{
    double place = q * (double)(count - 1);
    size_t below = (size_t)floor(place);
    if (below + 1 >= count)
        return sorted[count - 1];
    return sorted[below] + (place - (double)below) * (sorted[below + 1] - sorted[below]);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void hone_bootstrap_sort(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare);
}
