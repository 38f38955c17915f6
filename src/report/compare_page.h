/* The page of a comparison. */
#ifndef HONE_REPORT_COMPARE_PAGE_H
#define HONE_REPORT_COMPARE_PAGE_H

#include "report/page.h"
#include "report/run_list.h"

hone_status hone_compare_page_fill(const char *folder, hone_page *page, hone_error *error);

/* The levels of a comparison's table: what its curves are held against. They borrow the table;
 * hone_free them. */
hone_status hone_compare_levels(const hone_json *table, hone_chart_level **levels, size_t *count,
                                hone_error *error);
/* Reads table.json. */
hone_status hone_compare_table_load(const char *folder, hone_json **table, hone_error *error);

#endif
