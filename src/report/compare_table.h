/* The table of a comparison: its rows as JSON, and what is written from them for people and other
 * programs.
 *
 *   {"title": "...", "rows": [row, ...], "notes": ["...", ...]}
 * A row is an experiment ("kind": "run", with "run": its folder within the whole), the untouched
 * model ("untouched") or the copied words ("copy"), the last two with "folder". All have "name" and
 * what of the columns below is known of them; "scores" is an object of metrics, each an object with
 * value, low, high, scale and signature; an experiment's have "against_copy" and
 * "against_untouched", each with difference, low, high and p_value, where they were tested. Rows
 * with other "tokenizer" have other tokens: none is the best by token. */
#ifndef HONE_REPORT_COMPARE_TABLE_H
#define HONE_REPORT_COMPARE_TABLE_H

#include "base/json.h"
#include "base/string_builder.h"

enum { HONE_CELL = 96 };

/* A difference is shown when the p-value of its test is below this. */
#define HONE_COMPARE_LEVEL 0.05

typedef enum hone_compare_part {
    HONE_COMPARE_QUALITY,
    HONE_COMPARE_COSTS,
    HONE_COMPARE_DETAILS /* shown behind the values of other columns */
} hone_compare_part;

/* A column of one part of the table. */
typedef struct hone_compare_column {
    char key[64];   /* of a row, or of its scores */
    char title[64]; /* "perplexity", "ROUGE-1" */
    bool is_score;
    int better; /* 1: higher, -1: lower, 0: neither */
} hone_compare_column;

enum { HONE_COMPARE_COLUMNS = 32 };

/* The columns of a part that any row has a value in; their number. */
size_t hone_compare_columns(const hone_json *table, hone_compare_part part,
                            hone_compare_column columns[HONE_COMPARE_COLUMNS]);
/* A cell as people read it: "41.3 [39.8, 42.6]", "36,864 [0.842 %]"; a dash where there is no
 * value. */
void hone_compare_cell(const hone_json *row, const hone_compare_column *column,
                       char text[HONE_CELL]);
/* Whether the row has a value in any of the columns. */
bool hone_compare_has_cells(const hone_json *row, const hone_compare_column *columns, size_t count);
/* Whether the row's value is the best of its column among the experiments, of two or more. */
bool hone_compare_is_best(const hone_json *table, const hone_json *row,
                          const hone_compare_column *column);
/* "ROUGE-1" for "rouge1". */
const char *hone_metric_title(const char *name);

/* Writes table.json, table.tsv and table.md into the folder. */
hone_status hone_compare_table_write(const char *folder, const hone_json *table, hone_error *error);

#endif
