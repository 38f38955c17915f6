/* The page of a comparison: see compare_page.h. */
#include "report/compare_page.h"

#include "base/files.h"
#include "report/compare_table.h"
#include "report/run_page.h"

#include <stdio.h>
#include <string.h>

#define TABLE_LIMIT ((size_t)1 << 24)

enum { SHOWN = 8, MOST_ROWS = 256, LONG_SOURCE = 400, SUBTITLE = 256 };

hone_status hone_compare_table_load(const char *folder, hone_json **table, hone_error *error)
{
    char *path = hone_path_join(folder, "table.json");
    if (path == NULL)
        return hone_fail_memory(error, "path", 0);
    hone_status status = hone_json_load(path, TABLE_LIMIT, table, error);
    hone_free(path);
    return status;
}

static const char *text_of(const hone_json *object, const char *key)
{
    const char *text = hone_json_string(hone_json_get(object, key), NULL);
    return text != NULL ? text : "";
}

/* ---- levels ------------------------------------------------------------------------------- */

static size_t add_level(hone_chart_level *levels, size_t count, const char *name,
                        const char *column, const hone_json *value, double factor)
{
    double number;
    if (value == NULL || !hone_json_real(value, &number))
        return count;
    if (levels != NULL)
        levels[count] = (hone_chart_level){name, column, number * factor};
    return count + 1;
}

/* Counts only where levels is NULL. */
static size_t add_levels(const hone_json *row, hone_chart_level *levels, size_t count)
{
    static const char *const columns[] = {"loss", "perplexity"};
    const char *name = text_of(row, "name");
    const hone_json *scores = hone_json_get(row, "scores");
    void *cursor = NULL;
    const char *metric;
    hone_json *score;
    if (strcmp(text_of(row, "kind"), "run") == 0)
        return count;
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        count = add_level(levels, count, name, columns[i], hone_json_get(row, columns[i]), 1.0);
    if (scores == NULL || hone_json_type_of(scores) != HONE_JSON_OBJECT)
        return count;
    while (hone_json_next(scores, &cursor, &metric, &score))
        count = add_level(levels, count, name, metric, hone_json_get(score, "value"), 1.0);
    return count;
}

hone_status hone_compare_levels(const hone_json *table, hone_chart_level **levels, size_t *count,
                                hone_error *error)
{
    const hone_json *rows = hone_json_get(table, "rows");
    size_t all = 0;
    for (size_t i = 0; i < hone_json_size(rows); i++)
        all = add_levels(hone_json_at(rows, i), NULL, all);
    *count = 0;
    *levels = hone_alloc_array(all, sizeof **levels);
    if (*levels == NULL)
        return hone_fail_memory(error, "levels", all * sizeof **levels);
    for (size_t i = 0; i < hone_json_size(rows); i++)
        *count = add_levels(hone_json_at(rows, i), *levels, *count);
    return HONE_OK;
}

/* ---- the table ---------------------------------------------------------------------------- */

static void put_row(hone_page *page, const hone_json *table, const hone_json *row,
                    const hone_compare_column *columns, size_t count)
{
    char text[HONE_CELL];
    hone_page_html(page, strcmp(text_of(row, "kind"), "run") == 0 ? "<tr><th>"
                                                                  : "<tr class=\"base\"><th>");
    hone_page_text(page, text_of(row, "name"));
    hone_page_html(page, "</th>");
    for (size_t c = 0; c < count; c++) {
        hone_page_html(page, hone_compare_is_best(table, row, &columns[c]) ? "<td class=\"n best\">"
                                                                           : "<td class=\"n\">");
        hone_compare_cell(row, &columns[c], text);
        /* The interval goes below the value. */
        char *interval = strstr(text, " [");
        if (interval != NULL)
            *interval = '\0';
        hone_page_text(page, text);
        if (interval != NULL) {
            size_t length = strlen(interval + 1);
            /* Of an interval the brackets stay. */
            bool bare = !columns[c].is_score && length > 2;
            hone_page_html(page, "<br><small>");
            hone_page_text_n(page, interval + 1 + bare, length - 2 * bare);
            hone_page_html(page, "</small>");
        }
        hone_page_html(page, "</td>");
    }
    hone_page_html(page, "</tr>\n");
}

static void put_part(hone_page *page, const hone_json *table, hone_compare_part part,
                     const char *heading)
{
    hone_compare_column columns[HONE_COMPARE_COLUMNS];
    size_t count = hone_compare_columns(table, part, columns);
    const hone_json *rows = hone_json_get(table, "rows");
    if (count == 0)
        return;
    hone_page_heading(page, heading);
    hone_page_html(page, "<div class=\"wide\"><table>\n<thead><tr><th></th>");
    for (size_t c = 0; c < count; c++) {
        hone_page_html(page, columns[c].is_score ? "<th class=\"n k\">" : "<th class=\"n\">");
        hone_page_text(page, columns[c].title);
        hone_page_html(page, "</th>");
    }
    hone_page_html(page, "</tr></thead>\n<tbody>\n");
    for (size_t r = 0; r < hone_json_size(rows); r++)
        if (hone_compare_has_cells(hone_json_at(rows, r), columns, count))
            put_row(page, table, hone_json_at(rows, r), columns, count);
    hone_page_html(page, "</tbody></table></div>\n");
}

static void put_notes(hone_page *page, const hone_json *table)
{
    const hone_json *notes = hone_json_get(table, "notes");
    for (size_t i = 0; i < hone_json_size(notes); i++) {
        const char *note = hone_json_string(hone_json_at(notes, i), NULL);
        hone_page_html(page, "<p class=\"note\">");
        hone_page_text(page, note != NULL ? note : "");
        hone_page_html(page, "</p>\n");
    }
}

/* ---- predictions side by side ------------------------------------------------------------- */

/* The predictions of all rows of the table for a few lines of the data. */
typedef struct chosen {
    int64_t lines[SHOWN];
    size_t count;
    hone_json *rows[MOST_ROWS][SHOWN]; /* [row of the table][line], or NULL */
} chosen;

typedef struct choosing {
    chosen *out;
    size_t row;   /* whose file is read */
    int64_t *all; /* the lines of the first file */
    size_t count, capacity;
    bool counting, failed;
} choosing;

static bool take_prediction(void *context, const hone_json *row)
{
    choosing *c = context;
    int64_t line = 0;
    hone_json_integer(hone_json_get(row, "line"), &line);
    if (c->counting) {
        void *all = c->all;
        c->failed = !hone_array_reserve(&all, &c->capacity, c->count + 1, sizeof *c->all);
        c->all = all;
        if (!c->failed)
            c->all[c->count++] = line;
        return !c->failed;
    }
    for (size_t i = 0; i < c->out->count; i++)
        if (c->out->lines[i] == line && c->out->rows[c->row][i] == NULL)
            c->out->rows[c->row][i] = hone_json_share(row);
    return true;
}

static hone_status read_predictions(const char *folder, const hone_json *row, choosing *c,
                                    hone_error *error)
{
    const char *own = text_of(row, "run");
    if (own[0] == '\0')
        own = text_of(row, "folder");
    if (own[0] == '\0' || own[0] == '/' || strstr(own, "..") != NULL)
        return HONE_OK;
    char *place = hone_path_join(folder, own);
    char *path = place != NULL ? hone_path_join(place, "predictions.jsonl") : NULL;
    hone_status status = path == NULL ? hone_fail_memory(error, "path", 0)
                                      : hone_json_lines_load(path, take_prediction, c, error);
    if (status == HONE_OK && c->failed)
        status = hone_fail_memory(error, "predictions", c->count * sizeof *c->all);
    hone_free(path);
    hone_free(place);
    return status;
}

static size_t row_count(const hone_json *table)
{
    size_t count = hone_json_size(hone_json_get(table, "rows"));
    return count < MOST_ROWS ? count : MOST_ROWS;
}

/* Lines spread over those of the first row that has predictions, then all rows' of these. */
static hone_status choose(const char *folder, const hone_json *table, chosen *out,
                          hone_error *error)
{
    const hone_json *rows = hone_json_get(table, "rows");
    choosing c = {.out = out, .counting = true};
    hone_status status = HONE_OK;
    for (size_t r = 0; r < row_count(table) && c.count == 0 && status == HONE_OK; r++)
        status = read_predictions(folder, hone_json_at(rows, r), &c, error);
    out->count = c.count < SHOWN ? c.count : SHOWN;
    for (size_t i = 0; i < out->count; i++)
        out->lines[i] = c.all[i * c.count / out->count];
    hone_free(c.all);
    c.all = NULL;
    c.counting = false;
    for (size_t r = 0; r < row_count(table) && out->count > 0 && status == HONE_OK; r++) {
        c.row = r;
        status = read_predictions(folder, hone_json_at(rows, r), &c, error);
    }
    return status;
}

static void drop(chosen *out)
{
    for (size_t r = 0; r < MOST_ROWS; r++)
        for (size_t i = 0; i < SHOWN; i++)
            hone_json_free(out->rows[r][i]);
}

static void put_json_text(hone_page *page, const hone_json *object, const char *key)
{
    size_t length = 0;
    const char *text = hone_json_string(hone_json_get(object, key), &length);
    hone_page_text_n(page, text != NULL ? text : "", length);
}

static void put_prediction(hone_page *page, const hone_json *row)
{
    size_t length = 0;
    const char *text = hone_json_string(hone_json_get(row, "prediction"), &length);
    if (text == NULL || length == 0)
        hone_page_html(page, "<small>(nothing)</small>");
    else
        hone_page_text_n(page, text, length);
}

static void put_source(hone_page *page, const hone_json *prediction)
{
    size_t length = 0;
    const char *text = hone_json_string(hone_json_get(prediction, "source"), &length);
    bool folded = length > LONG_SOURCE;
    if (text == NULL)
        return;
    if (folded) {
        size_t shown = LONG_SOURCE;
        while (shown > 0 && ((unsigned char)text[shown] & 0xC0) == 0x80)
            shown--;
        hone_page_html(page, "<details><summary class=\"pre\">");
        hone_page_text_n(page, text, shown);
        hone_page_html(page, " \xE2\x80\xA6</summary>");
        hone_page_html(page, "<div class=\"sample\">");
        hone_page_text_n(page, text, length);
        hone_page_html(page, "</div></details>\n");
    } else {
        hone_page_html(page, "<div class=\"sample\">");
        hone_page_text_n(page, text, length);
        hone_page_html(page, "</div>\n");
    }
}

static void put_example(hone_page *page, const hone_json *table, const chosen *of, size_t number)
{
    const hone_json *rows = hone_json_get(table, "rows"), *any = NULL;
    size_t count = row_count(table);
    for (size_t r = 0; r < count && any == NULL; r++)
        any = of->rows[r][number];
    if (any == NULL)
        return;
    hone_string_format(&page->text, "<h3>Line %lld</h3>\n", (long long)of->lines[number]);
    put_source(page, any);
    hone_page_html(page, "<div class=\"wide\"><table><tbody>\n<tr class=\"best\"><th>reference</th>"
                         "<td class=\"pre\">");
    put_json_text(page, any, "reference");
    hone_page_html(page, "</td></tr>\n");
    for (size_t r = 0; r < count; r++) {
        const hone_json *row = hone_json_at(rows, r);
        if (of->rows[r][number] == NULL)
            continue;
        hone_page_html(page, strcmp(text_of(row, "kind"), "run") == 0 ? "<tr><th>"
                                                                      : "<tr class=\"base\"><th>");
        hone_page_text(page, text_of(row, "name"));
        hone_page_html(page, "</th><td class=\"pre\">");
        put_prediction(page, of->rows[r][number]);
        hone_page_html(page, "</td></tr>\n");
    }
    hone_page_html(page, "</tbody></table></div>\n");
}

static hone_status put_predictions(hone_page *page, const char *folder, const hone_json *table,
                                   hone_error *error)
{
    chosen *of = hone_alloc_array(1, sizeof *of);
    if (of == NULL)
        return hone_fail_memory(error, "predictions", sizeof *of);
    hone_status status = choose(folder, table, of, error);
    if (status == HONE_OK && of->count > 0) {
        hone_page_heading(page, "Predictions side by side");
        hone_page_html(page, "<p class=\"note\">Rows spread evenly over the validation rows that "
                             "were predicted; not chosen by hand.</p>\n");
        for (size_t i = 0; i < of->count; i++)
            put_example(page, table, of, i);
    }
    drop(of);
    hone_free(of);
    return status;
}

/* ---- the whole ---------------------------------------------------------------------------- */

static hone_status put_curves(hone_page *page, const hone_json *table, const hone_run_list *list,
                              const hone_run_record *records, hone_error *error)
{
    static const char *const headings[] = {"Curves by epoch", "Curves by training time"};
    static const hone_plot_x axes[] = {HONE_PLOT_EPOCH, HONE_PLOT_SECONDS};
    hone_chart_level *levels;
    size_t count, drawn;
    HONE_TRY(hone_compare_levels(table, &levels, &count, error));
    hone_status status = HONE_OK;
    for (size_t i = 0; i < sizeof axes / sizeof *axes && status == HONE_OK && list->count > 0;
         i++) {
        const hone_chart_request request = {.runs = records,
                                            .count = list->count,
                                            .levels = levels,
                                            .level_count = count,
                                            .x = axes[i]};
        hone_page_heading(page, headings[i]);
        status = hone_page_charts(page, &request, &drawn, error);
    }
    hone_free(levels);
    return status;
}

static void put_settings(hone_page *page, const hone_run_record *records, size_t count)
{
    hone_page_heading(page, "Settings");
    for (size_t i = 0; i < count; i++) {
        hone_page_html(page, "<details><summary>");
        hone_page_text(page, records[i].name);
        hone_page_html(page, "</summary>\n");
        hone_run_page_settings(page, &records[i]);
        hone_page_html(page, "</details>\n");
    }
}

static void subtitle(const hone_run_record *records, size_t count, char text[SUBTITLE])
{
    snprintf(text, SUBTITLE, "%zu %s", count, count == 1 ? "experiment" : "experiments");
    size_t used = strlen(text);
    if (count > 0)
        snprintf(text + used, SUBTITLE - used, " on %.200s",
                 hone_run_record_setting(&records[0], "train"));
}

static hone_status fill(const char *folder, hone_page *page, const hone_json *table,
                        const hone_run_list *list, hone_error *error)
{
    hone_run_record *records;
    char text[SUBTITLE];
    const char *title = text_of(table, "title");
    HONE_TRY(hone_run_records_load(list, true, &records, error));
    subtitle(records, list->count, text);
    hone_page_begin(page, title[0] != '\0' ? title : "Comparison", text);
    put_part(page, table, HONE_COMPARE_QUALITY, "Results on the validation data");
    put_part(page, table, HONE_COMPARE_COSTS, "Costs");
    put_notes(page, table);
    hone_status status = put_curves(page, table, list, records, error);
    if (status == HONE_OK)
        status = put_predictions(page, folder, table, error);
    if (status == HONE_OK)
        put_settings(page, records, list->count);
    hone_page_end(page);
    hone_run_records_free(records, list->count);
    return status;
}

hone_status hone_compare_page_fill(const char *folder, hone_page *page, hone_error *error)
{
    hone_json *table;
    hone_run_list list;
    HONE_TRY(hone_compare_table_load(folder, &table, error));
    hone_status status = hone_run_list_find(&folder, 1, &list, error);
    if (status == HONE_OK) {
        status = fill(folder, page, table, &list, error);
        hone_run_list_deinit(&list);
    }
    hone_json_free(table);
    return status;
}
