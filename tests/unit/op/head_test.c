/* The head against plain loops in double: log-probabilities and gradients over several chunks of
 * rows and tiles of columns, in both types, with logits far apart on either side of the label's. */
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

enum { ROWS = 301, WIDTH = 37, VOCABULARY = 1009 };

typedef enum choice { ANY, LIKELIEST, UNLIKELIEST } choice;

typedef struct head_case {
    const char *name;
    float size;   /* of h: logits are about six times as large */
    choice label; /* which token a row must predict */
    int skip;     /* every skip-th row has no label; 0: all have one */
} head_case;

static const head_case cases[] = {
    {"close together", 0.1f, ANY, 7},
    {"as in a trained model", 1.0f, LIKELIEST, 0},
    {"some far above the label's", 4.0f, ANY, 3},
    {"all far below the label's", 12.0f, LIKELIEST, 5},
    {"all far above the label's", 12.0f, UNLIKELIEST, 5},
};

typedef struct setting {
    const head_case *c;
    hone_dtype dtype;
    int32_t labels[ROWS];
    float logprobs[ROWS];
    hone_batch batch;
    hone_op op;
    hone_op_run run;
    hone_head_request head;
    hone_weight weight;
    size_t scratch_size;
} setting;

static double get(const void *data, hone_dtype dtype, int64_t i)
{
    if (dtype == HONE_BF16)
        return (double)hone_bf16_to_f32(((const uint16_t *)data)[i]);
    return (double)((const float *)data)[i];
}

static void *numbers(hone_dtype dtype, int64_t n, float size, uint32_t site)
{
    void *data = hone_alloc((size_t)n * hone_dtype_size(dtype));
    assert_non_null(data);
    for (int64_t i = 0; i < n; i++) {
        float x = size * (float)hone_random_normal((hone_random_key){3, site, 1}, (uint64_t)i);
        if (dtype == HONE_BF16)
            ((uint16_t *)data)[i] = hone_f32_to_bf16(x);
        else
            ((float *)data)[i] = x;
    }
    return data;
}

/* Logits of a row, and the label that the case asks for. */
static int32_t find_logits(const setting *s, int64_t row, double *logits)
{
    int32_t low = 0, high = 0;
    for (int32_t v = 0; v < VOCABULARY; v++) {
        logits[v] = 0;
        for (int64_t k = 0; k < WIDTH; k++)
            logits[v] += get(s->run.in[0].data, s->dtype, row * WIDTH + k) *
                         get(s->weight.data, s->dtype, v * WIDTH + k);
        low = logits[v] < logits[low] ? v : low;
        high = logits[v] > logits[high] ? v : high;
    }
    return s->c->label == LIKELIEST     ? high
           : s->c->label == UNLIKELIEST ? low
                                        : (int32_t)(row * 31 % VOCABULARY);
}

static void make(setting *s, const head_case *c, hone_dtype dtype)
{
    memset(s, 0, sizeof *s);
    s->c = c;
    s->dtype = dtype;
    s->weight = (hone_weight){.rows = VOCABULARY, .columns = WIDTH, .dtype = dtype};
    s->weight.data = numbers(dtype, (int64_t)VOCABULARY * WIDTH, 1.0f, 1);
    s->weight.gradient = numbers(HONE_F32, (int64_t)VOCABULARY * WIDTH, 0.0f, 1);
    s->batch = (hone_batch){.segments = 1, .target = {.rows = ROWS}, .labels = s->labels};
    s->op = hone_op_blank(HONE_OP_HEAD, -1);
    s->head = (hone_head_request){.logprobs = s->logprobs, .loss_scale = 0.01f};
    s->run = (hone_op_run){.op = &s->op,
                           .batch = &s->batch,
                           .stream = &s->batch.target,
                           .rows = ROWS,
                           .gradients = true,
                           .head = &s->head};
    s->run.in[0] = (hone_view){numbers(dtype, (int64_t)ROWS * WIDTH, c->size, 2), dtype, WIDTH};
    s->run.d_in[0] = (hone_view){numbers(dtype, (int64_t)ROWS * WIDTH, 1.0f, 3), dtype, WIDTH};
    s->run.weight[0] = &s->weight;
    hone_op_shape shape = {.rows = ROWS,
                           .in_width = {WIDTH},
                           .weight = {&s->weight},
                           .compute = dtype,
                           .training = true,
                           .threads = hone_parallel_threads()};
    s->scratch_size = hone_op_kind_of(HONE_OP_HEAD)->scratch(&s->op, &shape);
    s->run.scratch = hone_pages_alloc(s->scratch_size);
    assert_non_null(s->run.scratch);
    memset(s->run.scratch, 0xFF, s->scratch_size); /* NaN: what is read must have been written */
    double logits[VOCABULARY];
    for (int32_t row = 0; row < ROWS; row++)
        s->labels[row] =
            c->skip > 0 && row % c->skip == 0 ? HONE_NO_LABEL : find_logits(s, row, logits);
}

static void discard(setting *s)
{
    hone_free(s->weight.data);
    hone_free(s->weight.gradient);
    hone_free(s->run.in[0].data);
    hone_free(s->run.d_in[0].data);
    hone_pages_free(s->run.scratch, s->scratch_size);
}

/* Norm of the difference over the norm, up to a floor for gradients that vanish. */
static void near(const setting *s, const char *what, const void *got, hone_dtype dtype,
                 const double *expected, int64_t n)
{
    double difference = 0, norm = 0, allowed = s->dtype == HONE_BF16 ? 1e-2 : 1e-4;
    for (int64_t i = 0; i < n; i++) {
        double d = get(got, dtype, i) - expected[i];
        difference += d * d;
        norm += expected[i] * expected[i];
    }
    if (!(sqrt(difference) <= allowed * sqrt(norm) + 1e-5))
        fail_msg("%s, %s: %s is off by %g of %g", s->c->name, hone_dtype_name(s->dtype), what,
                 sqrt(difference), sqrt(norm));
}

static void check_row(const setting *s, int64_t row, double *logits, double *dh, double *dw)
{
    find_logits(s, row, logits);
    double top = logits[0], sum = 0;
    for (int v = 0; v < VOCABULARY; v++)
        top = logits[v] > top ? logits[v] : top;
    for (int v = 0; v < VOCABULARY; v++)
        sum += exp(logits[v] - top);
    double expected = logits[s->labels[row]] - top - log(sum), got = (double)s->logprobs[row];
    if (!(fabs(got - expected) <= 1e-5 + 1e-6 * (fabs(top) + fabs(expected))))
        fail_msg("%s, %s: row %d: ln p is %.9g, expected %.9g", s->c->name,
                 hone_dtype_name(s->dtype), (int)row, got, expected);
    for (int v = 0; v < VOCABULARY; v++) {
        double d = exp(logits[v] - top) / sum - (v == s->labels[row] ? 1 : 0);
        d *= (double)s->head.loss_scale;
        for (int64_t k = 0; k < WIDTH; k++) {
            dh[row * WIDTH + k] += d * get(s->weight.data, s->dtype, v * WIDTH + k);
            dw[v * WIDTH + k] += d * get(s->run.in[0].data, s->dtype, row * WIDTH + k);
        }
    }
}

static void check(const setting *s)
{
    double *dh = hone_alloc_array((size_t)ROWS * WIDTH, sizeof *dh), logits[VOCABULARY];
    double *dw = hone_alloc_array((size_t)VOCABULARY * WIDTH, sizeof *dw);
    assert_true(dh != NULL && dw != NULL);
    hone_op_kind_of(HONE_OP_HEAD)->forward(&s->run);
    for (int64_t row = 0; row < ROWS; row++) {
        if (s->labels[row] != HONE_NO_LABEL)
            check_row(s, row, logits, dh, dw);
        else
            assert_true(isnan(s->logprobs[row]));
    }
    near(s, "dh", s->run.d_in[0].data, s->dtype, dh, (int64_t)ROWS * WIDTH);
    near(s, "dW", s->weight.gradient, HONE_F32, dw, (int64_t)VOCABULARY * WIDTH);
    hone_free(dh);
    hone_free(dw);
}

static void equals_plain_loops(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int half = 0; half < 2; half++) {
            setting s;
            make(&s, &cases[i], half ? HONE_BF16 : HONE_F32);
            check(&s);
            discard(&s);
        }
}

static void same_bits_for_any_number_of_threads(void **state)
{
    (void)state;
    float first[ROWS];
    for (int threads = 1; threads <= 3; threads++) {
        hone_parallel_set_threads(threads);
        setting s;
        make(&s, &cases[2], HONE_F32);
        s.head.loss_scale = 1.0f;
        hone_op_kind_of(HONE_OP_HEAD)->forward(&s.run);
        if (threads == 1)
            memcpy(first, s.logprobs, sizeof first);
        assert_memory_equal(first, s.logprobs, sizeof first);
        discard(&s);
    }
    hone_parallel_set_threads(0);
}

/* What training must stop at: see exit code 6. */
static void a_logit_that_is_not_finite_gives_no_finite_loss(void **state)
{
    (void)state;
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        setting s;
        make(&s, &cases[0], HONE_F32);
        ((float *)s.run.in[0].data)[5 * WIDTH + 3] = bad[i];
        hone_op_kind_of(HONE_OP_HEAD)->forward(&s.run);
        assert_false(isfinite(s.logprobs[5]));
        assert_true(isfinite(s.logprobs[6]));
        discard(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_plain_loops),
        cmocka_unit_test(same_bits_for_any_number_of_threads),
        cmocka_unit_test(a_logit_that_is_not_finite_gives_no_finite_loss),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
