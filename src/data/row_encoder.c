/* See row_encoder.h. A record is written to the end of the store as one sequence with its labels,
 * and then declared as one row, several, or none; what no row covers is left behind when the store
 * is appended to another. */
#include "data/row_encoder.h"

#include "data/preset.h"

#include <string.h>

/* Of source and target, for a model without end: what T5 was trained with. */
#define UNLIMITED_LENGTH 512

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
        HONE_TRY(put_ids(store, ids, (size_t)row.source_length + (size_t)row.length, error));
        if (row.labels_first >= 0) {
            const int32_t *labels = source->labels + row.labels_first;
            row.labels_first = (int64_t)store->label_count;
            HONE_TRY(put_labels(store, labels, (size_t)row.length, error));
        }
        HONE_TRY(put_row(store, row, error));
    }
    return HONE_OK;
}

/* ---- settings ----------------------------------------------------------------------------- */

/* The settings of span corruption and the longest text that they leave room for. */
static hone_status init_spans(hone_row_encoder *encoder, const hone_dataset_options *options,
                              hone_error *error)
{
    const hone_data_settings *settings = options->settings;
    int64_t last = (int64_t)options->first_sentinel - options->sentinel_count + 1;
    if (!encoder->encoder_decoder)
        return hone_fail(error, HONE_USAGE,
                         "the objective span_corruption needs an encoder-decoder model; this one "
                         "is decoder-only");
    if (options->sentinel_count <= 0 || last < 0 || options->first_sentinel >= options->vocabulary)
        return hone_fail(error, HONE_USAGE,
                         "the objective span_corruption needs sentinel tokens that the model "
                         "knows: the tokenizer has no <extra_id_0>, or the model is smaller");
    encoder->spans = (hone_span_corruption){.noise_density = settings->noise_density,
                                            .mean_span_length = settings->mean_noise_span_length,
                                            .first_sentinel = options->first_sentinel,
                                            .sentinel_count = options->sentinel_count,
                                            .eos = -1};
    if (encoder->append_eos && encoder->tokenizer != NULL)
        encoder->spans.eos = hone_tokenizer_eos(encoder->tokenizer);
    encoder->max_text =
        hone_span_longest(&encoder->spans, encoder->max_source, encoder->max_target);
    if (encoder->max_text == 0)
        return hone_fail(error, HONE_USAGE,
                         "no text fits: span corruption needs a max_source_length and a "
                         "max_target_length of 3 or more");
    return HONE_OK;
}

static int64_t part_limit(const hone_dataset_options *options, int64_t setting)
{
    if (setting > 0)
        return setting;
    if (!options->encoder_decoder)
        return INT32_MAX; /* max_length is all that counts */
    return options->max_length > 0 ? options->max_length : UNLIMITED_LENGTH;
}

hone_status hone_row_encoder_init(hone_row_encoder *encoder, const char *path,
                                  const hone_dataset_options *options, hone_error *error)
{
    const hone_data_settings *settings = options->settings;
    const char *policy = settings->long_documents, *objective = settings->objective;
    int64_t shortest = options->encoder_decoder ? 0 : 1;
    if (options->vocabulary <= 0 || options->vocabulary > INT32_MAX ||
        options->max_length < shortest || options->max_length > INT32_MAX)
        return hone_fail(error, HONE_USAGE,
                         "a data set needs a vocabulary and a max_length of 1 to 2147483647");
    *encoder = (hone_row_encoder){.tokenizer = options->tokenizer,
                                  .file = path,
                                  .vocabulary = options->vocabulary,
                                  .max_length = options->max_length,
                                  .max_source = part_limit(options, settings->max_source_length),
                                  .max_target = part_limit(options, settings->max_target_length),
                                  .allow_empty = hone_data_preset_apply(settings).allow_empty,
                                  .append_eos = settings->append_eos,
                                  .encoder_decoder = options->encoder_decoder,
                                  .corrupts = objective != NULL &&
                                              strcmp(objective, "span_corruption") == 0};
    if (policy != NULL && strcmp(policy, "split") == 0)
        encoder->long_policy = HONE_LONG_SPLIT;
    if (policy != NULL && strcmp(policy, "refuse") == 0)
        encoder->long_policy = HONE_LONG_REFUSE;
    return encoder->corrupts ? init_spans(encoder, options, error) : HONE_OK;
}

/* ---- records ------------------------------------------------------------------------------ */

/* A record on its way into the store. */
typedef struct encoding {
    const hone_row_encoder *encoder;
    const hone_record *record;
    int64_t line;
    hone_encode_scratch *scratch;
    hone_row_store *store;
    hone_dataset_counts *counts;
    hone_error *error;
} encoding;

/* Writes a text with what goes around it to the end of the store. */
static hone_status put_text(const encoding *e, const char *text, size_t length, bool bos, bool eos)
{
    const hone_tokenizer *tokenizer = e->encoder->tokenizer;
    size_t count = 0;
    if (tokenizer == NULL)
        return hone_fail_at(e->error, HONE_INPUT, e->encoder->file, e->line, -1,
                            "the row holds text, but the model folder has no tokenizer; add its "
                            "tokenizer.json, or give rows of %s",
                            e->encoder->encoder_decoder
                                ? "{\"source_ids\": [...], \"target_ids\": [...]}"
                                : "{\"ids\": [...]}");
    int32_t first = hone_tokenizer_bos(tokenizer), last = hone_tokenizer_eos(tokenizer);
    if (bos && first >= 0)
        HONE_TRY(put_ids(e->store, &first, 1, e->error));
    HONE_TRY(hone_tokenizer_encode(tokenizer, text, length, &e->scratch->ids, &e->scratch->capacity,
                                   &count, e->error));
    HONE_TRY(put_ids(e->store, e->scratch->ids, count, e->error));
    if (eos && e->encoder->append_eos && last >= 0)
        HONE_TRY(put_ids(e->store, &last, 1, e->error));
    return HONE_OK;
}

/* Whether the model has all tokens from `start` to the end of the store. */
static hone_status check_vocabulary(const encoding *e, size_t start)
{
    int32_t highest = -1;
    for (size_t i = start; i < e->store->id_count; i++)
        highest = e->store->ids[i] > highest ? e->store->ids[i] : highest;
    if (highest < e->encoder->vocabulary)
        return HONE_OK;
    return hone_fail_at(e->error, HONE_MISMATCH, e->encoder->file, e->line, -1,
                        "the tokenizer gives token %d, but the model knows 0 to %lld only; take "
                        "the tokenizer that the model was trained with",
                        highest, (long long)e->encoder->vocabulary - 1);
}

/* Cuts the part of a pair that stands from `start` to the end of the store to its limit. */
static hone_status cut_part(const encoding *e, size_t start, bool is_source, int64_t *dropped)
{
    hone_row_store *store = e->store;
    int64_t length = (int64_t)(store->id_count - start);
    int64_t limit = is_source ? e->encoder->max_source : e->encoder->max_target;
    *dropped = 0;
    if (length <= limit)
        return HONE_OK;
    if (e->encoder->long_policy == HONE_LONG_REFUSE)
        return hone_fail_at(e->error, HONE_INPUT, e->encoder->file, e->line, -1,
                            "the %s has %lld tokens, max_%s_length is %lld; raise it, or choose "
                            "--long-documents truncate",
                            is_source ? "source" : "target", (long long)length,
                            is_source ? "source" : "target", (long long)limit);
    int32_t eos = e->encoder->tokenizer != NULL ? hone_tokenizer_eos(e->encoder->tokenizer) : -1;
    if (eos >= 0 && store->ids[store->id_count - 1] == eos)
        store->ids[start + (size_t)limit - 1] = eos;
    store->id_count = start + (size_t)limit;
    *dropped = length - limit;
    return HONE_OK;
}

static void count_cuts(hone_dataset_counts *counts, int64_t source_dropped, int64_t target_dropped)
{
    counts->source_truncated += source_dropped > 0;
    counts->source_dropped += source_dropped;
    counts->target_truncated += target_dropped > 0;
    counts->target_dropped += target_dropped;
    counts->truncated += source_dropped > 0 || target_dropped > 0;
    counts->dropped_tokens += source_dropped + target_dropped;
}

static hone_status fail_empty(const encoding *e, int64_t length)
{
    const hone_record *record = e->record;
    const char *reason = "its text is empty or a single token";
    if (record->form == HONE_RECORD_IDS)
        reason = record->has_labels ? "no label after the first place" : "fewer than two ids";
    else if (e->encoder->encoder_decoder && record->form != HONE_RECORD_TEXT)
        reason = "its source or its target has no tokens";
    else if (record->form == HONE_RECORD_PAIR)
        reason = "its completion is empty";
    else if (record->form == HONE_RECORD_PAIR_IDS)
        reason = "no target id after the first place";
    hone_fail_at(e->error, HONE_INPUT, e->encoder->file, e->line, -1, "nothing to train on: ");
    if (!e->encoder->encoder_decoder && length > e->encoder->max_length)
        hone_error_append(e->error,
                          "the row has %lld tokens, and the first %lld (max_length) hold none that "
                          "is trained on; raise max_length, or leave such rows out with "
                          "--allow-empty true",
                          (long long)length, (long long)e->encoder->max_length);
    else
        hone_error_append(e->error, "%s; leave such rows out with --allow-empty true", reason);
    return HONE_INPUT;
}

/* A record without anything to train on. */
static hone_status pass_empty(const encoding *e, int64_t length)
{
    e->counts->empty_rows++;
    return e->encoder->allow_empty ? HONE_OK : fail_empty(e, length);
}

static hone_status put_counted(const encoding *e, hone_row row, int64_t rows, int64_t source_rows)
{
    HONE_TRY(put_row(e->store, row, e->error));
    e->counts->documents++;
    e->counts->tokens += rows;
    e->counts->source_tokens += source_rows;
    e->counts->trained_tokens += row.trained;
    return HONE_OK;
}

/* ---- decoder-only ------------------------------------------------------------------------- */

/* Declares a piece of the sequence a row, if it has anything to train on. */
static hone_status put_piece(const encoding *e, hone_row row)
{
    row.trained = row.length > 0 ? row.length - 1 : 0;
    if (row.labels_first >= 0) {
        const int32_t *labels = e->store->labels + row.labels_first;
        row.trained = 0;
        for (int32_t i = 1; i < row.length; i++)
            row.trained += labels[i] != HONE_NO_LABEL;
    }
    if (row.trained > 0)
        return put_counted(e, row, row.length, 0);
    e->counts->dropped_tokens += row.length;
    return HONE_OK;
}

/* Declares the rows of a sequence of `length` tokens that starts as `row` does. */
static hone_status put_rows(const encoding *e, hone_row row, int64_t length)
{
    hone_dataset_counts *counts = e->counts;
    int64_t longest = e->encoder->max_length, dropped = counts->dropped_tokens;
    size_t rows = e->store->row_count;
    if (length > longest && e->encoder->long_policy == HONE_LONG_REFUSE)
        return hone_fail_at(e->error, HONE_INPUT, e->encoder->file, e->line, -1,
                            "the document has %lld tokens, max_length is %lld; raise it, or choose "
                            "--long-documents truncate or split",
                            (long long)length, (long long)longest);
    bool split = e->encoder->long_policy == HONE_LONG_SPLIT;
    int64_t end = split || length < longest ? length : longest;
    for (int64_t at = 0; at < end; at += longest) {
        hone_row piece = row;
        piece.first += at;
        piece.labels_first += row.labels_first >= 0 ? at : 0;
        piece.length = (int32_t)(end - at < longest ? end - at : longest);
        HONE_TRY(put_piece(e, piece));
    }
    if (e->store->row_count == rows) {
        counts->dropped_tokens = dropped;
        return pass_empty(e, length);
    }
    counts->truncated += end < length;
    counts->dropped_tokens += length - end;
    counts->split += e->store->row_count > rows + 1;
    return HONE_OK;
}

/* Writes the source and the target of a pair, each cut to its limit; the source ends at *border. */
static hone_status put_pair(const encoding *e, size_t *border, int64_t *source_dropped,
                            int64_t *target_dropped)
{
    const hone_record *record = e->record;
    bool apart = e->encoder->encoder_decoder; /* two sequences, with bos and eos each */
    size_t start = e->store->id_count;
    if (record->form == HONE_RECORD_PAIR_IDS)
        HONE_TRY(put_ids(e->store, record->source_ids, record->source_count, e->error));
    else
        HONE_TRY(put_text(e, record->source, record->source_length, true, apart));
    HONE_TRY(cut_part(e, start, true, source_dropped));
    *border = e->store->id_count;
    if (record->form == HONE_RECORD_PAIR_IDS)
        HONE_TRY(put_ids(e->store, record->ids, record->count, e->error));
    else
        HONE_TRY(put_text(e, record->text, record->text_length, apart, true));
    HONE_TRY(cut_part(e, *border, false, target_dropped));
    return check_vocabulary(e, start);
}

/* Writes source and target as one sequence, of which the target has labels. */
static hone_status put_joined(const encoding *e, int64_t *source_dropped, int64_t *target_dropped)
{
    hone_row_store *store = e->store;
    size_t start = store->id_count, border;
    HONE_TRY(put_pair(e, &border, source_dropped, target_dropped));
    HONE_TRY(put_labels(store, NULL, border - start, e->error));
    return put_labels(store, store->ids + border, store->id_count - border, e->error);
}

static hone_status encode_whole(const encoding *e)
{
    const hone_record *record = e->record;
    hone_row_store *store = e->store;
    hone_row row = {.first = (int64_t)store->id_count,
                    .labels_first = (int64_t)store->label_count,
                    .line = e->line};
    size_t rows = store->row_count;
    int64_t source_dropped = 0, target_dropped = 0;
    bool masked = record->form != HONE_RECORD_TEXT, empty_text = false;
    if (record->form == HONE_RECORD_IDS) {
        masked = record->has_labels;
        HONE_TRY(put_ids(store, record->ids, record->count, e->error));
        if (masked)
            HONE_TRY(put_labels(store, record->labels, record->count, e->error));
    } else if (record->form == HONE_RECORD_TEXT) {
        HONE_TRY(put_text(e, record->text, record->text_length, true, true));
        HONE_TRY(check_vocabulary(e, (size_t)row.first));
        /* With a bos, an eos alone would be something to train on. */
        empty_text = record->text_length == 0;
    } else {
        HONE_TRY(put_joined(e, &source_dropped, &target_dropped));
    }
    if (!masked)
        row.labels_first = -1;
    int64_t truncated = e->counts->truncated;
    HONE_TRY(put_rows(e, row, empty_text ? 0 : (int64_t)store->id_count - row.first));
    if (store->row_count > rows)
        count_cuts(e->counts, source_dropped, target_dropped);
    if (e->counts->truncated > truncated)
        e->counts->truncated = truncated + 1; /* one document, cut in several places */
    return HONE_OK;
}

/* ---- encoder-decoder ---------------------------------------------------------------------- */

static hone_status encode_pair(const encoding *e)
{
    hone_row_store *store = e->store;
    hone_row row = {.first = (int64_t)store->id_count, .labels_first = -1, .line = e->line};
    int64_t source_dropped, target_dropped;
    size_t border;
    HONE_TRY(put_pair(e, &border, &source_dropped, &target_dropped));
    row.source_length = (int32_t)(border - (size_t)row.first);
    row.length = row.trained = (int32_t)(store->id_count - border);
    if (row.source_length == 0 || row.length == 0)
        return pass_empty(e, 0);
    count_cuts(e->counts, source_dropped, target_dropped);
    return put_counted(e, row, row.length, row.source_length);
}

static hone_status fail_needs_pair(const encoding *e)
{
    return hone_fail_at(e->error, HONE_INPUT, e->encoder->file, e->line, -1,
                        "the row is %s, but the model makes a target from a source; give rows of "
                        "{\"source\": ..., \"target\": ...} (name other keys with "
                        "--source-field and --target-field), or train on texts with "
                        "--objective span_corruption",
                        e->record->form == HONE_RECORD_TEXT ? "a text" : "one list of ids");
}

/* A text for span corruption: its pieces, without bos or eos. */
static hone_status encode_corrupted(const encoding *e)
{
    const hone_record *record = e->record;
    hone_row_store *store = e->store;
    size_t start = store->id_count, rows = store->row_count;
    if (record->form == HONE_RECORD_TEXT)
        HONE_TRY(put_text(e, record->text, record->text_length, false, false));
    else
        HONE_TRY(put_ids(store, record->ids, record->count, e->error));
    HONE_TRY(check_vocabulary(e, start));
    int64_t length = (int64_t)(store->id_count - start), longest = e->encoder->max_text;
    if (length < 2)
        return pass_empty(e, 0);
    for (int64_t at = 0; at < length; at += longest) {
        int64_t piece = length - at < longest ? length - at : longest;
        if (piece < 2) {
            e->counts->dropped_tokens += piece;
            break;
        }
        hone_span_sizes sizes = hone_span_measure(&e->encoder->spans, piece);
        hone_row row = {.first = (int64_t)start + at,
                        .labels_first = -1,
                        .line = e->line,
                        .length = (int32_t)piece,
                        .trained = (int32_t)sizes.target,
                        .corrupted = true};
        HONE_TRY(put_counted(e, row, sizes.target, sizes.source));
    }
    e->counts->split += store->row_count > rows + 1;
    return HONE_OK;
}

hone_status hone_row_encode(const hone_row_encoder *encoder, const hone_record *record,
                            int64_t line, hone_encode_scratch *scratch, hone_row_store *store,
                            hone_dataset_counts *counts, hone_error *error)
{
    const encoding e = {encoder, record, line, scratch, store, counts, error};
    if (!encoder->encoder_decoder)
        return encode_whole(&e);
    if (record->form == HONE_RECORD_PAIR || record->form == HONE_RECORD_PAIR_IDS)
        return encode_pair(&e);
    bool has_labels = record->form == HONE_RECORD_IDS && record->has_labels;
    return encoder->corrupts && !has_labels ? encode_corrupted(&e) : fail_needs_pair(&e);
}
