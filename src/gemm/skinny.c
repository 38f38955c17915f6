/* Choosing and cutting products of few rows: see skinny.h. */
#include "gemm/skinny.h"

#include "base/isa.h"
#include "base/parallel.h"

#if defined(__x86_64__)
extern const hone_skinny_fn hone_skinny_v2, hone_skinny_v3, hone_skinny_v4;
#else
extern const hone_skinny_fn hone_skinny_base;
#endif

static hone_skinny_fn choose(void)
{
#if defined(__x86_64__)
    const hone_skinny_fn kernels[] = {hone_skinny_v2, hone_skinny_v3, hone_skinny_v4};
    return kernels[hone_isa_level()];
#else
    return hone_skinny_base;
#endif
}

typedef struct job {
    const hone_product *product;
    hone_skinny_fn kernel;
    int64_t columns; /* of a task */
} job;

static void run_columns(void *context, int64_t task, int thread)
{
    (void)thread;
    const job *j = context;
    int64_t first = task * j->columns, last = first + j->columns;
    j->kernel(j->product, first, last < j->product->n ? last : j->product->n);
}

bool hone_skinny_matmul(const hone_product *p)
{
    bool by_rows = p->b.column_stride == 1;
    if (p->m > HONE_SKINNY_ROWS || p->a.column_stride != 1 || p->a.dtype != p->b.dtype ||
        (!by_rows && p->b.row_stride != 1) || p->k <= 0)
        return false;
    /* Tasks of about 400 KB of weights: enough of them to share, few enough to hand out. */
    int64_t bytes = p->k * (int64_t)hone_dtype_size(p->b.dtype);
    int64_t columns = (400000 / bytes + 127) / 128 * 128;
    job j = {p, choose(), columns > 0 ? columns : 128};
    hone_parallel_run((p->n + j.columns - 1) / j.columns, run_columns, &j);
    return true;
}
