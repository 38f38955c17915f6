/* How a model wants its data read: what training, evaluation and prompts have in common. */
#ifndef HONE_INFER_MODEL_DATA_H
#define HONE_INFER_MODEL_DATA_H

#include "data/dataset.h"
#include "engine/model.h"

/* Fills the options of hone_dataset_open; they borrow settings and model. HONE_USAGE where a length
 * is over the model's positions. */
hone_status hone_model_data_options(const hone_model *model, const hone_data_settings *settings,
                                    hone_dataset_options *out, hone_error *error);

#endif
