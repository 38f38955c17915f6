/* Walks a plan over a batch. It knows no operation by name but the head, whose results it hands
 * out. */
#ifndef HONE_GRAPH_EXECUTOR_H
#define HONE_GRAPH_EXECUTOR_H

#include "graph/plan.h"

/* Key/value cache of a generation: one share for each attention op. */
typedef struct hone_cache {
    int64_t slots, capacity;
    hone_dtype dtype;
    void *block;
    size_t size;
    size_t shares; /* attention ops of the program */
    int64_t width; /* of a key row */
} hone_cache;

hone_status hone_cache_create(const hone_program *program, hone_dtype dtype, int64_t slots,
                              int64_t capacity, hone_cache *out, hone_error *error);
void hone_cache_free(hone_cache *cache);
/* Copies the first `rows` rows of a slot to another (several continuations of one prompt). */
void hone_cache_copy(hone_cache *cache, int from, int to, int64_t rows);

typedef struct hone_executor {
    const hone_plan *plan; /* borrowed */
    char *values;
} hone_executor;

/* Allocates the block of values, on huge pages. */
hone_status hone_executor_create(const hone_plan *plan, hone_executor *out, hone_error *error);
void hone_executor_free(hone_executor *executor);

typedef struct hone_execution {
    const hone_batch *batch; /* rows <= the plan's */
    uint64_t seed;           /* of dropout */
    uint32_t step;           /* optimizer step: dropout */
    bool training;           /* dropout on */
    hone_head_request head;
    const hone_cache *cache;     /* generation, else NULL */
    const int32_t *slots, *past; /* (segments) with cache */
} hone_execution;

/* Runs all steps of the plan: forward, and backward in a training plan, which adds to the
 * gradients of the trainable weights. */
void hone_executor_run(hone_executor *executor, const hone_execution *execution);

#endif
