/* IA3: a learned factor for each column of a linear's output, or of its input for feedforward
 * modules.
 * Source:  Liu et al. 2022, arXiv:2205.05638, section 3.3; shapes and names as in PEFT 0.21.2
 *          (ia3/layer.py).  Deviation: none.
 * Shapes:  l (out,1), or (1,in) for feedforward.
 * Owns:    nothing: weights and values are the program's. */
#include "adapter/method.h"

static void ia3_attach(hone_program *program, size_t place, const hone_attachment *attachment,
                       hone_adapted *adapted)
{
    const hone_op linear = program->ops[place];
    bool input = attachment->feedforward;
    int scaled = input ? linear.inputs[0] : linear.outputs[0];
    const hone_value value = program->values[scaled];
    adapted->feedforward = input;
    adapted->weights[0] = hone_program_weight(program,
                                              (hone_weight){.use = HONE_WEIGHT_ADAPTER,
                                                            .dims = 2,
                                                            .rows = input ? 1 : value.width,
                                                            .columns = input ? value.width : 1,
                                                            .trainable = attachment->trainable,
                                                            .init_constant = 1},
                                              "%s.ia3_l", linear.name);
    hone_op op = hone_op_blank(HONE_OP_SCALE, linear.layer);
    op.source = linear.source;
    op.inputs[0] = scaled;
    op.outputs[0] = hone_program_value(program, value.type, value.width, "%s.ia3", linear.name);
    op.weights[0] = adapted->weights[0];
    if (program->failed)
        return;
    if (input)
        program->ops[place].inputs[0] = op.outputs[0];
    else
        hone_program_redirect(program, place + 1, scaled, op.outputs[0]);
    hone_program_insert(program, input ? place : place + 1, op,
                        program->values[op.outputs[0]].name);
}

static void ia3_init(const hone_program *program, const hone_adapted *adapted, hone_lora_init how,
                     uint64_t seed, size_t index)
{
    (void)how, (void)seed, (void)index;
    float *l = hone_adapter_values(program, adapted->weights[0]);
    int64_t n = hone_weight_elements(&program->weights[adapted->weights[0]]);
    for (int64_t i = 0; i < n; i++)
        l[i] = 1;
}

static void ia3_merge(const hone_program *program, const hone_adapted *adapted, float *weight,
                      float *bias)
{
    const hone_weight *base = &program->weights[adapted->base_weight];
    const float *l = hone_adapter_values(program, adapted->weights[0]);
    /* Whether l runs along the rows of the stored matrix. */
    bool by_row = base->transposed == adapted->feedforward;
    for (int64_t i = 0; i < base->rows; i++)
        for (int64_t j = 0; j < base->columns; j++)
            weight[i * base->columns + j] *= l[by_row ? i : j];
    if (bias != NULL && !adapted->feedforward) {
        int64_t out = base->transposed ? base->columns : base->rows;
        for (int64_t i = 0; i < out; i++)
            bias[i] *= l[i];
    }
}

const hone_tuning_method hone_ia3_method = {
    .name = "ia3",
    .peft_type = "IA3",
    .attach = ia3_attach,
    .init = ia3_init,
    .merge = ia3_merge,
};
