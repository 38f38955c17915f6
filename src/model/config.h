/* Reading a config.json field by field: each getter checks type and range, and names the key, the
 * file, what was expected and what was found. */
#ifndef HONE_MODEL_CONFIG_H
#define HONE_MODEL_CONFIG_H

#include "base/json.h"
#include "op/op.h"

#include <math.h>
#include <stddef.h>

/* Another name that Transformers takes for a key. */
typedef struct hone_config_alias {
    const char *key, *other;
} hone_config_alias;

typedef struct hone_config {
    const hone_json *json; /* an object: see hone_config_check */
    const char *path;      /* of the file, for messages */
    const hone_config_alias *aliases;
    size_t alias_count;
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

/* The same in a field's `absent`, which is a double. */
#define HONE_CONFIG_NEEDED ((double)NAN)

/* A field of a family's struct and the key that it is read from. */
typedef struct hone_config_field {
    const char *key;
    enum {
        HONE_CONFIG_INTEGER,
        HONE_CONFIG_REAL,
        HONE_CONFIG_BOOL
    } kind;        /* int64_t, double, bool */
    double absent; /* what a missing key means, or HONE_CONFIG_NEEDED */
    double least, most;
    size_t offset;
} hone_config_field;

#define HONE_CONFIG_FIELD(type, key, kind, absent, least, most, member)                            \
    {                                                                                              \
        key, HONE_CONFIG_##kind, absent, least, most, offsetof(type, member)                       \
    }

/* All keys that a family knows. */
typedef struct hone_config_keys {
    const hone_config_field *fields;
    size_t field_count;
    const char *const *others;  /* read apart, or without effect here; ends with NULL */
    const char *const *refused; /* see hone_config_refuse; ends with NULL */
} hone_config_keys;

/* All that is wrong with a config.json goes into one error. */
typedef struct hone_config_findings {
    hone_error *all, one; /* `one` is handed to the getters */
    size_t count;
} hone_config_findings;

void hone_config_note(hone_config_findings *findings, hone_config config, hone_status status);
/* Fills the fields of *object, and refuses keys. */
void hone_config_read(hone_config config, const hone_config_keys *keys, void *object,
                      hone_config_findings *findings);
/* An activation by Transformers' name. */
hone_status hone_config_activation(hone_config config, const char *key, const char *name,
                                   hone_activation *out, hone_error *error);

/* HONE_INPUT unless the file holds an object, in which no key and its other name disagree. */
hone_status hone_config_check(hone_config config, hone_error *error);
/* Remarks (one HONE_LOG_WARNING) on the keys that neither `keys`, the aliases nor the table of what
 * Transformers writes into every config.json names: a misspelt key would else go unnoticed. */
void hone_config_remark(hone_config config, const hone_config_keys *keys);

/* A key that would change the results and that hone does not do: an error unless its value is
 * absent, null, false, or an empty list or object. */
hone_status hone_config_refuse(hone_config config, const char *key, hone_error *error);

#endif
