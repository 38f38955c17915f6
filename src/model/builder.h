/* What families put their programs together from. Every function appends one operation with its
 * weights and values and returns the number of the value that it makes (-1 after a failure of
 * memory, which hone_program_check tells). Names are module paths in Transformers' class; the
 * weights' are the module's with ".weight" and ".bias". */
#ifndef HONE_MODEL_BUILDER_H
#define HONE_MODEL_BUILDER_H

#include "graph/program.h"

/* Where the next operations belong. */
typedef struct hone_builder {
    hone_program *program;
    int layer;   /* block number, counted through all stacks, or -1 */
    bool source; /* of the encoder, or reading its rows */
} hone_builder;

/* A matrix: (rows, columns) on disk; `transposed`: a linear's (in, out), as Conv1D. */
hone_weight hone_build_matrix(int64_t rows, int64_t columns, bool transposed, double init_std);
hone_weight hone_build_vector(int64_t rows, float init_constant);

typedef struct hone_norm_part {
    int64_t width;
    double epsilon;
    bool rms; /* no mean, no bias */
    bool no_gain, no_bias;
    double initial_gain;  /* from scratch */
    hone_value_type type; /* of the result: f32 where it is the residual stream */
    float scale;          /* of the result; 0 is 1 */
    bool drops;           /* there is a dropout behind it, ... */
    double dropout;       /* ... of this probability */
} hone_norm_part;
int hone_build_norm(const hone_builder *b, int x, const hone_norm_part *part, const char *name);

typedef struct hone_linear_part {
    int64_t in, out;
    bool transposed, bias;
    double init_std;
} hone_linear_part;
int hone_build_linear(const hone_builder *b, int x, const hone_linear_part *part, const char *name);

/* `op`: an ATTENTION with inputs, weights and facts set; gets its outputs. */
int hone_build_attention(const hone_builder *b, hone_op op, const char *name);
/* f(x), or f(x) gate where gate >= 0; then a dropout, where dropout >= 0. */
int hone_build_activation(const hone_builder *b, int x, int gate, int64_t width, hone_activation f,
                          double dropout, const char *name);
/* x + dropout(branch), the residual stream; without a dropout where it is negative. */
int hone_build_add(const hone_builder *b, int x, int branch, int64_t width, double dropout,
                   const char *name);

#endif
