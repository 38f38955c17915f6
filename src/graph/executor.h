/* Walks a plan over a batch. It knows no operation by name but the head, whose results it hands
 * out. */
#ifndef HONE_GRAPH_EXECUTOR_H
#define HONE_GRAPH_EXECUTOR_H

#include "graph/plan.h"

/* One attention's part of a cache: keys, then values, (slots, capacity, width) each. */
typedef struct hone_cache_share {
    bool cross; /* of the source: has slots of its own */
    int64_t width;
    size_t offset; /* of its first byte in the block */
} hone_cache_share;

/* Rows that a cache has room for. A slot belongs to one sequence of new tokens; a source slot to
 * one source, which any number of sequences may read. */
typedef struct hone_cache_room {
    int64_t slots, capacity;               /* capacity: rows of a slot */
    int64_t source_slots, source_capacity; /* 0 for decoder-only models */
} hone_cache_room;

/* Key/value cache of a generation: a share for each attention over the target's rows or across. */
typedef struct hone_cache {
    hone_cache_room room;
    hone_dtype dtype;
    void *block;
    size_t size;
    hone_cache_share *shares;
    int *share_of; /* (ops of the program) number of an op's share, or -1 */
    size_t share_count;
} hone_cache;

hone_status hone_cache_create(const hone_program *program, hone_dtype dtype,
                              const hone_cache_room *room, hone_cache *out, hone_error *error);
/* The bytes that such a cache would have. */
hone_status hone_cache_bytes(const hone_program *program, hone_dtype dtype,
                             const hone_cache_room *room, size_t *bytes, hone_error *error);
void hone_cache_free(hone_cache *cache);
/* Copies rows [first, last) of a slot to the same place of another (continuations of one prompt).
 */
void hone_cache_copy(hone_cache *cache, int from, int to, int64_t first, int64_t last);

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
    const hone_cache *cache; /* generation, else NULL */
    /* With a cache, for each segment: its slot and the rows already in it. For an encoder-decoder
     * model its source slot too, with 0 rows when the source is run, which puts them there, and
     * with the source's rows when the target is run. */
    const int32_t *slots, *past, *source_slots, *source_past;
} hone_execution;

/* Runs all steps of the plan: forward, and backward in a training plan, which adds to the
 * gradients of the trainable weights. */
void hone_executor_run(hone_executor *executor, const hone_execution *execution);

#endif
