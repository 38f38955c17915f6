/* Adapters: which modules, which method, and PEFT's folders. A method is one file with a table of
 * functions; it rewrites a program (inserts LORA or SCALE operations and their weights). */
#ifndef HONE_ADAPTER_ADAPTER_H
#define HONE_ADAPTER_ADAPTER_H

#include "base/json.h"
#include "graph/program.h"

#include <hone/settings.h>

/* One adapted module: the linear, and the weights that the method added for it. */
typedef struct hone_adapted {
    const char *module;         /* full name */
    int base_weight, base_bias; /* numbers of weights, bias -1 */
    int weights[2];             /* LoRA: A, B; IA3: l, -1 */
    float scale;                /* LoRA */
    bool feedforward;           /* IA3 */
} hone_adapted;

typedef struct hone_adapter hone_adapter;

/* A new adapter on a program that is built but has no weights loaded: matches targets (PEFT's
 * rules, defaults by model_type), rewrites the program, marks what is trainable (bias,
 * modules_to_save). HONE_USAGE / HONE_INPUT naming the nearest module names when nothing matches.
 */
hone_status hone_adapter_create(hone_program *program, const hone_adapter_settings *settings,
                                const char *model_type, hone_adapter **out, hone_error *error);
/* The adapter of a PEFT folder: settings from adapter_config.json. `trainable`: to go on with. */
hone_status hone_adapter_open(hone_program *program, const char *folder, const char *model_type,
                              bool trainable, bool allow_partial, hone_adapter **out,
                              hone_error *error);
void hone_adapter_free(hone_adapter *adapter); /* takes NULL */

/* Initial values of a new adapter into its weights' memory (masters), by seed. */
void hone_adapter_init(hone_adapter *adapter, hone_program *program, uint64_t seed);
/* Values of an opened adapter from its folder; all missing, unexpected and mis-shaped tensors in
 * one HONE_MISMATCH error with nearest names. */
hone_status hone_adapter_load(hone_adapter *adapter, hone_program *program, hone_error *error);
/* adapter_config.json and adapter_model.safetensors, as PEFT 0.21 reads them. */
hone_status hone_adapter_save(const hone_adapter *adapter, const hone_program *program,
                              const char *folder, const char *base_model, const char *task_type,
                              hone_error *error);
/* Applies the update of every adapted module to f32 copies of its base weight and bias:
 * `weight` (rows, columns) as on disk; bias NULL when there is none. Bases that are not adapted are
 * left alone. */
void hone_adapter_merge(const hone_adapter *adapter, const hone_program *program, int base_weight,
                        float *weight, float *bias);

/* Elements of the modules that modules_to_save names. PEFT keeps the originals beside them, and
 * counts both. */
int64_t hone_adapter_copied(const hone_adapter *adapter);
const char *hone_adapter_method(const hone_adapter *adapter); /* "lora", "ia3" */
size_t hone_adapter_count(const hone_adapter *adapter);       /* adapted modules */
const hone_adapted *hone_adapter_at(const hone_adapter *adapter, size_t index);

#endif
