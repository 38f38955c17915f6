/* Matrix products of any strides and types. One call is sequential on the calling thread; the
 * parallel form cuts the result into tiles for the pool. The library behind it (oneDNN) is seen by
 * onednn.c alone; reference.c holds the naive loops that it is tested against and that stand in
 * where it declines. */
#ifndef HONE_GEMM_MATMUL_H
#define HONE_GEMM_MATMUL_H

#include "base/failure.h"
#include "tensor/dtype.h"

#include <stdbool.h>

typedef struct hone_matrix {
    const void *data;
    hone_dtype dtype;                  /* F32 or BF16 */
    int64_t row_stride, column_stride; /* in elements; one of them is 1 */
} hone_matrix;

/* C (M,N) = A (M,K) B (K,N), or C += when `accumulate`; then bias (N, f32) is added when not NULL.
 * Where A and B have two types, the F32 one is narrowed to BF16 first. C is F32 or BF16 with column
 * stride 1. Sums are f32. With room for operands (hone_matmul_room bytes, HONE_ALIGNMENT) products
 * of many rows go through the kernels of panel.h where there are any; without, through the library.
 */
typedef struct hone_product {
    int64_t m, n, k;
    hone_matrix a, b;
    void *c;
    hone_dtype c_dtype;
    int64_t c_stride;
    bool accumulate;
    const float *bias;
    void *room; /* or NULL */
} hone_product;

void hone_matmul(const hone_product *product);          /* on this thread */
void hone_matmul_parallel(const hone_product *product); /* on the pool; same bits for any threads */
void hone_matmul_reference(const hone_product *product);

/* Bytes of room for products of a type by so many threads (1 for hone_matmul): 0 where there are no
 * kernels for it. */
size_t hone_matmul_room(hone_dtype dtype, int threads);

/* Can bf16 products run in hardware here, and are they faster than f32 ones (measured once)? */
bool hone_matmul_bf16_is_fast(void);
/* The instruction set in use, for reports: "avx512_core_bf16". */
const char *hone_matmul_isa(void);
/* Frees cached primitives and scratch. */
void hone_matmul_shutdown(void);

#endif
