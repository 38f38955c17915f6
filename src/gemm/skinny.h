/* Products of few rows, as decoding makes them: what counts is to read the weights once, in the
 * order of memory. A weight stored by rows (Conv1D) is cut into slabs of rows, each thread summing
 * its own slabs; one stored by columns (an embedding used as head) into runs of dot products. */
#ifndef HONE_GEMM_SKINNY_H
#define HONE_GEMM_SKINNY_H

#include "gemm/matmul.h"

enum {
    HONE_SKINNY_ROWS = 16, /* most rows */
    HONE_SKINNY_PAD = 32   /* rows of x are padded to a multiple of this */
};

/* Computes p on the pool when m is small and A and B lie plainly; false: not done. Each element is
 * summed in an order that does not depend on m, so a row's result is the same whatever is beside
 * it. */
bool hone_skinny_matmul(const hone_product *p);

/* The kernels, compiled once for each instruction set. x (m, x_stride): the rows of A in f32. */
typedef struct hone_skinny_kernels {
    /* x from the rows of A, in the order that dots() wants for B's type. x_stride >= k rounded up
     * to HONE_SKINNY_PAD; padded with zeros. */
    void (*spread)(const hone_product *p, float *x, int64_t x_stride);
    /* sums (m, sums_stride) = x[:, first:last] B[first:last, :], for B stored by rows. */
    void (*slab)(const hone_product *p, const float *x, int64_t x_stride, int64_t first,
                 int64_t last, float *sums, int64_t sums_stride);
    /* Columns [first, last) of the result, for B stored by columns. */
    void (*dots)(const hone_product *p, const float *x, int64_t x_stride, int64_t first,
                 int64_t last);
} hone_skinny_kernels;

/* Puts n sums into row `row` of the result from `column` on, with bias, type and accumulation. */
void hone_skinny_put(const hone_product *p, int64_t row, int64_t column, const float *sums,
                     int64_t n);

#endif
