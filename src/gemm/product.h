/* Arithmetic on places and sizes that the ways of multiplying share. */
#ifndef HONE_GEMM_PRODUCT_H
#define HONE_GEMM_PRODUCT_H

#include "gemm/matmul.h"

static inline int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static inline int64_t round_up(int64_t value, int64_t step)
{
    return divide_up(value, step) * step;
}

static inline int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline const char *operand_at(const hone_matrix *matrix, int64_t row, int64_t column)
{
    int64_t at = row * matrix->row_stride + column * matrix->column_stride;
    return (const char *)matrix->data + at * (int64_t)hone_dtype_size(matrix->dtype);
}

static inline char *result_at(const hone_product *p, int64_t row, int64_t column)
{
    return (char *)p->c + (row * p->c_stride + column) * (int64_t)hone_dtype_size(p->c_dtype);
}

#endif
