/* Choosing the kernels: the operations are compiled for x86-64-v2, v3 and v4 (or once, elsewhere);
 * the best that the processor runs is taken, once. */
#include "op/op.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define DECLARE(isa) extern const hone_op_kind *const hone_op_table_##isa[HONE_OP_COUNT];
#if defined(__x86_64__)
DECLARE(v2)
DECLARE(v3)
DECLARE(v4)
#else
DECLARE(base)
#endif

static const hone_op_kind *const *chosen;
static const char *chosen_name;

static void choose(void)
{
#if defined(__x86_64__)
    const char *limit = getenv("HONE_ISA");
    bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
              __builtin_cpu_supports("bmi2");
    bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
              __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    if (limit != NULL && strcmp(limit, "v2") == 0)
        v3 = v4 = false;
    if (limit != NULL && strcmp(limit, "v3") == 0)
        v4 = false;
    chosen = v4 ? hone_op_table_v4 : v3 ? hone_op_table_v3 : hone_op_table_v2;
    chosen_name = v4 ? "x86-64-v4" : v3 ? "x86-64-v3" : "x86-64-v2";
#else
    chosen = hone_op_table_base;
    chosen_name = "base";
#endif
}

const hone_op_kind *hone_op_kind_of(hone_op_code code)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, choose);
    return chosen[code];
}

const char *hone_op_isa(void)
{
    hone_op_kind_of(HONE_OP_EMBEDDING);
    return chosen_name;
}
