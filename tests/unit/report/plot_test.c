/* Charts are drawn whatever the numbers, the same numbers give the same files, and a file that
 * can't be written is an error that leaves nothing behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/files.h"
#include "base/memory.h"
#include "report/plot.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char folder[64];

static const char *in(const char *name)
{
    static char paths[4][256];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/hone-plot-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    (void)state;
    return hone_folder_remove(folder, NULL) != HONE_OK;
}

static void ticks_are_round_numbers(void **state)
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
        hone_plot_ticks(cases[i].low, cases[i].high, cases[i].most, &first, &step);
        assert_true(fabs(first - cases[i].first) < 1e-9 * cases[i].high);
        assert_true(fabs(step - cases[i].step) < 1e-9 * cases[i].high);
    }
    for (int i = 0; i < 2000; i++) {
        double low = i * 0.37 - 300, high = low + pow(1.013, i - 600), first, step;
        hone_plot_ticks(low, high, 8, &first, &step);
        int count = 0;
        while (first + count * step <= high)
            count++;
        assert_true(count >= 1 && count <= 8);
        assert_true(first >= low - 1e-6 * step && first < low + step * (1 + 1e-6));
    }
}

enum { STEPS = 3000 };
static double steps[STEPS], raw[STEPS], mean[STEPS], valid_steps[6], valid[6];

/* A curve as training makes them; HONE_KEEP_PLOT in the environment names a folder to see it in. */
static hone_plot usual_plot(hone_plot_series series[3])
{
    for (int i = 0; i < STEPS; i++) {
        steps[i] = i + 1;
        mean[i] = 2.6 + 1.9 * exp(-i / 400.0);
        raw[i] = mean[i] + 0.25 * sin(i * 12.9898) * cos(i * 78.233);
    }
    for (int i = 0; i < 6; i++) {
        valid_steps[i] = 500.0 * (i + 1);
        valid[i] = 2.75 + 1.7 * exp(-(i + 1) * 500 / 420.0);
    }
    series[0] = (hone_plot_series){"training", steps, raw, STEPS, true, false};
    series[1] = (hone_plot_series){"training, mean", steps, mean, STEPS, false, false};
    series[2] = (hone_plot_series){"validation", valid_steps, valid, 6, false, true};
    return (hone_plot){"Loss", "step", "loss (nats a token)", series, 3};
}

static void assert_same_files(const char *a, const char *b)
{
    char *one, *two;
    size_t one_size, two_size;
    assert_int_equal(hone_file_load(a, 1 << 22, &one, &one_size, NULL), HONE_OK);
    assert_int_equal(hone_file_load(b, 1 << 22, &two, &two_size, NULL), HONE_OK);
    assert_int_equal(one_size, two_size);
    assert_memory_equal(one, two, one_size);
    hone_free(one);
    hone_free(two);
}

static void same_numbers_give_the_same_files(void **state)
{
    (void)state;
    hone_plot_series series[3];
    hone_plot plot = usual_plot(series);
    const char *keep = getenv("HONE_KEEP_PLOT");
    if (keep != NULL) {
        char png[300], svg[300];
        snprintf(png, sizeof png, "%s/plot.png", keep);
        snprintf(svg, sizeof svg, "%s/plot.svg", keep);
        assert_int_equal(hone_plot_write(&plot, png, svg, NULL), HONE_OK);
    }
    assert_int_equal(hone_plot_write(&plot, in("a.png"), in("a.svg"), NULL), HONE_OK);
    assert_int_equal(hone_plot_write(&plot, in("b.png"), in("b.svg"), NULL), HONE_OK);
    assert_same_files(in("a.png"), in("b.png"));
    assert_same_files(in("a.svg"), in("b.svg"));
    char *text;
    size_t size;
    assert_int_equal(hone_file_load(in("a.png"), 1 << 20, &text, &size, NULL), HONE_OK);
    assert_memory_equal(text, "\x89PNG", 4);
    hone_free(text);
    assert_int_equal(hone_file_load(in("a.svg"), 1 << 20, &text, &size, NULL), HONE_OK);
    assert_non_null(strstr(text, "<svg"));
    assert_non_null(strstr(text, "</svg>"));
    hone_free(text);
}

static void draws_whatever_the_numbers(void **state)
{
    (void)state;
    static const double x[] = {1, 2, 3, 4}, equal[] = {2, 2, 2, 2};
    static const double holes[] = {(double)NAN, 1, HUGE_VAL, 2},
                        none[] = {(double)NAN, (double)NAN, -HUGE_VAL, (double)NAN};
    static const double huge[] = {1e300, -1e300, 0, 1}, tiny[] = {1e-300, 2e-300, 0, 1e-310};
    const double *const all[] = {equal, holes, none, huge, tiny};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        for (size_t n = 0; n <= 4; n++) {
            hone_plot_series series = {"s", x, all[i], n, false, n == 4};
            hone_plot plot = {"t", "x", "y", &series, 1};
            assert_int_equal(hone_plot_write(&plot, in("odd.png"), in("odd.svg"), NULL), HONE_OK);
        }
    }
}

static void a_file_that_cannot_be_written_is_an_error(void **state)
{
    (void)state;
    hone_error error;
    hone_plot_series series[3];
    hone_plot plot = usual_plot(series);
    assert_int_equal(hone_plot_write(&plot, in("none/a.png"), NULL, &error), HONE_IO);
    assert_int_equal(hone_plot_write(&plot, NULL, in("none/a.svg"), &error), HONE_IO);
    assert_false(hone_file_exists(in("none")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ticks_are_round_numbers),
        cmocka_unit_test(same_numbers_give_the_same_files),
        cmocka_unit_test(draws_whatever_the_numbers),
        cmocka_unit_test(a_file_that_cannot_be_written_is_an_error),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
