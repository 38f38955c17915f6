/* The YAML that run files use: one mapping at the top whose values are scalars, sequences of
 * scalars, or mappings of scalars; and books, whose mapping holds such documents. The library
 * behind it (libyaml) is seen by yaml.c alone. Its memory is its own: libyaml has no allocator
 * hook. */
#ifndef HONE_BASE_YAML_H
#define HONE_BASE_YAML_H

#include "base/memory.h"

#include "base/failure.h"

typedef enum hone_yaml_kind {
    HONE_YAML_SCALAR,
    HONE_YAML_SEQUENCE,
    HONE_YAML_MAPPING
} hone_yaml_kind;

typedef struct hone_yaml_scalar {
    const char *key;  /* in a mapping, else NULL */
    const char *text; /* without NUL inside, UTF-8 */
    bool plain;       /* not quoted: a plain "null" or "" is no value */
    int64_t line;
} hone_yaml_scalar;

typedef struct hone_yaml_entry {
    const char *key;
    hone_yaml_kind kind;
    int64_t line;
    hone_yaml_scalar *items; /* one for a scalar */
    size_t count, capacity;
} hone_yaml_entry;

/* Owns all its texts. Zero is an empty one. */
typedef struct hone_yaml {
    hone_yaml_entry *entries;
    size_t count, capacity;
    hone_arena arena;
} hone_yaml;

/* Parses a whole document; `file` is only named in errors. Anchors, aliases, tags, repeated keys,
 * several documents and deeper nesting are HONE_INPUT with the line. */
hone_status hone_yaml_parse(const char *text, size_t length, const char *file, hone_yaml *out,
                            hone_error *error);
void hone_yaml_deinit(hone_yaml *document);

/* A document within a book: the value of a key at the top, or one of the items of its value. */
typedef struct hone_yaml_section {
    const char *key;
    int64_t line;
    hone_yaml body;
} hone_yaml_section;

/* Zero is an empty one. */
typedef struct hone_yaml_book {
    hone_yaml top; /* the keys whose values are scalars and sequences of scalars */
    hone_yaml_section *sections;
    size_t count, capacity;
} hone_yaml_book;

/* The same for a book: values at the top may also be documents and sequences of documents. */
hone_status hone_yaml_parse_book(const char *text, size_t length, const char *file,
                                 hone_yaml_book *out, hone_error *error);
void hone_yaml_book_deinit(hone_yaml_book *book);

/* Builders: false when out of memory. Texts are copied. Entries and items are added at the end. */
bool hone_yaml_add_entry(hone_yaml *document, const char *key, hone_yaml_kind kind, int64_t line);
bool hone_yaml_add_item(hone_yaml *document, const char *key, const char *text, bool plain,
                        int64_t line);
/* Text of a document that parses back to it, free with hone_free. */
hone_status hone_yaml_dump(const hone_yaml *document, char **text, size_t *length,
                           hone_error *error);

#endif
