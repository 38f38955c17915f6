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
 * (may be NULL) when settings->on_bad_line says skip. `limit`: rows to add at most; 0: all. */
hone_status hone_prompts_add_file(hone_prompts *prompts, const char *path,
                                  const hone_data_settings *settings, int64_t limit,
                                  int64_t *skipped, hone_error *error);

int64_t hone_prompts_count(const hone_prompts *prompts);
/* All of them, for hone_generate; borrowed until the next prompt is added. */
const hone_prompt *hone_prompts_get(const hone_prompts *prompts);

/* What a prompt was made of. NULL and 0: it had none. */
typedef struct hone_prompt_row {
    const char *prompt; /* or source: put into its template, not cut */
    size_t prompt_length;
    const char *reference; /* the row's completion or target */
    size_t reference_length;
    const int32_t *reference_ids; /* of an already tokenized row */
    int64_t reference_count;
} hone_prompt_row;

/* Keeps the rows of prompts that are added from now on, for hone_prompts_row. */
void hone_prompts_keep_rows(hone_prompts *prompts);
/* Borrowed until the next prompt is added. All NULL for a prompt whose row was not kept. */
hone_prompt_row hone_prompts_row(const hone_prompts *prompts, int64_t number);

#endif
