/* Which of the kernels' instruction sets this processor runs. */
#ifndef HONE_BASE_ISA_H
#define HONE_BASE_ISA_H

#include <stdbool.h>

/* 0: x86-64-v2 (or not x86), 1: v3 (AVX2, FMA), 2: v4 (AVX-512). HONE_ISA=v2|v3|v4 in the
 * environment lowers it, for tests. */
int hone_isa_level(void);
/* v4, and dot products of bf16 pairs (AVX512_BF16) too; not with HONE_ISA=v4. */
bool hone_isa_bf16_dots(void);
const char *hone_isa_name(void); /* "x86-64-v4" */

#endif
