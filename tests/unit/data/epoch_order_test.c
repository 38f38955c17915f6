/* The order of an epoch is a permutation, and each one is about as likely as the others. */
#include "data/epoch_order.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void every_place_is_taken_once(void **state)
{
    (void)state;
    static const int64_t counts[] = {1,  2,  3,  4,  5,   7,   8,    9,    15,    16,     17,
                                     31, 33, 63, 65, 127, 129, 1023, 1025, 65537, 1000003};
    bool *seen = malloc(1000003);
    assert_non_null(seen);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        for (uint32_t epoch = 0; epoch < (counts[i] > 5000 ? 1 : 5); epoch++) {
            hone_random_key key = {.seed = 42 + i, .site = 3, .step = epoch};
            memset(seen, 0, (size_t)counts[i]);
            for (int64_t place = 0; place < counts[i]; place++) {
                int64_t at = hone_permutation_at(key, counts[i], place);
                assert_in_range(at, 0, counts[i] - 1);
                assert_false(seen[at]);
                seen[at] = true;
            }
        }
    free(seen);
}

/* Chi-square of the 6 orders of 3 documents and the 24 of 4, over many seeds. */
static void small_orders_are_equally_likely(void **state)
{
    (void)state;
    for (int64_t count = 3; count <= 4; count++) {
        int tally[256] = {0}, draws = 24000, orders = count == 3 ? 6 : 24, found = 0;
        for (int seed = 0; seed < draws; seed++) {
            hone_random_key key = {.seed = (uint64_t)seed, .site = 3};
            int code = 0;
            for (int64_t place = 0; place < count; place++)
                code = code << 2 | (int)hone_permutation_at(key, count, place);
            tally[code]++;
        }
        double expected = (double)draws / orders, sum = 0;
        for (int code = 0; code < 256; code++) {
            found += tally[code] > 0;
            if (tally[code] > 0)
                sum += (tally[code] - expected) * (tally[code] - expected) / expected;
        }
        assert_int_equal(found, orders);
        /* 5 or 23 degrees of freedom: over 20.5 or 49.7 once in a thousand. */
        if (sum > (count == 3 ? 20.5 : 49.7))
            print_error("chi-square %g for %d orders\n", sum, orders);
        assert_true(sum <= (count == 3 ? 20.5 : 49.7));
    }
}

/* Where one document goes, over many epochs, in 10 tenths of 1,000 places. */
static void a_document_may_come_anywhere(void **state)
{
    (void)state;
    int tally[10] = {0};
    double sum = 0;
    for (uint32_t epoch = 0; epoch < 10000; epoch++)
        tally[hone_permutation_at((hone_random_key){9, 3, epoch}, 1000, 17) / 100]++;
    for (int i = 0; i < 10; i++)
        sum += (tally[i] - 1000.0) * (tally[i] - 1000.0) / 1000.0;
    assert_true(sum < 27.9);
}

static void neighbours_part(void **state)
{
    (void)state;
    int64_t together = 0, fixed = 0, count = 100003;
    for (int64_t place = 0; place + 1 < count; place++) {
        int64_t a = hone_permutation_at((hone_random_key){1, 3, 1}, count, place);
        int64_t b = hone_permutation_at((hone_random_key){1, 3, 1}, count, place + 1);
        together += b == a + 1;
        fixed += a == place;
    }
    assert_true(together < 8); /* 1 is expected of each */
    assert_true(fixed < 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_place_is_taken_once),
        cmocka_unit_test(small_orders_are_equally_likely),
        cmocka_unit_test(a_document_may_come_anywhere),
        cmocka_unit_test(neighbours_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
