/* The curves of a run: read back from its tables, so that a run that went on shows all of its
 * steps. The training loss is drawn twice, as it is and as a mean over the last 2 % of the steps.
 */
#include "train/run_folder.h"

#include "base/files.h"
#include "base/memory.h"
#include "report/plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_LIMIT ((size_t)1 << 30)

typedef struct curve {
    double *x, *y;
    size_t count, x_capacity, y_capacity;
} curve;

static bool add_point(curve *out, double x, double y)
{
    void *xs = out->x, *ys = out->y;
    bool made = hone_array_reserve(&xs, &out->x_capacity, out->count + 1, sizeof(double));
    out->x = xs;
    made = made && hone_array_reserve(&ys, &out->y_capacity, out->count + 1, sizeof(double));
    out->y = ys;
    if (!made)
        return false;
    out->x[out->count] = x;
    out->y[out->count++] = y;
    return true;
}

static void free_curve(curve *out)
{
    hone_free(out->x);
    hone_free(out->y);
}

/* Columns 1 (step) and 3 (loss) of a table; its first line is the heading. */
static bool parse_table(char *text, curve *out)
{
    char *line = strchr(text, '\n');
    while (line != NULL && line[1] != '\0') {
        char *end = line + 1;
        double step = strtod(end, &end);
        for (int column = 0; column < 2 && end != NULL; column++) {
            end = strchr(end, '\t');
            end = end != NULL ? end + 1 : NULL;
        }
        if (end == NULL)
            return true;
        if (!add_point(out, step, strtod(end, NULL)))
            return false;
        line = strchr(end, '\n');
    }
    return true;
}

static hone_status load_curve(const hone_run_folder *folder, hone_run_log log, curve *out,
                              hone_error *error)
{
    char *path = hone_run_folder_path(folder, hone_run_log_name(log)), *text = NULL;
    size_t size;
    if (path == NULL)
        return hone_fail_memory(error, "path", 0);
    hone_status status = hone_file_load(path, TABLE_LIMIT, &text, &size, error);
    if (status == HONE_OK && !parse_table(text, out))
        status = hone_fail_memory(error, "plot", out->count * sizeof(double));
    hone_free(text);
    hone_free(path);
    return status;
}

/* The mean of the last `window` values up to each point. */
static bool smooth(const curve *in, curve *out)
{
    size_t window = in->count / 50 + 1;
    double sum = 0.0;
    for (size_t i = 0; i < in->count; i++) {
        sum += in->y[i];
        if (i >= window)
            sum -= in->y[i - window];
        if (!add_point(out, in->x[i], sum / (double)(i < window ? i + 1 : window)))
            return false;
    }
    return true;
}

static hone_status write_plot(const hone_run_folder *folder, const curve *train, const curve *mean,
                              const curve *valid, hone_error *error)
{
    const hone_plot_series series[] = {
        {.name = "training", .x = train->x, .y = train->y, .n = train->count, .faint = true},
        {.name = "training, mean", .x = mean->x, .y = mean->y, .n = mean->count},
        {.name = "validation", .x = valid->x, .y = valid->y, .n = valid->count, .dots = true},
    };
    const hone_plot plot = {.title = "Loss",
                            .x_label = "step",
                            .y_label = "loss (nats a token)",
                            .series = series,
                            .count = valid->count > 0 ? 3 : 2};
    hone_status status = HONE_OK;
    char *plots = hone_run_folder_path(folder, "plots");
    char *png = hone_run_folder_path(folder, "plots/loss.png");
    char *svg = hone_run_folder_path(folder, "plots/loss.svg");
    if (plots == NULL || png == NULL || svg == NULL)
        status = hone_fail_memory(error, "path", 0);
    if (status == HONE_OK)
        status = hone_folder_make(plots, error);
    if (status == HONE_OK)
        status = hone_plot_write(&plot, png, svg, error);
    hone_free(svg);
    hone_free(png);
    hone_free(plots);
    return status;
}

hone_status hone_run_plot(const hone_run_folder *folder, hone_error *error)
{
    if (folder->path == NULL)
        return HONE_OK;
    curve train = {0}, mean = {0}, valid = {0};
    hone_status status = load_curve(folder, HONE_RUN_LOG_TRAIN, &train, error);
    if (status == HONE_OK)
        status = load_curve(folder, HONE_RUN_LOG_VALID, &valid, error);
    if (status == HONE_OK && !smooth(&train, &mean))
        status = hone_fail_memory(error, "plot", train.count * sizeof(double));
    if (status == HONE_OK)
        status = write_plot(folder, &train, &mean, &valid, error);
    free_curve(&train);
    free_curve(&mean);
    free_curve(&valid);
    return status;
}
