/* hone_report_write: see hone/report.h. */
#include "report/run_page.h"

#include "base/files.h"

static hone_status write_page(const char *folder, hone_page *page, hone_error *error)
{
    return hone_run_page_fill(folder, page, error);
}

hone_status hone_report_write(const char *folder, const char *out, hone_error *error)
{
    hone_page page = {0};
    char *own = out == NULL ? hone_path_join(folder, "report.html") : NULL;
    const char *path = out != NULL ? out : own;
    hone_status status =
        path == NULL ? hone_fail_memory(error, "path", 0) : write_page(folder, &page, error);
    if (status == HONE_OK)
        status = hone_text_write(&page.text, path, error);
    hone_text_deinit(&page.text);
    hone_free(own);
    return status;
}
