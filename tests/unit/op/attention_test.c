/* Attention against plain loops in double, at lengths around the borders of vectors, of blocks of
 * queries and of tasks, in both types. The loops know nothing of packing, padding or blocks. */
#include "base/memory.h"
#include "base/parallel.h"
#include "graph/program.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { HEADS = 2, SEGMENTS = 4, BUCKETS = 6, DISTANCE = 5 };

/* Of a head. Those of whole vectors go through the kernels of gemm/panel.h, others don't. */
static const int64_t sizes[] = {5, 16, 48};
static int64_t size = 5;

typedef struct attention_case {
    const char *name;
    int64_t queries[SEGMENTS], keys[SEGMENTS]; /* lengths */
    bool causal, bias;
} attention_case;

static const attention_case cases[] = {
    {"short", {1, 15, 16, 17}, {1, 15, 16, 17}, true, false},
    {"short, full", {1, 15, 16, 17}, {1, 15, 16, 17}, false, true},
    {"blocks", {127, 128, 129, 300}, {127, 128, 129, 300}, true, true},
    {"blocks, full", {127, 128, 129, 300}, {127, 128, 129, 300}, false, false},
    {"tasks", {513, 1, 31, 2}, {513, 1, 31, 2}, true, false},
    {"long", {1100, 1, 3, 2}, {1100, 1, 3, 2}, true, true},
    {"cross", {12, 1, 130, 40}, {80, 150, 7, 33}, false, false},
};

typedef struct setting {
    const attention_case *c;
    hone_dtype dtype;
    int64_t rows, key_rows, starts[SEGMENTS + 1], key_starts[SEGMENTS + 1];
    hone_batch batch;
    hone_op op;
    hone_op_run run;
    hone_weight weight;
    float bias[BUCKETS * HEADS];
    size_t scratch_size;
} setting;

static char *at(hone_view view, int64_t row)
{
    return (char *)view.data + row * view.width * (int64_t)hone_dtype_size(view.dtype);
}

static double get(hone_view view, int64_t row, int64_t column)
{
    if (view.dtype == HONE_BF16)
        return (double)hone_bf16_to_f32(((const uint16_t *)(const void *)at(view, row))[column]);
    return (double)((const float *)(const void *)at(view, row))[column];
}

static hone_view value(hone_dtype dtype, int64_t rows, int64_t width, uint32_t site)
{
    hone_view view = {hone_alloc((size_t)(rows * width) * hone_dtype_size(dtype)), dtype, width};
    assert_non_null(view.data);
    for (int64_t i = 0; i < rows * width; i++) {
        float x = (float)hone_random_normal((hone_random_key){3, site, 1}, (uint64_t)i);
        if (dtype == HONE_BF16)
            ((uint16_t *)view.data)[i] = hone_f32_to_bf16(x);
        else
            ((float *)view.data)[i] = x;
    }
    return view;
}

static void make(setting *s, const attention_case *c, hone_dtype dtype)
{
    *s = (setting){.c = c, .dtype = dtype};
    int64_t longest = 1;
    for (int i = 0; i < SEGMENTS; i++) {
        s->starts[i + 1] = s->rows += c->queries[i];
        s->key_starts[i + 1] = s->key_rows += c->keys[i];
        longest = c->keys[i] > longest ? c->keys[i] : longest;
    }
    bool cross = s->rows != s->key_rows;
    s->batch = (hone_batch){.segments = SEGMENTS,
                            .target = {.rows = s->rows, .starts = s->starts},
                            .source = {.rows = s->key_rows, .starts = s->key_starts}};
    s->op = hone_op_blank(HONE_OP_ATTENTION, -1);
    s->op.as.attention.heads = HEADS;
    s->op.as.attention.head_size = size;
    s->op.as.attention.scale = 0.9f / sqrtf((float)size);
    s->op.as.attention.causal = c->causal;
    s->op.as.attention.cross = cross;
    s->run = (hone_op_run){.op = &s->op,
                           .batch = &s->batch,
                           .stream = &s->batch.target,
                           .keys = cross ? &s->batch.source : &s->batch.target,
                           .rows = s->rows};
    hone_op_shape shape = {.rows = s->rows,
                           .compute = dtype,
                           .training = true,
                           .threads = hone_parallel_threads(),
                           .longest = longest};
    for (int k = 0; k < 3; k++) {
        int64_t rows = k == 0 ? s->rows : s->key_rows;
        s->op.inputs[k] = k;
        s->run.in[k] = value(dtype, rows, HEADS * size, (uint32_t)k);
        s->run.d_in[k] = value(dtype, rows, HEADS * size, 9);
        shape.in_width[k] = HEADS * size;
    }
    s->run.out[0] = value(dtype, s->rows, HEADS * size, 9);
    s->run.out[1] = value(HONE_F32, s->rows, HEADS, 9);
    s->run.d_out = value(dtype, s->rows, HEADS * size, 4);
    shape.out_width[0] = HEADS * size;
    shape.out_width[1] = HEADS;
    if (c->bias) {
        for (int i = 0; i < BUCKETS * HEADS; i++)
            s->bias[i] = 0.3f * (float)(i % 7 - 3);
        s->weight = (hone_weight){.rows = BUCKETS, .columns = HEADS, .data = s->bias};
        s->op.as.attention.relative_buckets = BUCKETS;
        s->op.as.attention.relative_distance = DISTANCE;
        s->run.weight[0] = shape.weight[0] = &s->weight;
    }
    s->scratch_size = hone_op_kind_of(HONE_OP_ATTENTION)->scratch(&s->op, &shape);
    s->run.scratch = hone_pages_alloc(s->scratch_size);
    assert_non_null(s->run.scratch);
    memset(s->run.scratch, 0xFF, s->scratch_size); /* NaN: what is read must have been written */
}

static void discard(setting *s)
{
    for (int k = 0; k < 3; k++) {
        hone_free(s->run.in[k].data);
        hone_free(s->run.d_in[k].data);
    }
    hone_free(s->run.out[0].data);
    hone_free(s->run.out[1].data);
    hone_free(s->run.d_out.data);
    hone_pages_free(s->run.scratch, s->scratch_size);
}

/* Buckets by distance for BUCKETS and DISTANCE; those of keys to come lie behind the others. */
static double bias_of(const setting *s, int64_t distance, int head)
{
    static const int causal[] = {0, 1, 2, 3, 4, 5}, full[] = {0, 1, 1, 2};
    int64_t n = distance < 0 ? -distance : distance;
    if (!s->c->bias)
        return 0.0;
    if (s->c->causal)
        return (double)s->bias[causal[n < 5 ? n : 5] * HEADS + head];
    return (double)s->bias[(full[n < 3 ? n : 3] + (distance > 0 ? 3 : 0)) * HEADS + head];
}

/* What is expected of one head of one segment. */
typedef struct expected {
    double *y, *lse, *dq, *dk, *dv; /* (queries, size), (queries), (queries | keys, size) */
} expected;

static double dot_rows(hone_view a, int64_t row, hone_view b, int64_t other, int64_t column)
{
    double sum = 0;
    for (int64_t d = 0; d < size; d++)
        sum += get(a, row, column + d) * get(b, other, column + d);
    return sum;
}

static void one_query(const setting *s, int segment, int head, int64_t i, double *p, expected *e)
{
    int64_t first = s->starts[segment], row = first + i, column = head * size;
    int64_t key = s->run.keys->starts[segment], keys = s->run.keys->starts[segment + 1] - key;
    int64_t visible = s->c->causal ? i + 1 : keys;
    double scale = (double)s->op.as.attention.scale, top = -HUGE_VAL, sum = 0, dy_y = 0;
    for (int64_t j = 0; j < visible; j++) {
        p[j] = scale * dot_rows(s->run.in[0], row, s->run.in[1], key + j, column) +
               bias_of(s, j - i, head);
        top = p[j] > top ? p[j] : top;
    }
    for (int64_t j = 0; j < visible; j++)
        sum += p[j] = exp(p[j] - top);
    e->lse[i] = (top + log(sum)) / log(2);
    for (int64_t j = 0; j < visible; j++) {
        p[j] /= sum;
        for (int64_t d = 0; d < size; d++)
            e->y[i * size + d] += p[j] * get(s->run.in[2], key + j, column + d);
    }
    for (int64_t d = 0; d < size; d++)
        dy_y += get(s->run.d_out, row, column + d) * e->y[i * size + d];
    for (int64_t j = 0; j < visible; j++) {
        double dp = dot_rows(s->run.d_out, row, s->run.in[2], key + j, column);
        double ds = scale * p[j] * (dp - dy_y);
        for (int64_t d = 0; d < size; d++) {
            e->dq[i * size + d] += ds * get(s->run.in[1], key + j, column + d);
            e->dk[j * size + d] += ds * get(s->run.in[0], row, column + d);
            e->dv[j * size + d] += p[j] * get(s->run.d_out, row, column + d);
        }
    }
}

static void near(const setting *s, const char *what, hone_view view, int64_t first, int64_t column,
                 const double *wanted, int64_t rows, int64_t width)
{
    double tolerance = s->dtype == HONE_BF16 ? 0.03 : 2e-5;
    for (int64_t i = 0; i < rows * width; i++) {
        double found = get(view, first + i / width, column + i % width);
        if (!(fabs(found - wanted[i]) <= tolerance * (1.0 + fabs(wanted[i])))) {
            print_error("%s, %s: %s[%lld, %lld] is %.7f, not %.7f\n", s->c->name,
                        hone_dtype_name(s->dtype), what, (long long)(i / width),
                        (long long)(i % width), found, wanted[i]);
            fail();
        }
    }
}

static void check_head(const setting *s, int segment, int head)
{
    int64_t first = s->starts[segment], queries = s->starts[segment + 1] - first;
    int64_t key = s->run.keys->starts[segment], keys = s->run.keys->starts[segment + 1] - key;
    int64_t column = head * size;
    double *space =
        hone_alloc_array((size_t)((2 * queries + 2 * keys) * size + queries + keys), sizeof *space);
    assert_non_null(space);
    expected e = {.y = space};
    e.dq = e.y + queries * size;
    e.dk = e.dq + queries * size;
    e.dv = e.dk + keys * size;
    e.lse = e.dv + keys * size;
    for (int64_t i = 0; i < queries; i++)
        one_query(s, segment, head, i, e.lse + queries, &e);
    near(s, "y", s->run.out[0], first, column, e.y, queries, size);
    near(s, "log-sum-exp", s->run.out[1], first, head, e.lse, queries, 1);
    near(s, "dq", s->run.d_in[0], first, column, e.dq, queries, size);
    near(s, "dk", s->run.d_in[1], key, column, e.dk, keys, size);
    near(s, "dv", s->run.d_in[2], key, column, e.dv, keys, size);
    hone_free(space);
}

static void matches_plain_loops(void **state)
{
    (void)state;
    const hone_op_kind *kind = hone_op_kind_of(HONE_OP_ATTENTION);
    enum { CASES = sizeof cases / sizeof cases[0], SIZES = sizeof sizes / sizeof sizes[0] };
    for (size_t i = 0; i < CASES * SIZES; i++)
        for (int half = 0; half < 2; half++) {
            setting s;
            size = sizes[i / CASES];
            make(&s, &cases[i % CASES], half ? HONE_BF16 : HONE_F32);
            kind->forward(&s.run);
            kind->backward(&s.run);
            for (int segment = 0; segment < SEGMENTS; segment++)
                for (int head = 0; head < HEADS; head++)
                    check_head(&s, segment, head);
            discard(&s);
        }
}

/* A document's rows come out the same, bit for bit, whatever lies beside it. */
static void does_not_see_other_documents(void **state)
{
    (void)state;
    const hone_op_kind *kind = hone_op_kind_of(HONE_OP_ATTENTION);
    for (size_t i = 0; i < 2 * sizeof sizes / sizeof sizes[0]; i++) {
        bool half = i % 2 != 0;
        size = sizes[i / 2];
        setting whole, part;
        attention_case alone = cases[2];
        alone.queries[1] = alone.keys[1] = 1; /* the second document is another one */
        make(&whole, &cases[2], half ? HONE_BF16 : HONE_F32);
        make(&part, &alone, half ? HONE_BF16 : HONE_F32);
        size_t bytes = (size_t)(127 * HEADS * size) * hone_dtype_size(whole.dtype);
        kind->forward(&whole.run);
        kind->forward(&part.run);
        assert_memory_equal(whole.run.out[0].data, part.run.out[0].data, bytes);
        kind->backward(&whole.run);
        kind->backward(&part.run);
        for (int k = 0; k < 3; k++)
            assert_memory_equal(whole.run.d_in[k].data, part.run.d_in[k].data, bytes);
        discard(&whole);
        discard(&part);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_plain_loops),
        cmocka_unit_test(does_not_see_other_documents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
