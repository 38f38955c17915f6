/* What results were made from, as one number: when it changes they are measured anew. */
#ifndef HONE_STUDY_FINGERPRINT_H
#define HONE_STUDY_FINGERPRINT_H

#include "base/failure.h"
#include "base/hash.h"

/* Adds a file's name within its folder, size and content. Of a file above 16 MiB pieces that are
 * spread over it are read, not the whole. */
hone_status hone_fingerprint_file(hone_hash *hash, const char *path, hone_error *error);
/* The files of a folder, not those of folders in it. */
hone_status hone_fingerprint_folder(hone_hash *hash, const char *path, hone_error *error);

#endif
