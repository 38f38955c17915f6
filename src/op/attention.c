/* Attention over packed documents: softmax(scale q k^T + bias + causal mask) v for every segment
 * and head. Queries are rows of the op's own stream; keys and values too, or rows of the source
 * (cross attention).
 * Source:  Vaswani et al. 2017, arXiv:1706.03762, section 3.2; scores are made block of queries by
 *          block of queries and made again in backward from the saved log-sum-exp, as in Dao et
 *          al. 2022, arXiv:2205.14135. Only keys up to a block's last query are touched.
 * Shapes:  q (N, H D), k and v (M, H D), or q | k | v (N, 3 H D) side by side; y (N, H D);
 *          log-sum-exp (N, H); relative bias: relative_bias.h.
 * Generation: rows are appended to the cache, and queries see all of their segment's cache.
 * Errors:  none (a kernel). */
#include "op/attention_rows.h"
#include "op/relative_bias.h"

enum {
    QUERY_BLOCK = 128,         /* queries of one block, for segments up to ... */
    BLOCK_SCORES = 128 * 1024, /* ... this many scores; longer segments get fewer queries */
    LEAST_QUERIES = 16,
    TASK_BLOCKS = 4, /* of a forward task */
    FEW_QUERIES = 4  /* up to so many rows of a segment: plain dot products */
};

static unsigned attention_saved(const hone_op *op, const hone_weight *const weight[HONE_OP_WEIGHTS])
{
    (void)weight;
    unsigned inputs = HONE_SAVES_INPUT(0);
    if (op->inputs[1] >= 0)
        inputs |= HONE_SAVES_INPUT(1) | HONE_SAVES_INPUT(2);
    return inputs | HONE_SAVES_OUTPUT(0) | HONE_SAVES_OUTPUT(1);
}

static int64_t block_queries(int64_t keys)
{
    int64_t fit = BLOCK_SCORES / (keys > 0 ? keys : 1) / LEAST_QUERIES * LEAST_QUERIES;
    return fit > QUERY_BLOCK ? QUERY_BLOCK : fit < LEAST_QUERIES ? LEAST_QUERIES : fit;
}

/* ---- scratch ------------------------------------------------------------------------------ */

/* Products work on dense copies of a head's rows, padded with zeros to whole vectors: all lengths
 * then make few shapes of products (each of bf16 is compiled), and at full speed. */
static int64_t padded(int64_t rows)
{
    return padded_width(rows);
}

/* Floats of the largest block of scores for segments of up to `longest` keys. */
static size_t score_floats(int64_t longest)
{
    return (size_t)BLOCK_SCORES + (size_t)(LEAST_QUERIES * padded(longest) + QUERY_BLOCK * LANES);
}

/* One thread's scratch: scores and their gradients; dense rows of keys, values, queries and d_out,
 * of the last two a block; a block of results; sums (M, D); a head's bias gradients by distance. */
typedef struct workspace {
    float *scores, *d_scores, *results, *d_keys, *d_values, *d_distances;
    char *keys, *values, *queries, *d_out;
} workspace;

static size_t lay_out(char *base, int64_t longest, int64_t head_size, bool training, workspace *out)
{
    size_t scores = align_up(score_floats(longest) * sizeof(float)), used = 0;
    size_t block = align_up((size_t)(QUERY_BLOCK * padded(head_size)) * sizeof(float));
    size_t all = align_up((size_t)(padded(longest) * head_size) * sizeof(float));
    size_t distances = align_up((size_t)(bias_distances(longest) + LANES) * sizeof(float));
    const size_t sizes[] = {scores, block, block, all, all, scores, block, all, all, distances};
    char *at[10];
    for (int i = 0; i < (training ? 10 : 5); i++) {
        at[i] = base != NULL ? base + used : NULL;
        used += sizes[i];
    }
    if (out != NULL) {
        *out = (workspace){.scores = (float *)(void *)at[0],
                           .results = (float *)(void *)at[1],
                           .queries = at[2],
                           .keys = at[3],
                           .values = at[4]};
        if (training) {
            out->d_scores = (float *)(void *)at[5];
            out->d_out = at[6];
            out->d_keys = (float *)(void *)at[7];
            out->d_values = (float *)(void *)at[8];
            out->d_distances = (float *)(void *)at[9];
        }
    }
    return used;
}

static size_t table_size(const hone_op *op, int64_t longest)
{
    if (op->as.attention.relative_buckets == 0)
        return 0;
    int64_t floats = op->as.attention.heads * bias_distances(longest) + LANES;
    return align_up((size_t)floats * sizeof(float));
}

/* Bytes of the bias gradients: of every segment (at most `rows`), head and bucket. */
static size_t partials_size(const hone_op *op, int64_t rows)
{
    int64_t each = op->as.attention.heads * op->as.attention.relative_buckets;
    return align_up((size_t)(rows * each) * sizeof(float));
}

static size_t attention_scratch(const hone_op *op, const hone_op_shape *shape)
{
    size_t own = lay_out(NULL, shape->longest, op->as.attention.head_size, shape->training, NULL);
    bool trains = shape->training && shape->weight[0] != NULL && shape->weight[0]->trainable;
    return (trains ? partials_size(op, shape->rows) : 0) + table_size(op, shape->longest) +
           (size_t)shape->threads * own;
}

/* One run: what all its tasks share. */
typedef struct attention {
    const hone_op_run *run;
    int64_t heads, size, width; /* width = heads size */
    int64_t longest;            /* most keys of a segment of this batch: at most what was planned */
    int64_t parts;              /* forward: most tasks that a segment's head is cut into */
    float scale;
    float *table;    /* (heads, distances) biases, or NULL */
    float *partials; /* (segments, heads, buckets) their gradients, or NULL */
    char *workspaces;
} attention;

static int64_t key_count(const hone_op_run *run, int64_t segment)
{
    int64_t past = run->cache != NULL ? run->cache->past[segment] : 0;
    if (run->cache != NULL && run->op->as.attention.cross)
        return past;
    return past + run->keys->starts[segment + 1] - run->keys->starts[segment];
}

static attention begin(const hone_op_run *run, bool backward)
{
    const hone_op *op = run->op;
    attention a = {.run = run,
                   .heads = op->as.attention.heads,
                   .size = op->as.attention.head_size,
                   .longest = 1,
                   .parts = 1,
                   .scale = op->as.attention.scale};
    char *free = run->scratch;
    a.width = a.heads * a.size;
    for (int64_t s = 0; s < run->batch->segments; s++)
        a.longest = key_count(run, s) > a.longest ? key_count(run, s) : a.longest;
    if (backward && run->weight[0] != NULL && run->weight[0]->gradient != NULL) {
        a.partials = (float *)(void *)free;
        free += partials_size(op, run->batch->segments);
    }
    if (op->as.attention.relative_buckets > 0) {
        a.table = (float *)(void *)free;
        free += table_size(op, a.longest);
        bias_fill(op, run->weight[0], a.longest, a.table);
    }
    a.workspaces = free;
    return a;
}

static workspace thread_workspace(const attention *a, int thread, bool training)
{
    workspace w;
    size_t each = lay_out(NULL, a->longest, a->size, training, NULL);
    lay_out(a->workspaces + (size_t)thread * each, a->longest, a->size, training, &w);
    return w;
}

/* ---- one segment and head ----------------------------------------------------------------- */

/* An input of the op (q, k, v: which = 0, 1, 2) as columns of a view. */
typedef struct columns {
    hone_view view;
    int64_t first;
} columns;

static columns input_columns(const attention *a, const hone_view in[HONE_OP_INPUTS], int which)
{
    if (a->run->op->inputs[1] < 0)
        return (columns){in[0], which * a->width};
    return (columns){in[which], 0};
}

static char *column_at(columns c, int64_t row, int64_t column)
{
    return view_row(c.view, row) + (c.first + column) * (int64_t)hone_dtype_size(c.view.dtype);
}

/* Row r of q, k, v is at base + r * stride. */
typedef struct head_rows {
    hone_dtype dtype;
    const char *q, *k, *v;
    int64_t q_stride, k_stride, v_stride; /* in elements */
    int64_t first, first_key;             /* rows of the segment in their streams; no first_key
                                             where the keys are in a cache */
    int64_t queries, keys, past;
} head_rows;

static head_rows find_head(const attention *a, int64_t segment, int64_t head)
{
    const hone_op_run *run = a->run;
    columns q = input_columns(a, run->in, 0);
    head_rows h = {.dtype = q.view.dtype, .q_stride = q.view.width};
    h.first = run->stream->starts[segment];
    h.queries = run->stream->starts[segment + 1] - h.first;
    h.keys = key_count(run, segment);
    h.q = column_at(q, h.first, head * a->size);
    if (run->cache == NULL) {
        columns k = input_columns(a, run->in, 1), v = input_columns(a, run->in, 2);
        h.first_key = run->keys->starts[segment];
        h.k = column_at(k, h.first_key, head * a->size);
        h.v = column_at(v, h.first_key, head * a->size);
        h.k_stride = k.view.width;
        h.v_stride = v.view.width;
    } else {
        const hone_cache_view *cache = run->cache;
        int64_t at = (cache->slots[segment] * cache->capacity * cache->width + head * a->size) *
                     (int64_t)hone_dtype_size(cache->dtype);
        h.k = (const char *)cache->keys + at;
        h.v = (const char *)cache->values + at;
        h.k_stride = h.v_stride = cache->width;
        h.past = run->op->as.attention.cross ? 0 : cache->past[segment];
    }
    return h;
}

static const char *row_at(const head_rows *h, const char *base, int64_t row, int64_t stride)
{
    return base + row * stride * (int64_t)hone_dtype_size(h->dtype);
}

/* Keys that query `i` of the segment sees. */
static int64_t visible_keys(const attention *a, const head_rows *h, int64_t i)
{
    return a->run->op->as.attention.causal ? h->past + i + 1 : h->keys;
}

/* Dropout factors of one query's row of probabilities. */
static void dropout_scores(const attention *a, int64_t row, int64_t head, float *s, int64_t n)
{
    const hone_op_run *run = a->run;
    uint64_t stream = (uint64_t)(run->stream->row_base + row) * (uint64_t)a->heads + (uint64_t)head;
    dropout_apply(run->random, run->op->dropout, stream << 24, s, n); /* 2^24 keys a row */
}

/* Row `i` of the segment's queries in a block of scores of `keys` columns. */
static score_row find_scores(const attention *a, const head_rows *h, int64_t head, int64_t i,
                             float *scores, int64_t keys)
{
    score_row row = {scores, NULL, visible_keys(a, h, i), keys, a->scale};
    if (a->table != NULL)
        row.bias = bias_row(a->table, a->longest, head, h->past + i);
    return row;
}

/* Dense rows of a head, padded with zeros; the operand of them. */
static hone_matrix pack(const head_rows *h, const char *from, int64_t stride, int64_t rows,
                        int64_t size, char *to)
{
    size_t element = hone_dtype_size(h->dtype), row = (size_t)size * element;
    for (int64_t i = 0; i < rows; i++)
        memcpy(to + (size_t)i * row, row_at(h, from, i, stride), row);
    memset(to + (size_t)rows * row, 0, (size_t)(padded(rows) - rows) * row);
    return (hone_matrix){to, h->dtype, size, 1};
}

static hone_matrix transposed(hone_matrix m)
{
    return (hone_matrix){m.data, m.dtype, m.column_stride, m.row_stride};
}

/* One head of one segment, or a part of it: its keys and values as operands. */
typedef struct head_task {
    const attention *a;
    head_rows rows;
    int64_t head;
    hone_matrix keys, values;
    workspace w;
} head_task;

static head_task begin_head(const attention *a, int64_t segment, int64_t head, int thread,
                            bool training)
{
    head_task t = {.a = a, .rows = find_head(a, segment, head), .head = head};
    const head_rows *h = &t.rows;
    t.w = thread_workspace(a, thread, training);
    t.keys = pack(h, h->k, h->k_stride, h->keys, a->size, t.w.keys);
    t.values = pack(h, h->v, h->v_stride, h->keys, a->size, t.w.values);
    return t;
}

/* A block of queries, and how many keys it sees at most; both padded. Rows of scores are one vector
 * apart, so that they don't meet in the same lines of the cache. */
typedef struct block {
    int64_t start, count, queries, keys, stride;
    hone_matrix q;
} block;

static block begin_block(const head_task *t, int64_t start)
{
    const head_rows *h = &t->rows;
    int64_t step = block_queries(h->keys);
    block b = {.start = start, .count = h->queries - start < step ? h->queries - start : step};
    b.queries = padded(b.count);
    b.keys = padded(visible_keys(t->a, h, start + b.count - 1));
    b.stride = b.keys + LANES;
    b.q = pack(h, row_at(h, h->q, start, h->q_stride), h->q_stride, b.count, t->a->size,
               t->w.queries);
    return b;
}

/* scores (queries, keys) = x y^T, x a block's rows of q or d_out, y the keys or the values. */
static void multiply_keys(const head_task *t, const block *b, hone_matrix x, hone_matrix y,
                          float *scores)
{
    hone_product p = {.m = b->queries, .n = b->keys, .k = t->a->size, .c = scores};
    p.c_stride = b->stride;
    p.a = x;
    p.b = transposed(y);
    hone_matmul(&p);
}

/* Probabilities or their like as an operand: see attention_rows.h. */
static hone_matrix scores_operand(const head_task *t, const block *b, float *scores)
{
    int64_t stride = b->stride * (t->rows.dtype == HONE_BF16 ? 2 : 1);
    memset(scores + b->count * b->stride, 0,
           (size_t)((b->queries - b->count) * b->stride) * sizeof(float));
    return (hone_matrix){scores, t->rows.dtype, stride, 1};
}

/* ---- forward ------------------------------------------------------------------------------ */

/* A row of results times a factor to its place. */
static void put_result(columns to, int64_t row, float *from, int64_t size, float factor)
{
    for (int64_t d = 0; d < size; d++)
        from[d] *= factor;
    store_floats(to.view.dtype, from, column_at(to, row, 0), size);
}

/* A few queries against a cache: sums in one fixed order, whatever else is decoded. */
static void few_queries(const attention *a, const head_rows *h, int64_t head, const workspace *w)
{
    int64_t size = a->size, element = (int64_t)hone_dtype_size(h->dtype);
    columns out = {a->run->out[0], head * size};
    float *q = w->results, *y = q + padded(size);
    for (int64_t i = 0; i < h->queries; i++) {
        int64_t visible = visible_keys(a, h, i);
        score_row s = find_scores(a, h, head, i, w->scores, padded(visible));
        load_floats(h->dtype, row_at(h, h->q, i, h->q_stride), q, size);
        dot_keys(h->dtype, q, h->k, h->k_stride * element, visible, size, s.scores);
        float sum;
        exponential_row(&s, HONE_F32, &sum);
        sum_values(h->dtype, s.scores, h->v, h->v_stride * element, visible, size, y);
        put_result(out, h->first + i, y, size, 1.0f / sum);
    }
}

static void forward_block(const head_task *t, int64_t start)
{
    const attention *a = t->a;
    const hone_op_run *run = a->run;
    bool drops = dropout_is_on(run);
    block b = begin_block(t, start);
    float sums[QUERY_BLOCK];
    multiply_keys(t, &b, b.q, t->keys, t->w.scores);
    for (int64_t i = 0; i < b.count; i++) {
        int64_t row = t->rows.first + start + i;
        float *scores = t->w.scores + i * b.stride;
        score_row s = find_scores(a, &t->rows, t->head, start + i, scores, b.keys);
        float lse = exponential_row(&s, drops ? HONE_F32 : t->rows.dtype, &sums[i]);
        if (run->out[1].data != NULL)
            ((float *)(void *)view_row(run->out[1], row))[t->head] = lse;
        if (drops) {
            dropout_scores(a, row, t->head, scores, b.keys);
            narrow_row(scores, b.keys, t->rows.dtype);
        }
    }
    hone_product p = {.m = b.queries, .n = a->size, .k = b.keys, .c = t->w.results};
    p.c_stride = a->size;
    p.a = scores_operand(t, &b, t->w.scores);
    p.b = t->values;
    hone_matmul(&p);
    columns out = {run->out[0], t->head * a->size};
    for (int64_t i = 0; i < b.count; i++)
        put_result(out, t->rows.first + start + i, t->w.results + i * a->size, a->size,
                   1.0f / sums[i]);
}

/* Forward tasks that a segment's head is cut into. */
static int64_t segment_parts(const attention *a, int64_t segment)
{
    head_rows h = find_head(a, segment, 0);
    return divide_up(h.queries, block_queries(h.keys) * TASK_BLOCKS);
}

/* Tasks: head after head of a part, part after part of a segment; a segment with fewer parts than
 * another has empty ones. */
static void forward_task(void *context, int64_t task, int thread)
{
    const attention *a = context;
    int64_t head = task % a->heads, part = task / a->heads % a->parts;
    int64_t segment = task / a->heads / a->parts;
    if (part >= segment_parts(a, segment))
        return;
    head_rows h = find_head(a, segment, head);
    if (a->run->cache != NULL && h.queries <= FEW_QUERIES) {
        workspace w = thread_workspace(a, thread, false);
        few_queries(a, &h, head, &w);
        return;
    }
    head_task t = begin_head(a, segment, head, thread, false);
    int64_t step = block_queries(h.keys), start = part * TASK_BLOCKS * step;
    int64_t end = start + TASK_BLOCKS * step;
    for (end = end < h.queries ? end : h.queries; start < end; start += step)
        forward_block(&t, start);
}

static void append_task(void *context, int64_t segment, int thread)
{
    (void)thread;
    const attention *a = context;
    const hone_cache_view *cache = a->run->cache;
    int64_t first = a->run->keys->starts[segment], last = a->run->keys->starts[segment + 1];
    size_t bytes = (size_t)cache->width * hone_dtype_size(cache->dtype);
    columns k = input_columns(a, a->run->in, 1), v = input_columns(a, a->run->in, 2);
    for (int64_t row = first; row < last; row++) {
        int64_t at = cache->slots[segment] * cache->capacity + cache->past[segment] + row - first;
        memcpy((char *)cache->keys + (size_t)at * bytes, column_at(k, row, 0), bytes);
        memcpy((char *)cache->values + (size_t)at * bytes, column_at(v, row, 0), bytes);
    }
}

static void attention_forward(const hone_op_run *run)
{
    attention a = begin(run, false);
    if (run->cache != NULL && (!run->op->as.attention.cross || run->rows == 0))
        hone_parallel_run(run->batch->segments, append_task, &a);
    if (run->rows == 0)
        return;
    for (int64_t segment = 0; segment < run->batch->segments; segment++) {
        int64_t parts = segment_parts(&a, segment);
        a.parts = parts > a.parts ? parts : a.parts;
    }
    hone_parallel_run(run->batch->segments * a.parts * a.heads, forward_task, &a);
}

/* ---- backward ----------------------------------------------------------------------------- */

/* Adds a row's score gradients to those of its biases. */
static void collect_bias(const attention *a, int64_t position, const float *ds, int64_t n,
                         float *d_distances)
{
    float *to = d_distances + (a->longest - 1) - position, inverse = 1.0f / a->scale;
    for (int64_t j = 0; j < n; j++)
        to[j] += ds[j] * inverse;
}

/* A block's probabilities (after dropout) and score gradients, into w.scores and w.d_scores. */
static void backward_scores(const head_task *t, const block *b)
{
    const attention *a = t->a;
    const hone_op_run *run = a->run;
    hone_dtype dtype = t->rows.dtype;
    bool drops = dropout_is_on(run), plain = !drops && a->partials == NULL;
    columns out = {run->out[0], t->head * a->size};
    float *y = t->w.results, *dy = y + padded(a->size);
    for (int64_t i = 0; i < b->count; i++) {
        int64_t row = t->rows.first + b->start + i;
        float *p = t->w.scores + i * b->stride, *ds = t->w.d_scores + i * b->stride;
        score_row s = find_scores(a, &t->rows, t->head, b->start + i, p, b->keys);
        float lse = ((const float *)(const void *)view_row(run->out[1], row))[t->head];
        load_floats(out.view.dtype, column_at(out, row, 0), y, a->size);
        load_floats(dtype, t->w.d_out + i * a->size * (int64_t)hone_dtype_size(dtype), dy, a->size);
        if (drops)
            dropout_scores(a, row, t->head, ds, b->keys);
        gradient_row(&s, lse, row_dot(y, dy, a->size), plain ? dtype : HONE_F32, ds);
        if (plain)
            continue;
        if (a->partials != NULL)
            collect_bias(a, b->start + i, ds, s.visible, t->w.d_distances);
        if (drops)
            dropout_scores(a, row, t->head, p, b->keys);
        narrow_row(p, b->keys, dtype);
        narrow_row(ds, b->keys, dtype);
    }
}

/* Rows of f32 results to their place, when they are wanted. */
static void put_rows(columns to, bool add, int64_t first, int64_t rows, int64_t size,
                     const float *from)
{
    if (to.view.data == NULL)
        return;
    for (int64_t i = 0; i < rows; i++) {
        hone_view part = {column_at(to, first + i, 0), to.view.dtype, size};
        row_put(part, 0, from + i * size, add);
    }
}

/* Products of one block: sums for keys and values, and the queries' own gradient. */
static void backward_block(const head_task *t, int64_t start)
{
    const attention *a = t->a;
    const hone_op_run *run = a->run;
    const head_rows *h = &t->rows;
    block b = begin_block(t, start);
    bool more = start + b.count < h->queries;
    columns out = {run->d_out, t->head * a->size};
    hone_matrix d_out = pack(h, column_at(out, h->first + start, 0), run->d_out.width, b.count,
                             a->size, t->w.d_out);
    multiply_keys(t, &b, b.q, t->keys, t->w.scores);
    multiply_keys(t, &b, d_out, t->values, t->w.d_scores);
    backward_scores(t, &b);
    hone_matrix p = scores_operand(t, &b, t->w.scores);
    hone_matrix ds = scores_operand(t, &b, t->w.d_scores);
    hone_product dv = {.m = b.keys, .n = a->size, .k = b.queries, .c = t->w.d_values};
    dv.c_stride = a->size;
    dv.accumulate = more;
    dv.a = transposed(p);
    dv.b = d_out;
    hone_matmul(&dv);
    hone_product dk = dv;
    dk.c = t->w.d_keys;
    dk.a = transposed(ds);
    dk.b = b.q;
    hone_matmul(&dk);
    columns d_q = input_columns(a, run->d_in, 0);
    if (d_q.view.data == NULL)
        return;
    hone_product dq = {.m = b.queries, .n = a->size, .k = b.keys, .c = t->w.results};
    dq.c_stride = a->size;
    dq.a = ds;
    dq.b = t->keys;
    hone_matmul(&dq);
    d_q.first += t->head * a->size;
    put_rows(d_q, run->accumulate[0], h->first + start, b.count, a->size, t->w.results);
}

/* One segment and head: blocks of queries from the last to the first, so that the first one done
 * covers all keys and can overwrite the sums. */
static void backward_task(void *context, int64_t task, int thread)
{
    const attention *a = context;
    const hone_op_run *run = a->run;
    int64_t head = task % a->heads, segment = task / a->heads;
    head_task t = begin_head(a, segment, head, thread, true);
    const head_rows *h = &t.rows;
    int64_t step = block_queries(h->keys);
    if (a->partials != NULL)
        memset(t.w.d_distances, 0, (size_t)bias_distances(a->longest) * sizeof(float));
    for (int64_t start = (h->queries - 1) / step * step; start >= 0; start -= step)
        backward_block(&t, start);
    columns d_k = input_columns(a, run->d_in, 1), d_v = input_columns(a, run->d_in, 2);
    bool apart = run->op->inputs[1] >= 0;
    d_k.first += head * a->size;
    d_v.first += head * a->size;
    put_rows(d_k, run->accumulate[apart ? 1 : 0], h->first_key, h->keys, a->size, t.w.d_keys);
    put_rows(d_v, run->accumulate[apart ? 2 : 0], h->first_key, h->keys, a->size, t.w.d_values);
    if (a->partials != NULL)
        bias_collect(run->op, t.w.d_distances, a->longest,
                     a->partials + task * run->op->as.attention.relative_buckets);
}

/* The weight (buckets, heads) gets the segments' sums in order. */
static void add_bias_gradients(const attention *a)
{
    int64_t buckets = a->run->op->as.attention.relative_buckets;
    float *gradient = a->run->weight[0]->gradient;
    for (int64_t task = 0; task < a->run->batch->segments * a->heads; task++)
        for (int64_t bucket = 0; bucket < buckets; bucket++)
            gradient[bucket * a->heads + task % a->heads] += a->partials[task * buckets + bucket];
}

static void attention_backward(const hone_op_run *run)
{
    attention a = begin(run, true);
    hone_parallel_run(run->batch->segments * a.heads, backward_task, &a);
    if (a.partials != NULL)
        add_bias_gradients(&a);
}

const hone_op_kind HONE_ISA_NAME(hone_op_attention) = {
    .name = "attention",
    .in_place = -1,
    .passes = -1,
    .saved = attention_saved,
    .scratch = attention_scratch,
    .forward = attention_forward,
    .backward = attention_backward,
};
