/* Products of many rows by the kernels of panel.h. A task is a group of columns of the result: it
 * lays out its columns of B, block of steps by block of steps, and passes all rows of A by them (a
 * library's tile lays B out for some rows only). What is laid out stays in the cache of one core.
 * A is read where it lies, unless it is stored by columns. */
#include "gemm/panel.h"

#include "base/parallel.h"
#include "gemm/product.h"
#include "gemm/skinny.h"

enum {
    LEAST_ROWS = HONE_SKINNY_ROWS + 1, /* so that a row's sums depend on one boundary only */
    LEAST_TASKS = 8,
    /* Most steps of a block, where the result can hold sums: of B's alone; where A's are laid out,
     * too; where one thread has all of A's. */
    BLOCK_STEPS = 1024,
    LAID_STEPS = 512,
    WHOLE_STEPS = 256,
    GROUP_BYTES = 400 << 10, /* of a group's block of B; at least one panel */
    TILE_BYTES = 64 << 10,   /* of the rows of A that pass at a time */
    LEAST_TILE = 16,
    MOST_TILE = 32,
    APART = 16, /* units between laid out steps, so that they don't share places in a cache */
    ROOM_FLOATS = HONE_PANEL_ROOM / sizeof(float)
};

typedef struct job {
    const hone_product *product;
    const hone_panel_kernels *kernels;
    int64_t units, steps;  /* elements of a unit; units along K */
    int64_t block, panels; /* steps of a block; panels of a group */
    int64_t rows, tile;    /* rows of a task, and at a time */
    int64_t across;        /* groups */
} job;

/* Some columns of B, over part->steps steps from `step` on, as the right operand of `part`. */
static void lay_columns(const job *j, int64_t column, int64_t step, float *to,
                        hone_panel_product *part)
{
    const hone_product *p = j->product;
    int64_t first = step * j->units, depth = smaller(part->steps * j->units, p->k - first);
    part->b = to;
    part->b_step = HONE_PANEL_COLUMNS;
    part->b_panel = part->steps * HONE_PANEL_COLUMNS;
    for (int64_t i = 0; i < part->n; i += HONE_PANEL_COLUMNS, to += part->b_panel) {
        int64_t columns = smaller(part->n - i, HONE_PANEL_COLUMNS);
        const void *b = operand_at(&p->b, first, column + i);
        if (p->b.column_stride == 1)
            j->kernels->lay_rows(b, p->b.row_stride, depth, columns, to, HONE_PANEL_COLUMNS);
        else
            j->kernels->lay_transposed(b, p->b.column_stride, columns, depth, to);
    }
}

/* part->m rows of A, likewise, as the left one. */
static void take_rows(const job *j, int64_t row, int64_t step, float *to, hone_panel_product *part)
{
    const hone_product *p = j->product;
    int64_t first = step * j->units, depth = smaller(part->steps * j->units, p->k - first);
    part->a = operand_at(&p->a, row, first);
    part->a_row = p->a.row_stride / j->units;
    part->a_step = 1;
    if (p->a.column_stride == 1)
        return;
    part->a_row = 1;
    part->a_step = part->m > HONE_PANEL_HALF ? part->m + APART : part->m;
    j->kernels->lay_rows(part->a, p->a.column_stride, depth, part->m, to, part->a_step);
    part->a = to;
}

static void group_task(void *context, int64_t task, int thread)
{
    const job *j = context;
    const hone_product *p = j->product;
    int64_t first = task / j->across * j->rows, last = smaller(first + j->rows, p->m);
    int64_t width = j->panels * HONE_PANEL_COLUMNS, column = task % j->across * width;
    hone_panel_product part = {.n = smaller(p->n - column, width), .c_stride = p->c_stride};
    part.c_dtype = p->c_dtype;
    float *laid = (float *)p->room + (int64_t)thread * ROOM_FLOATS;
    for (int64_t step = 0; step < j->steps; step += j->block) {
        part.steps = smaller(j->steps - step, j->block);
        part.accumulate = p->accumulate || step > 0;
        part.bias = p->bias != NULL && step == 0 ? p->bias + column : NULL;
        lay_columns(j, column, step, laid, &part);
        for (int64_t row = first; row < last; row += part.m) {
            part.m = smaller(last - row, j->tile);
            part.c = result_at(p, row, column);
            take_rows(j, row, step, laid + j->block * width, &part);
            j->kernels->multiply(&part);
        }
    }
}

/* Whole units along K wherever they are read as they lie, and whole vectors of columns. */
static bool suits(const hone_product *p, int64_t units)
{
    bool a_by_rows = p->a.column_stride == 1, b_by_rows = p->b.column_stride == 1;
    if (p->m < LEAST_ROWS || p->k <= 0 || p->n % HONE_PANEL_HALF != 0)
        return false;
    if (a_by_rows && (p->a.row_stride % units != 0 || p->k % units != 0))
        return false;
    if (!a_by_rows && (p->a.row_stride != 1 || p->m % HONE_PANEL_HALF != 0))
        return false;
    return b_by_rows ||
           (p->b.row_stride == 1 && p->b.column_stride % units == 0 && p->k % units == 0);
}

/* How a product is cut into tasks; no sum depends on it, but for the blocks of steps. */
static void cut(job *j)
{
    const hone_product *p = j->product;
    bool lays_rows = p->a.column_stride != 1;
    /* Sums of a bf16 result would be rounded each time. */
    j->block =
        p->c_dtype == HONE_F32 ? smaller(j->steps, lays_rows ? LAID_STEPS : BLOCK_STEPS) : j->steps;
    int64_t bytes = j->block * (int64_t)sizeof(float), all = divide_up(p->n, HONE_PANEL_COLUMNS);
    j->panels = GROUP_BYTES / (bytes * HONE_PANEL_COLUMNS);
    j->panels = smaller(j->panels, divide_up(all, LEAST_TASKS));
    while (j->panels > 1 && divide_up(all, j->panels) % hone_parallel_threads() != 0)
        j->panels--;
    j->panels = j->panels < 1 ? 1 : j->panels;
    j->across = divide_up(all, j->panels);
    int64_t parts = divide_up(LEAST_TASKS, j->across);
    j->rows = round_up(divide_up(p->m, parts), MOST_TILE);
}

static bool start(const hone_product *p, job *j)
{
    *j = (job){.product = p, .kernels = hone_panel_kernels_of(p->a.dtype)};
    j->units = hone_panel_units(p->a.dtype);
    j->steps = divide_up(p->k, j->units);
    return p->room != NULL && j->kernels != NULL && p->a.dtype == p->b.dtype && suits(p, j->units);
}

bool hone_panel_matmul_parallel(const hone_product *p)
{
    job j;
    if (!start(p, &j))
        return false;
    cut(&j);
    int64_t left = p->a.column_stride != 1 ? MOST_TILE + APART : 0;
    if (j.block * (j.panels * HONE_PANEL_COLUMNS + left) > ROOM_FLOATS)
        return false;
    j.tile = TILE_BYTES / (j.block * (int64_t)sizeof(float)) / LEAST_TILE * LEAST_TILE;
    j.tile = j.tile < LEAST_TILE ? LEAST_TILE : smaller(j.tile, MOST_TILE);
    hone_parallel_run(j.across * divide_up(p->m, j.rows), group_task, &j);
    return true;
}

/* On one thread: a block of A stays in its cache, strip of rows by strip, and the panels pass. */
bool hone_panel_matmul(const hone_product *p)
{
    enum { STRIP = HONE_PANEL_HALF };
    job j;
    if (!start(p, &j))
        return false;
    bool lays_rows = p->a.column_stride != 1;
    j.block = p->c_dtype == HONE_F32 ? smaller(j.steps, WHOLE_STEPS) : j.steps;
    int64_t rows = lays_rows ? p->m : 0, floats = j.block * (rows + HONE_PANEL_COLUMNS);
    if (floats > ROOM_FLOATS)
        return false;
    float *laid = p->room, *left = laid + j.block * HONE_PANEL_COLUMNS;
    for (int64_t step = 0; step < j.steps; step += j.block) {
        hone_panel_product part = {.steps = smaller(j.steps - step, j.block)};
        part.c_dtype = p->c_dtype;
        part.c_stride = p->c_stride;
        part.accumulate = p->accumulate || step > 0;
        part.m = lays_rows ? STRIP : p->m;
        for (int64_t row = 0; row < rows; row += STRIP)
            take_rows(&j, row, step, left + row * j.block, &part);
        for (int64_t column = 0; column < p->n; column += HONE_PANEL_COLUMNS) {
            part.n = smaller(p->n - column, HONE_PANEL_COLUMNS);
            part.bias = p->bias != NULL && step == 0 ? p->bias + column : NULL;
            lay_columns(&j, column, step, laid, &part);
            for (int64_t row = 0; row < p->m; row += part.m) {
                if (lays_rows)
                    part.a = left + row * j.block;
                else
                    take_rows(&j, row, step, NULL, &part);
                part.c = result_at(p, row, column);
                j.kernels->multiply(&part);
            }
        }
    }
    return true;
}
