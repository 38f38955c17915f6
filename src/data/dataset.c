/* Documents in memory: see dataset.h. Two sets made by a split share one block of ids and labels;
 * each has its own list of rows, in the file's order. */
#include "data/dataset.h"

#include "base/hash.h"
#include "data/epoch_order.h"
#include "data/row_loader.h"

#include <assert.h>
#include <math.h>
#include <stdatomic.h>

#define SITE_ORDER 0x4F524452u /* "ORDR", "SPLT": sites of random.h, clear of the model's */
#define SITE_SPLIT 0x53504C54u

typedef struct token_block {
    int32_t *ids, *labels;
    atomic_int owners;
} token_block;

struct hone_dataset {
    token_block *tokens;
    hone_row *rows;
    int64_t size, longest;
    hone_dataset_counts counts;
};

int64_t hone_dataset_size(const hone_dataset *dataset)
{
    return dataset->size;
}

int64_t hone_dataset_longest(const hone_dataset *dataset)
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
    const int32_t *ids = dataset->tokens->ids + row->first;
    const int32_t *labels = ids;
    if (row->labels_first >= 0)
        labels = dataset->tokens->labels + row->labels_first;
    return (hone_document){.ids = ids, .labels = labels, .length = row->length, .line = row->line};
}

/* Computes what follows from the rows. */
static void summarize(hone_dataset *dataset)
{
    hone_dataset_counts *counts = &dataset->counts;
    hone_hash hash;
    hone_hash_init(&hash, 0);
    counts->documents = dataset->size;
    counts->tokens = counts->trained_tokens = dataset->longest = 0;
    for (int64_t i = 0; i < dataset->size; i++) {
        hone_document document = hone_dataset_at(dataset, i);
        size_t bytes = (size_t)document.length * sizeof *document.ids;
        hone_hash_add(&hash, &document.length, sizeof document.length);
        hone_hash_add(&hash, document.ids, bytes);
        hone_hash_add(&hash, document.labels, bytes);
        counts->tokens += document.length;
        counts->trained_tokens += dataset->rows[i].trained;
        if (document.length > dataset->longest)
            dataset->longest = document.length;
    }
    counts->hash = hone_hash_get(&hash);
}

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
    hone_status status;
    *out = NULL;
    hone_dataset *dataset = hone_alloc_array(1, sizeof *dataset);
    token_block *tokens = hone_alloc_array(1, sizeof *tokens);
    if (dataset == NULL || tokens == NULL) {
        status = hone_fail_memory(error, "data set", sizeof *dataset + sizeof *tokens);
        goto fail;
    }
    HONE_TRY_GOTO(hone_rows_load(path, options, &store, &dataset->counts, error), fail);
    tokens->ids = shrink(store.ids, store.id_count, sizeof *store.ids);
    tokens->labels = shrink(store.labels, store.label_count, sizeof *store.labels);
    atomic_init(&tokens->owners, 1);
    dataset->tokens = tokens;
    dataset->rows = shrink(store.rows, store.row_count, sizeof *store.rows);
    dataset->size = (int64_t)store.row_count;
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

/* Lines that gave documents: pieces of one line stay together in a split. */
static int64_t count_lines(const hone_dataset *dataset)
{
    int64_t lines = 0;
    for (int64_t i = 0; i < dataset->size; i++)
        lines += i == 0 || dataset->rows[i].line != dataset->rows[i - 1].line;
    return lines;
}

/* Moves the rows of the marked lines to rest, keeping both in order. */
static void move_rows(hone_dataset *dataset, hone_dataset *rest, const bool *moved)
{
    int64_t kept = 0, number = -1, last = -1;
    for (int64_t i = 0; i < dataset->size; i++) {
        hone_row row = dataset->rows[i];
        number += row.line != last;
        last = row.line;
        if (moved[number])
            rest->rows[rest->size++] = row;
        else
            dataset->rows[kept++] = row;
    }
    dataset->size = kept;
}

hone_status hone_dataset_split(hone_dataset *dataset, double share, uint64_t seed,
                               hone_dataset **rest, hone_error *error)
{
    *rest = NULL;
    if (!(share > 0 && share < 1))
        return hone_fail(error, HONE_USAGE, "split must be between 0 and 1, found %g", share);
    int64_t lines = count_lines(dataset);
    if (lines < 2)
        return hone_fail(error, HONE_INPUT,
                         "a split needs 2 documents at least, found %lld; give a validation file",
                         (long long)lines);
    int64_t kept = llround(share * (double)lines);
    kept = kept < 1 ? 1 : kept > lines - 1 ? lines - 1 : kept;
    hone_dataset *second = hone_alloc_array(1, sizeof *second);
    hone_row *rows = hone_alloc_array((size_t)dataset->size, sizeof *rows);
    bool *moved = hone_alloc_array((size_t)lines, sizeof *moved);
    if (second == NULL || rows == NULL || moved == NULL) {
        hone_free(second);
        hone_free(rows);
        hone_free(moved);
        return hone_fail_memory(error, "split", (size_t)dataset->size * sizeof *rows);
    }
    hone_random_key key = {.seed = seed, .site = SITE_SPLIT};
    for (int64_t place = kept; place < lines; place++)
        moved[hone_permutation_at(key, lines, place)] = true;
    second->rows = rows;
    second->tokens = dataset->tokens;
    atomic_fetch_add(&dataset->tokens->owners, 1);
    move_rows(dataset, second, moved);
    hone_free(moved);
    dataset->rows = shrink(dataset->rows, (size_t)dataset->size, sizeof *rows);
    second->rows = shrink(second->rows, (size_t)second->size, sizeof *rows);
    summarize(dataset);
    summarize(second);
    *rest = second;
    return HONE_OK;
}

int64_t hone_dataset_order(const hone_dataset *dataset, bool shuffle, uint64_t seed, int64_t epoch,
                           int64_t place)
{
    hone_random_key key = {.seed = seed, .site = SITE_ORDER, .step = (uint32_t)epoch};
    return shuffle ? hone_permutation_at(key, dataset->size, place) : place;
}
