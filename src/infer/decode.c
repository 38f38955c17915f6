/* Slots and runs: see decode.h. */
#include "infer/decode.h"

#include "base/parallel.h"
#include "gemm/skinny.h"

#include <string.h>

/* One execution: new rows of some slots, or some sources; a segment each. */
typedef struct run {
    hone_decode *decode;
    bool encodes;
    hone_decode_fn fn;
    void *context;
    int64_t rows, segments;
    int64_t starts[HONE_SKINNY_ROWS + 1];
    int32_t slots[HONE_SKINNY_ROWS], past[HONE_SKINNY_ROWS], last[HONE_SKINNY_ROWS];
    int32_t sources[HONE_SKINNY_ROWS], source_past[HONE_SKINNY_ROWS];
} run;

/* ---- life --------------------------------------------------------------------------------- */

static int64_t largest(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static hone_status create_part(const hone_model *model, const hone_plan_options *options,
                               hone_decode_part *out, hone_error *error)
{
    HONE_TRY(hone_plan_create(&model->program, options, &out->plan, error));
    return hone_executor_create(&out->plan, &out->executor, error);
}

/* The plans of the parts and the cache. `source`: of an encoder-decoder model. */
static void describe(const hone_model *model, const hone_decode_room *room,
                     hone_plan_options *target, hone_plan_options *source, hone_cache_room *cache)
{
    *cache =
        (hone_cache_room){room->slots, room->capacity, room->source_slots, room->source_capacity};
    *target = (hone_plan_options){.rows = largest(room->rows, HONE_SKINNY_ROWS),
                                  .compute = model->compute,
                                  .longest = largest(room->capacity, room->source_capacity)};
    *source = *target;
    source->part = HONE_PART_SOURCE;
    source->source_rows = largest(room->source_rows, HONE_SKINNY_ROWS);
    if (model->program.encoder_decoder)
        target->part = HONE_PART_TARGET;
}

static hone_status create_parts(hone_decode *d, const hone_decode_room *room, hone_error *error)
{
    hone_plan_options target, source;
    hone_cache_room cache;
    describe(d->model, room, &target, &source, &cache);
    if (d->model->program.encoder_decoder)
        HONE_TRY(create_part(d->model, &source, &d->source, error));
    HONE_TRY(create_part(d->model, &target, &d->target, error));
    return hone_cache_create(&d->model->program, d->model->compute, &cache, &d->cache, error);
}

static hone_status add_part_bytes(const hone_model *model, const hone_plan_options *options,
                                  size_t *bytes, hone_error *error)
{
    hone_plan plan;
    hone_status status = hone_plan_create(&model->program, options, &plan, error);
    if (status == HONE_OK) {
        *bytes += plan.value_bytes;
        hone_plan_free(&plan);
    }
    return status;
}

hone_status hone_decode_bytes(const hone_model *model, const hone_decode_room *room, size_t *bytes,
                              hone_error *error)
{
    hone_plan_options target, source;
    hone_cache_room cache;
    size_t rows = (size_t)largest(largest(room->rows, room->source_rows), HONE_SKINNY_ROWS);
    describe(model, room, &target, &source, &cache);
    HONE_TRY(hone_cache_bytes(&model->program, model->compute, &cache, bytes, error));
    if (model->program.encoder_decoder)
        HONE_TRY(add_part_bytes(model, &source, bytes, error));
    HONE_TRY(add_part_bytes(model, &target, bytes, error));
    *bytes += (size_t)(room->slots * room->capacity) * sizeof(int32_t);
    *bytes += (size_t)(HONE_SKINNY_ROWS * model->program.vocabulary) * sizeof(float);
    *bytes += 2 * rows * sizeof(int32_t);
    return HONE_OK;
}

static hone_status create(hone_decode *d, const hone_decode_room *room, hone_error *error)
{
    size_t held, logits = (size_t)(HONE_SKINNY_ROWS * d->model->program.vocabulary);
    size_t rows = (size_t)largest(largest(room->rows, room->source_rows), HONE_SKINNY_ROWS);
    if (!hone_size_mul((size_t)room->slots, (size_t)room->capacity, &held))
        return hone_fail_memory(error, "key/value cache", SIZE_MAX);
    d->slots = hone_alloc_array((size_t)room->slots, sizeof *d->slots);
    d->sources = hone_alloc_array((size_t)room->source_slots, sizeof *d->sources);
    d->held = hone_alloc_array(held, sizeof *d->held);
    d->logits = hone_alloc_array(logits, sizeof *d->logits);
    d->ids = hone_alloc_array(rows, sizeof *d->ids);
    d->positions = hone_alloc_array(rows, sizeof *d->positions);
    if (d->slots == NULL || d->sources == NULL || d->held == NULL || d->logits == NULL ||
        d->ids == NULL || d->positions == NULL)
        return hone_fail_memory(error, "logits and ids", logits * sizeof *d->logits);
    for (int64_t i = 0; i < d->slot_count; i++)
        d->slots[i].held = d->held + i * room->capacity;
    return create_parts(d, room, error);
}

hone_status hone_decode_create(const hone_model *model, const hone_decode_room *room,
                               hone_decode *out, hone_error *error)
{
    *out = (hone_decode){
        .model = model, .slot_count = room->slots, .source_count = room->source_slots};
    hone_status status = create(out, room, error);
    if (status != HONE_OK)
        hone_decode_free(out);
    return status;
}

static void free_part(hone_decode_part *part)
{
    hone_executor_free(&part->executor);
    hone_plan_free(&part->plan);
}

void hone_decode_free(hone_decode *decode)
{
    hone_free(decode->slots);
    hone_free(decode->sources);
    hone_free(decode->held);
    hone_free(decode->logits);
    hone_free(decode->ids);
    hone_free(decode->positions);
    hone_cache_free(&decode->cache);
    free_part(&decode->source);
    free_part(&decode->target);
    *decode = (hone_decode){0};
}

/* ---- slots -------------------------------------------------------------------------------- */

void hone_decode_read(hone_decode *decode, int64_t source, const int32_t *ids, int64_t count)
{
    decode->sources[source] = (hone_source_slot){ids, count, true};
}

void hone_decode_start(hone_decode *decode, int64_t slot, int64_t source, const int32_t *ids,
                       int64_t count)
{
    hone_slot *s = &decode->slots[slot];
    s->live = true;
    s->ids = ids;
    s->count = count;
    s->fed = 0;
    s->source = source;
}

void hone_decode_copy(hone_decode *decode, int64_t from, int64_t to, int64_t fed)
{
    const hone_slot *a = &decode->slots[from];
    hone_slot *b = &decode->slots[to];
    int64_t same = 0;
    while (same < fed && same < b->fed && a->held[same] == b->held[same])
        same++;
    if (from != to && same < fed) {
        hone_cache_copy(&decode->cache, (int)from, (int)to, same, fed);
        memcpy(b->held + same, a->held + same, (size_t)(fed - same) * sizeof *b->held);
    }
    b->fed = fed;
}

/* ---- runs --------------------------------------------------------------------------------- */

static void segment_task(void *context, int64_t segment, int thread)
{
    const run *r = context;
    r->fn(r->context, r->slots[segment],
          r->decode->logits + segment * r->decode->model->program.vocabulary, thread);
}

static void note_fed(run *r)
{
    for (int64_t i = 0; i < r->segments; i++) {
        hone_decode *d = r->decode;
        if (r->encodes) {
            d->sources[r->sources[i]].waits = false;
            continue;
        }
        hone_slot *s = &d->slots[r->slots[i]];
        memcpy(s->held + s->fed, s->ids + s->fed, (size_t)(s->count - s->fed) * sizeof *s->held);
        s->fed = s->count;
    }
}

static void execute(run *r)
{
    hone_decode *d = r->decode;
    r->starts[r->segments] = r->rows;
    const hone_rows rows = {
        .rows = r->rows, .ids = d->ids, .positions = d->positions, .starts = r->starts};
    hone_batch batch = {.segments = r->segments};
    hone_execution execution = {.batch = &batch,
                                .seed = d->model->seed,
                                .cache = &d->cache,
                                .source_slots = r->sources,
                                .source_past = r->source_past};
    if (r->encodes) {
        batch.source = rows;
        hone_executor_run(&d->source.executor, &execution);
    } else {
        batch.target = rows;
        execution.slots = r->slots;
        execution.past = r->past;
        execution.head = (hone_head_request){
            .logit_rows = r->last, .logit_count = r->segments, .logits = d->logits};
        hone_executor_run(&d->target.executor, &execution);
        hone_parallel_run(r->segments, segment_task, r);
    }
    note_fed(r);
    r->rows = r->segments = 0;
}

/* Ids of a slot (or source) that are still to be fed, from *first on. */
static int64_t rest_of(const run *r, int64_t number, const int32_t **ids, int64_t *first)
{
    if (r->encodes) {
        const hone_source_slot *source = &r->decode->sources[number];
        *first = 0;
        *ids = source->ids;
        return source->waits ? source->count : 0;
    }
    const hone_slot *slot = &r->decode->slots[number];
    *first = slot->fed;
    *ids = slot->ids;
    return slot->live ? slot->count - slot->fed : 0;
}

static void add_segment(run *r, int64_t number)
{
    const hone_decode *d = r->decode;
    const int32_t *ids;
    int64_t first, rest = rest_of(r, number, &ids, &first), at = r->segments++;
    int64_t source = r->encodes ? number : d->slots[number].source;
    r->starts[at] = r->rows;
    r->slots[at] = (int32_t)number;
    r->past[at] = (int32_t)first;
    r->sources[at] = (int32_t)source;
    r->source_past[at] = r->encodes || d->source_count == 0 ? 0 : (int32_t)d->sources[source].count;
    for (int64_t i = first; i < first + rest; i++, r->rows++) {
        d->ids[r->rows] = ids[i];
        d->positions[r->rows] = (int32_t)i;
    }
    r->last[at] = (int32_t)(r->rows - 1);
}

/* The slots (or sources) whose rest is short, or long, in as few runs as may be. */
static void feed(run *r, bool is_short)
{
    const hone_decode *d = r->decode;
    int64_t count = r->encodes ? d->source_count : d->slot_count;
    int64_t rows = r->encodes ? d->source.plan.options.source_rows : d->target.plan.options.rows;
    int64_t most = is_short ? HONE_SKINNY_ROWS : rows, first;
    for (int64_t i = 0; i < count; i++) {
        const int32_t *ids;
        int64_t rest = rest_of(r, i, &ids, &first);
        if (rest == 0 || (rest <= HONE_SKINNY_ROWS) != is_short)
            continue;
        if (r->rows + rest > most || r->segments == HONE_SKINNY_ROWS)
            execute(r);
        add_segment(r, i);
    }
    if (r->segments > 0)
        execute(r);
}

void hone_decode_round(hone_decode *decode, hone_decode_fn fn, void *context)
{
    run encoding = {.decode = decode, .encodes = true};
    run decoding = {.decode = decode, .fn = fn, .context = context};
    if (decode->source_count > 0) {
        feed(&encoding, true);
        feed(&encoding, false);
    }
    feed(&decoding, true);
    feed(&decoding, false);
}
