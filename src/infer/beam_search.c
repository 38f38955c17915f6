/* Beam search over many prompts: each prompt at work has a group of num_beams slots. beam.c decides
 * which beams go on; here they get their logits and their place in the cache.
 *
 * A beam stays in its parent's slot where it is the first of the parent's children. The others take
 * the slots of beams that have none, and copy what those do not hold already: beams of one prompt
 * part late, so that is a few rows. */
#include "infer/beam.h"
#include "infer/generation.h"
#include "infer/sampling.h"

#include <string.h>

/* The search for one prompt. */
typedef struct search {
    int64_t prompt, prompt_count;
    hone_beams beams;
    hone_beam_candidate *candidates; /* (num_beams, width): of each beam, best first */
    int64_t *counts;                 /* (num_beams) of them; -1: the logits are broken */
    int32_t *slots, *next;           /* (num_beams) slot of each beam in its group */
} search;

typedef struct searches {
    hone_generation *g;
    int64_t num_beams, width; /* width: candidates of a step */
    int64_t groups, started, reported;
    search **list; /* (prompts) NULL before its start and after its report */
    search **live; /* (groups) */
    bool *taken;   /* (num_beams) slots of a group */
} searches;

/* ---- starting ----------------------------------------------------------------------------- */

static hone_early_stopping early_stopping(const hone_generate_settings *settings)
{
    const char *text = settings->early_stopping;
    if (text != NULL && strcmp(text, "true") == 0)
        return HONE_STOP_FULL;
    return text != NULL && strcmp(text, "never") == 0 ? HONE_STOP_NEVER : HONE_STOP_LIKELY;
}

static void free_search(search *s)
{
    if (s == NULL)
        return;
    hone_beams_free(&s->beams);
    hone_free(s->candidates);
    hone_free(s->counts);
    hone_free(s->slots);
    hone_free(s->next);
    hone_free(s);
}

static hone_status start(searches *all, int64_t group, hone_error *error)
{
    hone_generation *g = all->g;
    int64_t prompt = all->started++, beams = all->num_beams;
    search *s = hone_alloc_array(1, sizeof *s);
    if (s == NULL)
        return hone_fail_memory(error, "search", sizeof *s);
    all->list[prompt] = s;
    s->prompt = prompt;
    const int32_t *begin = hone_generation_begin(g, prompt, &s->prompt_count);
    const hone_beam_rules rules = {.num_beams = beams,
                                   .length_penalty = g->settings->length_penalty,
                                   .early_stopping = early_stopping(g->settings),
                                   .most = hone_generation_most(g, prompt)};
    HONE_TRY(hone_beams_create(&rules, begin, s->prompt_count, &s->beams, error));
    s->candidates = hone_alloc_array((size_t)(beams * all->width), sizeof *s->candidates);
    s->counts = hone_alloc_array((size_t)beams, sizeof *s->counts);
    s->slots = hone_alloc_array((size_t)beams, sizeof *s->slots);
    s->next = hone_alloc_array((size_t)beams, sizeof *s->next);
    if (s->candidates == NULL || s->counts == NULL || s->slots == NULL || s->next == NULL)
        return hone_fail_memory(error, "candidates of beams",
                                (size_t)(beams * all->width) * sizeof *s->candidates);
    all->live[group] = s;
    hone_generation_read(g, prompt, group);
    /* No slot may lend rows of another prompt that happens to begin alike: they can differ in the
     * last bit. */
    for (int64_t i = 0; i < beams; i++) {
        hone_decode_start(&g->decode, group * beams + i, group, begin, s->prompt_count);
        g->decode.slots[group * beams + i].live = i == 0;
    }
    return HONE_OK;
}

/* ---- a step ------------------------------------------------------------------------------- */

static void choose(void *context, int64_t slot, float *logits, int thread)
{
    const searches *all = context;
    const hone_generation *g = all->g;
    search *s = all->live[slot / all->num_beams];
    int32_t beam = 0;
    while (s->slots[beam] != slot % all->num_beams)
        beam++;
    const hone_beam *from = &s->beams.running[beam];
    hone_sampling_row row = {.logits = logits,
                             .vocabulary = g->model->program.vocabulary,
                             .ids = from->ids,
                             .count = from->count,
                             .made = s->beams.made,
                             .ends = g->special.ends,
                             .end_count = g->special.end_count};
    s->counts[beam] = -1;
    if (!hone_beam_log_softmax(logits, row.vocabulary) ||
        hone_sampling_adjust(g->settings, &row, g->scratch + (size_t)thread * g->scratch_size) ==
            HONE_ROW_BROKEN)
        return;
    s->counts[beam] = hone_beam_best(logits, row.vocabulary, beam, from->score, all->width,
                                     s->candidates + beam * all->width);
}

/* Whether a stop string ends in a candidate's token. */
static hone_status find_stop(const hone_generation *g, const search *s,
                             const hone_beam_candidate *c, bool *stops, hone_error *error)
{
    const hone_beam *from = &s->beams.running[c->beam];
    hone_new_text text = hone_generation_text(g);
    hone_status status = HONE_OK;
    int64_t made = 1;
    for (int64_t i = s->prompt_count; i < from->count && status == HONE_OK; i++)
        status = hone_generation_add_text(g, &text, from->ids[i], made++, stops, error);
    if (status == HONE_OK)
        status = hone_generation_add_text(g, &text, c->token, made, stops, error);
    hone_stop_text_deinit(&text.bytes);
    return status;
}

/* Says of each candidate whether it ends its text, and how. */
static hone_status mark_ends(const hone_generation *g, search *s, int64_t count, hone_error *error)
{
    for (int64_t i = 0; i < count; i++) {
        hone_beam_candidate *c = &s->candidates[i];
        bool stops = false;
        bool eos = hone_special_tokens_is_end(&g->special, c->token);
        if (!eos && g->settings->stop.count > 0)
            HONE_TRY(find_stop(g, s, c, &stops, error));
        c->ends = eos || stops || s->beams.made + 1 >= s->beams.rules.most;
        c->finish = eos ? HONE_FINISH_EOS : stops ? HONE_FINISH_STOP : HONE_FINISH_LENGTH;
    }
    return HONE_OK;
}

/* Gives each new beam a slot that holds its parent's rows. */
static void place_beams(searches *all, int64_t group)
{
    search *s = all->live[group];
    hone_decode *decode = &all->g->decode;
    int64_t base = group * all->num_beams, count = s->beams.running_count;
    memset(all->taken, 0, (size_t)all->num_beams * sizeof *all->taken);
    for (int64_t b = 0; b < count; b++) {
        int32_t at = s->slots[s->beams.running[b].parent];
        s->next[b] = all->taken[at] ? -1 : at;
        all->taken[at] = true;
    }
    int32_t free_slot = 0;
    for (int64_t b = 0; b < count; b++) {
        if (s->next[b] >= 0)
            continue;
        int32_t from = s->slots[s->beams.running[b].parent];
        while (all->taken[free_slot])
            free_slot++;
        all->taken[free_slot] = true;
        s->next[b] = free_slot;
        hone_decode_copy(decode, base + from, base + free_slot, s->beams.running[b].count - 1);
    }
    memcpy(s->slots, s->next, (size_t)count * sizeof *s->slots);
    for (int64_t i = 0; i < all->num_beams; i++)
        decode->slots[base + i].live = false;
    for (int64_t b = 0; b < count; b++) {
        hone_slot *slot = &decode->slots[base + s->slots[b]];
        slot->live = true;
        slot->ids = s->beams.running[b].ids;
        slot->count = s->beams.running[b].count;
    }
}

/* After a round: the next beams of a group. A search that has ended leaves its group. */
static hone_status step(searches *all, int64_t group, hone_error *error)
{
    search *s = all->live[group];
    int64_t count = 0;
    for (int64_t b = 0; b < s->beams.running_count; b++) {
        if (s->counts[b] < 0)
            return hone_generation_fail_numeric(s->prompt, s->prompt_count + s->beams.made + 1,
                                                error);
        memmove(s->candidates + count, s->candidates + b * all->width,
                (size_t)s->counts[b] * sizeof *s->candidates);
        count += s->counts[b];
    }
    count = hone_beam_merge(s->candidates, count, all->width);
    HONE_TRY(mark_ends(all->g, s, count, error));
    hone_beams_advance(&s->beams, s->candidates, count);
    place_beams(all, group);
    if (s->beams.done)
        all->live[group] = NULL;
    return hone_generation_stream(all->g, s->prompt, 0, "", 0, error);
}

/* ---- results ------------------------------------------------------------------------------ */

static hone_status report_text(const hone_generation *g, const search *s, int64_t number,
                               hone_error *error)
{
    /* Where there are fewer texts than asked for, the others are empty. */
    bool found = number < s->beams.finished_count;
    const hone_beam *from = &s->beams.finished[found ? number : 0];
    int64_t count = found ? from->count - s->prompt_count : 0;
    const int32_t *ids = from->ids + s->prompt_count;
    hone_new_text text = hone_generation_text(g);
    hone_status status = HONE_OK;
    bool stopped;
    for (int64_t i = 0; i < count && status == HONE_OK; i++)
        status = hone_generation_add_text(g, &text, ids[i], i + 1, &stopped, error);
    hone_generated made = {.prompt = s->prompt,
                           .sequence = number,
                           .ids = ids,
                           .count = count,
                           .finish = found ? from->finish : HONE_FINISH_LENGTH,
                           .score = found ? (double)from->score : -1e9};
    if (status == HONE_OK)
        status = hone_generation_stream(g, s->prompt, number,
                                        text.bytes.text != NULL ? text.bytes.text : "",
                                        text.bytes.length, error);
    if (status == HONE_OK)
        hone_generation_finished(g, &made, &text);
    hone_stop_text_deinit(&text.bytes);
    return status;
}

/* Hands out what has ended and is next in order. */
static hone_status report(searches *all, hone_error *error)
{
    for (; all->reported < all->started && all->list[all->reported]->beams.done; all->reported++) {
        search *s = all->list[all->reported];
        for (int64_t i = 0; i < all->g->settings->num_return_sequences; i++)
            HONE_TRY(report_text(all->g, s, i, error));
        free_search(s);
        all->list[all->reported] = NULL;
    }
    return HONE_OK;
}

/* ---- all prompts -------------------------------------------------------------------------- */

static hone_status search_all(searches *all, hone_error *error)
{
    hone_generation *g = all->g;
    while (all->reported < g->prompt_count) {
        for (int64_t i = 0; i < all->groups && all->started < g->prompt_count; i++)
            if (all->live[i] == NULL)
                HONE_TRY(start(all, i, error));
        hone_decode_round(&g->decode, choose, all);
        for (int64_t i = 0; i < all->groups; i++)
            if (all->live[i] != NULL)
                HONE_TRY(step(all, i, error));
        HONE_TRY(report(all, error));
    }
    return HONE_OK;
}

hone_status hone_generate_beams(hone_generation *g, hone_error *error)
{
    searches all = {.g = g, .num_beams = g->settings->num_beams};
    hone_status status;
    all.width = hone_beam_candidates(all.num_beams, (int64_t)g->special.end_count);
    all.groups = g->decode.slot_count / all.num_beams;
    all.list = hone_alloc_array((size_t)g->prompt_count, sizeof *all.list);
    all.live = hone_alloc_array((size_t)all.groups, sizeof *all.live);
    all.taken = hone_alloc_array((size_t)all.num_beams, sizeof *all.taken);
    if (all.list != NULL && all.live != NULL && all.taken != NULL)
        status = search_all(&all, error);
    else
        status = hone_fail_memory(error, "searches", (size_t)g->prompt_count * sizeof *all.list);
    for (int64_t i = 0; all.list != NULL && i < g->prompt_count; i++)
        free_search(all.list[i]);
    hone_free(all.list);
    hone_free(all.live);
    hone_free(all.taken);
    return status;
}
