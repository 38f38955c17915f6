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
#include "op/relative_bias.h"

enum {
    QUERY_BLOCK = 128,         /* queries of one block, for segments up to ... */
    BLOCK_SCORES = 128 * 1024, /* ... this many scores; longer segments get fewer queries */
    LEAST_QUERIES = 16,
    FEW_QUERIES = 4 /* up to so many rows of a segment: plain dot products */
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

/* Floats of the largest block of scores for segments of up to `longest` keys. */
static size_t score_floats(int64_t longest)
{
    return (size_t)BLOCK_SCORES + (size_t)(LEAST_QUERIES * longest);
}

/* ---- scratch ------------------------------------------------------------------------------ */

/* One thread's scratch: scores, their gradients, bf16 copies of both, two f32 sums (M, D), and the
 * gradient of a head's biases by distance. */
typedef struct workspace {
    float *scores, *d_scores, *d_keys, *d_values, *rows, *d_distances;
    uint16_t *half_scores, *half_d_scores;
} workspace;

static size_t lay_out(char *base, int64_t longest, int64_t head_size, bool training, workspace *out)
{
    size_t scores = align_up(score_floats(longest) * sizeof(float)), half = align_up(scores / 2);
    size_t rows = align_up((size_t)QUERY_BLOCK * (size_t)head_size * sizeof(float));
    size_t sums = align_up((size_t)(longest * head_size) * sizeof(float)), used = 0;
    size_t distances = align_up((size_t)bias_distances(longest) * sizeof(float));
    const size_t sizes[] = {scores, half, rows, scores, half, sums, sums, distances};
    char *at[8];
    for (int i = 0; i < (training ? 8 : 3); i++) {
        at[i] = base != NULL ? base + used : NULL;
        used += sizes[i];
    }
    if (out != NULL) {
        *out = (workspace){.scores = (float *)(void *)at[0],
                           .half_scores = (uint16_t *)(void *)at[1],
                           .rows = (float *)(void *)at[2]};
        if (training) {
            out->d_scores = (float *)(void *)at[3];
            out->half_d_scores = (uint16_t *)(void *)at[4];
            out->d_keys = (float *)(void *)at[5];
            out->d_values = (float *)(void *)at[6];
            out->d_distances = (float *)(void *)at[7];
        }
    }
    return used;
}

static size_t table_size(const hone_op *op, int64_t longest)
{
    if (op->as.attention.relative_buckets == 0)
        return 0;
    return align_up((size_t)(op->as.attention.heads * bias_distances(longest)) * sizeof(float));
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

/* Turns a row of raw scores into probabilities over its first `visible` keys; the rest become 0.
 * Returns the log-sum-exp of the scaled scores. */
static float softmax_row(float *s, int64_t visible, int64_t keys, float scale)
{
    vec largest = vec_set(-INFINITY);
    int64_t j = 0;
    for (; j + LANES <= visible; j += LANES)
        largest = vec_max(vec_load(s + j), largest);
    float top = vec_largest(largest);
    for (; j < visible; j++)
        top = s[j] > top ? s[j] : top;
    vec sum = {0};
    for (j = 0; j + LANES <= visible; j += LANES) {
        vec e = vec_exp((vec_load(s + j) - top) * scale);
        sum += e;
        vec_store(s + j, e);
    }
    float total = vec_sum(sum);
    if (j < visible) {
        float tail[LANES] = {0};
        memcpy(tail, s + j, (size_t)(visible - j) * sizeof(float));
        vec_store(tail, vec_exp((vec_load(tail) - top) * scale));
        for (int64_t i = 0; i < visible - j; i++) {
            s[j + i] = tail[i];
            total += tail[i];
        }
    }
    float inverse = 1.0f / total;
    for (j = 0; j < visible; j++)
        s[j] *= inverse;
    for (; j < keys; j++)
        s[j] = 0.0f;
    return top * scale + logf(total);
}

/* The same probabilities again, from the log-sum-exp. */
static void softmax_again_row(float *s, int64_t visible, int64_t keys, float scale, float lse)
{
    int64_t j = 0;
    for (; j + LANES <= visible; j += LANES)
        vec_store(s + j, vec_exp(vec_load(s + j) * scale - lse));
    if (j < visible) {
        float tail[LANES] = {0};
        memcpy(tail, s + j, (size_t)(visible - j) * sizeof(float));
        vec_store(tail, vec_exp(vec_load(tail) * scale - lse));
        memcpy(s + j, tail, (size_t)(visible - j) * sizeof(float));
        j = visible;
    }
    for (; j < keys; j++)
        s[j] = 0.0f;
}

/* Dropout factors of one query's row of probabilities. */
static void dropout_scores(const attention *a, int64_t row, int64_t head, float *s, int64_t n)
{
    const hone_op_run *run = a->run;
    uint64_t stream = (uint64_t)(run->stream->row_base + row) * (uint64_t)a->heads + (uint64_t)head;
    dropout_apply(run->random, run->op->dropout, stream << 24, s, n); /* 2^24 keys a row */
}

/* Adds the biases of query `i` to its raw scores, and scales them; the scale that is left. */
static float add_bias(const attention *a, const head_rows *h, int64_t head, int64_t i, float *s,
                      int64_t visible)
{
    if (a->table == NULL)
        return a->scale;
    bias_add(s, bias_row(a->table, a->longest, head, h->past + i), visible, a->scale);
    return 1.0f;
}

/* scores (queries, keys) = Q K^T of a block of queries. */
static void block_scores(const head_rows *h, int64_t size, int64_t start, int64_t queries,
                         int64_t keys, float *scores)
{
    hone_product p = {.m = queries, .n = keys, .k = size, .c = scores, .c_stride = keys};
    p.a = (hone_matrix){row_at(h, h->q, start, h->q_stride), h->dtype, h->q_stride, 1};
    p.b = (hone_matrix){h->k, h->dtype, 1, h->k_stride};
    hone_matmul(&p);
}

/* Scores as an operand of the values' type. */
static hone_matrix scores_operand(hone_dtype dtype, const float *scores, uint16_t *half,
                                  int64_t queries, int64_t keys, bool transposed)
{
    const void *data = scores;
    if (dtype == HONE_BF16) {
        store_floats(HONE_BF16, scores, half, queries * keys);
        data = half;
    }
    return transposed ? (hone_matrix){data, dtype, 1, keys} : (hone_matrix){data, dtype, keys, 1};
}

/* ---- forward ------------------------------------------------------------------------------ */

static float dot(const float *a, const float *b, int64_t n)
{
    vec sum = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        sum += vec_load(a + i) * vec_load(b + i);
    float total = vec_sum(sum);
    for (; i < n; i++)
        total += a[i] * b[i];
    return total;
}

/* A few queries against a cache: sums in one fixed order, whatever else is decoded. */
static void few_queries(const attention *a, const head_rows *h, int64_t head, workspace *w)
{
    int64_t size = a->size;
    const hone_view out = a->run->out[0];
    float *q = w->rows, *row = w->rows + padded_width(size), *y = row + padded_width(size);
    for (int64_t i = 0; i < h->queries; i++) {
        int64_t visible = visible_keys(a, h, i);
        load_floats(h->dtype, row_at(h, h->q, i, h->q_stride), q, size);
        for (int64_t j = 0; j < visible; j++) {
            const void *at = row_at(h, h->k, j, h->k_stride);
            const float *k = at;
            if (h->dtype != HONE_F32) {
                load_floats(h->dtype, at, row, size);
                k = row;
            }
            w->scores[j] = dot(q, k, size);
        }
        float scale = add_bias(a, h, head, i, w->scores, visible);
        softmax_row(w->scores, visible, visible, scale);
        memset(y, 0, (size_t)size * sizeof(float));
        for (int64_t j = 0; j < visible; j++) {
            const void *at = row_at(h, h->v, j, h->v_stride);
            const float *v = at;
            if (h->dtype != HONE_F32) {
                load_floats(h->dtype, at, row, size);
                v = row;
            }
            for (int64_t d = 0; d < size; d++)
                y[d] += w->scores[j] * v[d];
        }
        store_floats(out.dtype, y, column_at((columns){out, 0}, h->first + i, head * size), size);
    }
}

static void forward_block(const attention *a, const head_rows *h, int64_t head, int64_t start,
                          workspace *w)
{
    const hone_op_run *run = a->run;
    int64_t step = block_queries(h->keys);
    int64_t queries = h->queries - start < step ? h->queries - start : step;
    int64_t keys = visible_keys(a, h, start + queries - 1);
    block_scores(h, a->size, start, queries, keys, w->scores);
    for (int64_t i = 0; i < queries; i++) {
        float *s = w->scores + i * keys;
        int64_t row = h->first + start + i, visible = visible_keys(a, h, start + i);
        float scale = add_bias(a, h, head, start + i, s, visible);
        float lse = softmax_row(s, visible, keys, scale);
        if (run->out[1].data != NULL)
            ((float *)(void *)view_row(run->out[1], row))[head] = lse;
        if (dropout_is_on(run))
            dropout_scores(a, row, head, s, keys);
    }
    hone_product p = {.m = queries, .n = a->size, .k = keys, .c_dtype = run->out[0].dtype};
    p.a = scores_operand(h->dtype, w->scores, w->half_scores, queries, keys, false);
    p.b = (hone_matrix){h->v, h->dtype, h->v_stride, 1};
    p.c = column_at((columns){run->out[0], 0}, h->first + start, head * a->size);
    p.c_stride = run->out[0].width;
    hone_matmul(&p);
}

/* Blocks of queries of a segment. */
static int64_t segment_blocks(const attention *a, int64_t segment)
{
    head_rows h = find_head(a, segment, 0);
    return divide_up(h.queries, block_queries(h.keys));
}

/* Tasks: block after block within a segment, head after head within a block. */
static void forward_task(void *context, int64_t task, int thread)
{
    const attention *a = context;
    int64_t head = task % a->heads, block = task / a->heads, segment = 0;
    for (int64_t blocks; block >= (blocks = segment_blocks(a, segment)); segment++)
        block -= blocks;
    workspace w = thread_workspace(a, thread, false);
    head_rows h = find_head(a, segment, head);
    if (a->run->cache != NULL && h.queries <= FEW_QUERIES)
        few_queries(a, &h, head, &w);
    else
        forward_block(a, &h, head, block * block_queries(h.keys), &w);
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
    int64_t blocks = 0;
    if (run->cache != NULL && (!run->op->as.attention.cross || run->rows == 0))
        hone_parallel_run(run->batch->segments, append_task, &a);
    if (run->rows == 0)
        return;
    for (int64_t segment = 0; segment < run->batch->segments; segment++)
        blocks += segment_blocks(&a, segment);
    hone_parallel_run(blocks * a.heads, forward_task, &a);
}

/* ---- backward ----------------------------------------------------------------------------- */

/* Turns probabilities p (before dropout) and d_scores (gradient of the dropped probabilities) of a
 * row into the gradient of the raw scores: scale p (dp - sum_j p_j dp_j); the sum is dy . y. */
static void score_gradient_row(const float *p, float *dp, int64_t n, float sum, float scale)
{
    for (int64_t j = 0; j < n; j++)
        dp[j] = scale * p[j] * (dp[j] - sum);
}

/* Adds a row's score gradients to those of its biases. */
static void collect_bias(const attention *a, int64_t position, const float *ds, int64_t n,
                         float *d_distances)
{
    float *to = d_distances + (a->longest - 1) - position, inverse = 1.0f / a->scale;
    for (int64_t j = 0; j < n; j++)
        to[j] += ds[j] * inverse;
}

/* A block's probabilities and score gradients, into w->scores (after dropout) and w->d_scores. */
static void backward_scores(const attention *a, const head_rows *h, int64_t head, int64_t start,
                            int64_t queries, int64_t keys, workspace *w)
{
    const hone_op_run *run = a->run;
    columns out = {run->out[0], head * a->size}, d_out = {run->d_out, head * a->size};
    block_scores(h, a->size, start, queries, keys, w->scores);
    hone_product p = {.m = queries, .n = keys, .k = a->size, .c = w->d_scores, .c_stride = keys};
    p.a = (hone_matrix){column_at(d_out, h->first + start, 0), h->dtype, run->d_out.width, 1};
    p.b = (hone_matrix){h->v, h->dtype, 1, h->v_stride};
    hone_matmul(&p);
    float *y = w->rows, *dy = w->rows + padded_width(a->size);
    for (int64_t i = 0; i < queries; i++) {
        int64_t row = h->first + start + i, visible = visible_keys(a, h, start + i);
        float *s = w->scores + i * keys, *ds = w->d_scores + i * keys;
        float lse = ((const float *)(const void *)view_row(run->out[1], row))[head];
        float scale = add_bias(a, h, head, start + i, s, visible);
        softmax_again_row(s, visible, keys, scale, lse);
        load_floats(run->out[0].dtype, column_at(out, row, 0), y, a->size);
        load_floats(run->d_out.dtype, column_at(d_out, row, 0), dy, a->size);
        if (dropout_is_on(run))
            dropout_scores(a, row, head, ds, keys);
        score_gradient_row(s, ds, keys, dot(y, dy, a->size), a->scale);
        if (a->partials != NULL)
            collect_bias(a, start + i, ds, visible, w->d_distances);
        if (dropout_is_on(run))
            dropout_scores(a, row, head, s, keys);
    }
}

/* A sum over a segment's queries to its place, when it is wanted. */
static void put_sum(columns to, bool add, int64_t first, int64_t rows, int64_t size,
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
static void backward_block(const attention *a, const head_rows *h, int64_t head, int64_t start,
                           int64_t queries, workspace *w)
{
    const hone_op_run *run = a->run;
    int64_t keys = visible_keys(a, h, start + queries - 1);
    bool more = start + queries < h->queries;
    backward_scores(a, h, head, start, queries, keys, w);
    columns d_q = input_columns(a, run->d_in, 0), d_out = {run->d_out, head * a->size};
    hone_product dv = {.m = keys, .n = a->size, .k = queries, .c_stride = a->size};
    dv.c = w->d_values;
    dv.a = scores_operand(h->dtype, w->scores, w->half_scores, queries, keys, true);
    dv.b = (hone_matrix){column_at(d_out, h->first + start, 0), h->dtype, run->d_out.width, 1};
    dv.accumulate = more;
    hone_matmul(&dv);
    hone_product dk = dv;
    dk.c = w->d_keys;
    dk.a = scores_operand(h->dtype, w->d_scores, w->half_d_scores, queries, keys, true);
    dk.b = (hone_matrix){row_at(h, h->q, start, h->q_stride), h->dtype, h->q_stride, 1};
    hone_matmul(&dk);
    if (d_q.view.data == NULL)
        return;
    hone_product dq = {.m = queries, .n = a->size, .k = keys, .c_dtype = d_q.view.dtype};
    dq.a = (hone_matrix){dk.a.data, h->dtype, keys, 1};
    dq.b = (hone_matrix){h->k, h->dtype, h->k_stride, 1};
    dq.c = column_at(d_q, h->first + start, head * a->size);
    dq.c_stride = d_q.view.width;
    dq.accumulate = run->accumulate[0];
    hone_matmul(&dq);
}

/* One segment and head: blocks of queries from the last to the first, so that the first one done
 * covers all keys and can overwrite the sums. */
static void backward_task(void *context, int64_t task, int thread)
{
    const attention *a = context;
    const hone_op_run *run = a->run;
    int64_t head = task % a->heads, segment = task / a->heads;
    head_rows h = find_head(a, segment, head);
    workspace w = thread_workspace(a, thread, true);
    int64_t step = block_queries(h.keys);
    if (a->partials != NULL)
        memset(w.d_distances, 0, (size_t)bias_distances(a->longest) * sizeof(float));
    for (int64_t start = (h.queries - 1) / step * step; start >= 0; start -= step)
        backward_block(a, &h, head, start, h.queries - start < step ? h.queries - start : step, &w);
    columns d_k = input_columns(a, run->d_in, 1), d_v = input_columns(a, run->d_in, 2);
    bool apart = run->op->inputs[1] >= 0;
    d_k.first += head * a->size;
    d_v.first += head * a->size;
    put_sum(d_k, run->accumulate[apart ? 1 : 0], h.first_key, h.keys, a->size, w.d_keys);
    put_sum(d_v, run->accumulate[apart ? 2 : 0], h.first_key, h.keys, a->size, w.d_values);
    if (a->partials != NULL)
        bias_collect(run->op, w.d_distances, a->longest,
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
