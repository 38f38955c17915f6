/* What killed processes leave: files and folders that were being written beside their names. */
#ifndef HONE_TRAIN_LEFTOVERS_H
#define HONE_TRAIN_LEFTOVERS_H

#include "base/failure.h"

/* Removes every "<name>.tmp.<number>" in a folder that this process alone writes to; fine when
 * there is no such folder. */
hone_status hone_leftovers_remove(const char *folder, hone_error *error);

#endif
