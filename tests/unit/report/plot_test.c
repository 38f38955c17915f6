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

enum { STEPS = 3000 };
static double steps[STEPS], raw[STEPS], mean[STEPS], valid_steps[6], valid[6];

/* Curves as training makes them; HONE_KEEP_PLOT in the environment names a folder to see them in.
 */
static hone_plot usual_plot(hone_plot_series series[4], hone_plot_panel panels[2])
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
    series[0] = (hone_plot_series){NULL, steps, raw, STEPS, HONE_LOOK_FAINT, 0};
    series[1] = (hone_plot_series){"training, mean", steps, mean, STEPS, HONE_LOOK_LINE, 0};
    series[2] = (hone_plot_series){"validation", valid_steps, valid, 6, HONE_LOOK_DOTS, 1};
    series[3] = (hone_plot_series){"untouched", valid, valid, 1, HONE_LOOK_LEVEL, 1};
    panels[0] = (hone_plot_panel){"one", series, 4};
    panels[1] = (hone_plot_panel){"two", series + 1, 2};
    return (hone_plot){.title = "Loss",
                       .x_label = "step",
                       .y_label = "loss (nats a token)",
                       .caption = "What stands here is wrapped to the width of the picture, which "
                                  "is 800, and this is longer than that, by a line or so.",
                       .panels = panels,
                       .count = 2};
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
    hone_plot_series series[4];
    hone_plot_panel panels[2];
    hone_plot plot = usual_plot(series, panels);
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
            hone_plot_series series = {"s", x, all[i], n, (hone_plot_look)((i + n) % 5), i};
            hone_plot_panel panel = {NULL, &series, 1};
            hone_plot plot = {.title = "t",
                              .x_label = "x",
                              .y_label = "y",
                              .x_is_time = n % 2 == 0,
                              .y_may_be_log = true,
                              .panels = &panel,
                              .count = 1};
            assert_int_equal(hone_plot_write(&plot, in("odd.png"), in("odd.svg"), NULL), HONE_OK);
        }
    }
}

/* Names come from folders and files: a broken one must not end the drawing, a long one is cut, and
 * many take more rows, so that the picture grows. */
static void draws_whatever_the_names(void **state)
{
    (void)state;
    static const double x[] = {1, 2}, y[] = {3, 4};
    static char names[24][64];
    static char long_name[2000];
    memset(long_name, 'w', sizeof long_name - 1);
    hone_plot_series series[24];
    for (int i = 0; i < 24; i++) {
        snprintf(names[i], sizeof names[i], "a run with a name, %d", i);
        series[i] = (hone_plot_series){names[i], x, y, 2, HONE_LOOK_DOTS, (size_t)i};
    }
    series[3].name = long_name;
    series[4].name = "broken \xff\xc3 \x01\n text";
    series[5].name = "";
    char *few, *many;
    size_t length;
    double heights[2];
    hone_plot_panel panel = {NULL, series, 2};
    hone_plot plot = {
        .title = "\xff", .x_label = long_name, .y_label = "\xc3", .panels = &panel, .count = 1};
    assert_int_equal(hone_plot_svg(&plot, &few, &length, NULL), HONE_OK);
    panel.count = 24;
    assert_int_equal(hone_plot_svg(&plot, &many, &length, NULL), HONE_OK);
    assert_int_equal(strlen(many), length);
    assert_int_equal(sscanf(strstr(few, "viewBox"), "viewBox=\"0 0 800 %lf", &heights[0]), 1);
    assert_int_equal(sscanf(strstr(many, "viewBox"), "viewBox=\"0 0 800 %lf", &heights[1]), 1);
    assert_true(heights[1] > heights[0] + 22.0 * 4);
    hone_free(few);
    hone_free(many);
}

static void a_file_that_cannot_be_written_is_an_error(void **state)
{
    (void)state;
    hone_error error;
    hone_plot_series series[4];
    hone_plot_panel panels[2];
    hone_plot plot = usual_plot(series, panels);
    assert_int_equal(hone_plot_write(&plot, in("none/a.png"), NULL, &error), HONE_IO);
    assert_int_equal(hone_plot_write(&plot, NULL, in("none/a.svg"), &error), HONE_IO);
    assert_false(hone_file_exists(in("none")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_numbers_give_the_same_files),
        cmocka_unit_test(draws_whatever_the_numbers),
        cmocka_unit_test(draws_whatever_the_names),
        cmocka_unit_test(a_file_that_cannot_be_written_is_an_error),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
