/* Activations: relu, gelu (erf), gelu_new (tanh), silu.
 * Source:  Hendrycks and Gimpel 2016, arXiv:1606.08415; gelu_new is its tanh approximation.
 * Shapes:  x, y (N,C).
 * Errors:  none (a kernel). */
#include "op/kernel.h"

static unsigned activation_saved(const hone_op *op,
                                 const hone_weight *const weight[HONE_OP_WEIGHTS])
{
    (void)op;
    (void)weight;
    return HONE_SAVES_INPUT(0);
}

static size_t activation_scratch(const hone_op *op, const hone_op_shape *shape)
{
    (void)op;
    return row_buffers_size(shape->threads, 3, shape->in_width[0]);
}

/* 0.5 x (1 + tanh u) = x / (1 + e^(-2u)), u = sqrt(2/pi) (x + 0.044715 x^3). */
static inline vec gelu_new_inner(vec x)
{
    return x * (0.7978845608f + 0.0356774081f * x * x);
}

static inline vec sigmoid(vec x)
{
    return 1.0f / (1.0f + vec_exp(-x));
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

/* y = f(x), or y = dy f'(x) when dy is given. Buffers are padded to whole vectors; rows in place
 * are not, so a row's last part goes through a small one. */
static void apply_row(hone_activation type, const float *x, const float *dy, float *y, int64_t n)
{
    int64_t j = 0;
    for (; j + LANES <= n; j += LANES) {
        vec v = vec_load(x + j);
        vec_store(y + j, dy == NULL ? value_of(type, v) : slope_of(type, v) * vec_load(dy + j));
    }
    if (j < n) {
        float in[LANES] = {0}, out[LANES];
        memcpy(in, x + j, (size_t)(n - j) * sizeof(float));
        vec v = vec_load(in);
        vec_store(out, dy == NULL ? value_of(type, v) : slope_of(type, v));
        for (int64_t i = 0; i < n - j; i++)
            y[j + i] = dy == NULL ? out[i] : out[i] * dy[j + i];
    }
}

static void forward_task(void *context, int64_t task, int thread)
{
    const hone_op_run *run = context;
    int64_t width = run->in[0].width;
    float *x_buffer = row_buffer(run->scratch, thread, 3, 0, width);
    float *y_buffer = row_buffer(run->scratch, thread, 3, 1, width);
    for (int64_t row = task * TASK_ROWS; row < task_end(run, task); row++) {
        float *y = row_open(run->out[0], row, y_buffer);
        apply_row(run->op->as.activation.type, row_read(run->in[0], row, x_buffer), NULL, y, width);
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
    float *x_buffer = row_buffer(run->scratch, thread, 3, 0, width);
    float *dy_buffer = row_buffer(run->scratch, thread, 3, 1, width);
    float *dx_buffer = row_buffer(run->scratch, thread, 3, 2, width);
    for (int64_t row = task * TASK_ROWS; row < task_end(run, task); row++) {
        const float *x = row_read(run->in[0], row, x_buffer);
        const float *dy = row_read(run->d_out, row, dy_buffer);
        if (run->accumulate[0]) {
            apply_row(run->op->as.activation.type, x, dy, dx_buffer, width);
            row_put(run->d_in[0], row, dx_buffer, true);
        } else {
            float *dx = row_open(run->d_in[0], row, dx_buffer);
            apply_row(run->op->as.activation.type, x, dy, dx, width);
            row_write(run->d_in[0], row, dx);
        }
    }
}

static void activation_backward(const hone_op_run *run)
{
    if (run->d_in[0].data != NULL)
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
