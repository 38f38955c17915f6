/* What the inference tests share: a tiny random GPT-2 in a fresh folder, with a tokenizer of bytes,
 * and what a model says about a row of ids when nothing is cached or packed. */
#ifndef HONE_TESTS_INFER_SUPPORT_H
#define HONE_TESTS_INFER_SUPPORT_H

#include "engine/model.h"

enum {
    TINY_POSITIONS = 61,
    TINY_VOCABULARY = 263, /* 256 bytes, the end of text, and ids that the tokenizer lacks */
    TINY_EOS = 256
};

/* Makes the folder and the model in it; the process ends when that fails. */
hone_model *tiny_model(const char *compute, uint64_t seed, bool with_tokenizer);
/* The same with LoRA of this rank on all linears, A and B random. */
hone_model *tiny_lora_model(const char *rank, uint64_t seed);
/* A tiny random T5 of the same vocabulary, with the tokenizer. */
hone_model *tiny_t5_model(const char *compute, uint64_t seed);
/* Closes the model and removes the folder. */
void tiny_model_close(hone_model *model);
/* Writes a file into the folder; its path stays valid until the next call. */
const char *tiny_file(const char *name, const char *content);

/* Log-probabilities of each id from those before it, one document alone in its batch; the first is
 * NaN. */
void tiny_logprobs(const hone_model *model, const int32_t *ids, int64_t count, float *logprobs);
/* The logits (count, vocabulary) of a row of ids, in one run without a cache. */
void tiny_logits(const hone_model *model, const int32_t *ids, int64_t count, float *logits);
/* The same of an encoder-decoder model's target, after a source of up to TINY_POSITIONS ids. */
void tiny_logits_after(const hone_model *model, const int32_t *source, int64_t source_count,
                       const int32_t *ids, int64_t count, float *logits);

#endif
