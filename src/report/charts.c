/* Charts of runs: see charts.h. */
#include "report/charts.h"

#include "base/files.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PANELS = 3, PER_RUN = 3, FAINT_RUNS = 4 };

/* One panel shows one column of valid.tsv. */
typedef struct chart_facts {
    const char *name, *title, *y_label;
    size_t panels;
    const char *columns[PANELS], *titles[PANELS];
    bool training; /* the same of training can be shown: it is a function of its loss */
    double factor; /* from the column to what is shown */
} chart_facts;

static const chart_facts kinds[HONE_CHARTS] = {
    [HONE_CHART_LOSS] = {"loss", "Loss", "loss (nats a token)", 1, {"loss"}, {NULL}, true, 1.0},
    [HONE_CHART_PERPLEXITY] =
        {"perplexity", "Perplexity", "perplexity of a token", 1, {"perplexity"}, {NULL}, true, 1.0},
    [HONE_CHART_ROUGE] = {"rouge",
                          "ROUGE of validation predictions",
                          "F-measure (%)",
                          3,
                          {"rouge1", "rouge2", "rougeL"},
                          {"ROUGE-1", "ROUGE-2", "ROUGE-L"},
                          false,
                          100.0},
    [HONE_CHART_BLEU] =
        {"bleu", "BLEU of validation predictions", "BLEU (%)", 1, {"bleu"}, {NULL}, false, 1.0},
};

const char *hone_chart_name(hone_chart_kind kind)
{
    return kinds[kind].name;
}

typedef struct building {
    const hone_chart_request *request;
    const chart_facts *facts;
    hone_chart *out;
    hone_plot_series *series; /* of the panel in work */
    size_t count;
    bool has_training, has_faint, has_validation, failed;
} building;

/* ---- values ------------------------------------------------------------------------------- */

static double *new_values(building *b, size_t count)
{
    size_t bytes;
    double *values = NULL;
    if (hone_size_mul(count, sizeof *values, &bytes))
        values = hone_arena_alloc(&b->out->arena, bytes);
    b->failed = b->failed || values == NULL;
    return values;
}

static double *x_values(building *b, const hone_run_record *run, const hone_table *table)
{
    double *x = new_values(b, table->rows);
    for (size_t i = 0; x != NULL && i < table->rows; i++)
        x[i] = hone_run_record_x(run, table, i, b->request->x);
    return x;
}

static double *column_values(building *b, const hone_table *table, const char *name)
{
    double *y = new_values(b, table->rows);
    int column = hone_table_find(table, name);
    for (size_t i = 0; y != NULL && i < table->rows; i++)
        y[i] = b->facts->factor * hone_table_at(table, i, column);
    return y;
}

/* Steps on each side that a mean takes in: 4 % of all steps together, and 11 where there are
 * enough of them. */
static size_t reach_of(size_t rows)
{
    size_t least = rows / 8 < 5 ? rows / 8 : 5;
    return rows / 50 > least ? rows / 50 : least;
}

/* The mean around each value, of fewer near the ends. What is not finite is left out. */
static double *smooth(building *b, const double *y, size_t rows)
{
    double *mean = new_values(b, rows);
    size_t reach = reach_of(rows), known = 0, added = 0;
    double sum = 0.0;
    for (size_t i = 0; mean != NULL && i < rows; i++) {
        for (; added < rows && added <= i + reach; added++) {
            if (isfinite(y[added])) {
                sum += y[added];
                known++;
            }
        }
        if (i > reach && isfinite(y[i - reach - 1])) {
            sum -= y[i - reach - 1];
            known--;
        }
        mean[i] = known > 0 ? sum / (double)known : (double)NAN;
    }
    return mean;
}

static void exponentiate(double *y, size_t rows)
{
    for (size_t i = 0; y != NULL && i < rows; i++)
        y[i] = exp(y[i]);
}

static bool any_finite(const double *y, size_t rows)
{
    for (size_t i = 0; y != NULL && i < rows; i++)
        if (isfinite(y[i]))
            return true;
    return false;
}

/* ---- series ------------------------------------------------------------------------------- */

static void add_series(building *b, const char *name, const double *x, const double *y, size_t n,
                       hone_plot_look look, size_t style)
{
    if (x != NULL && y != NULL && any_finite(y, n))
        b->series[b->count++] = (hone_plot_series){name, x, y, n, look, style};
}

static const char *training_name(building *b, size_t rows)
{
    char text[96];
    size_t reach = reach_of(rows);
    if (reach == 0)
        return "training";
    snprintf(text, sizeof text, "training, mean over %zu steps", 2 * reach + 1);
    const char *name = hone_arena_strdup(&b->out->arena, text);
    b->failed = b->failed || name == NULL;
    return name;
}

/* Training's curve: single steps faint, their mean over it. Behind validation's, where it has one.
 */
static void add_training(building *b, const hone_run_record *run, bool validated, bool alone,
                         size_t style)
{
    size_t rows = run->train.rows;
    double *x = x_values(b, run, &run->train);
    double *single = column_values(b, &run->train, "loss");
    if (x == NULL || single == NULL)
        return;
    double *mean = smooth(b, single, rows);
    bool perplexity = b->request->kind == HONE_CHART_PERPLEXITY;
    if (perplexity) {
        exponentiate(mean, rows);
        exponentiate(single, rows);
    }
    if (reach_of(rows) > 0 && b->request->count <= FAINT_RUNS && !perplexity) {
        add_series(b, NULL, x, single, rows, HONE_LOOK_FAINT, style);
        b->has_faint = true;
    }
    const char *name = alone ? training_name(b, rows) : validated ? NULL : run->name;
    add_series(b, name, x, mean, rows, validated && !alone ? HONE_LOOK_THIN : HONE_LOOK_LINE,
               style);
    b->has_training = true;
}

static void add_run(building *b, size_t number, size_t panel)
{
    const hone_run_record *run = &b->request->runs[number];
    bool alone = b->request->count == 1;
    double *valid = column_values(b, &run->valid, b->facts->columns[panel]);
    bool validated = any_finite(valid, run->valid.rows);
    if (b->facts->training && run->train.rows > 0)
        add_training(b, run, validated, alone, number);
    if (!validated)
        return;
    b->has_validation = true;
    double *x = x_values(b, run, &run->valid);
    add_series(b, alone ? "validation" : run->name, x, valid, run->valid.rows, HONE_LOOK_DOTS,
               alone ? 1 : number);
}

/* The dashes of a level: the same in all pictures, by its place among the names. They start behind
 * solid. */
static size_t level_style(const hone_chart_request *request, size_t number)
{
    size_t names = 0;
    for (size_t i = 0; i <= number; i++) {
        bool known = false;
        for (size_t j = 0; j < i; j++)
            known = known || strcmp(request->levels[j].name, request->levels[i].name) == 0;
        if (strcmp(request->levels[i].name, request->levels[number].name) == 0)
            break;
        names += !known;
    }
    return 1 + names;
}

static void add_levels(building *b, size_t panel)
{
    for (size_t i = 0; i < b->request->level_count; i++) {
        const hone_chart_level *level = &b->request->levels[i];
        if (strcmp(level->column, b->facts->columns[panel]) != 0 || !isfinite(level->value))
            continue;
        double *y = new_values(b, 1);
        if (y == NULL)
            return;
        y[0] = b->facts->factor * level->value;
        add_series(b, level->name, y, y, 1, HONE_LOOK_LEVEL, level_style(b->request, i));
    }
}

static bool has_curves(const building *b)
{
    for (size_t i = 0; i < b->count; i++)
        if (b->series[i].look != HONE_LOOK_LEVEL)
            return true;
    return false;
}

static const char *caption_of(const building *b)
{
    if (b->request->count == 1)
        return b->has_faint ? "The single steps of training lie faint behind their mean." : NULL;
    if (!b->has_training)
        return NULL;
    if (b->has_validation)
        return b->has_faint ? "Strong lines with marks: validation. Thin lines: training, running "
                              "mean over 4 % of the steps (11 at least); its single steps lie "
                              "faint behind."
                            : "Strong lines with marks: validation. Thin lines: training, running "
                              "mean over 4 % of the steps (11 at least).";
    return b->has_faint
               ? "Training, running mean over 4 % of the steps (11 at least); single steps "
                 "lie faint behind."
               : "Training, running mean over 4 % of the steps (11 at least).";
}

hone_status hone_chart_build(const hone_chart_request *request, hone_chart *out, hone_error *error)
{
    static const char *const x_labels[] = {"epoch", "step", "time in training steps"};
    const chart_facts *facts = &kinds[request->kind];
    *out = (hone_chart){0};
    building b = {.request = request, .facts = facts, .out = out};
    size_t most = request->count * PER_RUN + request->level_count;
    hone_plot_panel *panels = hone_arena_alloc(&out->arena, PANELS * sizeof *panels);
    size_t made = 0;
    b.failed = panels == NULL;
    for (size_t p = 0; p < facts->panels && !b.failed; p++) {
        size_t bytes = 0;
        b.count = 0;
        b.series = hone_size_mul(most, sizeof *b.series, &bytes)
                       ? hone_arena_alloc(&out->arena, bytes)
                       : NULL;
        b.failed = b.series == NULL;
        for (size_t i = 0; i < request->count && !b.failed; i++)
            add_run(&b, i, p);
        if (!b.failed)
            add_levels(&b, p);
        if (!b.failed && has_curves(&b))
            panels[made++] = (hone_plot_panel){facts->titles[p], b.series, b.count};
    }
    if (b.failed) {
        hone_chart_deinit(out);
        return hone_fail_memory(error, facts->name, 0);
    }
    out->plot = (hone_plot){.title = facts->title,
                            .x_label = x_labels[request->x],
                            .y_label = facts->y_label,
                            .caption = caption_of(&b),
                            .x_is_time = request->x == HONE_PLOT_SECONDS,
                            .y_may_be_log = request->kind == HONE_CHART_PERPLEXITY,
                            .panels = panels,
                            .count = made};
    return HONE_OK;
}

void hone_chart_deinit(hone_chart *chart)
{
    hone_arena_deinit(&chart->arena);
    *chart = (hone_chart){0};
}

/* ---- files -------------------------------------------------------------------------------- */

static hone_status write_chart(const hone_chart *chart, const char *folder, const char *stem,
                               void (*written)(void *context, const char *path), void *context,
                               hone_error *error)
{
    char name[128];
    snprintf(name, sizeof name, "%s.png", stem);
    char *png = hone_path_join(folder, name);
    snprintf(name, sizeof name, "%s.svg", stem);
    char *svg = hone_path_join(folder, name);
    hone_status status = png == NULL || svg == NULL
                             ? hone_fail_memory(error, "path", 0)
                             : hone_plot_write(&chart->plot, png, svg, error);
    if (status == HONE_OK && written != NULL) {
        written(context, png);
        written(context, svg);
    }
    hone_free(png);
    hone_free(svg);
    return status;
}

hone_status hone_charts_write(const hone_chart_request *request, const char *folder,
                              const char *suffix, void (*written)(void *context, const char *path),
                              void *context, size_t *drawn, hone_error *error)
{
    *drawn = 0;
    for (int kind = 0; kind < HONE_CHARTS; kind++) {
        hone_chart_request one = *request;
        hone_chart chart;
        char stem[64];
        one.kind = (hone_chart_kind)kind;
        HONE_TRY(hone_chart_build(&one, &chart, error));
        hone_status status = HONE_OK;
        if (chart.plot.count > 0) {
            if (*drawn == 0)
                status = hone_folder_make(folder, error);
            snprintf(stem, sizeof stem, "%s%s", kinds[kind].name, suffix);
            if (status == HONE_OK)
                status = write_chart(&chart, folder, stem, written, context, error);
            *drawn += status == HONE_OK;
        }
        hone_chart_deinit(&chart);
        HONE_TRY(status);
    }
    return HONE_OK;
}
