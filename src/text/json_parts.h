/* Reading the members of tokenizer.json that all models share. Everything here names the member and
 * the file in its errors; values borrow from the document. */
#ifndef HONE_TEXT_JSON_PARTS_H
#define HONE_TEXT_JSON_PARTS_H

#include "text/tokenizer_parts.h"

/* What a value is, for messages: "a string", "nothing" where absent. */
const char *hone_json_part_name(const hone_json *value);
bool hone_json_part_null(const hone_json *value); /* null or absent */
hone_status hone_json_part_expect(const hone_json *value, hone_json_type type, const char *what,
                                  const char *file, hone_error *error);
/* A flag; stays as it is when absent or null. */
hone_status hone_json_part_flag(const hone_json *object, const char *key, bool *flag,
                                const char *file, hone_error *error);
/* A member that is a string. */
hone_status hone_json_part_string(const hone_json *object, const char *key, const char **text,
                                  size_t *length, const char *file, hone_error *error);
/* The member "type" of a component. */
hone_status hone_json_part_type(const hone_json *component, const char *what, const char **type,
                                const char *file, hone_error *error);
hone_status hone_json_part_unsupported(const char *what, const char *found, const char *expected,
                                       const char *file, hone_error *error);

/* The components of a Sequence whose list is the member `key`, or the component alone; none where
 * it is null. */
typedef struct hone_json_parts {
    const hone_json *list; /* NULL: `single` alone */
    const hone_json *single;
    size_t count;
} hone_json_parts;

hone_status hone_json_parts_open(hone_json_parts *parts, const hone_json *component,
                                 const char *what, const char *key, const char *file,
                                 hone_error *error);
const hone_json *hone_json_parts_at(const hone_json_parts *parts, size_t index);

/* The tokens that a template puts around a text: load->first and load->last. */
hone_status hone_tokenizer_read_post_processor(hone_tokenizer_load *load,
                                               const hone_json *component, const char *file,
                                               hone_error *error);
/* The list added_tokens, which may be absent. */
hone_status hone_tokenizer_read_added(hone_tokenizer_load *load, const hone_json *list,
                                      const char *file, hone_error *error);
/* A tokenizer.json whose model is Unigram. */
hone_status hone_tokenizer_read_unigram(hone_tokenizer_load *load, const hone_json *root,
                                        const char *file, hone_error *error);

#endif
