/* What a family of models is: the way from a config.json to a program. */
#ifndef HONE_MODEL_FAMILY_H
#define HONE_MODEL_FAMILY_H

#include "base/json.h"
#include "graph/program.h"

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

#endif
