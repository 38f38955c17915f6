/* What the ways to decode share: one call of hone_generate. Each way fills the slots of `decode`
 * with sequences, feeds them round by round, and hands finished texts out in order. */
#ifndef HONE_INFER_GENERATION_H
#define HONE_INFER_GENERATION_H

#include "infer/decode.h"
#include "infer/special_tokens.h"
#include "infer/stop_text.h"

#include <hone/generate.h>

typedef struct hone_generation {
    const hone_model *model;
    const hone_prompt *prompts;
    int64_t prompt_count;
    const hone_generate_options *options;
    const hone_generate_settings *settings;
    hone_special_tokens special;
    hone_decode decode;
    char *scratch; /* (threads) of sampling */
    size_t scratch_size;
} hone_generation;

/* Ids that a prompt's sequences begin with: its own, or the begin token; of an encoder-decoder
 * model, which reads the prompt as its source, the decoder start. *count >= 1. */
const int32_t *hone_generation_begin(const hone_generation *g, int64_t prompt, int64_t *count);
/* Puts a prompt into a source slot, where the model has an encoder. */
void hone_generation_read(hone_generation *g, int64_t prompt, int64_t source);
/* New tokens that a sequence of a prompt may get: settings and context bound them. */
int64_t hone_generation_most(const hone_generation *g, int64_t prompt);
/* What new tokens say. */
typedef struct hone_new_text {
    hone_stop_text bytes;
    int begun; /* of hone_tokenizer_decode_more */
} hone_new_text;

/* An empty text. End it with hone_stop_text_deinit of its bytes. */
hone_new_text hone_generation_text(const hone_generation *g);
/* Adds what a token says to a text; `made`: new tokens so far, this one among them. *stopped when a
 * stop string ends in it. */
hone_status hone_generation_add_text(const hone_generation *g, hone_new_text *text, int32_t id,
                                     int64_t made, bool *stopped, hone_error *error);
/* options->stream, where there is one. */
hone_status hone_generation_stream(const hone_generation *g, int64_t prompt, int64_t sequence,
                                   const char *text, size_t length, hone_error *error);
/* options->finished, where there is one; fills in the text. */
void hone_generation_finished(const hone_generation *g, hone_generated *made,
                              const hone_new_text *text);
/* HONE_NUMERIC about the `number`-th token of a sequence, counted from 1, the prompt's included. */
hone_status hone_generation_fail_numeric(int64_t prompt, int64_t number, hone_error *error);

/* What hone_generate would allocate for these prompts, texts aside. */
hone_status hone_generation_bytes(const hone_model *model, const hone_prompt *prompts,
                                  int64_t count, const hone_generate_settings *settings,
                                  size_t *bytes, hone_error *error);

/* Greedy decoding and sampling: every sequence by itself. */
hone_status hone_generate_sequences(hone_generation *g, hone_error *error);
/* Beam search: num_beams slots for each prompt at work. */
hone_status hone_generate_beams(hone_generation *g, hone_error *error);

#endif
