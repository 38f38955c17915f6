/* A model in memory: a folder as Transformers writes it, with or without an adapter. */
#ifndef HONE_MODEL_H
#define HONE_MODEL_H

#include <hone/settings.h>
#include <hone/tokenizer.h>

typedef struct hone_model hone_model;

/* Opens settings->model. With training == NULL for use: settings->adapter, if set, is attached.
 * With training != NULL for fine-tuning by training->method: a new adapter, or the one in
 * settings->adapter to go on with. settings->threads, unless 0, is set for the process. Lists all
 * missing, unexpected and mis-shaped tensors at once (HONE_MISMATCH). */
hone_status hone_model_open(const hone_model_settings *settings,
                            const hone_adapter_settings *training, hone_model **out,
                            hone_error *error);
void hone_model_close(hone_model *model); /* takes NULL */

/* Borrowed; NULL when the folder has no tokenizer (then only rows of ids can be used). */
const hone_tokenizer *hone_model_tokenizer(const hone_model *model);
int64_t hone_model_context_length(const hone_model *model); /* positions that the model has */
int64_t hone_model_vocabulary(const hone_model *model);

typedef struct hone_model_facts {
    const char *family;  /* "gpt2" */
    const char *compute; /* "f32" or "bf16" */
    int64_t parameters;  /* of base and adapter together, as PEFT counts them */
    int64_t trainable;
    int64_t layers, width, vocabulary, context_length;
    size_t weight_bytes; /* as kept in memory */
} hone_model_facts;

hone_model_facts hone_model_describe(const hone_model *model);

/* Writes what was trained: a PEFT adapter folder for lora and ia3, a whole model folder for full.
 * Every file is atomic. HONE_NUMERIC when a value is not finite: nothing is written. */
hone_status hone_model_save(const hone_model *model, const char *folder, hone_error *error);
/* Writes a whole model folder with the adapter folded into the weights, in the base's file type. */
hone_status hone_model_merge(const hone_model *model, const char *folder, hone_error *error);

#endif
