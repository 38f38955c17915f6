/* Generation: see hone/generate.h.
 *
 * A sequence is a row of ids of which the first `fed` are in its slot of the key/value cache. Each
 * round feeds the rest of every sequence, which is a whole prompt or the last token, and chooses
 * one more token for each. A sequence that ends frees its slot for the next in line.
 *
 * What a sequence says does not depend on what is decoded beside it, to the bit: products of up to
 * HONE_SKINNY_ROWS rows sum every row in one order, so a run has no more rows than that, or holds
 * only prompts that are longer. For the same reason a second text for a prompt starts from a copy
 * of the prompt's cache and feeds the prompt's last token again, in whichever slot it runs. */
#include "base/hash.h"
#include "base/parallel.h"
#include "engine/model.h"
#include "gemm/skinny.h"
#include "graph/executor.h"
#include "infer/sampling.h"
#include "infer/stop_text.h"

#include <hone/generate.h>
#include <string.h>

enum { PROMPT_ROWS = 1024 }; /* of long prompts in one run, unless one is longer */

typedef struct sequence {
    int64_t prompt, number; /* number: of the prompt's num_return_sequences */
    int32_t *ids;           /* (count) prompt and new tokens */
    int64_t count, prompt_count;
    int64_t fed; /* ids in the cache; -1: waits for the prompt's first sequence to be fed */
    uint64_t seed;
    hone_stop_text text;
    int begun; /* of hone_tokenizer_decode_more */
    bool done;
    hone_finish finish;
} sequence;

typedef struct slot {
    sequence *live;
    int64_t prompt; /* whose ids but the last are at the front of the cache's slot, or -1 */
} slot;

typedef struct generator {
    const hone_model *model;
    const hone_prompt *prompts;
    int64_t prompt_count;
    const hone_generate_options *options;
    const hone_generate_settings *settings;
    int32_t begin, end; /* ids of the tokens that start an empty prompt and end a text, or -1 */
    int64_t total, started, reported;
    sequence **sequences; /* (total) NULL before its start and after its report */
    slot *slots;
    int64_t slot_count;

    hone_plan plan;
    hone_executor executor;
    hone_cache cache;
    float *logits; /* (HONE_SKINNY_ROWS, vocabulary) */
    char *scratch; /* (threads) of sampling */
    size_t scratch_size;
    int32_t *ids, *positions; /* (rows) of a run */
} generator;

/* One execution: rows of some slots, and what was chosen for each. */
typedef struct run {
    generator *g;
    int64_t rows, segments;
    int64_t starts[HONE_SKINNY_ROWS + 1];
    int32_t slots[HONE_SKINNY_ROWS], past[HONE_SKINNY_ROWS], last[HONE_SKINNY_ROWS];
    int32_t chosen[HONE_SKINNY_ROWS];
} run;

/* ---- checks ------------------------------------------------------------------------------- */

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* An id of config.json; a list of them gives its first. */
static int32_t config_id(const hone_model *model, const char *key)
{
    const hone_json *value = hone_json_get(model->config, key);
    int64_t id;
    if (value != NULL && hone_json_type_of(value) == HONE_JSON_ARRAY)
        value = hone_json_at(value, 0);
    if (value == NULL || !hone_json_integer(value, &id) || id < 0 ||
        id >= model->program.vocabulary)
        return -1;
    return (int32_t)id;
}

static void find_special_ids(generator *g)
{
    const hone_tokenizer *tokenizer = g->model->tokenizer;
    int32_t begin = tokenizer != NULL ? hone_tokenizer_bos(tokenizer) : -1;
    g->end = tokenizer != NULL ? hone_tokenizer_eos(tokenizer) : -1;
    if (g->end < 0)
        g->end = config_id(g->model, "eos_token_id");
    if (begin < 0)
        begin = config_id(g->model, "bos_token_id");
    g->begin = begin >= 0 ? begin : g->end;
}

static int64_t prompt_length(const hone_prompt *prompt)
{
    return prompt->count > 0 ? prompt->count : 1;
}

static hone_status check_prompt(const generator *g, int64_t number, hone_error *error)
{
    const hone_prompt *prompt = &g->prompts[number];
    const hone_program *program = &g->model->program;
    long long shown = (long long)number + 1;
    if (prompt->count <= 0 && g->begin < 0)
        return hone_fail(error, HONE_INPUT,
                         "prompt %lld is empty, and the model has no bos or eos token to begin "
                         "with",
                         shown);
    if (prompt->count > program->context_length)
        return hone_fail(error, HONE_INPUT,
                         "prompt %lld has %lld tokens, the model %lld positions; shorten it", shown,
                         (long long)prompt->count, (long long)program->context_length);
    for (int64_t i = 0; i < prompt->count; i++)
        if (prompt->ids[i] < 0 || prompt->ids[i] >= program->vocabulary)
            return hone_fail(error, HONE_INPUT,
                             "prompt %lld: token %lld is %d; the model's ids are 0 to %lld", shown,
                             (long long)i + 1, prompt->ids[i], (long long)program->vocabulary - 1);
    return HONE_OK;
}

static hone_status check(const generator *g, hone_error *error)
{
    const hone_list *stops = &g->settings->stop;
    if (stops->count > 0 && g->model->tokenizer == NULL)
        return hone_fail(error, HONE_USAGE,
                         "stop strings need a tokenizer, and the model folder has none");
    for (size_t i = 0; i < stops->count; i++)
        if (stops->items[i][0] == '\0')
            return hone_fail(error, HONE_USAGE, "a stop string is empty (stop)");
    for (int64_t i = 0; i < g->prompt_count; i++)
        HONE_TRY(check_prompt(g, i, error));
    return HONE_OK;
}

/* ---- memory ------------------------------------------------------------------------------- */

static int64_t longest_prompt(const generator *g)
{
    int64_t longest = 1;
    for (int64_t i = 0; i < g->prompt_count; i++)
        if (g->prompts[i].count > longest)
            longest = g->prompts[i].count;
    return longest;
}

/* Rows of a run: what all prompts need, within bounds. */
static int64_t choose_rows(const generator *g)
{
    int64_t sum = 0, longest = longest_prompt(g);
    for (int64_t i = 0; i < g->prompt_count && sum < PROMPT_ROWS; i++)
        sum += prompt_length(&g->prompts[i]);
    int64_t rows = least(sum, PROMPT_ROWS);
    rows = rows > longest ? rows : longest;
    return rows > HONE_SKINNY_ROWS ? rows : HONE_SKINNY_ROWS;
}

static hone_status prepare_run(generator *g, hone_error *error)
{
    const hone_program *program = &g->model->program;
    hone_cache_room room = {.slots = g->slot_count};
    room.capacity =
        least(longest_prompt(g) + g->settings->max_new_tokens - 1, program->context_length);
    hone_plan_options options = {
        .rows = choose_rows(g), .compute = g->model->compute, .longest = room.capacity};
    HONE_TRY(hone_plan_create(program, &options, &g->plan, error));
    HONE_TRY(hone_executor_create(&g->plan, &g->executor, error));
    HONE_TRY(hone_cache_create(program, g->model->compute, &room, &g->cache, error));
    g->ids = hone_alloc_array((size_t)options.rows, sizeof *g->ids);
    g->positions = hone_alloc_array((size_t)options.rows, sizeof *g->positions);
    if (g->ids == NULL || g->positions == NULL)
        return hone_fail_memory(error, "rows of ids", (size_t)options.rows * sizeof *g->ids);
    return HONE_OK;
}

static hone_status prepare(generator *g, hone_error *error)
{
    int64_t vocabulary = g->model->program.vocabulary;
    size_t total;
    find_special_ids(g);
    HONE_TRY(check(g, error));
    if (!hone_size_mul((size_t)g->prompt_count, (size_t)g->settings->num_return_sequences, &total))
        return hone_fail_memory(error, "sequences", SIZE_MAX);
    g->total = (int64_t)total;
    g->slot_count = least(g->total, g->settings->decode_batch_size);
    g->sequences = hone_alloc_array(total, sizeof(sequence *));
    g->slots = hone_alloc_array((size_t)g->slot_count, sizeof(slot));
    g->logits = hone_alloc_array((size_t)(HONE_SKINNY_ROWS * vocabulary), sizeof(float));
    g->scratch_size = hone_sampling_scratch(vocabulary);
    g->scratch = hone_alloc_array((size_t)hone_parallel_threads(), g->scratch_size);
    if (g->sequences == NULL || g->slots == NULL || g->logits == NULL || g->scratch == NULL)
        return hone_fail_memory(error, "logits and sequences",
                                (size_t)(HONE_SKINNY_ROWS * vocabulary) * sizeof(float));
    for (int64_t i = 0; i < g->slot_count; i++)
        g->slots[i].prompt = -1;
    return prepare_run(g, error);
}

static void free_sequence(sequence *s)
{
    if (s == NULL)
        return;
    hone_stop_text_deinit(&s->text);
    hone_free(s->ids);
    hone_free(s);
}

static void release(generator *g)
{
    for (int64_t i = 0; g->sequences != NULL && i < g->total; i++)
        free_sequence(g->sequences[i]);
    hone_free(g->sequences);
    hone_free(g->slots);
    hone_free(g->logits);
    hone_free(g->scratch);
    hone_free(g->ids);
    hone_free(g->positions);
    hone_cache_free(&g->cache);
    hone_executor_free(&g->executor);
    hone_plan_free(&g->plan);
}

/* ---- starting sequences ------------------------------------------------------------------- */

static hone_status start_sequence(generator *g, int64_t order, sequence **out, hone_error *error)
{
    int64_t prompt = order / g->settings->num_return_sequences;
    const hone_prompt *from = &g->prompts[prompt];
    int64_t length = prompt_length(from);
    int64_t most =
        least(length + g->settings->max_new_tokens, g->model->program.context_length + 1);
    sequence *s = hone_alloc_array(1, sizeof *s);
    if (s == NULL)
        return hone_fail_memory(error, "sequence", sizeof *s);
    g->sequences[order] = s;
    *s = (sequence){.prompt = prompt, .number = order % g->settings->num_return_sequences};
    hone_stop_text_init(&s->text, &g->settings->stop);
    s->ids = hone_alloc_array((size_t)most, sizeof *s->ids);
    if (s->ids == NULL)
        return hone_fail_memory(error, "ids of a sequence", (size_t)most * sizeof *s->ids);
    s->count = s->prompt_count = length;
    if (from->count > 0)
        memcpy(s->ids, from->ids, (size_t)from->count * sizeof *s->ids);
    else
        s->ids[0] = g->begin;
    /* Draws follow from what the prompt says, not from where it stands among others. */
    s->seed = g->options->seed ^ hone_hash64(s->ids, (size_t)length * sizeof *s->ids, 0);
    s->fed = s->number == 0 ? 0 : -1;
    *out = s;
    return HONE_OK;
}

/* Gives a waiting sequence its prompt's rows, if some slot has them by now. */
static void share_prompt(generator *g, int64_t number)
{
    sequence *s = g->slots[number].live;
    int64_t from = 0;
    while (from < g->slot_count && g->slots[from].prompt != s->prompt)
        from++;
    if (from == g->slot_count)
        return;
    s->fed = s->prompt_count - 1;
    if (from != number)
        hone_cache_copy(&g->cache, (int)from, (int)number, s->fed);
    g->slots[number].prompt = s->prompt;
}

/* Sequences that wait are served before a new one can take the slot of what they wait for. */
static hone_status fill_slots(generator *g, hone_error *error)
{
    for (int64_t i = 0; i < g->slot_count; i++)
        if (g->slots[i].live != NULL && g->slots[i].live->fed < 0)
            share_prompt(g, i);
    for (int64_t i = 0; i < g->slot_count && g->started < g->total; i++) {
        slot *at = &g->slots[i];
        if (at->live != NULL)
            continue;
        HONE_TRY(start_sequence(g, g->started++, &at->live, error));
        if (at->live->fed < 0)
            share_prompt(g, i);
        if (at->live->fed <= 0)
            at->prompt = -1;
    }
    return HONE_OK;
}

/* ---- new tokens --------------------------------------------------------------------------- */

static hone_status add_text(generator *g, sequence *s, int32_t id, bool *stopped, hone_error *error)
{
    const hone_tokenizer *tokenizer = g->model->tokenizer;
    size_t length = 0;
    char *bytes = NULL;
    *stopped = false;
    /* A model may have more ids than its tokenizer knows: they say nothing. */
    if (tokenizer == NULL || hone_tokenizer_token(tokenizer, id, &length) == NULL)
        return HONE_OK;
    HONE_TRY(hone_tokenizer_decode_more(tokenizer, &id, 1, 1, &s->begun, &bytes, &length, error));
    bool may_stop = s->count - s->prompt_count >= g->settings->min_new_tokens;
    hone_status status = hone_stop_text_add(&s->text, bytes, length, may_stop, stopped, error);
    hone_tokenizer_free(bytes);
    return status;
}

static hone_status add_token(generator *g, sequence *s, int32_t id, hone_error *error)
{
    if (id < 0)
        return hone_fail(error, HONE_NUMERIC,
                         "prompt %lld, token %lld: the logits are not finite numbers; the model's "
                         "weights or its training have gone wrong",
                         (long long)s->prompt + 1, (long long)s->count + 1);
    bool stopped = false;
    if (id == g->end) {
        s->finish = HONE_FINISH_EOS;
        s->done = true;
    } else {
        s->ids[s->count++] = id;
        HONE_TRY(add_text(g, s, id, &stopped, error));
        /* The token after the last position has been chosen, but could not be fed. */
        s->done = stopped || s->count - s->prompt_count >= g->settings->max_new_tokens ||
                  s->count > g->model->program.context_length;
        s->finish = stopped ? HONE_FINISH_STOP : HONE_FINISH_LENGTH;
    }
    if (g->options->stream == NULL)
        return HONE_OK;
    size_t length;
    const char *piece = hone_stop_text_take(&s->text, s->done, &length);
    if (g->options->stream(g->options->context, s->prompt, s->number, piece, length) != 0)
        return hone_fail(error, HONE_STOPPED, "generation was stopped on request");
    return HONE_OK;
}

/* Hands out what has ended and is next in order. */
static void report(generator *g)
{
    for (; g->reported < g->started && g->sequences[g->reported]->done; g->reported++) {
        sequence *s = g->sequences[g->reported];
        hone_generated made = {.prompt = s->prompt,
                               .sequence = s->number,
                               .ids = s->ids + s->prompt_count,
                               .count = s->count - s->prompt_count,
                               .length = s->text.length,
                               .finish = s->finish};
        if (g->model->tokenizer != NULL)
            made.text = s->text.text != NULL ? s->text.text : "";
        if (g->options->finished != NULL)
            g->options->finished(g->options->context, &made);
        free_sequence(s);
        g->sequences[g->reported] = NULL;
    }
}

/* ---- runs --------------------------------------------------------------------------------- */

static void choose_task(void *context, int64_t segment, int thread)
{
    run *r = context;
    generator *g = r->g;
    const sequence *s = g->slots[r->slots[segment]].live;
    hone_sampling_row row = {.logits = g->logits + segment * g->model->program.vocabulary,
                             .vocabulary = g->model->program.vocabulary,
                             .ids = s->ids,
                             .count = s->count,
                             .made = s->count - s->prompt_count,
                             .eos = g->end};
    hone_random_key key = {s->seed, (uint32_t)s->number, (uint32_t)row.made};
    r->chosen[segment] =
        hone_sampling_choose(g->settings, &row, key, g->scratch + (size_t)thread * g->scratch_size);
}

static hone_status execute(run *r, hone_error *error)
{
    generator *g = r->g;
    r->starts[r->segments] = r->rows;
    hone_batch batch = {
        .segments = r->segments,
        .target = {.rows = r->rows, .ids = g->ids, .positions = g->positions, .starts = r->starts}};
    hone_execution execution = {
        .batch = &batch,
        .seed = g->model->seed,
        .head = {.logit_rows = r->last, .logit_count = r->segments, .logits = g->logits},
        .cache = &g->cache,
        .slots = r->slots,
        .past = r->past};
    hone_executor_run(&g->executor, &execution);
    hone_parallel_run(r->segments, choose_task, r);
    for (int64_t i = 0; i < r->segments; i++) {
        slot *at = &g->slots[r->slots[i]];
        sequence *s = at->live;
        s->fed = s->count;
        at->prompt = s->prompt;
        HONE_TRY(add_token(g, s, r->chosen[i], error));
        if (s->done)
            at->live = NULL;
    }
    r->rows = r->segments = 0;
    return HONE_OK;
}

static void add_segment(run *r, int64_t number)
{
    const sequence *s = r->g->slots[number].live;
    r->starts[r->segments] = r->rows;
    r->slots[r->segments] = (int32_t)number;
    r->past[r->segments] = (int32_t)s->fed;
    for (int64_t i = s->fed; i < s->count; i++, r->rows++) {
        r->g->ids[r->rows] = s->ids[i];
        r->g->positions[r->rows] = (int32_t)i;
    }
    r->last[r->segments++] = (int32_t)(r->rows - 1);
}

/* Feeds the slots whose rest is short (or long), in as few runs as may be. */
static hone_status feed_slots(generator *g, bool is_short, hone_error *error)
{
    run r = {.g = g};
    int64_t most = is_short ? HONE_SKINNY_ROWS : g->plan.options.rows;
    for (int64_t i = 0; i < g->slot_count; i++) {
        const sequence *s = g->slots[i].live;
        if (s == NULL || s->fed < 0 || (s->count - s->fed <= HONE_SKINNY_ROWS) != is_short)
            continue;
        if (r.rows + s->count - s->fed > most || r.segments == HONE_SKINNY_ROWS)
            HONE_TRY(execute(&r, error));
        add_segment(&r, i);
    }
    return r.segments > 0 ? execute(&r, error) : HONE_OK;
}

hone_status hone_generate(hone_model *model, const hone_prompt *prompts, int64_t count,
                          const hone_generate_options *options, hone_error *error)
{
    generator g = {.model = model,
                   .prompts = prompts,
                   .prompt_count = count,
                   .options = options,
                   .settings = options->settings};
    hone_status status = HONE_OK;
    if (count <= 0)
        return HONE_OK;
    HONE_TRY_GOTO(prepare(&g, error), done);
    while (g.reported < g.total) {
        HONE_TRY_GOTO(fill_slots(&g, error), done);
        HONE_TRY_GOTO(feed_slots(&g, true, error), done);
        HONE_TRY_GOTO(feed_slots(&g, false, error), done);
        report(&g);
    }
done:
    release(&g);
    return status;
}
