/* A JSON value as a file for people and programs: indented, a newline at the end, atomic. */
#ifndef HONE_TRAIN_JSON_FILE_H
#define HONE_TRAIN_JSON_FILE_H

#include "base/json.h"

/* digits: significant ones of reals. Drops the reference to value, which may be NULL: out of memory
 * while it was made. */
hone_status hone_json_file_write(const char *folder, const char *name, hone_json *value, int digits,
                                 hone_error *error);

#endif
