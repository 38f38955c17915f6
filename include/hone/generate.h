/* Text generation. */
#ifndef HONE_GENERATE_H
#define HONE_GENERATE_H

#include <hone/model.h>

typedef struct hone_prompt {
    /* At least one, unless the model has a bos or eos token to begin with; of an encoder-decoder
     * model the source, which is never empty. */
    const int32_t *ids;
    int64_t count;
} hone_prompt;

typedef enum hone_finish { HONE_FINISH_EOS, HONE_FINISH_STOP, HONE_FINISH_LENGTH } hone_finish;

typedef struct hone_generated {
    int64_t prompt;   /* which prompt */
    int64_t sequence; /* which of its num_return_sequences */
    const int32_t *ids;
    int64_t count;    /* new tokens, the end-of-text token not among them */
    const char *text; /* without the stop string; NULL without tokenizer */
    size_t length;
    hone_finish finish;
    double score; /* beam search: the sum of log-probabilities, divided by the length penalty; else
                     0 */
} hone_generated;

typedef struct hone_generate_options {
    const hone_generate_settings *settings;
    uint64_t seed;
    /* Text as it is made, in whole UTF-8 characters, but a text may end within one; or NULL. Called
     * once for each token, also with length 0. Nonzero stops (HONE_STOPPED). Beam search makes its
     * texts only at its end: length is 0 while it goes on, then come whole texts. */
    int (*stream)(void *context, int64_t prompt, int64_t sequence, const char *text, size_t length);
    /* A finished sequence, in order of prompt and sequence; borrowed. */
    void (*finished)(void *context, const hone_generated *generated);
    void *context;
} hone_generate_options;

/* Decodes all prompts, decode_batch_size sequences or beams together (at least those of one
 * prompt); what a sequence says depends on its prompt, its number and the seed, not on what is
 * decoded beside it. At the end of the context, or where no_repeat_ngram_size leaves no token, it
 * ends (HONE_FINISH_LENGTH). A text ends with the tokenizer's eos token or any eos_token_id of
 * generation_config.json (else of config.json). With num_beams > 1 the num_return_sequences <=
 * num_beams best texts are given, best first, and a temperature > 0 is HONE_USAGE. A prompt longer
 * than the context, or an id that the model lacks, is HONE_INPUT; logits that are not finite are
 * HONE_NUMERIC. */
hone_status hone_generate(hone_model *model, const hone_prompt *prompts, int64_t count,
                          const hone_generate_options *options, hone_error *error);

#endif
