/* Low-rank update beside a linear: y += s dropout(x) A^T B^T.
 * Source:  Hu et al. 2021, arXiv:2106.09685, section 4.1.  Deviation: none.
 * Shapes:  x (N,C); y (N,O); A (R,C); B (O,R); kept for backward: u = s dropout(x) A^T (N,R).
 * Units:   s = lora_alpha / R or lora_alpha / sqrt(R); dropout p in [0,1).
 * Backward: dB += dy^T u; du = s dy B; dA += du^T dropout(x); dx = dropout(du A).
 * Errors:  none (a kernel). */
#include "op/kernel.h"

enum { TILE_ROWS = 256, TILE_COLUMNS = 256 };

static unsigned lora_saved(const hone_op *op, const hone_weight *const weight[HONE_OP_WEIGHTS])
{
    (void)op;
    return weight[0]->trainable ? HONE_SAVES_INPUT(0) | HONE_SAVES_OUTPUT(1) : 0;
}

/* Sizes of a run's scratch, in order. */
typedef struct workspace {
    uint16_t *a, *b, *u, *du_half; /* bf16 copies: A, B, u (N,R), du (N,R) */
    float *du, *db;                /* (N,R); (R,O) */
    char *tiles;                   /* for each thread: a tile of x, then one of u transposed */
    size_t tile_size, input_size;
} workspace;

static size_t lay_out(char *base, int64_t rows, int64_t in, int64_t out, int64_t rank, int threads,
                      workspace *w)
{
    size_t input = align_up((size_t)TILE_ROWS * (size_t)in * 4);
    size_t sizes[] = {align_up((size_t)(rank * in) * 2),
                      align_up((size_t)(rank * out) * 2),
                      align_up((size_t)(rank * rows) * 2),
                      align_up((size_t)(rank * rows) * 2),
                      align_up((size_t)(rank * rows) * 4),
                      align_up((size_t)(rank * out) * 4),
                      (input + align_up((size_t)(TILE_ROWS * rank) * 4)) * (size_t)threads};
    char *at[7];
    size_t used = 0;
    for (int i = 0; i < 7; i++) {
        at[i] = base != NULL ? base + used : NULL;
        used += sizes[i];
    }
    if (w != NULL)
        *w = (workspace){(uint16_t *)(void *)at[0],
                         (uint16_t *)(void *)at[1],
                         (uint16_t *)(void *)at[2],
                         (uint16_t *)(void *)at[3],
                         (float *)(void *)at[4],
                         (float *)(void *)at[5],
                         at[6],
                         sizes[6] / (size_t)threads,
                         input};
    return used;
}

static size_t lora_scratch(const hone_op *op, const hone_op_shape *shape)
{
    (void)op;
    return lay_out(NULL, shape->rows, shape->in_width[0], shape->out_width[0],
                   shape->weight[0]->rows, shape->threads, NULL);
}

static workspace find_workspace(const hone_op_run *run)
{
    workspace w;
    lay_out(run->scratch, run->rows, run->weight[0]->columns, run->weight[1]->rows,
            run->weight[0]->rows, hone_parallel_threads(), &w);
    return w;
}

/* An adapter's tensor or a saved f32 block as operand of the values' type. */
static hone_matrix operand(hone_dtype dtype, const float *full, const uint16_t *half,
                           int64_t columns, bool transposed)
{
    const void *data = dtype == HONE_BF16 ? (const void *)half : full;
    return transposed ? (hone_matrix){data, dtype, 1, columns}
                      : (hone_matrix){data, dtype, columns, 1};
}

/* Rows [first, first + rows) and columns [column, column + columns) of x through the dropout, into
 * a tile of x's type; x itself where dropout is off. column is a multiple of 4. */
static hone_matrix dropped_input(const hone_op_run *run, int64_t first, int64_t rows,
                                 int64_t column, int64_t columns, char *tile)
{
    hone_view x = run->in[0];
    int64_t element = (int64_t)hone_dtype_size(x.dtype);
    if (!dropout_is_on(run))
        return (hone_matrix){view_row(x, first) + column * element, x.dtype, x.width, 1};
    for (int64_t i = 0; i < rows; i++) {
        const char *from = view_row(x, first + i) + column * element;
        uint64_t start = dropout_row_start(run, first + i, x.width) + (uint64_t)column;
        float strip[TILE_COLUMNS];
        for (int64_t j = 0; j < columns; j += TILE_COLUMNS) {
            int64_t n = columns - j < TILE_COLUMNS ? columns - j : TILE_COLUMNS;
            load_floats(x.dtype, from + j * element, strip, n);
            dropout_apply(run->random, run->op->dropout, start + (uint64_t)j, strip, n);
            store_floats(x.dtype, strip, tile + (i * columns + j) * element, n);
        }
    }
    return (hone_matrix){tile, x.dtype, columns, 1};
}

/* to (rows, R) = scale * x W, computed as its transpose: a product of few rows runs at full speed,
 * one of few columns at a third of it. `tile` holds the transpose. */
static void project_down(hone_matrix x, hone_matrix w, int64_t rows, int64_t width, int64_t rank,
                         float scale, float *tile, float *to)
{
    hone_product p = {.m = rank, .n = rows, .k = width, .c = tile, .c_stride = rows};
    p.a = (hone_matrix){w.data, w.dtype, w.column_stride, w.row_stride};
    p.b = (hone_matrix){x.data, x.dtype, x.column_stride, x.row_stride};
    hone_matmul(&p);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t r = 0; r < rank; r++)
            to[i * rank + r] = scale * tile[r * rows + i];
}

static int64_t tile_rows(const hone_op_run *run, int64_t task)
{
    int64_t left = run->rows - task * TILE_ROWS;
    return left < TILE_ROWS ? left : TILE_ROWS;
}

/* ---- forward ------------------------------------------------------------------------------ */

static void forward_task(void *context, int64_t task, int thread)
{
    const hone_op_run *run = context;
    workspace w = find_workspace(run);
    int64_t rank = run->weight[0]->rows, in = run->in[0].width, out = run->out[0].width;
    int64_t first = task * TILE_ROWS, rows = tile_rows(run, task);
    char *tile = w.tiles + (size_t)thread * w.tile_size;
    float *u = (float *)(void *)view_row(run->out[1], first);
    project_down(dropped_input(run, first, rows, 0, in, tile),
                 operand(run->in[0].dtype, run->weight[0]->data, w.a, in, true), rows, in, rank,
                 run->op->as.lora.scale, (float *)(void *)(tile + w.input_size), u);
    hone_dtype dtype = run->out[0].dtype;
    if (dtype == HONE_BF16)
        store_floats(HONE_BF16, u, w.u + first * rank, rows * rank);
    if (run->out[0].data != run->in[1].data)
        memcpy(view_row(run->out[0], first), view_row(run->in[1], first),
               (size_t)(rows * out) * hone_dtype_size(dtype));
    hone_product up = {.m = rows, .n = out, .k = rank, .accumulate = true, .c_dtype = dtype};
    up.a = operand(dtype, u, w.u + first * rank, rank, false);
    up.b = operand(dtype, run->weight[1]->data, w.b, rank, true);
    up.c = view_row(run->out[0], first);
    up.c_stride = out;
    hone_matmul(&up);
}

/* bf16 copies of the adapter for this run. */
static void narrow_weights(const hone_op_run *run, const workspace *w)
{
    if (run->in[0].dtype != HONE_BF16 && run->out[0].dtype != HONE_BF16)
        return;
    store_floats(HONE_BF16, run->weight[0]->data, w->a, hone_weight_elements(run->weight[0]));
    store_floats(HONE_BF16, run->weight[1]->data, w->b, hone_weight_elements(run->weight[1]));
}

static void lora_forward(const hone_op_run *run)
{
    workspace w = find_workspace(run);
    narrow_weights(run, &w);
    run_tasks(run, divide_up(run->rows, TILE_ROWS), forward_task);
}

/* ---- backward ----------------------------------------------------------------------------- */

/* du, and dx from it. */
static void input_task(void *context, int64_t task, int thread)
{
    const hone_op_run *run = context;
    workspace w = find_workspace(run);
    int64_t rank = run->weight[0]->rows, in = run->in[0].width, out = run->d_out.width;
    int64_t first = task * TILE_ROWS, rows = tile_rows(run, task);
    hone_dtype dtype = run->d_out.dtype;
    float *du = w.du + first * rank;
    char *space = w.tiles + (size_t)thread * w.tile_size;
    float *tile = (float *)(void *)space;
    project_down((hone_matrix){view_row(run->d_out, first), dtype, out, 1},
                 operand(dtype, run->weight[1]->data, w.b, rank, false), rows, out, rank,
                 run->op->as.lora.scale, (float *)(void *)(space + w.input_size), du);
    if (dtype == HONE_BF16) {
        store_floats(HONE_BF16, du, w.du_half + first * rank, rows * rank);
        store_floats(HONE_BF16, (const float *)(const void *)view_row(run->out[1], first),
                     w.u + first * rank, rows * rank);
    }
    if (run->d_in[0].data == NULL)
        return;
    hone_product up = {.m = rows, .n = in, .k = rank, .c_stride = in};
    up.a = operand(dtype, du, w.du_half + first * rank, rank, false);
    up.b = operand(dtype, run->weight[0]->data, w.a, in, false);
    if (!dropout_is_on(run)) {
        up.c = view_row(run->d_in[0], first);
        up.c_dtype = run->d_in[0].dtype;
        up.accumulate = run->accumulate[0];
        hone_matmul(&up);
        return;
    }
    up.c = tile;
    hone_matmul(&up);
    for (int64_t i = 0; i < rows; i++) {
        dropout_apply(run->random, run->op->dropout, dropout_row_start(run, first + i, in),
                      tile + i * in, in);
        row_put(run->d_in[0], first + i, tile + i * in, run->accumulate[0]);
    }
}

/* dA, a tile of columns over all rows in order. */
static void a_task(void *context, int64_t task, int thread)
{
    const hone_op_run *run = context;
    workspace w = find_workspace(run);
    int64_t rank = run->weight[0]->rows, in = run->in[0].width, column = task * TILE_COLUMNS;
    int64_t columns = in - column < TILE_COLUMNS ? in - column : TILE_COLUMNS;
    int64_t step = dropout_is_on(run) ? TILE_ROWS : run->rows;
    for (int64_t first = 0; first < run->rows; first += step) {
        int64_t rows = run->rows - first < step ? run->rows - first : step;
        hone_product p = {.m = rank, .n = columns, .k = rows, .accumulate = true, .c_stride = in};
        p.a = operand(run->d_out.dtype, w.du + first * rank, w.du_half + first * rank, rank, true);
        p.b = dropped_input(run, first, rows, column, columns,
                            w.tiles + (size_t)thread * w.tile_size);
        p.c = run->weight[0]->gradient + column;
        hone_matmul(&p);
    }
}

/* dB^T = u^T dy, a tile of columns; then turned round into dB. */
static void b_task(void *context, int64_t task, int thread)
{
    (void)thread;
    const hone_op_run *run = context;
    workspace w = find_workspace(run);
    int64_t rank = run->weight[0]->rows, out = run->d_out.width, column = task * TILE_COLUMNS;
    int64_t columns = out - column < TILE_COLUMNS ? out - column : TILE_COLUMNS;
    hone_dtype dtype = run->d_out.dtype;
    hone_product p = {.m = rank, .n = columns, .k = run->rows, .c_stride = out};
    p.a = operand(dtype, (const float *)run->out[1].data, w.u, rank, true);
    p.b = (hone_matrix){view_row(run->d_out, 0) + column * (int64_t)hone_dtype_size(dtype), dtype,
                        out, 1};
    p.c = w.db + column;
    hone_matmul(&p);
    for (int64_t j = column; j < column + columns; j++)
        for (int64_t i = 0; i < rank; i++)
            run->weight[1]->gradient[j * rank + i] += w.db[i * out + j];
}

static void lora_backward(const hone_op_run *run)
{
    workspace w = find_workspace(run);
    narrow_weights(run, &w);
    if (run->weight[0]->gradient != NULL || run->d_in[0].data != NULL)
        run_tasks(run, divide_up(run->rows, TILE_ROWS), input_task);
    if (run->weight[0]->gradient != NULL) {
        run_tasks(run, divide_up(run->in[0].width, TILE_COLUMNS), a_task);
        run_tasks(run, divide_up(run->d_out.width, TILE_COLUMNS), b_task);
    }
    if (run->d_in[1].data != NULL)
        for (int64_t row = 0; row < run->rows; row++) {
            float strip[TILE_COLUMNS];
            int64_t element = (int64_t)hone_dtype_size(run->d_out.dtype), out = run->d_out.width;
            for (int64_t j = 0; j < out; j += TILE_COLUMNS) {
                hone_view part = run->d_in[1];
                part.data = view_row(run->d_in[1], row) + j * element;
                part.width = out - j < TILE_COLUMNS ? out - j : TILE_COLUMNS;
                load_floats(run->d_out.dtype, view_row(run->d_out, row) + j * element, strip,
                            part.width);
                row_put(part, 0, strip, true);
            }
        }
}

const hone_op_kind HONE_ISA_NAME(hone_op_lora) = {
    .name = "lora",
    .in_place = 1,
    .passes = 1,
    .saved = lora_saved,
    .scratch = lora_scratch,
    .forward = lora_forward,
    .backward = lora_backward,
};
