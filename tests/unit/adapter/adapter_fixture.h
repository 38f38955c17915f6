/* What the adapter tests share: programs without a model file, and memory for their weights. */
#ifndef HONE_TEST_ADAPTER_FIXTURE_H
#define HONE_TEST_ADAPTER_FIXTURE_H

#include "adapter/adapter.h"

/* Two blocks "t.h.<n>" of linears mlp.up (5 to 7, stored (in,out), with a bias) and mlp.down (7 to
 * 5, stored (out,in), without), a norm "t.ln", and a head "head": its own, or tied to "t.wte". */
void small_program(hone_program *program, bool tied);
/* A model of tests/golden/peft_targets.json. */
void listed_program(hone_program *program, const hone_json *model);

/* Memory for all weights, as an open model has it: trained ones with master == data, the rest
 * without a master; values by value_at. Free the block before the program. */
float *give_memory(hone_program *program);
float value_at(int weight, int64_t element);
/* Values of a weight by name; fails the test when there is none. */
float *values_named(hone_program *program, const char *name);

/* Settings with all defaults, then changed by "key=value" texts up to a NULL. */
hone_adapter_settings settings_with(const char *change, ...);
void settings_free(hone_adapter_settings *settings);

/* Writes a text as adapter_config.json of the scratch folder `name` and returns the folder. */
const char *folder_with_config(const char *name, const char *config);

#endif
