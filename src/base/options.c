/* Option sets: see options.h. A set is a table bound to a struct; several are searched in order. A
 * file is read whole, and everything that is wrong with it is told in one error. */
#include <hone/options.h>

#include "base/files.h"
#include "base/option_value.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define FILE_LIMIT ((size_t)1 << 20)
#define KEY_LIMIT 64 /* longer misspelt keys have no near one */

hone_status hone_options_init(const hone_option_set *set, hone_error *error)
{
    for (size_t i = 0; i < set->count; i++)
        hone_option_value_zero(&set->options[i], hone_option_field(set, &set->options[i]));
    for (size_t i = 0; i < set->count; i++) {
        const hone_option *option = &set->options[i];
        hone_status status =
            hone_option_value_set(option, hone_option_field(set, option), option->default_value,
                                  false, option->key, error);
        if (status != HONE_OK) {
            hone_options_deinit(set);
            return status;
        }
    }
    return HONE_OK;
}

void hone_options_deinit(const hone_option_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        hone_option_value_free(&set->options[i], hone_option_field(set, &set->options[i]));
}

/* Dashes as underscores. */
static char folded(char c)
{
    return c == '-' ? '_' : c;
}

static bool same_key(const char *a, const char *b)
{
    while (*a != '\0' && folded(*a) == folded(*b)) {
        a++;
        b++;
    }
    return *a == *b;
}

const hone_option *hone_options_find(const hone_option_set *sets, size_t count, const char *key,
                                     const hone_option_set **owner)
{
    for (size_t s = 0; s < count; s++)
        for (size_t i = 0; i < sets[s].count; i++)
            if (same_key(sets[s].options[i].key, key)) {
                if (owner != NULL)
                    *owner = &sets[s];
                return &sets[s].options[i];
            }
    return NULL;
}

/* Edits (insert, delete, replace, swap of neighbours) from a to b; both shorter than KEY_LIMIT. */
static int distance(const char *a, const char *b)
{
    int rows[3][KEY_LIMIT + 1];
    int width = (int)strlen(b);
    for (int j = 0; j <= width; j++)
        rows[0][j] = j;
    int i = 0;
    for (; a[i] != '\0'; i++) {
        const int *above = rows[i % 3], *above2 = rows[(i + 2) % 3];
        int *row = rows[(i + 1) % 3];
        row[0] = i + 1;
        for (int j = 0; j < width; j++) {
            int best = above[j] + (folded(a[i]) != folded(b[j]));
            if (above[j + 1] + 1 < best)
                best = above[j + 1] + 1;
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (i > 0 && j > 0 && folded(a[i]) == b[j - 1] && folded(a[i - 1]) == b[j] &&
                above2[j - 1] + 1 < best)
                best = above2[j - 1] + 1;
            row[j + 1] = best;
        }
    }
    return rows[i % 3][width];
}

const char *hone_options_nearest(const hone_option_set *sets, size_t count, const char *key)
{
    size_t length = strlen(key);
    if (length == 0 || length >= KEY_LIMIT)
        return NULL;
    int limit = length < 3 ? 1 : (int)length / 3;
    const char *near = NULL, *part = NULL;
    for (size_t s = 0; s < count; s++)
        for (size_t i = 0; i < sets[s].count; i++) {
            const char *known = sets[s].options[i].key;
            if (strlen(known) >= KEY_LIMIT)
                continue;
            int edits = distance(key, known);
            if (edits <= limit && edits < (int)strlen(known)) {
                limit = edits - 1;
                near = known;
            }
            if (part == NULL && length >= 4 && strstr(known, key) != NULL)
                part = known;
        }
    return near != NULL ? near : part;
}

static hone_status unknown_key(const hone_option_set *sets, size_t count, const char *key,
                               const char *place, hone_error *error)
{
    const char *near = hone_options_nearest(sets, count, key);
    hone_fail(error, HONE_USAGE, "%s: no setting is called '%.200s'", place, key);
    if (near != NULL)
        hone_error_append(error, "; did you mean %s?", near);
    return HONE_USAGE;
}

static hone_status set_text(const hone_option_set *sets, size_t count, const char *key,
                            const char *text, bool append, const char *place, hone_error *error)
{
    const hone_option_set *owner;
    const hone_option *option = hone_options_find(sets, count, key, &owner);
    if (option == NULL)
        return unknown_key(sets, count, key, place, error);
    return hone_option_value_set(option, hone_option_field(owner, option), text, append, place,
                                 error);
}

hone_status hone_options_set_text(const hone_option_set *sets, size_t count, const char *key,
                                  const char *text, const char *place, hone_error *error)
{
    return set_text(sets, count, key, text, false, place, error);
}

hone_status hone_options_add_text(const hone_option_set *sets, size_t count, const char *key,
                                  const char *text, const char *place, hone_error *error)
{
    return set_text(sets, count, key, text, true, place, error);
}

hone_status hone_options_add_item(const hone_option_set *sets, size_t count, const char *key,
                                  const char *item, const char *place, hone_error *error)
{
    const hone_option_set *owner;
    const hone_option *option = hone_options_find(sets, count, key, &owner);
    if (option == NULL)
        return unknown_key(sets, count, key, place, error);
    return hone_option_value_add_item(option, hone_option_field(owner, option), item, place, error);
}

static bool is_null(const hone_yaml_scalar *item)
{
    return item->plain && (item->text[0] == '\0' || strcmp(item->text, "~") == 0 ||
                           strcmp(item->text, "null") == 0 || strcmp(item->text, "Null") == 0 ||
                           strcmp(item->text, "NULL") == 0);
}

static const char *type_name(hone_option_type type)
{
    static const char *const names[] = {"true or false", "an integer",      "a number",
                                        "a text",        "a list of texts", "names with numbers"};
    return names[type];
}

static hone_status apply_entry(const hone_option_set *sets, size_t count,
                               const hone_yaml_entry *entry, hone_error *error)
{
    const hone_option_set *owner;
    const hone_option *option = hone_options_find(sets, count, entry->key, &owner);
    if (option == NULL) {
        const char *near = hone_options_nearest(sets, count, entry->key);
        hone_fail(error, HONE_INPUT, "no setting is called '%.200s'", entry->key);
        if (near != NULL)
            hone_error_append(error, "; did you mean %s?", near);
        return HONE_INPUT;
    }
    void *field = hone_option_field(owner, option);
    bool can_be_unset = option->type >= HONE_OPTION_STRING && option->choices == NULL;
    if (entry->kind == HONE_YAML_SCALAR) {
        bool null = is_null(&entry->items[0]);
        if (null && !can_be_unset)
            return hone_fail(error, HONE_INPUT, "%s: expected %s, found nothing", option->key,
                             type_name(option->type));
        return hone_option_value_set(option, field, null ? "" : entry->items[0].text, false,
                                     option->key, error);
    }
    bool sequence = entry->kind == HONE_YAML_SEQUENCE;
    if (option->type != (sequence ? HONE_OPTION_LIST : HONE_OPTION_MAP))
        return hone_fail(error, HONE_INPUT, "%s: expected %s, found %s", option->key,
                         type_name(option->type), sequence ? "a list" : "a mapping");
    for (size_t i = 0; i < entry->count; i++)
        if (is_null(&entry->items[i]))
            return hone_fail(error, HONE_INPUT, "%s: an item is empty", option->key);
    return hone_option_value_set_items(option, field, entry->items, entry->count, option->key,
                                       error);
}

/* Adds one more problem to the error of a file. */
static void collect(hone_error *all, const hone_error *one, const char *path, int64_t line)
{
    if (all == NULL)
        return;
    if (all->message[0] == '\0')
        hone_fail_at(all, HONE_INPUT, path, line, -1, "%s", one->message);
    else
        hone_error_append(all, "\n  %s:%lld: %s", path, (long long)line, one->message);
}

hone_status hone_options_apply(const hone_option_set *sets, size_t count, const hone_yaml *document,
                               const char *path, hone_error *error)
{
    hone_status status = HONE_OK;
    if (error != NULL)
        error->message[0] = '\0';
    for (size_t i = 0; i < document->count && status != HONE_MEMORY; i++) {
        const hone_yaml_entry *entry = &document->entries[i];
        hone_error one;
        hone_status result = HONE_OK;
        for (size_t j = 0; j < i; j++)
            if (same_key(document->entries[j].key, entry->key))
                result =
                    hone_fail(&one, HONE_INPUT, "key '%.200s' stands twice, first in line %lld",
                              entry->key, (long long)document->entries[j].line);
        if (result == HONE_OK)
            result = apply_entry(sets, count, entry, &one);
        if (result == HONE_OK)
            continue;
        if (result == HONE_MEMORY && error != NULL)
            *error = one;
        else
            collect(error, &one, path, entry->line);
        status = result == HONE_MEMORY ? HONE_MEMORY : HONE_INPUT;
    }
    return status;
}

hone_status hone_options_load(const hone_option_set *sets, size_t count, const char *path,
                              hone_error *error)
{
    char *text;
    size_t length;
    hone_yaml document;
    HONE_TRY(hone_file_load(path, FILE_LIMIT, &text, &length, error));
    hone_status status = hone_yaml_parse(text, length, path, &document, error);
    hone_free(text);
    HONE_TRY(status);
    status = hone_options_apply(sets, count, &document, path, error);
    hone_yaml_deinit(&document);
    return status;
}

/* Whether a text needs no quotes in YAML, whichever reader: words and paths only. */
static bool is_plain(const char *text)
{
    static const char *const words[] = {"null", "true", "false", "yes", "no",
                                        "on",   "off",  "y",     "n"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasecmp(text, words[i]) == 0)
            return false;
    if (!isalpha((unsigned char)text[0]) && text[0] != '/')
        return false;
    for (; *text != '\0'; text++)
        if ((unsigned char)*text >= 0x80 ||
            (!isalnum((unsigned char)*text) && strchr("_./-", *text) == NULL))
            return false;
    return true;
}

/* A number that every YAML reader takes for one: 1e-8 is a text in YAML 1.1, 1.0e-8 is not. */
static bool put_number(hone_yaml *document, const char *key, double value)
{
    char number[32], text[40];
    hone_option_number_text(value, number);
    int mantissa = (int)strcspn(number, "e");
    bool pointless = number[mantissa] == 'e' && strchr(number, '.') == NULL;
    snprintf(text, sizeof text, "%.*s%s%s", mantissa, number, pointless ? ".0" : "",
             number + mantissa);
    return hone_yaml_add_item(document, key, text, true, 0);
}

static bool put_entry(hone_yaml *document, const hone_option *option, const void *field)
{
    if (option->type == HONE_OPTION_LIST) {
        const hone_list *list = field;
        bool made = hone_yaml_add_entry(document, option->key, HONE_YAML_SEQUENCE, 0);
        for (size_t i = 0; made && i < list->count; i++)
            made = hone_yaml_add_item(document, NULL, list->items[i], is_plain(list->items[i]), 0);
        return made;
    }
    if (option->type == HONE_OPTION_MAP) {
        const hone_map *map = field;
        bool made = hone_yaml_add_entry(document, option->key, HONE_YAML_MAPPING, 0);
        for (size_t i = 0; made && i < map->count; i++)
            made = put_number(document, map->keys[i], map->values[i]);
        return made;
    }
    if (option->type == HONE_OPTION_REAL)
        return hone_yaml_add_entry(document, option->key, HONE_YAML_SCALAR, 0) &&
               put_number(document, NULL, *(const double *)field);
    char *text = hone_option_value_text(option, field);
    if (text == NULL)
        return false;
    bool unset = option->type == HONE_OPTION_STRING && text[0] == '\0';
    bool plain =
        option->type != HONE_OPTION_STRING || option->choices != NULL || unset || is_plain(text);
    bool made = hone_yaml_add_entry(document, option->key, HONE_YAML_SCALAR, 0) &&
                hone_yaml_add_item(document, NULL, unset ? "null" : text, plain, 0);
    hone_free(text);
    return made;
}

hone_status hone_options_save(const hone_option_set *sets, size_t count, const char *path,
                              hone_error *error)
{
    hone_yaml document = {0};
    bool made = true;
    for (size_t s = 0; made && s < count; s++)
        for (size_t i = 0; made && i < sets[s].count; i++)
            made = put_entry(&document, &sets[s].options[i],
                             hone_option_field(&sets[s], &sets[s].options[i]));
    char *text = NULL;
    size_t length = 0;
    hone_status status =
        made ? hone_yaml_dump(&document, &text, &length, error) : hone_fail_memory(error, path, 0);
    hone_yaml_deinit(&document);
    if (status == HONE_OK)
        status = hone_file_write(path, text, length, error);
    hone_free(text);
    return status;
}

char *hone_options_get_text(const hone_option_set *set, const hone_option *option)
{
    return hone_option_value_text(option, hone_option_field(set, option));
}

void hone_options_free_text(char *text)
{
    hone_free(text);
}
