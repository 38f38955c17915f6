/* The operations of one instruction set, by code. */
#include "op/kernel.h"

#define DECLARE(name, symbol) extern const hone_op_kind HONE_ISA_NAME(hone_op_##symbol);
HONE_OP_LIST(DECLARE)

extern const hone_op_kind *const HONE_ISA_NAME(hone_op_table)[HONE_OP_COUNT];
const hone_op_kind *const HONE_ISA_NAME(hone_op_table)[HONE_OP_COUNT] = {
#define ENTRY(name, symbol) [HONE_OP_##name] = &HONE_ISA_NAME(hone_op_##symbol),
    HONE_OP_LIST(ENTRY)
#undef ENTRY
};
