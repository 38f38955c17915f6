/* Every operation's backward against central differences of its forward. Dimensions are distinct
 * primes. The objective is sum(y * dy) in double, for a random dy. */
#include "base/memory.h"
#include "base/parallel.h"
#include "graph/program.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 13, SOURCE_ROWS = 17, SEGMENTS = 3, MOST = 4096 };

/* One operation set up by hand: f32 values, random inputs and weights. */
typedef struct bench {
    hone_op op;
    hone_op_run run;
    hone_batch batch;
    hone_head_request head;
    hone_weight weights[HONE_OP_WEIGHTS];
    float in[HONE_OP_INPUTS][MOST], out[HONE_OP_OUTPUTS][MOST];
    float d_in[HONE_OP_INPUTS][MOST], dy[MOST], logprobs[ROWS];
    float data[HONE_OP_WEIGHTS][MOST], gradient[HONE_OP_WEIGHTS][MOST];
    int32_t ids[ROWS], positions[ROWS], labels[ROWS];
    int64_t starts[SEGMENTS + 1], source_starts[SEGMENTS + 1];
    int64_t in_rows[HONE_OP_INPUTS];
    uint32_t draws;
} bench;

static float draw(bench *b, float scale)
{
    hone_random_key key = {7, 1, 1};
    return scale * (float)hone_random_normal(key, b->draws++);
}

static bench *make(hone_op_code code)
{
    static bench storage;
    bench *b = &storage;
    memset(b, 0, sizeof *b);
    static const int64_t starts[SEGMENTS + 1] = {0, 5, 6, ROWS};
    static const int64_t source_starts[SEGMENTS + 1] = {0, 3, 10, SOURCE_ROWS};
    memcpy(b->starts, starts, sizeof starts);
    memcpy(b->source_starts, source_starts, sizeof source_starts);
    for (int s = 0; s < SEGMENTS; s++)
        for (int64_t row = starts[s]; row < starts[s + 1]; row++) {
            b->positions[row] = (int32_t)(row - starts[s]);
            b->ids[row] = (int32_t)(row * 5 % 11);
            b->labels[row] = row + 1 < starts[s + 1] ? (int32_t)(row * 3 % 11) : HONE_NO_LABEL;
        }
    b->batch = (hone_batch){.segments = SEGMENTS,
                            .target = {.rows = ROWS,
                                       .ids = b->ids,
                                       .positions = b->positions,
                                       .starts = b->starts,
                                       .row_base = 3},
                            .source = {.rows = SOURCE_ROWS, .starts = b->source_starts},
                            .labels = b->labels};
    b->op = hone_op_blank(code, -1);
    b->run = (hone_op_run){.op = &b->op,
                           .batch = &b->batch,
                           .stream = &b->batch.target,
                           .keys = &b->batch.target,
                           .rows = ROWS,
                           .gradients = true,
                           .random = {11, 5, 2},
                           .head = &b->head};
    return b;
}

static void input_of_rows(bench *b, int k, int64_t rows, int64_t width)
{
    b->op.inputs[k] = k;
    b->in_rows[k] = rows;
    for (int64_t i = 0; i < rows * width; i++)
        b->in[k][i] = draw(b, 1.0f);
    b->run.in[k] = (hone_view){b->in[k], HONE_F32, width};
    b->run.d_in[k] = (hone_view){b->d_in[k], HONE_F32, width};
}

static void input(bench *b, int k, int64_t width)
{
    input_of_rows(b, k, ROWS, width);
}

static void output(bench *b, int k, int64_t width)
{
    b->run.out[k] = (hone_view){b->out[k], HONE_F32, width};
    if (k == 0) {
        for (int64_t i = 0; i < ROWS * width; i++)
            b->dy[i] = draw(b, 1.0f);
        b->run.d_out = (hone_view){b->dy, HONE_F32, width};
    }
}

static void weight(bench *b, int k, int64_t rows, int64_t columns, bool transposed)
{
    b->weights[k] = (hone_weight){.name = "w",
                                  .dims = 2,
                                  .rows = rows,
                                  .columns = columns,
                                  .transposed = transposed,
                                  .trainable = true,
                                  .dtype = HONE_F32,
                                  .data = b->data[k],
                                  .master = b->data[k],
                                  .gradient = b->gradient[k]};
    for (int64_t i = 0; i < rows * columns; i++)
        b->data[k][i] = draw(b, 0.7f);
    b->run.weight[k] = &b->weights[k];
}

static void *scratch_for(const bench *b, size_t *size)
{
    hone_op_shape shape = {.rows = ROWS,
                           .compute = HONE_F32,
                           .training = true,
                           .threads = hone_parallel_threads(),
                           .longest = SOURCE_ROWS};
    for (int k = 0; k < HONE_OP_INPUTS; k++)
        shape.in_width[k] = b->run.in[k].width;
    for (int k = 0; k < HONE_OP_OUTPUTS; k++)
        shape.out_width[k] = b->run.out[k].width;
    for (int k = 0; k < HONE_OP_WEIGHTS; k++)
        shape.weight[k] = b->run.weight[k];
    const hone_op_kind *kind = hone_op_kind_of(b->op.code);
    *size = kind->scratch != NULL ? kind->scratch(&b->op, &shape) : 0;
    return hone_pages_alloc(*size);
}

static double objective(bench *b)
{
    const hone_op_kind *kind = hone_op_kind_of(b->op.code);
    hone_op_run run = b->run;
    if (b->op.code == HONE_OP_HEAD)
        memset(run.d_in, 0, sizeof run.d_in);
    for (int k = 0; k < HONE_OP_WEIGHTS; k++)
        b->weights[k].gradient = NULL;
    kind->forward(&run);
    for (int k = 0; k < HONE_OP_WEIGHTS; k++)
        b->weights[k].gradient = b->gradient[k];
    double sum = 0;
    if (b->op.code == HONE_OP_HEAD) {
        for (int row = 0; row < ROWS; row++)
            if (b->labels[row] != HONE_NO_LABEL)
                sum -= (double)b->logprobs[row] * (double)b->head.loss_scale;
        return sum;
    }
    for (int64_t i = 0; i < ROWS * run.out[0].width; i++)
        sum += (double)b->out[0][i] * (double)b->dy[i];
    return sum;
}

/* Compares n analytic gradients of x with central differences. */
static void compare(bench *b, const char *what, float *x, const float *gradient, int64_t n)
{
    const float step = 4e-3f;
    for (int64_t i = 0; i < n; i++) {
        float saved = x[i];
        x[i] = saved + step;
        double up = objective(b);
        x[i] = saved - step;
        double down = objective(b);
        x[i] = saved;
        double numeric = (up - down) / (2.0 * (double)step), found = (double)gradient[i];
        /* f32 forward: rounding of about 1e-6 over a step of 4e-3, and its third derivative. */
        if (!(fabs(numeric - found) <= 2e-3 + 4e-3 * fabs(numeric))) {
            print_error("%s[%lld]: backward %.6f, differences %.6f\n", what, (long long)i, found,
                        numeric);
            fail();
        }
    }
}

static void check(bench *b)
{
    const hone_op_kind *kind = hone_op_kind_of(b->op.code);
    size_t size;
    b->run.scratch = scratch_for(b, &size);
    assert_non_null(b->run.scratch);
    objective(b);
    if (kind->backward == NULL)
        kind->forward(&b->run);
    else
        kind->backward(&b->run);
    static const char *const inputs[] = {"input 0", "input 1", "input 2"};
    static const char *const weights[] = {"weight 0", "weight 1", "weight 2"};
    for (int k = 0; k < HONE_OP_INPUTS; k++) {
        if (b->run.in[k].data == NULL)
            continue;
        const float *gradient = k == kind->passes ? b->dy : b->d_in[k];
        compare(b, inputs[k], b->in[k], gradient, b->in_rows[k] * b->run.in[k].width);
    }
    for (int k = 0; k < HONE_OP_WEIGHTS; k++)
        if (b->run.weight[k] != NULL)
            compare(b, weights[k], b->data[k], b->gradient[k],
                    b->weights[k].rows * b->weights[k].columns);
    hone_pages_free(b->run.scratch, size);
}

/* The input that passes its gradient through has no d_in of its own. */
static void without_passing(bench *b)
{
    int passes = hone_op_kind_of(b->op.code)->passes;
    if (passes >= 0)
        b->run.d_in[passes].data = NULL;
}

static void embedding_with_dropout(void **state)
{
    (void)state;
    bench *b = make(HONE_OP_EMBEDDING);
    output(b, 0, 7);
    weight(b, 0, 11, 7, false);
    weight(b, 1, 9, 7, false);
    b->op.dropout = 0.3f;
    b->op.as.embedding.position_offset = 2;
    b->run.training = true;
    check(b);
}

/* Positions alone, into a value of their own; tokens alone, one of which is padding. */
static void embedding_of_one_kind(void **state)
{
    (void)state;
    for (int tokens = 0; tokens < 2; tokens++) {
        bench *b = make(HONE_OP_EMBEDDING);
        output(b, 0, 7);
        weight(b, tokens ? 0 : 1, tokens ? 11 : 9, 7, false);
        b->op.as.embedding.position_offset = 2;
        check(b);
    }
}

static void padding_gets_no_gradient(void **state)
{
    (void)state;
    enum { TOKENS = 11, WIDTH = 7, PAD = 10 };
    float gradient[TOKENS][WIDTH];
    for (int pads = 0; pads < 2; pads++) {
        bench *b = make(HONE_OP_EMBEDDING);
        size_t size;
        output(b, 0, WIDTH);
        weight(b, 0, TOKENS, WIDTH, false);
        b->op.as.embedding.pads = pads == 1;
        b->op.as.embedding.pad_token = PAD;
        b->run.scratch = scratch_for(b, &size);
        hone_op_kind_of(HONE_OP_EMBEDDING)->backward(&b->run);
        for (int id = 0; id < TOKENS; id++)
            for (int j = 0; j < WIDTH; j++) {
                float found = b->gradient[0][id * WIDTH + j];
                if (pads == 0)
                    gradient[id][j] = found;
                else
                    assert_true(found == (id == PAD ? 0.0f : gradient[id][j]));
            }
        hone_pages_free(b->run.scratch, size);
    }
    assert_true(gradient[PAD][0] != 0.0f); /* one of the rows is that token */
}

static void norm_without_weights(void **state)
{
    (void)state;
    bench *b = make(HONE_OP_NORM);
    input(b, 0, 19);
    output(b, 0, 19);
    output(b, 1, 2);
    b->op.as.norm.epsilon = 1e-5f;
    check(b);
}

static void norm_of_both_kinds(void **state)
{
    (void)state;
    for (int rms = 0; rms < 2; rms++) {
        bench *b = make(HONE_OP_NORM);
        input(b, 0, 19);
        output(b, 0, 19);
        output(b, 1, 2);
        weight(b, 0, 19, 1, false);
        if (!rms)
            weight(b, 1, 19, 1, false);
        b->op.as.norm.epsilon = 1e-5f;
        b->op.as.norm.rms = rms == 1;
        b->op.as.norm.scale = rms == 1 ? 0.7f : 1.0f;
        b->op.dropout = rms == 1 ? 0.2f : 0.0f;
        b->run.training = true;
        check(b);
    }
}

static void linear_of_both_layouts(void **state)
{
    (void)state;
    for (int transposed = 0; transposed < 2; transposed++) {
        bench *b = make(HONE_OP_LINEAR);
        input(b, 0, 7);
        output(b, 0, 17);
        weight(b, 0, transposed ? 7 : 17, transposed ? 17 : 7, transposed == 1);
        weight(b, 1, 17, 1, false);
        check(b);
    }
}

static void attention_causal_and_full(void **state)
{
    (void)state;
    for (int variant = 0; variant < 4; variant++) {
        bench *b = make(HONE_OP_ATTENTION);
        input(b, 0, 3 * 3 * 5);
        output(b, 0, 3 * 5);
        output(b, 1, 3);
        b->op.as.attention.heads = 3;
        b->op.as.attention.head_size = 5;
        b->op.as.attention.scale = 0.4f;
        b->op.as.attention.causal = variant % 2 == 0;
        b->op.dropout = variant >= 2 ? 0.25f : 0.0f;
        b->run.training = true;
        check(b);
    }
}

/* q, k and v apart; keys of the source; T5's biases, with distances in shared buckets. */
static void attention_over_separate_inputs(void **state)
{
    (void)state;
    for (int variant = 0; variant < 6; variant++) {
        bench *b = make(HONE_OP_ATTENTION);
        bool cross = variant % 3 == 2;
        int64_t keys = cross ? SOURCE_ROWS : ROWS;
        input(b, 0, 3 * 5);
        input_of_rows(b, 1, keys, 3 * 5);
        input_of_rows(b, 2, keys, 3 * 5);
        output(b, 0, 3 * 5);
        output(b, 1, 3);
        b->op.as.attention.heads = 3;
        b->op.as.attention.head_size = 5;
        b->op.as.attention.scale = cross ? 0.4f : 1.0f;
        b->op.as.attention.causal = variant % 3 == 0;
        b->op.as.attention.cross = cross;
        b->op.dropout = variant >= 3 ? 0.25f : 0.0f;
        b->run.training = true;
        if (cross)
            b->run.keys = &b->batch.source;
        else {
            b->op.as.attention.relative_buckets = 6;
            b->op.as.attention.relative_distance = 5;
            weight(b, 0, 6, 3, false);
        }
        check(b);
    }
}

static void activations_of_all_types(void **state)
{
    (void)state;
    static const hone_activation types[] = {HONE_GELU, HONE_GELU_NEW, HONE_SILU};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        bench *b = make(HONE_OP_ACTIVATION);
        input(b, 0, 37);
        output(b, 0, 37);
        b->op.as.activation.type = types[i];
        check(b);
    }
}

static void activation_with_gate_and_dropout(void **state)
{
    (void)state;
    bench *b = make(HONE_OP_ACTIVATION);
    input(b, 0, 37);
    input(b, 1, 37);
    output(b, 0, 37);
    b->op.as.activation.type = HONE_GELU_NEW;
    b->op.dropout = 0.3f;
    b->run.training = true;
    check(b);
}

static void relu_passes_only_what_is_positive(void **state)
{
    (void)state;
    for (int signs = 0; signs < 2; signs++) {
        bench *b = make(HONE_OP_ACTIVATION);
        input(b, 0, 37);
        if (signs) {
            output(b, 1, 2);
            b->op.outputs[1] = 1;
        }
        for (int i = 0; i < ROWS * 37; i++) /* away from the corner, which has no derivative */
            b->in[0][i] += b->in[0][i] > 0 ? 0.1f : -0.1f;
        output(b, 0, 37);
        b->op.as.activation.type = HONE_RELU;
        check(b);
    }
}

static void add_with_and_without_dropout(void **state)
{
    (void)state;
    for (int dropout = 0; dropout < 2; dropout++) {
        bench *b = make(HONE_OP_ADD);
        input(b, 0, 23);
        input(b, 1, 23);
        output(b, 0, 23);
        b->op.dropout = dropout ? 0.4f : 0.0f;
        b->run.training = true;
        without_passing(b);
        check(b);
    }
}

static void scale_of_columns(void **state)
{
    (void)state;
    bench *b = make(HONE_OP_SCALE);
    input(b, 0, 29);
    output(b, 0, 29);
    weight(b, 0, 29, 1, false);
    check(b);
}

static void lora_with_and_without_dropout(void **state)
{
    (void)state;
    for (int dropout = 0; dropout < 2; dropout++) {
        bench *b = make(HONE_OP_LORA);
        input(b, 0, 19);
        input(b, 1, 11);
        output(b, 0, 11);
        output(b, 1, 3);
        weight(b, 0, 3, 19, false);
        weight(b, 1, 11, 3, false);
        b->op.as.lora.scale = 1.7f;
        b->op.dropout = dropout ? 0.3f : 0.0f;
        b->run.training = true;
        without_passing(b);
        check(b);
    }
}

static void head_and_loss(void **state)
{
    (void)state;
    bench *b = make(HONE_OP_HEAD);
    input(b, 0, 7);
    weight(b, 0, 11, 7, false);
    b->head.logprobs = b->logprobs;
    b->head.loss_scale = 0.6f;
    check(b);
}

static void gradients_are_added_where_told_to(void **state)
{
    (void)state;
    bench *b = make(HONE_OP_LINEAR);
    input(b, 0, 7);
    output(b, 0, 17);
    weight(b, 0, 7, 17, true);
    b->run.accumulate[0] = true;
    for (int i = 0; i < ROWS * 7; i++)
        b->d_in[0][i] = 1.0f;
    const hone_op_kind *kind = hone_op_kind_of(HONE_OP_LINEAR);
    kind->backward(&b->run);
    float first = b->d_in[0][5];
    b->run.accumulate[0] = false;
    kind->backward(&b->run);
    assert_true(fabsf(first - b->d_in[0][5] - 1.0f) < 1e-5f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(embedding_with_dropout),
        cmocka_unit_test(embedding_of_one_kind),
        cmocka_unit_test(padding_gets_no_gradient),
        cmocka_unit_test(norm_of_both_kinds),
        cmocka_unit_test(norm_without_weights),
        cmocka_unit_test(linear_of_both_layouts),
        cmocka_unit_test(attention_causal_and_full),
        cmocka_unit_test(attention_over_separate_inputs),
        cmocka_unit_test(activations_of_all_types),
        cmocka_unit_test(activation_with_gate_and_dropout),
        cmocka_unit_test(relu_passes_only_what_is_positive),
        cmocka_unit_test(add_with_and_without_dropout),
        cmocka_unit_test(scale_of_columns),
        cmocka_unit_test(lora_with_and_without_dropout),
        cmocka_unit_test(head_and_loss),
        cmocka_unit_test(gradients_are_added_where_told_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
