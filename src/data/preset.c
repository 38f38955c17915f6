/* Presets: see preset.h. */
#include "data/preset.h"

#include <string.h>

/* Takes the place of a setting that is as by default. */
static void replace(char **setting, const char *by_default, char *value)
{
    if (*setting != NULL && strcmp(*setting, by_default) == 0)
        *setting = value;
}

hone_data_settings hone_data_preset_apply(const hone_data_settings *settings)
{
    static char article[] = "article", highlights[] = "highlights";
    hone_data_settings out = *settings;
    if (settings->preset == NULL)
        return out;
    if (strcmp(settings->preset, "cnn_dailymail") == 0) {
        replace(&out.source_field, "source", article);
        replace(&out.target_field, "target", highlights);
    } else if (strcmp(settings->preset, "wikitext") == 0) {
        out.allow_empty = true;
    }
    return out;
}
