/* See row_encoder.h. A record is written to the end of the store as one sequence with its labels,
 * and then declared as one row, several, or none; what no row covers is left behind when the store
 * is appended to another. */
#include "data/row_encoder.h"

#include <string.h>

void hone_row_store_deinit(hone_row_store *store)
{
    hone_free(store->ids);
    hone_free(store->labels);
    hone_free(store->rows);
    *store = (hone_row_store){0};
}

void hone_row_store_clear(hone_row_store *store)
{
    store->id_count = store->label_count = store->row_count = 0;
}

void hone_encode_scratch_deinit(hone_encode_scratch *scratch)
{
    hone_tokenizer_free(scratch->ids);
    *scratch = (hone_encode_scratch){0};
}

/* One more than needed, so that the array of an empty row is no NULL either. */
static bool reserve_tokens(int32_t **tokens, size_t *capacity, size_t used, size_t more)
{
    size_t needed;
    void *block = *tokens;
    bool reserved = hone_size_add(used, more, &needed) && hone_size_add(needed, 1, &needed) &&
                    hone_array_reserve(&block, capacity, needed, sizeof **tokens);
    *tokens = block;
    return reserved;
}

static hone_status put_ids(hone_row_store *store, const int32_t *ids, size_t count,
                           hone_error *error)
{
    if (!reserve_tokens(&store->ids, &store->id_capacity, store->id_count, count))
        return hone_fail_memory(error, "token ids", count * sizeof *ids);
    if (count > 0)
        memcpy(store->ids + store->id_count, ids, count * sizeof *ids);
    store->id_count += count;
    return HONE_OK;
}

/* Adds labels: those given, or `count` times none. */
static hone_status put_labels(hone_row_store *store, const int32_t *labels, size_t count,
                              hone_error *error)
{
    if (!reserve_tokens(&store->labels, &store->label_capacity, store->label_count, count))
        return hone_fail_memory(error, "labels", count * sizeof *labels);
    int32_t *end = store->labels + store->label_count;
    for (size_t i = 0; i < count; i++)
        end[i] = labels != NULL ? labels[i] : HONE_NO_LABEL;
    store->label_count += count;
    return HONE_OK;
}

static hone_status put_row(hone_row_store *store, hone_row row, hone_error *error)
{
    void *rows = store->rows;
    if (!hone_array_reserve(&rows, &store->row_capacity, store->row_count + 1, sizeof row))
        return hone_fail_memory(error, "rows", sizeof row);
    store->rows = rows;
    store->rows[store->row_count++] = row;
    return HONE_OK;
}

hone_status hone_row_store_append(hone_row_store *store, const hone_row_store *source,
                                  hone_error *error)
{
    for (size_t i = 0; i < source->row_count; i++) {
        hone_row row = source->rows[i];
        const int32_t *ids = source->ids + row.first;
        row.first = (int64_t)store->id_count;
        HONE_TRY(put_ids(store, ids, (size_t)row.length, error));
        if (row.labels_first >= 0) {
            const int32_t *labels = source->labels + row.labels_first;
            row.labels_first = (int64_t)store->label_count;
            HONE_TRY(put_labels(store, labels, (size_t)row.length, error));
        }
        HONE_TRY(put_row(store, row, error));
    }
    return HONE_OK;
}

static hone_status put_text(const hone_row_encoder *encoder, const char *text, size_t length,
                            hone_encode_scratch *scratch, hone_row_store *store, hone_error *error)
{
    size_t count = 0;
    HONE_TRY(hone_tokenizer_encode(encoder->tokenizer, text, length, &scratch->ids,
                                   &scratch->capacity, &count, error));
    return put_ids(store, scratch->ids, count, error);
}

static hone_status check_vocabulary(const hone_row_encoder *encoder, const int32_t *ids,
                                    size_t count, int64_t line, hone_error *error)
{
    int32_t highest = -1;
    for (size_t i = 0; i < count; i++)
        highest = ids[i] > highest ? ids[i] : highest;
    if (highest < encoder->vocabulary)
        return HONE_OK;
    return hone_fail_at(error, HONE_MISMATCH, encoder->file, line, -1,
                        "the tokenizer gives token %d, but the model knows 0 to %lld only; take "
                        "the tokenizer that the model was trained with",
                        highest, (long long)encoder->vocabulary - 1);
}

/* Writes a text or pair record to the end of the store. */
static hone_status put_tokenized(const hone_row_encoder *encoder, const hone_record *record,
                                 int64_t line, hone_encode_scratch *scratch, hone_row_store *store,
                                 bool *masked, hone_error *error)
{
    size_t start = store->id_count;
    if (encoder->tokenizer == NULL)
        return hone_fail_at(error, HONE_INPUT, encoder->file, line, -1,
                            "the row holds text, but the model folder has no tokenizer; add its "
                            "tokenizer.json, or give rows of {\"ids\": [...]}");
    int32_t bos = hone_tokenizer_bos(encoder->tokenizer);
    int32_t eos = hone_tokenizer_eos(encoder->tokenizer);
    if (bos >= 0)
        HONE_TRY(put_ids(store, &bos, 1, error));
    *masked = record->form == HONE_RECORD_PAIR;
    if (*masked) {
        HONE_TRY(put_text(encoder, record->prompt, record->prompt_length, scratch, store, error));
        HONE_TRY(put_labels(store, NULL, store->id_count - start, error));
    }
    size_t trained = store->id_count;
    HONE_TRY(put_text(encoder, record->text, record->text_length, scratch, store, error));
    if (encoder->append_eos && eos >= 0)
        HONE_TRY(put_ids(store, &eos, 1, error));
    if (*masked)
        HONE_TRY(put_labels(store, store->ids + trained, store->id_count - trained, error));
    return check_vocabulary(encoder, store->ids + start, store->id_count - start, line, error);
}

/* Declares a piece of the sequence a row, if it has anything to train on. */
static hone_status put_piece(hone_row_store *store, hone_row row, hone_dataset_counts *counts,
                             hone_error *error)
{
    row.trained = row.length > 0 ? row.length - 1 : 0;
    if (row.labels_first >= 0) {
        const int32_t *labels = store->labels + row.labels_first;
        row.trained = 0;
        for (int32_t i = 1; i < row.length; i++)
            row.trained += labels[i] != HONE_NO_LABEL;
    }
    if (row.trained == 0) {
        counts->dropped_tokens += row.length;
        return HONE_OK;
    }
    HONE_TRY(put_row(store, row, error));
    counts->documents++;
    counts->tokens += row.length;
    counts->trained_tokens += row.trained;
    return HONE_OK;
}

static hone_status fail_empty(const hone_row_encoder *encoder, const hone_record *record,
                              int64_t line, int64_t length, hone_error *error)
{
    const char *reason = "its text is empty or a single token";
    if (record->form == HONE_RECORD_IDS)
        reason = record->has_labels ? "no label after the first place" : "fewer than two ids";
    else if (record->form == HONE_RECORD_PAIR)
        reason = "its completion is empty";
    hone_fail_at(error, HONE_INPUT, encoder->file, line, -1, "nothing to train on: ");
    if (length > encoder->max_length)
        hone_error_append(error,
                          "the row has %lld tokens, and the first %lld (max_length) hold none that "
                          "is trained on; raise max_length, or leave such rows out with "
                          "--allow-empty true",
                          (long long)length, (long long)encoder->max_length);
    else
        hone_error_append(error, "%s; leave such rows out with --allow-empty true", reason);
    return HONE_INPUT;
}

/* Declares the rows of a sequence of `length` tokens that starts as `row` does. */
static hone_status put_rows(const hone_row_encoder *encoder, const hone_record *record,
                            hone_row row, int64_t length, hone_row_store *store,
                            hone_dataset_counts *counts, hone_error *error)
{
    int64_t longest = encoder->max_length, dropped = counts->dropped_tokens;
    size_t rows = store->row_count;
    if (length > longest && encoder->long_policy == HONE_LONG_REFUSE)
        return hone_fail_at(error, HONE_INPUT, encoder->file, row.line, -1,
                            "the document has %lld tokens, max_length is %lld; raise it, or choose "
                            "--long-documents truncate or split",
                            (long long)length, (long long)longest);
    int64_t end = encoder->long_policy == HONE_LONG_SPLIT || length < longest ? length : longest;
    for (int64_t at = 0; at < end; at += longest) {
        hone_row piece = row;
        piece.first += at;
        piece.labels_first += row.labels_first >= 0 ? at : 0;
        piece.length = (int32_t)(end - at < longest ? end - at : longest);
        HONE_TRY(put_piece(store, piece, counts, error));
    }
    if (store->row_count == rows) {
        counts->dropped_tokens = dropped;
        counts->empty_rows++;
        return encoder->allow_empty ? HONE_OK
                                    : fail_empty(encoder, record, row.line, length, error);
    }
    counts->truncated += end < length;
    counts->dropped_tokens += length - end;
    counts->split += store->row_count > rows + 1;
    return HONE_OK;
}

hone_status hone_row_encode(const hone_row_encoder *encoder, const hone_record *record,
                            int64_t line, hone_encode_scratch *scratch, hone_row_store *store,
                            hone_dataset_counts *counts, hone_error *error)
{
    hone_row row = {.first = (int64_t)store->id_count,
                    .labels_first = (int64_t)store->label_count,
                    .line = line};
    bool masked = record->form == HONE_RECORD_IDS && record->has_labels, empty_text = false;
    if (record->form == HONE_RECORD_IDS) {
        HONE_TRY(put_ids(store, record->ids, record->count, error));
        if (masked)
            HONE_TRY(put_labels(store, record->labels, record->count, error));
    } else {
        HONE_TRY(put_tokenized(encoder, record, line, scratch, store, &masked, error));
        /* With a bos, an eos alone would be something to train on. */
        empty_text = record->form == HONE_RECORD_TEXT && record->text_length == 0;
    }
    if (!masked)
        row.labels_first = -1;
    int64_t length = empty_text ? 0 : (int64_t)store->id_count - row.first;
    return put_rows(encoder, record, row, length, store, counts, error);
}
