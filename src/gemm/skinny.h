/* Products of few rows, as decoding makes them: what counts is to read the weights once. A weight
 * stored by rows (Conv1D) is cut into panels of columns, one stored by columns (Linear, an
 * embedding used as head) into runs of dot products. */
#ifndef HONE_GEMM_SKINNY_H
#define HONE_GEMM_SKINNY_H

#include "gemm/matmul.h"

enum {
    HONE_SKINNY_ROWS = 16, /* most rows */
    HONE_SKINNY_PAD = 32   /* rows of x and of sums are padded to a multiple of this */
};

/* Computes p on the pool when m is small and A and B lie plainly; false: not done. Each element is
 * summed in an order that does not depend on m, so a row's result is the same whatever is beside
 * it. */
bool hone_skinny_matmul(const hone_product *p);

/* The kernels, compiled once for each instruction set. x (m, x_stride): the rows of A as spread()
 * makes them; sums (m, sums_stride): scratch. Both strides are in elements, at least k and n
 * rounded up to HONE_SKINNY_PAD. */
typedef struct hone_skinny_kernels {
    /* x from the rows of A, padded with zeros; elements of 4 bytes at most. */
    void (*spread)(const hone_product *p, void *x, int64_t x_stride);
    /* Columns [first, last) of the result for B stored by rows; first is a multiple of
     * HONE_SKINNY_PAD. */
    void (*panel)(const hone_product *p, const void *x, int64_t x_stride, int64_t first,
                  int64_t last, float *sums, int64_t sums_stride);
    /* The same for B stored by columns. */
    void (*dots)(const hone_product *p, const void *x, int64_t x_stride, int64_t first,
                 int64_t last);
} hone_skinny_kernels;

#endif
