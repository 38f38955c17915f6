/* What the executor is given: packed rows. Document after document, no padding. */
#ifndef HONE_TENSOR_BATCH_H
#define HONE_TENSOR_BATCH_H

#include <stdint.h>

#define HONE_NO_LABEL (-1)

typedef struct hone_batch {
    int64_t rows;
    const int32_t *ids;       /* (rows) token of each row */
    const int32_t *positions; /* (rows) position of each row in its document */
    const int32_t *labels;    /* (rows) token that the row must predict, or HONE_NO_LABEL; may be
                                 NULL: no loss */
    int64_t segments;
    const int64_t *starts; /* (segments + 1) first row of each segment; starts[segments] = rows */
    int64_t row_base;      /* number of this batch's first row in its optimizer step: dropout */
} hone_batch;

#endif
