/* The bit-parallel longest common subsequence against the table of the textbook. */
#include "base/random.h"
#include "metric/lcs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LONGEST = 211 };

static size_t table[LONGEST + 1][LONGEST + 1];

/* The table, and the words of the reference that rouge-score's walk back through it takes. */
static size_t textbook(hone_span a, hone_span b, bool *marks)
{
    for (size_t i = 0; i <= a.count; i++)
        for (size_t j = 0; j <= b.count; j++) {
            if (i == 0 || j == 0)
                table[i][j] = 0;
            else if (a.ids[i - 1] == b.ids[j - 1])
                table[i][j] = table[i - 1][j - 1] + 1;
            else
                table[i][j] = table[i - 1][j] > table[i][j - 1] ? table[i - 1][j] : table[i][j - 1];
        }
    for (size_t i = a.count, j = b.count; i > 0 && j > 0;) {
        if (a.ids[i - 1] == b.ids[j - 1]) {
            marks[i - 1] = true;
            i--;
            j--;
        } else if (table[i][j - 1] > table[i - 1][j]) {
            j--;
        } else {
            i--;
        }
    }
    return table[a.count][b.count];
}

/* Words of a small vocabulary repeat often (masks that are kept); of a large one rarely. */
static void check(hone_lcs *lcs, uint64_t seed, size_t n, size_t m, uint32_t vocabulary)
{
    uint32_t a[LONGEST], b[LONGEST];
    bool expected[LONGEST] = {0}, found[LONGEST] = {0};
    hone_random_key key = {seed, 0, 0};
    hone_error error;
    size_t length;
    for (size_t i = 0; i < n; i++)
        a[i] = (uint32_t)hone_random_below(key, i, vocabulary);
    for (size_t i = 0; i < m; i++)
        b[i] = (uint32_t)hone_random_below(key, 1000 + i, vocabulary);
    hone_span x = {a, n}, y = {b, m};
    size_t right = textbook(x, y, expected);
    assert_int_equal(hone_lcs_length(lcs, x, y, vocabulary, &length, &error), HONE_OK);
    assert_int_equal(length, right);
    assert_int_equal(hone_lcs_mark(lcs, x, y, vocabulary, found, &error), HONE_OK);
    assert_memory_equal(found, expected, n * sizeof *found);
}

static void sweep(size_t row_limit)
{
    static const size_t lengths[] = {0, 1, 2, 3, 7, 31, 63, 64, 65, 101, 127, 128, 129, 191, 211};
    static const uint32_t vocabularies[] = {1, 2, 3, 5, 17, 59, 1009};
    enum { LENGTHS = sizeof lengths / sizeof *lengths };
    hone_lcs lcs = {.row_limit = row_limit};
    uint64_t seed = 0;
    for (size_t i = 0; i < LENGTHS; i++)
        for (size_t j = 0; j < LENGTHS; j++)
            for (size_t k = 0; k < sizeof vocabularies / sizeof *vocabularies; k++)
                check(&lcs, seed++, lengths[i], lengths[j], vocabularies[k]);
    hone_lcs_deinit(&lcs);
}

static void agrees_with_the_textbook(void **state)
{
    (void)state;
    sweep(0);
}

static void agrees_when_rows_are_made_again(void **state)
{
    (void)state;
    sweep(1);
}

/* 20,011 words each: the table of the textbook would take 3 GB. */
static void long_texts_take_little_memory(void **state)
{
    (void)state;
    enum { N = 20011 };
    static uint32_t a[N];
    static bool marks[N];
    hone_lcs lcs = {0};
    hone_error error;
    size_t length, count = 0;
    for (size_t i = 0; i < N; i++)
        a[i] = (uint32_t)hone_random_below((hone_random_key){7, 0, 0}, i, 503);
    hone_span x = {a, N}, y = {a + 1, N - 1};
    assert_int_equal(hone_lcs_length(&lcs, x, y, 503, &length, &error), HONE_OK);
    assert_int_equal(length, N - 1);
    assert_int_equal(hone_lcs_mark(&lcs, x, y, 503, marks, &error), HONE_OK);
    for (size_t i = 0; i < N; i++)
        count += marks[i];
    assert_int_equal(count, N - 1);
    assert_true(lcs.row_capacity * sizeof(uint64_t) <= (size_t)16 << 20);
    assert_true(lcs.mask_capacity <= 64 * (N / 64 + 1));
    hone_lcs_deinit(&lcs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_textbook),
        cmocka_unit_test(agrees_when_rows_are_made_again),
        cmocka_unit_test(long_texts_take_little_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
