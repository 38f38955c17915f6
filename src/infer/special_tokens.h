/* The ids that begin and end a text of a model. */
#ifndef HONE_INFER_SPECIAL_TOKENS_H
#define HONE_INFER_SPECIAL_TOKENS_H

#include "engine/model.h"

typedef struct hone_special_tokens {
    int32_t begin; /* what an empty prompt begins with, or -1 */
    int32_t *ends; /* (end_count) each once, below the vocabulary */
    size_t end_count, end_capacity;
} hone_special_tokens;

/* Ends are the tokenizer's eos token and the eos_token_id, a number or a list of them, of
 * generation_config.json, or where that says nothing of config.json; no other key of
 * generation_config.json is looked at. The begin is the bos token, else the first end. HONE_INPUT
 * for a generation_config.json that is broken. On failure there is nothing to free. */
hone_status hone_special_tokens_find(const hone_model *model, hone_special_tokens *out,
                                     hone_error *error);
void hone_special_tokens_deinit(hone_special_tokens *tokens);
bool hone_special_tokens_is_end(const hone_special_tokens *tokens, int32_t id);

#endif
