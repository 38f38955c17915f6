/* The global norm of all gradients, and the scale that clips it. */
#ifndef HONE_OPTIM_CLIP_H
#define HONE_OPTIM_CLIP_H

#include <stdint.h>

/* Euclidean norm of the block, in f64, in an order fixed by `elements` alone. Padding must be zero.
 * Not finite exactly when a gradient is not finite: squares of f32 can't overflow f64. */
double hone_gradient_norm(const float *gradients, int64_t elements);

/* What gradients are multiplied by so that their norm is at most max_norm: 1 when it is already, or
 * when max_norm is 0 (no clipping). As torch.nn.utils.clip_grad_norm_: max_norm / (norm + 1e-6). */
float hone_clip_scale(double norm, double max_norm);

#endif
