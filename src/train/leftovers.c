/* See leftovers.h. The names are those of hone_writer and of checkpoints. */
#include "train/leftovers.h"

#include "base/files.h"
#include "base/memory.h"

#include <string.h>

static bool is_leftover(const char *name)
{
    size_t length = strlen(name), digits = 0;
    while (digits < length && strchr("0123456789", name[length - digits - 1]) != NULL)
        digits++;
    size_t stem = length - digits;
    return digits > 0 && stem > 5 && strncmp(name + stem - 5, ".tmp.", 5) == 0;
}

hone_status hone_leftovers_remove(const char *folder, hone_error *error)
{
    if (!hone_folder_exists(folder))
        return HONE_OK;
    char **names;
    size_t count;
    HONE_TRY(hone_folder_list(folder, &names, &count, error));
    hone_status status = HONE_OK;
    for (size_t i = 0; i < count && status == HONE_OK; i++) {
        if (!is_leftover(names[i]))
            continue;
        char *path = hone_path_join(folder, names[i]);
        status =
            path != NULL ? hone_folder_remove(path, error) : hone_fail_memory(error, "path", 0);
        hone_free(path);
    }
    hone_names_free(names, count);
    return status;
}
