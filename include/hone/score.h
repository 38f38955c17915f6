/* Scores of texts against references: ROUGE, BLEU, chrF, exact match, token F1, accuracy, each with
 * a bootstrap interval and a signature that says how it was measured.
 *
 * A scorer takes rows, one prediction with its references each, and keeps a few numbers of each,
 * not the texts. Metrics (see hone_score_settings for what is selected and how they are set):
 *
 *   name                                scale  over the rows          identical to
 *   rouge1 rouge2 rougeL rougeLsum      0..1   mean of F1             rouge-score 0.1.2
 *   bleu                                0..100 corpus                 sacrebleu 2.6.0
 *   sentence_bleu                       0..100 mean                   sacrebleu, effective order
 *   nltk_bleu                           0..1   mean                   NLTK, smoothing method 1
 *   chrf chrf++                         0..100 corpus                 sacrebleu
 *   exact_match token_f1                0..1   mean                   SQuAD 2.0's script
 *   accuracy                            0..1   mean
 *   macro_f1                            0..1   mean over classes      scikit-learn
 *
 * docs/numerics.md has definitions and sources. */
#ifndef HONE_SCORE_H
#define HONE_SCORE_H

#include <hone/settings.h>

typedef struct hone_scorer hone_scorer;

/* A borrowed text. It may hold NUL; a byte that is not UTF-8 counts as a character of its own. */
typedef struct hone_text {
    const char *text;
    size_t length;
} hone_text;

/* A scorer for the metrics that settings->metrics names (a name of the table above, or rouge for
 * all four, a name once or more often). Settings are copied. HONE_USAGE names a metric that is
 * unknown. */
hone_status hone_scorer_create(const hone_score_settings *settings, hone_scorer **out,
                               hone_error *error);
void hone_scorer_free(hone_scorer *scorer); /* takes NULL */
/* Forgets all rows. */
void hone_scorer_reset(hone_scorer *scorer);

/* Scores one prediction against count > 0 references. With several, ROUGE, exact match, token F1
 * and chrF take the best one, BLEU counts n-grams of any and the nearest length, accuracy asks for
 * one that is equal. On failure (HONE_MEMORY, HONE_USAGE) the row is not added. */
hone_status hone_scorer_add(hone_scorer *scorer, hone_text prediction, const hone_text *references,
                            size_t count, hone_error *error);

/* Files with a row a line: .jsonl or .json (an object a line), else plain text (a line a text, also
 * when it is empty); each may end in .zst. */
typedef struct hone_score_files {
    const char *predictions;
    const char *references; /* or NULL: in the rows of the predictions, which are JSON then */
    const char
        *prediction_field; /* keys in JSON rows: a string (a number, true or false counts as */
    const char *reference_field; /* it is spelt); references may be an array of strings */
} hone_score_files;

/* Adds all rows. HONE_INPUT with file and line: not UTF-8, not JSON, a missing key, another type, a
 * file that has more rows than the other, no rows. Rows before the bad one have been added then. */
hone_status hone_scorer_add_files(hone_scorer *scorer, const hone_score_files *files,
                                  hone_error *error);

/* Whether two files of predictions, which have their references in their rows, are of the same
 * rows: HONE_MISMATCH names the first line whose references are others, or that the other file does
 * not have. */
hone_status hone_score_same_references(const char *first, const char *second,
                                       const char *reference_field, hone_error *error);

int64_t hone_scorer_rows(const hone_scorer *scorer);
/* How many metrics there are, in the order of settings->metrics. */
size_t hone_scorer_count(const hone_scorer *scorer);
const char *hone_scorer_name(const hone_scorer *scorer, size_t index);
/* Index of a metric, or -1. */
int64_t hone_scorer_find(const hone_scorer *scorer, const char *name);

typedef struct hone_score {
    const char *name;         /* lives as long as the program */
    double value;             /* NaN without rows */
    double low, high;         /* of the interval; NaN without rows or resamples */
    double precision, recall; /* ROUGE: means over the rows; else NaN */
    double scale;             /* of the best possible value: 1 or 100 */
    char signature[256];      /* "nrefs:1|bs:1000|seed:12345|...|examples:500|version:hone-0.1.0" */
} hone_score;

/* One metric over all rows. The interval is the percentile bootstrap (Efron 1979) over rows; its
 * resamples are drawn at the first call after a row was added, for all metrics at once, and are the
 * same for any scorer with as many rows. HONE_MEMORY. */
hone_status hone_scorer_result(hone_scorer *scorer, size_t index, hone_score *out,
                               hone_error *error);

/* One metric of one row as if it were the only one: for corpus metrics the value of a corpus of one
 * row. */
hone_status hone_scorer_row_value(const hone_scorer *scorer, size_t index, int64_t row,
                                  double *value, hone_error *error);

/* Of two systems on the same rows: paired bootstrap (Koehn 2004, "Statistical significance tests
 * for machine translation evaluation"). */
typedef struct hone_comparison {
    const char *name;
    double difference; /* second minus first */
    double low, high;  /* its percentile interval */
    double wins;       /* share of resamples in which the second is better (ties count half) */
    double p_value;    /* two-sided: 2 min(P(not better), P(not worse)), at most 1; P has
                          one added to both counts, so it is never 0 */
} hone_comparison;

/* Compares the metric `index` of two scorers made with the same settings whose rows have the same
 * references in the same order. HONE_USAGE when they have different metrics, seeds, resamples or
 * numbers of rows, no rows, or no resamples. */
hone_status hone_scorer_compare(hone_scorer *first, hone_scorer *second, size_t index,
                                hone_comparison *out, hone_error *error);

/* Whether a name can stand in settings->metrics ("rouge" too). All metrics are better when higher.
 */
bool hone_metric_known(const char *name);

#endif
