/* Tables of numbers as runs write them: tab-separated, the first line names the columns. */
#ifndef HONE_REPORT_RUN_TABLE_H
#define HONE_REPORT_RUN_TABLE_H

#include "base/memory.h"

#include "base/failure.h"

enum { HONE_TABLE_COLUMNS = 64 };

/* Zero is an empty one, without columns. */
typedef struct hone_table {
    const char *names[HONE_TABLE_COLUMNS];
    size_t columns, rows;
    double *values; /* (rows, columns) */
    size_t capacity;
    hone_arena arena;
} hone_table;

/* true and false are 1 and 0; a cell that holds no number, or nothing, is NaN. A last line without
 * its newline is left out: its writer was killed, or is at it. HONE_INPUT, with the line, for more
 * columns than HONE_TABLE_COLUMNS and for a row that has more or fewer cells than the heading. */
hone_status hone_table_parse(const char *text, size_t length, const char *file, hone_table *out,
                             hone_error *error);
/* The same from a file. */
hone_status hone_table_load(const char *path, hone_table *out, hone_error *error);
void hone_table_deinit(hone_table *table);

/* Number of the column of that name, or -1. */
int hone_table_find(const hone_table *table, const char *name);
double hone_table_at(const hone_table *table, size_t row, int column); /* column -1: NaN */

#endif
