/* Option values: see option_value.h. Numbers are read by one strict grammar whatever the host's
 * locale, and no value is changed before its replacement is whole. */
#include "base/option_value.h"

#include "base/json.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void hone_option_value_zero(const hone_option *option, void *field)
{
    switch (option->type) {
    case HONE_OPTION_BOOL: *(bool *)field = false; break;
    case HONE_OPTION_INTEGER: *(int64_t *)field = 0; break;
    case HONE_OPTION_REAL: *(double *)field = 0; break;
    case HONE_OPTION_STRING: *(char **)field = NULL; break;
    case HONE_OPTION_LIST: *(hone_list *)field = (hone_list){0}; break;
    case HONE_OPTION_MAP: *(hone_map *)field = (hone_map){0}; break;
    }
}

static void free_texts(char **texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        hone_free(texts[i]);
    hone_free(texts);
}

void hone_option_value_free(const hone_option *option, void *field)
{
    if (option->type == HONE_OPTION_STRING) {
        hone_free(*(char **)field);
    } else if (option->type == HONE_OPTION_LIST) {
        hone_list *list = field;
        free_texts(list->items, list->count);
    } else if (option->type == HONE_OPTION_MAP) {
        hone_map *map = field;
        free_texts(map->keys, map->count);
        hone_free(map->values);
    }
    hone_option_value_zero(option, field);
}

static hone_status no_memory(hone_error *error, const hone_option *option)
{
    return hone_fail_memory(error, option->key, 0);
}

/* [+-] digits [. digits] [e [+-] digits], with a digit before the exponent; nothing else. */
static bool is_number(const char *text, bool integer)
{
    const char *p = text;
    if (*p == '+' || *p == '-')
        p++;
    size_t digits = strspn(p, "0123456789");
    p += digits;
    if (!integer && *p == '.') {
        size_t more = strspn(p + 1, "0123456789");
        digits += more;
        p += 1 + more;
    }
    if (digits == 0)
        return false;
    if (!integer && (*p == 'e' || *p == 'E')) {
        p++;
        if (*p == '+' || *p == '-')
            p++;
        size_t exponent = strspn(p, "0123456789");
        if (exponent == 0)
            return false;
        p += exponent;
    }
    return *p == '\0';
}

/* The built-in "C" locale: a constant of the C library, nothing is allocated. */
static locale_t c_locale(void)
{
    return newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

bool hone_option_number_read(const char *text, double *value)
{
    if (!is_number(text, false))
        return false;
    *value = strtod_l(text, NULL, c_locale());
    return isfinite(*value);
}

void hone_option_number_text(double value, char buffer[32])
{
    locale_t before = uselocale(c_locale());
    if (fabs(value) < 1e15 && value == floor(value))
        snprintf(buffer, 32, "%.0f", value);
    else
        for (int digits = 1; digits <= 17; digits++) {
            snprintf(buffer, 32, "%.*g", digits, value);
            if (strtod(buffer, NULL) == value)
                break;
        }
    uselocale(before);
    /* "1e-08" as people write it. */
    char *exponent = strpbrk(buffer, "e"), *digits = exponent != NULL ? exponent + 2 : NULL;
    if (digits != NULL && *digits == '0')
        memmove(digits, digits + 1, strlen(digits));
}

static hone_status wrong(const hone_option *option, const char *place, const char *expected,
                         const char *found, hone_error *error)
{
    (void)option;
    return hone_fail(error, HONE_USAGE, "%s: expected %s, found '%.200s'", place, expected, found);
}

static hone_status out_of_range(const hone_option *option, const char *place, const char *found,
                                hone_error *error)
{
    char low[32], high[32];
    hone_option_number_text(option->minimum, low);
    hone_option_number_text(option->maximum, high);
    return hone_fail(error, HONE_USAGE, "%s: expected %s from %s to %s, found %.60s", place,
                     option->type == HONE_OPTION_INTEGER ? "an integer" : "a number", low, high,
                     found);
}

static hone_status set_bool(const hone_option *option, bool *field, const char *text,
                            const char *place, hone_error *error)
{
    bool yes = strcasecmp(text, "true") == 0;
    if (!yes && strcasecmp(text, "false") != 0)
        return wrong(option, place, "true or false", text, error);
    *field = yes;
    return HONE_OK;
}

static hone_status set_integer(const hone_option *option, int64_t *field, const char *text,
                               const char *place, hone_error *error)
{
    if (!is_number(text, true))
        return wrong(option, place, "an integer", text, error);
    errno = 0;
    long long value = strtoll(text, NULL, 10);
    if (errno == ERANGE || (double)value < option->minimum || (double)value > option->maximum)
        return out_of_range(option, place, text, error);
    *field = value;
    return HONE_OK;
}

static hone_status set_real(const hone_option *option, double *field, const char *text,
                            const char *place, hone_error *error)
{
    if (!is_number(text, false))
        return wrong(option, place, "a number", text, error);
    double value;
    if (!hone_option_number_read(text, &value) || value < option->minimum ||
        value > option->maximum)
        return out_of_range(option, place, text, error);
    *field = value;
    return HONE_OK;
}

/* Length of the next alternative of "a|b|c". */
static size_t choice_length(const char *choices)
{
    return strcspn(choices, "|");
}

static bool is_utf8(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    while (*p != '\0') {
        int more = *p < 0x80 ? 0 : *p >= 0xC2 && *p < 0xE0 ? 1 : (*p & 0xF0) == 0xE0 ? 2 : 3;
        if ((more == 3 && (*p < 0xF0 || *p > 0xF4)) || (*p == 0xE0 && p[1] < 0xA0) ||
            (*p == 0xED && p[1] > 0x9F) || (*p == 0xF0 && p[1] < 0x90) ||
            (*p == 0xF4 && p[1] > 0x8F))
            return false;
        for (p++; more > 0; more--, p++)
            if ((*p & 0xC0) != 0x80)
                return false;
    }
    return true;
}

/* A checked copy of a text: HONE_USAGE unless it is UTF-8, so that every value can be saved. */
static hone_status copy_text(const hone_option *option, const char *text, const char *place,
                             char **out, hone_error *error)
{
    *out = NULL;
    if (!is_utf8(text))
        return hone_fail(error, HONE_USAGE, "%s: expected UTF-8 text, found other bytes", place);
    *out = hone_strdup(text);
    return *out != NULL ? HONE_OK : no_memory(error, option);
}

static hone_status set_string(const hone_option *option, char **field, const char *text,
                              const char *place, hone_error *error)
{
    char *copy = NULL;
    if (option->choices != NULL) {
        const char *choice = option->choices;
        size_t length = choice_length(choice);
        while (strlen(text) != length || strncasecmp(choice, text, length) != 0) {
            if (choice[length] == '\0') {
                char expected[256] = "one of ";
                for (const char *p = option->choices; *p != '\0'; p++) {
                    size_t used = strlen(expected);
                    snprintf(expected + used, sizeof expected - used, *p == '|' ? ", " : "%c", *p);
                }
                return wrong(option, place, expected, text, error);
            }
            choice += length + 1;
            length = choice_length(choice);
        }
        copy = hone_strndup(choice, length);
        if (copy == NULL)
            return no_memory(error, option);
    } else if (*text != '\0') {
        HONE_TRY(copy_text(option, text, place, &copy, error));
    }
    hone_free(*field);
    *field = copy;
    return HONE_OK;
}

typedef struct list_builder {
    hone_list list;
    size_t capacity;
} list_builder;

static hone_status list_put(const hone_option *option, list_builder *builder, const char *text,
                            const char *place, hone_error *error)
{
    char *copy;
    HONE_TRY(copy_text(option, text, place, &copy, error));
    if (!hone_array_reserve((void **)&builder->list.items, &builder->capacity,
                            builder->list.count + 1, sizeof *builder->list.items)) {
        hone_free(copy);
        return no_memory(error, option);
    }
    builder->list.items[builder->list.count++] = copy;
    return HONE_OK;
}

static hone_status list_add(const hone_option *option, list_builder *builder, const char *text,
                            const char *place, hone_error *error)
{
    if (*text == '\0')
        return hone_fail(error, HONE_USAGE, "%s: an item is empty", place);
    return list_put(option, builder, text, place, error);
}

/* A list or map written as JSON, or NULL when the text isn't one. */
static hone_json *read_json(const char *text, hone_json_type type)
{
    hone_json *value;
    if (*text != (type == HONE_JSON_ARRAY ? '[' : '{') ||
        hone_json_parse(text, strlen(text), "", 1, &value, NULL) != HONE_OK)
        return NULL;
    bool fits = hone_json_type_of(value) == type;
    for (size_t i = 0; fits && type == HONE_JSON_ARRAY && i < hone_json_size(value); i++) {
        size_t length;
        const char *item = hone_json_string(hone_json_at(value, i), &length);
        fits = item != NULL && strlen(item) == length;
    }
    if (fits)
        return value;
    hone_json_free(value);
    return NULL;
}

/* Free text (metavar TEXT) and regular expressions hold commas of their own. */
static bool is_one_item(const hone_option *option, const char *text)
{
    return (option->metavar != NULL && strcmp(option->metavar, "TEXT") == 0) ||
           strpbrk(text, "([{\\*+?|^$") != NULL;
}

static hone_status list_parse(const hone_option *option, const char *text, const char *place,
                              list_builder *builder, hone_error *error)
{
    hone_json *json = read_json(text, HONE_JSON_ARRAY);
    hone_status status = HONE_OK;
    if (json != NULL) {
        for (size_t i = 0; status == HONE_OK && i < hone_json_size(json); i++)
            status = list_add(option, builder, hone_json_string(hone_json_at(json, i), NULL), place,
                              error);
        hone_json_free(json);
        return status;
    }
    if (*text == '\0')
        return HONE_OK;
    if (is_one_item(option, text))
        return list_add(option, builder, text, place, error);
    while (status == HONE_OK) {
        size_t length = strcspn(text, ","), start = strspn(text, " "), end = length;
        while (end > start && text[end - 1] == ' ')
            end--;
        char *item =
            hone_strndup(text + (start < end ? start : end), start < end ? end - start : 0);
        if (item == NULL)
            return no_memory(error, option);
        status = list_add(option, builder, item, place, error);
        hone_free(item);
        if (text[length] == '\0')
            break;
        text += length + 1;
    }
    return status;
}

static hone_status list_copy(const hone_option *option, const hone_list *from,
                             list_builder *builder, const char *place, hone_error *error)
{
    hone_status status = HONE_OK;
    for (size_t i = 0; status == HONE_OK && i < from->count; i++)
        status = list_put(option, builder, from->items[i], place, error);
    return status;
}

static hone_status take_list(const hone_option *option, hone_list *field, list_builder *builder,
                             hone_status status)
{
    if (status == HONE_OK) {
        hone_option_value_free(option, field);
        *field = builder->list;
    } else {
        free_texts(builder->list.items, builder->list.count);
    }
    return status;
}

static hone_status set_list(const hone_option *option, hone_list *field, const char *text,
                            bool append, const char *place, hone_error *error)
{
    list_builder builder = {0};
    hone_status status = HONE_OK;
    if (append)
        status = list_copy(option, field, &builder, place, error);
    if (status == HONE_OK)
        status = list_parse(option, text, place, &builder, error);
    return take_list(option, field, &builder, status);
}

typedef struct map_builder {
    hone_map map;
    size_t key_capacity, value_capacity;
} map_builder;

static hone_status map_add(const hone_option *option, map_builder *builder, const char *key,
                           double value, const char *place, hone_error *error)
{
    hone_map *map = &builder->map;
    if (*key == '\0')
        return hone_fail(error, HONE_USAGE, "%s: a name is empty", place);
    for (size_t i = 0; i < map->count; i++)
        if (strcmp(map->keys[i], key) == 0)
            return hone_fail(error, HONE_USAGE, "%s: '%.200s' stands twice", place, key);
    char *copy;
    HONE_TRY(copy_text(option, key, place, &copy, error));
    if (!hone_array_reserve((void **)&map->keys, &builder->key_capacity, map->count + 1,
                            sizeof *map->keys) ||
        !hone_array_reserve((void **)&map->values, &builder->value_capacity, map->count + 1,
                            sizeof *map->values)) {
        hone_free(copy);
        return no_memory(error, option);
    }
    map->keys[map->count] = copy;
    map->values[map->count++] = value;
    return HONE_OK;
}

static hone_status map_from_json(const hone_option *option, const hone_json *json,
                                 const char *place, map_builder *builder, hone_error *error)
{
    void *cursor = NULL;
    const char *key;
    hone_json *member;
    while (hone_json_next(json, &cursor, &key, &member)) {
        double value;
        if (!hone_json_real(member, &value))
            return hone_fail(error, HONE_USAGE, "%s: expected a number for '%.200s', found %s",
                             place, key, hone_json_type_name(hone_json_type_of(member)));
        HONE_TRY(map_add(option, builder, key, value, place, error));
    }
    return HONE_OK;
}

/* "key=value,key=value" in a copy that is cut up. A comma ends a pair only after "=number", for a
 * key may be a regular expression with commas. */
static hone_status map_from_pairs(const hone_option *option, char *text, const char *place,
                                  map_builder *builder, hone_error *error)
{
    char *start = text;
    while (*start != '\0') {
        char *end = start, *equals = NULL;
        double value = 0;
        bool found = false;
        for (;; end++) {
            if (*end == '=')
                equals = end;
            if (*end != ',' && *end != '\0')
                continue;
            bool last = *end == '\0';
            *end = '\0';
            found = equals != NULL && hone_option_number_read(equals + 1, &value);
            if (found || last)
                break;
            *end = ',';
        }
        if (!found)
            return wrong(option, place, "NAME=NUMBER,NAME=NUMBER", start, error);
        *equals = '\0';
        HONE_TRY(map_add(option, builder, start, value, place, error));
        start = end + 1;
    }
    return HONE_OK;
}

static void take_map(const hone_option *option, hone_map *field, map_builder *builder,
                     hone_status status)
{
    if (status == HONE_OK) {
        hone_option_value_free(option, field);
        *field = builder->map;
    } else {
        free_texts(builder->map.keys, builder->map.count);
        hone_free(builder->map.values);
    }
}

static hone_status set_map(const hone_option *option, hone_map *field, const char *text,
                           const char *place, hone_error *error)
{
    map_builder builder = {0};
    hone_status status;
    hone_json *json = read_json(text, HONE_JSON_OBJECT);
    if (json != NULL) {
        status = map_from_json(option, json, place, &builder, error);
        hone_json_free(json);
    } else {
        /* Two zero bytes at the end: the cutting looks one past a last pair. */
        size_t length = strlen(text);
        char *copy = hone_alloc(length + 2);
        if (copy == NULL)
            return no_memory(error, option);
        memcpy(copy, text, length);
        memset(copy + length, 0, 2);
        status = map_from_pairs(option, copy, place, &builder, error);
        hone_free(copy);
    }
    take_map(option, field, &builder, status);
    return status;
}

hone_status hone_option_value_set(const hone_option *option, void *field, const char *text,
                                  bool append, const char *place, hone_error *error)
{
    switch (option->type) {
    case HONE_OPTION_BOOL: return set_bool(option, field, text, place, error);
    case HONE_OPTION_INTEGER: return set_integer(option, field, text, place, error);
    case HONE_OPTION_REAL: return set_real(option, field, text, place, error);
    case HONE_OPTION_STRING: return set_string(option, field, text, place, error);
    case HONE_OPTION_LIST: return set_list(option, field, text, append, place, error);
    case HONE_OPTION_MAP: return set_map(option, field, text, place, error);
    }
    return HONE_USAGE;
}

hone_status hone_option_value_add_item(const hone_option *option, void *field, const char *item,
                                       const char *place, hone_error *error)
{
    list_builder builder = {0};
    if (option->type != HONE_OPTION_LIST)
        return hone_option_value_set(option, field, item, false, place, error);
    hone_status status = list_copy(option, field, &builder, place, error);
    if (status == HONE_OK)
        status = list_put(option, &builder, item, place, error);
    return take_list(option, field, &builder, status);
}

hone_status hone_option_value_set_items(const hone_option *option, void *field,
                                        const hone_yaml_scalar *items, size_t count,
                                        const char *place, hone_error *error)
{
    hone_status status = HONE_OK;
    if (option->type == HONE_OPTION_MAP) {
        map_builder builder = {0};
        for (size_t i = 0; status == HONE_OK && i < count; i++) {
            double value;
            if (!hone_option_number_read(items[i].text, &value))
                status = wrong(option, place, "a number", items[i].text, error);
            else
                status = map_add(option, &builder, items[i].key, value, place, error);
        }
        take_map(option, field, &builder, status);
        return status;
    }
    list_builder builder = {0};
    for (size_t i = 0; status == HONE_OK && i < count; i++)
        status = list_add(option, &builder, items[i].text, place, error);
    return take_list(option, field, &builder, status);
}

static hone_json *list_to_json(const hone_list *list)
{
    hone_json *array = hone_json_new_array();
    for (size_t i = 0; array != NULL && i < list->count; i++) {
        if (!hone_json_append(array, hone_json_new_string(list->items[i]))) {
            hone_json_free(array);
            array = NULL;
        }
    }
    return array;
}

static hone_json *map_to_json(const hone_map *map)
{
    hone_json *object = hone_json_new_object();
    for (size_t i = 0; object != NULL && i < map->count; i++) {
        if (!hone_json_set(object, map->keys[i], hone_json_new_real(map->values[i]))) {
            hone_json_free(object);
            object = NULL;
        }
    }
    return object;
}

static char *dump_and_free(hone_json *json)
{
    char *text = hone_json_dump(json, (hone_json_format){.digits = 17});
    hone_json_free(json);
    return text;
}

/* Whether items joined by commas would be split at the same places. */
static bool joins(const hone_option *option, const hone_list *list)
{
    if (list->count == 1 && is_one_item(option, list->items[0]))
        return list->items[0][0] != '[' && list->items[0][0] != '\0';
    for (size_t i = 0; i < list->count; i++) {
        const char *item = list->items[i];
        if (is_one_item(option, item) || strchr(item, ',') != NULL || item[0] == ' ' ||
            item[strlen(item) - 1] == ' ')
            return false;
    }
    return true;
}

static char *list_text(const hone_option *option, const hone_list *list)
{
    if (!joins(option, list))
        return dump_and_free(list_to_json(list));
    size_t length = 1;
    for (size_t i = 0; i < list->count; i++)
        length += strlen(list->items[i]) + 1;
    char *text = hone_alloc(length), *at = text;
    if (text == NULL)
        return NULL;
    *at = '\0';
    for (size_t i = 0; i < list->count; i++)
        at += sprintf(at, "%s%s", i > 0 ? "," : "", list->items[i]);
    return text;
}

static char *map_text(const hone_map *map)
{
    size_t length = 1;
    for (size_t i = 0; i < map->count; i++) {
        if (map->keys[i][0] == '{' || strpbrk(map->keys[i], ",=") != NULL)
            return dump_and_free(map_to_json(map));
        length += strlen(map->keys[i]) + 34;
    }
    char *text = hone_alloc(length), *at = text;
    if (text == NULL)
        return NULL;
    *at = '\0';
    for (size_t i = 0; i < map->count; i++) {
        char number[32];
        hone_option_number_text(map->values[i], number);
        at += sprintf(at, "%s%s=%s", i > 0 ? "," : "", map->keys[i], number);
    }
    return text;
}

char *hone_option_value_text(const hone_option *option, const void *field)
{
    char buffer[32];
    switch (option->type) {
    case HONE_OPTION_BOOL: return hone_strdup(*(const bool *)field ? "true" : "false");
    case HONE_OPTION_INTEGER:
        snprintf(buffer, sizeof buffer, "%lld", (long long)*(const int64_t *)field);
        return hone_strdup(buffer);
    case HONE_OPTION_REAL:
        hone_option_number_text(*(const double *)field, buffer);
        return hone_strdup(buffer);
    case HONE_OPTION_STRING: {
        const char *text = *(char *const *)field;
        return hone_strdup(text != NULL ? text : "");
    }
    case HONE_OPTION_LIST: return list_text(option, field);
    case HONE_OPTION_MAP: return map_text(field);
    }
    return NULL;
}
