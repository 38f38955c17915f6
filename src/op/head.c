/* Output head and loss in one: logits = h W^T in chunks of rows that have a label, log-softmax, and
 * in training the gradient at once: dlogits = (softmax - onehot) loss_scale, dh = dlogits W,
 * dW += dlogits^T h. The whole matrix of logits never exists.
 * Shapes:  h (N,C); W (V,C); logits of a chunk (rows, V), f32; with bf16 their gradients take the
 *          front half of the same rows.
 * Errors:  none (a kernel). */
#include "op/kernel.h"

enum { CHUNK_FLOATS = 16 << 20, LEAST_CHUNK = 64, MOST_CHUNK = 512 };

static unsigned head_saved(const hone_op *op, const hone_weight *const weight[HONE_OP_WEIGHTS])
{
    (void)op;
    (void)weight;
    return 0;
}

/* Most rows of a chunk for V columns. */
static int64_t chunk_limit(int64_t rows, int64_t vocabulary)
{
    int64_t fit = CHUNK_FLOATS / vocabulary / 32 * 32;
    fit = fit < LEAST_CHUNK ? LEAST_CHUNK : fit > MOST_CHUNK ? MOST_CHUNK : fit;
    return fit < rows ? fit : rows;
}

typedef struct workspace {
    float *logits;  /* (chunk, V) */
    char *hidden;   /* (chunk, C) in h's type */
    char *d_hidden; /* (chunk, C) in h's type */
    int32_t *rows;  /* (N) rows that have a label, in order */
} workspace;

static size_t lay_out(char *base, int64_t chunk, int64_t rows, int64_t width, int64_t vocabulary,
                      workspace *w)
{
    size_t sizes[] = {align_up((size_t)(chunk * vocabulary) * 4),
                      align_up((size_t)(chunk * width) * 4), align_up((size_t)(chunk * width) * 4),
                      align_up((size_t)rows * 4)};
    char *at[4];
    size_t used = 0;
    for (int i = 0; i < 4; i++) {
        at[i] = base != NULL ? base + used : NULL;
        used += sizes[i];
    }
    if (w != NULL)
        *w = (workspace){(float *)(void *)at[0], at[1], at[2], (int32_t *)(void *)at[3]};
    return used;
}

static size_t head_scratch(const hone_op *op, const hone_op_shape *shape)
{
    (void)op;
    int64_t vocabulary = shape->weight[0]->rows;
    return lay_out(NULL, chunk_limit(shape->rows, vocabulary), shape->rows, shape->in_width[0],
                   vocabulary, NULL);
}

static workspace find_workspace(const hone_op_run *run)
{
    workspace w;
    int64_t vocabulary = run->weight[0]->rows;
    lay_out(run->scratch, chunk_limit(run->rows, vocabulary), run->rows, run->in[0].width,
            vocabulary, &w);
    return w;
}

/* hidden (count, C) = rows of h; then target (count, V) = hidden W^T. */
static void make_logits(const hone_op_run *run, const int32_t *rows, int64_t count, char *hidden,
                        float *target)
{
    const hone_weight *w = run->weight[0];
    size_t bytes = (size_t)run->in[0].width * hone_dtype_size(run->in[0].dtype);
    for (int64_t i = 0; i < count; i++)
        memcpy(hidden + (size_t)i * bytes, view_row(run->in[0], rows[i]), bytes);
    hone_product p = {.m = count, .n = w->rows, .k = w->columns, .c = target, .c_stride = w->rows};
    p.a = (hone_matrix){hidden, run->in[0].dtype, w->columns, 1};
    p.b = (hone_matrix){w->data, w->dtype, 1, w->columns};
    hone_matmul_parallel(&p);
}

typedef struct chunk {
    const hone_op_run *run;
    const workspace *w;
    const int32_t *rows;
    bool gradients;
} chunk;

/* exp(l - top) into the row, and their sum. */
static float exponentials(float *l, int64_t n, float top)
{
    vec sum = {0};
    int64_t j = 0;
    for (; j + LANES <= n; j += LANES) {
        vec e = vec_exp(vec_load(l + j) - top);
        sum += e;
        vec_store(l + j, e);
    }
    float total = vec_sum(sum);
    for (; j < n; j++) {
        l[j] = expf(l[j] - top);
        total += l[j];
    }
    return total;
}

static float largest(const float *l, int64_t n)
{
    vec top = vec_set(-INFINITY);
    int64_t j = 0;
    for (; j + LANES <= n; j += LANES)
        top = vec_max(vec_load(l + j), top);
    float result = vec_largest(top);
    for (; j < n; j++)
        result = l[j] > result ? l[j] : result;
    return result;
}

/* A row's exponentials times factor, with the label's one less, in the type of the products. The
 * bf16 row lies over the front of the f32 one: each store is behind the loads that follow. */
static void gradient_row(float *l, int64_t n, float factor, int32_t label, float loss_scale,
                         hone_dtype dtype)
{
    float at_label = l[label] * factor - loss_scale;
    if (dtype == HONE_F32) {
        for (int64_t j = 0; j < n; j++)
            l[j] *= factor;
        l[label] = at_label;
        return;
    }
    char *to = (char *)l;
    for (int64_t j = 0; j < n; j += LANES) {
        float lane[LANES];
        uint16_t half[LANES];
        int64_t count = n - j < LANES ? n - j : LANES;
        memcpy(lane, l + j, (size_t)count * sizeof(float));
        for (int64_t i = 0; i < count; i++)
            half[i] = hone_f32_to_bf16(lane[i] * factor);
        memcpy(to + 2 * j, half, (size_t)count * 2);
    }
    uint16_t half = hone_f32_to_bf16(at_label);
    memcpy(to + (size_t)2 * (size_t)label, &half, 2);
}

static void softmax_task(void *context, int64_t task, int thread)
{
    (void)thread;
    const chunk *c = context;
    const hone_op_run *run = c->run;
    int64_t vocabulary = run->weight[0]->rows;
    int32_t row = c->rows[task], label = run->batch->labels[row];
    float *l = c->w->logits + task * vocabulary;
    float top = largest(l, vocabulary), chosen = l[label] - top;
    float sum = exponentials(l, vocabulary, top);
    if (run->head->logprobs != NULL)
        run->head->logprobs[row] = chosen - logf(sum);
    if (c->gradients)
        gradient_row(l, vocabulary, run->head->loss_scale / sum, label, run->head->loss_scale,
                     run->in[0].dtype);
}

/* dh of a chunk to its rows, and dW. */
static void chunk_gradients(const hone_op_run *run, const workspace *w, const int32_t *rows,
                            int64_t count)
{
    const hone_weight *weight = run->weight[0];
    hone_dtype dtype = run->in[0].dtype;
    int64_t stride = weight->rows * (dtype == HONE_BF16 ? 2 : 1), width = weight->columns;
    if (run->d_in[0].data != NULL) {
        hone_product p = {.m = count, .n = width, .k = weight->rows, .c_dtype = dtype};
        p.a = (hone_matrix){w->logits, dtype, stride, 1};
        p.b = (hone_matrix){weight->data, weight->dtype, width, 1};
        p.c = w->d_hidden;
        p.c_stride = width;
        hone_matmul_parallel(&p);
        size_t bytes = (size_t)width * hone_dtype_size(dtype);
        for (int64_t i = 0; i < count; i++)
            memcpy(view_row(run->d_in[0], rows[i]), w->d_hidden + (size_t)i * bytes, bytes);
    }
    if (weight->gradient != NULL) {
        hone_product p = {.m = weight->rows, .n = width, .k = count, .accumulate = true};
        p.a = (hone_matrix){w->logits, dtype, 1, stride};
        p.b = (hone_matrix){w->hidden, dtype, width, 1};
        p.c = weight->gradient;
        p.c_stride = width;
        hone_matmul_parallel(&p);
    }
}

static void loss(const hone_op_run *run)
{
    workspace w = find_workspace(run);
    int64_t count = 0;
    bool gradients =
        run->gradients && (run->d_in[0].data != NULL || run->weight[0]->gradient != NULL);
    for (int64_t row = 0; row < run->rows; row++) {
        if (run->head->logprobs != NULL)
            run->head->logprobs[row] = NAN;
        if (run->batch->labels[row] != HONE_NO_LABEL)
            w.rows[count++] = (int32_t)row;
        else if (run->d_in[0].data != NULL)
            memset(view_row(run->d_in[0], row), 0,
                   (size_t)run->d_in[0].width * hone_dtype_size(run->d_in[0].dtype));
    }
    if (count == 0)
        return;
    /* Chunks of one size, so that the last is not a small one. */
    int64_t chunks = divide_up(count, chunk_limit(run->rows, run->weight[0]->rows));
    int64_t size = divide_up(count, chunks);
    for (int64_t first = 0; first < count; first += size) {
        int64_t rows = count - first < size ? count - first : size;
        chunk c = {run, &w, w.rows + first, gradients};
        make_logits(run, c.rows, rows, w.hidden, w.logits);
        hone_parallel_run(rows, softmax_task, &c);
        if (gradients)
            chunk_gradients(run, &w, c.rows, rows);
    }
}

static void head_forward(const hone_op_run *run)
{
    const hone_head_request *request = run->head;
    if (request->logit_rows != NULL) {
        workspace w = find_workspace(run);
        int64_t step = chunk_limit(run->rows, run->weight[0]->rows);
        for (int64_t first = 0; first < request->logit_count; first += step) {
            int64_t rows =
                request->logit_count - first < step ? request->logit_count - first : step;
            make_logits(run, request->logit_rows + first, rows, w.hidden,
                        request->logits + first * run->weight[0]->rows);
        }
    }
    if (run->batch->labels != NULL)
        loss(run);
}

const hone_op_kind HONE_ISA_NAME(hone_op_head) = {
    .name = "head",
    .in_place = -1,
    .passes = -1,
    .saved = head_saved,
    .scratch = head_scratch,
    .forward = head_forward,
    .backward = NULL,
};
