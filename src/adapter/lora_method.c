/* LoRA: a low-rank update beside a linear, y' = y + s dropout(x) A^T B^T.
 * Source:  Hu et al. 2021, arXiv:2106.09685, section 4.1; initial values and names as in PEFT
 *          0.21.2 (lora/layer.py).  Deviation: the draws are hone's own.
 * Shapes:  A (R,in), B (out,R), whatever the layout of the base weight.
 * Units:   s = lora_alpha / R, or lora_alpha / sqrt(R).
 * Owns:    nothing: weights and values are the program's. */
#include "adapter/method.h"

#include "base/random.h"

#include <math.h>
#include <string.h>

static void lora_attach(hone_program *program, size_t place, const hone_attachment *attachment,
                        hone_adapted *adapted)
{
    const hone_op linear = program->ops[place];
    const hone_weight base = program->weights[linear.weights[0]];
    const hone_value y = program->values[linear.outputs[0]];
    int64_t in = base.transposed ? base.rows : base.columns;
    int64_t out = base.transposed ? base.columns : base.rows;
    hone_weight weight = {.use = HONE_WEIGHT_ADAPTER,
                          .dims = 2,
                          .rows = attachment->rank,
                          .columns = in,
                          .trainable = attachment->trainable,
                          .decay = true};
    adapted->scale = attachment->scale;
    adapted->weights[0] = hone_program_weight(program, weight, "%s.lora_A.weight", linear.name);
    weight.rows = out;
    weight.columns = attachment->rank;
    adapted->weights[1] = hone_program_weight(program, weight, "%s.lora_B.weight", linear.name);

    hone_op op = hone_op_blank(HONE_OP_LORA, linear.layer);
    op.source = linear.source;
    op.inputs[0] = linear.inputs[0];
    op.inputs[1] = linear.outputs[0];
    op.outputs[0] = hone_program_value(program, y.type, y.width, "%s.lora", linear.name);
    op.outputs[1] =
        hone_program_value(program, HONE_VALUE_F32, attachment->rank, "%s.lora.u", linear.name);
    op.weights[0] = adapted->weights[0];
    op.weights[1] = adapted->weights[1];
    op.dropout = attachment->dropout;
    op.as.lora.scale = attachment->scale;
    if (program->failed)
        return;
    hone_program_redirect(program, place + 1, linear.outputs[0], op.outputs[0]);
    hone_program_insert(program, place + 1, op, program->values[op.outputs[0]].name);
}

static void fill_uniform(float *values, int64_t n, double bound, hone_random_key key)
{
    for (int64_t i = 0; i < n; i++)
        values[i] = (float)(bound * (2 * hone_random_uniform(key, (uint64_t)i) - 1));
}

/* PyTorch's kaiming_uniform_(a=sqrt(5)) on (rows, columns) is U(+-1/sqrt(columns)). */
static void lora_init(const hone_program *program, const hone_adapted *adapted, hone_lora_init how,
                      uint64_t seed, size_t index)
{
    const hone_weight *a = &program->weights[adapted->weights[0]];
    const hone_weight *b = &program->weights[adapted->weights[1]];
    float *av = hone_adapter_values(program, adapted->weights[0]);
    float *bv = hone_adapter_values(program, adapted->weights[1]);
    hone_random_key key = {.seed = seed, .site = hone_adapter_site(index, 0)};
    int64_t n = hone_weight_elements(a);
    if (how == HONE_LORA_INIT_GAUSSIAN)
        for (int64_t i = 0; i < n; i++)
            av[i] = (float)(hone_random_normal(key, (uint64_t)i) / (double)a->rows);
    else
        fill_uniform(av, n, 1 / sqrt((double)a->columns), key);
    memset(bv, 0, (size_t)hone_weight_elements(b) * sizeof *bv);
    key.site = hone_adapter_site(index, 1);
    if (how == HONE_LORA_INIT_FALSE) /* PEFT leaves B as nn.Linear makes it */
        fill_uniform(bv, hone_weight_elements(b), 1 / sqrt((double)b->columns), key);
}

enum { CHUNK = 256 };

/* Adds s B A to `weight`, rows in order, in chunks of columns that the stack holds: the product is
 * summed over the rank first and scaled then, as PEFT does. */
static void lora_merge(const hone_program *program, const hone_adapted *adapted, float *weight,
                       float *bias)
{
    (void)bias;
    const hone_weight *base = &program->weights[adapted->base_weight];
    const float *a = hone_adapter_values(program, adapted->weights[0]);
    const float *b = hone_adapter_values(program, adapted->weights[1]);
    int64_t rank = program->weights[adapted->weights[0]].rows;
    int64_t in = program->weights[adapted->weights[0]].columns;
    for (int64_t row = 0; row < base->rows; row++) {
        for (int64_t start = 0; start < base->columns; start += CHUNK) {
            int64_t n = base->columns - start < CHUNK ? base->columns - start : CHUNK;
            float *w = weight + row * base->columns + start;
            float delta[CHUNK] = {0};
            for (int64_t k = 0; k < rank; k++)
                for (int64_t j = 0; j < n; j++)
                    delta[j] += base->transposed ? a[k * in + row] * b[(start + j) * rank + k]
                                                 : b[row * rank + k] * a[k * in + start + j];
            for (int64_t j = 0; j < n; j++)
                w[j] += adapted->scale * delta[j];
        }
    }
}

const hone_tuning_method hone_lora_method = {
    .name = "lora",
    .peft_type = "LORA",
    .attach = lora_attach,
    .init = lora_init,
    .merge = lora_merge,
};
