/* Text generation. */
#ifndef HONE_GENERATE_H
#define HONE_GENERATE_H

#include <hone/model.h>

typedef struct hone_prompt {
    const int32_t *ids; /* at least one, unless the model has a bos or eos token to begin with */
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
} hone_generated;

typedef struct hone_generate_options {
    const hone_generate_settings *settings;
    uint64_t seed;
    /* Text as it is made, in whole UTF-8 characters, but a text may end within one; or NULL. Called
     * once for each token, also with length 0. Nonzero stops (HONE_STOPPED). */
    int (*stream)(void *context, int64_t prompt, int64_t sequence, const char *text, size_t length);
    /* A finished sequence, in order of prompt and sequence; borrowed. */
    void (*finished)(void *context, const hone_generated *generated);
    void *context;
} hone_generate_options;

/* Decodes all prompts, decode_batch_size sequences together; what a sequence says depends on its
 * prompt, its number and the seed, not on what is decoded beside it. At the end of the context it
 * ends (HONE_FINISH_LENGTH). A prompt longer than the context, or an id that the model lacks, is
 * HONE_INPUT; logits that are not finite are HONE_NUMERIC. */
hone_status hone_generate(hone_model *model, const hone_prompt *prompts, int64_t count,
                          const hone_generate_options *options, hone_error *error);

#endif
