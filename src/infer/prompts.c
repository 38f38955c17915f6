/* Prompts: see prompts.h. The ids of all prompts stand one after the other, as do the texts of kept
 * rows; borrowed slices of ids are made anew after the ids have moved. What becomes of a prompt is
 * what training makes of the source of a pair: see data/row_encoder.h. */
#include <hone/prompts.h>

#include "base/json.h"
#include "base/memory.h"
#include "data/item_reader.h"
#include "engine/model.h"

#include <string.h>

/* Places of a row's parts in the texts and ids of kept rows. */
typedef struct kept_row {
    bool has_prompt, has_reference;
    size_t text, ids; /* the first byte, the prompt's and then the reference's; the first id */
    size_t prompt_length, reference_length, id_count;
} kept_row;

struct hone_prompts {
    const hone_tokenizer *tokenizer; /* or NULL */
    int64_t vocabulary;
    bool encoder_decoder; /* prompts are sources: they end with eos */
    int32_t *ids;
    size_t id_count, id_capacity;
    hone_prompt *list; /* list[i].ids is set by renew */
    size_t count, capacity;

    bool keeps_rows;
    kept_row *rows; /* (count), where rows are kept */
    size_t row_capacity;
    char *texts;
    size_t text_size, text_capacity;
    int32_t *row_ids;
    size_t row_id_count, row_id_capacity;
};

hone_status hone_prompts_create(const hone_model *model, hone_prompts **out, hone_error *error)
{
    *out = hone_alloc_array(1, sizeof **out);
    if (*out == NULL)
        return hone_fail_memory(error, "prompts", sizeof **out);
    (*out)->tokenizer = hone_model_tokenizer(model);
    (*out)->vocabulary = hone_model_vocabulary(model);
    (*out)->encoder_decoder = model->program.encoder_decoder;
    return HONE_OK;
}

void hone_prompts_free(hone_prompts *prompts)
{
    if (prompts == NULL)
        return;
    hone_free(prompts->ids);
    hone_free(prompts->list);
    hone_free(prompts->rows);
    hone_free(prompts->texts);
    hone_free(prompts->row_ids);
    hone_free(prompts);
}

/* ---- kept rows ---------------------------------------------------------------------------- */

void hone_prompts_keep_rows(hone_prompts *prompts)
{
    prompts->keeps_rows = true;
}

hone_prompt_row hone_prompts_row(const hone_prompts *prompts, int64_t number)
{
    hone_prompt_row row = {0};
    if (prompts->rows == NULL || (size_t)number >= prompts->row_capacity)
        return row;
    const kept_row *kept = &prompts->rows[number];
    if (kept->has_prompt) {
        row.prompt = prompts->texts + kept->text;
        row.prompt_length = kept->prompt_length;
    }
    if (kept->has_reference) {
        row.reference = prompts->texts + kept->text + kept->prompt_length;
        row.reference_length = kept->reference_length;
    }
    if (kept->id_count > 0) {
        row.reference_ids = prompts->row_ids + kept->ids;
        row.reference_count = (int64_t)kept->id_count;
    }
    return row;
}

/* Keeps the row of the prompt that is added next. */
static hone_status keep_row(hone_prompts *prompts, const hone_prompt_row *row, hone_error *error)
{
    size_t bytes = row->prompt_length + row->reference_length;
    if (!prompts->keeps_rows)
        return HONE_OK;
    size_t had = prompts->row_capacity;
    if (!hone_array_reserve((void **)&prompts->rows, &prompts->row_capacity, prompts->count + 1,
                            sizeof *prompts->rows) ||
        !hone_array_reserve((void **)&prompts->texts, &prompts->text_capacity,
                            prompts->text_size + bytes + 1, 1) ||
        !hone_array_reserve((void **)&prompts->row_ids, &prompts->row_id_capacity,
                            prompts->row_id_count + (size_t)row->reference_count + 1,
                            sizeof *prompts->row_ids))
        return hone_fail_memory(error, "rows of prompts", bytes);
    /* Those that were added before rows were kept, and those to come, have none. */
    if (prompts->row_capacity > had)
        memset(prompts->rows + had, 0, (prompts->row_capacity - had) * sizeof *prompts->rows);
    prompts->rows[prompts->count] = (kept_row){.has_prompt = row->prompt != NULL,
                                               .has_reference = row->reference != NULL,
                                               .text = prompts->text_size,
                                               .ids = prompts->row_id_count,
                                               .prompt_length = row->prompt_length,
                                               .reference_length = row->reference_length,
                                               .id_count = (size_t)row->reference_count};
    char *at = prompts->texts + prompts->text_size;
    if (row->prompt != NULL)
        memcpy(at, row->prompt, row->prompt_length);
    if (row->reference != NULL)
        memcpy(at + row->prompt_length, row->reference, row->reference_length);
    if (row->reference_count > 0 && row->reference_ids != NULL)
        memcpy(prompts->row_ids + prompts->row_id_count, row->reference_ids,
               (size_t)row->reference_count * sizeof *prompts->row_ids);
    prompts->text_size += bytes;
    prompts->row_id_count += (size_t)row->reference_count;
    return HONE_OK;
}

/* ---- ids ---------------------------------------------------------------------------------- */

/* Sets the slices of ids from prompt `first` on. */
static void renew(hone_prompts *prompts, size_t first)
{
    const int32_t *ids =
        first == 0 ? prompts->ids : prompts->list[first - 1].ids + prompts->list[first - 1].count;
    for (size_t i = first; i < prompts->count; i++) {
        prompts->list[i].ids = ids;
        ids += prompts->list[i].count;
    }
}

/* The sequence of ids that a prompt becomes. */
typedef struct pieces {
    int32_t bos, eos; /* around the ids; < 0: none */
    const int32_t *ids;
    size_t count;
} pieces;

/* Adds a prompt, cut to max_source_length as training cuts sources: an eos at its end stays. */
static hone_status add_prompt(hone_prompts *prompts, pieces p, const hone_data_settings *settings,
                              hone_error *error)
{
    size_t first = p.bos >= 0, last = p.eos >= 0, length = first + p.count + last;
    const int32_t *before = prompts->ids;
    if (!hone_array_reserve((void **)&prompts->ids, &prompts->id_capacity,
                            prompts->id_count + length + 1, sizeof *prompts->ids) ||
        !hone_array_reserve((void **)&prompts->list, &prompts->capacity, prompts->count + 1,
                            sizeof *prompts->list))
        return hone_fail_memory(error, "prompts", p.count * sizeof *p.ids);
    int32_t *at = prompts->ids + prompts->id_count;
    if (first)
        at[0] = p.bos;
    if (p.count > 0)
        memcpy(at + first, p.ids, p.count * sizeof *p.ids);
    if (last)
        at[first + p.count] = p.eos;
    size_t limit = settings != NULL ? (size_t)settings->max_source_length : 0;
    if (limit > 0 && length > limit) {
        int32_t eos = prompts->tokenizer != NULL ? hone_tokenizer_eos(prompts->tokenizer) : -1;
        if (eos >= 0 && at[length - 1] == eos)
            at[limit - 1] = eos;
        length = limit;
    }
    prompts->id_count += length;
    prompts->list[prompts->count++].count = (int64_t)length;
    renew(prompts, prompts->ids == before ? prompts->count - 1 : 0);
    return HONE_OK;
}

static hone_status encode(hone_prompts *prompts, const char *text, size_t length,
                          const hone_data_settings *settings, hone_error *error)
{
    const hone_tokenizer *tokenizer = prompts->tokenizer;
    if (tokenizer == NULL)
        return hone_fail(error, HONE_USAGE,
                         "the model folder has no tokenizer: only rows with \"ids\" can be used");
    int32_t *ids = NULL;
    size_t capacity = 0, count = 0;
    bool ends = prompts->encoder_decoder && (settings == NULL || settings->append_eos);
    hone_status status =
        hone_tokenizer_encode(tokenizer, text, length, &ids, &capacity, &count, error);
    for (size_t i = 0; status == HONE_OK && i < count; i++)
        if (ids[i] >= prompts->vocabulary)
            status =
                hone_fail(error, HONE_MISMATCH, "the tokenizer gives token %d, the model has %lld",
                          (int)ids[i], (long long)prompts->vocabulary);
    pieces p = {hone_tokenizer_bos(tokenizer), ends ? hone_tokenizer_eos(tokenizer) : -1, ids,
                count};
    if (status == HONE_OK)
        status = add_prompt(prompts, p, settings, error);
    hone_tokenizer_free(ids);
    return status;
}

static hone_status add_record(hone_prompts *prompts, const hone_record *record,
                              const hone_data_settings *settings, hone_error *error)
{
    bool pair = record->form == HONE_RECORD_PAIR, pair_ids = record->form == HONE_RECORD_PAIR_IDS;
    bool text = record->form == HONE_RECORD_TEXT;
    const hone_prompt_row row = {.prompt = pair   ? record->source
                                           : text ? record->text
                                                  : NULL,
                                 .prompt_length = pair   ? record->source_length
                                                  : text ? record->text_length
                                                         : 0,
                                 .reference = pair ? record->text : NULL,
                                 .reference_length =
                                     pair && record->text != NULL ? record->text_length : 0,
                                 .reference_ids = record->ids,
                                 .reference_count = pair_ids ? (int64_t)record->count : 0};
    HONE_TRY(keep_row(prompts, &row, error));
    pieces ids = {-1, -1, record->ids, record->count};
    pieces source_ids = {-1, -1, record->source_ids, record->source_count};
    switch (record->form) {
    case HONE_RECORD_TEXT:
        return encode(prompts, record->text, record->text_length, settings, error);
    case HONE_RECORD_PAIR:
        return encode(prompts, record->source, record->source_length, settings, error);
    case HONE_RECORD_IDS: return add_prompt(prompts, ids, settings, error);
    case HONE_RECORD_PAIR_IDS: return add_prompt(prompts, source_ids, settings, error);
    }
    return HONE_OK;
}

/* The text as the row that a file would have held, so that a template does to both the same. */
static hone_status add_templated(hone_prompts *prompts, const char *text, size_t length,
                                 const hone_data_settings *settings, hone_error *error)
{
    hone_json *row = hone_json_new_object();
    const char *key = settings->prompt_field != NULL ? settings->prompt_field : "prompt";
    hone_json *value = hone_json_new_string_n(text, length);
    char *line = NULL;
    bool is_text = value != NULL;
    if (hone_json_set(row, key, value))
        line = hone_json_dump(row, (hone_json_format){0});
    hone_json_free(row);
    if (line == NULL)
        return is_text ? hone_fail_memory(error, "prompt", length)
                       : hone_fail(error, HONE_USAGE, "the prompt is not UTF-8 text");
    hone_document_reader reader;
    hone_record record = {0};
    hone_status status = hone_document_reader_init(&reader, settings, true, error);
    if (status == HONE_OK) {
        status = hone_record_read(&reader, line, strlen(line), "prompt", 1, prompts->vocabulary,
                                  &record, error);
        if (status == HONE_OK)
            status = add_record(prompts, &record, settings, error);
        hone_record_deinit(&record);
        hone_document_reader_deinit(&reader);
    }
    hone_free(line);
    return status;
}

hone_status hone_prompts_add_text(hone_prompts *prompts, const char *text, size_t length,
                                  const hone_data_settings *settings, hone_error *error)
{
    if (settings != NULL && settings->prompt_template != NULL)
        return add_templated(prompts, text, length, settings, error);
    const hone_prompt_row row = {.prompt = text, .prompt_length = length};
    HONE_TRY(keep_row(prompts, &row, error));
    return encode(prompts, text, length, settings, error);
}

static hone_status add_item(hone_prompts *prompts, const hone_item_reader *file,
                            const hone_document_reader *reader, hone_record *record,
                            const hone_item *item, const hone_data_settings *settings,
                            hone_error *error)
{
    HONE_TRY(hone_item_read(file, reader, item, prompts->vocabulary, record, error));
    if (hone_item_reader_kind(file) == HONE_ITEM_TEXT)
        return hone_prompts_add_text(prompts, item->text, item->length, settings, error);
    return add_record(prompts, record, settings, error);
}

hone_status hone_prompts_add_file(hone_prompts *prompts, const char *path,
                                  const hone_data_settings *settings, int64_t limit,
                                  int64_t *skipped, hone_error *error)
{
    size_t most = limit > 0 ? prompts->count + (size_t)limit : SIZE_MAX;
    bool skip = settings->on_bad_line != NULL && strcmp(settings->on_bad_line, "skip") == 0;
    if (skipped != NULL)
        *skipped = 0;
    hone_document_reader reader;
    hone_record record = {0};
    hone_item_reader *file = NULL;
    HONE_TRY(hone_document_reader_init(&reader, settings, true, error));
    hone_status status = hone_item_reader_open(path, false, &file, error);
    while (status == HONE_OK && prompts->count < most) {
        hone_item item;
        status = hone_item_reader_next(file, &item, error);
        if (status != HONE_OK || item.text == NULL)
            break;
        status = add_item(prompts, file, &reader, &record, &item, settings, error);
        if (status == HONE_INPUT && skip) {
            status = HONE_OK;
            if (skipped != NULL)
                ++*skipped;
        }
    }
    hone_item_reader_close(file);
    hone_record_deinit(&record);
    hone_document_reader_deinit(&reader);
    return status;
}

int64_t hone_prompts_count(const hone_prompts *prompts)
{
    return (int64_t)prompts->count;
}

const hone_prompt *hone_prompts_get(const hone_prompts *prompts)
{
    return prompts->list;
}
