/* Ticks are round, in ascending order, within the range, not too many, and say what they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "report/axis.h"

#include <math.h>
#include <string.h>

static void steps_are_round_numbers(void **state)
{
    (void)state;
    static const struct {
        double low, high;
        int most;
        double first, step;
    } cases[] = {{0, 10, 8, 0, 2},
                 {0, 8, 8, 0, 2},
                 {0, 7, 8, 0, 1},
                 {1, 5000, 8, 1000, 1000},
                 {2.31, 4.87, 8, 2.5, 0.5},
                 {-1, 1, 8, -1, 0.5},
                 {0.0011, 0.0019, 8, 0.0012, 0.0002},
                 {3e6, 9e6, 8, 3e6, 1e6}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double first, step;
        hone_axis_round(cases[i].low, cases[i].high, cases[i].most, &first, &step);
        assert_true(fabs(first - cases[i].first) < 1e-9 * cases[i].high);
        assert_true(fabs(step - cases[i].step) < 1e-9 * cases[i].high);
    }
    for (int i = 0; i < 2000; i++) {
        double low = i * 0.37 - 300, high = low + pow(1.013, i - 600), first, step;
        hone_axis_round(low, high, 8, &first, &step);
        int count = 0;
        while (first + count * step <= high)
            count++;
        assert_true(count >= 1 && count <= 8);
        assert_true(first >= low - 1e-6 * step && first < low + step * (1 + 1e-6));
    }
}

/* The labels of an axis with spaces between them, then its unit. */
static const char *labels(hone_axis_kind kind, double low, double high, int most)
{
    static char text[HONE_AXIS_TICKS * HONE_AXIS_LABEL + 16];
    hone_axis axis;
    hone_axis_make(kind, low, high, most, &axis);
    text[0] = '\0';
    for (int i = 0; i < axis.count; i++) {
        strcat(text, i > 0 ? " " : "");
        strcat(text, axis.label[i]);
    }
    if (axis.unit[0] != '\0') {
        strcat(text, " ");
        strcat(text, axis.unit);
    }
    return text;
}

static void labels_are_short_and_exact(void **state)
{
    (void)state;
    static const struct {
        hone_axis_kind kind;
        double low, high;
        int most;
        const char *expected;
    } cases[] = {
        {HONE_AXIS_NUMBER, 0, 10, 8, "0 2 4 6 8 10"},
        {HONE_AXIS_NUMBER, 0, 0.42, 9, "0.00 0.05 0.10 0.15 0.20 0.25 0.30 0.35 0.40"},
        {HONE_AXIS_NUMBER, 0, 20000, 8, "0 5,000 10,000 15,000 20,000"},
        {HONE_AXIS_NUMBER, 0, 2.2e6, 8, "0.0 0.5M 1.0M 1.5M 2.0M"},
        {HONE_AXIS_NUMBER, 0, 3e9, 4, "0 1G 2G 3G"},
        {HONE_AXIS_NUMBER, -1, 1, 8, "-1.0 -0.5 0.0 0.5 1.0"},
        {HONE_AXIS_NUMBER, 5.00000009, 5.00000041, 4, "5.0000001 5.0000002 5.0000003 5.0000004"},
        {HONE_AXIS_NUMBER, 2e-9, 4e-9, 4, "2e-09 3e-09 4e-09"},
        {HONE_AXIS_LOG, 40, 900, 8, "50 100 200 300 500"},
        {HONE_AXIS_LOG, 1, 1e6, 8, "1 10 100 1,000 10,000 100,000 1M"},
        {HONE_AXIS_LOG, 0.02, 3, 8, "0.02 0.05 0.1 0.2 0.5 1 2"},
        {HONE_AXIS_LOG, 100, 104, 8, "100 101 102 103 104"},
        {HONE_AXIS_TIME, 0, 2, 8, "0.0 0.5 1.0 1.5 2.0 s"},
        {HONE_AXIS_TIME, 0, 98, 9, "0 15 30 45 60 75 90 s"},
        {HONE_AXIS_TIME, 0, 121, 8, "0:00 0:30 1:00 1:30 2:00 min:s"},
        {HONE_AXIS_TIME, 0, 3000, 8, "0 10 20 30 40 50 min"},
        {HONE_AXIS_TIME, 0, 9000, 8, "0:00 0:30 1:00 1:30 2:00 2:30 h:min"},
        {HONE_AXIS_TIME, 0, 36000, 8, "0 2 4 6 8 10 h"},
        {HONE_AXIS_TIME, 0, 864000, 8, "0 2 4 6 8 10 days"},
        {HONE_AXIS_TIME, 0, 1e8, 8, "0 200 400 600 800 1,000 days"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(labels(cases[i].kind, cases[i].low, cases[i].high, cases[i].most),
                            cases[i].expected);
}

static void any_range_can_be_drawn(void **state)
{
    (void)state;
    static const double values[] = {0,           1,     -1,    1e-300, 1e300,      -1e300,
                                    1e-310,      5e-16, 12345, 0.1,    HUGE_VAL,   -HUGE_VAL,
                                    (double)NAN, 1e15,  1e18,  86400,  1.7976e308, -1.7976e308};
    enum { VALUES = sizeof values / sizeof *values };
    for (int kind = HONE_AXIS_NUMBER; kind <= HONE_AXIS_TIME; kind++) {
        for (int i = 0; i < VALUES * VALUES; i++) {
            hone_axis axis;
            int most = 2 + i % (HONE_AXIS_TICKS - 1);
            hone_axis_make((hone_axis_kind)kind, values[i / VALUES], values[i % VALUES], most,
                           &axis);
            assert_true(isfinite(axis.low) && isfinite(axis.high) && axis.low < axis.high);
            assert_true(axis.count >= 0 && axis.count <= most);
            assert_true(fabs(hone_axis_place(&axis, axis.low)) < 1e-9);
            assert_true(fabs(hone_axis_place(&axis, axis.high) - 1.0) < 1e-9);
            for (int t = 0; t < axis.count; t++) {
                double place = hone_axis_place(&axis, axis.at[t]);
                assert_true(place > -1e-6 && place < 1.0 + 1e-6);
                assert_true(t == 0 || axis.at[t] > axis.at[t - 1]);
                assert_true(axis.label[t][0] != '\0');
            }
        }
    }
}

static void numbers_have_commas_and_a_point(void **state)
{
    (void)state;
    static const struct {
        double value;
        int digits;
        const char *expected;
    } cases[] = {{0, 0, "0"},
                 {-0.0004, 2, "0.00"},
                 {999, 0, "999"},
                 {1000, 0, "1,000"},
                 {-1234567.891, 2, "-1,234,567.89"},
                 {0.5, 3, "0.500"},
                 {1e21, 0, "1,000,000,000,000,000,000,000"},
                 {HUGE_VAL, 1, "inf"}};
    char text[64];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_axis_number(cases[i].value, cases[i].digits, text, sizeof text);
        assert_string_equal(text, cases[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_are_round_numbers),
        cmocka_unit_test(labels_are_short_and_exact),
        cmocka_unit_test(any_range_can_be_drawn),
        cmocka_unit_test(numbers_have_commas_and_a_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
