/* A weight of a program: where it is on disk, how it is kept, and whether it is trained. */
#ifndef HONE_GEMM_WEIGHT_H
#define HONE_GEMM_WEIGHT_H

#include "tensor/dtype.h"

#include <stdbool.h>

typedef enum hone_weight_use {
    HONE_WEIGHT_MATRIX, /* multiplied or looked up: kept in the compute type */
    HONE_WEIGHT_VECTOR, /* norms, biases: kept in f32 */
    HONE_WEIGHT_ADAPTER /* an adapter's tensor: kept in f32, of any shape */
} hone_weight_use;

typedef struct hone_weight {
    const char *name; /* full name in Transformers' class, or the adapter's key without prefix */
    hone_weight_use use;
    int dims;              /* on disk: 1 or 2 */
    int64_t rows, columns; /* shape on disk; a vector has columns = 1 */
    bool transposed;       /* MATRIX of a linear: false (out,in); true (in,out), as Conv1D */
    bool trainable;
    bool decay;     /* weight decay applies: a matrix, not a bias, norm or IA3 vector */
    float init_std; /* initialization from scratch: N(0, init_std); 0: constant */
    float init_constant;

    hone_dtype dtype;
    void *data;      /* what products read; equals master where dtype is F32 and trainable */
    float *master;   /* trainable: its f32 values in the parameter block, else NULL */
    float *gradient; /* trainable: its gradient, same place in the gradient block, else NULL */
} hone_weight;

static inline int64_t hone_weight_elements(const hone_weight *weight)
{
    return weight->rows * weight->columns;
}

#endif
