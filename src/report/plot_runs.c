/* hone_plot_runs: see hone/report.h. */
#include "report/charts.h"
#include "report/run_list.h"

#include "base/files.h"

static hone_status draw(const hone_plot_request *request, const hone_run_list *list,
                        const char *folder, hone_error *error)
{
    static const char *const suffixes[] = {"-epoch", "-step", "-seconds"};
    hone_run_record *records;
    size_t drawn;
    HONE_TRY(hone_run_records_load(list, true, &records, error));
    const hone_chart_request charts = {.runs = records, .count = list->count, .x = request->x};
    hone_status status = hone_charts_write(&charts, folder, suffixes[request->x], request->written,
                                           request->context, &drawn, error);
    if (status == HONE_OK && drawn == 0)
        status = hone_fail_at(error, HONE_INPUT, list->paths[0], -1, -1,
                              "there is nothing to draw yet: no step was made");
    hone_run_records_free(records, list->count);
    return status;
}

hone_status hone_plot_runs(const hone_plot_request *request, hone_error *error)
{
    hone_run_list list;
    if (request->count == 0)
        return hone_fail(error, HONE_USAGE, "which runs are to be drawn? No run folder was given");
    HONE_TRY(hone_run_list_find(request->runs, request->count, &list, error));
    hone_status status = HONE_OK;
    char *own = NULL;
    const char *folder = request->out;
    if (list.count == 0) {
        status = hone_fail_at(error, HONE_INPUT, request->runs[0], -1, -1,
                              "there are no runs in this comparison yet");
    } else if (folder == NULL && request->count == 1) {
        folder = own = hone_path_join(request->runs[0], "plots");
        if (own == NULL)
            status = hone_fail_memory(error, "path", 0);
    } else if (folder == NULL) {
        status = hone_fail(error, HONE_USAGE,
                           "a folder (out) for the pictures of %zu runs is "
                           "needed",
                           request->count);
    }
    if (status == HONE_OK)
        status = draw(request, &list, folder, error);
    hone_free(own);
    hone_run_list_deinit(&list);
    return status;
}
