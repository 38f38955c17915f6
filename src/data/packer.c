/* Documents side by side as one packed batch: see dataset.h and tensor/batch.h.
 * Invariant: each stream's starts has segments + 1 entries, and starts[segments] = rows. */
#include "base/failure.h"
#include "base/memory.h"
#include "data/dataset.h"

#include <string.h>

typedef struct row_stream {
    int32_t *ids, *positions;
    int64_t *starts;
    size_t ids_capacity, positions_capacity, starts_capacity;
    int64_t rows;
} row_stream;

struct hone_packer {
    row_stream target, source;
    int32_t *labels; /* (target.rows) */
    size_t labels_capacity;
    int64_t segments, labelled;
};

static bool reserve_rows(int32_t **array, size_t *capacity, int64_t rows)
{
    void *block = *array;
    bool reserved = hone_array_reserve(&block, capacity, (size_t)rows, sizeof **array);
    *array = block;
    return reserved;
}

static bool reserve_stream(row_stream *stream, int64_t rows, int64_t segments)
{
    void *starts = stream->starts;
    bool reserved = hone_array_reserve(&starts, &stream->starts_capacity, (size_t)segments + 1,
                                       sizeof *stream->starts);
    stream->starts = starts;
    return reserved && reserve_rows(&stream->ids, &stream->ids_capacity, rows) &&
           reserve_rows(&stream->positions, &stream->positions_capacity, rows);
}

/* Makes room for one more segment of so many rows. */
static hone_status reserve(hone_packer *packer, hone_stream_rows more, hone_error *error)
{
    int64_t target = packer->target.rows + more.target, segments = packer->segments + 1;
    int64_t source = packer->source.rows + more.source;
    if (reserve_stream(&packer->target, target, segments) &&
        reserve_stream(&packer->source, source > 0 ? source : 1, segments) &&
        reserve_rows(&packer->labels, &packer->labels_capacity, target))
        return HONE_OK;
    return hone_fail_memory(error, "packed rows", (size_t)(target + source) * sizeof(int32_t));
}

hone_status hone_packer_create(hone_packer **out, hone_error *error)
{
    *out = NULL;
    hone_packer *packer = hone_alloc_array(1, sizeof *packer);
    if (packer == NULL)
        return hone_fail_memory(error, "packer", sizeof *packer);
    hone_status status = reserve(packer, (hone_stream_rows){1, 0}, error);
    if (status != HONE_OK) {
        hone_packer_free(packer);
        return status;
    }
    hone_packer_reset(packer);
    *out = packer;
    return HONE_OK;
}

static void free_stream(row_stream *stream)
{
    hone_free(stream->ids);
    hone_free(stream->positions);
    hone_free(stream->starts);
}

void hone_packer_free(hone_packer *packer)
{
    if (packer == NULL)
        return;
    free_stream(&packer->target);
    free_stream(&packer->source);
    hone_free(packer->labels);
    hone_free(packer);
}

void hone_packer_reset(hone_packer *packer)
{
    packer->target.rows = packer->source.rows = packer->segments = packer->labelled = 0;
    packer->target.starts[0] = packer->source.starts[0] = 0;
}

/* Counts the positions of a new segment, whose ids are written. */
static void end_segment(row_stream *stream, int64_t rows, int64_t segments)
{
    for (int64_t i = 0; i < rows; i++)
        stream->positions[stream->rows + i] = (int32_t)i;
    stream->rows += rows;
    stream->starts[segments] = stream->rows;
}

/* Each row predicts the next one's token. */
static void write_whole(const hone_document *document, int32_t *ids, int32_t *labels)
{
    int64_t length = document->length;
    memcpy(ids, document->ids, (size_t)length * sizeof *ids);
    for (int64_t i = 0; i < length; i++)
        labels[i] =
            document->labels != NULL && i + 1 < length ? document->labels[i + 1] : HONE_NO_LABEL;
}

/* Each row of the target predicts its own token, given the one before. */
static void write_pair(const hone_document *document, int32_t *source, int32_t *ids,
                       int32_t *labels, int64_t rows)
{
    if (document->spans != NULL) {
        hone_span_corrupt(document->spans, document->key, document->ids, document->length, source,
                          labels);
        memcpy(ids + 1, labels, (size_t)(rows - 1) * sizeof *ids);
    } else {
        memcpy(source, document->source, (size_t)document->source_length * sizeof *source);
        memcpy(ids + 1, document->ids, (size_t)(rows - 1) * sizeof *ids);
        for (int64_t i = 0; i < rows; i++)
            labels[i] = document->labels != NULL ? document->labels[i] : HONE_NO_LABEL;
    }
    ids[0] = document->decoder_start;
}

hone_status hone_packer_add(hone_packer *packer, hone_document document, hone_error *error)
{
    int64_t shortest = document.spans != NULL ? 2 : 1;
    if (document.length < shortest || document.length > INT32_MAX)
        return hone_fail(error, HONE_USAGE, "a document of %lld tokens cannot be packed",
                         (long long)document.length);
    hone_stream_rows rows = hone_document_rows(&document);
    if (packer->segments > 0 && (rows.source > 0) != (packer->source.rows > 0))
        return hone_fail(error, HONE_USAGE,
                         "documents with and without a source cannot be packed together");
    HONE_TRY(reserve(packer, rows, error));
    int32_t *ids = packer->target.ids + packer->target.rows;
    int32_t *labels = packer->labels + packer->target.rows;
    if (rows.source > 0)
        write_pair(&document, packer->source.ids + packer->source.rows, ids, labels, rows.target);
    else
        write_whole(&document, ids, labels);
    for (int64_t i = 0; i < rows.target; i++)
        packer->labelled += labels[i] != HONE_NO_LABEL;
    packer->segments++;
    end_segment(&packer->target, rows.target, packer->segments);
    end_segment(&packer->source, rows.source, packer->segments);
    return HONE_OK;
}

static hone_rows get_stream(const row_stream *stream)
{
    return (hone_rows){.rows = stream->rows,
                       .ids = stream->ids,
                       .positions = stream->positions,
                       .starts = stream->starts};
}

hone_batch hone_packer_batch(const hone_packer *packer)
{
    return (hone_batch){.segments = packer->segments,
                        .target = get_stream(&packer->target),
                        .source = get_stream(&packer->source),
                        .labels = packer->labels};
}

int64_t hone_packer_labels(const hone_packer *packer)
{
    return packer->labelled;
}
