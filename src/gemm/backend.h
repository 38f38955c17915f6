/* The calls into the product library, all in onednn.c. Strict shapes, one thread each. */
#ifndef HONE_GEMM_BACKEND_H
#define HONE_GEMM_BACKEND_H

#include "gemm/matmul.h"

/* C = A B or C += A B, f32 throughout; the bias is left to the caller. False: not done. */
bool hone_backend_f32(const hone_product *product);
/* The same with bf16 A and B, and with the bias; C f32 or bf16. False when this processor has no
 * such product. */
bool hone_backend_bf16(const hone_product *product);
/* To be called once by every thread that calls the others: the library must not start its own. */
void hone_backend_enter(void);
const char *hone_backend_isa(void);
void hone_backend_shutdown(void);

#endif
