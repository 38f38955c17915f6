/* Attention over packed documents: softmax(scale q k^T + bias + causal mask) v for every segment
 * and head. Queries are rows of the op's own stream; keys and values too, or rows of the source
 * (cross attention).
 * Source:  Vaswani et al. 2017, arXiv:1706.03762, section 3.2; scores are made block of queries by
 *          block of queries and made again in backward from the saved log-sum-exp, as in Dao et
 *          al. 2022, arXiv:2205.14135. Only keys up to a block's last query are touched.
 * Shapes:  q (N, H D), k and v (M, H D), or q | k | v (N, 3 H D) side by side; y (N, H D);
 *          log-sum-exp (N, H), times log2(e); relative bias: relative_bias.h.
 * Generation: rows are appended to the cache, and queries see all of their segment's cache.
 * Errors:  none (a kernel). */
#include "op/attention_head.h"

enum {
    TASK_QUERIES = 512, /* of a forward task, in whole blocks */
    FEW_QUERIES = 4     /* up to so many rows of a segment: plain dot products */
};

static unsigned attention_saved(const hone_op *op, const hone_weight *const weight[HONE_OP_WEIGHTS])
{
    (void)weight;
    unsigned inputs = HONE_SAVES_INPUT(0);
    if (op->inputs[1] >= 0)
        inputs |= HONE_SAVES_INPUT(1) | HONE_SAVES_INPUT(2);
    return inputs | HONE_SAVES_OUTPUT(0) | HONE_SAVES_OUTPUT(1);
}

/* ---- a run -------------------------------------------------------------------------------- */

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
    hone_dtype dtype = run->in[0].dtype;
    a.width = a.heads * a.size;
    a.units = hone_panel_units(dtype);
    a.panels = a.size % HONE_PANEL_HALF == 0 ? hone_panel_kernels_of(dtype) : NULL;
    for (int64_t s = 0; s < run->batch->segments; s++)
        a.longest = key_count(run, s) > a.longest ? key_count(run, s) : a.longest;
    if (backward && run->weight[0] != NULL && run->weight[0]->gradient != NULL) {
        a.partials = (float *)(void *)free;
        free += partials_size(op, run->batch->segments);
    }
    if (op->as.attention.relative_buckets > 0) {
        a.table = (float *)(void *)free;
        free += table_size(op, a.longest);
        bias_fill(op, run->weight[0], a.longest, LOG2_E, a.table);
    }
    a.workspaces = free;
    return a;
}

/* Dropout factors of one query's row of probabilities. */
static void dropout_scores(const attention *a, int64_t row, int64_t head, float *s, int64_t n)
{
    const hone_op_run *run = a->run;
    uint64_t stream = (uint64_t)(run->stream->row_base + row) * (uint64_t)a->heads + (uint64_t)head;
    dropout_apply(run->random, run->op->dropout, stream << 24, s, n); /* 2^24 keys a row */
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

/* Rows of a block's scores behind its last query, which the library's products read. */
static void clear_rest(const head_task *t, const block *b, float *scores)
{
    if (t->a->panels == NULL)
        memset(scores + b->count * b->stride, 0,
               (size_t)((b->queries - b->count) * b->stride) * sizeof(float));
}

static void forward_block(const head_task *t, int64_t start)
{
    const attention *a = t->a;
    const hone_op_run *run = a->run;
    const workspace *w = &t->w;
    bool drops = dropout_is_on(run);
    block b = begin_block(t, start);
    float sums[QUERY_BLOCK];
    multiply_keys(t, &b, query_rows(t, &b), w->turned_keys, w->keys, w->queries, w->scores);
    for (int64_t i = 0; i < b.count; i++) {
        int64_t row = t->rows.first + start + i;
        float *scores = w->scores + i * b.stride;
        score_row s = find_scores(a, &t->rows, t->head, start + i, scores, b.keys);
        float lse = exponential_row(&s, drops ? HONE_F32 : t->rows.dtype, &sums[i]);
        if (run->out[1].data != NULL)
            ((float *)(void *)view_row(run->out[1], row))[t->head] = lse;
        if (drops) {
            dropout_scores(a, row, t->head, scores, b.keys);
            narrow_row(scores, b.keys, t->rows.dtype);
        }
    }
    clear_rest(t, &b, w->scores);
    multiply_scores(t, &b, w->scores, w->values);
    columns out = {run->out[0], t->head * a->size};
    for (int64_t i = 0; i < b.count; i++)
        put_result(out, t->rows.first + start + i, w->results + i * a->size, a->size,
                   1.0f / sums[i]);
}

/* Queries of a forward task: whole blocks. */
static int64_t task_queries(const attention *a, int64_t keys)
{
    int64_t step = block_queries(a, keys);
    return step < TASK_QUERIES ? TASK_QUERIES / step * step : step;
}

/* Forward tasks that a segment's head is cut into. */
static int64_t segment_parts(const attention *a, int64_t segment)
{
    head_rows h = find_head(a, segment, 0);
    return divide_up(h.queries, task_queries(a, h.keys));
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
    int64_t step = block_queries(a, h.keys), start = part * task_queries(a, h.keys);
    int64_t end = start + task_queries(a, h.keys);
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
static void backward_scores(const head_task *t, const block *b, block_rows d_out)
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
        load_floats(dtype, row_at(&t->rows, d_out.at, i, d_out.stride), dy, a->size);
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
    const workspace *w = &t->w;
    block b = begin_block(t, start);
    bool more = start + b.count < h->queries;
    columns out = {run->d_out, t->head * a->size};
    block_rows q = query_rows(t, &b);
    block_rows d_out = {column_at(out, h->first + start, 0), run->d_out.width};
    multiply_keys(t, &b, q, w->turned_keys, w->keys, w->queries, w->scores);
    multiply_keys(t, &b, d_out, w->turned_values, w->values, w->d_out, w->d_scores);
    backward_scores(t, &b, d_out);
    clear_rest(t, &b, w->scores);
    clear_rest(t, &b, w->d_scores);
    columns d_q = input_columns(a, run->d_in, 0);
    if (d_q.view.data != NULL) {
        multiply_scores(t, &b, w->d_scores, w->keys);
        d_q.first += t->head * a->size;
        put_rows(d_q, run->accumulate[0], h->first + start, b.count, a->size, w->results);
    }
    add_products(t, &b, w->scores, w->scores, d_out, w->d_out, more, w->d_values);
    add_products(t, &b, w->d_scores, w->scores + b.stride, q, w->queries, more, w->d_keys);
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
    int64_t step = block_queries(a, h->keys);
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
