/* Prompts for generation, as token ids: from texts and from data files. */
#ifndef HONE_PROMPTS_H
#define HONE_PROMPTS_H

#include <hone/generate.h>

typedef struct hone_prompts hone_prompts;

/* An empty list for a model, which must outlive it. */
hone_status hone_prompts_create(const hone_model *model, hone_prompts **out, hone_error *error);
void hone_prompts_free(hone_prompts *prompts); /* takes NULL */

/* Adds one text, put into settings->prompt_template if there is one (settings may be NULL). The
 * model's token that starts every text goes first; of an encoder-decoder model the prompt is the
 * source and ends with eos. Over settings->max_source_length it is cut as training would cut it.
 * HONE_USAGE when the model has no tokenizer. */
hone_status hone_prompts_add_text(hone_prompts *prompts, const char *text, size_t length,
                                  const hone_data_settings *settings, hone_error *error);
/* Adds every row of a data file: of .jsonl and .csv the prompt or source, the text where it has
 * none, or the ids or source_ids as they are; of .txt each line that is not empty; .zst may stand
 * behind the name. A bad line is HONE_INPUT with its number, or is left out and counted in *skipped
 * (may be NULL) when settings->on_bad_line says skip. */
hone_status hone_prompts_add_file(hone_prompts *prompts, const char *path,
                                  const hone_data_settings *settings, int64_t *skipped,
                                  hone_error *error);

int64_t hone_prompts_count(const hone_prompts *prompts);
/* All of them, for hone_generate; borrowed until the next prompt is added. */
const hone_prompt *hone_prompts_get(const hone_prompts *prompts);

#endif
