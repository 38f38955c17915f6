/* Planning: see plan.h.
 *
 * The schedule is made by playing the program through once. Going forward each op takes the
 * buffers of its inputs and gets fresh ones for its outputs. Going backward each op asks for the
 * values that its kind saves; one that was not kept is computed again on the spot, from what was,
 * by the same op. So cheap results and whole layers (checkpointing) are recomputed by one rule:
 * what is kept. Lifetimes follow from the steps that touch a buffer; places follow from lifetimes.
 */
#include "graph/plan.h"

#include "base/parallel.h"

#include <string.h>

enum { ROW_PADDING = 16 };

typedef struct builder {
    hone_plan *plan;
    const hone_program *program;
    int *current;      /* (values) buffer that holds the value now, or -1 */
    int *gradient;     /* (values) buffer of its gradient so far, or -1 */
    int *producer;     /* (values) op that makes it, or -1 */
    int *last_reader;  /* (values) last op that reads it, or -1 */
    int *reader_count; /* (values) */
    bool *needs;       /* (values) a gradient flows through it */
    bool *op_needs;    /* (ops) has a backward step */
    bool *keep;        /* (values) stays from forward to backward */
    bool *saved;       /* (values) some backward step reads it */
    bool failed;
} builder;

static hone_dtype value_dtype(const hone_plan *plan, int value)
{
    return plan->program->values[value].type == HONE_VALUE_F32 ? HONE_F32 : plan->options.compute;
}

static void weights_of(const hone_program *program, const hone_op *op,
                       const hone_weight *out[HONE_OP_WEIGHTS])
{
    for (int k = 0; k < HONE_OP_WEIGHTS; k++)
        out[k] = op->weights[k] >= 0 ? &program->weights[op->weights[k]] : NULL;
}

static unsigned saved_mask(const builder *b, int op)
{
    const hone_weight *weight[HONE_OP_WEIGHTS];
    weights_of(b->program, &b->program->ops[op], weight);
    return hone_op_kind_of(b->program->ops[op].code)->saved(&b->program->ops[op], weight);
}

/* ---- steps and buffers -------------------------------------------------------------------- */

static int new_buffer(builder *b, int value, bool gradient)
{
    hone_plan *plan = b->plan;
    if (!hone_array_reserve((void **)&plan->buffers, &plan->buffer_capacity, plan->buffer_count + 1,
                            sizeof(hone_buffer))) {
        b->failed = true;
        return -1;
    }
    hone_buffer *fresh = &plan->buffers[plan->buffer_count];
    *fresh = (hone_buffer){.value = value, .gradient = gradient, .first = -1, .last = -1};
    if (value >= 0) {
        fresh->dtype = value_dtype(plan, value);
        fresh->width = b->program->values[value].width;
        fresh->source = b->program->ops[b->producer[value]].source;
    }
    return (int)plan->buffer_count++;
}

static void touch(builder *b, int buffer, int step)
{
    if (buffer < 0)
        return;
    hone_buffer *used = &b->plan->buffers[buffer];
    if (used->first < 0)
        used->first = step;
    used->last = step;
}

/* Appends a step and marks the use of its buffers. */
static void add_step(builder *b, const hone_step *step)
{
    hone_plan *plan = b->plan;
    if (b->failed || !hone_array_reserve((void **)&plan->steps, &plan->step_capacity,
                                         plan->step_count + 1, sizeof(hone_step))) {
        b->failed = true;
        return;
    }
    int number = (int)plan->step_count;
    plan->steps[plan->step_count++] = *step;
    for (int k = 0; k < HONE_OP_INPUTS; k++) {
        touch(b, step->in[k], number);
        touch(b, step->d_in[k], number);
    }
    for (int k = 0; k < HONE_OP_OUTPUTS; k++)
        touch(b, step->out[k], number);
    touch(b, step->d_out, number);
}

static hone_step blank_step(int op, hone_phase phase)
{
    hone_step step = {.op = op, .phase = phase, .d_out = -1, .scratch = -1};
    for (int k = 0; k < HONE_OP_INPUTS; k++)
        step.in[k] = step.d_in[k] = -1;
    for (int k = 0; k < HONE_OP_OUTPUTS; k++)
        step.out[k] = -1;
    return step;
}

/* ---- forward ------------------------------------------------------------------------------ */

static bool may_take_place(const builder *b, int op, hone_phase phase, int input)
{
    const hone_op *node = &b->program->ops[op];
    int value = node->inputs[input], out = node->outputs[0];
    if (b->keep[value] || value_dtype(b->plan, value) != value_dtype(b->plan, out) ||
        b->program->values[value].width != b->program->values[out].width)
        return false;
    return phase == HONE_FORWARD ? b->last_reader[value] == op
                                 : b->reader_count[value] == 1 && !b->saved[value];
}

static void forward_step(builder *b, int op, hone_phase phase)
{
    const hone_op *node = &b->program->ops[op];
    const hone_op_kind *kind = hone_op_kind_of(node->code);
    hone_step step = blank_step(op, phase);
    for (int k = 0; k < HONE_OP_INPUTS; k++)
        if (node->inputs[k] >= 0)
            step.in[k] = b->current[node->inputs[k]];
    for (int k = 0; k < HONE_OP_OUTPUTS; k++) {
        int value = node->outputs[k];
        /* Cross attention in the source's part only stores its keys and values. */
        if (value < 0 || (b->plan->options.part == HONE_PART_SOURCE && !node->source))
            continue;
        if (k == 0 && kind->in_place >= 0 && may_take_place(b, op, phase, kind->in_place)) {
            int taken = node->inputs[kind->in_place];
            b->current[value] = b->current[taken];
            b->current[taken] = -1;
        } else
            b->current[value] = new_buffer(b, value, false);
        step.out[k] = b->current[value];
    }
    /* An op without backward makes its input's gradient as it goes (the head). */
    if (phase == HONE_FORWARD && kind->backward == NULL && b->plan->options.training &&
        node->inputs[0] >= 0 && b->needs[node->inputs[0]]) {
        int value = node->inputs[0];
        step.accumulate[0] = b->gradient[value] >= 0;
        if (b->gradient[value] < 0)
            b->gradient[value] = new_buffer(b, value, true);
        step.d_in[0] = b->gradient[value];
    }
    add_step(b, &step);
}

/* ---- backward ----------------------------------------------------------------------------- */

/* Makes a value current, computing it again if need be. The depth is at most the ops of a layer. */
static void ensure(builder *b, int value)
{
    if (b->failed || b->current[value] >= 0)
        return;
    int op = b->producer[value];
    for (int k = 0; k < HONE_OP_INPUTS; k++)
        if (b->program->ops[op].inputs[k] >= 0)
            ensure(b, b->program->ops[op].inputs[k]);
    forward_step(b, op, HONE_RECOMPUTE);
}

static void input_gradient(builder *b, hone_step *step, int k)
{
    const hone_op *node = &b->program->ops[step->op];
    const hone_op_kind *kind = hone_op_kind_of(node->code);
    int value = node->inputs[k];
    if (kind->passes == k && b->gradient[value] < 0) {
        b->gradient[value] = step->d_out;
        return;
    }
    step->accumulate[k] = b->gradient[value] >= 0;
    if (b->gradient[value] < 0)
        b->gradient[value] = new_buffer(b, value, true);
    step->d_in[k] = b->gradient[value];
}

static void backward_step(builder *b, int op)
{
    const hone_op *node = &b->program->ops[op];
    unsigned saved = saved_mask(b, op);
    for (int k = 0; k < HONE_OP_INPUTS; k++)
        if (saved & HONE_SAVES_INPUT(k))
            ensure(b, node->inputs[k]);
    for (int k = 0; k < HONE_OP_OUTPUTS; k++)
        if (saved & HONE_SAVES_OUTPUT(k))
            ensure(b, node->outputs[k]);
    hone_step step = blank_step(op, HONE_BACKWARD);
    for (int k = 0; k < HONE_OP_INPUTS; k++)
        if (saved & HONE_SAVES_INPUT(k))
            step.in[k] = b->current[node->inputs[k]];
    for (int k = 0; k < HONE_OP_OUTPUTS; k++)
        if (saved & HONE_SAVES_OUTPUT(k))
            step.out[k] = b->current[node->outputs[k]];
    step.d_out = b->gradient[node->outputs[0]];
    for (int k = 0; k < HONE_OP_INPUTS; k++)
        if (node->inputs[k] >= 0 && b->needs[node->inputs[k]])
            input_gradient(b, &step, k);
    add_step(b, &step);
}

/* ---- what is kept ------------------------------------------------------------------------- */

static void find_readers(builder *b)
{
    for (size_t v = 0; v < b->program->value_count; v++)
        b->current[v] = b->gradient[v] = b->producer[v] = b->last_reader[v] = -1;
    for (size_t i = 0; i < b->program->op_count; i++) {
        const hone_op *op = &b->program->ops[i];
        for (int k = 0; k < HONE_OP_INPUTS; k++)
            if (op->inputs[k] >= 0) {
                b->last_reader[op->inputs[k]] = (int)i;
                b->reader_count[op->inputs[k]]++;
            }
        for (int k = 0; k < HONE_OP_OUTPUTS; k++)
            if (op->outputs[k] >= 0)
                b->producer[op->outputs[k]] = (int)i;
    }
}

static void find_needs(builder *b)
{
    for (size_t i = 0; i < b->program->op_count; i++) {
        const hone_op *op = &b->program->ops[i];
        for (int k = 0; k < HONE_OP_WEIGHTS; k++)
            if (op->weights[k] >= 0 && b->program->weights[op->weights[k]].trainable)
                b->op_needs[i] = true;
        for (int k = 0; k < HONE_OP_INPUTS; k++)
            if (op->inputs[k] >= 0 && b->needs[op->inputs[k]])
                b->op_needs[i] = true;
        if (op->outputs[0] >= 0)
            b->needs[op->outputs[0]] = b->op_needs[i];
    }
}

/* Is a value read outside the layer that makes it? */
static bool crosses_layers(const builder *b, int value)
{
    int layer = b->program->ops[b->producer[value]].layer;
    if (layer < 0)
        return true;
    for (size_t i = 0; i < b->program->op_count; i++)
        for (int k = 0; k < HONE_OP_INPUTS; k++)
            if (b->program->ops[i].inputs[k] == value && b->program->ops[i].layer != layer)
                return true;
    return false;
}

/* Arranges that backward finds a value: marks it as kept or, when it will be computed again, what
 * it is computed from. */
static void want(builder *b, int value)
{
    if (b->keep[value])
        return;
    int producer = b->producer[value];
    const hone_op *op = &b->program->ops[producer];
    bool again = b->plan->options.checkpointing
                     ? !crosses_layers(b, value)
                     : hone_op_kind_of(op->code)->cheap && value == op->outputs[0];
    if (!again) {
        b->keep[value] = true;
        return;
    }
    for (int k = 0; k < HONE_OP_INPUTS; k++)
        if (op->inputs[k] >= 0)
            want(b, op->inputs[k]);
}

static void find_kept(builder *b)
{
    for (size_t i = 0; i < b->program->op_count; i++) {
        const hone_op *op = &b->program->ops[i];
        if (!b->op_needs[i] || hone_op_kind_of(op->code)->backward == NULL)
            continue;
        unsigned saved = saved_mask(b, (int)i);
        for (int k = 0; k < HONE_OP_INPUTS; k++)
            if (saved & HONE_SAVES_INPUT(k)) {
                b->saved[op->inputs[k]] = true;
                want(b, op->inputs[k]);
            }
        for (int k = 0; k < HONE_OP_OUTPUTS; k++)
            if (saved & HONE_SAVES_OUTPUT(k)) {
                b->saved[op->outputs[k]] = true;
                want(b, op->outputs[k]);
            }
    }
}

/* ---- places ------------------------------------------------------------------------------- */

/* Largest first, each at the lowest place that is free for its whole life. `order` holds the
 * buffers placed so far, sorted by offset. */
static void place_one(hone_plan *plan, int *order, size_t placed, int number)
{
    hone_buffer *fresh = &plan->buffers[number];
    size_t offset = 0, at = placed;
    for (size_t i = 0; i < placed; i++) {
        const hone_buffer *other = &plan->buffers[order[i]];
        if (other->last < fresh->first || other->first > fresh->last)
            continue;
        if (other->offset >= offset + fresh->size)
            break;
        if (other->offset + other->size > offset)
            offset = other->offset + other->size;
    }
    fresh->offset = offset;
    while (at > 0 && plan->buffers[order[at - 1]].offset > offset) {
        order[at] = order[at - 1];
        at--;
    }
    order[at] = number;
    if (offset + fresh->size > plan->value_bytes)
        plan->value_bytes = offset + fresh->size;
}

static hone_status place_buffers(hone_plan *plan, hone_error *error)
{
    size_t count = plan->buffer_count, rows, source_rows;
    if (!hone_size_align((size_t)plan->options.rows, ROW_PADDING, &rows) ||
        !hone_size_align((size_t)plan->options.source_rows, ROW_PADDING, &source_rows))
        return hone_fail_memory(error, "plan", (size_t)plan->options.rows);
    for (size_t i = 0; i < count; i++) {
        hone_buffer *buffer = &plan->buffers[i];
        size_t row = (size_t)buffer->width * hone_dtype_size(buffer->dtype);
        if ((buffer->value >= 0 &&
             !hone_size_mul(buffer->source ? source_rows : rows, row, &buffer->size)) ||
            !hone_size_align(buffer->size, HONE_ALIGNMENT, &buffer->size))
            return hone_fail_memory(error, "plan", row);
    }
    int *order = hone_alloc_array(count + 1, sizeof *order);
    bool *done = hone_alloc_array(count + 1, sizeof *done);
    if (order == NULL || done == NULL) {
        hone_free(order);
        hone_free(done);
        return hone_fail_memory(error, "plan", count);
    }
    for (size_t placed = 0; placed < count; placed++) {
        int best = -1;
        for (size_t i = 0; i < count; i++)
            if (!done[i] && (best < 0 || plan->buffers[i].size > plan->buffers[best].size))
                best = (int)i;
        done[best] = true;
        place_one(plan, order, placed, best);
    }
    hone_free(order);
    hone_free(done);
    return HONE_OK;
}

/* Most keys of a segment: see hone_plan_options. */
static int64_t longest_segment(const hone_plan *plan)
{
    const hone_plan_options *o = &plan->options;
    if (o->longest > 0)
        return o->longest;
    int64_t rows = o->rows > o->source_rows ? o->rows : o->source_rows;
    return rows < plan->program->context_length ? rows : plan->program->context_length;
}

/* Bytes of scratch that each op wants. */
static size_t scratch_of(const hone_plan *plan, int number)
{
    const hone_program *program = plan->program;
    const hone_op *op = &program->ops[number];
    const hone_op_kind *kind = hone_op_kind_of(op->code);
    if (kind->scratch == NULL)
        return 0;
    hone_op_shape shape = {.rows = op->source ? plan->options.source_rows : plan->options.rows,
                           .compute = plan->options.compute,
                           .training = plan->options.training,
                           .threads = hone_parallel_threads(),
                           .longest = longest_segment(plan)};
    for (int k = 0; k < HONE_OP_INPUTS; k++)
        shape.in_width[k] = op->inputs[k] >= 0 ? program->values[op->inputs[k]].width : 0;
    for (int k = 0; k < HONE_OP_OUTPUTS; k++)
        shape.out_width[k] = op->outputs[k] >= 0 ? program->values[op->outputs[k]].width : 0;
    weights_of(program, op, shape.weight);
    return kind->scratch(op, &shape);
}

/* Scratch is a buffer that lives for its step only, so it lies where values of other times do. */
static void add_scratch(builder *b)
{
    hone_plan *plan = b->plan;
    for (size_t i = 0; i < plan->step_count && !b->failed; i++) {
        size_t size = scratch_of(plan, plan->steps[i].op);
        int buffer = size > 0 ? new_buffer(b, -1, false) : -1;
        plan->steps[i].scratch = buffer;
        touch(b, buffer, (int)i);
        if (buffer >= 0)
            plan->buffers[buffer].size = size;
    }
}

/* ---- the whole ---------------------------------------------------------------------------- */

/* Whether an op runs in this plan's part: see hone_part. */
static bool is_part(const hone_plan *plan, const hone_op *op)
{
    if (plan->options.part == HONE_PART_TARGET)
        return !op->source;
    bool stores = op->code == HONE_OP_ATTENTION && op->as.attention.cross;
    return plan->options.part == HONE_PART_ALL || op->source || stores;
}

static void schedule(builder *b)
{
    const hone_program *program = b->program;
    find_readers(b);
    if (b->plan->options.training) {
        find_needs(b);
        find_kept(b);
    }
    for (size_t i = 0; i < program->op_count; i++)
        if (is_part(b->plan, &program->ops[i]))
            forward_step(b, (int)i, HONE_FORWARD);
    for (size_t v = 0; v < program->value_count; v++)
        if (!b->keep[v])
            b->current[v] = -1;
    for (size_t i = program->op_count; i-- > 0;)
        if (b->op_needs[i] && hone_op_kind_of(program->ops[i].code)->backward != NULL)
            backward_step(b, (int)i);
}

hone_status hone_plan_create(const hone_program *program, const hone_plan_options *options,
                             hone_plan *out, hone_error *error)
{
    *out = (hone_plan){.program = program, .options = *options};
    size_t values = program->value_count + 1, ops = program->op_count + 1;
    builder b = {.plan = out, .program = program};
    b.current = hone_alloc_array(values * 5, sizeof(int));
    b.needs = hone_alloc_array(values * 3 + ops, sizeof(bool));
    hone_status status = HONE_OK;
    if (b.current == NULL || b.needs == NULL) {
        status = hone_fail_memory(error, "plan", values * 5 * sizeof(int));
    } else {
        b.gradient = b.current + values;
        b.producer = b.current + 2 * values;
        b.last_reader = b.current + 3 * values;
        b.reader_count = b.current + 4 * values;
        b.keep = b.needs + values;
        b.saved = b.needs + 2 * values;
        b.op_needs = b.needs + 3 * values;
        schedule(&b);
        add_scratch(&b);
        status = b.failed ? hone_fail_memory(error, "plan", 0) : place_buffers(out, error);
    }
    hone_free(b.current);
    hone_free(b.needs);
    if (status != HONE_OK)
        hone_plan_free(out);
    return status;
}

void hone_plan_free(hone_plan *plan)
{
    hone_free(plan->steps);
    hone_free(plan->buffers);
    *plan = (hone_plan){0};
}
