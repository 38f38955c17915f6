/* Sampling: see sampling.h. Nothing here allocates.
 *
 * top_k and top_p need the most likely tokens, not all of them in order: partial selection by
 * partitions, in which the sum of probabilities takes the place of the number of elements. Tokens
 * are ordered by logit, equal ones by index, so that every cut is well defined. */
#include "infer/sampling.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Places in the scratch. */
typedef struct workspace {
    uint64_t *seen; /* a bit for each token */
    float *weights; /* (vocabulary) exp(logit) of what is left */
    int32_t *order; /* (vocabulary) tokens, partly ordered */
} workspace;

static size_t seen_bytes(int64_t vocabulary)
{
    return (size_t)(vocabulary + 63) / 64 * sizeof(uint64_t);
}

static workspace lay_out(void *scratch, int64_t vocabulary)
{
    char *at = scratch;
    workspace w = {.seen = scratch};
    w.weights = (float *)(void *)(at + seen_bytes(vocabulary));
    w.order = (int32_t *)(void *)(w.weights + vocabulary);
    return w;
}

size_t hone_sampling_scratch(int64_t vocabulary)
{
    size_t size = seen_bytes(vocabulary) + (size_t)vocabulary * (sizeof(float) + sizeof(int32_t));
    return (size + 7) & ~(size_t)7;
}

/* ---- repetition --------------------------------------------------------------------------- */

/* Each token of the history is punished once, however often it occurs. */
static void penalize(const hone_sampling_row *row, float penalty, uint64_t *seen)
{
    memset(seen, 0, seen_bytes(row->vocabulary));
    for (int64_t i = 0; i < row->count; i++) {
        int32_t id = row->ids[i];
        uint64_t bit = (uint64_t)1 << (id % 64);
        if (seen[id / 64] & bit)
            continue;
        seen[id / 64] |= bit;
        float *logit = &row->logits[id];
        *logit = *logit < 0.0f ? *logit * penalty : *logit / penalty;
    }
}

/* Leaves out every token that would end a run of `size` tokens which the history already holds. */
static void ban_repeated(const hone_sampling_row *row, int64_t size)
{
    const int32_t *suffix = row->ids + row->count - (size - 1);
    size_t bytes = (size_t)(size - 1) * sizeof *row->ids;
    for (int64_t i = 0; i + size <= row->count; i++)
        if (bytes == 0 || memcmp(row->ids + i, suffix, bytes) == 0)
            row->logits[row->ids[i + size - 1]] = -INFINITY;
}

/* ---- selection ---------------------------------------------------------------------------- */

static bool ahead(const float *logits, int32_t a, int32_t b)
{
    return logits[a] > logits[b] || (logits[a] == logits[b] && a < b);
}

static void swap(int32_t *order, int64_t a, int64_t b)
{
    int32_t kept = order[a];
    order[a] = order[b];
    order[b] = kept;
}

/* Splits order[first, last): what is ahead of a pivot, the pivot, the rest; the pivot's place. */
static int64_t partition(const float *logits, int32_t *order, int64_t first, int64_t last)
{
    int64_t middle = first + (last - first) / 2, end = last - 1, place = first;
    /* The median of three, moved to the end. */
    if (ahead(logits, order[middle], order[first]))
        swap(order, middle, first);
    if (ahead(logits, order[end], order[first]))
        swap(order, end, first);
    if (ahead(logits, order[middle], order[end]))
        swap(order, middle, end);
    for (int64_t i = first; i < end; i++)
        if (ahead(logits, order[i], order[end]))
            swap(order, i, place++);
    swap(order, place, end);
    return place;
}

/* Writes the tokens that are left to order; how many. */
static int64_t collect(const hone_sampling_row *row, int32_t *order)
{
    int64_t count = 0;
    for (int64_t i = 0; i < row->vocabulary; i++)
        if (row->logits[i] > -INFINITY)
            order[count++] = (int32_t)i;
    return count;
}

/* Leaves the k most likely, and what is as likely as the last of them. */
static void keep_top_k(const hone_sampling_row *row, int64_t k, int32_t *order)
{
    int64_t first = 0, last = collect(row, order), place = -1;
    if (k >= last)
        return;
    while (place != k - 1) {
        place = partition(row->logits, order, first, last);
        if (place < k - 1)
            first = place + 1;
        else
            last = place;
    }
    float least = row->logits[order[k - 1]];
    for (int64_t i = 0; i < row->vocabulary; i++)
        if (row->logits[i] < least)
            row->logits[i] = -INFINITY;
}

static double sum_of(const float *weights, const int32_t *order, int64_t first, int64_t last)
{
    double sum = 0.0;
    for (int64_t i = first; i < last; i++)
        sum += (double)weights[order[i]];
    return sum;
}

/* Leaves a token when those ahead of it have less than p of the probability; the first always. */
static void keep_top_p(const hone_sampling_row *row, double p, const workspace *w)
{
    int64_t count = collect(row, w->order), first = 0, last = count;
    double target = fmax(p * sum_of(w->weights, w->order, 0, count), DBL_MIN), before = 0.0;
    /* order[0, first) stays and weighs `before`; order[last, count) goes. */
    while (first < last && before < target) {
        int64_t place = partition(row->logits, w->order, first, last);
        double through = before + sum_of(w->weights, w->order, first, place);
        if (through >= target) {
            last = place;
        } else {
            before = through + (double)w->weights[w->order[place]];
            first = place + 1;
        }
    }
    for (int64_t i = first; i < count; i++) {
        row->logits[w->order[i]] = -INFINITY;
        w->weights[w->order[i]] = 0.0f;
    }
}

static void keep_min_p(const hone_sampling_row *row, float least, float *weights)
{
    for (int64_t i = 0; i < row->vocabulary; i++)
        if (weights[i] < least) {
            row->logits[i] = -INFINITY;
            weights[i] = 0.0f;
        }
}

/* ---- all together ------------------------------------------------------------------------- */

/* Finds a NaN or +INFINITY, or that nothing is left. */
static hone_row_state state_of(const float *logits, int64_t n)
{
    bool left = false;
    for (int64_t i = 0; i < n; i++) {
        if (!(logits[i] < INFINITY))
            return HONE_ROW_BROKEN;
        left |= logits[i] > -INFINITY;
    }
    return left ? HONE_ROW_FINE : HONE_ROW_EMPTY;
}

hone_row_state hone_sampling_adjust(const hone_generate_settings *settings,
                                    const hone_sampling_row *row, void *scratch)
{
    workspace w = lay_out(scratch, row->vocabulary);
    if (state_of(row->logits, row->vocabulary) != HONE_ROW_FINE)
        return HONE_ROW_BROKEN;
    if (settings->repetition_penalty != 1.0)
        penalize(row, (float)settings->repetition_penalty, w.seen);
    if (settings->no_repeat_ngram_size > 0)
        ban_repeated(row, settings->no_repeat_ngram_size);
    for (size_t i = 0; i < row->end_count && row->made < settings->min_new_tokens; i++)
        row->logits[row->ends[i]] = -INFINITY;
    return state_of(row->logits, row->vocabulary);
}

hone_row_state hone_sampling_process(const hone_generate_settings *settings,
                                     const hone_sampling_row *row, void *scratch)
{
    workspace w = lay_out(scratch, row->vocabulary);
    float *logits = row->logits;
    hone_row_state state = hone_sampling_adjust(settings, row, scratch);
    if (state != HONE_ROW_FINE || settings->temperature <= 0.0)
        return state;
    /* The shift keeps a low temperature from overflowing. */
    float top = logits[hone_sampling_largest(logits, row->vocabulary)];
    float temperature = (float)settings->temperature;
    for (int64_t i = 0; i < row->vocabulary; i++)
        logits[i] = logits[i] < top ? (logits[i] - top) / temperature : 0.0f;
    if (settings->top_k > 0)
        keep_top_k(row, settings->top_k, w.order);
    for (int64_t i = 0; i < row->vocabulary; i++)
        w.weights[i] = logits[i] > -INFINITY ? expf(logits[i]) : 0.0f;
    if (settings->top_p < 1.0)
        keep_top_p(row, settings->top_p, &w);
    if (settings->min_p > 0.0)
        keep_min_p(row, (float)settings->min_p, w.weights);
    return HONE_ROW_FINE;
}

int32_t hone_sampling_largest(const float *logits, int64_t vocabulary)
{
    int64_t best = 0;
    for (int64_t i = 1; i < vocabulary; i++)
        if (logits[i] > logits[best])
            best = i;
    return (int32_t)best;
}

int32_t hone_sampling_draw(const void *scratch, int64_t vocabulary, double uniform)
{
    const float *weights =
        (const float *)(const void *)((const char *)scratch + seen_bytes(vocabulary));
    double total = 0.0, sum = 0.0;
    for (int64_t i = 0; i < vocabulary; i++)
        total += (double)weights[i];
    int64_t chosen = 0;
    for (int64_t i = 0; i < vocabulary && sum <= uniform * total; i++)
        if (weights[i] > 0.0f) {
            sum += (double)weights[i];
            chosen = i;
        }
    return (int32_t)chosen;
}

int32_t hone_sampling_choose(const hone_generate_settings *settings, const hone_sampling_row *row,
                             hone_random_key key, void *scratch)
{
    hone_row_state state = hone_sampling_process(settings, row, scratch);
    if (state != HONE_ROW_FINE)
        return state == HONE_ROW_EMPTY ? HONE_TOKEN_NONE : HONE_TOKEN_BROKEN;
    if (settings->temperature <= 0.0)
        return hone_sampling_largest(row->logits, row->vocabulary);
    return hone_sampling_draw(scratch, row->vocabulary, hone_random_uniform(key, 0));
}
