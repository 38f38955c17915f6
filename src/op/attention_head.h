/* One head of one segment in attention: where its rows are, its scratch, and its products. They go
 * through the kernels of gemm/panel.h where the processor has them: keys and values are laid out
 * once, and every block of queries meets them so. Else they go through the library, on dense copies
 * of the rows. Included by attention.c only. */
#ifndef HONE_OP_ATTENTION_HEAD_H
#define HONE_OP_ATTENTION_HEAD_H

#include "gemm/panel.h"
#include "op/attention_rows.h"
#include "op/relative_bias.h"

enum {
    PANEL_BLOCK = 64,          /* queries of a block with panels, ... */
    QUERY_BLOCK = 128,         /* ... and with the library, for segments up to ... */
    BLOCK_SCORES = 128 * 1024, /* ... this many scores; longer segments get fewer queries */
    LEAST_QUERIES = 16
};

/* One run: what all its tasks share. */
typedef struct attention {
    const hone_op_run *run;
    const hone_panel_kernels *panels; /* or NULL */
    int64_t units;                    /* elements of a panel's unit */
    int64_t heads, size, width;       /* width = heads size */
    int64_t longest; /* most keys of a segment of this batch: at most what was planned */
    int64_t parts;   /* forward: most tasks that a segment's head is cut into */
    float scale;
    float *table;    /* (heads, distances) biases, or NULL */
    float *partials; /* (segments, heads, buckets) their gradients, or NULL */
    char *workspaces;
} attention;

/* The library's products work on rows padded with zeros to whole vectors: all lengths then make few
 * shapes of products (each of bf16 is compiled), and at full speed. */
static int64_t padded(int64_t rows)
{
    return padded_width(rows);
}

static int64_t block_queries(const attention *a, int64_t keys)
{
    int64_t most = a->panels != NULL ? PANEL_BLOCK : QUERY_BLOCK;
    int64_t fit = BLOCK_SCORES / (keys > 0 ? keys : 1) / LEAST_QUERIES * LEAST_QUERIES;
    return fit > most ? most : fit < LEAST_QUERIES ? LEAST_QUERIES : fit;
}

/* ---- scratch ------------------------------------------------------------------------------ */

/* Floats of the largest block of scores for segments of up to `longest` keys. */
static size_t score_floats(int64_t longest)
{
    return (size_t)BLOCK_SCORES + (size_t)(LEAST_QUERIES * padded(longest) + QUERY_BLOCK * LANES);
}

/* One thread's scratch: scores and their gradients; rows of keys, values, queries and d_out, of the
 * last two a block; with panels keys and values in the other direction, too; a block of results;
 * sums (M, D); a head's bias gradients by distance. */
typedef struct workspace {
    float *scores, *d_scores, *results, *d_keys, *d_values, *d_distances;
    char *keys, *values, *queries, *d_out, *turned_keys, *turned_values;
} workspace;

static size_t lay_out(char *base, int64_t longest, int64_t head_size, bool training, workspace *out)
{
    size_t scores = align_up(score_floats(longest) * sizeof(float)), used = 0;
    size_t block = align_up((size_t)(QUERY_BLOCK * padded(head_size)) * sizeof(float));
    size_t all = align_up((size_t)(padded(longest) * head_size) * sizeof(float));
    size_t panels =
        align_up((size_t)(round_up(longest, HONE_PANEL_COLUMNS) * head_size) * sizeof(float));
    size_t distances = align_up((size_t)(bias_distances(longest) + LANES) * sizeof(float));
    const size_t sizes[] = {scores, block, block, all, all,       panels,
                            scores, block, all,   all, distances, panels};
    enum { OF_INFERENCE = 6, OF_TRAINING = 12 };
    char *at[OF_TRAINING];
    for (int i = 0; i < (training ? OF_TRAINING : OF_INFERENCE); i++) {
        at[i] = base != NULL ? base + used : NULL;
        used += sizes[i];
    }
    if (out != NULL) {
        *out = (workspace){.scores = (float *)(void *)at[0],
                           .results = (float *)(void *)at[1],
                           .queries = at[2],
                           .keys = at[3],
                           .values = at[4],
                           .turned_keys = at[5]};
        if (training) {
            out->d_scores = (float *)(void *)at[6];
            out->d_out = at[7];
            out->d_keys = (float *)(void *)at[8];
            out->d_values = (float *)(void *)at[9];
            out->d_distances = (float *)(void *)at[10];
            out->turned_values = at[11];
        }
    }
    return used;
}

static workspace thread_workspace(const attention *a, int thread, bool training)
{
    workspace w;
    size_t each = lay_out(NULL, a->longest, a->size, training, NULL);
    lay_out(a->workspaces + (size_t)thread * each, a->longest, a->size, training, &w);
    return w;
}

static int64_t key_count(const hone_op_run *run, int64_t segment)
{
    int64_t past = run->cache != NULL ? run->cache->past[segment] : 0;
    if (run->cache != NULL && run->op->as.attention.cross)
        return past;
    return past + run->keys->starts[segment + 1] - run->keys->starts[segment];
}

/* ---- rows --------------------------------------------------------------------------------- */

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

/* Row `i` of the segment's queries in a block of scores of `keys` columns. */
static score_row find_scores(const attention *a, const head_rows *h, int64_t head, int64_t i,
                             float *scores, int64_t keys)
{
    score_row row = {scores, NULL, visible_keys(a, h, i), keys, a->scale};
    if (a->table != NULL)
        row.bias = bias_row(a->table, a->longest, head, h->past + i);
    return row;
}

/* ---- a head ------------------------------------------------------------------------------- */

/* One head of one segment, or a part of it. With panels the rows of keys and values are steps, for
 * products that sum over keys, and the turned ones columns, for those that sum over D. Without, the
 * rows serve both. */
typedef struct head_task {
    const attention *a;
    head_rows rows;
    int64_t head;
    workspace w;
} head_task;

/* Dense rows of a head, padded with zeros. */
static void pack(const head_rows *h, const char *from, int64_t stride, int64_t rows, int64_t size,
                 char *to)
{
    size_t element = hone_dtype_size(h->dtype), row = (size_t)size * element;
    for (int64_t i = 0; i < rows; i++)
        memcpy(to + (size_t)i * row, row_at(h, from, i, stride), row);
    memset(to + (size_t)rows * row, 0, (size_t)(padded(rows) - rows) * row);
}

static head_task begin_head(const attention *a, int64_t segment, int64_t head, int thread,
                            bool training)
{
    head_task t = {.a = a, .rows = find_head(a, segment, head), .head = head};
    const head_rows *h = &t.rows;
    t.w = thread_workspace(a, thread, training);
    if (a->panels == NULL) {
        pack(h, h->k, h->k_stride, h->keys, a->size, t.w.keys);
        pack(h, h->v, h->v_stride, h->keys, a->size, t.w.values);
        return t;
    }
    a->panels->lay_transposed(h->k, h->k_stride, h->keys, a->size, t.w.turned_keys);
    if (training) {
        a->panels->lay_transposed(h->v, h->v_stride, h->keys, a->size, t.w.turned_values);
        a->panels->lay_rows(h->k, h->k_stride, h->keys, a->size, t.w.keys, a->size);
    } else
        a->panels->lay_rows(h->v, h->v_stride, h->keys, a->size, t.w.values, a->size);
    return t;
}

/* A block of queries, and how many keys it sees at most; both padded, too. Rows of scores are one
 * vector apart from a round length, so that they don't meet in the same lines of the cache. */
typedef struct block {
    int64_t start, count, visible; /* first query; queries; keys */
    int64_t queries, keys, stride; /* padded; floats between rows of scores */
} block;

static block begin_block(const head_task *t, int64_t start)
{
    const head_rows *h = &t->rows;
    int64_t step = block_queries(t->a, h->keys);
    block b = {.start = start, .count = h->queries - start < step ? h->queries - start : step};
    b.visible = visible_keys(t->a, h, start + b.count - 1);
    b.queries = padded(b.count);
    b.keys = padded(b.visible);
    b.stride = b.keys + LANES;
    return b;
}

/* ---- products ----------------------------------------------------------------------------- */

/* Rows of a block where they lie: queries or d_out. */
typedef struct block_rows {
    const char *at;
    int64_t stride; /* in elements */
} block_rows;

static block_rows query_rows(const head_task *t, const block *b)
{
    const head_rows *h = &t->rows;
    return (block_rows){row_at(h, h->q, b->start, h->q_stride), h->q_stride};
}

/* scores (queries, keys) = x y^T, x a block's rows of q or d_out, y the keys or the values: turned,
 * or plain rows. copy: where a block's rows may be copied to. */
static void multiply_keys(const head_task *t, const block *b, block_rows x, const char *turned,
                          const char *y, char *copy, float *scores)
{
    const attention *a = t->a;
    if (a->panels != NULL) {
        hone_panel_product p =
            hone_panel_transposed(x.at, x.stride / a->units, turned, a->size / a->units);
        p.m = b->count;
        p.n = b->keys;
        p.c = scores;
        p.c_stride = b->stride;
        a->panels->multiply(&p);
        return;
    }
    pack(&t->rows, x.at, x.stride, b->count, a->size, copy);
    hone_product p = {.m = b->queries, .n = b->keys, .k = a->size, .c = scores};
    p.c_stride = b->stride;
    p.a = (hone_matrix){copy, t->rows.dtype, a->size, 1};
    p.b = (hone_matrix){y, t->rows.dtype, 1, a->size};
    hone_matmul(&p);
}

/* results (queries, D) = s y, s a block's probabilities or their like in their type, y (keys, D)
 * what begin_head made of the keys or the values. */
static void multiply_scores(const head_task *t, const block *b, float *s, const char *y)
{
    const attention *a = t->a;
    if (a->panels != NULL) {
        a->panels->multiply(&(hone_panel_product){.m = b->count,
                                                  .n = a->size,
                                                  .steps = divide_up(b->visible, a->units),
                                                  .a = s,
                                                  .a_row = b->stride,
                                                  .a_step = 1,
                                                  .b = y,
                                                  .b_panel = HONE_PANEL_COLUMNS,
                                                  .b_step = a->size,
                                                  .c = t->w.results,
                                                  .c_stride = a->size});
        return;
    }
    hone_product p = {.m = b->queries, .n = a->size, .k = b->keys, .c = t->w.results};
    p.c_stride = a->size;
    p.a = (hone_matrix){s, t->rows.dtype, b->stride * a->units, 1};
    p.b = (hone_matrix){y, t->rows.dtype, a->size, 1};
    hone_matmul(&p);
}

/* sums (keys, D) = or += s^T x, x a block's rows of q or d_out. With panels `copy` gets x, and
 * `turned` s, a row of pairs to every second row of it: s itself, or other scores' place. */
static void add_products(const head_task *t, const block *b, float *s, float *turned, block_rows x,
                         char *copy, bool accumulate, float *sums)
{
    const attention *a = t->a;
    if (a->panels != NULL) {
        int64_t apart = a->units * b->stride;
        if (a->units > 1)
            a->panels->lay_rows(s, apart, b->count, b->keys, turned, apart);
        a->panels->lay_rows(x.at, x.stride, b->count, a->size, copy, a->size);
        a->panels->multiply(&(hone_panel_product){.m = b->visible,
                                                  .n = a->size,
                                                  .steps = divide_up(b->count, a->units),
                                                  .a = a->units > 1 ? turned : s,
                                                  .a_row = 1,
                                                  .a_step = apart,
                                                  .b = copy,
                                                  .b_panel = HONE_PANEL_COLUMNS,
                                                  .b_step = a->size,
                                                  .c = sums,
                                                  .c_stride = a->size,
                                                  .accumulate = accumulate});
        return;
    }
    hone_product p = {.m = b->keys, .n = a->size, .k = b->queries, .c = sums};
    p.c_stride = a->size;
    p.accumulate = accumulate;
    p.a = (hone_matrix){s, t->rows.dtype, 1, b->stride * a->units};
    p.b = (hone_matrix){copy, t->rows.dtype, a->size, 1};
    hone_matmul(&p);
}

#endif
