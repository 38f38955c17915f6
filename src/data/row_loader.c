/* Reads a file chunk by chunk: see row_loader.h.
 * Idea: about a megabyte of documents is gathered, cut into tasks of neighbouring documents, which
 * threads parse and tokenize into stores of their own, and the stores are appended in order. So
 * neither the result nor which error is reported depends on the threads, and memory beside the
 * result is a chunk and each thread's longest document. */
#include "data/row_loader.h"

#include "base/parallel.h"
#include "data/item_reader.h"

#include <string.h>

#define CHUNK_BYTES ((size_t)1 << 20)
#define TASK_BYTES ((size_t)32 << 10)
#define MAX_TASKS ((size_t)(CHUNK_BYTES / TASK_BYTES + 1))

/* An item, whose text stands in the chunk's. */
typedef struct chunk_item {
    size_t offset;
    hone_item item; /* without its text */
} chunk_item;

typedef struct chunk_task {
    size_t first, end; /* items */
    hone_row_store store;
    hone_dataset_counts counts;
    hone_status status;
    hone_error error;
    int64_t bad_line; /* the first skipped, or 0 */
    char bad_reason[256];
} chunk_task;

typedef struct thread_scratch {
    hone_record record;
    hone_encode_scratch ids;
} thread_scratch;

typedef struct row_loader {
    const char *path;
    bool skip_bad;
    hone_item_reader *file;
    hone_document_reader reader;
    const hone_row_encoder *encoder;
    char *text; /* the chunk */
    size_t text_used, text_capacity;
    chunk_item *items;
    size_t item_count, item_capacity;
    bool ended; /* no more items */
    chunk_task *tasks;
    size_t task_count;
    thread_scratch *scratch; /* one for each thread */
    int threads;
    int64_t bad_line; /* the first skipped of the file, or 0 */
    char bad_reason[256];
} row_loader;

static hone_status loader_init(row_loader *loader, const hone_row_encoder *encoder,
                               const hone_data_settings *settings, hone_error *error)
{
    const char *bad = settings->on_bad_line;
    loader->path = encoder->file;
    loader->encoder = encoder;
    loader->skip_bad = bad != NULL && strcmp(bad, "skip") == 0;
    HONE_TRY(hone_document_reader_init(&loader->reader, settings, false, error));
    loader->threads = hone_parallel_threads();
    loader->scratch = hone_alloc_array((size_t)loader->threads, sizeof *loader->scratch);
    loader->tasks = hone_alloc_array(MAX_TASKS, sizeof *loader->tasks);
    if (loader->scratch == NULL || loader->tasks == NULL)
        return hone_fail_memory(error, "data reader", MAX_TASKS * sizeof *loader->tasks);
    return hone_item_reader_open(loader->path, true, &loader->file, error);
}

static void loader_deinit(row_loader *loader)
{
    hone_item_reader_close(loader->file);
    hone_document_reader_deinit(&loader->reader);
    for (size_t i = 0; loader->tasks != NULL && i < MAX_TASKS; i++)
        hone_row_store_deinit(&loader->tasks[i].store);
    for (int i = 0; loader->scratch != NULL && i < loader->threads; i++) {
        hone_record_deinit(&loader->scratch[i].record);
        hone_encode_scratch_deinit(&loader->scratch[i].ids);
    }
    hone_free(loader->tasks);
    hone_free(loader->scratch);
    hone_free(loader->items);
    hone_free(loader->text);
}

/* Copies an item to the end of the chunk. */
static hone_status keep_item(row_loader *loader, const hone_item *item, hone_error *error)
{
    size_t length = item->too_long ? 0 : item->length;
    void *items = loader->items, *block = loader->text;
    bool reserved = hone_array_reserve(&items, &loader->item_capacity, loader->item_count + 1,
                                       sizeof *loader->items);
    loader->items = items;
    reserved = reserved && hone_array_reserve(&block, &loader->text_capacity,
                                              loader->text_used + length + 1, 1);
    loader->text = block;
    if (!reserved)
        return hone_fail_memory(error, "lines", loader->text_used + length);
    chunk_item *kept = &loader->items[loader->item_count++];
    *kept = (chunk_item){.offset = loader->text_used, .item = *item};
    kept->item.length = length;
    memcpy(loader->text + loader->text_used, item->text, length);
    loader->text_used += length;
    return HONE_OK;
}

/* Many tiny documents are a full chunk too. */
static hone_status fill_chunk(row_loader *loader, hone_error *error)
{
    loader->text_used = loader->item_count = 0;
    while (loader->text_used + loader->item_count * sizeof *loader->items < CHUNK_BYTES) {
        hone_item item;
        HONE_TRY(hone_item_reader_next(loader->file, &item, error));
        loader->ended = item.text == NULL;
        if (loader->ended)
            return HONE_OK;
        HONE_TRY(keep_item(loader, &item, error));
    }
    return HONE_OK;
}

static void run_task(void *context, int64_t number, int thread)
{
    row_loader *loader = context;
    chunk_task *task = &loader->tasks[number];
    thread_scratch *scratch = &loader->scratch[thread];
    for (size_t i = task->first; i < task->end && task->status == HONE_OK; i++) {
        hone_item item = loader->items[i].item;
        item.text = loader->text + loader->items[i].offset;
        task->status = hone_item_read(loader->file, &loader->reader, &item,
                                      loader->encoder->vocabulary, &scratch->record, &task->error);
        if (task->status == HONE_INPUT && loader->skip_bad) {
            if (task->counts.bad_lines++ == 0) {
                task->bad_line = task->error.line;
                memcpy(task->bad_reason, task->error.message, sizeof task->bad_reason - 1);
            }
            task->status = HONE_OK;
        } else if (task->status == HONE_OK) {
            task->status =
                hone_row_encode(loader->encoder, &scratch->record, item.line, &scratch->ids,
                                &task->store, &task->counts, &task->error);
        }
    }
}

static void cut_tasks(row_loader *loader)
{
    loader->task_count = 0;
    for (size_t i = 0, bytes = 0; i < loader->item_count; i++) {
        bool fresh = i == 0 || (bytes >= TASK_BYTES && loader->task_count < MAX_TASKS);
        if (fresh) {
            chunk_task *task = &loader->tasks[loader->task_count++];
            hone_row_store_clear(&task->store);
            task->first = i;
            task->status = HONE_OK;
            task->counts = (hone_dataset_counts){0};
            bytes = 0;
        }
        loader->tasks[loader->task_count - 1].end = i + 1;
        bytes += loader->items[i].item.length + sizeof *loader->items;
    }
}

static void add_counts(hone_dataset_counts *sum, const hone_dataset_counts *part)
{
    sum->documents += part->documents;
    sum->tokens += part->tokens;
    sum->source_tokens += part->source_tokens;
    sum->trained_tokens += part->trained_tokens;
    sum->truncated += part->truncated;
    sum->dropped_tokens += part->dropped_tokens;
    sum->source_truncated += part->source_truncated;
    sum->source_dropped += part->source_dropped;
    sum->target_truncated += part->target_truncated;
    sum->target_dropped += part->target_dropped;
    sum->split += part->split;
    sum->bad_lines += part->bad_lines;
    sum->empty_rows += part->empty_rows;
}

static hone_status load_chunk(row_loader *loader, hone_row_store *store,
                              hone_dataset_counts *counts, hone_error *error)
{
    HONE_TRY(fill_chunk(loader, error));
    cut_tasks(loader);
    hone_parallel_run((int64_t)loader->task_count, run_task, loader);
    for (size_t i = 0; i < loader->task_count; i++) {
        chunk_task *task = &loader->tasks[i];
        if (task->status != HONE_OK) {
            if (error != NULL)
                *error = task->error;
            return task->status;
        }
        HONE_TRY(hone_row_store_append(store, &task->store, error));
        if (task->counts.bad_lines > 0 && counts->bad_lines == 0) {
            loader->bad_line = task->bad_line;
            memcpy(loader->bad_reason, task->bad_reason, sizeof loader->bad_reason);
        }
        add_counts(counts, &task->counts);
    }
    return HONE_OK;
}

hone_status hone_rows_load(const hone_row_encoder *encoder, const hone_data_settings *settings,
                           hone_row_store *store, hone_dataset_counts *counts, hone_error *error)
{
    const char *path = encoder->file;
    row_loader loader = {0};
    hone_status status;
    *counts = (hone_dataset_counts){0};
    HONE_TRY_GOTO(loader_init(&loader, encoder, settings, error), done);
    while (!loader.ended)
        HONE_TRY_GOTO(load_chunk(&loader, store, counts, error), done);
    if (counts->bad_lines > 0)
        hone_log(HONE_LOG_WARNING, "%s: %lld bad lines left out; the first, line %lld: %s", path,
                 (long long)counts->bad_lines, (long long)loader.bad_line, loader.bad_reason);
    if (counts->documents == 0)
        status = hone_fail_at(error, HONE_INPUT, path, -1, -1,
                              "no documents in it (%lld bad lines and %lld rows with nothing to "
                              "train on were left out)",
                              (long long)counts->bad_lines, (long long)counts->empty_rows);
done:
    loader_deinit(&loader);
    return status;
}
