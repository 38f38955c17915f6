/* See json_file.h. */
#include "train/json_file.h"

#include "base/files.h"
#include "base/memory.h"

#include <string.h>

hone_status hone_json_file_write(const char *folder, const char *name, hone_json *value, int digits,
                                 hone_error *error)
{
    hone_writer writer;
    char *path = hone_path_join(folder, name), *text = NULL;
    if (value != NULL)
        text = hone_json_dump(value, (hone_json_format){.indent = 2, .digits = digits});
    hone_status status = HONE_OK;
    if (path == NULL || text == NULL)
        status = hone_fail_memory(error, name, 0);
    else
        status = hone_writer_open(&writer, path, error);
    if (status == HONE_OK) {
        status = hone_writer_put(&writer, text, strlen(text), error);
        if (status == HONE_OK)
            status = hone_writer_put(&writer, "\n", 1, error);
        if (status == HONE_OK)
            status = hone_writer_commit(&writer, error);
        else
            hone_writer_abandon(&writer);
    }
    hone_json_free(value);
    hone_free(text);
    hone_free(path);
    return status;
}
