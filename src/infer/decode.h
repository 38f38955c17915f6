/* Many sequences through one model, each in a slot of the key/value cache: feeds what is new of
 * each, and hands out a row of logits for each. What comes next is for the caller to choose.
 *
 * What a slot's logits are does not depend on what is fed beside it, to the bit: products of up to
 * HONE_SKINNY_ROWS rows sum every row in one order, so a run has no more rows than that, or holds
 * only slots with more rows to feed. */
#ifndef HONE_INFER_DECODE_H
#define HONE_INFER_DECODE_H

#include "engine/model.h"
#include "graph/executor.h"

typedef struct hone_slot {
    bool live;          /* takes part in the next round */
    const int32_t *ids; /* (count) of its sequence; borrowed from the caller */
    int64_t count;
    int32_t *held;  /* (capacity) ids whose keys and values are in the cache, ... */
    int64_t fed;    /* ... so many */
    int64_t source; /* its source slot; of an encoder-decoder model */
} hone_slot;

/* What an encoder reads: its keys and values for cross attention are in the cache, once for all
 * slots that use them. */
typedef struct hone_source_slot {
    const int32_t *ids; /* (count) borrowed until the next round */
    int64_t count;
    bool waits; /* is encoded in the next round, before it is used */
} hone_source_slot;

/* Room for a decoding. */
typedef struct hone_decode_room {
    int64_t slots, capacity; /* ids of a sequence */
    int64_t rows; /* of the longest piece that is fed at once, or more: pieces go together */
    int64_t source_slots, source_capacity; /* 0 for decoder-only models */
    int64_t source_rows;                   /* as rows */
} hone_decode_room;

/* The logits (vocabulary) after a slot's last id, which the callee may overwrite. Called for
 * several slots at the same time, each by a thread of its own. */
typedef void (*hone_decode_fn)(void *context, int64_t slot, float *logits, int thread);

/* A plan with its memory. */
typedef struct hone_decode_part {
    hone_plan plan;
    hone_executor executor;
} hone_decode_part;

typedef struct hone_decode {
    const hone_model *model;
    hone_slot *slots;
    hone_source_slot *sources;
    int64_t slot_count, source_count;
    int32_t *held;
    hone_decode_part target, source; /* source: the encoder, for encoder-decoder models */
    hone_cache cache;
    float *logits;            /* (HONE_SKINNY_ROWS, vocabulary) */
    int32_t *ids, *positions; /* (rows) of a run */
} hone_decode;

/* On failure there is nothing to free. */
hone_status hone_decode_create(const hone_model *model, const hone_decode_room *room,
                               hone_decode *out, hone_error *error);
/* What it would allocate. */
hone_status hone_decode_bytes(const hone_model *model, const hone_decode_room *room, size_t *bytes,
                              hone_error *error);
void hone_decode_free(hone_decode *decode);
/* Puts a source into a source slot. */
void hone_decode_read(hone_decode *decode, int64_t source, const int32_t *ids, int64_t count);
/* Puts a sequence into a slot, whose content is forgotten. `source`: see hone_slot. */
void hone_decode_start(hone_decode *decode, int64_t slot, int64_t source, const int32_t *ids,
                       int64_t count);
/* Makes a slot hold the first `fed` ids of another; rows that both have are not copied again. */
void hone_decode_copy(hone_decode *decode, int64_t from, int64_t to, int64_t fed);
/* Encodes new sources, feeds the rest of all live slots, which is not empty, and calls fn for
 * each. */
void hone_decode_round(hone_decode *decode, hone_decode_fn fn, void *context);

#endif
