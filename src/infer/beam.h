/* Beam search for the continuations of one prompt: which beams go on and which texts are kept. It
 * sees scores only, never a model.
 *
 * Source: Transformers 5.24, generation/utils.py, _beam_search. Each step takes the best
 * candidates, a beam with one more token, of all beams. Those that end a text and are among the
 * first num_beams are held against the finished texts, of which the num_beams best stay; of those
 * that do not end, the first num_beams are the next beams. A finished text's score is the sum of
 * its log-probabilities, divided by (new tokens, its end token among them) ^ length_penalty.
 * Deviation: candidates that cannot be (-INFINITY), which Transformers replaces with beams of score
 * -1e9 where there are too few others, are left out: the search goes on with fewer beams. Equal
 * scores, whose order is undefined there, stand in order of beam and token; a new text goes behind
 * finished ones of the same score. */
#ifndef HONE_INFER_BEAM_H
#define HONE_INFER_BEAM_H

#include "base/failure.h"

#include <hone/generate.h>
#include <stdbool.h>

typedef enum hone_early_stopping {
    HONE_STOP_LIKELY, /* false: the best beam, if it ended now, would not be kept */
    HONE_STOP_FULL,   /* true: there are num_beams finished texts */
    HONE_STOP_NEVER   /* never: it would not be kept whatever its length */
} hone_early_stopping;

typedef struct hone_beam_rules {
    int64_t num_beams;
    double length_penalty;
    hone_early_stopping early_stopping;
    int64_t most; /* new tokens of a text: what reaches it ends */
} hone_beam_rules;

typedef struct hone_beam_candidate {
    float score; /* sum of log-probabilities, the token's among them */
    int32_t beam, token;
    bool ends;          /* set by the caller before hone_beams_advance, ... */
    hone_finish finish; /* ... with how; EOS: the token is not part of the text */
} hone_beam_candidate;

typedef struct hone_beam {
    int32_t *ids; /* (count) prompt and new tokens */
    int64_t count;
    float score;
    int32_t parent;     /* running: which of the beams before it goes on */
    hone_finish finish; /* finished */
} hone_beam;

typedef struct hone_beams {
    hone_beam_rules rules;
    int64_t made;                  /* new tokens of each running beam */
    hone_beam *running, *finished; /* (num_beams) best first */
    int64_t running_count, finished_count;
    bool done;        /* finished holds the result; nothing is running */
    hone_beam *spare; /* (num_beams) room for the next running ones */
    hone_beam *block; /* all three lists */
    int32_t *ids;     /* of all */
} hone_beams;

/* One running beam: the prompt. On failure there is nothing to free. */
hone_status hone_beams_create(const hone_beam_rules *rules, const int32_t *ids, int64_t count,
                              hone_beams *out, hone_error *error);
void hone_beams_free(hone_beams *beams);
/* Candidates that a step looks at: enough for num_beams to go on when all others end. */
int64_t hone_beam_candidates(int64_t num_beams, int64_t end_tokens);
/* One step, from the candidates of hone_beam_merge. A candidate that reaches rules.most must end.
 * Where there is none, the running beams are finished as they are (HONE_FINISH_LENGTH). */
void hone_beams_advance(hone_beams *beams, const hone_beam_candidate *candidates, int64_t count);

/* Logits to log-probabilities in place. False when they hold a NaN or +INFINITY, or nothing else
 * than -INFINITY. */
bool hone_beam_log_softmax(float *logits, int64_t vocabulary);
/* The best candidates of one beam, at most `most`, best first; how many. */
int64_t hone_beam_best(const float *logprobs, int64_t vocabulary, int32_t beam, float score,
                       int64_t most, hone_beam_candidate *out);
/* Orders candidates of several beams best first; how many of at most `most` there are. */
int64_t hone_beam_merge(hone_beam_candidate *candidates, int64_t count, int64_t most);

#endif
