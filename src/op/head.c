/* Output head and loss in one: logits l = h W^T, log-softmax, and in training the gradient at once:
 * dh = dlogits W, dW += dlogits^T h, with dlogits = (softmax - onehot) loss_scale.
 * Logits are made tile by tile and become e^(l - shift) while they are in cache, shift being the
 * label's own logit; so their sum S gives ln p(label) = -ln S, the matrix of logits never exists,
 * and softmax's 1 / S is left to the rows of dh. Where a logit lies so far above the label's that
 * e^ would not fit, the chunk is made again with the row's largest logit as shift.
 * Shapes:  h (N,C); W (V,C); e (rows of a chunk, V) in the type of the products, in training only.
 * Errors:  none (a kernel). */
#include "op/kernel.h"

enum {
    CHUNK_BYTES = 64 << 20, /* of e */
    LEAST_CHUNK = 64,       /* rows */
    MOST_CHUNK = 256,
    TILE_ROWS = 256, /* most rows of a tile: one and a half times as many */
    TILE_COLUMNS = 384,
    LINE = 32,      /* elements: one line of the cache of bf16, two of f32 */
    SLICES = 8,     /* parts of V, summed apart, of dh */
    MOST_ABOVE = 40 /* e^40 V is far from the ends of f32 */
};

static unsigned head_saved(const hone_op *op, const hone_weight *const weight[HONE_OP_WEIGHTS])
{
    (void)op;
    (void)weight;
    return 0;
}

/* Most rows of a chunk for V columns. */
static int64_t chunk_limit(int64_t rows, int64_t vocabulary, hone_dtype dtype)
{
    int64_t fit = CHUNK_BYTES / (vocabulary * (int64_t)hone_dtype_size(dtype)) / 32 * 32;
    fit = fit < LEAST_CHUNK ? LEAST_CHUNK : fit > MOST_CHUNK ? MOST_CHUNK : fit;
    return fit < rows ? fit : rows;
}

/* Tiles of `rows` rows: how many rows each. */
static int64_t tile_rows(int64_t rows)
{
    int64_t down = (rows + TILE_ROWS / 2) / TILE_ROWS;
    return divide_up(rows, down > 0 ? down : 1);
}

static int64_t tiles_across(int64_t vocabulary)
{
    return divide_up(vocabulary, TILE_COLUMNS);
}

/* Elements between two rows of e: whole lines of the cache, so that no two tiles share one. */
static int64_t row_stride(int64_t vocabulary)
{
    return divide_up(vocabulary, LINE) * LINE;
}

static int64_t slice_columns(int64_t vocabulary)
{
    return divide_up(divide_up(vocabulary, SLICES), 64) * 64;
}

typedef struct workspace {
    char *e;                       /* (chunk, stride) in the products' type */
    char *hidden;                  /* (chunk, C) in the products' type */
    float *partial;                /* (SLICES, chunk, C): dh of each slice of V */
    float *sums, *largest;         /* (tiles across, chunk): of e; of logits - shift */
    float *shift, *total, *chosen; /* (chunk): see above; S; the label's logit - shift */
    float *tiles;                  /* of each thread: a tile of logits */
    int32_t *rows;                 /* (N) rows that have a label, in order */
} workspace;

typedef struct dimensions {
    int64_t rows, chunk, width, vocabulary;
    hone_dtype dtype;
    int threads;
    bool training;
} dimensions;

static int64_t tile_floats(void)
{
    return (TILE_ROWS + TILE_ROWS / 2 + LANES) * TILE_COLUMNS;
}

static size_t lay_out(char *base, const dimensions *d, workspace *w)
{
    size_t element = hone_dtype_size(d->dtype), chunk = (size_t)d->chunk;
    size_t training = d->training ? chunk : 0, across = (size_t)tiles_across(d->vocabulary);
    const size_t sizes[] = {training * (size_t)row_stride(d->vocabulary) * element,
                            chunk * (size_t)d->width * element,
                            training * SLICES * (size_t)d->width * sizeof(float),
                            across * chunk * sizeof(float),
                            across * chunk * sizeof(float),
                            3 * chunk * sizeof(float),
                            (size_t)d->threads * (size_t)tile_floats() * sizeof(float),
                            (size_t)d->rows * sizeof(int32_t)};
    char *at[8];
    size_t used = 0;
    for (int i = 0; i < 8; i++) {
        at[i] = base != NULL ? base + used : NULL;
        used += align_up(sizes[i]);
    }
    if (w != NULL)
        *w = (workspace){.e = at[0],
                         .hidden = at[1],
                         .partial = (float *)(void *)at[2],
                         .sums = (float *)(void *)at[3],
                         .largest = (float *)(void *)at[4],
                         .shift = (float *)(void *)at[5],
                         .total = (float *)(void *)at[5] + d->chunk,
                         .chosen = (float *)(void *)at[5] + 2 * d->chunk,
                         .tiles = (float *)(void *)at[6],
                         .rows = (int32_t *)(void *)at[7]};
    return used;
}

static dimensions measure(int64_t rows, const hone_weight *weight, hone_dtype dtype, int threads,
                          bool training)
{
    dimensions d = {.rows = rows, .width = weight->columns, .vocabulary = weight->rows};
    d.chunk = chunk_limit(rows, weight->rows, dtype);
    d.dtype = dtype;
    d.threads = threads;
    d.training = training;
    return d;
}

/* A matrix is kept in the compute type, which a plan knows before the matrix has it. */
static size_t head_scratch(const hone_op *op, const hone_op_shape *shape)
{
    (void)op;
    dimensions d =
        measure(shape->rows, shape->weight[0], shape->compute, shape->threads, shape->training);
    return lay_out(NULL, &d, NULL);
}

/* The type of the products: the weight's. h has another one where it is the residual stream. */
static hone_dtype product_type(const hone_op_run *run)
{
    return run->weight[0]->dtype;
}

/* One chunk of rows in the making. */
typedef struct chunk {
    const hone_op_run *run;
    workspace w;
    const int32_t *rows;  /* numbers of its rows */
    int64_t count, limit; /* rows now, and at most */
    int64_t tile_rows, down;
    bool gradients;
} chunk;

static chunk begin(const hone_op_run *run)
{
    dimensions d = measure(run->rows, run->weight[0], product_type(run), hone_parallel_threads(),
                           run->gradients);
    chunk c = {.run = run, .limit = d.chunk};
    c.gradients = run->gradients && (run->d_in[0].data != NULL || run->weight[0]->gradient != NULL);
    lay_out(run->scratch, &d, &c.w);
    return c;
}

/* hidden (count, C) = rows of h. */
static hone_matrix gather(const hone_op_run *run, const int32_t *rows, int64_t count, char *hidden)
{
    hone_view from = run->in[0], to = {hidden, product_type(run), from.width};
    for (int64_t i = 0; i < count; i++)
        hone_convert(from.dtype, view_row(from, rows[i]), to.dtype, view_row(to, i),
                     (size_t)from.width);
    return view_matrix(to);
}

/* Columns [first, ...) of W^T. */
static hone_matrix weight_columns(const hone_weight *w, int64_t first)
{
    const char *at =
        (const char *)w->data + first * w->columns * (int64_t)hone_dtype_size(w->dtype);
    return (hone_matrix){at, w->dtype, 1, w->columns};
}

/* ---- e and its sums ----------------------------------------------------------------------- */

/* The shifts: about the labels' logits. How near does not matter. */
static void shift_task(void *context, int64_t i, int thread)
{
    const chunk *c = context;
    const hone_op_run *run = c->run;
    const hone_weight *weight = run->weight[0];
    int64_t width = weight->columns;
    float *buffer = c->w.tiles + thread * tile_floats();
    hone_matrix label = weight_columns(weight, run->batch->labels[c->rows[i]]);
    const float *h = row_read(run->in[0], c->rows[i], buffer), *w = label.data;
    if (weight->dtype != HONE_F32) {
        load_floats(weight->dtype, label.data, buffer + padded_width(width), width);
        w = buffer + padded_width(width);
    }
    c->w.shift[i] = row_dot(h, w, width);
}

/* A row of a tile's logits: e to its place, unless that is NULL. */
static inline float exponentials(const float *l, int64_t n, float shift, hone_dtype dtype, char *e,
                                 float *sum)
{
    vec total = {0}, largest = vec_set(-INFINITY);
    for (int64_t j = 0; j < n; j += LANES) {
        vec x = vec_load(l + j) - shift;
        if (j + LANES > n)
            x = vec_select(vec_below(n - j), x, vec_set(-INFINITY));
        largest = vec_max(x, largest);
        vec value = vec_exp_bounded(x);
        total += value;
        if (e != NULL && dtype == HONE_BF16)
            vec_store_bf16((uint16_t *)(void *)e + j, value);
        else if (e != NULL)
            vec_store((float *)(void *)e + j, value);
    }
    *sum = vec_sum(total);
    return vec_largest(largest);
}

static void tile_task(void *context, int64_t task, int thread)
{
    const chunk *c = context;
    const hone_weight *weight = c->run->weight[0];
    hone_dtype dtype = product_type(c->run);
    int64_t first = task % c->down * c->tile_rows, across = task / c->down;
    int64_t column = across * TILE_COLUMNS, width = weight->columns;
    int64_t element = (int64_t)hone_dtype_size(dtype), stride = row_stride(weight->rows);
    float *tile = c->w.tiles + thread * tile_floats();
    hone_product p = {.k = width, .c = tile, .c_stride = TILE_COLUMNS};
    p.m = c->count - first < c->tile_rows ? c->count - first : c->tile_rows;
    p.n = weight->rows - column < TILE_COLUMNS ? weight->rows - column : TILE_COLUMNS;
    p.a = (hone_matrix){c->w.hidden + first * width * element, dtype, width, 1};
    p.b = weight_columns(weight, column);
    hone_matmul(&p);
    for (int64_t i = 0; i < p.m; i++) {
        const float *l = tile + i * TILE_COLUMNS;
        int64_t row = first + i, label = c->run->batch->labels[c->rows[row]] - column;
        char *e = c->gradients ? c->w.e + (row * stride + column) * element : NULL;
        float shift = c->w.shift[row], *sum = c->w.sums + across * c->limit + row;
        c->w.largest[across * c->limit + row] = exponentials(l, p.n, shift, dtype, e, sum);
        if (label >= 0 && label < p.n)
            c->w.chosen[row] = l[label] - shift;
    }
}

/* Totals of the rows; true when a shift was too small. It then is the row's largest logit. */
static bool add_up(const chunk *c)
{
    bool again = false;
    int64_t across = tiles_across(c->run->weight[0]->rows);
    for (int64_t i = 0; i < c->count; i++) {
        float top = -INFINITY, total = 0;
        for (int64_t tile = 0; tile < across; tile++) {
            float largest = c->w.largest[tile * c->limit + i];
            total += c->w.sums[tile * c->limit + i];
            top = largest > top ? largest : top;
        }
        c->w.total[i] = total;
        if (top > MOST_ABOVE) {
            c->w.shift[i] += top;
            again = true;
        }
    }
    return again;
}

static void put_logprobs(const chunk *c)
{
    for (int64_t i = 0; i < c->count; i++)
        c->run->head->logprobs[c->rows[i]] = c->w.chosen[i] - logf(c->w.total[i]);
}

/* ---- gradients ---------------------------------------------------------------------------- */

/* What is left of softmax in row i: dlogits = factor e. */
static float row_factor(const chunk *c, int64_t i)
{
    return c->run->head->loss_scale / c->w.total[i];
}

/* e of the labels becomes e - S: then all of a row has one factor. */
static void subtract_labels(const chunk *c)
{
    hone_dtype dtype = product_type(c->run);
    int64_t stride = row_stride(c->run->weight[0]->rows);
    for (int64_t i = 0; i < c->count; i++) {
        float value = expf(c->w.chosen[i]) - c->w.total[i];
        int64_t at = i * stride + c->run->batch->labels[c->rows[i]];
        store_floats(dtype, &value, c->w.e + at * (int64_t)hone_dtype_size(dtype), 1);
    }
}

/* partial (rows of a tile, C) = e W over a slice of V. */
static void slice_task(void *context, int64_t task, int thread)
{
    (void)thread;
    const chunk *c = context;
    const hone_weight *weight = c->run->weight[0];
    hone_dtype dtype = product_type(c->run);
    int64_t first = task % c->down * c->tile_rows, slice = task / c->down;
    int64_t columns = slice_columns(weight->rows), column = slice * columns;
    int64_t width = weight->columns, stride = row_stride(weight->rows);
    hone_product p = {.n = width, .c_stride = width};
    p.m = c->count - first < c->tile_rows ? c->count - first : c->tile_rows;
    p.k = weight->rows - column < columns ? weight->rows - column : columns;
    p.a = (hone_matrix){c->w.e + (first * stride + column) * (int64_t)hone_dtype_size(dtype), dtype,
                        stride, 1};
    p.b = weight_columns(weight, column);
    p.b.row_stride = width;
    p.b.column_stride = 1;
    p.c = c->w.partial + (slice * c->limit + first) * width;
    hone_matmul(&p);
}

/* A row of dh: the slices' sums in order, times the row's factor. */
static void row_task(void *context, int64_t i, int thread)
{
    (void)thread;
    const chunk *c = context;
    const hone_op_run *run = c->run;
    int64_t width = run->in[0].width, vocabulary = run->weight[0]->rows;
    int64_t slices = divide_up(vocabulary, slice_columns(vocabulary));
    float *sum = c->w.partial + i * width, factor = row_factor(c, i);
    for (int64_t slice = 1; slice < slices; slice++) {
        const float *more = c->w.partial + (slice * c->limit + i) * width;
        for (int64_t j = 0; j < width; j++)
            sum[j] += more[j];
    }
    for (int64_t j = 0; j < width; j++)
        sum[j] *= factor;
    row_write(run->d_in[0], c->rows[i], sum);
}

/* dW += e^T h, the rows of h times their factors. */
static void add_weight_gradient(const chunk *c)
{
    const hone_weight *weight = c->run->weight[0];
    hone_dtype dtype = product_type(c->run);
    int64_t width = weight->columns;
    hone_view hidden = {c->w.hidden, dtype, width};
    for (int64_t i = 0; i < c->count; i++) {
        float *buffer = c->w.partial, factor = row_factor(c, i);
        load_floats(dtype, view_row(hidden, i), buffer, width);
        for (int64_t j = 0; j < width; j++)
            buffer[j] *= factor;
        row_write(hidden, i, buffer);
    }
    hone_product p = {.m = weight->rows, .n = width, .k = c->count, .accumulate = true};
    p.a = (hone_matrix){c->w.e, dtype, 1, row_stride(weight->rows)};
    p.b = view_matrix(hidden);
    p.c = weight->gradient;
    p.c_stride = width;
    hone_matmul_parallel(&p);
}

static void make_gradients(chunk *c)
{
    const hone_op_run *run = c->run;
    int64_t vocabulary = run->weight[0]->rows;
    int64_t slices = divide_up(vocabulary, slice_columns(vocabulary));
    subtract_labels(c);
    if (run->d_in[0].data != NULL) {
        hone_parallel_run(slices * c->down, slice_task, c);
        hone_parallel_run(c->count, row_task, c);
    }
    if (run->weight[0]->gradient != NULL)
        add_weight_gradient(c);
}

/* ---- the whole ---------------------------------------------------------------------------- */

/* Puts the numbers of the rows that have a label into `rows`; no other row gets a loss. */
static int64_t find_labelled(const hone_op_run *run, int32_t *rows)
{
    int64_t count = 0;
    for (int64_t row = 0; row < run->rows; row++) {
        if (run->head->logprobs != NULL)
            run->head->logprobs[row] = NAN;
        if (run->batch->labels[row] != HONE_NO_LABEL)
            rows[count++] = (int32_t)row;
        else if (run->d_in[0].data != NULL)
            memset(view_row(run->d_in[0], row), 0,
                   (size_t)run->d_in[0].width * hone_dtype_size(run->d_in[0].dtype));
    }
    return count;
}

static void loss(const hone_op_run *run)
{
    chunk c = begin(run);
    int64_t labelled = find_labelled(run, c.w.rows);
    if (labelled == 0)
        return;
    /* Chunks of one size, so that the last is not a small one. */
    int64_t size = divide_up(labelled, divide_up(labelled, c.limit));
    for (int64_t first = 0; first < labelled; first += size) {
        c.rows = c.w.rows + first;
        c.count = labelled - first < size ? labelled - first : size;
        c.tile_rows = tile_rows(c.count);
        c.down = divide_up(c.count, c.tile_rows);
        gather(run, c.rows, c.count, c.w.hidden);
        hone_parallel_run(c.count, shift_task, &c);
        int64_t tiles = c.down * tiles_across(run->weight[0]->rows);
        hone_parallel_run(tiles, tile_task, &c);
        if (add_up(&c)) {
            hone_parallel_run(tiles, tile_task, &c);
            add_up(&c);
        }
        if (run->head->logprobs != NULL)
            put_logprobs(&c);
        if (c.gradients)
            make_gradients(&c);
    }
}

/* The logits that were asked for. */
static void give_logits(const hone_op_run *run)
{
    const hone_head_request *request = run->head;
    const hone_weight *weight = run->weight[0];
    chunk c = begin(run);
    for (int64_t first = 0; first < request->logit_count; first += c.limit) {
        int64_t left = request->logit_count - first;
        hone_product p = {.m = left < c.limit ? left : c.limit, .n = weight->rows};
        p.k = weight->columns;
        p.a = gather(run, request->logit_rows + first, p.m, c.w.hidden);
        p.b = weight_columns(weight, 0);
        p.c = request->logits + first * weight->rows;
        p.c_stride = weight->rows;
        hone_matmul_parallel(&p);
    }
}

static void head_forward(const hone_op_run *run)
{
    if (run->head->logit_rows != NULL)
        give_logits(run);
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
