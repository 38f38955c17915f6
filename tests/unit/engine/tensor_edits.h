/* Files of tensors that differ from a golden one by a few changes. */
#ifndef HONE_TESTS_TENSOR_EDITS_H
#define HONE_TESTS_TENSOR_EDITS_H

#include "file/weight_source.h"

/* A change to one tensor of a file; name NULL ends a list. */
typedef struct edit {
    enum { DROP, RENAME, RESHAPE, RETYPE, ADD, SET, STRIP } kind;
    const char *name;      /* STRIP: what is taken off the front of every name */
    const char *other;     /* RENAME: its new name; ADD: a copy under this one */
    int64_t rows, columns; /* RESHAPE: columns 0: one dimension; values are cut or repeated */
    hone_dtype type;       /* RETYPE */
    float value;           /* SET: of the element in the middle */
} edit;

/* Reads a file of tensors as F32, changes it, and writes it as `to`. */
void rewrite_tensors(const char *from, const char *to, const edit *edits);

#endif
