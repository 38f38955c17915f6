/* The schedule of a program and the place of every value: which values need a gradient, which are
 * kept for backward, which are computed again, and where each lives in one block of memory. */
#ifndef HONE_GRAPH_PLAN_H
#define HONE_GRAPH_PLAN_H

#include "graph/program.h"

/* What of an encoder-decoder model runs. With a cache the source part runs once for each document,
 * and leaves the keys and values of cross attention there; the target part reads them. */
typedef enum hone_part { HONE_PART_ALL, HONE_PART_SOURCE, HONE_PART_TARGET } hone_part;

typedef struct hone_plan_options {
    int64_t rows;        /* most rows of a batch's target */
    hone_dtype compute;  /* F32 or BF16 */
    bool training;       /* with backward; of all parts */
    bool checkpointing;  /* keep only what enters each layer */
    int64_t source_rows; /* most rows of its source; 0 for decoder-only models */
    int64_t longest;     /* most keys that a segment attends to, those in a cache among them; 0: as
                            many as there are rows */
    hone_part part;
} hone_plan_options;

/* One buffer: a value or a gradient between its first and last use, or a step's scratch. */
typedef struct hone_buffer {
    int value; /* number of the value; -1: scratch */
    bool gradient;
    hone_dtype dtype;
    int64_t width;
    bool source;     /* has the source's rows, not the target's */
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
