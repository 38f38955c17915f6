/* Activations: y = dropout(f(x)) with f relu, gelu (erf), gelu_new (tanh) or silu; or, gated,
 * y = dropout(f(x) g).
 * Source:  Hendrycks and Gimpel 2016, arXiv:1606.08415; gelu_new is its tanh approximation. Gated:
 *          Shazeer 2020, arXiv:2002.05202.
 * Shapes:  x, g, y (N,C); signs (N, C/32): of relu where the program asks for them, a bit for each
 *          x > 0, so that backward need not keep x, which is 32 times as large.
 * Errors:  none (a kernel). */
#include "op/kernel.h"

enum { BUFFERS = 4 }; /* rows of x, g, y or dy, and a result */

static unsigned activation_saved(const hone_op *op,
                                 const hone_weight *const weight[HONE_OP_WEIGHTS])
{
    (void)weight;
    if (op->outputs[1] >= 0)
        return HONE_SAVES_OUTPUT(1);
    return HONE_SAVES_INPUT(0) | (op->inputs[1] >= 0 ? HONE_SAVES_INPUT(1) : 0);
}

static size_t activation_scratch(const hone_op *op, const hone_op_shape *shape)
{
    (void)op;
    return row_buffers_size(shape->threads, BUFFERS, shape->in_width[0]);
}

/* 0.5 x (1 + tanh u) = x / (1 + e^(-2u)), u = sqrt(2/pi) (x + 0.044715 x^3). */
static inline vec gelu_new_inner(vec x)
{
    return x * (0.7978845608f + 0.0356774081f * x * x);
}

static inline vec sigmoid(vec x)
{
    /* e^87 stands for all that is larger: 1 / e^87 is next to the least normal number */
    return 1.0f / (1.0f + vec_exp_bounded(vec_min(vec_set(87.0f), -x)));
}

static inline vec value_of(hone_activation type, vec x)
{
    switch (type) {
    case HONE_RELU: return vec_select(x > 0.0f, x, vec_set(0.0f));
    case HONE_SILU: return x * sigmoid(x);
    case HONE_GELU_NEW: return x * sigmoid(2.0f * gelu_new_inner(x));
    default: break;
    }
    float lane[LANES];
    vec_store(lane, x);
    for (int i = 0; i < LANES; i++)
        lane[i] = 0.5f * lane[i] * (1.0f + erff(lane[i] * 0.70710678f));
    return vec_load(lane);
}

static inline vec slope_of(hone_activation type, vec x)
{
    switch (type) {
    case HONE_RELU: return vec_select(x > 0.0f, vec_set(1.0f), vec_set(0.0f));
    case HONE_SILU: {
        vec s = sigmoid(x);
        return s * (1.0f + x * (1.0f - s));
    }
    case HONE_GELU_NEW: {
        vec s = sigmoid(2.0f * gelu_new_inner(x));
        vec inner_slope = 0.7978845608f + 0.1070322243f * x * x;
        return s + 2.0f * x * s * (1.0f - s) * inner_slope;
    }
    default: break;
    }
    float lane[LANES];
    vec_store(lane, x);
    for (int i = 0; i < LANES; i++) {
        float density = 0.39894228f * expf(-0.5f * lane[i] * lane[i]);
        lane[i] = 0.5f * (1.0f + erff(lane[i] * 0.70710678f)) + lane[i] * density;
    }
    return vec_load(lane);
}

/* y = f(x), or y = y f'(x) with `slope`. A row's last part goes through a small one: rows in place
 * are not padded. y may be x. */
static inline __attribute__((always_inline)) void apply(hone_activation type, bool slope,
                                                        const float *x, float *y, int64_t n)
{
    int64_t j = 0;
    for (; j + LANES <= n; j += LANES) {
        vec v = vec_load(x + j);
        vec_store(y + j, slope ? slope_of(type, v) * vec_load(y + j) : value_of(type, v));
    }
    if (j < n) {
        float in[LANES] = {0}, out[LANES];
        memcpy(in, x + j, (size_t)(n - j) * sizeof(float));
        vec v = vec_load(in);
        vec_store(out, slope ? slope_of(type, v) : value_of(type, v));
        for (int64_t i = 0; i < n - j; i++)
            y[j + i] = slope ? out[i] * y[j + i] : out[i];
    }
}

/* The same, a loop for each type. */
static void apply_row(hone_activation type, bool slope, const float *x, float *y, int64_t n)
{
    switch (type) {
    case HONE_RELU:
        slope ? apply(HONE_RELU, true, x, y, n) : apply(HONE_RELU, false, x, y, n);
        break;
    case HONE_GELU:
        slope ? apply(HONE_GELU, true, x, y, n) : apply(HONE_GELU, false, x, y, n);
        break;
    case HONE_GELU_NEW:
        slope ? apply(HONE_GELU_NEW, true, x, y, n) : apply(HONE_GELU_NEW, false, x, y, n);
        break;
    case HONE_SILU:
        slope ? apply(HONE_SILU, true, x, y, n) : apply(HONE_SILU, false, x, y, n);
        break;
    }
}

static uint32_t *sign_row(const hone_op_run *run, int64_t row)
{
    return (uint32_t *)(void *)view_row(run->out[1], row);
}

/* Bit j % 32 of word j / 32: whether y = relu(x) has passed x_j. */
static void keep_signs(const float *y, uint32_t *signs, int64_t n)
{
    for (int64_t j = 0; j < n; j += 32) {
        uint32_t word = 0;
        for (int64_t i = 0; i < 32 && j + i < n; i++)
            word |= (uint32_t)(y[j + i] > 0.0f) << i;
        signs[j / 32] = word;
    }
}

static void apply_signs(const uint32_t *signs, float *dy, int64_t n)
{
    const uvec lane = {EACH_LANE};
    int64_t j = 0;
    for (; j + LANES <= n; j += LANES) {
        uvec bits = (uvec){0} + (signs[j / 32] >> (j % 32));
        ivec mask = -(ivec)(bits >> lane & 1u); /* of all bits where the lane's is set */
        vec_store(dy + j, (vec)(mask & (ivec)vec_load(dy + j)));
    }
    for (; j < n; j++)
        dy[j] = (signs[j / 32] >> (j % 32) & 1) != 0 ? dy[j] : 0.0f;
}

static void multiply_row(float *y, const float *g, int64_t n)
{
    for (int64_t j = 0; j < n; j++)
        y[j] *= g[j];
}

static void drop_row(const hone_op_run *run, int64_t row, float *y, int64_t n)
{
    if (dropout_is_on(run))
        dropout_apply(run->random, run->op->dropout, dropout_row_start(run, row, n), y, n);
}

static void forward_task(void *context, int64_t task, int thread)
{
    const hone_op_run *run = context;
    int64_t width = run->in[0].width;
    hone_activation type = run->op->as.activation.type;
    float *x_buffer = row_buffer(run->scratch, thread, BUFFERS, 0, width);
    float *g_buffer = row_buffer(run->scratch, thread, BUFFERS, 1, width);
    float *y_buffer = row_buffer(run->scratch, thread, BUFFERS, 2, width);
    for (int64_t row = task * TASK_ROWS; row < task_end(run, task); row++) {
        float *y = row_open(run->out[0], row, y_buffer);
        apply_row(type, false, row_read(run->in[0], row, x_buffer), y, width);
        if (run->out[1].data != NULL)
            keep_signs(y, sign_row(run, row), width);
        if (run->in[1].data != NULL)
            multiply_row(y, row_read(run->in[1], row, g_buffer), width);
        drop_row(run, row, y, width);
        row_write(run->out[0], row, y);
    }
}

static void activation_forward(const hone_op_run *run)
{
    run_tasks(run, divide_up(run->rows, TASK_ROWS), forward_task);
}

static void backward_task(void *context, int64_t task, int thread)
{
    const hone_op_run *run = context;
    int64_t width = run->in[0].width;
    hone_activation type = run->op->as.activation.type;
    float *x_buffer = row_buffer(run->scratch, thread, BUFFERS, 0, width);
    float *g_buffer = row_buffer(run->scratch, thread, BUFFERS, 1, width);
    float *dy = row_buffer(run->scratch, thread, BUFFERS, 2, width);
    float *dg = row_buffer(run->scratch, thread, BUFFERS, 3, width);
    for (int64_t row = task * TASK_ROWS; row < task_end(run, task); row++) {
        load_floats(run->d_out.dtype, view_row(run->d_out, row), dy, width);
        drop_row(run, row, dy, width);
        if (run->out[1].data != NULL) {
            apply_signs(sign_row(run, row), dy, width);
            row_put(run->d_in[0], row, dy, run->accumulate[0]);
            continue;
        }
        const float *x = row_read(run->in[0], row, x_buffer);
        if (run->d_in[1].data != NULL) {
            apply_row(type, false, x, dg, width);
            multiply_row(dg, dy, width);
            row_put(run->d_in[1], row, dg, run->accumulate[1]);
        }
        if (run->d_in[0].data != NULL) {
            if (run->in[1].data != NULL)
                multiply_row(dy, row_read(run->in[1], row, g_buffer), width);
            apply_row(type, true, x, dy, width);
            row_put(run->d_in[0], row, dy, run->accumulate[0]);
        }
    }
}

static void activation_backward(const hone_op_run *run)
{
    run_tasks(run, divide_up(run->rows, TASK_ROWS), backward_task);
}

const hone_op_kind HONE_ISA_NAME(hone_op_activation) = {
    .name = "activation",
    .cheap = true,
    .in_place = 0,
    .passes = -1,
    .saved = activation_saved,
    .scratch = activation_scratch,
    .forward = activation_forward,
    .backward = activation_backward,
};
