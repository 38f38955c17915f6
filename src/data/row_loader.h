/* A whole data file to token rows, in parallel, in the file's order. */
#ifndef HONE_DATA_ROW_LOADER_H
#define HONE_DATA_ROW_LOADER_H

#include "data/row_encoder.h"

/* Fills the store (zeroed) and *counts (all but the hash) from the encoder's file. On failure the
 * store is left to be deinitialized by the caller; the error is that of the first bad line of the
 * file. */
hone_status hone_rows_load(const hone_row_encoder *encoder, const hone_data_settings *settings,
                           hone_row_store *store, hone_dataset_counts *counts, hone_error *error);

#endif
