/* What a run folder tells of its run: its curves, settings and summary, for pictures and pages. Run
 * folders come from elsewhere too: nothing in them is trusted. */
#ifndef HONE_REPORT_RUN_RECORD_H
#define HONE_REPORT_RUN_RECORD_H

#include "base/json.h"
#include "base/yaml.h"
#include "report/run_table.h"

#include <hone/report.h>

typedef struct hone_run_record {
    char *path, *name; /* name: as it is to be shown */
    hone_table train, valid;
    double *seconds;     /* (train.rows): of training until after the step; NaN where not known */
    double step_seconds; /* median of a step; NaN when not known */
    double peak_bytes;   /* most memory that the run's process ever had; NaN when not known */
    hone_json *summary;  /* or NULL: the run has not ended or paused yet */
    hone_yaml settings;
} hone_run_record;

/* Reads train.tsv, valid.tsv and, with `all`, log.jsonl, summary.json and config.yaml. HONE_INPUT
 * when it is no run folder or a file in it is broken; what is not there yet is empty. */
hone_status hone_run_record_load(const char *path, const char *name, bool all, hone_run_record *out,
                                 hone_error *error);
void hone_run_record_deinit(hone_run_record *record);

/* The table's rows on an axis: x[i] for row i of train or valid. */
double hone_run_record_x(const hone_run_record *record, const hone_table *table, size_t row,
                         hone_plot_x axis);
/* Text of a setting; "" when it is not there. */
const char *hone_run_record_setting(const hone_run_record *record, const char *key);

/* Calls fn for each line of a JSON Lines file, until it answers false. A file that is not there has
 * no lines. A last line without newline is left out. */
typedef bool (*hone_json_line_fn)(void *context, const hone_json *row);
hone_status hone_json_lines_load(const char *path, hone_json_line_fn fn, void *context,
                                 hone_error *error);

#endif
