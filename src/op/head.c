/* Output head and loss in one: logits l = h W^T, log-softmax, and in training the gradient at once:
 * dh = dlogits W, dW += dlogits^T h, with dlogits = (softmax - onehot) loss_scale.
 * Logits are made tile by tile and become e^(l - shift) while they are in cache, shift being the
 * label's own logit; so their sum S gives ln p(label) = -ln S, the matrix of logits never exists,
 * and softmax's 1 / S is left to the rows of dh. Where a logit lies so far above the label's that
 * e^ would not fit, the chunk is made again with the row's largest logit as shift.
 * Tiles have the words of the vocabulary as rows and the rows of h as columns: W, which is large,
 * is then read as it lies, and h, which is small, is laid out once for all tiles.
 * Shapes:  h (N,C); W (V,C); e (V, rows of a chunk) in the type of the products, in training only.
 * Errors:  none (a kernel). */
#include "gemm/panel.h"
#include "op/kernel.h"

enum {
    CHUNK_BYTES = 64 << 20, /* of e */
    LEAST_CHUNK = 64,       /* rows */
    MOST_CHUNK = 256,
    TILE_WORDS = 384,
    VECTORS = 4,    /* of a tile's columns at a time */
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

static int64_t tiles_of(int64_t vocabulary)
{
    return divide_up(vocabulary, TILE_WORDS);
}

static int64_t slice_words(int64_t vocabulary)
{
    return round_up(divide_up(vocabulary, SLICES), 64);
}

/* `columns`: rows of a chunk, up to whole vectors; what is behind the rows is zeros of h. */
typedef struct workspace {
    char *e;                       /* (V, columns) in the products' type */
    char *hidden;                  /* (columns, C) in the products' type */
    char *panels;                  /* its panels */
    float *partial;                /* (SLICES, columns, C): dh of each slice of V */
    float *sums, *largest;         /* (tiles, columns): of e; of logits - shift */
    float *shift, *total, *chosen; /* (columns): see above; S; the label's logit - shift */
    float *tiles;                  /* of each thread: a tile of logits, two rows of W */
    char *room;                    /* of each thread: for products */
    int32_t *rows;                 /* (N) rows that have a label, in order */
} workspace;

typedef struct dimensions {
    int64_t rows, chunk, columns, width, vocabulary;
    hone_dtype dtype;
    int threads;
    bool training;
} dimensions;

static int64_t tile_floats(const dimensions *d)
{
    return TILE_WORDS * d->columns + 2 * padded_width(d->width);
}

static size_t lay_out(char *base, const dimensions *d, workspace *w)
{
    size_t element = hone_dtype_size(d->dtype), columns = (size_t)d->columns;
    size_t training = d->training ? columns : 0, tiles = (size_t)tiles_of(d->vocabulary);
    size_t whole = (size_t)round_up(d->columns, HONE_PANEL_COLUMNS);
    const size_t sizes[] = {training * (size_t)d->vocabulary * element,
                            columns * (size_t)d->width * element,
                            whole * (size_t)d->width * element,
                            training * SLICES * (size_t)d->width * sizeof(float),
                            tiles * columns * sizeof(float),
                            tiles * columns * sizeof(float),
                            3 * columns * sizeof(float),
                            (size_t)d->threads * (size_t)tile_floats(d) * sizeof(float),
                            (size_t)d->rows * sizeof(int32_t),
                            hone_matmul_room(d->dtype, d->threads)};
    enum { PARTS = sizeof sizes / sizeof sizes[0] };
    char *at[PARTS];
    size_t used = 0;
    for (int i = 0; i < PARTS; i++) {
        at[i] = base != NULL ? base + used : NULL;
        used += align_up(sizes[i]);
    }
    if (w != NULL)
        *w = (workspace){.e = at[0],
                         .hidden = at[1],
                         .panels = at[2],
                         .partial = (float *)(void *)at[3],
                         .sums = (float *)(void *)at[4],
                         .largest = (float *)(void *)at[5],
                         .shift = (float *)(void *)at[6],
                         .total = (float *)(void *)at[6] + d->columns,
                         .chosen = (float *)(void *)at[6] + 2 * d->columns,
                         .tiles = (float *)(void *)at[7],
                         .rows = (int32_t *)(void *)at[8],
                         .room = at[9]};
    return used;
}

static dimensions measure(int64_t rows, const hone_weight *weight, hone_dtype dtype, int threads,
                          bool training)
{
    dimensions d = {.rows = rows, .width = weight->columns, .vocabulary = weight->rows};
    d.chunk = chunk_limit(rows, weight->rows, dtype);
    d.columns = padded_width(d.chunk);
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
    const hone_panel_kernels *panels; /* or NULL */
    dimensions d;
    workspace w;
    const int32_t *rows;    /* numbers of its rows */
    int64_t count, columns; /* rows now; up to whole vectors */
    bool gradients;
} chunk;

static chunk begin(const hone_op_run *run)
{
    chunk c = {.run = run};
    c.d = measure(run->rows, run->weight[0], product_type(run), hone_parallel_threads(),
                  run->gradients);
    c.panels =
        c.d.width % hone_panel_units(c.d.dtype) == 0 ? hone_panel_kernels_of(c.d.dtype) : NULL;
    c.gradients = run->gradients && (run->d_in[0].data != NULL || run->weight[0]->gradient != NULL);
    lay_out(run->scratch, &c.d, &c.w);
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

/* The rows of a chunk, and zeros up to whole vectors of them. */
static void take_rows(chunk *c, const int32_t *rows, int64_t count)
{
    hone_view hidden = {c->w.hidden, c->d.dtype, c->d.width};
    c->rows = rows;
    c->count = count;
    c->columns = padded_width(count);
    gather(c->run, rows, count, c->w.hidden);
    memset(view_row(hidden, count), 0,
           (size_t)((c->columns - count) * c->d.width) * hone_dtype_size(c->d.dtype));
    memset(c->w.shift + count, 0, (size_t)(c->columns - count) * sizeof(float));
    if (c->panels != NULL)
        c->panels->lay_transposed(c->w.hidden, c->d.width, c->columns, c->d.width, c->w.panels);
}

/* Rows [first, ...) of W. */
static hone_matrix weight_rows(const hone_weight *w, int64_t first)
{
    const char *at =
        (const char *)w->data + first * w->columns * (int64_t)hone_dtype_size(w->dtype);
    return (hone_matrix){at, w->dtype, w->columns, 1};
}

static float *thread_tile(const chunk *c, int thread)
{
    return c->w.tiles + thread * tile_floats(&c->d);
}

/* ---- e and its sums ----------------------------------------------------------------------- */

/* The shifts: about the labels' logits. How near does not matter. */
static void shift_task(void *context, int64_t i, int thread)
{
    const chunk *c = context;
    const hone_op_run *run = c->run;
    const hone_weight *weight = run->weight[0];
    int64_t width = c->d.width;
    float *buffer = thread_tile(c, thread);
    hone_matrix label = weight_rows(weight, run->batch->labels[c->rows[i]]);
    const float *h = row_read(run->in[0], c->rows[i], buffer), *w = label.data;
    if (weight->dtype != HONE_F32) {
        load_floats(weight->dtype, label.data, buffer + padded_width(width), width);
        w = buffer + padded_width(width);
    }
    c->w.shift[i] = row_dot(h, w, width);
}

/* tile (words, columns) = rows of W from `first` on, times h^T. */
static void multiply_tile(const chunk *c, int64_t first, int64_t words, float *tile)
{
    hone_matrix w = weight_rows(c->run->weight[0], first);
    if (c->panels != NULL) {
        int64_t steps = c->d.width / hone_panel_units(w.dtype);
        hone_panel_product p = hone_panel_transposed(w.data, steps, c->w.panels, steps);
        p.m = words;
        p.n = c->columns;
        p.c = tile;
        p.c_stride = c->columns;
        c->panels->multiply(&p);
        return;
    }
    hone_product p = {.m = words, .n = c->columns, .k = c->d.width, .c = tile};
    p.c_stride = c->columns;
    p.a = w;
    p.b = (hone_matrix){c->w.hidden, w.dtype, 1, c->d.width};
    hone_matmul(&p);
}

/* Some vectors of columns of a tile's logits: e to its place, unless that is NULL; sums and the
 * largest. */
static inline __attribute__((always_inline)) void exponentials(const chunk *c, const float *tile,
                                                               int64_t words, int64_t column,
                                                               int vectors, char *e, float *sums,
                                                               float *largest)
{
    vec shift[VECTORS], total[VECTORS], top[VECTORS];
    for (int v = 0; v < vectors; v++) {
        shift[v] = vec_load(c->w.shift + column + v * LANES);
        total[v] = (vec){0};
        top[v] = vec_set(-INFINITY);
    }
    for (int64_t word = 0; word < words; word++)
        for (int v = 0; v < vectors; v++) {
            int64_t at = word * c->columns + column + v * LANES;
            vec x = vec_load(tile + at) - shift[v];
            top[v] = vec_max(x, top[v]);
            vec value = vec_exp_bounded(x);
            total[v] += value;
            if (e != NULL && c->d.dtype == HONE_BF16)
                vec_store_bf16((uint16_t *)(void *)e + at, value);
            else if (e != NULL)
                vec_store((float *)(void *)e + at, value);
        }
    for (int v = 0; v < vectors; v++) {
        vec_store(sums + column + v * LANES, total[v]);
        vec_store(largest + column + v * LANES, top[v]);
    }
}

static void tile_task(void *context, int64_t task, int thread)
{
    const chunk *c = context;
    int64_t first = task * TILE_WORDS, left = c->d.vocabulary - first;
    int64_t words = left < TILE_WORDS ? left : TILE_WORDS;
    float *tile = thread_tile(c, thread);
    float *sums = c->w.sums + task * c->columns, *largest = c->w.largest + task * c->columns;
    int64_t element = (int64_t)hone_dtype_size(c->d.dtype), column = 0;
    char *e = c->gradients ? c->w.e + first * c->columns * element : NULL;
    multiply_tile(c, first, words, tile);
    for (; column + VECTORS * LANES <= c->columns; column += VECTORS * LANES)
        exponentials(c, tile, words, column, VECTORS, e, sums, largest);
    for (; column < c->columns; column += LANES)
        exponentials(c, tile, words, column, 1, e, sums, largest);
    for (int64_t i = 0; i < c->count; i++) {
        int64_t label = c->run->batch->labels[c->rows[i]] - first;
        if (label >= 0 && label < words)
            c->w.chosen[i] = tile[label * c->columns + i] - c->w.shift[i];
    }
}

/* Totals of the rows; true when a shift was too small. It then is the row's largest logit. */
static bool add_up(const chunk *c)
{
    bool again = false;
    int64_t tiles = tiles_of(c->d.vocabulary);
    for (int64_t i = 0; i < c->count; i++) {
        float top = -INFINITY, total = 0;
        for (int64_t tile = 0; tile < tiles; tile++) {
            float largest = c->w.largest[tile * c->columns + i];
            total += c->w.sums[tile * c->columns + i];
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
    for (int64_t i = 0; i < c->count; i++) {
        float value = expf(c->w.chosen[i]) - c->w.total[i];
        int64_t at = c->run->batch->labels[c->rows[i]] * c->columns + i;
        store_floats(c->d.dtype, &value, c->w.e + at * (int64_t)hone_dtype_size(c->d.dtype), 1);
    }
}

/* partial (columns, C) = e^T W over a slice of V. */
static void slice_task(void *context, int64_t slice, int thread)
{
    const chunk *c = context;
    int64_t words = slice_words(c->d.vocabulary), first = slice * words;
    hone_product p = {.m = c->columns, .n = c->d.width, .c_stride = c->d.width};
    p.k = c->d.vocabulary - first < words ? c->d.vocabulary - first : words;
    p.a = (hone_matrix){c->w.e + first * c->columns * (int64_t)hone_dtype_size(c->d.dtype),
                        c->d.dtype, 1, c->columns};
    p.b = weight_rows(c->run->weight[0], first);
    p.c = c->w.partial + slice * c->columns * c->d.width;
    p.room = product_room(c->d.dtype, c->w.room + hone_matmul_room(c->d.dtype, thread));
    hone_matmul(&p);
}

/* A row of dh: the slices' sums in order, times the row's factor. */
static void row_task(void *context, int64_t i, int thread)
{
    (void)thread;
    const chunk *c = context;
    const hone_op_run *run = c->run;
    int64_t width = c->d.width, slices = divide_up(c->d.vocabulary, slice_words(c->d.vocabulary));
    float *sum = c->w.partial + i * width, factor = row_factor(c, i);
    for (int64_t slice = 1; slice < slices; slice++) {
        const float *more = c->w.partial + (slice * c->columns + i) * width;
        for (int64_t j = 0; j < width; j++)
            sum[j] += more[j];
    }
    for (int64_t j = 0; j < width; j++)
        sum[j] *= factor;
    row_write(run->d_in[0], c->rows[i], sum);
}

/* dW += e h, the rows of h times their factors. */
static void add_weight_gradient(const chunk *c)
{
    const hone_weight *weight = c->run->weight[0];
    hone_dtype dtype = c->d.dtype;
    int64_t width = c->d.width;
    hone_view hidden = {c->w.hidden, dtype, width};
    for (int64_t i = 0; i < c->count; i++) {
        float *buffer = c->w.partial, factor = row_factor(c, i);
        load_floats(dtype, view_row(hidden, i), buffer, width);
        for (int64_t j = 0; j < width; j++)
            buffer[j] *= factor;
        row_write(hidden, i, buffer);
    }
    hone_product p = {.m = weight->rows, .n = width, .k = c->count, .accumulate = true};
    p.a = (hone_matrix){c->w.e, dtype, c->columns, 1};
    p.b = view_matrix(hidden);
    p.c = weight->gradient;
    p.c_stride = width;
    p.room = product_room(dtype, c->w.room);
    hone_matmul_parallel(&p);
}

static void make_gradients(chunk *c)
{
    const hone_op_run *run = c->run;
    subtract_labels(c);
    if (run->d_in[0].data != NULL) {
        int64_t slices = divide_up(c->d.vocabulary, slice_words(c->d.vocabulary));
        hone_parallel_run(slices, slice_task, c);
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
    int64_t size = divide_up(labelled, divide_up(labelled, c.d.chunk));
    for (int64_t first = 0; first < labelled; first += size) {
        take_rows(&c, c.w.rows + first, labelled - first < size ? labelled - first : size);
        hone_parallel_run(c.count, shift_task, &c);
        int64_t tiles = tiles_of(c.d.vocabulary);
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
    for (int64_t first = 0; first < request->logit_count; first += c.d.chunk) {
        int64_t left = request->logit_count - first;
        hone_product p = {.m = left < c.d.chunk ? left : c.d.chunk, .n = weight->rows};
        p.k = weight->columns;
        p.a = gather(run, request->logit_rows + first, p.m, c.w.hidden);
        p.b = (hone_matrix){weight->data, weight->dtype, 1, weight->columns};
        p.c = request->logits + first * weight->rows;
        p.c_stride = weight->rows;
        p.room = product_room(c.d.dtype, c.w.room);
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
