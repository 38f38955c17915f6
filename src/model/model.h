/* The inside of an open model: program, weights, parameters, tokenizer. */
#ifndef HONE_MODEL_MODEL_H
#define HONE_MODEL_MODEL_H

#include "base/json.h"
#include "file/weight_source.h"
#include "graph/parameters.h"
#include "graph/program.h"

#include <hone/model.h>

/* A family turns a config.json into a program. One file each; families.c lists them. */
typedef struct hone_family {
    const char *model_type; /* "gpt2" */
    const char *task_type;  /* PEFT's: "CAUSAL_LM" */
    /* `own_head`: the folder's lm_head differs from the embedding, whatever the config says. */
    hone_status (*build)(const hone_json *config, const char *path, bool own_head,
                         hone_program *program, hone_error *error);
    const char *embedding, *head; /* names of the two weights that may be one */
    const char *prefix;           /* of names that some folders lack: "transformer." */
    /* Whether a tensor on disk that no weight asks for is known and may be dropped. */
    bool (*ignores)(const char *name);
} hone_family;

const hone_family *hone_family_find(const char *model_type); /* or NULL */

struct hone_adapter; /* src/adapter: what is attached */

struct hone_model {
    const hone_family *family;
    char *folder;
    hone_json *config;
    hone_program program;
    hone_parameters parameters;
    hone_tokenizer *tokenizer; /* or NULL */
    hone_dtype compute;
    hone_dtype file_dtype; /* of the base's matrices on disk: what merge writes */
    uint64_t seed;
    void *weights; /* frozen weights, and bf16 copies of trained ones */
    size_t weight_bytes;
    int64_t base_parameters;      /* elements of the base, tied ones once */
    struct hone_adapter *adapter; /* NULL: none */
    bool full;                    /* the base itself is trained */
};

/* After an optimizer step: brings bf16 copies of trained matrices up to date. */
void hone_model_refresh(hone_model *model);

#endif
