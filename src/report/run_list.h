/* Which runs are meant by paths: run folders stand for themselves, a folder of hone_compare for the
 * runs in it, in the order of its table. */
#ifndef HONE_REPORT_RUN_LIST_H
#define HONE_REPORT_RUN_LIST_H

#include "report/run_record.h"

typedef struct hone_run_list {
    char **paths;
    char **names; /* to be shown: the last part of the path, or all of it where two share that */
    size_t count, capacity, name_capacity;
} hone_run_list;

/* HONE_INPUT when a path is neither. */
hone_status hone_run_list_find(const char *const *paths, size_t count, hone_run_list *out,
                               hone_error *error);
void hone_run_list_deinit(hone_run_list *list);

/* Loads all runs of a list; free with hone_run_records_free. */
hone_status hone_run_records_load(const hone_run_list *list, bool all, hone_run_record **out,
                                  hone_error *error);
void hone_run_records_free(hone_run_record *records, size_t count);

#endif
