/* Rows of a data set as questions with known answers: what a model is to go on from, exactly as
 * training gives it, and the row's own texts beside it. */
#ifndef HONE_INFER_EXAMPLES_H
#define HONE_INFER_EXAMPLES_H

#include "base/memory.h"
#include "data/dataset.h"
#include "engine/model.h"

#include <hone/generate.h>
#include <hone/score.h>

typedef struct hone_example {
    hone_text source, target; /* as they stand in the row, without the prompt_template */
    int64_t line;             /* of the data file */
} hone_example;

typedef struct hone_examples {
    hone_prompt *prompts; /* (count) borrowed from the data set: a source, or what stands before the
                             first token that is trained on */
    hone_example *items;  /* (count) */
    int64_t count;
    hone_arena arena;
} hone_examples;

/* Rows that have a source and a target. */
int64_t hone_examples_usable(const hone_dataset *dataset);
/* Takes `most` of the rows that have a source and a target (0: all), spread evenly over the set,
 * and reads their texts from its file; rows of ids are decoded. The set must outlive the examples.
 * HONE_USAGE when no row has both. */
hone_status hone_examples_find(const hone_model *model, const hone_dataset *dataset,
                               const char *file, const hone_data_settings *settings, int64_t most,
                               hone_examples *out, hone_error *error);
void hone_examples_deinit(hone_examples *examples);

#endif
