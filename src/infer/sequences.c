/* Greedy decoding and sampling: a sequence is a row of ids that gets one more token each round. A
 * sequence that ends frees its slot for the next in line.
 *
 * A second text for a prompt starts from a copy of the prompt's cache and feeds the prompt's last
 * token again, in whichever slot it runs, so that it does not depend on what is beside it. */
#include "base/hash.h"
#include "infer/generation.h"
#include "infer/sampling.h"

#include <string.h>

typedef struct sequence {
    int64_t prompt, number; /* number: of the prompt's num_return_sequences */
    int32_t *ids;           /* (count) prompt and new tokens */
    int64_t count, prompt_count, most;
    uint64_t seed;
    int32_t chosen; /* in this round */
    bool done;
    hone_new_text text;
    hone_finish finish;
} sequence;

/* What a slot of `decode` holds. */
typedef struct place {
    sequence *live;
    bool waits;     /* for the prompt's first sequence to be fed */
    int64_t prompt; /* whose ids but the last are at the front of the slot, or -1 */
} place;

/* A source slot of `decode`. */
typedef struct source {
    int64_t prompt; /* or -1 */
    int64_t users;  /* sequences that run on it */
} source;

typedef struct sequences {
    hone_generation *g;
    int64_t total, started, reported;
    sequence **list; /* (total) NULL before its start and after its report */
    place *places;   /* (slots) */
    source *sources; /* (slots) of encoder-decoder models */
} sequences;

/* ---- starting ----------------------------------------------------------------------------- */

static hone_status start(sequences *all, int64_t order, sequence **out, hone_error *error)
{
    hone_generation *g = all->g;
    int64_t prompt = order / g->settings->num_return_sequences, length;
    const int32_t *begin = hone_generation_begin(g, prompt, &length);
    const hone_prompt *from = &g->prompts[prompt];
    sequence *s = hone_alloc_array(1, sizeof *s);
    if (s == NULL)
        return hone_fail_memory(error, "sequence", sizeof *s);
    all->list[order] = s;
    *s = (sequence){.prompt = prompt,
                    .number = order % g->settings->num_return_sequences,
                    .count = length,
                    .prompt_count = length,
                    .most = hone_generation_most(g, prompt)};
    s->text = hone_generation_text(g);
    s->ids = hone_alloc_array((size_t)(length + s->most), sizeof *s->ids);
    if (s->ids == NULL)
        return hone_fail_memory(error, "ids of a sequence",
                                (size_t)(length + s->most) * sizeof *s->ids);
    memcpy(s->ids, begin, (size_t)length * sizeof *s->ids);
    /* Draws follow from what the prompt says, not from where it stands among others. */
    bool own = from->count > 0;
    s->seed = g->options->seed ^ hone_hash64(own ? from->ids : begin,
                                             (size_t)(own ? from->count : 1) * sizeof *begin, 0);
    *out = s;
    return HONE_OK;
}

static void free_sequence(sequence *s)
{
    if (s == NULL)
        return;
    hone_stop_text_deinit(&s->text.bytes);
    hone_free(s->ids);
    hone_free(s);
}

/* Gives a waiting sequence its prompt's rows, if some slot has them by now. */
static void share_prompt(sequences *all, int64_t number)
{
    hone_decode *decode = &all->g->decode;
    place *at = &all->places[number];
    int64_t from = 0;
    while (from < decode->slot_count && all->places[from].prompt != at->live->prompt)
        from++;
    at->waits = from == decode->slot_count;
    decode->slots[number].live = !at->waits;
    if (at->waits)
        return;
    hone_decode_copy(decode, from, number, at->live->prompt_count - 1);
    at->prompt = at->live->prompt;
}

/* The source slot of a prompt. One of them is free or the prompt's own: each of the others has a
 * running sequence, whose slot is not this one. */
static int64_t use_source(sequences *all, int64_t prompt)
{
    int64_t own = 0, free_slot = 0, count = all->g->decode.source_count;
    if (count == 0)
        return 0;
    while (own < count && all->sources[own].prompt != prompt)
        own++;
    if (own == count) {
        while (all->sources[free_slot].users > 0)
            free_slot++;
        own = free_slot;
        all->sources[own] = (source){.prompt = prompt};
        hone_generation_read(all->g, prompt, own);
    }
    all->sources[own].users++;
    return own;
}

/* Sequences that wait are served before a new one can take the slot of what they wait for. */
static hone_status fill_slots(sequences *all, hone_error *error)
{
    hone_decode *decode = &all->g->decode;
    for (int64_t i = 0; i < decode->slot_count; i++)
        if (all->places[i].waits)
            share_prompt(all, i);
    for (int64_t i = 0; i < decode->slot_count && all->started < all->total; i++) {
        place *at = &all->places[i];
        if (at->live != NULL)
            continue;
        HONE_TRY(start(all, all->started++, &at->live, error));
        hone_decode_start(decode, i, use_source(all, at->live->prompt), at->live->ids,
                          at->live->count);
        bool shares = at->live->number > 0 && at->live->prompt_count > 1;
        if (shares)
            share_prompt(all, i);
        if (!shares || at->waits)
            at->prompt = -1;
    }
    return HONE_OK;
}

/* ---- new tokens --------------------------------------------------------------------------- */

static void choose(void *context, int64_t slot, float *logits, int thread)
{
    const sequences *all = context;
    const hone_generation *g = all->g;
    sequence *s = all->places[slot].live;
    hone_sampling_row row = {.logits = logits,
                             .vocabulary = g->model->program.vocabulary,
                             .ids = s->ids,
                             .count = s->count,
                             .made = s->count - s->prompt_count,
                             .ends = g->special.ends,
                             .end_count = g->special.end_count};
    hone_random_key key = {s->seed, (uint32_t)s->number, (uint32_t)row.made};
    s->chosen =
        hone_sampling_choose(g->settings, &row, key, g->scratch + (size_t)thread * g->scratch_size);
}

static hone_status add_token(const hone_generation *g, sequence *s, hone_error *error)
{
    if (s->chosen == HONE_TOKEN_BROKEN)
        return hone_generation_fail_numeric(s->prompt, s->count + 1, error);
    if (s->chosen == HONE_TOKEN_NONE || hone_special_tokens_is_end(&g->special, s->chosen)) {
        s->finish = s->chosen == HONE_TOKEN_NONE ? HONE_FINISH_LENGTH : HONE_FINISH_EOS;
        s->done = true;
    } else {
        bool stopped = false;
        s->ids[s->count++] = s->chosen;
        int64_t made = s->count - s->prompt_count;
        HONE_TRY(hone_generation_add_text(g, &s->text, s->chosen, made, &stopped, error));
        s->done = stopped || made >= s->most;
        s->finish = stopped ? HONE_FINISH_STOP : HONE_FINISH_LENGTH;
    }
    size_t length = 0;
    const char *piece = "";
    if (g->options->stream != NULL)
        piece = hone_stop_text_take(&s->text.bytes, s->done, &length);
    return hone_generation_stream(g, s->prompt, s->number, piece, length, error);
}

static hone_status add_tokens(sequences *all, hone_error *error)
{
    hone_decode *decode = &all->g->decode;
    for (int64_t i = 0; i < decode->slot_count; i++) {
        place *at = &all->places[i];
        if (at->live == NULL || at->waits)
            continue;
        sequence *s = at->live;
        at->prompt = s->prompt;
        HONE_TRY(add_token(all->g, s, error));
        decode->slots[i].count = s->count;
        decode->slots[i].live = !s->done;
        if (!s->done)
            continue;
        at->live = NULL;
        if (decode->source_count > 0)
            all->sources[decode->slots[i].source].users--;
    }
    return HONE_OK;
}

/* Hands out what has ended and is next in order. */
static void report(sequences *all)
{
    for (; all->reported < all->started && all->list[all->reported]->done; all->reported++) {
        sequence *s = all->list[all->reported];
        hone_generated made = {.prompt = s->prompt,
                               .sequence = s->number,
                               .ids = s->ids + s->prompt_count,
                               .count = s->count - s->prompt_count,
                               .finish = s->finish};
        hone_generation_finished(all->g, &made, &s->text);
        free_sequence(s);
        all->list[all->reported] = NULL;
    }
}

hone_status hone_generate_sequences(hone_generation *g, hone_error *error)
{
    sequences all = {.g = g, .total = g->prompt_count * g->settings->num_return_sequences};
    hone_status status = HONE_OK;
    all.list = hone_alloc_array((size_t)all.total, sizeof(sequence *));
    all.places = hone_alloc_array((size_t)g->decode.slot_count, sizeof *all.places);
    all.sources = hone_alloc_array((size_t)g->decode.source_count, sizeof *all.sources);
    if (all.list == NULL || all.places == NULL || all.sources == NULL)
        status = hone_fail_memory(error, "sequences", (size_t)all.total * sizeof(sequence *));
    for (int64_t i = 0; status == HONE_OK && i < g->decode.slot_count; i++)
        all.places[i].prompt = -1;
    for (int64_t i = 0; status == HONE_OK && i < g->decode.source_count; i++)
        all.sources[i].prompt = -1;
    while (status == HONE_OK && all.reported < all.total) {
        HONE_TRY_GOTO(fill_slots(&all, error), done);
        hone_decode_round(&g->decode, choose, &all);
        HONE_TRY_GOTO(add_tokens(&all, error), done);
        report(&all);
    }
done:
    for (int64_t i = 0; all.list != NULL && i < all.total; i++)
        free_sequence(all.list[i]);
    hone_free(all.list);
    hone_free(all.places);
    hone_free(all.sources);
    return status;
}
