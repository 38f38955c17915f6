/* IA3's scaling of columns: y = x * l.
 * Source:  Liu et al. 2022, arXiv:2205.05638, section 3.3.
 * Shapes:  x, y (N,C); l (C), trained or frozen.
 * Backward: dx = dy l; dl += column sums of dy x.
 * Errors:  none (a kernel). */
#include "op/kernel.h"

static unsigned scale_saved(const hone_op *op, const hone_weight *const weight[HONE_OP_WEIGHTS])
{
    (void)op;
    return weight[0]->trainable ? HONE_SAVES_INPUT(0) : 0;
}

static size_t scale_scratch(const hone_op *op, const hone_op_shape *shape)
{
    (void)op;
    size_t parts = shape->training ? (size_t)divide_up(shape->rows, SUM_ROWS) : 0;
    return row_buffers_size(shape->threads, 3, shape->in_width[0]) +
           align_up(parts * (size_t)shape->in_width[0] * sizeof(float));
}

static void forward_task(void *context, int64_t task, int thread)
{
    const hone_op_run *run = context;
    int64_t width = run->in[0].width;
    const float *l = run->weight[0]->data;
    float *x_buffer = row_buffer(run->scratch, thread, 3, 0, width);
    float *y_buffer = row_buffer(run->scratch, thread, 3, 1, width);
    for (int64_t row = task * TASK_ROWS; row < task_end(run, task); row++) {
        const float *x = row_read(run->in[0], row, x_buffer);
        float *y = row_open(run->out[0], row, y_buffer);
        for (int64_t j = 0; j < width; j++)
            y[j] = x[j] * l[j];
        row_write(run->out[0], row, y);
    }
}

static void scale_forward(const hone_op_run *run)
{
    run_tasks(run, divide_up(run->rows, TASK_ROWS), forward_task);
}

static float *partials_of(const hone_op_run *run)
{
    return (float *)(void *)(run->scratch +
                             row_buffers_size(hone_parallel_threads(), 3, run->in[0].width));
}

static void backward_task(void *context, int64_t task, int thread)
{
    const hone_op_run *run = context;
    int64_t width = run->in[0].width;
    const float *l = run->weight[0]->data;
    float *x_buffer = row_buffer(run->scratch, thread, 3, 0, width);
    float *dy_buffer = row_buffer(run->scratch, thread, 3, 1, width);
    float *dx = row_buffer(run->scratch, thread, 3, 2, width);
    float *sum = partials_of(run) + task * width;
    bool trains = run->weight[0]->gradient != NULL;
    if (trains)
        memset(sum, 0, (size_t)width * sizeof(float));
    int64_t end = (task + 1) * SUM_ROWS < run->rows ? (task + 1) * SUM_ROWS : run->rows;
    for (int64_t row = task * SUM_ROWS; row < end; row++) {
        const float *dy = row_read(run->d_out, row, dy_buffer);
        if (trains) {
            const float *x = row_read(run->in[0], row, x_buffer);
            for (int64_t j = 0; j < width; j++)
                sum[j] += dy[j] * x[j];
        }
        if (run->d_in[0].data != NULL) {
            for (int64_t j = 0; j < width; j++)
                dx[j] = dy[j] * l[j];
            row_put(run->d_in[0], row, dx, run->accumulate[0]);
        }
    }
}

static void scale_backward(const hone_op_run *run)
{
    int64_t parts = divide_up(run->rows, SUM_ROWS);
    run_tasks(run, parts, backward_task);
    if (run->weight[0]->gradient != NULL)
        add_partials(partials_of(run), parts, run->in[0].width, run->weight[0]->gradient);
}

const hone_op_kind HONE_ISA_NAME(hone_op_scale) = {
    .name = "scale",
    .cheap = true,
    .in_place = 0,
    .passes = -1,
    .saved = scale_saved,
    .scratch = scale_scratch,
    .forward = scale_forward,
    .backward = scale_backward,
};
