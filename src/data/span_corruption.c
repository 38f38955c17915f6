/* See span_corruption.h. Both compositions are drawn part by part while the text is copied, so
 * nothing is stored: of n items in k parts, item by item, the next one begins a part with
 * probability (parts to begin) / (items left), which makes all choices of k - 1 borders equally
 * likely (Knuth, The Art of Computer Programming 2, algorithm 3.4.2 S). */
#include "data/span_corruption.h"

#include "base/random.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define SITE_SPANS 0x5350414Eu /* "SPAN": a site of random.h */

static int64_t within(int64_t value, int64_t low, int64_t high)
{
    return value > high ? high : value < low ? low : value;
}

hone_span_sizes hone_span_measure(const hone_span_corruption *spans, int64_t length)
{
    assert(length >= 2 && spans->sentinel_count > 0);
    int64_t ends = spans->eos >= 0;
    int64_t noise = llrint((double)length * spans->noise_density); /* halves to even */
    noise = within(noise, 1, length - 1);
    int64_t count = llrint((double)noise / spans->mean_span_length);
    count = within(count, 1, length - noise);
    count = within(count, 1, spans->sentinel_count);
    return (hone_span_sizes){.noise = noise,
                             .spans = count,
                             .source = length - noise + count + ends,
                             .target = noise + count + ends};
}

int64_t hone_span_longest(const hone_span_corruption *spans, int64_t source_limit,
                          int64_t target_limit)
{
    /* Neither size falls where the text grows, and they sum to more than the text. */
    int64_t fits = 0, beyond = INT32_MAX;
    if (source_limit + target_limit < beyond)
        beyond = source_limit + target_limit + 1;
    if (beyond < 2)
        return 0;
    for (int64_t low = 2; low < beyond;) {
        int64_t middle = low + (beyond - low) / 2;
        hone_span_sizes sizes = hone_span_measure(spans, middle);
        if (sizes.source <= source_limit && sizes.target <= target_limit) {
            fits = middle;
            low = middle + 1;
        } else {
            beyond = middle;
        }
    }
    return fits;
}

/* A composition being drawn: `items` not yet counted, `parts` not yet begun. */
typedef struct composition {
    hone_random_key key;
    uint64_t draw;
    int64_t items, parts;
} composition;

/* The length of the next part. */
static int64_t next_part(composition *c)
{
    int64_t length = 1;
    c->items--;
    c->parts--;
    for (; c->items > 0; c->items--, length++)
        if (hone_random_below(c->key, c->draw++, (uint64_t)c->items) < (uint64_t)c->parts)
            break;
    return length;
}

void hone_span_corrupt(const hone_span_corruption *spans, hone_span_key key, const int32_t *ids,
                       int64_t length, int32_t *source, int32_t *target)
{
    hone_span_sizes sizes = hone_span_measure(spans, length);
    composition rest = {.key = {.seed = key.seed, .site = SITE_SPANS, .step = key.epoch},
                        .draw = (uint64_t)key.document << 32,
                        .items = length - sizes.noise,
                        .parts = sizes.spans};
    composition noise = rest;
    noise.draw += (uint64_t)rest.items; /* behind what the rest can draw */
    noise.items = sizes.noise;
    for (int64_t i = 0; i < sizes.spans; i++) {
        int32_t sentinel = spans->first_sentinel - (int32_t)i;
        size_t kept = (size_t)next_part(&rest), taken = (size_t)next_part(&noise);
        memcpy(source, ids, kept * sizeof *ids);
        source += kept;
        *source++ = sentinel;
        *target++ = sentinel;
        memcpy(target, ids + kept, taken * sizeof *ids);
        target += taken;
        ids += kept + taken;
    }
    if (spans->eos >= 0)
        *source = *target = spans->eos;
}
