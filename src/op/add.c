/* Residual addition: y = x + dropout(branch).
 * Shapes:  x, branch, y (N,C); x and y are the residual stream, f32.
 * Backward: dx is dy itself (the plan gives both one place); dbranch = dropout(dy).
 * Errors:  none (a kernel). */
#include "op/kernel.h"

static unsigned add_saved(const hone_op *op, const hone_weight *const weight[HONE_OP_WEIGHTS])
{
    (void)op;
    (void)weight;
    return 0;
}

static size_t add_scratch(const hone_op *op, const hone_op_shape *shape)
{
    (void)op;
    return row_buffers_size(shape->threads, 3, shape->in_width[0]);
}

static void forward_task(void *context, int64_t task, int thread)
{
    const hone_op_run *run = context;
    int64_t width = run->in[0].width;
    float *x_buffer = row_buffer(run->scratch, thread, 3, 0, width);
    float *branch = row_buffer(run->scratch, thread, 3, 1, width);
    float *y_buffer = row_buffer(run->scratch, thread, 3, 2, width);
    for (int64_t row = task * TASK_ROWS; row < task_end(run, task); row++) {
        const float *x = row_read(run->in[0], row, x_buffer), *b;
        if (dropout_is_on(run)) {
            load_floats(run->in[1].dtype, view_row(run->in[1], row), branch, width);
            dropout_apply(run->random, run->op->dropout, dropout_row_start(run, row, width), branch,
                          width);
            b = branch;
        } else
            b = row_read(run->in[1], row, branch);
        float *y = row_open(run->out[0], row, y_buffer);
        for (int64_t j = 0; j < width; j++)
            y[j] = x[j] + b[j];
        row_write(run->out[0], row, y);
    }
}

static void add_forward(const hone_op_run *run)
{
    run_tasks(run, divide_up(run->rows, TASK_ROWS), forward_task);
}

static void backward_task(void *context, int64_t task, int thread)
{
    const hone_op_run *run = context;
    int64_t width = run->d_out.width;
    float *buffer = row_buffer(run->scratch, thread, 3, 0, width);
    for (int64_t row = task * TASK_ROWS; row < task_end(run, task); row++) {
        const float *dy = row_read(run->d_out, row, buffer);
        if (run->d_in[0].data != NULL)
            row_put(run->d_in[0], row, dy, true);
        if (run->d_in[1].data == NULL)
            continue;
        if (dropout_is_on(run)) {
            if (dy != buffer)
                memcpy(buffer, dy, (size_t)width * sizeof(float));
            dropout_apply(run->random, run->op->dropout, dropout_row_start(run, row, width), buffer,
                          width);
            dy = buffer;
        }
        row_put(run->d_in[1], row, dy, run->accumulate[1]);
    }
}

static void add_backward(const hone_op_run *run)
{
    run_tasks(run, divide_up(run->rows, TASK_ROWS), backward_task);
}

const hone_op_kind HONE_ISA_NAME(hone_op_add) = {
    .name = "add",
    .in_place = 0,
    .passes = 0,
    .saved = add_saved,
    .scratch = add_scratch,
    .forward = add_forward,
    .backward = add_backward,
};
