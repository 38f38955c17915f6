/* Typed fields of a config.json: see config.h. */
#include "model/config.h"

#include <string.h>

static hone_json *find(hone_config config, const char *key)
{
    hone_json *value = hone_json_get(config.json, key);
    return value != NULL && hone_json_type_of(value) != HONE_JSON_NULL ? value : NULL;
}

static hone_status wrong_type(hone_config config, const char *key, const char *expected,
                              const hone_json *found, hone_error *error)
{
    return hone_fail_at(error, HONE_INPUT, config.path, -1, -1, "\"%s\" must be %s, found %s", key,
                        expected, hone_json_type_name(hone_json_type_of(found)));
}

hone_status hone_config_integer(hone_config config, const char *key, int64_t absent, int64_t least,
                                int64_t most, int64_t *out, hone_error *error)
{
    const hone_json *value = find(config, key);
    if (value == NULL && absent == HONE_CONFIG_REQUIRED)
        return hone_fail_at(error, HONE_INPUT, config.path, -1, -1, "the key \"%s\" is missing",
                            key);
    *out = absent;
    if (value == NULL)
        return HONE_OK;
    if (!hone_json_integer(value, out))
        return wrong_type(config, key, "an integer", value, error);
    if (*out < least || *out > most)
        return hone_fail_at(error, HONE_INPUT, config.path, -1, -1,
                            "\"%s\" must be from %lld to %lld, found %lld", key, (long long)least,
                            (long long)most, (long long)*out);
    return HONE_OK;
}

hone_status hone_config_real(hone_config config, const char *key, double absent, double least,
                             double most, double *out, hone_error *error)
{
    const hone_json *value = find(config, key);
    *out = absent;
    if (value == NULL)
        return HONE_OK;
    if (!hone_json_real(value, out))
        return wrong_type(config, key, "a number", value, error);
    if (!(*out >= least && *out <= most))
        return hone_fail_at(error, HONE_INPUT, config.path, -1, -1,
                            "\"%s\" must be from %g to %g, found %g", key, least, most, *out);
    return HONE_OK;
}

hone_status hone_config_bool(hone_config config, const char *key, bool absent, bool *out,
                             hone_error *error)
{
    const hone_json *value = find(config, key);
    *out = absent;
    if (value != NULL && !hone_json_bool(value, out))
        return wrong_type(config, key, "true or false", value, error);
    return HONE_OK;
}

hone_status hone_config_text(hone_config config, const char *key, const char *absent,
                             const char **out, hone_error *error)
{
    const hone_json *value = find(config, key);
    *out = absent;
    if (value == NULL)
        return HONE_OK;
    *out = hone_json_string(value, NULL);
    return *out != NULL ? HONE_OK : wrong_type(config, key, "a string", value, error);
}

hone_status hone_config_refuse(hone_config config, const char *const *keys, size_t count,
                               hone_error *error)
{
    for (size_t i = 0; i < count; i++) {
        const hone_json *value = find(config, keys[i]);
        if (value == NULL)
            continue;
        bool flag = true;
        hone_json_type type = hone_json_type_of(value);
        if ((type == HONE_JSON_ARRAY || type == HONE_JSON_OBJECT) && hone_json_size(value) == 0)
            continue;
        if (hone_json_bool(value, &flag) && !flag)
            continue;
        return hone_fail_at(error, HONE_INPUT, config.path, -1, -1,
                            "\"%s\" is set; hone does not support it and leaving it out would "
                            "change the results",
                            keys[i]);
    }
    return HONE_OK;
}
