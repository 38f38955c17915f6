/* The schedule of a program and the place of every value: which values need a gradient, which are
 * kept for backward, which are computed again, and where each lives in one block of memory. */
#ifndef HONE_GRAPH_PLAN_H
#define HONE_GRAPH_PLAN_H

#include "graph/program.h"

typedef struct hone_plan_options {
    int64_t rows;       /* most rows of a batch */
    hone_dtype compute; /* F32 or BF16 */
    bool training;      /* with backward */
    bool checkpointing; /* keep only what enters each layer */
} hone_plan_options;

/* One buffer: a value or a gradient between its first and last use, or a step's scratch. */
typedef struct hone_buffer {
    int value; /* number of the value; -1: scratch */
    bool gradient;
    hone_dtype dtype;
    int64_t width;
    int first, last; /* steps */
    size_t size, offset;
} hone_buffer;

typedef enum hone_phase { HONE_FORWARD, HONE_RECOMPUTE, HONE_BACKWARD } hone_phase;

/* One step: an op, a direction, and the buffers that it works on (-1: none). */
typedef struct hone_step {
    int op;
    hone_phase phase;
    int in[HONE_OP_INPUTS], out[HONE_OP_OUTPUTS];
    int d_in[HONE_OP_INPUTS], d_out, scratch;
    bool accumulate[HONE_OP_INPUTS];
} hone_step;

typedef struct hone_plan {
    const hone_program *program; /* borrowed */
    hone_plan_options options;
    hone_step *steps;
    size_t step_count, step_capacity;
    hone_buffer *buffers;
    size_t buffer_count, buffer_capacity;
    size_t value_bytes; /* the block of values and scratch */
} hone_plan;

hone_status hone_plan_create(const hone_program *program, const hone_plan_options *options,
                             hone_plan *out, hone_error *error);
void hone_plan_free(hone_plan *plan);

#endif
