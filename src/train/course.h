/* Which documents make which step: a pure function of settings and data, so there is no position to
 * save. Glossary: a place is a position in an epoch's order of documents.
 *
 * Step s of an epoch takes the places [s B A, (s + 1) B A), B documents a micro-batch, A
 * micro-batches a step. An epoch has ceil(documents / (B A)) steps; its last step, and the last
 * micro-batch of that, may be short. No document is left out, none is taken twice in an epoch. */
#ifndef HONE_TRAIN_COURSE_H
#define HONE_TRAIN_COURSE_H

#include "data/dataset.h"

typedef struct hone_course {
    const hone_dataset *dataset; /* borrowed */
    int64_t documents, batch_size, accumulation;
    bool shuffle;
    uint64_t seed;
    int64_t steps_per_epoch, total_steps;
} hone_course;

/* The places of one step. */
typedef struct hone_course_step {
    int64_t epoch, first, count;
    bool ends_epoch;
} hone_course_step;

/* total_steps = max_steps when > 0, else ceil(epochs * steps_per_epoch). HONE_USAGE when that is
 * nothing or beyond counting, HONE_INPUT when there are no documents. */
hone_status hone_course_init(hone_course *course, const hone_dataset *dataset,
                             const hone_train_settings *train, const hone_data_settings *data,
                             uint64_t seed, hone_error *error);
hone_course_step hone_course_at(const hone_course *course, int64_t step); /* 0-based */
/* With the run's seed and the epoch as its key. */
hone_document hone_course_document(const hone_course *course, int64_t epoch, int64_t place);
/* Rows of the largest micro-batch of the run, in each stream (not always the same one): exact for
 * courses of up to a million documents, else the bound that the longest documents give. */
hone_stream_rows hone_course_most_rows(const hone_course *course);

#endif
