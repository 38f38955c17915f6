/* Tables: see run_table.h. */
#include "report/run_table.h"

#include "base/files.h"
#include "base/option_value.h"

#include <math.h>
#include <string.h>

#define TABLE_LIMIT ((size_t)1 << 30)

enum { CELL = 64 }; /* no number of ours is longer */

static hone_status read_heading(const char *line, size_t length, const char *file, hone_table *out,
                                hone_error *error)
{
    for (size_t at = 0; at <= length; out->columns++) {
        const char *tab = memchr(line + at, '\t', length - at);
        size_t cell = tab != NULL ? (size_t)(tab - (line + at)) : length - at;
        if (out->columns == HONE_TABLE_COLUMNS)
            return hone_fail_at(error, HONE_INPUT, file, 1, -1,
                                "expected a table of at most %d columns", HONE_TABLE_COLUMNS);
        char *name = hone_arena_strndup(&out->arena, line + at, cell);
        if (name == NULL)
            return hone_fail_memory(error, file, cell);
        out->names[out->columns] = name;
        at += cell + 1;
    }
    return HONE_OK;
}

static double read_cell(const char *text, size_t length)
{
    char cell[CELL];
    double value;
    if (length >= CELL)
        return (double)NAN;
    memcpy(cell, text, length);
    cell[length] = '\0';
    if (strcmp(cell, "true") == 0)
        return 1.0;
    if (strcmp(cell, "false") == 0)
        return 0.0;
    return hone_option_number_read(cell, &value) ? value : (double)NAN;
}

static hone_status read_row(const char *line, size_t length, const char *file, hone_table *out,
                            hone_error *error)
{
    void *values = out->values;
    size_t needed, column = 0;
    if (!hone_size_mul(out->rows + 1, out->columns, &needed) ||
        !hone_array_reserve(&values, &out->capacity, needed, sizeof *out->values))
        return hone_fail_memory(error, file, length);
    out->values = values;
    double *row = out->values + out->rows * out->columns;
    for (size_t at = 0; at <= length; column++) {
        const char *tab = memchr(line + at, '\t', length - at);
        size_t cell = tab != NULL ? (size_t)(tab - (line + at)) : length - at;
        if (column < out->columns)
            row[column] = read_cell(line + at, cell);
        at += cell + 1;
    }
    if (column != out->columns)
        return hone_fail_at(error, HONE_INPUT, file, (int64_t)out->rows + 2, -1,
                            "expected %zu cells with tabs between them, as in the first line, "
                            "found %zu",
                            out->columns, column);
    out->rows++;
    return HONE_OK;
}

hone_status hone_table_parse(const char *text, size_t length, const char *file, hone_table *out,
                             hone_error *error)
{
    *out = (hone_table){0};
    hone_status status = HONE_OK;
    for (size_t at = 0; at < length && status == HONE_OK;) {
        const char *end = memchr(text + at, '\n', length - at);
        if (end == NULL)
            break;
        size_t line = (size_t)(end - (text + at));
        status = out->columns == 0 ? read_heading(text + at, line, file, out, error)
                                   : read_row(text + at, line, file, out, error);
        at += line + 1;
    }
    if (status != HONE_OK)
        hone_table_deinit(out);
    return status;
}

hone_status hone_table_load(const char *path, hone_table *out, hone_error *error)
{
    char *text;
    size_t length;
    *out = (hone_table){0};
    HONE_TRY(hone_file_load(path, TABLE_LIMIT, &text, &length, error));
    hone_status status = hone_table_parse(text, length, path, out, error);
    hone_free(text);
    return status;
}

void hone_table_deinit(hone_table *table)
{
    hone_free(table->values);
    hone_arena_deinit(&table->arena);
    *table = (hone_table){0};
}

int hone_table_find(const hone_table *table, const char *name)
{
    for (size_t i = 0; i < table->columns; i++)
        if (strcmp(table->names[i], name) == 0)
            return (int)i;
    return -1;
}

double hone_table_at(const hone_table *table, size_t row, int column)
{
    return column >= 0 ? table->values[row * table->columns + (size_t)column] : (double)NAN;
}
