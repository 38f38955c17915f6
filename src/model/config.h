/* Reading a config.json field by field: each getter checks type and range, and names the key, the
 * file, what was expected and what was found. */
#ifndef HONE_MODEL_CONFIG_H
#define HONE_MODEL_CONFIG_H

#include "base/json.h"

typedef struct hone_config {
    const hone_json *json;
    const char *path; /* of the file, for messages */
} hone_config;

/* A missing key or null gives `absent`; HONE_CONFIG_REQUIRED makes it an error instead. */
#define HONE_CONFIG_REQUIRED INT64_MIN

hone_status hone_config_integer(hone_config config, const char *key, int64_t absent, int64_t least,
                                int64_t most, int64_t *out, hone_error *error);
hone_status hone_config_real(hone_config config, const char *key, double absent, double least,
                             double most, double *out, hone_error *error);
hone_status hone_config_bool(hone_config config, const char *key, bool absent, bool *out,
                             hone_error *error);
hone_status hone_config_text(hone_config config, const char *key, const char *absent,
                             const char **out, hone_error *error);

/* Keys that would change the results and that hone does not do: an error unless the value is
 * absent, null, false, or an empty list or object. */
hone_status hone_config_refuse(hone_config config, const char *const *keys, size_t count,
                               hone_error *error);

#endif
