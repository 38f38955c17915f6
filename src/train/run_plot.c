/* The curves of a run: read back from its tables, so that a run that went on shows all of its
 * steps. */
#include "train/run_folder.h"

#include "base/memory.h"
#include "report/charts.h"

hone_status hone_run_plot(const hone_run_folder *folder, hone_error *error)
{
    if (folder->path == NULL)
        return HONE_OK;
    hone_run_record record;
    HONE_TRY(hone_run_record_load(folder->path, folder->path, false, &record, error));
    const hone_chart_request request = {.runs = &record, .count = 1, .x = HONE_PLOT_STEP};
    size_t drawn;
    char *plots = hone_run_folder_path(folder, "plots");
    hone_status status = plots == NULL
                             ? hone_fail_memory(error, "path", 0)
                             : hone_charts_write(&request, plots, "", NULL, NULL, &drawn, error);
    hone_free(plots);
    hone_run_record_deinit(&record);
    return status;
}
