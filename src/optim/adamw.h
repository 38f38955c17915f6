/* AdamW: Adam with decoupled weight decay, over one block of parameters. */
#ifndef HONE_OPTIM_ADAMW_H
#define HONE_OPTIM_ADAMW_H

#include "base/failure.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One parameter's place in the block. Ranges are sorted by offset and don't overlap. */
typedef struct hone_optim_range {
    int64_t offset, count; /* elements */
    bool decay;
} hone_optim_range;

typedef struct hone_adamw_settings {
    double learning_rate, beta1, beta2, epsilon, weight_decay;
} hone_adamw_settings;

/* The state that a checkpoint keeps: both moments and the number of steps done. */
typedef struct hone_adamw {
    float *first, *second; /* moments, (elements) */
    int64_t elements, steps;
} hone_adamw;

hone_status hone_adamw_create(int64_t elements, hone_adamw *out, hone_error *error);
void hone_adamw_free(hone_adamw *adamw); /* takes a zeroed struct */

/* One step: the gradients are scaled by gradient_scale (clipping) on the way in and are zeroed, so
 * that the next step can add to them.
 * Source: Loshchilov & Hutter 2019, arXiv:1711.05101, algorithm 2, with the order of operations of
 * torch.optim.AdamW. Deviation: none.
 * Shapes: values, gradients (elements); the elements that no range covers are left alone. */
void hone_adamw_step(hone_adamw *adamw, const hone_adamw_settings *settings,
                     const hone_optim_range *ranges, size_t count, float gradient_scale,
                     float *values, float *gradients);

#endif
