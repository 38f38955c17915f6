/* The page of a run. Its parts serve the page of a comparison too. */
#ifndef HONE_REPORT_RUN_PAGE_H
#define HONE_REPORT_RUN_PAGE_H

#include "report/page.h"

hone_status hone_run_page_fill(const char *folder, hone_page *page, hone_error *error);
/* The settings of a run: those that differ from the defaults, all others folded away. */
void hone_run_page_settings(hone_page *page, const hone_run_record *run);

#endif
