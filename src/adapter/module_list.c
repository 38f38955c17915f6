/* Modules of a program: see module_list.h. A weight's name is its module's, a dot, and a last part;
 * whatever stands before an earlier dot is a module that holds others. */
#include "adapter/module_list.h"

#include "adapter/near_name.h"

#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b)
{
    return strcmp(((const hone_module *)a)->name, ((const hone_module *)b)->name);
}

/* Adds the module `name` (NULL: memory ran out before) and what it is in. */
static bool add_with_holders(hone_module_list *list, size_t *capacity, const char *name,
                             bool linear)
{
    while (name != NULL) {
        if (!hone_array_reserve((void **)&list->items, capacity, list->count + 1,
                                sizeof *list->items))
            return false;
        list->items[list->count++] = (hone_module){name, linear, HONE_MODULE_OTHER};
        const char *dot = strrchr(name, '.');
        if (dot == NULL)
            return true;
        name = hone_arena_strndup(&list->names, name, (size_t)(dot - name));
        linear = false;
    }
    return false;
}

static void sort_and_merge(hone_module_list *list)
{
    if (list->count == 0)
        return;
    qsort(list->items, list->count, sizeof *list->items, by_name);
    size_t kept = 0;
    for (size_t i = 1; i < list->count; i++)
        if (strcmp(list->items[kept].name, list->items[i].name) == 0)
            list->items[kept].linear = list->items[kept].linear || list->items[i].linear;
        else
            list->items[++kept] = list->items[i];
    list->count = kept + 1;
}

hone_status hone_module_list_create(const hone_program *program, hone_module_list *out,
                                    hone_error *error)
{
    *out = (hone_module_list){0};
    size_t capacity = 0;
    bool complete = true;
    for (size_t i = 0; complete && i < program->op_count; i++)
        if (program->ops[i].code == HONE_OP_LINEAR || program->ops[i].code == HONE_OP_HEAD)
            complete = add_with_holders(out, &capacity, program->ops[i].name,
                                        program->ops[i].code == HONE_OP_LINEAR);
    for (size_t i = 0; complete && i < program->weight_count; i++) {
        const char *name = program->weights[i].name, *dot = strrchr(name, '.');
        if (dot != NULL)
            complete = add_with_holders(
                out, &capacity, hone_arena_strndup(&out->names, name, (size_t)(dot - name)), false);
    }
    if (!complete) {
        hone_module_list_deinit(out);
        return hone_fail_memory(error, "list of modules", program->weight_count);
    }
    sort_and_merge(out);
    return HONE_OK;
}

void hone_module_list_deinit(hone_module_list *list)
{
    hone_free(list->items);
    hone_arena_deinit(&list->names);
    *list = (hone_module_list){0};
}

const hone_module *hone_module_list_find(const hone_module_list *list, const char *name)
{
    hone_module key = {.name = name};
    return list->count > 0 ? bsearch(&key, list->items, list->count, sizeof *list->items, by_name)
                           : NULL;
}

const char *hone_module_list_near(const hone_module_list *list, const char *wanted, bool linears)
{
    const char *nearest = NULL;
    for (size_t i = 0; i < list->count; i++) {
        if (linears && !list->items[i].linear)
            continue;
        /* One full name's endings a time, with the best so far first: ties keep the first. */
        const char *endings[16] = {nearest};
        size_t count = 1;
        for (const char *at = list->items[i].name; at != NULL && count < 16;) {
            endings[count++] = at;
            at = strchr(at, '.');
            at = at != NULL ? at + 1 : NULL;
        }
        nearest = hone_near_name(wanted, endings, count);
    }
    return nearest;
}
