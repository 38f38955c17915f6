/* Tables of runs: what is read, what is left out, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "report/run_table.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static hone_status parse(const char *text, hone_table *table, hone_error *error)
{
    return hone_table_parse(text, strlen(text), "t.tsv", table, error);
}

static void cells_are_numbers_or_nothing(void **state)
{
    (void)state;
    hone_table table;
    assert_int_equal(
        parse("step\tloss\tbest\n1\t4.5\ttrue\n2\tx\tfalse\n3\t\t1e-3\n", &table, NULL), HONE_OK);
    assert_int_equal(table.columns, 3);
    assert_int_equal(table.rows, 3);
    assert_int_equal(hone_table_find(&table, "loss"), 1);
    assert_int_equal(hone_table_find(&table, "none"), -1);
    assert_true(hone_table_at(&table, 0, 1) == 4.5);
    assert_true(hone_table_at(&table, 0, 2) == 1.0);
    assert_true(hone_table_at(&table, 1, 2) == 0.0);
    assert_true(isnan(hone_table_at(&table, 1, 1)));
    assert_true(isnan(hone_table_at(&table, 2, 1)));
    assert_true(hone_table_at(&table, 2, 2) == 1e-3);
    assert_true(isnan(hone_table_at(&table, 0, -1)));
    hone_table_deinit(&table);
}

static void a_line_without_its_end_is_left_out(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t columns, rows;
    } cases[] = {{"", 0, 0},
                 {"step", 0, 0},
                 {"step\n", 1, 0},
                 {"step\n1\n2", 1, 1},
                 {"step\tloss\n1\t2\n2", 2, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_table table;
        assert_int_equal(parse(cases[i].text, &table, NULL), HONE_OK);
        assert_int_equal(table.columns, cases[i].columns);
        assert_int_equal(table.rows, cases[i].rows);
        hone_table_deinit(&table);
    }
}

static void rows_of_another_width_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int line;
        const char *message;
    } cases[] = {
        {"a\tb\n1\t2\n3\n", 3, "expected 2 cells"},
        {"a\n1\t2\n", 2, "found 2"},
        {"a\tb\n\n", 2, "found 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_table table;
        hone_error error;
        assert_int_equal(parse(cases[i].text, &table, &error), HONE_INPUT);
        assert_int_equal(error.line, cases[i].line);
        assert_string_equal(error.file, "t.tsv");
        assert_non_null(strstr(error.message, cases[i].message));
    }
    char wide[2 * HONE_TABLE_COLUMNS + 4];
    memset(wide, '\t', sizeof wide);
    snprintf(wide + HONE_TABLE_COLUMNS, 2, "\n");
    hone_table table;
    assert_int_equal(parse(wide, &table, NULL), HONE_INPUT);
    snprintf(wide + HONE_TABLE_COLUMNS - 1, 2, "\n");
    assert_int_equal(parse(wide, &table, NULL), HONE_OK);
    hone_table_deinit(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_are_numbers_or_nothing),
        cmocka_unit_test(a_line_without_its_end_is_left_out),
        cmocka_unit_test(rows_of_another_width_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
