/* adapter_config.json and the adapter settings of a run, as one struct: what is adapted, how, and
 * what is trained and saved beside it. Meanings are PEFT's. */
#ifndef HONE_ADAPTER_PEFT_CONFIG_H
#define HONE_ADAPTER_PEFT_CONFIG_H

#include "base/json.h"
#include "base/memory.h"

#include <hone/settings.h>

typedef enum hone_peft_method { HONE_PEFT_LORA, HONE_PEFT_IA3, HONE_PEFT_METHODS } hone_peft_method;
typedef enum hone_peft_bias { HONE_BIAS_NONE, HONE_BIAS_ALL, HONE_BIAS_LORA_ONLY } hone_peft_bias;
typedef enum hone_lora_init {
    HONE_LORA_INIT_TRUE,
    HONE_LORA_INIT_GAUSSIAN,
    HONE_LORA_INIT_FALSE
} hone_lora_init;

/* Module names, or one expression: PEFT tells a list from a string. */
typedef struct hone_names {
    const char **items;
    size_t count;
    bool set;     /* false: null, a default may apply; an empty list is none */
    bool pattern; /* items[0] is one regular expression for the full name, or "all-linear" */
} hone_names;

/* Numbers by pattern, in the order written: the first that matches counts. */
typedef struct hone_pattern_map {
    const char **keys;
    double *values;
    size_t count;
} hone_pattern_map;

typedef struct hone_peft_config {
    hone_arena arena; /* holds all that the fields point to */
    hone_peft_method method;
    hone_names target_modules, exclude_modules, feedforward_modules, modules_to_save;
    hone_names layers_pattern; /* a string is a list of one: always expressions */
    int64_t *layers_to_transform;
    size_t layer_count; /* 0: all layers */
    int64_t r;
    double lora_alpha, lora_dropout;
    bool use_rslora;
    hone_lora_init init;
    hone_peft_bias bias;
    hone_pattern_map rank_pattern, alpha_pattern;
} hone_peft_config;

/* From a run's settings; targets not named are PEFT's defaults for model_type. A LIST of one item
 * with a character that names never have ([({\*+?|^$) is a regular expression. HONE_USAGE. */
hone_status hone_peft_config_from_settings(const hone_adapter_settings *settings,
                                           const char *model_type, hone_peft_config *out,
                                           hone_error *error);
/* From adapter_config.json. Every key of PEFT 0.21 is known; one that would change the result and
 * that hone does not support is an error unless at its neutral value. Unknown keys are errors
 * unless null. HONE_INPUT lists all that is wrong. `file` is named in errors. */
hone_status hone_peft_config_read(const hone_json *json, const char *file, const char *model_type,
                                  hone_peft_config *out, hone_error *error);
void hone_peft_config_deinit(hone_peft_config *config); /* accepts a zeroed one */

/* Whether target_modules says "all-linear". */
bool hone_peft_config_all_linear(const hone_peft_config *config);

/* Facts that only the program knows, for writing. */
typedef struct hone_peft_facts {
    const char *base_model, *task_type; /* NULL: null */
    bool fan_in_fan_out;                /* adapted weights are stored (in,out) */
    hone_names targets;                 /* what stands for target_modules */
    hone_names feedforward;             /* IA3: what stands for feedforward_modules */
} hone_peft_facts;

/* Text of adapter_config.json: the keys that every PEFT since 0.4 knows, and newer ones only where
 * they are used. NULL when out of memory; hone_free it. */
char *hone_peft_config_text(const hone_peft_config *config, const hone_peft_facts *facts);

#endif
