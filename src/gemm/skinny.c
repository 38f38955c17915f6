/* Choosing and cutting products of few rows: see skinny.h. Cuts depend on B's shape alone. */
#include "gemm/skinny.h"

#include "base/isa.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "gemm/product.h"

enum {
    PANEL_COLUMNS = 96, /* at most */
    PANELS = 8,         /* as many, where they have fewer columns */
    DOTS_BYTES = 256 << 10,
    APART = 32 /* elements: rows whose distance is a power of two would share places in a cache */
};

#if defined(__x86_64__)
extern const hone_skinny_kernels hone_skinny_v2, hone_skinny_v3, hone_skinny_v4,
    hone_skinny_v4_bf16;
#else
extern const hone_skinny_kernels hone_skinny_base;
#endif

static const hone_skinny_kernels *choose(void)
{
#if defined(__x86_64__)
    static const hone_skinny_kernels *const kernels[] = {&hone_skinny_v2, &hone_skinny_v3,
                                                         &hone_skinny_v4};
    return hone_isa_bf16_dots() ? &hone_skinny_v4_bf16 : kernels[hone_isa_level()];
#else
    return &hone_skinny_base;
#endif
}

typedef struct job {
    const hone_product *product;
    const hone_skinny_kernels *kernels;
    void *x;
    float *sums;
    int64_t x_stride, sums_stride, columns; /* columns of a task */
} job;

static void panel_task(void *context, int64_t task, int thread)
{
    (void)thread;
    const job *j = context;
    int64_t first = task * j->columns, last = smaller(first + j->columns, j->product->n);
    j->kernels->panel(j->product, j->x, j->x_stride, first, last, j->sums + first, j->sums_stride);
}

static void dots_task(void *context, int64_t task, int thread)
{
    (void)thread;
    const job *j = context;
    int64_t first = task * j->columns, last = smaller(first + j->columns, j->product->n);
    j->kernels->dots(j->product, j->x, j->x_stride, first, last);
}

static int64_t padded(int64_t length)
{
    return round_up(length, HONE_SKINNY_PAD);
}

bool hone_skinny_matmul(const hone_product *p)
{
    bool by_rows = p->b.column_stride == 1;
    if (p->m > HONE_SKINNY_ROWS || p->a.column_stride != 1 || p->a.dtype != p->b.dtype ||
        (!by_rows && p->b.row_stride != 1) || p->k <= 0)
        return false;
    job j = {.product = p, .kernels = choose(), .x_stride = padded(p->k) + APART};
    if (by_rows) {
        j.sums_stride = padded(p->n) + APART;
        j.columns = padded(divide_up(p->n, PANELS));
        j.columns = smaller(j.columns, PANEL_COLUMNS);
    } else {
        j.columns = DOTS_BYTES / (p->k * (int64_t)hone_dtype_size(p->b.dtype));
        j.columns = j.columns > 8 ? j.columns : 8;
    }
    size_t floats = (size_t)(p->m * (j.x_stride + j.sums_stride));
    char *block = hone_alloc(floats * sizeof(float) + HONE_ALIGNMENT);
    if (block == NULL)
        return false;
    j.x = block + (HONE_ALIGNMENT - (uintptr_t)block % HONE_ALIGNMENT);
    j.sums = (float *)j.x + p->m * j.x_stride;
    j.kernels->spread(p, j.x, j.x_stride);
    hone_parallel_run(divide_up(p->n, j.columns), by_rows ? panel_task : dots_task, &j);
    hone_free(block);
    return true;
}
