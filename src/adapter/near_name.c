/* Edit distance between short names: see near_name.h. Nothing here allocates: names longer than
 * LONGEST are never near. */
#include "adapter/near_name.h"

#include <string.h>

enum { LONGEST = 160, MOST = 4096 };

/* Levenshtein distance of a (shorter than LONGEST) and b, or `limit` if it is no less. */
static size_t edit_distance(const char *a, const char *b, size_t limit)
{
    size_t n = strlen(a), m = strlen(b);
    if ((n > m ? n - m : m - n) >= limit || n >= LONGEST)
        return limit;
    size_t row[LONGEST];
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 1; i <= m; i++) {
        size_t diagonal = row[0], least = row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t replace = diagonal + (a[j - 1] != b[i - 1]);
            diagonal = row[j];
            size_t best = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
            row[j] = replace < best ? replace : best;
            least = row[j] < least ? row[j] : least;
        }
        if (least >= limit)
            return limit;
    }
    return row[n] < limit ? row[n] : limit;
}

const char *hone_near_name(const char *name, const char *const *candidates, size_t count)
{
    const char *nearest = NULL;
    size_t third = strlen(name) / 3, limit = (third > 2 ? third : 2) + 1;
    for (size_t i = 0; i < count && i < MOST; i++) {
        if (candidates[i] == NULL)
            continue;
        size_t distance = edit_distance(name, candidates[i], limit);
        if (distance < limit) {
            limit = distance;
            nearest = candidates[i];
        }
        if (limit == 0)
            break;
    }
    return nearest;
}
