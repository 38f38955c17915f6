/* Loss and perplexity of a model on a data file. */
#ifndef HONE_EVALUATE_H
#define HONE_EVALUATE_H

#include <hone/model.h>

typedef struct hone_evaluation {
    double loss;       /* mean of -ln p over the trained-on tokens */
    double perplexity; /* exp(loss) */
    int64_t tokens;    /* predicted and counted */
    int64_t documents;
    int64_t truncated;             /* documents cut to max_length */
    int64_t bad_lines, empty_rows; /* left out, where that is allowed */
    double seconds;
} hone_evaluation;

/* One document: logprobs[i] = ln p(ids[i] | ids[<i]), NaN where there is none. Borrowed. */
typedef void (*hone_logprobs_fn)(void *context, int64_t document, const int32_t *ids,
                                 const float *logprobs, int64_t count);
/* Called now and then with documents done; return nonzero to stop (HONE_STOPPED). */
typedef int (*hone_progress_fn)(void *context, int64_t done, int64_t total);

typedef struct hone_evaluate_options {
    const char *data;
    const hone_data_settings *settings;
    int64_t batch_size;        /* documents at once */
    hone_logprobs_fn logprobs; /* or NULL; called in file order */
    hone_progress_fn progress; /* or NULL */
    void *context;
} hone_evaluate_options;

hone_status hone_evaluate(hone_model *model, const hone_evaluate_options *options,
                          hone_evaluation *out, hone_error *error);

#endif
