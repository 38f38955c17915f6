/* T5's span corruption: spans of a text are taken out, each leaving a sentinel, and the target
 * names what was taken.
 *
 *   text      a b c d e f g h
 *   source    a b <0> e f <1> eos          spans: c d and g h
 *   target    <0> c d <1> g h eos
 *
 * Source:  Raffel et al. 2020, arXiv:1910.10683, section 3.1.4 and figure 2;
 * random_spans_noise_mask and random_spans_helper of their code (t5/data/preprocessors.py). Sizes:
 * noise = round(n density) in [1, n - 1], spans = round(noise / mean) in [1, n - noise], halves to
 * even, so the lengths of source and target follow from n alone. The noise is cut into `spans`
 * parts, the rest too, each composition as likely as any other; they alternate, the rest first.
 * Final sentinel: none. The paper speaks of one that ends the target, but in the code (and in
 *          Transformers' run_t5_mlm, which follows it) a mask always ends with noise, and a
 *          sentinel stands for each part that is left: there is none behind the last span, and eos
 *          ends the target.
 * Deviation: with fewer sentinels than spans there are as many spans as sentinels, longer ones. The
 *          original runs into ids of ordinary tokens, Transformers' script likewise. */
#ifndef HONE_DATA_SPAN_CORRUPTION_H
#define HONE_DATA_SPAN_CORRUPTION_H

#include <stdint.h>

typedef struct hone_span_corruption {
    double noise_density;    /* in [0, 1) */
    double mean_span_length; /* >= 1 */
    int32_t first_sentinel;  /* the first span's; the next ones go down from it */
    int32_t sentinel_count;  /* > 0 */
    int32_t eos;             /* ends source and target; < 0: nothing does */
} hone_span_corruption;

/* Tokens of each kind in a text of some length. */
typedef struct hone_span_sizes {
    int64_t noise, spans;
    int64_t source, target; /* with sentinels and eos */
} hone_span_sizes;

/* Which noise is drawn: the same key, the same noise. */
typedef struct hone_span_key {
    uint64_t seed;
    uint32_t epoch;
    uint32_t document; /* its number in the data set */
} hone_span_key;

/* length >= 2: a token is taken and one left. */
hone_span_sizes hone_span_measure(const hone_span_corruption *spans, int64_t length);
/* The longest text whose source and target keep to the limits; 0 when none of 2 tokens does. */
int64_t hone_span_longest(const hone_span_corruption *spans, int64_t source_limit,
                          int64_t target_limit);
/* Writes source and target of the text, as many tokens as hone_span_measure says. */
void hone_span_corrupt(const hone_span_corruption *spans, hone_span_key key, const int32_t *ids,
                       int64_t length, int32_t *source, int32_t *target);

#endif
