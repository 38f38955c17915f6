/* Token and position vectors: y = dropout(tokens[id] + positions[position + offset]), or the same
 * of one of the two.
 * Shapes:  tokens (V,C); positions (P,C); y (N,C).
 * Errors:  none (a kernel): ids and positions were checked when the batch was made. */
#include "op/kernel.h"

static unsigned embedding_saved(const hone_op *op, const hone_weight *const weight[HONE_OP_WEIGHTS])
{
    (void)op;
    (void)weight;
    return 0;
}

static size_t embedding_scratch(const hone_op *op, const hone_op_shape *shape)
{
    (void)op;
    size_t rows = row_buffers_size(shape->threads, 2, shape->out_width[0]);
    size_t gradient = align_up((size_t)shape->rows * (size_t)shape->out_width[0] * sizeof(float));
    return rows + (shape->training ? gradient : 0);
}

static const char *weight_row(const hone_weight *weight, int64_t row)
{
    return (const char *)weight->data +
           row * weight->columns * (int64_t)hone_dtype_size(weight->dtype);
}

static void forward_task(void *context, int64_t task, int thread)
{
    const hone_op_run *run = context;
    const hone_op *op = run->op;
    int64_t width = run->out[0].width;
    float *sum = row_buffer(run->scratch, thread, 2, 0, width);
    float *position = row_buffer(run->scratch, thread, 2, 1, width);
    int64_t end = task_end(run, task);
    for (int64_t row = task * TASK_ROWS; row < end; row++) {
        const hone_weight *tokens = run->weight[0], *positions = run->weight[1];
        float *y = row_open(run->out[0], row, sum);
        int64_t at = run->stream->positions[row] + op->as.embedding.position_offset;
        if (tokens == NULL)
            load_floats(positions->dtype, weight_row(positions, at), y, width);
        else
            load_floats(tokens->dtype, weight_row(tokens, run->stream->ids[row]), y, width);
        if (tokens != NULL && positions != NULL) {
            load_floats(positions->dtype, weight_row(positions, at), position, width);
            for (int64_t j = 0; j < width; j++)
                y[j] += position[j];
        }
        if (dropout_is_on(run))
            dropout_apply(run->random, op->dropout, dropout_row_start(run, row, width), y, width);
        row_write(run->out[0], row, y);
    }
}

static void embedding_forward(const hone_op_run *run)
{
    run_tasks(run, divide_up(run->rows, TASK_ROWS), forward_task);
}

static float *gradient_block(const hone_op_run *run)
{
    size_t buffers = row_buffers_size(hone_parallel_threads(), 2, run->out[0].width);
    return (float *)(void *)(run->scratch + buffers);
}

/* Rows of d_out through the dropout, as f32, into the scratch block. */
static void gradient_task(void *context, int64_t task, int thread)
{
    (void)thread;
    const hone_op_run *run = context;
    int64_t width = run->d_out.width;
    int64_t end = task_end(run, task);
    for (int64_t row = task * TASK_ROWS; row < end; row++) {
        float *g = gradient_block(run) + row * width;
        load_floats(run->d_out.dtype, view_row(run->d_out, row), g, width);
        if (dropout_is_on(run))
            dropout_apply(run->random, run->op->dropout, dropout_row_start(run, row, width), g,
                          width);
    }
}

enum { SCATTER_COLUMNS = 64 };

static bool trains_token(const hone_op_run *run, int32_t id)
{
    const hone_op *op = run->op;
    return run->weight[0] != NULL && run->weight[0]->gradient != NULL &&
           !(op->as.embedding.pads && id == op->as.embedding.pad_token);
}

/* One slice of columns for all rows in order: no two tasks meet, and the order is fixed. */
static void scatter_task(void *context, int64_t task, int thread)
{
    (void)thread;
    const hone_op_run *run = context;
    int64_t width = run->d_out.width, start = task * SCATTER_COLUMNS;
    int64_t count = width - start < SCATTER_COLUMNS ? width - start : SCATTER_COLUMNS;
    const hone_weight *tokens = run->weight[0], *positions = run->weight[1];
    for (int64_t row = 0; row < run->rows; row++) {
        const float *g = gradient_block(run) + row * width + start;
        if (trains_token(run, run->stream->ids[row])) {
            float *to = tokens->gradient + run->stream->ids[row] * width + start;
            for (int64_t j = 0; j < count; j++)
                to[j] += g[j];
        }
        if (positions != NULL && positions->gradient != NULL) {
            int64_t at = run->stream->positions[row] + run->op->as.embedding.position_offset;
            float *to = positions->gradient + at * width + start;
            for (int64_t j = 0; j < count; j++)
                to[j] += g[j];
        }
    }
}

static void embedding_backward(const hone_op_run *run)
{
    run_tasks(run, divide_up(run->rows, TASK_ROWS), gradient_task);
    run_tasks(run, divide_up(run->d_out.width, SCATTER_COLUMNS), scatter_task);
}

const hone_op_kind HONE_ISA_NAME(hone_op_embedding) = {
    .name = "embedding",
    .in_place = -1,
    .passes = -1,
    .saved = embedding_saved,
    .scratch = embedding_scratch,
    .forward = embedding_forward,
    .backward = embedding_backward,
};
