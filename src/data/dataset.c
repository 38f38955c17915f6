/* Documents in memory: see dataset.h. Two sets made by a split share one block of ids and labels;
 * each has its own list of rows, in the file's order. */
#include "data/dataset.h"

#include "base/hash.h"
#include "data/epoch_order.h"
#include "data/row_loader.h"

#include <assert.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#define SITE_ORDER 0x4F524452u /* "ORDR", "SPLT": sites of random.h, clear of the model's */
#define SITE_SPLIT 0x53504C54u

typedef struct token_block {
    int32_t *ids, *labels;
    size_t bytes; /* of both */
    atomic_int owners;
} token_block;

struct hone_dataset {
    token_block *tokens;
    hone_row *rows;
    int64_t size;
    hone_stream_rows longest;
    hone_dataset_counts counts;
    hone_span_corruption spans;
    int32_t decoder_start;
};

int64_t hone_dataset_size(const hone_dataset *dataset)
{
    return dataset->size;
}

hone_stream_rows hone_dataset_longest(const hone_dataset *dataset)
{
    return dataset->longest;
}

hone_dataset_counts hone_dataset_count(const hone_dataset *dataset)
{
    return dataset->counts;
}

hone_document hone_dataset_at(const hone_dataset *dataset, int64_t index)
{
    assert(index >= 0 && index < dataset->size);
    const hone_row *row = &dataset->rows[index];
    const int32_t *first = dataset->tokens->ids + row->first, *ids = first + row->source_length;
    const int32_t *labels = ids;
    if (row->labels_first >= 0)
        labels = dataset->tokens->labels + row->labels_first;
    return (hone_document){.ids = ids,
                           .labels = labels,
                           .length = row->length,
                           .source = row->source_length > 0 ? first : NULL,
                           .source_length = row->source_length,
                           .decoder_start = dataset->decoder_start,
                           .spans = row->corrupted ? &dataset->spans : NULL,
                           .key = {.document = (uint32_t)index},
                           .line = row->line};
}

hone_stream_rows hone_document_rows(const hone_document *document)
{
    if (document->spans == NULL)
        return (hone_stream_rows){document->length, document->source_length};
    hone_span_sizes sizes = hone_span_measure(document->spans, document->length);
    return (hone_stream_rows){sizes.target, sizes.source};
}

int64_t hone_document_labels(const hone_document *document)
{
    if (document->spans != NULL)
        return hone_document_rows(document).target;
    int64_t labels = 0;
    /* What a decoder-only document begins with is not predicted. */
    for (int64_t i = document->source == NULL; document->labels != NULL && i < document->length;
         i++)
        labels += document->labels[i] != HONE_NO_LABEL;
    return labels;
}

/* Adds all that makes a document what it is. */
static void hash_document(hone_hash *hash, const hone_document *document)
{
    size_t bytes = (size_t)document->length * sizeof *document->ids;
    hone_hash_add(hash, &document->length, sizeof document->length);
    hone_hash_add(hash, document->ids, bytes);
    hone_hash_add(hash, document->labels, bytes);
    if (document->source == NULL && document->spans == NULL)
        return;
    /* A negative length tells a text for span corruption from a pair. */
    int64_t source = document->spans != NULL ? -1 : document->source_length;
    hone_hash_add(hash, &document->decoder_start, sizeof document->decoder_start);
    hone_hash_add(hash, &source, sizeof source);
    hone_hash_add(hash, document->source,
                  (size_t)document->source_length * sizeof *document->source);
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Computes what follows from the rows. */
static void summarize(hone_dataset *dataset)
{
    hone_dataset_counts *counts = &dataset->counts;
    hone_hash hash;
    hone_hash_init(&hash, 0);
    counts->documents = dataset->size;
    counts->tokens = counts->source_tokens = counts->trained_tokens = 0;
    dataset->longest = (hone_stream_rows){0};
    for (int64_t i = 0; i < dataset->size; i++) {
        hone_document document = hone_dataset_at(dataset, i);
        hone_stream_rows rows = hone_document_rows(&document);
        hash_document(&hash, &document);
        counts->tokens += rows.target;
        counts->source_tokens += rows.source;
        counts->trained_tokens += dataset->rows[i].trained;
        dataset->longest.target = larger(dataset->longest.target, rows.target);
        dataset->longest.source = larger(dataset->longest.source, rows.source);
    }
    counts->hash = hone_hash_get(&hash);
}

size_t hone_dataset_bytes(const hone_dataset *dataset)
{
    size_t shares = (size_t)atomic_load(&dataset->tokens->owners);
    return sizeof *dataset + (size_t)dataset->size * sizeof *dataset->rows +
           dataset->tokens->bytes / shares;
}

/* ---- rows of a batch ---------------------------------------------------------------------- */

static void sift_down(int64_t *heap, int64_t count)
{
    for (int64_t i = 0;;) {
        int64_t child = 2 * i + 1;
        if (child >= count)
            return;
        if (child + 1 < count && heap[child + 1] < heap[child])
            child++;
        if (heap[i] <= heap[child])
            return;
        int64_t swap = heap[i];
        heap[i] = heap[child];
        heap[child] = swap;
        i = child;
    }
}

/* Takes a length into the largest ones, of which the smallest is on top. */
static void keep_largest(int64_t *heap, int64_t count, int64_t length)
{
    if (length <= heap[0])
        return;
    heap[0] = length;
    sift_down(heap, count);
}

hone_stream_rows hone_dataset_most_rows(const hone_dataset *dataset, int64_t count)
{
    hone_stream_rows longest = dataset->longest, most = {0};
    if (count > dataset->size)
        count = dataset->size;
    if (count <= 0)
        return most;
    /* The largest `count` of each stream; zeros to begin with. */
    int64_t *heaps = hone_alloc_array((size_t)count, 2 * sizeof *heaps);
    if (heaps == NULL)
        return (hone_stream_rows){count * longest.target, count * longest.source};
    for (int64_t i = 0; i < dataset->size; i++) {
        hone_document document = hone_dataset_at(dataset, i);
        hone_stream_rows rows = hone_document_rows(&document);
        keep_largest(heaps, count, rows.target);
        keep_largest(heaps + count, count, rows.source);
    }
    for (int64_t i = 0; i < count; i++) {
        most.target += heaps[i];
        most.source += heaps[count + i];
    }
    hone_free(heaps);
    return most;
}

/* ---- opening ------------------------------------------------------------------------------ */

/* Gives back what doubling reserved beyond the need. */
static void *shrink(void *block, size_t count, size_t size)
{
    if (count == 0) {
        hone_free(block);
        return NULL;
    }
    void *fresh = hone_realloc_array(block, count, size);
    return fresh != NULL ? fresh : block;
}

hone_status hone_dataset_open(const char *path, const hone_dataset_options *options,
                              hone_dataset **out, hone_error *error)
{
    hone_row_store store = {0};
    hone_row_encoder encoder;
    hone_status status;
    *out = NULL;
    HONE_TRY(hone_row_encoder_init(&encoder, path, options, error));
    hone_dataset *dataset = hone_alloc_array(1, sizeof *dataset);
    token_block *tokens = hone_alloc_array(1, sizeof *tokens);
    if (dataset == NULL || tokens == NULL) {
        status = hone_fail_memory(error, "data set", sizeof *dataset + sizeof *tokens);
        goto fail;
    }
    HONE_TRY_GOTO(hone_rows_load(&encoder, options->settings, &store, &dataset->counts, error),
                  fail);
    tokens->ids = shrink(store.ids, store.id_count, sizeof *store.ids);
    tokens->labels = shrink(store.labels, store.label_count, sizeof *store.labels);
    tokens->bytes = (store.id_count + store.label_count) * sizeof *store.ids;
    atomic_init(&tokens->owners, 1);
    dataset->tokens = tokens;
    dataset->rows = shrink(store.rows, store.row_count, sizeof *store.rows);
    dataset->size = (int64_t)store.row_count;
    dataset->spans = encoder.spans;
    dataset->decoder_start = options->decoder_start;
    summarize(dataset);
    *out = dataset;
    return HONE_OK;
fail:
    hone_row_store_deinit(&store);
    hone_free(tokens);
    hone_free(dataset);
    return status;
}

void hone_dataset_close(hone_dataset *dataset)
{
    if (dataset == NULL)
        return;
    if (atomic_fetch_sub(&dataset->tokens->owners, 1) == 1) {
        hone_free(dataset->tokens->ids);
        hone_free(dataset->tokens->labels);
        hone_free(dataset->tokens);
    }
    hone_free(dataset->rows);
    hone_free(dataset);
}

/* ---- splitting ---------------------------------------------------------------------------- */

/* Documents that must stay on one side are a group. */
typedef struct member {
    uint64_t hash; /* of what a group has in common */
    int64_t row, group;
} member;

static int by_hash(const void *a, const void *b)
{
    const member *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return x->row < y->row ? -1 : 1;
}

static int by_row(const void *a, const void *b)
{
    const member *x = a, *y = b;
    return x->row < y->row ? -1 : 1;
}

static uint64_t group_hash(const hone_dataset *dataset, int64_t row)
{
    hone_document document = hone_dataset_at(dataset, row);
    hone_hash hash;
    hone_hash_init(&hash, document.source != NULL);
    if (document.source != NULL)
        hone_hash_add(&hash, document.source,
                      (size_t)document.source_length * sizeof *document.source);
    else
        hone_hash_add(&hash, &document.line, sizeof document.line);
    return hone_hash_get(&hash);
}

/* Numbers the groups as their first documents stand in the set; how many there are. */
static int64_t find_groups(const hone_dataset *dataset, member *members)
{
    int64_t size = dataset->size, groups = 0;
    for (int64_t i = 0; i < size; i++)
        members[i] = (member){.hash = group_hash(dataset, i), .row = i};
    qsort(members, (size_t)size, sizeof *members, by_hash);
    for (int64_t i = 0; i < size; i++) /* for now by the first document's row */
        members[i].group =
            i > 0 && members[i].hash == members[i - 1].hash ? members[i - 1].group : members[i].row;
    qsort(members, (size_t)size, sizeof *members, by_row);
    for (int64_t i = 0; i < size; i++)
        members[i].group = members[i].group == i ? groups++ : members[members[i].group].group;
    return groups;
}

/* Moves the rows of the marked groups to rest, keeping both in order. */
static void move_rows(hone_dataset *dataset, hone_dataset *rest, const member *members,
                      const bool *moved)
{
    int64_t kept = 0, size = dataset->size;
    for (int64_t i = 0; i < size; i++) {
        if (moved[members[i].group])
            rest->rows[rest->size++] = dataset->rows[i];
        else
            dataset->rows[kept++] = dataset->rows[i];
    }
    dataset->size = kept;
}

static hone_status split_groups(hone_dataset *dataset, hone_dataset *rest, member *members,
                                double share, uint64_t seed, hone_error *error)
{
    int64_t groups = find_groups(dataset, members);
    if (groups < 2)
        return hone_fail(error, HONE_INPUT,
                         "a split needs 2 documents at least (of an encoder-decoder model: of "
                         "different sources), found %lld; give a validation file",
                         (long long)groups);
    int64_t kept = llround(share * (double)groups);
    kept = kept < 1 ? 1 : kept > groups - 1 ? groups - 1 : kept;
    bool *moved = hone_alloc_array((size_t)groups, sizeof *moved);
    if (moved == NULL)
        return hone_fail_memory(error, "split", (size_t)groups * sizeof *moved);
    hone_random_key key = {.seed = seed, .site = SITE_SPLIT};
    for (int64_t place = kept; place < groups; place++)
        moved[hone_permutation_at(key, groups, place)] = true;
    move_rows(dataset, rest, members, moved);
    hone_free(moved);
    return HONE_OK;
}

hone_status hone_dataset_split(hone_dataset *dataset, double share, uint64_t seed,
                               hone_dataset **rest, hone_error *error)
{
    *rest = NULL;
    if (!(share > 0 && share < 1))
        return hone_fail(error, HONE_USAGE, "split must be between 0 and 1, found %g", share);
    hone_status status = HONE_MEMORY;
    hone_dataset *second = hone_alloc_array(1, sizeof *second);
    hone_row *rows = hone_alloc_array((size_t)dataset->size, sizeof *rows);
    member *members = hone_alloc_array((size_t)dataset->size, sizeof *members);
    if (second == NULL || rows == NULL || members == NULL) {
        hone_fail_memory(error, "split", (size_t)dataset->size * sizeof *rows);
        goto fail;
    }
    *second = (hone_dataset){.tokens = dataset->tokens,
                             .rows = rows,
                             .spans = dataset->spans,
                             .decoder_start = dataset->decoder_start};
    HONE_TRY_GOTO(split_groups(dataset, second, members, share, seed, error), fail);
    hone_free(members);
    atomic_fetch_add(&dataset->tokens->owners, 1);
    dataset->rows = shrink(dataset->rows, (size_t)dataset->size, sizeof *rows);
    second->rows = shrink(second->rows, (size_t)second->size, sizeof *rows);
    summarize(dataset);
    summarize(second);
    *rest = second;
    return HONE_OK;
fail:
    hone_free(second);
    hone_free(rows);
    hone_free(members);
    return status;
}

/* ---- order -------------------------------------------------------------------------------- */

int64_t hone_dataset_order(const hone_dataset *dataset, bool shuffle, uint64_t seed, int64_t epoch,
                           int64_t place)
{
    hone_random_key key = {.seed = seed, .site = SITE_ORDER, .step = (uint32_t)epoch};
    return shuffle ? hone_permutation_at(key, dataset->size, place) : place;
}
