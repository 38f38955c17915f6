/* A model as a flat list of operations over named values and weights. Families write it
 * (src/model), adapters rewrite it (src/adapter), the plan reads it. */
#ifndef HONE_GRAPH_PROGRAM_H
#define HONE_GRAPH_PROGRAM_H

#include "base/failure.h"
#include "base/memory.h"
#include "op/op.h"

typedef enum hone_value_type {
    HONE_VALUE_COMPUTE, /* of the plan's compute type */
    HONE_VALUE_F32      /* residual stream, statistics */
} hone_value_type;

typedef struct hone_value {
    const char *name; /* for reports */
    int64_t width;
    hone_value_type type;
} hone_value;

typedef struct hone_program {
    hone_arena names;
    hone_value *values;
    hone_weight *weights;
    hone_op *ops;
    size_t value_count, weight_count, op_count;
    size_t value_capacity, weight_capacity, op_capacity;
    uint32_t sites;
    bool failed; /* memory ran out while building; hone_program_check says so */
    /* facts of the model */
    int64_t vocabulary, context_length, width, layers;
    int64_t usual_length;  /* longest document where none is set: context_length, unless positions
                              are relative and know no limit */
    bool encoder_decoder;  /* batches have a source */
    int32_t decoder_start; /* id that a target begins from, with encoder_decoder */
} hone_program;

/* Builders return the number of what they added, or -1 after a failure of memory, which sticks:
 * callers check once with hone_program_check. Names are copied. */
void hone_program_init(hone_program *program);
void hone_program_deinit(hone_program *program);
hone_status hone_program_check(const hone_program *program, hone_error *error);

int hone_program_value(hone_program *program, hone_value_type type, int64_t width,
                       const char *name_format, ...) HONE_PRINTF(4, 5);
/* Copies the description; its name is made from the format. */
int hone_program_weight(hone_program *program, hone_weight weight, const char *name_format, ...)
    HONE_PRINTF(3, 4);
/* An op with all references -1. */
hone_op hone_op_blank(hone_op_code code, int layer);
/* Inserts at `place` (op_count appends); the name is copied; `site` is given. Returns place. */
int hone_program_insert(hone_program *program, size_t place, hone_op op, const char *name);
int hone_program_append(hone_program *program, hone_op op, const char *name_format, ...)
    HONE_PRINTF(3, 4);
/* Makes every op from `start` on that reads value `from` read `to`. */
void hone_program_redirect(hone_program *program, size_t start, int from, int to);
/* Number of a weight or of a LINEAR op by name, or -1. */
int hone_program_find_weight(const hone_program *program, const char *name);
int hone_program_find_linear(const hone_program *program, const char *module);

#endif
