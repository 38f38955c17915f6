/* Loss and perplexity of a model on a data file. */
#ifndef HONE_EVALUATE_H
#define HONE_EVALUATE_H

#include <hone/model.h>

typedef struct hone_evaluation {
    double loss;       /* mean of -ln p over the counted tokens */
    double perplexity; /* exp(loss): by token */
    int64_t tokens;    /* predicted and counted */
    /* The same -ln p, by the text of the counted tokens (special ones have none): exp(sum / words),
     * exp(sum / bytes), sum / bytes / ln 2. Words are what spaces, tabs and line ends part. 0 where
     * the text is not known: without a tokenizer, and with span corruption. */
    double word_perplexity, byte_perplexity, bits_per_byte;
    int64_t words, bytes;
    int64_t window, stride; /* as used; window 0: whole documents */
    int64_t documents;
    int64_t truncated;             /* documents cut to max_length */
    int64_t bad_lines, empty_rows; /* left out, where that is allowed */
    double seconds;
} hone_evaluation;

/* Writes how a perplexity came about, as "nll:mean|window:512|stride:256|tokens:1234": figures are
 * comparable only where these are the same. Truncates; the length that it would have. */
int hone_evaluation_signature(const hone_evaluation *evaluation, char *text, size_t size);

/* One document: logprobs[i] = ln p(ids[i] | ids[<i]), NaN where there is none; of an
 * encoder-decoder model the ids are the target's, and all are given the source too. Borrowed. */
typedef void (*hone_logprobs_fn)(void *context, int64_t document, const int32_t *ids,
                                 const float *logprobs, int64_t count);
/* Called now and then with documents done; return nonzero to stop (HONE_STOPPED). */
typedef int (*hone_progress_fn)(void *context, int64_t done, int64_t total);

typedef struct hone_evaluate_options {
    const char *data;
    const hone_data_settings *settings;
    int64_t batch_size; /* documents at once */
    /* A sliding window over documents that are longer: windows of `window` tokens (0: documents are
     * cut, split or refused as settings say) begin `stride` tokens apart (0: window / 2), and of
     * each the tokens that are new are counted. Decoder-only models. */
    int64_t window, stride;
    hone_logprobs_fn logprobs; /* or NULL; called in file order */
    hone_progress_fn progress; /* or NULL */
    void *context;
} hone_evaluate_options;

hone_status hone_evaluate(hone_model *model, const hone_evaluate_options *options,
                          hone_evaluation *out, hone_error *error);

#endif
