/* Operations with their weights and values: see builder.h. */
#include "model/builder.h"

hone_weight hone_build_matrix(int64_t rows, int64_t columns, bool transposed, double init_std)
{
    return (hone_weight){.use = HONE_WEIGHT_MATRIX,
                         .dims = 2,
                         .rows = rows,
                         .columns = columns,
                         .transposed = transposed,
                         .decay = true,
                         .init_std = (float)init_std};
}

hone_weight hone_build_vector(int64_t rows, float init_constant)
{
    return (hone_weight){.use = HONE_WEIGHT_VECTOR,
                         .dims = 1,
                         .rows = rows,
                         .columns = 1,
                         .init_constant = init_constant};
}

static hone_op blank(const hone_builder *b, hone_op_code code)
{
    hone_op op = hone_op_blank(code, b->layer);
    op.source = b->source;
    return op;
}

int hone_build_norm(const hone_builder *b, int x, const hone_norm_part *part, const char *name)
{
    hone_op op = blank(b, HONE_OP_NORM);
    op.inputs[0] = x;
    op.outputs[0] = hone_program_value(b->program, part->type, part->width, "%s", name);
    op.outputs[1] = hone_program_value(b->program, HONE_VALUE_F32, 2, "%s.statistics", name);
    if (!part->no_gain)
        op.weights[0] = hone_program_weight(
            b->program, hone_build_vector(part->width, (float)part->initial_gain), "%s.weight",
            name);
    if (!part->rms && !part->no_bias)
        op.weights[1] =
            hone_program_weight(b->program, hone_build_vector(part->width, 0.0f), "%s.bias", name);
    op.drops = part->drops;
    op.dropout = (float)part->dropout;
    op.as.norm.epsilon = (float)part->epsilon;
    op.as.norm.rms = part->rms;
    if (part->scale > 0.0f)
        op.as.norm.scale = part->scale;
    hone_program_append(b->program, op, "%s", name);
    return op.outputs[0];
}

int hone_build_linear(const hone_builder *b, int x, const hone_linear_part *part, const char *name)
{
    hone_op op = blank(b, HONE_OP_LINEAR);
    int64_t rows = part->transposed ? part->in : part->out;
    int64_t columns = part->transposed ? part->out : part->in;
    op.inputs[0] = x;
    op.outputs[0] = hone_program_value(b->program, HONE_VALUE_COMPUTE, part->out, "%s", name);
    op.weights[0] = hone_program_weight(
        b->program, hone_build_matrix(rows, columns, part->transposed, part->init_std), "%s.weight",
        name);
    if (part->bias)
        op.weights[1] =
            hone_program_weight(b->program, hone_build_vector(part->out, 0.0f), "%s.bias", name);
    hone_program_append(b->program, op, "%s", name);
    return op.outputs[0];
}

int hone_build_attention(const hone_builder *b, hone_op op, const char *name)
{
    int64_t heads = op.as.attention.heads;
    op.layer = b->layer;
    op.source = b->source;
    op.drops = true;
    op.outputs[0] = hone_program_value(b->program, HONE_VALUE_COMPUTE,
                                       heads * op.as.attention.head_size, "%s", name);
    op.outputs[1] = hone_program_value(b->program, HONE_VALUE_F32, heads, "%s.log_sum_exp", name);
    hone_program_append(b->program, op, "%s", name);
    return op.outputs[0];
}

int hone_build_activation(const hone_builder *b, int x, int gate, int64_t width, hone_activation f,
                          double dropout, const char *name)
{
    hone_op op = blank(b, HONE_OP_ACTIVATION);
    op.inputs[0] = x;
    op.inputs[1] = gate;
    op.outputs[0] = hone_program_value(b->program, HONE_VALUE_COMPUTE, width, "%s", name);
    if (f == HONE_RELU && gate < 0)
        op.outputs[1] =
            hone_program_value(b->program, HONE_VALUE_F32, (width + 31) / 32, "%s.signs", name);
    op.drops = dropout >= 0.0;
    op.dropout = op.drops ? (float)dropout : 0.0f;
    op.as.activation.type = f;
    hone_program_append(b->program, op, "%s", name);
    return op.outputs[0];
}

int hone_build_add(const hone_builder *b, int x, int branch, int64_t width, double dropout,
                   const char *name)
{
    hone_op op = blank(b, HONE_OP_ADD);
    op.inputs[0] = x;
    op.inputs[1] = branch;
    op.outputs[0] = hone_program_value(b->program, HONE_VALUE_F32, width, "%s", name);
    op.drops = dropout >= 0.0;
    op.dropout = op.drops ? (float)dropout : 0.0f;
    hone_program_append(b->program, op, "%s", name);
    return op.outputs[0];
}
