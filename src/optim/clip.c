/* Gradient norm and clipping: see clip.h. */
#include "optim/clip.h"

#include "base/parallel.h"

#include <math.h>
#include <stddef.h>

/* Cut by size alone: at most PARTS pieces, none below PIECE elements, so that the partial sums fit
 * on the stack and their order never depends on threads. */
enum { PARTS = 256, LANES = 8 };
#define PIECE ((int64_t)8192)

typedef struct job {
    const float *gradients;
    int64_t elements, piece;
    double sums[PARTS];
} job;

static void sum_piece(void *context, int64_t task, int thread)
{
    (void)thread;
    job *j = context;
    const float *x = j->gradients + task * j->piece;
    int64_t n = j->elements - task * j->piece;
    n = n < j->piece ? n : j->piece;
    /* Lanes of a fixed number let the compiler vectorize without reordering any sum. */
    double lanes[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++)
            lanes[k] += (double)x[i + k] * (double)x[i + k];
    double sum = 0.0;
    for (; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    for (int k = 0; k < LANES; k++)
        sum += lanes[k];
    j->sums[task] = sum;
}

double hone_gradient_norm(const float *gradients, int64_t elements)
{
    if (elements <= 0)
        return 0.0;
    job j = {.gradients = gradients, .elements = elements};
    j.piece = (elements + PARTS - 1) / PARTS;
    if (j.piece < PIECE)
        j.piece = PIECE;
    int64_t pieces = (elements + j.piece - 1) / j.piece;
    hone_parallel_run(pieces, sum_piece, &j);
    double sum = 0.0;
    for (int64_t i = 0; i < pieces; i++)
        sum += j.sums[i];
    return sqrt(sum);
}

float hone_clip_scale(double norm, double max_norm)
{
    if (!(max_norm > 0.0))
        return 1.0f;
    double scale = max_norm / (norm + 1e-6);
    return scale < 1.0 ? (float)scale : 1.0f;
}
