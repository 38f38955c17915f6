/* Walking a plan: see executor.h. */
#include "graph/executor.h"

#include <string.h>

/* ---- cache -------------------------------------------------------------------------------- */

hone_status hone_cache_create(const hone_program *program, hone_dtype dtype, int64_t slots,
                              int64_t capacity, hone_cache *out, hone_error *error)
{
    *out = (hone_cache){.slots = slots, .capacity = capacity, .dtype = dtype};
    for (size_t i = 0; i < program->op_count; i++)
        if (program->ops[i].code == HONE_OP_ATTENTION) {
            const hone_op *op = &program->ops[i];
            out->width = op->as.attention.heads * op->as.attention.head_size;
            out->shares++;
        }
    size_t size = hone_dtype_size(dtype);
    if (!hone_size_mul(size, (size_t)out->width, &size) ||
        !hone_size_mul(size, (size_t)slots, &size) ||
        !hone_size_mul(size, (size_t)capacity, &size) ||
        !hone_size_mul(size, 2 * out->shares, &out->size) ||
        (out->block = hone_pages_alloc(out->size)) == NULL)
        return hone_fail_memory(error, "key/value cache", out->size);
    return HONE_OK;
}

void hone_cache_free(hone_cache *cache)
{
    hone_pages_free(cache->block, cache->size);
    *cache = (hone_cache){0};
}

/* First byte of a slot's keys (which = 0) or values (1) of one share. */
static char *cache_slot(const hone_cache *cache, size_t share, int which, int slot)
{
    size_t row = (size_t)cache->width * hone_dtype_size(cache->dtype);
    size_t slots = (share * 2 + (size_t)which) * (size_t)cache->slots + (size_t)slot;
    return (char *)cache->block + slots * (size_t)cache->capacity * row;
}

void hone_cache_copy(hone_cache *cache, int from, int to, int64_t rows)
{
    size_t bytes = (size_t)(rows * cache->width) * hone_dtype_size(cache->dtype);
    for (size_t share = 0; share < cache->shares; share++)
        for (int which = 0; which < 2; which++)
            memcpy(cache_slot(cache, share, which, to), cache_slot(cache, share, which, from),
                   bytes);
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
                       .stream = &execution->batch->target,
                       .rows = execution->batch->target.rows,
                       .training = execution->training,
                       .gradients = executor->plan->options.training,
                       .random = {execution->seed, op->site, execution->step},
                       .head = &execution->head};
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
    size_t share = 0;
    for (size_t i = 0; i < plan->step_count; i++) {
        const hone_step *step = &plan->steps[i];
        hone_op_run run = prepare(executor, step, execution);
        hone_cache_view view;
        if (run.op->code == HONE_OP_ATTENTION && execution->cache != NULL) {
            const hone_cache *cache = execution->cache;
            view = (hone_cache_view){cache_slot(cache, share, 0, 0),
                                     cache_slot(cache, share, 1, 0),
                                     cache->dtype,
                                     cache->capacity,
                                     cache->width,
                                     execution->slots,
                                     execution->past};
            run.cache = &view;
            share++;
        }
        const hone_op_kind *kind = hone_op_kind_of(run.op->code);
        (step->phase == HONE_BACKWARD ? kind->backward : kind->forward)(&run);
#ifdef HONE_POISON
        poison(executor, (int)i);
#endif
    }
}
