/* Scorers for the tests. Include after cmocka.h. */
#ifndef METRIC_SUPPORT_H
#define METRIC_SUPPORT_H

#include <hone/score.h>
#include <math.h>

#define EVERY_METRIC                                                                               \
    "metrics=rouge,bleu,sentence_bleu,nltk_bleu,chrf,chrf++,exact_match,token_f1,accuracy,"        \
    "macro_f1"

/* cmocka's comparison is of floats. */
#define assert_near(found, expected, allowed) assert_true(fabs((found) - (expected)) <= (allowed))

hone_text text_of(const char *text);
/* A scorer with options "key=value", NULL at the end; fails the test when it can't be made. */
hone_scorer *make_scorer(const char *const *options);
#define MAKE(...) make_scorer((const char *const[]){__VA_ARGS__, NULL})
/* Adds a row with one reference. */
void add_row(hone_scorer *scorer, const char *prediction, const char *reference);
/* Result of a metric that must be there. */
hone_score result_of(hone_scorer *scorer, const char *name);

#endif
