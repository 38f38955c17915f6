/* What a run is made from, as hashes: resuming on other parts is refused by name. */
#ifndef HONE_TRAIN_RUN_IDENTITY_H
#define HONE_TRAIN_RUN_IDENTITY_H

#include "data/dataset.h"
#include "engine/model.h"
#include "train/checkpoint.h"

/* `settings` as hone_run_settings_json gives them; `model` freshly opened (an adapter's starting
 * values count); valid may be NULL.
 * base: config.json, and of every weight name, shape, type and a sample of its bytes (all of a
 * small one, else 64 pieces of 64 bytes spread evenly from the first to the last). */
hone_status hone_run_identify(const hone_json *settings, const hone_model *model,
                              const hone_dataset *train, const hone_dataset *valid,
                              hone_run_identity *out, hone_error *error);
/* HONE_OK when equal; else one HONE_MISMATCH error that names all parts that differ. `place` is the
 * run folder. With *error already filled by a HONE_MISMATCH (`status`), adds to it. */
hone_status hone_run_identity_compare(const hone_run_identity *found,
                                      const hone_run_identity *stored, const char *place,
                                      hone_status status, hone_error *error);

#endif
