/* hone_report_write: see hone/report.h. */
#include "report/compare_page.h"
#include "report/run_page.h"

#include "base/files.h"

static hone_status write_page(const char *folder, hone_page *page, hone_error *error)
{
    bool is_comparison = false;
    char *config = hone_path_join(folder, "config.yaml");
    char *table = hone_path_join(folder, "table.json");
    hone_status status = HONE_OK;
    if (config == NULL || table == NULL)
        status = hone_fail_memory(error, "path", 0);
    else
        is_comparison = !hone_file_exists(config) && hone_file_exists(table);
    hone_free(config);
    hone_free(table);
    HONE_TRY(status);
    return is_comparison ? hone_compare_page_fill(folder, page, error)
                         : hone_run_page_fill(folder, page, error);
}

hone_status hone_report_write(const char *folder, const char *out, hone_error *error)
{
    hone_page page = {0};
    char *own = out == NULL ? hone_path_join(folder, "report.html") : NULL;
    const char *path = out != NULL ? out : own;
    hone_status status =
        path == NULL ? hone_fail_memory(error, "path", 0) : write_page(folder, &page, error);
    if (status == HONE_OK)
        status = hone_string_write(&page.text, path, error);
    hone_string_deinit(&page.text);
    hone_free(own);
    return status;
}
