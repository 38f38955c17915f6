/* Linear: y = x W + b.
 * Shapes:  x (N,C); W (C,O) stored so (Conv1D) or as (O,C); b (O) or none; y (N,O).
 * Backward: dx = dy W^T; dW += x^T dy and db += column sums of dy where they are trained.
 * Errors:  none (a kernel). */
#include "op/kernel.h"

static bool trained(const hone_weight *weight)
{
    return weight != NULL && weight->trainable;
}

static unsigned linear_saved(const hone_op *op, const hone_weight *const weight[HONE_OP_WEIGHTS])
{
    (void)op;
    return trained(weight[0]) ? HONE_SAVES_INPUT(0) : 0;
}

/* Room for the products, or a bias gradient's row buffers and partial sums. */
static size_t linear_scratch(const hone_op *op, const hone_op_shape *shape)
{
    (void)op;
    size_t room = hone_matmul_room(shape->compute, shape->threads), sums = 0;
    if (shape->training && trained(shape->weight[1])) {
        size_t parts = (size_t)divide_up(shape->rows, SUM_ROWS);
        sums = row_buffers_size(shape->threads, 1, shape->out_width[0]) +
               align_up(parts * (size_t)shape->out_width[0] * sizeof(float));
    }
    return room > sums ? room : sums;
}

/* W as the (C,O) operand of y = x W. */
static hone_matrix weight_matrix(const hone_weight *w)
{
    return w->transposed ? (hone_matrix){w->data, w->dtype, w->columns, 1}
                         : (hone_matrix){w->data, w->dtype, 1, w->columns};
}

static void linear_forward(const hone_op_run *run)
{
    hone_product p = {.m = run->rows, .n = run->out[0].width, .k = run->in[0].width};
    p.a = view_matrix(run->in[0]);
    p.b = weight_matrix(run->weight[0]);
    p.c = run->out[0].data;
    p.c_dtype = run->out[0].dtype;
    p.c_stride = run->out[0].width;
    p.bias = run->weight[1] != NULL ? run->weight[1]->data : NULL;
    p.room = product_room(run->weight[0]->dtype, run->scratch);
    hone_matmul_parallel(&p);
}

static void weight_gradient(const hone_op_run *run)
{
    const hone_weight *w = run->weight[0];
    hone_product p = {.k = run->rows, .accumulate = true, .c = w->gradient, .c_dtype = HONE_F32};
    hone_view left = w->transposed ? run->in[0] : run->d_out;
    hone_view right = w->transposed ? run->d_out : run->in[0];
    p.m = left.width;
    p.n = right.width;
    p.a = view_transposed(left);
    p.b = view_matrix(right);
    p.c_stride = right.width;
    p.room = product_room(run->weight[0]->dtype, run->scratch);
    hone_matmul_parallel(&p);
}

static float *partials_of(const hone_op_run *run)
{
    return (float *)(void *)(run->scratch +
                             row_buffers_size(hone_parallel_threads(), 1, run->d_out.width));
}

static void bias_task(void *context, int64_t task, int thread)
{
    const hone_op_run *run = context;
    int64_t width = run->d_out.width;
    float *buffer = row_buffer(run->scratch, thread, 1, 0, width);
    float *sum = partials_of(run) + task * width;
    memset(sum, 0, (size_t)width * sizeof(float));
    int64_t end = (task + 1) * SUM_ROWS < run->rows ? (task + 1) * SUM_ROWS : run->rows;
    for (int64_t row = task * SUM_ROWS; row < end; row++) {
        const float *dy = row_read(run->d_out, row, buffer);
        for (int64_t j = 0; j < width; j++)
            sum[j] += dy[j];
    }
}

static void linear_backward(const hone_op_run *run)
{
    const hone_weight *w = run->weight[0], *b = run->weight[1];
    if (run->d_in[0].data != NULL) {
        hone_matrix forward = weight_matrix(w);
        hone_product p = {.m = run->rows, .n = run->in[0].width, .k = run->d_out.width};
        p.a = view_matrix(run->d_out);
        p.b = (hone_matrix){w->data, w->dtype, forward.column_stride, forward.row_stride};
        p.c = run->d_in[0].data;
        p.c_dtype = run->d_in[0].dtype;
        p.c_stride = run->d_in[0].width;
        p.accumulate = run->accumulate[0];
        p.room = product_room(run->weight[0]->dtype, run->scratch);
        hone_matmul_parallel(&p);
    }
    if (w->gradient != NULL)
        weight_gradient(run);
    if (b != NULL && b->gradient != NULL) {
        int64_t parts = divide_up(run->rows, SUM_ROWS);
        run_tasks(run, parts, bias_task);
        add_partials(partials_of(run), parts, run->d_out.width, b->gradient);
    }
}

const hone_op_kind HONE_ISA_NAME(hone_op_linear) = {
    .name = "linear",
    .in_place = -1,
    .passes = -1,
    .saved = linear_saved,
    .scratch = linear_scratch,
    .forward = linear_forward,
    .backward = linear_backward,
};
