/* Choosing and cutting products of few rows: see skinny.h. Cuts depend on B's shape alone. */
#include "gemm/skinny.h"

#include "base/isa.h"
#include "base/memory.h"
#include "base/parallel.h"

#include <string.h>

enum {
    SLAB_BYTES = 512 << 10,
    MOST_SLABS = 8,
    DOTS_BYTES = 256 << 10,
    PUT_COLUMNS = 512,
    LINE = 16, /* floats of a line of the cache */
    APART = 16 /* floats: rows whose distance is a power of two would share places in a cache */
};

#if defined(__x86_64__)
extern const hone_skinny_kernels hone_skinny_v2, hone_skinny_v3, hone_skinny_v4;
#else
extern const hone_skinny_kernels hone_skinny_base;
#endif

static const hone_skinny_kernels *choose(void)
{
#if defined(__x86_64__)
    static const hone_skinny_kernels *const kernels[] = {&hone_skinny_v2, &hone_skinny_v3,
                                                         &hone_skinny_v4};
    return kernels[hone_isa_level()];
#else
    return &hone_skinny_base;
#endif
}

typedef struct job {
    const hone_product *product;
    const hone_skinny_kernels *kernels;
    float *x, *sums; /* (m, x_stride); (slabs, m, sums_stride) */
    int64_t x_stride, sums_stride, slabs, columns;
} job;

void hone_skinny_put(const hone_product *p, int64_t row, int64_t column, const float *sums,
                     int64_t n)
{
    for (int64_t j = 0; j < n; j++) {
        float value = sums[j] + (p->bias != NULL ? p->bias[column + j] : 0.0f);
        int64_t at = row * p->c_stride + column + j;
        if (p->c_dtype == HONE_BF16) {
            uint16_t *c = p->c;
            c[at] = hone_f32_to_bf16(p->accumulate ? hone_bf16_to_f32(c[at]) + value : value);
        } else {
            float *c = p->c;
            c[at] = p->accumulate ? c[at] + value : value;
        }
    }
}

static void dots_task(void *context, int64_t task, int thread)
{
    (void)thread;
    const job *j = context;
    int64_t first = task * j->columns, last = first + j->columns;
    j->kernels->dots(j->product, j->x, j->x_stride, first,
                     last < j->product->n ? last : j->product->n);
}

static void slab_task(void *context, int64_t task, int thread)
{
    (void)thread;
    const job *j = context;
    const hone_product *p = j->product;
    j->kernels->slab(p, j->x, j->x_stride, p->k * task / j->slabs, p->k * (task + 1) / j->slabs,
                     j->sums + task * p->m * j->sums_stride, j->sums_stride);
}

/* Adds the slabs' sums, in order. */
static void finish_task(void *context, int64_t task, int thread)
{
    (void)thread;
    const job *j = context;
    const hone_product *p = j->product;
    int64_t column = task * PUT_COLUMNS;
    int64_t n = p->n - column < PUT_COLUMNS ? p->n - column : PUT_COLUMNS;
    for (int64_t row = 0; row < p->m; row++) {
        float total[PUT_COLUMNS];
        memcpy(total, j->sums + row * j->sums_stride + column, (size_t)n * sizeof(float));
        for (int64_t s = 1; s < j->slabs; s++) {
            const float *sums = j->sums + (s * p->m + row) * j->sums_stride + column;
            for (int64_t i = 0; i < n; i++)
                total[i] += sums[i];
        }
        hone_skinny_put(p, row, column, total, n);
    }
}

bool hone_skinny_matmul(const hone_product *p)
{
    bool by_rows = p->b.column_stride == 1;
    if (p->m > HONE_SKINNY_ROWS || p->a.column_stride != 1 || p->a.dtype != p->b.dtype ||
        (!by_rows && p->b.row_stride != 1) || p->k <= 0)
        return false;
    job j = {.product = p, .kernels = choose()};
    j.x_stride = (p->k + HONE_SKINNY_PAD - 1) / HONE_SKINNY_PAD * HONE_SKINNY_PAD + APART;
    j.sums_stride = (p->n + LINE - 1) / LINE * LINE + APART;
    int64_t element = (int64_t)hone_dtype_size(p->b.dtype);
    if (by_rows) {
        j.slabs = p->k * p->n * element / SLAB_BYTES;
        j.slabs = j.slabs < 1 ? 1 : j.slabs > MOST_SLABS ? MOST_SLABS : j.slabs;
        j.slabs = j.slabs < p->k ? j.slabs : p->k;
    }
    j.x = hone_alloc((size_t)(p->m * (j.x_stride + j.slabs * j.sums_stride)) * sizeof(float));
    if (j.x == NULL)
        return false;
    j.sums = j.x + p->m * j.x_stride;
    j.kernels->spread(p, j.x, j.x_stride);
    if (by_rows) {
        hone_parallel_run(j.slabs, slab_task, &j);
        hone_parallel_run((p->n + PUT_COLUMNS - 1) / PUT_COLUMNS, finish_task, &j);
    } else {
        j.columns = DOTS_BYTES / (p->k * element);
        j.columns = j.columns > 8 ? j.columns : 8;
        hone_parallel_run((p->n + j.columns - 1) / j.columns, dots_task, &j);
    }
    hone_free(j.x);
    return true;
}
