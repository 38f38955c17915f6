/* AdamW: see adamw.h. The block is cut into chunks of fixed size, each a task that reads and writes
 * every array once. An element's update depends on that element alone, so neither the cut nor the
 * number of threads can change a result. */
#include "optim/adamw.h"

#include "base/memory.h"
#include "base/parallel.h"

#include <math.h>

/* Five streams of 16 Ki floats are 320 KiB: they stay in a core's second level cache. */
#define CHUNK ((int64_t)16384)

hone_status hone_adamw_create(int64_t elements, hone_adamw *out, hone_error *error)
{
    *out = (hone_adamw){0};
    size_t bytes;
    if (elements < 0 || !hone_size_mul((size_t)elements, 2 * sizeof(float), &bytes))
        return hone_fail_memory(error, "optimizer state", SIZE_MAX);
    if (elements == 0)
        return HONE_OK;
    out->first = hone_pages_alloc(bytes);
    if (out->first == NULL)
        return hone_fail_memory(error, "optimizer state", bytes);
    out->second = out->first + elements;
    out->elements = elements;
    return HONE_OK;
}

void hone_adamw_free(hone_adamw *adamw)
{
    hone_pages_free(adamw->first, (size_t)adamw->elements * 2 * sizeof(float));
    *adamw = (hone_adamw){0};
}

/* The step's numbers, rounded to f32 once as PyTorch does. */
typedef struct rates {
    float keep;            /* 1 - learning_rate * weight_decay, where decay applies */
    float mix1;            /* 1 - beta1 */
    float beta2, mix2;     /* beta2, 1 - beta2 */
    float root_correction; /* sqrt(1 - beta2^t) */
    float step_size;       /* learning_rate / (1 - beta1^t) */
    float epsilon, gradient_scale;
} rates;

static void update(const rates *r, bool decay, int64_t n, float *restrict value,
                   float *restrict gradient, float *restrict first, float *restrict second)
{
    const float keep = decay ? r->keep : 1.0f;
    const float mix1 = r->mix1, beta2 = r->beta2, mix2 = r->mix2, epsilon = r->epsilon;
    const float root_correction = r->root_correction, step_size = r->step_size;
    const float gradient_scale = r->gradient_scale;
    for (int64_t i = 0; i < n; i++) {
        float g = gradient[i] * gradient_scale;
        float m = first[i] + mix1 * (g - first[i]);
        float v = second[i] * beta2 + mix2 * g * g;
        float denominator = sqrtf(v) / root_correction + epsilon;
        value[i] = value[i] * keep - step_size * (m / denominator);
        first[i] = m;
        second[i] = v;
        gradient[i] = 0.0f;
    }
}

typedef struct job {
    hone_adamw *adamw;
    const hone_optim_range *ranges;
    size_t count;
    rates rates;
    float *values, *gradients;
} job;

/* The first range that ends after `place`. */
static size_t find_range(const job *j, int64_t place)
{
    size_t low = 0, high = j->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (j->ranges[middle].offset + j->ranges[middle].count > place)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static void update_chunk(void *context, int64_t task, int thread)
{
    (void)thread;
    const job *j = context;
    int64_t begin = task * CHUNK, end = begin + CHUNK;
    for (size_t i = find_range(j, begin); i < j->count && j->ranges[i].offset < end; i++) {
        const hone_optim_range *range = &j->ranges[i];
        int64_t from = range->offset > begin ? range->offset : begin;
        int64_t to = range->offset + range->count < end ? range->offset + range->count : end;
        update(&j->rates, range->decay, to - from, j->values + from, j->gradients + from,
               j->adamw->first + from, j->adamw->second + from);
    }
}

void hone_adamw_step(hone_adamw *adamw, const hone_adamw_settings *settings,
                     const hone_optim_range *ranges, size_t count, float gradient_scale,
                     float *values, float *gradients)
{
    double t = (double)++adamw->steps;
    job j = {
        .adamw = adamw,
        .ranges = ranges,
        .count = count,
        .rates = {.keep = (float)(1.0 - settings->learning_rate * settings->weight_decay),
                  .mix1 = (float)(1.0 - settings->beta1),
                  .beta2 = (float)settings->beta2,
                  .mix2 = (float)(1.0 - settings->beta2),
                  .root_correction = (float)sqrt(1.0 - pow(settings->beta2, t)),
                  .step_size = (float)(settings->learning_rate / (1.0 - pow(settings->beta1, t))),
                  .epsilon = (float)settings->epsilon,
                  .gradient_scale = gradient_scale},
        .values = values,
        .gradients = gradients};
    hone_parallel_run((adamw->elements + CHUNK - 1) / CHUNK, update_chunk, &j);
}
