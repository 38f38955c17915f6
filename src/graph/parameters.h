/* What is trained: one contiguous block of f32 values, one of gradients, and a table. Optimizer,
 * clipping and checkpoint are single loops over it. */
#ifndef HONE_GRAPH_PARAMETERS_H
#define HONE_GRAPH_PARAMETERS_H

#include "graph/program.h"

typedef struct hone_parameter {
    const char *name;              /* the weight's */
    int64_t offset, rows, columns; /* in elements */
    int dims;
    bool decay;
} hone_parameter;

typedef struct hone_parameters {
    hone_parameter *items;
    size_t count;
    int64_t elements;          /* of each block, padded so that parameters start on 64 bytes */
    int64_t trainable;         /* elements without padding */
    float *values, *gradients; /* gradients NULL until asked for */
} hone_parameters;

/* Lays out the trainable weights of a program and points their master (and gradient) at the
 * blocks. Weights are borrowed: the program must outlive the table. */
hone_status hone_parameters_create(hone_program *program, bool with_gradients, hone_parameters *out,
                                   hone_error *error);
void hone_parameters_free(hone_parameters *parameters);

#endif
