/* Sampling: the processed logits against Transformers, cuts on large rows against a full sort, and
 * the frequencies of draws. */
#include "infer/sampling.h"

#include "sampling_golden.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const hone_generate_settings neutral = {
    .max_new_tokens = 8, .temperature = 1.0, .top_p = 1.0, .repetition_penalty = 1.0};

/* Random logits with many equal ones among them. */
static void fill(float *logits, int64_t n, double spread, uint64_t seed)
{
    for (int64_t i = 0; i < n; i++)
        logits[i] = (float)round(64 * spread *
                                 hone_random_normal((hone_random_key){seed, 1, 0}, (uint64_t)i)) /
                    64;
}

static void logits_are_processed_as_transformers_does(void **state)
{
    (void)state;
    static const int32_t ends[] = {GOLDEN_EOS};
    double scratch[64];
    assert_true(hone_sampling_scratch(GOLDEN_VOCABULARY) <= sizeof scratch);
    for (size_t c = 0; c < sizeof golden_cases / sizeof golden_cases[0]; c++)
        for (int r = 0; r < GOLDEN_ROWS; r++) {
            const struct golden_case *golden = &golden_cases[c];
            const float *expected = golden->expected[r];
            float logits[GOLDEN_VOCABULARY];
            memcpy(logits, golden_logits[r], sizeof logits);
            hone_generate_settings settings = neutral;
            settings.repetition_penalty = golden->repetition_penalty;
            settings.min_new_tokens = golden->min_new_tokens;
            settings.temperature = golden->temperature;
            settings.top_k = golden->top_k;
            settings.top_p = golden->top_p;
            settings.min_p = golden->min_p;
            hone_sampling_row row = {.logits = logits,
                                     .vocabulary = GOLDEN_VOCABULARY,
                                     .ids = golden_history,
                                     .count = sizeof golden_history / sizeof golden_history[0],
                                     .made = GOLDEN_MADE,
                                     .ends = ends,
                                     .end_count = 1};
            assert_int_equal(hone_sampling_process(&settings, &row, scratch), HONE_ROW_FINE);
            /* With a temperature the largest is shifted to 0. */
            int32_t best = hone_sampling_largest(expected, GOLDEN_VOCABULARY);
            float shift = golden->temperature > 0 ? expected[best] : 0.0f;
            assert_int_equal(hone_sampling_largest(logits, GOLDEN_VOCABULARY), best);
            for (int i = 0; i < GOLDEN_VOCABULARY; i++) {
                if (isinf(expected[i]) != isinf(logits[i]) ||
                    (!isinf(logits[i]) && fabsf(logits[i] - (expected[i] - shift)) > 1e-5f))
                    fail_msg("case %zu, row %d, token %d: expected %g, found %g", c, r, i,
                             (double)(expected[i] - shift), (double)logits[i]);
            }
        }
}

static const float *sorted_by;
static int by_logit(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    if (sorted_by[x] != sorted_by[y])
        return sorted_by[x] > sorted_by[y] ? -1 : 1;
    return x - y;
}

/* Partial selection against a full sort, on rows of a real vocabulary's size. */
static void cuts_equal_those_of_a_full_sort(void **state)
{
    (void)state;
    enum { SIZE = 50257 };
    static const struct {
        double spread, p;
        int64_t k;
    } cases[] = {{3.0, 1.0, 1},      {3.0, 1.0, 50},   {0.01, 1.0, 40}, {0.0, 1.0, 7},
                 {3.0, 0.95, 0},     {0.5, 0.5, 0},    {0.0, 0.25, 0},  {8.0, 0.999, 0},
                 {1.0, 0.999999, 0}, {2.0, 0.9, 1000}, {2.0, 1e-9, 0}};
    float *logits = malloc(SIZE * sizeof *logits), *kept = malloc(SIZE * sizeof *kept);
    int32_t *order = malloc(SIZE * sizeof *order);
    void *scratch = malloc(hone_sampling_scratch(SIZE));
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        fill(logits, SIZE, cases[c].spread, 100 + c);
        memcpy(kept, logits, SIZE * sizeof *kept);
        hone_generate_settings settings = neutral;
        settings.top_k = cases[c].k;
        settings.top_p = cases[c].p;
        hone_sampling_row row = {.logits = kept, .vocabulary = SIZE};
        assert_int_equal(hone_sampling_process(&settings, &row, scratch), HONE_ROW_FINE);
        for (int32_t i = 0; i < SIZE; i++)
            order[i] = i;
        sorted_by = logits;
        qsort(order, SIZE, sizeof *order, by_logit);
        int64_t limit = SIZE;
        if (cases[c].k > 0)
            for (limit = cases[c].k;
                 limit < SIZE && logits[order[limit]] == logits[order[limit - 1]];)
                limit++;
        double total = 0.0, before = 0.0;
        for (int64_t i = 0; i < limit; i++)
            total += exp((double)(logits[order[i]] - logits[order[0]]));
        for (int64_t i = 0; i < SIZE; i++) {
            bool stays = i < limit && (i == 0 || cases[c].p >= 1.0 || before < cases[c].p * total);
            /* The sum may fall on either side where it is next to the border. */
            bool close = fabs(before - cases[c].p * total) < 1e-5 * total;
            if (!close && stays != !isinf(kept[order[i]]))
                fail_msg("case %zu, place %lld: should%s stay", c, (long long)i,
                         stays ? "" : " not");
            before += exp((double)(logits[order[i]] - logits[order[0]]));
        }
    }
    free(logits);
    free(kept);
    free(order);
    free(scratch);
}

/* Chi-square over the cells of a small vocabulary, at the 0.1 % level; the seed is fixed. */
static void draws_have_the_frequencies_of_the_distribution(void **state)
{
    (void)state;
    enum { SIZE = 11, DRAWS = 20000 };
    static const float logits[SIZE] = {0.3f, -1.0f, 2.0f, 0.0f, 1.1f,     -2.5f,
                                       0.7f, -0.2f, 1.9f, 0.5f, -INFINITY};
    static const struct {
        double temperature, top_p;
        int64_t top_k;
        double limit; /* of chi-square at cells - 1 degrees of freedom */
    } cases[] = {
        {1.0, 1.0, 0, 27.88}, {0.6, 1.0, 0, 27.88}, {1.0, 1.0, 4, 16.27}, {1.0, 0.7, 0, 13.82}};
    double scratch[64];
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        int64_t found[SIZE] = {0};
        float row_logits[SIZE];
        hone_generate_settings settings = neutral;
        settings.temperature = cases[c].temperature;
        settings.top_p = cases[c].top_p;
        settings.top_k = cases[c].top_k;
        for (uint32_t i = 0; i < DRAWS; i++) {
            memcpy(row_logits, logits, sizeof logits);
            hone_sampling_row row = {.logits = row_logits, .vocabulary = SIZE};
            hone_random_key key = {7, i % 5, i};
            found[hone_sampling_choose(&settings, &row, key, scratch)]++;
        }
        double total = 0.0, chi = 0.0;
        for (int i = 0; i < SIZE; i++)
            total += exp((double)row_logits[i]);
        for (int i = 0; i < SIZE; i++) {
            double expected = DRAWS * exp((double)row_logits[i]) / total;
            double off = (double)found[i] - expected;
            if (expected > 0)
                chi += off * off / expected;
            else
                assert_int_equal(found[i], 0);
        }
        if (chi > cases[c].limit)
            fail_msg("case %zu: chi-square %g over %g", c, chi, cases[c].limit);
    }
}

static void draws_depend_on_seed_sequence_and_step_alone(void **state)
{
    (void)state;
    enum { SIZE = 997 };
    float logits[SIZE], copy[SIZE];
    double scratch[2000];
    assert_true(hone_sampling_scratch(SIZE) <= sizeof scratch);
    fill(logits, SIZE, 0.1, 3);
    static const hone_random_key keys[] = {{1, 0, 0}, {2, 0, 0}, {1, 1, 0}, {1, 0, 1}};
    int32_t first[4];
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 4; i++) {
            memcpy(copy, logits, sizeof logits);
            memset(scratch, round, sizeof scratch);
            hone_sampling_row row = {.logits = copy, .vocabulary = SIZE};
            int32_t chosen = hone_sampling_choose(&neutral, &row, keys[i], scratch);
            if (round == 0)
                first[i] = chosen;
            assert_int_equal(chosen, first[i]);
        }
    for (int i = 1; i < 4; i++)
        assert_int_not_equal(first[i], first[0]);
}

static void greedy_takes_the_lowest_index_of_the_largest(void **state)
{
    (void)state;
    static const int32_t ends[] = {1};
    float logits[] = {-1.0f, 2.0f, -INFINITY, 2.0f, 1.0f};
    double scratch[16];
    hone_generate_settings settings = neutral;
    settings.temperature = 0.0;
    hone_sampling_row row = {.logits = logits, .vocabulary = 5, .ends = ends, .end_count = 1};
    assert_int_equal(hone_sampling_choose(&settings, &row, (hone_random_key){0}, scratch), 1);
    settings.min_new_tokens = 1;
    assert_int_equal(hone_sampling_choose(&settings, &row, (hone_random_key){0}, scratch), 3);
}

static void extreme_settings_still_choose_the_best(void **state)
{
    (void)state;
    double scratch[16];
    for (int i = 0; i < 3; i++) {
        float logits[] = {-3e38f, 5.0f, 3e38f, -1.0f, 1.0f};
        hone_generate_settings settings = neutral;
        if (i == 0)
            settings.temperature = 1e-38;
        if (i == 1)
            settings.top_p = 0.0;
        if (i == 2)
            settings.min_p = 1.0;
        hone_sampling_row row = {.logits = logits, .vocabulary = 5};
        assert_int_equal(hone_sampling_choose(&settings, &row, (hone_random_key){9, 9, 9}, scratch),
                         2);
    }
}

static void logits_that_are_not_numbers_are_refused(void **state)
{
    (void)state;
    static const float bad[][3] = {
        {0.0f, NAN, 1.0f}, {0.0f, INFINITY, 1.0f}, {-INFINITY, -INFINITY, -INFINITY}};
    static const int32_t ends[] = {1};
    double scratch[16];
    for (int t = 0; t < 2; t++)
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
            float logits[3];
            memcpy(logits, bad[i], sizeof logits);
            hone_generate_settings settings = neutral;
            settings.temperature = t;
            settings.min_new_tokens = 1;
            hone_sampling_row row = {
                .logits = logits, .vocabulary = 3, .ends = ends, .end_count = 1};
            assert_int_equal(hone_sampling_choose(&settings, &row, (hone_random_key){0}, scratch),
                             HONE_TOKEN_BROKEN);
        }
}

static void tokens_that_repeat_a_run_are_left_out(void **state)
{
    (void)state;
    enum { SIZE = 7 };
    static const int32_t history[] = {1, 2, 3, 1, 2, 4, 0, 1, 2};
    static const struct {
        int64_t size, count;
        const char *left; /* 1: may come next */
    } cases[] = {
        {0, 9, "1111111"},  {1, 9, "0000011"}, {2, 9, "1110011"}, {3, 9, "1110011"},
        {4, 9, "1111111"},  {3, 5, "1110111"}, {2, 1, "1111111"}, {1, 0, "1111111"},
        {10, 9, "1111111"}, {9, 9, "1111111"},
    };
    double scratch[64];
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        float logits[SIZE] = {0.5f, 1.0f, 2.0f, 3.0f, 2.5f, 1.5f, 0.0f};
        hone_generate_settings settings = neutral;
        settings.no_repeat_ngram_size = cases[c].size;
        hone_sampling_row row = {
            .logits = logits, .vocabulary = SIZE, .ids = history, .count = cases[c].count};
        assert_int_equal(hone_sampling_adjust(&settings, &row, scratch), HONE_ROW_FINE);
        for (int i = 0; i < SIZE; i++)
            if ((logits[i] == -INFINITY) != (cases[c].left[i] == '0'))
                fail_msg("case %zu, token %d", c, i);
    }
}

/* Not an error of the model: the text ends. */
static void a_row_may_be_left_empty(void **state)
{
    (void)state;
    static const int32_t history[] = {0, 2}, ends[] = {1};
    double scratch[16];
    for (int t = 0; t < 2; t++) {
        float logits[] = {1.0f, 2.0f, -1.0f};
        hone_generate_settings settings = neutral;
        settings.temperature = t;
        settings.no_repeat_ngram_size = 1;
        settings.min_new_tokens = 9;
        hone_sampling_row row = {logits, 3, history, 2, 1, ends, 1};
        assert_int_equal(hone_sampling_choose(&settings, &row, (hone_random_key){0}, scratch),
                         HONE_TOKEN_NONE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_are_processed_as_transformers_does),
        cmocka_unit_test(cuts_equal_those_of_a_full_sort),
        cmocka_unit_test(draws_have_the_frequencies_of_the_distribution),
        cmocka_unit_test(draws_depend_on_seed_sequence_and_step_alone),
        cmocka_unit_test(greedy_takes_the_lowest_index_of_the_largest),
        cmocka_unit_test(extreme_settings_still_choose_the_best),
        cmocka_unit_test(logits_that_are_not_numbers_are_refused),
        cmocka_unit_test(tokens_that_repeat_a_run_are_left_out),
        cmocka_unit_test(a_row_may_be_left_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
