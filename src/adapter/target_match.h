/* Which modules an adapter configuration means, by PEFT's rules (tuners_utils.py
 * check_target_module_exists, utils/other.py get_pattern_key, ia3/model.py of 0.21.2). */
#ifndef HONE_ADAPTER_TARGET_MATCH_H
#define HONE_ADAPTER_TARGET_MATCH_H

#include "adapter/peft_config.h"

typedef struct hone_target_match hone_target_match;

typedef enum hone_module_verdict {
    HONE_MODULE_OTHER,
    HONE_MODULE_EXCLUDED, /* by exclude_modules or modules_to_save */
    HONE_MODULE_TARGET
} hone_module_verdict;

/* Compiles the expressions of a configuration, which must outlive the matcher. */
hone_status hone_target_match_create(const hone_peft_config *config, hone_target_match **out,
                                     hone_error *error);
void hone_target_match_free(hone_target_match *match); /* takes NULL */

/* `linear`: the module is a linear of the program, what "all-linear" means. */
hone_status hone_target_match_module(hone_target_match *match, const char *module, bool linear,
                                     hone_module_verdict *verdict, hone_error *error);
/* Rank and alpha of a target: those of the first pattern that matches, else the general ones. */
hone_status hone_target_match_rank(hone_target_match *match, const char *module, int64_t *r,
                                   double *alpha, hone_error *error);
/* Whether IA3 scales this target's input. */
hone_status hone_target_match_feedforward(hone_target_match *match, const char *module,
                                          bool *feedforward, hone_error *error);
/* Whether an entry of modules_to_save names this module: by its ending, dot or none before it. */
bool hone_module_is_saved(const char *module, const char *entry);
/* The first key of rank_pattern or alpha_pattern that no rank query has met, or NULL. */
const char *hone_target_match_unused(const hone_target_match *match);

/* The rule of a list: the name is in it, or ends with "." and an entry. */
bool hone_names_take(const hone_names *names, const char *name);

#endif
