/* Products on operands that were laid out for the registers, and stay laid out for several
 * products: what attention needs, whose keys and values meet block after block of queries. A
 * library's product would lay them out each time.
 *
 * The unit of a step is four bytes: one f32, or two bf16 that follow each other along K. One step
 * multiplies a unit of A with units of B: acc += a b, or acc += a0 b0 + a1 b1 (AVX512_BF16's dot
 * product; it treats denormal numbers as zeros). A is read unit by unit from anywhere. B's units
 * lie in panels of HONE_PANEL_COLUMNS columns; those of one step are side by side. */
#ifndef HONE_GEMM_PANEL_H
#define HONE_GEMM_PANEL_H

#include "gemm/matmul.h"

enum {
    HONE_PANEL_COLUMNS = 32, /* of a panel */
    HONE_PANEL_HALF = 16     /* N is a multiple of this; the last panel may be a half */
};

static inline int64_t hone_panel_units(hone_dtype dtype) /* elements of one */
{
    return dtype == HONE_BF16 ? 2 : 1;
}

/* C (m, n) = A B or C += A B over `steps` steps, and bias (n) when it is not NULL. Strides and
 * distances of A and B are in units. */
typedef struct hone_panel_product {
    int64_t m, n, steps;
    const void *a; /* unit (i, s) is at i a_row + s a_step */
    int64_t a_row, a_step;
    const void *b; /* step s of panel j starts at j b_panel + s b_step */
    int64_t b_panel, b_step;
    void *c;
    hone_dtype c_dtype; /* F32 or BF16 */
    int64_t c_stride;
    bool accumulate;
    const float *bias;
} hone_panel_product;

typedef struct hone_panel_kernels {
    void (*multiply)(const hone_panel_product *product);
    /* B of a product with the transposed of X (rows, width): X's rows become columns. to: whole
     * panels of width / units steps, X's missing rows zeros. */
    void (*lay_transposed)(const void *x, int64_t stride, int64_t rows, int64_t width, void *to);
    /* Rows of X (rows, width) as steps, `apart` units from each other: copied, or two rows of bf16
     * taken together (a missing one is zero). to may be x, when apart is 2 rows of it: each pair
     * then covers its own two rows. */
    void (*lay_rows)(const void *x, int64_t stride, int64_t rows, int64_t width, void *to,
                     int64_t apart);
} hone_panel_kernels;

/* A product whose A lies in rows, `a_row` units apart, and whose B lay_transposed has made. What C
 * is is left to the caller. */
static inline hone_panel_product hone_panel_transposed(const void *a, int64_t a_row, const void *b,
                                                       int64_t steps)
{
    return (hone_panel_product){.steps = steps,
                                .a = a,
                                .a_row = a_row,
                                .a_step = 1,
                                .b = b,
                                .b_panel = steps * HONE_PANEL_COLUMNS,
                                .b_step = HONE_PANEL_COLUMNS};
}

enum { HONE_PANEL_ROOM = 512 << 10 }; /* bytes for a thread's laid out operands */

/* Computes p, on this thread or on the pool, when it has room and its shape suits the kernels;
 * false: not done. An element's sum has one order, whatever the other rows and columns are. */
bool hone_panel_matmul(const hone_product *p);
bool hone_panel_matmul_parallel(const hone_product *p);

/* The kernels for F32 or BF16 operands, or NULL: this processor has none, or has faster products in
 * the library (tiles). Strides of operands are in their own elements. */
const hone_panel_kernels *hone_panel_kernels_of(hone_dtype dtype);

#endif
