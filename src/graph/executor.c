/* Walking a plan: see executor.h. */
#include "graph/executor.h"

#include <string.h>

/* ---- cache -------------------------------------------------------------------------------- */

/* Bytes of a share's keys or of its values. */
static bool half_share(const hone_cache *cache, const hone_cache_share *share, size_t *size)
{
    const hone_cache_room *room = &cache->room;
    *size = hone_dtype_size(cache->dtype);
    return hone_size_mul(*size, (size_t)share->width, size) &&
           hone_size_mul(*size, (size_t)(share->cross ? room->source_slots : room->slots), size) &&
           hone_size_mul(*size, (size_t)(share->cross ? room->source_capacity : room->capacity),
                         size);
}

static bool add_share(hone_cache *cache, const hone_op *op)
{
    hone_cache_share *share = &cache->shares[cache->share_count++];
    size_t half;
    *share = (hone_cache_share){.cross = op->as.attention.cross,
                                .width = op->as.attention.heads * op->as.attention.head_size,
                                .offset = cache->size};
    return half_share(cache, share, &half) && hone_size_add(cache->size, half, &cache->size) &&
           hone_size_add(cache->size, half, &cache->size);
}

/* All but the block. On failure cache->size is what did not fit. */
static bool lay_out(hone_cache *cache, const hone_program *program)
{
    cache->shares = hone_alloc_array(program->op_count, sizeof *cache->shares);
    cache->share_of = hone_alloc_array(program->op_count, sizeof *cache->share_of);
    bool fits = cache->shares != NULL && cache->share_of != NULL;
    for (size_t i = 0; i < program->op_count && fits; i++) {
        const hone_op *op = &program->ops[i];
        cache->share_of[i] = -1;
        if (op->code == HONE_OP_ATTENTION && !op->source) {
            cache->share_of[i] = (int)cache->share_count;
            fits = add_share(cache, op);
        }
    }
    return fits;
}

hone_status hone_cache_create(const hone_program *program, hone_dtype dtype,
                              const hone_cache_room *room, hone_cache *out, hone_error *error)
{
    *out = (hone_cache){.room = *room, .dtype = dtype};
    if (!lay_out(out, program) || (out->block = hone_pages_alloc(out->size)) == NULL) {
        size_t size = out->size;
        hone_cache_free(out);
        return hone_fail_memory(error, "key/value cache", size);
    }
    return HONE_OK;
}

hone_status hone_cache_bytes(const hone_program *program, hone_dtype dtype,
                             const hone_cache_room *room, size_t *bytes, hone_error *error)
{
    hone_cache cache = {.room = *room, .dtype = dtype};
    bool fits = lay_out(&cache, program);
    *bytes = cache.size;
    hone_cache_free(&cache);
    return fits ? HONE_OK : hone_fail_memory(error, "key/value cache", *bytes);
}

void hone_cache_free(hone_cache *cache)
{
    if (cache->block != NULL)
        hone_pages_free(cache->block, cache->size);
    hone_free(cache->shares);
    hone_free(cache->share_of);
    *cache = (hone_cache){0};
}

/* First byte of a share's keys (which = 0) or values (1). */
static char *cache_half(const hone_cache *cache, const hone_cache_share *share, int which)
{
    size_t half = 0;
    half_share(cache, share, &half);
    return (char *)cache->block + share->offset + (size_t)which * half;
}

void hone_cache_copy(hone_cache *cache, int from, int to, int64_t first, int64_t last)
{
    for (size_t i = 0; i < cache->share_count; i++) {
        const hone_cache_share *share = &cache->shares[i];
        size_t row = (size_t)share->width * hone_dtype_size(cache->dtype);
        size_t slot = (size_t)cache->room.capacity * row;
        for (int which = 0; which < 2 && !share->cross; which++) {
            char *half = cache_half(cache, share, which);
            memcpy(half + (size_t)to * slot + (size_t)first * row,
                   half + (size_t)from * slot + (size_t)first * row, (size_t)(last - first) * row);
        }
    }
}

/* What the attention of step `op` has in the cache; false: nothing. */
static bool find_cache_view(const hone_execution *execution, int op, hone_cache_view *out)
{
    const hone_cache *cache = execution->cache;
    if (cache == NULL || cache->share_of[op] < 0)
        return false;
    const hone_cache_share *share = &cache->shares[cache->share_of[op]];
    *out = (hone_cache_view){.keys = cache_half(cache, share, 0),
                             .values = cache_half(cache, share, 1),
                             .dtype = cache->dtype,
                             .capacity =
                                 share->cross ? cache->room.source_capacity : cache->room.capacity,
                             .width = share->width,
                             .slots = share->cross ? execution->source_slots : execution->slots,
                             .past = share->cross ? execution->source_past : execution->past};
    return true;
}

/* ---- executor ----------------------------------------------------------------------------- */

hone_status hone_executor_create(const hone_plan *plan, hone_executor *out, hone_error *error)
{
    *out = (hone_executor){.plan = plan};
    out->values = hone_pages_alloc(plan->value_bytes);
    if (out->values == NULL)
        return hone_fail_memory(error, "values", plan->value_bytes);
    return HONE_OK;
}

void hone_executor_free(hone_executor *executor)
{
    if (executor->plan != NULL)
        hone_pages_free(executor->values, executor->plan->value_bytes);
    *executor = (hone_executor){0};
}

/* A value as an op sees it: its type and width always, its place only where it has one. */
static hone_view view_of(const hone_executor *executor, int value, int buffer)
{
    const hone_plan *plan = executor->plan;
    if (value < 0)
        return (hone_view){0};
    hone_view view = {.width = plan->program->values[value].width};
    view.dtype =
        plan->program->values[value].type == HONE_VALUE_F32 ? HONE_F32 : plan->options.compute;
    if (buffer >= 0)
        view.data = executor->values + plan->buffers[buffer].offset;
    return view;
}

static hone_op_run prepare(const hone_executor *executor, const hone_step *step,
                           const hone_execution *execution)
{
    const hone_program *program = executor->plan->program;
    const hone_op *op = &program->ops[step->op];
    hone_op_run run = {.op = op,
                       .batch = execution->batch,
                       .training = execution->training,
                       .gradients = executor->plan->options.training,
                       .random = {execution->seed, op->site, execution->step},
                       .head = &execution->head};
    run.stream = op->source ? &run.batch->source : &run.batch->target;
    run.rows = run.stream->rows;
    run.keys = run.stream;
    if (op->code == HONE_OP_ATTENTION && op->as.attention.cross)
        run.keys = &run.batch->source;
    if (step->scratch >= 0)
        run.scratch = executor->values + executor->plan->buffers[step->scratch].offset;
    for (int k = 0; k < HONE_OP_INPUTS; k++) {
        run.in[k] = view_of(executor, op->inputs[k], step->in[k]);
        run.d_in[k] = view_of(executor, op->inputs[k], step->d_in[k]);
        run.accumulate[k] = step->accumulate[k];
    }
    for (int k = 0; k < HONE_OP_OUTPUTS; k++)
        run.out[k] = view_of(executor, op->outputs[k], step->out[k]);
    run.d_out = view_of(executor, op->outputs[0], step->d_out);
    for (int k = 0; k < HONE_OP_WEIGHTS; k++)
        run.weight[k] = op->weights[k] >= 0 ? &program->weights[op->weights[k]] : NULL;
    return run;
}

#ifdef HONE_POISON
/* Ends the life of what no later step reads, so that a step that does is seen at once. */
static void poison(const hone_executor *executor, int step)
{
    for (size_t i = 0; i < executor->plan->buffer_count; i++) {
        const hone_buffer *buffer = &executor->plan->buffers[i];
        if (buffer->last == step)
            memset(executor->values + buffer->offset, 0xFF, buffer->size);
    }
}
#endif

void hone_executor_run(hone_executor *executor, const hone_execution *execution)
{
    const hone_plan *plan = executor->plan;
    for (size_t i = 0; i < plan->step_count; i++) {
        const hone_step *step = &plan->steps[i];
        hone_op_run run = prepare(executor, step, execution);
        hone_cache_view view;
        if (find_cache_view(execution, step->op, &view))
            run.cache = &view;
        const hone_op_kind *kind = hone_op_kind_of(run.op->code);
        (step->phase == HONE_BACKWARD ? kind->backward : kind->forward)(&run);
#ifdef HONE_POISON
        poison(executor, (int)i);
#endif
    }
}
