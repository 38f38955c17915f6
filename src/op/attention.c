/* Attention over packed documents: softmax(scale q k^T + causal mask) v for every segment and head.
 * Source:  Vaswani et al. 2017, arXiv:1706.03762, section 3.2; scores are made block of queries by
 *          block of queries and made again in backward from the saved log-sum-exp, as in Dao et
 *          al. 2022, arXiv:2205.14135. Only keys up to a block's last query are touched.
 * Shapes:  q | k | v (N, 3 H D) side by side; y (N, H D); log-sum-exp (N, H).
 * Generation: rows are appended to the cache, and queries see all of their segment's cache.
 * Errors:  none (a kernel). */
#include "op/kernel.h"

enum {
    QUERY_BLOCK = 128,         /* queries of one block, for segments up to ... */
    BLOCK_SCORES = 128 * 1024, /* ... this many scores; longer segments get fewer queries */
    LEAST_QUERIES = 16,
    FEW_QUERIES = 4 /* up to so many rows of a segment: plain dot products */
};

static unsigned attention_saved(const hone_op *op, const hone_weight *const weight[HONE_OP_WEIGHTS])
{
    (void)op;
    (void)weight;
    return HONE_SAVES_INPUT(0) | HONE_SAVES_OUTPUT(0) | HONE_SAVES_OUTPUT(1);
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

/* One thread's scratch: scores, their gradients, bf16 copies of both, and two f32 sums (T, D). */
typedef struct workspace {
    float *scores, *d_scores, *d_keys, *d_values, *rows;
    uint16_t *half_scores, *half_d_scores;
} workspace;

static size_t lay_out(char *base, int64_t longest, int64_t head_size, bool training, workspace *out)
{
    size_t scores = align_up(score_floats(longest) * sizeof(float)), half = align_up(scores / 2);
    size_t rows = align_up((size_t)QUERY_BLOCK * (size_t)head_size * sizeof(float));
    size_t sums = align_up((size_t)(longest * head_size) * sizeof(float)), used = 0;
    const size_t sizes[] = {scores, half, rows, scores, half, sums, sums};
    char *at[7];
    for (int i = 0; i < (training ? 7 : 3); i++) {
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
        }
    }
    return used;
}

static int64_t longest_segment(int64_t rows, int64_t context)
{
    return rows < context ? context : rows;
}

static size_t attention_scratch(const hone_op *op, const hone_op_shape *shape)
{
    int64_t longest = longest_segment(shape->rows < shape->context ? shape->rows : shape->context,
                                      shape->training ? 0 : shape->context);
    return (size_t)shape->threads *
           lay_out(NULL, longest, op->as.attention.head_size, shape->training, NULL);
}

/* What one segment and head looks like: row r of q, k, v are at base + r * stride. */
typedef struct head_rows {
    hone_dtype dtype;
    const char *q, *k, *v;
    int64_t q_stride, k_stride; /* in elements; v has k's */
    int64_t queries, keys, past;
} head_rows;

static head_rows find_head(const hone_op_run *run, int64_t segment, int64_t head)
{
    int64_t size = run->op->as.attention.head_size, width = run->op->as.attention.heads * size;
    int64_t first = run->stream->starts[segment];
    int64_t element = (int64_t)hone_dtype_size(run->in[0].dtype);
    head_rows h = {.dtype = run->in[0].dtype, .q_stride = run->in[0].width};
    h.queries = run->stream->starts[segment + 1] - first;
    h.q = view_row(run->in[0], first) + head * size * element;
    if (run->cache == NULL) {
        h.k = h.q + width * element;
        h.v = h.k + width * element;
        h.k_stride = h.q_stride;
        h.keys = h.queries;
    } else {
        const hone_cache_view *cache = run->cache;
        int64_t at = (cache->slots[segment] * cache->capacity * cache->width + head * size) *
                     (int64_t)hone_dtype_size(cache->dtype);
        h.k = (const char *)cache->keys + at;
        h.v = (const char *)cache->values + at;
        h.k_stride = cache->width;
        h.past = cache->past[segment];
        h.keys = h.past + h.queries;
    }
    return h;
}

static const char *row_at(const head_rows *h, const char *base, int64_t row, int64_t stride)
{
    return base + row * stride * (int64_t)hone_dtype_size(h->dtype);
}

/* Keys that query `i` of the segment sees. */
static int64_t visible_keys(const hone_op_run *run, const head_rows *h, int64_t i)
{
    return run->op->as.attention.causal ? h->past + i + 1 : h->keys;
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
static void dropout_scores(const hone_op_run *run, int64_t row, int64_t head, float *s, int64_t n)
{
    uint64_t heads = (uint64_t)run->op->as.attention.heads;
    uint64_t stream = (uint64_t)(run->stream->row_base + row) * heads + (uint64_t)head;
    dropout_apply(run->random, run->op->dropout, stream << 24, s, n); /* 2^24 keys a row */
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
static void few_queries(const hone_op_run *run, const head_rows *h, int64_t first, int64_t head,
                        workspace *w)
{
    int64_t size = run->op->as.attention.head_size;
    float *q = w->rows, *row = w->rows + padded_width(size), *y = row + padded_width(size);
    for (int64_t i = 0; i < h->queries; i++) {
        int64_t visible = visible_keys(run, h, i);
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
        softmax_row(w->scores, visible, visible, run->op->as.attention.scale);
        memset(y, 0, (size_t)size * sizeof(float));
        for (int64_t j = 0; j < visible; j++) {
            const void *at = row_at(h, h->v, j, h->k_stride);
            const float *v = at;
            if (h->dtype != HONE_F32) {
                load_floats(h->dtype, at, row, size);
                v = row;
            }
            for (int64_t d = 0; d < size; d++)
                y[d] += w->scores[j] * v[d];
        }
        char *to = view_row(run->out[0], first + i) +
                   head * size * (int64_t)hone_dtype_size(run->out[0].dtype);
        store_floats(run->out[0].dtype, y, to, size);
    }
}

static void forward_block(const hone_op_run *run, int64_t segment, int64_t head, int64_t start,
                          workspace *w)
{
    int64_t size = run->op->as.attention.head_size, first = run->stream->starts[segment];
    head_rows h = find_head(run, segment, head);
    if (run->cache != NULL && h.queries <= FEW_QUERIES) {
        few_queries(run, &h, first, head, w);
        return;
    }
    int64_t step = block_queries(h.keys);
    int64_t queries = h.queries - start < step ? h.queries - start : step;
    int64_t keys = visible_keys(run, &h, start + queries - 1);
    block_scores(&h, size, start, queries, keys, w->scores);
    for (int64_t i = 0; i < queries; i++) {
        float *s = w->scores + i * keys;
        int64_t row = first + start + i;
        float lse =
            softmax_row(s, visible_keys(run, &h, start + i), keys, run->op->as.attention.scale);
        if (run->out[1].data != NULL)
            ((float *)(void *)view_row(run->out[1], row))[head] = lse;
        if (dropout_is_on(run))
            dropout_scores(run, row, head, s, keys);
    }
    hone_product p = {.m = queries, .n = size, .k = keys, .c_dtype = run->out[0].dtype};
    p.a = scores_operand(h.dtype, w->scores, w->half_scores, queries, keys, false);
    p.b = (hone_matrix){h.v, h.dtype, h.k_stride, 1};
    p.c = view_row(run->out[0], first + start) +
          head * size * (int64_t)hone_dtype_size(run->out[0].dtype);
    p.c_stride = run->out[0].width;
    hone_matmul(&p);
}

/* Blocks of queries of a segment. */
static int64_t segment_blocks(const hone_op_run *run, int64_t segment)
{
    head_rows h = find_head(run, segment, 0);
    return divide_up(h.queries, block_queries(h.keys));
}

static workspace thread_workspace(const hone_op_run *run, int thread, bool training)
{
    /* The stride between threads is what the longest segment of this batch needs: at most what
     * the plan reserved. */
    int64_t longest = 1;
    for (int64_t s = 0; s < run->batch->segments; s++) {
        int64_t keys = find_head(run, s, 0).keys;
        longest = keys > longest ? keys : longest;
    }
    int64_t size = run->op->as.attention.head_size;
    workspace w;
    lay_out(run->scratch + (size_t)thread * lay_out(NULL, longest, size, training, NULL), longest,
            size, training, &w);
    return w;
}

/* Tasks: block after block within a segment, head after head within a block. */
static void forward_task(void *context, int64_t task, int thread)
{
    const hone_op_run *run = context;
    int64_t head = task % run->op->as.attention.heads, block = task / run->op->as.attention.heads;
    int64_t segment = 0;
    for (int64_t blocks; block >= (blocks = segment_blocks(run, segment)); segment++)
        block -= blocks;
    workspace w = thread_workspace(run, thread, false);
    int64_t step = block_queries(find_head(run, segment, head).keys);
    forward_block(run, segment, head, block * step, &w);
}

static void append_task(void *context, int64_t segment, int thread)
{
    (void)thread;
    const hone_op_run *run = context;
    const hone_cache_view *cache = run->cache;
    int64_t first = run->stream->starts[segment], rows = run->stream->starts[segment + 1] - first;
    int64_t element = (int64_t)hone_dtype_size(cache->dtype), bytes = cache->width * element;
    for (int64_t i = 0; i < rows; i++) {
        int64_t at = cache->slots[segment] * cache->capacity + cache->past[segment] + i;
        const char *from = view_row(run->in[0], first + i) + bytes;
        memcpy((char *)cache->keys + at * bytes, from, (size_t)bytes);
        memcpy((char *)cache->values + at * bytes, from + bytes, (size_t)bytes);
    }
}

static void attention_forward(const hone_op_run *run)
{
    if (run->cache != NULL)
        run_tasks(run, run->batch->segments, append_task);
    int64_t blocks = 0;
    for (int64_t segment = 0; segment < run->batch->segments; segment++)
        blocks += segment_blocks(run, segment);
    run_tasks(run, blocks * run->op->as.attention.heads, forward_task);
}

/* ---- backward ----------------------------------------------------------------------------- */

/* Turns probabilities p (before dropout) and d_scores (gradient of the dropped probabilities) of a
 * row into the gradient of the raw scores: scale p (dp - sum_j p_j dp_j); the sum is dy . y. */
static void score_gradient_row(const float *p, float *dp, int64_t n, float sum, float scale)
{
    for (int64_t j = 0; j < n; j++)
        dp[j] = scale * p[j] * (dp[j] - sum);
}

/* A block's probabilities and score gradients, into w->scores (after dropout) and w->d_scores. */
static void backward_scores(const hone_op_run *run, const head_rows *h, int64_t first, int64_t head,
                            int64_t start, int64_t queries, int64_t keys, workspace *w)
{
    int64_t size = run->op->as.attention.head_size;
    int64_t offset = head * size * (int64_t)hone_dtype_size(h->dtype);
    block_scores(h, size, start, queries, keys, w->scores);
    hone_product p = {.m = queries, .n = keys, .k = size, .c = w->d_scores, .c_stride = keys};
    p.a =
        (hone_matrix){view_row(run->d_out, first + start) + offset, h->dtype, run->d_out.width, 1};
    p.b = (hone_matrix){h->v, h->dtype, 1, h->k_stride};
    hone_matmul(&p);
    float *y = w->rows, *dy = w->rows + padded_width(size);
    for (int64_t i = 0; i < queries; i++) {
        int64_t row = first + start + i;
        float *s = w->scores + i * keys, *ds = w->d_scores + i * keys;
        float lse = ((const float *)(const void *)view_row(run->out[1], row))[head];
        float scale = run->op->as.attention.scale;
        softmax_again_row(s, visible_keys(run, h, start + i), keys, scale, lse);
        load_floats(run->out[0].dtype, view_row(run->out[0], row) + offset, y, size);
        load_floats(run->d_out.dtype, view_row(run->d_out, row) + offset, dy, size);
        if (dropout_is_on(run))
            dropout_scores(run, row, head, ds, keys);
        score_gradient_row(s, ds, keys, dot(y, dy, size), scale);
        if (dropout_is_on(run))
            dropout_scores(run, row, head, s, keys);
    }
}

static void store_slice(hone_view to, int64_t first, int64_t rows, int64_t column, int64_t size,
                        const float *from)
{
    for (int64_t i = 0; i < rows; i++)
        store_floats(to.dtype, from + i * size,
                     view_row(to, first + i) + column * (int64_t)hone_dtype_size(to.dtype), size);
}

/* One segment and head: blocks of queries from the last to the first, so that the first one done
 * covers all keys and can overwrite the sums. */
static void backward_task(void *context, int64_t task, int thread)
{
    const hone_op_run *run = context;
    int64_t heads = run->op->as.attention.heads, size = run->op->as.attention.head_size;
    int64_t head = task % heads, segment = task / heads, first = run->stream->starts[segment];
    head_rows h = find_head(run, segment, head);
    workspace w = thread_workspace(run, thread, true);
    int64_t step = block_queries(h.keys), width = heads * size;
    int64_t offset = head * size * (int64_t)hone_dtype_size(h.dtype);
    for (int64_t start = (h.queries - 1) / step * step; start >= 0; start -= step) {
        int64_t queries = h.queries - start < step ? h.queries - start : step;
        int64_t keys = visible_keys(run, &h, start + queries - 1);
        bool more = start + queries < h.queries;
        backward_scores(run, &h, first, head, start, queries, keys, &w);
        hone_product dv = {.m = keys, .n = size, .k = queries, .c = w.d_values, .c_stride = size};
        dv.a = scores_operand(h.dtype, w.scores, w.half_scores, queries, keys, true);
        dv.b = (hone_matrix){view_row(run->d_out, first + start) + offset, h.dtype,
                             run->d_out.width, 1};
        dv.accumulate = more;
        hone_matmul(&dv);
        hone_product dk = dv;
        dk.c = w.d_keys;
        dk.a = scores_operand(h.dtype, w.d_scores, w.half_d_scores, queries, keys, true);
        dk.b = (hone_matrix){row_at(&h, h.q, start, h.q_stride), h.dtype, h.q_stride, 1};
        hone_matmul(&dk);
        hone_product dq = {.m = queries, .n = size, .k = keys, .c_dtype = run->d_in[0].dtype};
        dq.a = (hone_matrix){dk.a.data, h.dtype, keys, 1};
        dq.b = (hone_matrix){h.k, h.dtype, h.k_stride, 1};
        dq.c = view_row(run->d_in[0], first + start) + offset;
        dq.c_stride = run->d_in[0].width;
        hone_matmul(&dq);
    }
    store_slice(run->d_in[0], first, h.keys, width + head * size, size, w.d_keys);
    store_slice(run->d_in[0], first, h.keys, 2 * width + head * size, size, w.d_values);
}

/* The gradient of q | k | v is always overwritten: attention is their only reader. */
static void attention_backward(const hone_op_run *run)
{
    if (run->d_in[0].data != NULL)
        run_tasks(run, run->batch->segments * run->op->as.attention.heads, backward_task);
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
