/* Field names of data sets that many people use. */
#ifndef HONE_DATA_PRESET_H
#define HONE_DATA_PRESET_H

#include <hone/settings.h>

/* The settings with what settings->preset names, where they are as by default:
 *   cnn_dailymail  source "article", target "highlights"
 *   imdb           text "text"
 *   wikitext       text "text"; its many empty rows are left out
 * A shallow copy: it borrows all texts. */
hone_data_settings hone_data_preset_apply(const hone_data_settings *settings);

#endif
