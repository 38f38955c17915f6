/* Prompts: see prompts.h. The ids of all prompts stand one after the other; the list of borrowed
 * slices is made anew after the ids have moved. What becomes of a prompt is what training makes of
 * the source of a pair: see data/row_encoder.h. */
#include <hone/prompts.h>

#include "base/json.h"
#include "base/memory.h"
#include "data/item_reader.h"
#include "engine/model.h"

#include <string.h>

struct hone_prompts {
    const hone_tokenizer *tokenizer; /* or NULL */
    int64_t vocabulary;
    bool encoder_decoder; /* prompts are sources: they end with eos */
    int32_t *ids;
    size_t id_count, id_capacity;
    hone_prompt *list; /* list[i].ids is set by renew */
    size_t count, capacity;
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
    hone_free(prompts);
}

static void renew(hone_prompts *prompts)
{
    const int32_t *ids = prompts->ids;
    for (size_t i = 0; i < prompts->count; i++) {
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
    renew(prompts);
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
                                  const hone_data_settings *settings, int64_t *skipped,
                                  hone_error *error)
{
    bool skip = settings->on_bad_line != NULL && strcmp(settings->on_bad_line, "skip") == 0;
    if (skipped != NULL)
        *skipped = 0;
    hone_document_reader reader;
    hone_record record = {0};
    hone_item_reader *file = NULL;
    HONE_TRY(hone_document_reader_init(&reader, settings, true, error));
    hone_status status = hone_item_reader_open(path, false, &file, error);
    while (status == HONE_OK) {
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
