/* Documents side by side as one packed batch: see dataset.h and tensor/batch.h.
 * Invariant: starts has segments + 1 entries, and starts[segments] = rows. */
#include "base/failure.h"
#include "base/memory.h"
#include "data/dataset.h"

struct hone_packer {
    int32_t *ids, *positions, *labels;
    int64_t *starts;
    size_t ids_capacity, positions_capacity, labels_capacity, starts_capacity;
    int64_t rows, segments, labelled;
};

static bool reserve_rows(int32_t **array, size_t *capacity, int64_t rows)
{
    void *block = *array;
    bool reserved = hone_array_reserve(&block, capacity, (size_t)rows, sizeof **array);
    *array = block;
    return reserved;
}

static bool reserve(hone_packer *packer, int64_t rows)
{
    void *starts = packer->starts;
    bool reserved = hone_array_reserve(&starts, &packer->starts_capacity,
                                       (size_t)packer->segments + 2, sizeof *packer->starts);
    packer->starts = starts;
    return reserved && reserve_rows(&packer->ids, &packer->ids_capacity, rows) &&
           reserve_rows(&packer->positions, &packer->positions_capacity, rows) &&
           reserve_rows(&packer->labels, &packer->labels_capacity, rows);
}

hone_status hone_packer_create(hone_packer **out, hone_error *error)
{
    *out = NULL;
    hone_packer *packer = hone_alloc_array(1, sizeof *packer);
    if (packer == NULL)
        return hone_fail_memory(error, "packer", sizeof *packer);
    if (!reserve(packer, 1)) {
        hone_packer_free(packer);
        return hone_fail_memory(error, "packer", sizeof *packer->starts);
    }
    hone_packer_reset(packer);
    *out = packer;
    return HONE_OK;
}

void hone_packer_free(hone_packer *packer)
{
    if (packer == NULL)
        return;
    hone_free(packer->ids);
    hone_free(packer->positions);
    hone_free(packer->labels);
    hone_free(packer->starts);
    hone_free(packer);
}

void hone_packer_reset(hone_packer *packer)
{
    packer->rows = packer->segments = packer->labelled = 0;
    packer->starts[0] = 0;
}

hone_status hone_packer_add(hone_packer *packer, hone_document document, hone_error *error)
{
    if (document.length <= 0 || document.length > INT32_MAX)
        return hone_fail(error, HONE_USAGE, "a document of %lld tokens cannot be packed",
                         (long long)document.length);
    int64_t first = packer->rows, rows = first + document.length;
    if (!reserve(packer, rows))
        return hone_fail_memory(error, "packed rows", (size_t)rows * sizeof *packer->ids);
    for (int64_t i = 0; i < document.length; i++) {
        int32_t label = HONE_NO_LABEL;
        if (document.labels != NULL && i + 1 < document.length)
            label = document.labels[i + 1];
        packer->ids[first + i] = document.ids[i];
        packer->positions[first + i] = (int32_t)i;
        packer->labels[first + i] = label;
        packer->labelled += label != HONE_NO_LABEL;
    }
    packer->rows = rows;
    packer->starts[++packer->segments] = rows;
    return HONE_OK;
}

hone_batch hone_packer_batch(const hone_packer *packer)
{
    return (hone_batch){.segments = packer->segments,
                        .target = {.rows = packer->rows,
                                   .ids = packer->ids,
                                   .positions = packer->positions,
                                   .starts = packer->starts},
                        .labels = packer->labels};
}

int64_t hone_packer_labels(const hone_packer *packer)
{
    return packer->labelled;
}
