/* Which of the kernels' instruction sets this processor runs. */
#ifndef HONE_BASE_ISA_H
#define HONE_BASE_ISA_H

/* 0: x86-64-v2 (or not x86), 1: v3 (AVX2, FMA), 2: v4 (AVX-512). HONE_ISA=v2|v3 in the environment
 * lowers it, for tests. */
int hone_isa_level(void);
const char *hone_isa_name(void); /* "x86-64-v4" */

#endif
