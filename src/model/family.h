/* What a family of models is: the way from a config.json to a program. */
#ifndef HONE_MODEL_FAMILY_H
#define HONE_MODEL_FAMILY_H

#include "base/json.h"
#include "graph/program.h"

enum { HONE_FAMILY_NAMES = 4 }; /* in each list, which ends with NULL */

/* Whether a folder holds a head beside its embedding. */
typedef enum hone_stored_head {
    HONE_HEAD_UNREAD, /* no weight file is read: config.json decides */
    HONE_HEAD_ABSENT,
    HONE_HEAD_EQUAL, /* the same values */
    HONE_HEAD_OWN    /* other values: it is not tied, whatever config.json says */
} hone_stored_head;

/* A family turns a config.json into a program. One file each; families.c lists them. */
typedef struct hone_family {
    const char *model_type; /* "gpt2" */
    const char *task_type;  /* PEFT's: "CAUSAL_LM" */
    hone_status (*build)(const hone_json *config, const char *path, hone_stored_head head,
                         hone_program *program, hone_error *error);
    /* Names of the embedding; the first is the program's. A folder may hold it under any of them,
     * one or several, which are then equal, for what writes a folder keeps one of the names of a
     * tensor, whichever comes first to it. */
    const char *embedding[HONE_FAMILY_NAMES];
    const char *head; /* one more of these names, unless the program has a weight of this name */
    const char *prefixes[HONE_FAMILY_NAMES]; /* that names may lack on disk: "transformer." */
    /* Whether a tensor on disk that no weight asks for is known and may be dropped. */
    bool (*ignores)(const char *name);
} hone_family;

const hone_family *hone_family_find(const char *model_type); /* or NULL */
extern const char hone_family_names[];                       /* all model types, for messages */

#endif
