/* The inside of an open model: program, weights, parameters, tokenizer. */
#ifndef HONE_ENGINE_MODEL_H
#define HONE_ENGINE_MODEL_H

#include "base/json.h"
#include "file/weight_source.h"
#include "graph/parameters.h"
#include "graph/program.h"
#include "model/family.h"

#include <hone/model.h>

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
