/* What the executor is given: packed rows. Document after document, no padding. A decoder-only
 * model has one stream of rows; an encoder-decoder model has a second one, of the documents'
 * sources. */
#ifndef HONE_TENSOR_BATCH_H
#define HONE_TENSOR_BATCH_H

#include <stdint.h>

#define HONE_NO_LABEL (-1)

/* One stream of rows, cut into segments. */
typedef struct hone_rows {
    int64_t rows;
    const int32_t *ids;       /* (rows) token of each row */
    const int32_t *positions; /* (rows) position of each row in its segment */
    const int64_t *starts;    /* (segments + 1) first row of each segment; the last is `rows` */
    int64_t row_base;         /* number of the first row in its optimizer step: dropout */
} hone_rows;

typedef struct hone_batch {
    int64_t segments;      /* documents; the same in both streams */
    hone_rows target;      /* what the model predicts from */
    hone_rows source;      /* what an encoder reads; rows = 0 for decoder-only models */
    const int32_t *labels; /* (target.rows) token that the row must predict, or HONE_NO_LABEL; may
                              be NULL: no loss */
} hone_batch;

#endif
