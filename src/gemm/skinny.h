/* Products of few rows, as decoding makes them: each weight is read once and used for all rows. */
#ifndef HONE_GEMM_SKINNY_H
#define HONE_GEMM_SKINNY_H

#include "gemm/matmul.h"

enum { HONE_SKINNY_ROWS = 16 }; /* most rows */

/* Computes p on the pool when m is small and B is laid out plainly; false: not done. Each element
 * is summed in an order that does not depend on m, so a row's result is the same whatever is
 * beside it. */
bool hone_skinny_matmul(const hone_product *p);

/* Columns [first, last) of the product; compiled once for each instruction set. */
typedef void (*hone_skinny_fn)(const hone_product *p, int64_t first, int64_t last);

#endif
