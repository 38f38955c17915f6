/* Filling a program's weights: memory, files, initialization. */
#ifndef HONE_ENGINE_MODEL_LOAD_H
#define HONE_ENGINE_MODEL_LOAD_H

#include "engine/model.h"

/* The tensor on disk for a weight, under any name that the family has for it; or NULL. */
const hone_stored_tensor *hone_model_stored(const hone_model *model,
                                            const hone_weight_source *source,
                                            const hone_weight *weight);
/* What head the folder holds. HONE_MISMATCH when two names of the embedding hold different values.
 */
hone_status hone_model_find_head(const hone_family *family, const hone_weight_source *source,
                                 hone_stored_head *out, hone_error *error);
/* Holds the tensors on disk against the program's weights before memory is spent on them: all that
 * are missing, unexpected, mis-shaped or of a type that holds no numbers in one HONE_MISMATCH. */
hone_status hone_model_compare(const hone_model *model, const hone_weight_source *source,
                               hone_error *error);
/* Memory for every weight: trained ones in the parameter blocks, the rest in one block. */
hone_status hone_model_allocate(hone_model *model, bool training, hone_error *error);
/* Values of the base's weights, from a source (that compares well) or by the family's own
 * initialization. */
hone_status hone_model_load(hone_model *model, const hone_weight_source *source, hone_error *error);
void hone_model_initialize(hone_model *model);

#endif
