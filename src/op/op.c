/* Choosing the kernels: the operations are compiled for x86-64-v2, v3 and v4 (or once, elsewhere);
 * the best that the processor runs is taken, once. */
#include "op/op.h"

#include "base/isa.h"

#include <pthread.h>

#define DECLARE(isa) extern const hone_op_kind *const hone_op_table_##isa[HONE_OP_COUNT];
#if defined(__x86_64__)
DECLARE(v2)
DECLARE(v3)
DECLARE(v4)
#else
DECLARE(base)
#endif

static const hone_op_kind *const *chosen;

static void choose(void)
{
#if defined(__x86_64__)
    static const hone_op_kind *const *const tables[] = {hone_op_table_v2, hone_op_table_v3,
                                                        hone_op_table_v4};
    chosen = tables[hone_isa_level()];
#else
    chosen = hone_op_table_base;
#endif
}

const hone_op_kind *hone_op_kind_of(hone_op_code code)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, choose);
    return chosen[code];
}
