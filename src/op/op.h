/* The interface of an operation: a node of a program, its kind's table of functions, and what the
 * executor hands to them. An operation is one file of this folder, compiled once for each
 * instruction set; the table of the best one that the processor has is chosen at run time.
 *
 * Rules: kernels allocate nothing, print nothing and cannot fail. Values are row-major (rows,
 * width); all arithmetic is f32, whatever a value's type. Results don't depend on the number of
 * threads: work is cut by shape alone, and sums have a fixed order. */
#ifndef HONE_OP_OP_H
#define HONE_OP_OP_H

#include "base/random.h"
#include "gemm/weight.h"
#include "tensor/batch.h"
#include "tensor/dtype.h"

#include <stdbool.h>

/* X(name, symbol): every kind of operation */
#define HONE_OP_LIST(X)                                                                            \
    X(EMBEDDING, embedding)                                                                        \
    X(NORM, norm)                                                                                  \
    X(LINEAR, linear)                                                                              \
    X(ATTENTION, attention)                                                                        \
    X(ACTIVATION, activation)                                                                      \
    X(ADD, add)                                                                                    \
    X(SCALE, scale)                                                                                \
    X(LORA, lora)                                                                                  \
    X(HEAD, head)

typedef enum hone_op_code {
#define HONE_OP_ENUM(name, symbol) HONE_OP_##name,
    HONE_OP_LIST(HONE_OP_ENUM)
#undef HONE_OP_ENUM
        HONE_OP_COUNT
} hone_op_code;

typedef enum hone_activation {
    HONE_RELU,
    HONE_GELU,     /* exact, erf */
    HONE_GELU_NEW, /* tanh form */
    HONE_SILU
} hone_activation;

#define HONE_VALUE_ALIGNMENT 64 /* bytes; of values, scratch, row buffers */

enum { HONE_OP_INPUTS = 3, HONE_OP_OUTPUTS = 2, HONE_OP_WEIGHTS = 3 };

/* A node. inputs, outputs: numbers of values; weights: numbers of weights; -1 where unused.
 * outputs[0] is the result, outputs[1] what backward keeps beside it (statistics; f32). */
typedef struct hone_op {
    hone_op_code code;
    const char *name; /* module path in Transformers' class: "transformer.h.0.attn.c_attn" */
    int layer;        /* block number, or -1 */
    uint32_t site;    /* number of its random draws */
    bool source;      /* works on the rows of the source: of an encoder, or for its readers */
    int inputs[HONE_OP_INPUTS];
    int outputs[HONE_OP_OUTPUTS];
    int weights[HONE_OP_WEIGHTS];
    float dropout; /* probability, on where the run says training */
    bool drops;    /* the family has a dropout here, if only of probability 0 */
    union {
        struct {
            int position_offset; /* added to a position before the lookup (OPT: 2) */
            bool pads;           /* the row of pad_token gets no gradient from here, as with ... */
            int32_t pad_token;   /* ... PyTorch's padding_idx */
        } embedding;             /* weights: tokens (V,C) or -1, positions (P,C) or -1 */
        struct {
            float epsilon;
            bool rms;    /* no mean, no bias */
            float scale; /* of the result */
        } norm;          /* weights: gain and bias; gain alone; or neither */
        struct {
            int64_t heads, head_size;
            float scale; /* of q k^T */
            bool causal;
            bool cross;                /* keys and values are rows of the source */
            int64_t relative_buckets;  /* 0: no relative position bias */
            int64_t relative_distance; /* from which on all distances share a bucket */
        } attention; /* inputs: q, k, v (heads head_size each), or q | k | v side by side in input 0
                        where input 1 is -1; weight 0: relative bias (buckets, heads) or -1 */
        struct {
            hone_activation type;
        } activation; /* inputs: x, and what f(x) is multiplied by, or -1; output 1: relu's signs,
                         of width C/32 rounded up, or -1: then backward reads x */
        struct {
            float scale; /* lora_alpha / r, or / sqrt(r) */
        } lora;          /* inputs: x, y of the linear; weights: A (R,C), B (O,R) */
    } as;
} hone_op;

typedef struct hone_view {
    void *data; /* NULL where not wanted */
    hone_dtype dtype;
    int64_t width;
} hone_view;

/* Keys and values for generation: one attention's share. This run's rows of keys and values are put
 * behind the `past` ones, and then queries see all. Cross attention does one of the two in a run:
 * it stores the source's rows where there are no queries, or reads what is stored. */
typedef struct hone_cache_view {
    void *keys, *values; /* (slots, capacity, width) */
    hone_dtype dtype;
    int64_t capacity, width;
    const int32_t *slots; /* (segments) which slot a segment continues or reads */
    const int32_t *past;  /* (segments) rows already in it */
} hone_cache_view;

/* What the head is asked for. */
typedef struct hone_head_request {
    float *logprobs;           /* (rows) ln p(label), NaN where there is no label; or NULL */
    float loss_scale;          /* gradient of (-logprob * loss_scale) summed over the rows */
    const int32_t *logit_rows; /* rows whose logits are wanted, or NULL */
    int64_t logit_count;
    float *logits; /* (logit_count, V) */
} hone_head_request;

/* One execution of one node. */
typedef struct hone_op_run {
    const hone_op *op;
    const hone_batch *batch;
    const hone_rows *stream; /* that the outputs belong to */
    int64_t rows;            /* its rows */
    const hone_rows *keys;   /* attention: the stream of keys and values */
    bool training;           /* dropout is on */
    bool gradients;          /* the plan has a backward: the head makes gradients */
    hone_random_key random;  /* seed, this op's site, this optimizer step */
    hone_view in[HONE_OP_INPUTS], out[HONE_OP_OUTPUTS];
    hone_view d_in[HONE_OP_INPUTS], d_out;      /* gradients; data NULL where not wanted */
    bool accumulate[HONE_OP_INPUTS];            /* add to d_in, else overwrite it */
    const hone_weight *weight[HONE_OP_WEIGHTS]; /* gradient NULL: frozen; gradients are added to */
    char *scratch;                              /* kind->scratch() bytes, 64-aligned, undefined */
    const hone_cache_view *cache;               /* attention in generation, else NULL */
    const hone_head_request *head;              /* head only */
} hone_op_run;

/* Facts of a plan that decide how much scratch a node wants. */
typedef struct hone_op_shape {
    int64_t rows; /* capacity */
    int64_t in_width[HONE_OP_INPUTS], out_width[HONE_OP_OUTPUTS];
    const hone_weight *weight[HONE_OP_WEIGHTS];
    hone_dtype compute;
    bool training;
    int threads;
    int64_t longest; /* most keys of one segment, those in a cache among them */
} hone_op_shape;

/* Bits of hone_op_kind.saved: what backward reads. */
#define HONE_SAVES_INPUT(i) (1u << (i))
#define HONE_SAVES_OUTPUT(i) (1u << (8 + (i)))

typedef struct hone_op_kind {
    const char *name;
    bool cheap;   /* its result is computed again rather than kept */
    int in_place; /* input whose place output 0 may take when nobody else reads it, or -1 */
    int passes;   /* input whose gradient is d_out itself, or -1; that d_in is then NULL, unless
                     other readers have made it already: then add d_out to it */
    unsigned (*saved)(const hone_op *op, const hone_weight *const weight[HONE_OP_WEIGHTS]);
    size_t (*scratch)(const hone_op *op, const hone_op_shape *shape); /* NULL: none */
    void (*forward)(const hone_op_run *run);
    void (*backward)(const hone_op_run *run); /* NULL: forward made the gradient (d_in) */
} hone_op_kind;

const hone_op_kind *hone_op_kind_of(hone_op_code code);

#endif
