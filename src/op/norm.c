/* Layer norm and RMS norm: y = dropout(scale ((x - mean) rstd * gain + bias)); RMS: no mean, no
 * bias. Gain and bias may be missing.
 * Source:  Ba et al. 2016, arXiv:1607.06450; Zhang and Sennrich 2019, arXiv:1910.07467.
 * Shapes:  x, y (N,C); gain, bias (C); statistics (N,2): mean, rstd.
 * Errors:  none (a kernel). */
#include "op/kernel.h"

static unsigned norm_saved(const hone_op *op, const hone_weight *const weight[HONE_OP_WEIGHTS])
{
    (void)op;
    (void)weight;
    return HONE_SAVES_INPUT(0) | HONE_SAVES_OUTPUT(1);
}

static size_t norm_scratch(const hone_op *op, const hone_op_shape *shape)
{
    (void)op;
    size_t width = (size_t)shape->in_width[0];
    size_t partials = (size_t)divide_up(shape->rows, SUM_ROWS) * 2 * width * sizeof(float);
    return row_buffers_size(shape->threads, 3, shape->in_width[0]) +
           (shape->training ? align_up(partials) : 0);
}

static float row_sum(const float *x, int64_t n)
{
    vec sum = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        sum += vec_load(x + i);
    float total = vec_sum(sum);
    for (; i < n; i++)
        total += x[i];
    return total;
}

/* Sum of (x - mean)^2: two passes over a row in cache lose nothing to cancellation. */
static float row_squares(const float *x, int64_t n, float mean)
{
    vec sum = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vec d = vec_load(x + i) - mean;
        sum += d * d;
    }
    float total = vec_sum(sum);
    for (; i < n; i++)
        total += (x[i] - mean) * (x[i] - mean);
    return total;
}

/* Scale and dropout of a result, or of its gradient. */
static void finish_row(const hone_op_run *run, int64_t row, float *y)
{
    int64_t width = run->in[0].width;
    float scale = run->op->as.norm.scale;
    if (scale != 1.0f)
        for (int64_t j = 0; j < width; j++)
            y[j] *= scale;
    if (dropout_is_on(run))
        dropout_apply(run->random, run->op->dropout, dropout_row_start(run, row, width), y, width);
}

static void forward_task(void *context, int64_t task, int thread)
{
    const hone_op_run *run = context;
    int64_t width = run->in[0].width;
    const float *gain = run->weight[0] != NULL ? run->weight[0]->data : NULL;
    const float *bias = run->weight[1] != NULL ? run->weight[1]->data : NULL;
    float *x_buffer = row_buffer(run->scratch, thread, 3, 0, width);
    float *y_buffer = row_buffer(run->scratch, thread, 3, 1, width);
    for (int64_t row = task * TASK_ROWS; row < task_end(run, task); row++) {
        const float *x = row_read(run->in[0], row, x_buffer);
        float mean = run->op->as.norm.rms ? 0.0f : row_sum(x, width) / (float)width;
        float variance = row_squares(x, width, mean) / (float)width;
        float rstd = 1.0f / sqrtf(variance + run->op->as.norm.epsilon);
        float *y = row_open(run->out[0], row, y_buffer);
        if (gain == NULL)
            for (int64_t j = 0; j < width; j++)
                y[j] = (x[j] - mean) * rstd;
        else if (bias != NULL)
            for (int64_t j = 0; j < width; j++)
                y[j] = (x[j] - mean) * rstd * gain[j] + bias[j];
        else
            for (int64_t j = 0; j < width; j++)
                y[j] = (x[j] - mean) * rstd * gain[j];
        finish_row(run, row, y);
        row_write(run->out[0], row, y);
        if (run->out[1].data != NULL) {
            float *statistics = (float *)(void *)view_row(run->out[1], row);
            statistics[0] = mean;
            statistics[1] = rstd;
        }
    }
}

static void norm_forward(const hone_op_run *run)
{
    run_tasks(run, divide_up(run->rows, TASK_ROWS), forward_task);
}

/* dx = rstd (g - mean(g) - xhat mean(g xhat)) with g = dy gain; RMS has no mean(g). */
static void input_gradient_row(const hone_op_run *run, int64_t row, const float *x, const float *dy,
                               float *dx)
{
    int64_t width = run->in[0].width;
    const float *gain = run->weight[0] != NULL ? run->weight[0]->data : NULL;
    const float *statistics = (const float *)(const void *)view_row(run->out[1], row);
    float mean = statistics[0], rstd = statistics[1];
    vec sum_g = {0}, sum_gx = {0};
    int64_t j = 0;
    for (; j + LANES <= width; j += LANES) {
        vec g = vec_load(dy + j);
        if (gain != NULL)
            g *= vec_load(gain + j);
        sum_g += g;
        sum_gx += g * (vec_load(x + j) - mean);
    }
    float mean_g = vec_sum(sum_g), mean_gx = vec_sum(sum_gx);
    for (; j < width; j++) {
        float g = gain != NULL ? dy[j] * gain[j] : dy[j];
        mean_g += g;
        mean_gx += g * (x[j] - mean);
    }
    mean_g = run->op->as.norm.rms ? 0.0f : mean_g / (float)width;
    mean_gx = mean_gx * rstd * rstd / (float)width;
    if (gain == NULL)
        for (j = 0; j < width; j++)
            dx[j] = rstd * (dy[j] - mean_g - (x[j] - mean) * mean_gx);
    else
        for (j = 0; j < width; j++)
            dx[j] = rstd * (dy[j] * gain[j] - mean_g - (x[j] - mean) * mean_gx);
}

static float *partials_of(const hone_op_run *run)
{
    return (float *)(void *)(run->scratch +
                             row_buffers_size(hone_parallel_threads(), 3, run->in[0].width));
}

/* A task is SUM_ROWS rows here: its sums for gain and bias are one partial. */
static void backward_task(void *context, int64_t task, int thread)
{
    const hone_op_run *run = context;
    int64_t width = run->in[0].width;
    float *x_buffer = row_buffer(run->scratch, thread, 3, 0, width);
    float *dy = row_buffer(run->scratch, thread, 3, 1, width);
    float *dx_buffer = row_buffer(run->scratch, thread, 3, 2, width);
    bool trains = (run->weight[0] != NULL && run->weight[0]->gradient != NULL) ||
                  (run->weight[1] != NULL && run->weight[1]->gradient != NULL);
    float *d_gain = partials_of(run) + task * 2 * width, *d_bias = d_gain + width;
    if (trains)
        memset(d_gain, 0, (size_t)(2 * width) * sizeof(float));
    int64_t end = (task + 1) * SUM_ROWS < run->rows ? (task + 1) * SUM_ROWS : run->rows;
    for (int64_t row = task * SUM_ROWS; row < end; row++) {
        const float *x = row_read(run->in[0], row, x_buffer);
        load_floats(run->d_out.dtype, view_row(run->d_out, row), dy, width);
        finish_row(run, row, dy);
        if (run->d_in[0].data != NULL) {
            input_gradient_row(run, row, x, dy, dx_buffer);
            row_put(run->d_in[0], row, dx_buffer, run->accumulate[0]);
        }
        if (trains) {
            const float *statistics = (const float *)(const void *)view_row(run->out[1], row);
            for (int64_t j = 0; j < width; j++) {
                d_gain[j] += dy[j] * (x[j] - statistics[0]) * statistics[1];
                d_bias[j] += dy[j];
            }
        }
    }
}

static void norm_backward(const hone_op_run *run)
{
    int64_t parts = divide_up(run->rows, SUM_ROWS), width = run->in[0].width;
    run_tasks(run, parts, backward_task);
    for (int which = 0; which < 2; which++)
        if (run->weight[which] != NULL && run->weight[which]->gradient != NULL)
            for (int64_t part = 0; part < parts; part++)
                add_partials(partials_of(run) + (2 * part + which) * width, 1, width,
                             run->weight[which]->gradient);
}

const hone_op_kind HONE_ISA_NAME(hone_op_norm) = {
    .name = "norm",
    .cheap = true,
    .in_place = -1,
    .passes = -1,
    .saved = norm_saved,
    .scratch = norm_scratch,
    .forward = norm_forward,
    .backward = norm_backward,
};
