/* What the operations' kernels share: one name for each instruction set, rows of any type as f32,
 * sixteen floats at a time, vector exp, dropout masks, and column sums in a fixed order. Included
 * by the operations only, which are compiled once for each instruction set. */
#ifndef HONE_OP_KERNEL_H
#define HONE_OP_KERNEL_H

#include "base/parallel.h"
#include "gemm/product.h"
#include "op/op.h"
#include "tensor/vector.h"

#include <math.h>
#include <string.h>

enum { TASK_ROWS = 32 }; /* rows of one task of a row-wise kernel */

/* Hands tasks of a run to the pool; fn gets the run as its context. */
static inline void run_tasks(const hone_op_run *run, int64_t tasks, hone_task_fn fn)
{
    union {
        const hone_op_run *in;
        void *out;
    } context = {run};
    hone_parallel_run(tasks, fn, context.out);
}

/* Past the last row of a row-wise task. */
static inline int64_t task_end(const hone_op_run *run, int64_t task)
{
    return (task + 1) * TASK_ROWS < run->rows ? (task + 1) * TASK_ROWS : run->rows;
}

static inline size_t align_up(size_t size)
{
    return (size + HONE_VALUE_ALIGNMENT - 1) & ~(size_t)(HONE_VALUE_ALIGNMENT - 1);
}

/* ---- rows --------------------------------------------------------------------------------- */

/* To whole vectors of any instruction set. */
static inline int64_t padded_width(int64_t width)
{
    enum { WHOLE = 16 };
    return round_up(width, WHOLE);
}

static inline char *view_row(hone_view view, int64_t row)
{
    return (char *)view.data + row * view.width * (int64_t)hone_dtype_size(view.dtype);
}

static inline void load_floats(hone_dtype type, const void *from, float *to, int64_t n)
{
    if (type == HONE_BF16) {
        const uint16_t *bits = from;
        int64_t i = 0;
        for (; i + LANES <= n; i += LANES)
            vec_store(to + i, vec_load_bf16(bits + i));
        for (; i < n; i++)
            to[i] = hone_bf16_to_f32(bits[i]);
    } else
        memcpy(to, from, (size_t)n * sizeof(float));
}

static inline void store_floats(hone_dtype type, const float *from, void *to, int64_t n)
{
    if (type == HONE_BF16) {
        uint16_t *bits = to;
        int64_t i = 0;
        for (; i + LANES <= n; i += LANES)
            vec_store_bf16(bits + i, vec_load(from + i));
        for (; i < n; i++)
            bits[i] = hone_f32_to_bf16(from[i]);
    } else if (from != to)
        memcpy(to, from, (size_t)n * sizeof(float));
}

/* A row as floats: in place where it is f32, else converted into buffer (width floats). */
static inline const float *row_read(hone_view view, int64_t row, float *buffer)
{
    if (view.dtype == HONE_F32)
        return (const float *)(const void *)view_row(view, row);
    load_floats(view.dtype, view_row(view, row), buffer, view.width);
    return buffer;
}

/* Where to write a row: its own place or buffer; row_write then finishes it. */
static inline float *row_open(hone_view view, int64_t row, float *buffer)
{
    return view.dtype == HONE_F32 ? (float *)(void *)view_row(view, row) : buffer;
}

static inline void row_write(hone_view view, int64_t row, const float *from)
{
    store_floats(view.dtype, from, view_row(view, row), view.width);
}

/* Writes a gradient row, adding when told to. */
static inline void row_put(hone_view view, int64_t row, const float *from, bool add)
{
    if (view.dtype == HONE_F32) {
        float *to = (float *)(void *)view_row(view, row);
        for (int64_t i = 0; i < view.width; i++)
            to[i] = add ? to[i] + from[i] : from[i];
    } else {
        uint16_t *to = (uint16_t *)(void *)view_row(view, row);
        int64_t i = 0;
        for (; i + LANES <= view.width; i += LANES) {
            vec value = vec_load(from + i);
            vec_store_bf16(to + i, add ? vec_load_bf16(to + i) + value : value);
        }
        for (; i < view.width; i++)
            to[i] = hone_f32_to_bf16(add ? hone_bf16_to_f32(to[i]) + from[i] : from[i]);
    }
}

static inline float row_dot(const float *a, const float *b, int64_t n)
{
    vec sum = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        sum += vec_load(a + i) * vec_load(b + i);
    float total = vec_sum(sum);
    for (; i < n; i++)
        total += a[i] * b[i];
    return total;
}

/* Row buffers of f32 for each thread in a run's scratch. */
static inline size_t row_buffers_size(int threads, int count, int64_t width)
{
    return (size_t)threads * (size_t)count * align_up((size_t)padded_width(width) * sizeof(float));
}

static inline float *row_buffer(char *scratch, int thread, int count, int index, int64_t width)
{
    size_t size = align_up((size_t)padded_width(width) * sizeof(float));
    return (float *)(void *)(scratch + ((size_t)thread * (size_t)count + (size_t)index) * size);
}

/* The room for products of a run that has it at the front of its scratch, or NULL. */
static inline void *product_room(hone_dtype dtype, char *scratch)
{
    return hone_matmul_room(dtype, 1) > 0 ? scratch : NULL;
}

/* A view as an operand of a product. */
static inline hone_matrix view_matrix(hone_view view)
{
    return (hone_matrix){view.data, view.dtype, view.width, 1};
}

static inline hone_matrix view_transposed(hone_view view)
{
    return (hone_matrix){view.data, view.dtype, 1, view.width};
}

/* ---- dropout ------------------------------------------------------------------------------ */

/* Some blocks at once: out[4 * lane + k] is word k of hone_random_block(key, first + lane). */
static inline void random_blocks(hone_random_key key, uint64_t first, uint32_t out[4 * LANES])
{
    uint32_t c0[LANES], c1[LANES], c2[LANES], c3[LANES];
    for (int i = 0; i < LANES; i++) {
        uint64_t index = first + (uint64_t)i;
        c0[i] = (uint32_t)index;
        c1[i] = (uint32_t)(index >> 32);
        c2[i] = key.site;
        c3[i] = key.step;
    }
    uint32_t k0 = (uint32_t)key.seed, k1 = (uint32_t)(key.seed >> 32);
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < LANES; i++) {
            uint64_t p0 = (uint64_t)0xD2511F53u * c0[i], p1 = (uint64_t)0xCD9E8D57u * c2[i];
            uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1[i] ^ k0;
            uint32_t n2 = (uint32_t)(p0 >> 32) ^ c3[i] ^ k1;
            c1[i] = (uint32_t)p1;
            c3[i] = (uint32_t)p0;
            c0[i] = n0;
            c2[i] = n2;
        }
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    for (int i = 0; i < LANES; i++) {
        out[4 * i] = c0[i];
        out[4 * i + 1] = c1[i];
        out[4 * i + 2] = c2[i];
        out[4 * i + 3] = c3[i];
    }
}

/* Multiplies n floats by their dropout factors, 0 or 1/(1-p): those of elements start .. start+n-1
 * of a stream of elements. start is a multiple of 4. */
static inline void dropout_apply(hone_random_key key, float p, uint64_t start, float *x, int64_t n)
{
    double limit = (double)p * 4294967296.0;
    uint32_t threshold = limit >= 4294967295.0 ? UINT32_MAX : (uint32_t)limit;
    float keep = 1.0f / (1.0f - p);
    for (int64_t i = 0; i < n; i += 4 * LANES) {
        uint32_t draw[4 * LANES];
        random_blocks(key, (start + (uint64_t)i) / 4, draw);
        int64_t count = n - i < 4 * LANES ? n - i : 4 * LANES;
        for (int64_t j = 0; j < count; j++)
            x[i + j] *= draw[j] >= threshold ? keep : 0.0f;
    }
}

/* First element of a row in the stream of an operation's dropout. */
static inline uint64_t dropout_row_start(const hone_op_run *run, int64_t row, int64_t width)
{
    return (uint64_t)(run->stream->row_base + row) * (uint64_t)((width + 3) / 4 * 4);
}

static inline bool dropout_is_on(const hone_op_run *run)
{
    return run->training && run->op->dropout > 0.0f;
}

/* ---- column sums -------------------------------------------------------------------------- */

enum { SUM_ROWS = 64 }; /* rows of one partial sum: fixed, so that the order never varies */

/* Adds to target[0 .. width) the partial sums (parts, width), in order. */
static inline void add_partials(const float *partial, int64_t parts, int64_t width, float *target)
{
    for (int64_t part = 0; part < parts; part++)
        for (int64_t j = 0; j < width; j++)
            target[j] += partial[part * width + j];
}

#endif
