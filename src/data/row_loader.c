/* Reads a file chunk by chunk: see row_loader.h.
 * Idea: about a megabyte of documents is gathered, cut into tasks of neighbouring documents, which
 * threads parse and tokenize into stores of their own, and the stores are appended in order. So
 * neither the result nor which error is reported depends on the threads, and memory beside the
 * result is a chunk and each thread's longest document. */
#include "data/row_loader.h"

#include "base/parallel.h"
#include "base/utf8_check.h"
#include "data/line_reader.h"

#include <string.h>

#define CHUNK_BYTES ((size_t)1 << 20)
#define TASK_BYTES ((size_t)32 << 10)
#define MAX_TASKS ((size_t)(CHUNK_BYTES / TASK_BYTES + 1))

/* A line or paragraph in the chunk's text. */
typedef struct chunk_item {
    size_t offset, length;
    int64_t line;
    bool too_long;
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
    bool is_text, skip_bad;
    hone_line_reader *lines;
    hone_document_reader reader;
    const hone_row_encoder *encoder;
    char *text; /* the chunk */
    size_t text_used, text_capacity;
    chunk_item *items;
    size_t item_count, item_capacity;
    bool ended, looked; /* no more lines; the first line was looked at */
    chunk_task *tasks;
    size_t task_count;
    thread_scratch *scratch; /* one for each thread */
    int threads;
    int64_t bad_line; /* the first skipped of the file, or 0 */
    char bad_reason[256];
} row_loader;

static bool ends_with(const char *text, size_t length, const char *ending)
{
    size_t size = strlen(ending);
    return length >= size && memcmp(text + length - size, ending, size) == 0;
}

static hone_status find_kind(const char *path, bool *is_text, bool *zstd, hone_error *error)
{
    size_t length = strlen(path);
    *zstd = ends_with(path, length, ".zst");
    if (*zstd)
        length -= strlen(".zst");
    *is_text = ends_with(path, length, ".txt");
    if (*is_text || ends_with(path, length, ".jsonl") || ends_with(path, length, ".json"))
        return HONE_OK;
    return hone_fail_at(error, HONE_INPUT, path, -1, -1,
                        "unknown kind of data file; expected a name that ends in .jsonl (one JSON "
                        "object a line) or .txt (paragraphs), with .zst after it when compressed");
}

static hone_status loader_init(row_loader *loader, const hone_row_encoder *encoder,
                               const hone_data_settings *settings, hone_error *error)
{
    const char *bad = settings->on_bad_line;
    bool zstd;
    loader->path = encoder->file;
    loader->encoder = encoder;
    loader->skip_bad = bad != NULL && strcmp(bad, "skip") == 0;
    HONE_TRY(find_kind(loader->path, &loader->is_text, &zstd, error));
    HONE_TRY(hone_document_reader_init(&loader->reader, settings, false, error));
    loader->threads = hone_parallel_threads();
    loader->scratch = hone_alloc_array((size_t)loader->threads, sizeof *loader->scratch);
    loader->tasks = hone_alloc_array(MAX_TASKS, sizeof *loader->tasks);
    if (loader->scratch == NULL || loader->tasks == NULL)
        return hone_fail_memory(error, "data reader", MAX_TASKS * sizeof *loader->tasks);
    return hone_line_reader_open(loader->path, zstd, &loader->lines, error);
}

static void loader_deinit(row_loader *loader)
{
    hone_line_reader_close(loader->lines);
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

/* Opens an item at the end of the chunk's text. */
static hone_status start_item(row_loader *loader, const hone_line *line, hone_error *error)
{
    void *items = loader->items;
    if (!hone_array_reserve(&items, &loader->item_capacity, loader->item_count + 1,
                            sizeof *loader->items))
        return hone_fail_memory(error, "lines", loader->item_count * sizeof *loader->items);
    loader->items = items;
    loader->items[loader->item_count++] =
        (chunk_item){.offset = loader->text_used, .line = line->number, .too_long = line->too_long};
    return HONE_OK;
}

/* Adds text to the last item. */
static hone_status extend_item(row_loader *loader, const char *text, size_t length,
                               hone_error *error)
{
    void *block = loader->text;
    if (!hone_array_reserve(&block, &loader->text_capacity, loader->text_used + length + 1, 1))
        return hone_fail_memory(error, "lines", loader->text_used + length);
    loader->text = block;
    memcpy(loader->text + loader->text_used, text, length);
    loader->text_used += length;
    loader->items[loader->item_count - 1].length += length;
    return HONE_OK;
}

static hone_status next_line(row_loader *loader, hone_line *line, hone_error *error)
{
    HONE_TRY(hone_line_reader_next(loader->lines, line, error));
    loader->ended = line->text == NULL;
    return HONE_OK;
}

/* What counts towards a chunk's size: many tiny documents are a full chunk too. */
static size_t chunk_bytes(const row_loader *loader)
{
    return loader->text_used + loader->item_count * sizeof *loader->items;
}

static hone_status fill_json(row_loader *loader, hone_error *error)
{
    while (chunk_bytes(loader) < CHUNK_BYTES) {
        hone_line line;
        HONE_TRY(next_line(loader, &line, error));
        if (loader->ended)
            return HONE_OK;
        if (hone_line_is_blank(&line))
            continue;
        size_t start = 0; /* the line is not blank */
        while (line.text[start] == ' ' || line.text[start] == '\t')
            start++;
        if (!loader->looked && line.text[start] == '[')
            return hone_fail_at(error, HONE_INPUT, loader->path, line.number, -1,
                                "the file holds one JSON array; expected one JSON object a line: "
                                "jq -c '.[]' FILE > FILE.jsonl makes that of it");
        loader->looked = true;
        HONE_TRY(start_item(loader, &line, error));
        if (!line.too_long)
            HONE_TRY(extend_item(loader, line.text, line.length, error));
    }
    return HONE_OK;
}

/* Paragraphs are whole in a chunk: it ends at a blank line only. */
static hone_status fill_text(row_loader *loader, hone_error *error)
{
    bool inside = false;
    while (inside || chunk_bytes(loader) < CHUNK_BYTES) {
        hone_line line;
        HONE_TRY(next_line(loader, &line, error));
        if (loader->ended)
            return HONE_OK;
        if (hone_line_is_blank(&line) && !line.too_long) {
            inside = false;
            continue;
        }
        if (!inside)
            HONE_TRY(start_item(loader, &line, error));
        chunk_item *item = &loader->items[loader->item_count - 1];
        item->too_long |= line.too_long || item->length + line.length + 1 > HONE_LINE_LIMIT;
        if (!item->too_long) {
            if (inside)
                HONE_TRY(extend_item(loader, "\n", 1, error));
            HONE_TRY(extend_item(loader, line.text, line.length, error));
        }
        inside = true;
    }
    return HONE_OK;
}

static hone_status read_text(const row_loader *loader, const chunk_item *item, hone_record *record,
                             hone_error *error)
{
    const char *text = loader->text + item->offset;
    size_t valid = hone_utf8_valid(text, item->length);
    if (valid < item->length) {
        int64_t line = item->line;
        for (size_t i = 0; i < valid; i++)
            line += text[i] == '\n';
        return hone_fail_at(error, HONE_INPUT, loader->path, line, -1,
                            "bytes that are not UTF-8, beginning with 0x%02X; convert the file "
                            "with iconv -t UTF-8",
                            (unsigned char)text[valid]);
    }
    record->form = HONE_RECORD_TEXT;
    record->text = text;
    record->text_length = item->length;
    return HONE_OK;
}

static hone_status read_item(const row_loader *loader, const chunk_item *item, hone_record *record,
                             hone_error *error)
{
    if (item->too_long)
        return hone_fail_at(error, HONE_INPUT, loader->path, item->line, -1,
                            "the %s is longer than %zu MiB; cut it into several",
                            loader->is_text ? "paragraph" : "line", HONE_LINE_LIMIT >> 20);
    if (loader->is_text)
        return read_text(loader, item, record, error);
    return hone_record_read(&loader->reader, loader->text + item->offset, item->length,
                            loader->path, item->line, loader->encoder->vocabulary, record, error);
}

static void run_task(void *context, int64_t number, int thread)
{
    row_loader *loader = context;
    chunk_task *task = &loader->tasks[number];
    thread_scratch *scratch = &loader->scratch[thread];
    for (size_t i = task->first; i < task->end && task->status == HONE_OK; i++) {
        const chunk_item *item = &loader->items[i];
        task->status = read_item(loader, item, &scratch->record, &task->error);
        if (task->status == HONE_INPUT && loader->skip_bad) {
            if (task->counts.bad_lines++ == 0) {
                task->bad_line = task->error.line;
                memcpy(task->bad_reason, task->error.message, sizeof task->bad_reason - 1);
            }
            task->status = HONE_OK;
        } else if (task->status == HONE_OK) {
            task->status =
                hone_row_encode(loader->encoder, &scratch->record, item->line, &scratch->ids,
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
        bytes += loader->items[i].length + sizeof *loader->items;
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
    loader->text_used = loader->item_count = 0;
    HONE_TRY(loader->is_text ? fill_text(loader, error) : fill_json(loader, error));
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
