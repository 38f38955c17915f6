/* The modules of a program as Transformers' class names them: its linears, its head, the owners of
 * its weights, and everything these are in ("transformer.h.0"). */
#ifndef HONE_ADAPTER_MODULE_LIST_H
#define HONE_ADAPTER_MODULE_LIST_H

#include "adapter/target_match.h"
#include "graph/program.h"

typedef struct hone_module {
    const char *name;
    bool linear; /* a LINEAR operation: what can be adapted */
    hone_module_verdict verdict;
} hone_module;

typedef struct hone_module_list {
    hone_module *items; /* sorted by name */
    size_t count;
    hone_arena names;
} hone_module_list;

hone_status hone_module_list_create(const hone_program *program, hone_module_list *out,
                                    hone_error *error);
void hone_module_list_deinit(hone_module_list *list); /* accepts a zeroed one */
const hone_module *hone_module_list_find(const hone_module_list *list, const char *name);
/* The name or ending of a module nearest to `wanted`: of linears, or of all. NULL when none is. */
const char *hone_module_list_near(const hone_module_list *list, const char *wanted, bool linears);

#endif
