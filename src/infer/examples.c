/* Examples: see examples.h. A data set holds token ids only, and the number of each row's line; the
 * file is walked once more for the texts of the lines that are wanted. */
#include "infer/examples.h"

#include "data/item_reader.h"

/* ---- which rows --------------------------------------------------------------------------- */

/* What the model is given of a row; of no tokens where there is nothing to go on from. */
static hone_prompt prompt_of(const hone_document *document)
{
    int64_t first = 0;
    if (document->spans != NULL)
        return (hone_prompt){0};
    if (document->source != NULL)
        return (hone_prompt){document->source, document->source_length};
    while (first < document->length && document->labels[first] == HONE_NO_LABEL)
        first++;
    return (hone_prompt){document->ids, first < document->length ? first : 0};
}

int64_t hone_examples_usable(const hone_dataset *dataset)
{
    int64_t count = 0;
    for (int64_t i = 0; i < hone_dataset_size(dataset); i++) {
        hone_document document = hone_dataset_at(dataset, i);
        count += prompt_of(&document).count > 0;
    }
    return count;
}

/* Fills prompts and lines, evenly spread: each usable row brings `count` towards the next one that
 * is taken, which costs `usable`. */
static void choose(const hone_dataset *dataset, int64_t usable, hone_examples *out)
{
    int64_t credit = usable - out->count, taken = 0;
    for (int64_t i = 0; i < hone_dataset_size(dataset) && taken < out->count; i++) {
        hone_document document = hone_dataset_at(dataset, i);
        hone_prompt prompt = prompt_of(&document);
        if (prompt.count == 0)
            continue;
        credit += out->count;
        if (credit < usable)
            continue;
        credit -= usable;
        out->prompts[taken] = prompt;
        out->items[taken++].line = document.line;
    }
}

/* ---- their texts -------------------------------------------------------------------------- */

typedef struct reading {
    const hone_model *model;
    const hone_dataset *dataset;
    const char *file;
    hone_item_reader *items;
    hone_examples *out;
    hone_document_reader plain, templated; /* without the template, and as training reads */
    hone_record record;
    int64_t next; /* the first example without texts */
} reading;

static hone_status keep(reading *r, hone_text text, hone_text *out, hone_error *error)
{
    char *copy = hone_arena_strndup(&r->out->arena, text.text, text.length);
    if (copy == NULL)
        return hone_fail_memory(error, r->file, text.length);
    *out = (hone_text){copy, text.length};
    return HONE_OK;
}

static hone_status decode(reading *r, const int32_t *ids, int64_t count, hone_text *out,
                          hone_error *error)
{
    char *text = NULL;
    size_t length;
    if (r->model->tokenizer == NULL)
        return hone_fail(error, HONE_USAGE,
                         "the model folder has no tokenizer: texts can't be compared");
    HONE_TRY(
        hone_tokenizer_decode(r->model->tokenizer, ids, (size_t)count, 1, &text, &length, error));
    hone_status status = keep(r, (hone_text){text, length}, out, error);
    hone_tokenizer_free(text);
    return status;
}

/* The texts of an example whose row holds ids. */
static hone_status decode_example(reading *r, int64_t number, hone_error *error)
{
    hone_example *example = &r->out->items[number];
    const hone_prompt *prompt = &r->out->prompts[number];
    const hone_record *record = &r->record;
    HONE_TRY(decode(r, prompt->ids, prompt->count, &example->source, error));
    int64_t first = 0, count = (int64_t)record->count;
    if (record->form == HONE_RECORD_IDS)
        first = prompt->count < count ? prompt->count : count;
    return decode(r, record->ids + first, count - first, &example->target, error);
}

/* The record of an item, without the template where the row can be read without it. */
static hone_status read_record(reading *r, const hone_item *item, hone_error *error)
{
    int64_t vocabulary = hone_model_vocabulary(r->model);
    hone_status status = hone_item_read(r->items, &r->plain, item, vocabulary, &r->record, error);
    if (status == HONE_INPUT || (status == HONE_OK && r->record.form == HONE_RECORD_TEXT))
        status = hone_item_read(r->items, &r->templated, item, vocabulary, &r->record, error);
    return status;
}

static hone_status take_item(reading *r, const hone_item *item, hone_error *error)
{
    HONE_TRY(read_record(r, item, error));
    while (r->next < r->out->count && r->out->items[r->next].line == item->line) {
        int64_t number = r->next++;
        hone_example *example = &r->out->items[number];
        const hone_record *record = &r->record;
        if (record->form == HONE_RECORD_PAIR && record->text != NULL) {
            HONE_TRY(keep(r, (hone_text){record->source, record->source_length}, &example->source,
                          error));
            HONE_TRY(
                keep(r, (hone_text){record->text, record->text_length}, &example->target, error));
        } else {
            HONE_TRY(decode_example(r, number, error));
        }
    }
    return HONE_OK;
}

static hone_status read_items(reading *r, hone_error *error)
{
    HONE_TRY(hone_item_reader_open(r->file, true, &r->items, error));
    hone_status status = HONE_OK;
    while (status == HONE_OK && r->next < r->out->count) {
        hone_item item;
        status = hone_item_reader_next(r->items, &item, error);
        if (status == HONE_OK && item.text == NULL)
            status = hone_fail_at(error, HONE_MISMATCH, r->file, -1, -1,
                                  "the file has become shorter since it was read");
        else if (status == HONE_OK && item.line == r->out->items[r->next].line)
            status = take_item(r, &item, error);
    }
    hone_item_reader_close(r->items);
    return status;
}

static hone_status read_texts(const hone_model *model, const hone_dataset *dataset,
                              const char *file, const hone_data_settings *settings,
                              hone_examples *out, hone_error *error)
{
    reading r = {.model = model, .dataset = dataset, .file = file, .out = out};
    hone_data_settings without = *settings; /* only read: its texts stay the caller's */
    without.prompt_template = NULL;
    HONE_TRY(hone_document_reader_init(&r.plain, &without, false, error));
    hone_status status = hone_document_reader_init(&r.templated, settings, false, error);
    if (status == HONE_OK) {
        status = read_items(&r, error);
        hone_record_deinit(&r.record);
        hone_document_reader_deinit(&r.templated);
    }
    hone_document_reader_deinit(&r.plain);
    return status;
}

hone_status hone_examples_find(const hone_model *model, const hone_dataset *dataset,
                               const char *file, const hone_data_settings *settings, int64_t most,
                               hone_examples *out, hone_error *error)
{
    *out = (hone_examples){0};
    int64_t usable = hone_examples_usable(dataset);
    if (usable == 0)
        return hone_fail_at(error, HONE_USAGE, file, -1, -1,
                            "predictions need rows with a source and a target (or a prompt and a "
                            "completion), found none");
    out->count = most > 0 && most < usable ? most : usable;
    out->prompts = hone_alloc_array((size_t)out->count, sizeof *out->prompts);
    out->items = hone_alloc_array((size_t)out->count, sizeof *out->items);
    hone_status status = HONE_OK;
    if (out->prompts == NULL || out->items == NULL)
        status = hone_fail_memory(error, "examples", (size_t)out->count * sizeof *out->items);
    if (status == HONE_OK) {
        choose(dataset, usable, out);
        status = read_texts(model, dataset, file, settings, out, error);
    }
    if (status != HONE_OK)
        hone_examples_deinit(out);
    return status;
}

void hone_examples_deinit(hone_examples *examples)
{
    hone_free(examples->prompts);
    hone_free(examples->items);
    hone_arena_deinit(&examples->arena);
    *examples = (hone_examples){0};
}
