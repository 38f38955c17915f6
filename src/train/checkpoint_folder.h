/* The folder of a run's checkpoints: which one is whole, which go. See checkpoint.h. */
#ifndef HONE_TRAIN_CHECKPOINT_FOLDER_H
#define HONE_TRAIN_CHECKPOINT_FOLDER_H

#include "train/checkpoint.h"

/* Writes manifest.json of a finished set of files. */
hone_status hone_manifest_write(const char *path, int64_t step, const hone_run_identity *identity,
                                hone_error *error);
/* HONE_OK when the checkpoint at path is whole; else what is wrong with it. identity may be NULL.
 */
hone_status hone_checkpoint_check(const char *path, int64_t step, hone_run_identity *identity,
                                  hone_error *error);
/* Path of the newest whole checkpoint, to a fresh string (hone_free). Broken ones are passed over
 * and logged. *path stays NULL when there is none at all; HONE_INPUT, with a reason for each, when
 * there are some and all are broken. */
hone_status hone_checkpoint_find(const char *folder, char **path, hone_run_identity *identity,
                                 hone_error *error);
/* Removes the oldest checkpoints of this run (by identity) below step `newest`, so that `limit`
 * remain with it. The newest and those of other runs are never touched. */
hone_status hone_checkpoint_rotate(const char *folder, int64_t newest, int64_t limit,
                                   const hone_run_identity *identity, hone_error *error);

#endif
