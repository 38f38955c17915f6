/* One option's value: from text, from the items of a file, and back to text. */
#ifndef HONE_BASE_OPTION_VALUE_H
#define HONE_BASE_OPTION_VALUE_H

#include "base/failure.h"
#include "base/yaml.h"

#include <hone/options.h>

/* The field of an option in the object its set is bound to. */
static inline void *hone_option_field(const hone_option_set *set, const hone_option *option)
{
    return (char *)set->object + option->offset;
}

void hone_option_value_zero(const hone_option *option, void *field);
void hone_option_value_free(const hone_option *option, void *field); /* leaves it zero */
/* From text as hone_options_set_text takes it. The old value is released, or, for a LIST with
 * `append`, kept before the new ones. On failure the old value stands. */
hone_status hone_option_value_set(const hone_option *option, void *field, const char *text,
                                  bool append, const char *place, hone_error *error);
/* Appends one item to a LIST as it is, be it empty. On failure the old value stands. */
hone_status hone_option_value_add_item(const hone_option *option, void *field, const char *item,
                                       const char *place, hone_error *error);
/* A LIST from the items of a sequence, taken as they are; a MAP from those of a mapping. */
hone_status hone_option_value_set_items(const hone_option *option, void *field,
                                        const hone_yaml_scalar *items, size_t count,
                                        const char *place, hone_error *error);
/* Applies a document's entries to sets: what hone_options_load does with a file. HONE_INPUT lists
 * all that is wrong. */
hone_status hone_options_apply(const hone_option_set *sets, size_t count, const hone_yaml *document,
                               const char *path, hone_error *error);
/* Fresh text that hone_option_value_set reads back to the same; NULL when out of memory. */
char *hone_option_value_text(const hone_option *option, const void *field);
/* A decimal number, the point a point in every locale; false when the text is none, or not finite.
 */
bool hone_option_number_read(const char *text, double *value);
/* Shortest text of a number that reads back to the same bits. */
void hone_option_number_text(double value, char buffer[32]);

#endif
