/* Option tables. A settings struct and its table come from one X-macro list, so that flags, YAML,
 * JSON, --help, validation and documentation can't disagree about a key, a type or a default.
 *
 * A list has rows X(TYPE, key, "default", minimum, maximum, "choices", "METAVAR", "help"):
 *   TYPE     BOOL INTEGER REAL STRING LIST MAP
 *   key      the field's name; the YAML and JSON key; the flag with dashes for underscores
 *   default  as a user would write it; "" for an unset STRING, LIST or MAP
 *   minimum, maximum  inclusive, for INTEGER and REAL
 *   choices  "a|b|c" for a STRING with a fixed set, else NULL
 * 0 is a value, never "default". NULL STRING means unset. */
#ifndef HONE_OPTIONS_H
#define HONE_OPTIONS_H

#include <hone/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum hone_option_type {
    HONE_OPTION_BOOL,    /* bool */
    HONE_OPTION_INTEGER, /* int64_t */
    HONE_OPTION_REAL,    /* double */
    HONE_OPTION_STRING,  /* char *, owned; NULL when unset */
    HONE_OPTION_LIST,    /* hone_list, owned */
    HONE_OPTION_MAP      /* hone_map, owned: text to number, in the order given */
} hone_option_type;

typedef struct hone_list {
    char **items;
    size_t count;
} hone_list;

typedef struct hone_map {
    char **keys;
    double *values;
    size_t count;
} hone_map;

typedef bool hone_option_BOOL;
typedef int64_t hone_option_INTEGER;
typedef double hone_option_REAL;
typedef char *hone_option_STRING;
typedef hone_list hone_option_LIST;
typedef hone_map hone_option_MAP;

typedef struct hone_option {
    const char *key;
    hone_option_type type;
    size_t offset; /* of the field in its struct */
    const char *default_value;
    double minimum, maximum;
    const char *choices, *metavar, *help;
} hone_option;

/* A table bound to the struct it describes. Several make one command's options. */
typedef struct hone_option_set {
    const hone_option *options;
    size_t count;
    void *object;
    const char *title; /* heading in --help */
} hone_option_set;

#define HONE_OPTION_FIELD(type, key, value, minimum, maximum, choices, metavar, help)              \
    hone_option_##type key;

/* Fills every field with its default. On failure nothing is left to free. */
hone_status hone_options_init(const hone_option_set *set, hone_error *error);
void hone_options_deinit(const hone_option_set *set);
/* Finds a key in several sets ('-' and '_' are the same); NULL when unknown. */
const hone_option *hone_options_find(const hone_option_set *sets, size_t count, const char *key,
                                     const hone_option_set **owner);
/* The known key nearest to a misspelt one (edit distance), or NULL when none is near. */
const char *hone_options_nearest(const hone_option_set *sets, size_t count, const char *key);
/* Sets one key from text: numbers are checked for form and range, choices for membership; a LIST
 * takes commas, a MAP "key=value,key=value", both JSON too. A LIST's text with a character of
 * regular expressions in it ( [ { \ * + ? | ^ $ is one item, as is any where the metavar is TEXT.
 * `place` ("--r") starts the message. HONE_USAGE, with the old value kept. */
hone_status hone_options_set_text(const hone_option_set *sets, size_t count, const char *key,
                                  const char *text, const char *place, hone_error *error);
/* Appends to a LIST (repeated flags); other types are replaced. */
hone_status hone_options_add_text(const hone_option_set *sets, size_t count, const char *key,
                                  const char *text, const char *place, hone_error *error);
/* Appends one item to a LIST as it is, be it empty, with commas or in brackets. */
hone_status hone_options_add_item(const hone_option_set *sets, size_t count, const char *key,
                                  const char *item, const char *place, hone_error *error);
/* Reads a YAML (or JSON) file of "key: value"; lists as sequences, maps as mappings; null unsets a
 * STRING, LIST or MAP. Unknown and repeated keys are errors with line and nearest known name;
 * HONE_INPUT lists all that is wrong. */
hone_status hone_options_load(const hone_option_set *sets, size_t count, const char *path,
                              hone_error *error);
/* Writes all values as YAML that hone_options_load reads back to the same. Atomic. */
hone_status hone_options_save(const hone_option_set *sets, size_t count, const char *path,
                              hone_error *error);
/* One value as hone_options_set_text takes it, to a fresh string (hone_options_free_text). */
char *hone_options_get_text(const hone_option_set *set, const hone_option *option);
void hone_options_free_text(char *text);

#endif
