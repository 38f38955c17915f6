/* oneDNN, seen by this file alone. f32 products go through its sgemm, which reads plain row-major
 * matrices of any shape at the speed of packed ones. bf16 products are matmul primitives, one for
 * each shape, kept in a table that threads read without a lock. */
#include "gemm/backend.h"

#include "base/memory.h"

#include <dnnl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#if DNNL_VERSION_MAJOR != 2
#error "hone's oneDNN binding is written for version 2 (Debian 12 has 2.6)"
#endif

/* Of the OpenMP runtime that oneDNN is linked to; declared here, so that one header of another
 * runtime (clang's) can't bring a second one in. */
extern void omp_set_num_threads(int count);

/* ---- f32 ---------------------------------------------------------------------------------- */

bool hone_backend_f32(const hone_product *p)
{
    bool a_plain = p->a.column_stride == 1, b_plain = p->b.column_stride == 1;
    /* A leading dimension below the row's length is refused, though one row or column has none. */
    int64_t lda = a_plain ? p->a.row_stride : p->a.column_stride;
    int64_t ldb = b_plain ? p->b.row_stride : p->b.column_stride;
    int64_t a_least = a_plain ? p->k : p->m, b_least = b_plain ? p->n : p->k;
    return dnnl_sgemm(a_plain ? 'N' : 'T', b_plain ? 'N' : 'T', p->m, p->n, p->k, 1.0f, p->a.data,
                      lda > a_least ? lda : a_least, p->b.data, ldb > b_least ? ldb : b_least,
                      p->accumulate ? 1.0f : 0.0f, p->c, p->c_stride) == dnnl_success;
}

/* ---- bf16 --------------------------------------------------------------------------------- */

typedef struct shape {
    int64_t m, n, k, a_row, a_column, b_row, b_column, c_stride;
    int c_bf16, accumulate, bias;
} shape;

typedef struct entry {
    shape key;
    dnnl_primitive_t primitive; /* NULL: the library declined this shape */
    dnnl_memory_desc_t a, b, c, bias, scratch;
    size_t scratch_size;
} entry;

#define SLOTS 8192 /* of the table; a power of two */
#define PROBES 32

static dnnl_engine_t engine;
static dnnl_stream_t stream;
static pthread_once_t engine_once = PTHREAD_ONCE_INIT;
static _Atomic(entry *) table[SLOTS];

static void make_engine(void)
{
    if (dnnl_engine_create(&engine, dnnl_cpu, 0) != dnnl_success)
        engine = NULL;
    else if (dnnl_stream_create(&stream, engine, dnnl_stream_default_flags) != dnnl_success)
        stream = NULL;
}

/* Scratch of this thread, grown as needed and freed when the thread ends. */
static pthread_key_t scratch_key;
static pthread_once_t scratch_once = PTHREAD_ONCE_INIT;
static void make_scratch_key(void)
{
    pthread_key_create(&scratch_key, hone_free);
}

static void *thread_scratch(size_t size)
{
    typedef struct block {
        size_t size;
    } block;
    pthread_once(&scratch_once, make_scratch_key);
    block *current = pthread_getspecific(scratch_key);
    if (current == NULL || current->size < size) {
        hone_free(current);
        current = hone_alloc(size + 2 * HONE_ALIGNMENT);
        pthread_setspecific(scratch_key, current);
        if (current == NULL)
            return NULL;
        current->size = size;
    }
    uintptr_t start = (uintptr_t)(current + 1) + HONE_ALIGNMENT - 1;
    return (void *)(start & ~(uintptr_t)(HONE_ALIGNMENT - 1));
}

static dnnl_status_t describe(dnnl_memory_desc_t *out, dnnl_data_type_t type, int64_t rows,
                              int64_t columns, int64_t row_stride, int64_t column_stride)
{
    dnnl_dims_t dims = {rows, columns}, strides = {row_stride, column_stride};
    return dnnl_memory_desc_init_by_strides(out, 2, dims, type, strides);
}

static void make_primitive(entry *e)
{
    const shape *s = &e->key;
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_post_ops_t after = NULL;
    dnnl_primitive_desc_t description = NULL;
    dnnl_matmul_desc_t product;
    dnnl_data_type_t c_type = s->c_bf16 ? dnnl_bf16 : dnnl_f32;
    bool ok = describe(&e->a, dnnl_bf16, s->m, s->k, s->a_row, s->a_column) == dnnl_success &&
              describe(&e->b, dnnl_bf16, s->k, s->n, s->b_row, s->b_column) == dnnl_success &&
              describe(&e->c, c_type, s->m, s->n, s->c_stride, 1) == dnnl_success &&
              describe(&e->bias, dnnl_f32, 1, s->n, s->n, 1) == dnnl_success &&
              dnnl_matmul_desc_init(&product, &e->a, &e->b, s->bias ? &e->bias : NULL, &e->c) ==
                  dnnl_success &&
              dnnl_primitive_attr_create(&attributes) == dnnl_success &&
              dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user) ==
                  dnnl_success;
    if (ok && s->accumulate)
        ok = dnnl_post_ops_create(&after) == dnnl_success &&
             dnnl_post_ops_append_sum(after, 1.0f) == dnnl_success &&
             dnnl_primitive_attr_set_post_ops(attributes, after) == dnnl_success;
    ok = ok && dnnl_primitive_desc_create(&description, &product, attributes, engine, NULL) ==
                   dnnl_success;
    if (ok) {
        const char *name = "";
        dnnl_primitive_desc_query(description, dnnl_query_impl_info_str, 0, &name);
        e->scratch = *dnnl_primitive_desc_query_md(description, dnnl_query_scratchpad_md, 0);
        e->scratch_size = dnnl_memory_desc_get_size(&e->scratch);
        /* Its plain loops would take minutes where the caller's f32 detour takes seconds. */
        if (strncmp(name, "ref", 3) != 0 &&
            dnnl_primitive_create(&e->primitive, description) != dnnl_success)
            e->primitive = NULL;
    }
    dnnl_primitive_desc_destroy(description);
    dnnl_post_ops_destroy(after);
    dnnl_primitive_attr_destroy(attributes);
}

static uint64_t hash_shape(const shape *s)
{
    const int64_t parts[] = {s->m,        s->n,          s->k,        s->a_row,
                             s->a_column, s->b_row,      s->b_column, s->c_stride,
                             s->c_bf16,   s->accumulate, s->bias};
    uint64_t hash = 0x9E3779B97F4A7C15u;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        hash = (hash ^ (uint64_t)parts[i]) * 0xD6E8FEB86659FD93u;
        hash ^= hash >> 32;
    }
    return hash;
}

static bool same_shape(const shape *x, const shape *y)
{
    return x->m == y->m && x->n == y->n && x->k == y->k && x->a_row == y->a_row &&
           x->a_column == y->a_column && x->b_row == y->b_row && x->b_column == y->b_column &&
           x->c_stride == y->c_stride && x->c_bf16 == y->c_bf16 && x->accumulate == y->accumulate &&
           x->bias == y->bias;
}

static void free_entry(entry *e)
{
    if (e->primitive != NULL)
        dnnl_primitive_destroy(e->primitive);
    hone_free(e);
}

/* The table's entry for a shape, made when new. *owned: the table was full, the caller frees it. */
static entry *find_entry(const shape *key, bool *owned)
{
    uint64_t hash = hash_shape(key);
    *owned = false;
    for (uint64_t probe = 0; probe < PROBES; probe++) {
        _Atomic(entry *) *slot = &table[(hash + probe) & (SLOTS - 1)];
        entry *found = atomic_load_explicit(slot, memory_order_acquire);
        if (found != NULL && same_shape(&found->key, key))
            return found;
        if (found != NULL)
            continue;
        entry *fresh = hone_alloc_array(1, sizeof *fresh);
        if (fresh == NULL)
            return NULL;
        fresh->key = *key;
        make_primitive(fresh);
        if (atomic_compare_exchange_strong(slot, &found, fresh))
            return fresh;
        free_entry(fresh); /* another thread was first: look at what it left */
        probe--;
    }
    entry *fresh = hone_alloc_array(1, sizeof *fresh);
    if (fresh != NULL) {
        fresh->key = *key;
        make_primitive(fresh);
        *owned = true;
    }
    return fresh;
}

static bool run_entry(const entry *e, const hone_product *p)
{
    dnnl_memory_t a = NULL, b = NULL, c = NULL, bias = NULL, scratch = NULL;
    void *space = thread_scratch(e->scratch_size);
    union {
        const void *in;
        void *out;
    } left = {p->a.data}, right = {p->b.data}, added = {p->bias}; /* it takes no const inputs */
    bool ok =
        space != NULL && dnnl_memory_create(&a, &e->a, engine, left.out) == dnnl_success &&
        dnnl_memory_create(&b, &e->b, engine, right.out) == dnnl_success &&
        dnnl_memory_create(&c, &e->c, engine, p->c) == dnnl_success &&
        dnnl_memory_create(&scratch, &e->scratch, engine, space) == dnnl_success &&
        (p->bias == NULL || dnnl_memory_create(&bias, &e->bias, engine, added.out) == dnnl_success);
    if (ok) {
        dnnl_exec_arg_t arguments[] = {{DNNL_ARG_SRC, a},
                                       {DNNL_ARG_WEIGHTS, b},
                                       {DNNL_ARG_DST, c},
                                       {DNNL_ARG_SCRATCHPAD, scratch},
                                       {DNNL_ARG_BIAS, bias}};
        ok = dnnl_primitive_execute(e->primitive, stream, p->bias != NULL ? 5 : 4, arguments) ==
             dnnl_success;
    }
    dnnl_memory_destroy(a);
    dnnl_memory_destroy(b);
    dnnl_memory_destroy(c);
    dnnl_memory_destroy(scratch);
    dnnl_memory_destroy(bias);
    return ok;
}

bool hone_backend_bf16(const hone_product *p)
{
    pthread_once(&engine_once, make_engine);
    if (stream == NULL || dnnl_get_effective_cpu_isa() < dnnl_cpu_isa_avx512_core)
        return false;
    shape key = {p->m,
                 p->n,
                 p->k,
                 p->a.row_stride,
                 p->a.column_stride,
                 p->b.row_stride,
                 p->b.column_stride,
                 p->c_stride,
                 p->c_dtype == HONE_BF16,
                 p->accumulate,
                 p->bias != NULL};
    bool owned;
    entry *e = find_entry(&key, &owned);
    bool done = e != NULL && e->primitive != NULL && run_entry(e, p);
    if (owned)
        free_entry(e);
    return done;
}

/* ---- process ------------------------------------------------------------------------------ */

void hone_backend_enter(void)
{
    omp_set_num_threads(1);
}

const char *hone_backend_isa(void)
{
    switch (dnnl_get_effective_cpu_isa()) {
    case dnnl_cpu_isa_sse41: return "sse41";
    case dnnl_cpu_isa_avx: return "avx";
    case dnnl_cpu_isa_avx2: return "avx2";
    case dnnl_cpu_isa_avx512_core: return "avx512_core";
    case dnnl_cpu_isa_avx512_core_vnni: return "avx512_core_vnni";
    case dnnl_cpu_isa_avx512_core_bf16: return "avx512_core_bf16";
    case dnnl_cpu_isa_avx512_core_amx: return "avx512_core_amx";
    default: return "other";
    }
}

void hone_backend_shutdown(void)
{
    for (size_t i = 0; i < SLOTS; i++) {
        entry *e = atomic_exchange(&table[i], NULL);
        if (e != NULL)
            free_entry(e);
    }
}
