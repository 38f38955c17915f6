/* Files of predictions and references, row by row: see hone_scorer_add_files in score.h. Nothing
 * but the rows at hand is kept. */
#include "data/json_line.h"
#include "data/line_reader.h"

#include "base/memory.h"
#include "base/utf8_check.h"

#include <hone/score.h>

#include <stdio.h>
#include <string.h>

/* The texts under one key of a row. */
typedef struct field {
    const char *key;
    const char *flag; /* that names the key */
    bool list;        /* whether an array of texts will do */
    hone_text *texts;
    size_t count, capacity;
    char *decoded; /* where texts with escapes are */
    size_t decoded_capacity;
} field;

typedef struct source {
    const char *path;
    hone_line_reader *lines;
    hone_line line;
    bool plain; /* a text a line, else a JSON object a line */
} source;

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

static hone_status source_open(source *from, const char *path, hone_error *error)
{
    bool json = ends_with(path, ".jsonl") || ends_with(path, ".json") ||
                ends_with(path, ".jsonl.zst") || ends_with(path, ".json.zst");
    *from = (source){.path = path, .plain = !json};
    return hone_line_reader_open(path, ends_with(path, ".zst"), &from->lines, error);
}

/* The next line with a row; an empty line of plain text is one. line.text is NULL at the end. */
static hone_status source_next(source *from, hone_error *error)
{
    do {
        HONE_TRY(hone_line_reader_next(from->lines, &from->line, error));
    } while (!from->plain && from->line.text != NULL && hone_line_is_blank(&from->line));
    if (from->line.text == NULL)
        return HONE_OK;
    if (from->line.too_long)
        return hone_fail_at(error, HONE_INPUT, from->path, from->line.number, -1,
                            "expected a line of at most %zu bytes", HONE_LINE_LIMIT);
    return HONE_OK;
}

static void field_deinit(field *to)
{
    hone_free(to->texts);
    hone_free(to->decoded);
}

static hone_status push_text(field *to, const char *text, size_t length, hone_error *error)
{
    if (!hone_array_reserve((void **)&to->texts, &to->capacity, to->count + 1, sizeof *to->texts))
        return hone_fail_memory(error, "references", to->count * sizeof *to->texts);
    to->texts[to->count++] = (hone_text){text, length};
    return HONE_OK;
}

static hone_status read_plain(const source *from, field *to, hone_error *error)
{
    size_t valid = hone_utf8_valid(from->line.text, from->line.length);
    if (valid < from->line.length)
        return hone_fail_at(error, HONE_INPUT, from->path, from->line.number, -1,
                            "expected UTF-8 text, found another byte at byte %zu of the line",
                            valid + 1);
    to->count = 0;
    return push_text(to, from->line.text, from->line.length, error);
}

/* Adds a string, or what a number, true or false is spelt like. `used` bytes of to->decoded are in
 * use; there is room for the rest of the value. */
static hone_status push_value(field *to, const hone_json_line_value *value, size_t *used,
                              hone_error *error)
{
    if (!value->escaped)
        return push_text(to, value->text, value->length, error);
    char *out = to->decoded + *used;
    size_t length = hone_json_line_decode(value, out);
    *used += length;
    return push_text(to, out, length, error);
}

static hone_status read_value(const source *from, field *to, const hone_json_line_value *value,
                              hone_error *error)
{
    size_t used = 0, cursor = 0;
    hone_json_line_value element;
    int found;
    to->count = 0;
    if (!hone_array_reserve((void **)&to->decoded, &to->decoded_capacity, value->length + 1, 1))
        return hone_fail_memory(error, "text to score", value->length);
    if (value->type != HONE_JSON_LINE_ARRAY && value->type != HONE_JSON_LINE_OBJECT &&
        value->type != HONE_JSON_LINE_NULL)
        return push_value(to, value, &used, error);
    if (value->type != HONE_JSON_LINE_ARRAY || !to->list)
        return hone_fail_at(error, HONE_INPUT, from->path, from->line.number, -1,
                            "\"%.100s\" must be a string%s, found %s", to->key,
                            to->list ? " or an array of strings" : "",
                            hone_json_line_type_name(value->type));
    while ((found = hone_json_line_string(value, &cursor, &element)) > 0)
        HONE_TRY(push_value(to, &element, &used, error));
    if (found < 0 || to->count == 0)
        return hone_fail_at(error, HONE_INPUT, from->path, from->line.number, -1,
                            "\"%.100s\" must be a string or an array of strings, found %s", to->key,
                            found < 0 ? "another element" : "an empty array");
    return HONE_OK;
}

/* Keys with escapes are compared as they are spelt; nobody writes them. */
static bool is_key(const hone_json_line_value *key, const char *name)
{
    return key->length == strlen(name) && memcmp(key->text, name, key->length) == 0;
}

static hone_status fail_missing(const source *from, const field *wanted, hone_error *error)
{
    hone_json_line scan;
    hone_json_line_value key, value;
    size_t shown = 0;
    hone_fail_at(error, HONE_INPUT, from->path, from->line.number, -1,
                 "expected \"%.100s\"; the row has ", wanted->key);
    hone_json_line_init(&scan, from->line.text, from->line.length);
    for (; hone_json_line_next(&scan, &key, &value) && shown < 12; shown++)
        hone_error_append(error, "%s\"%.*s\"", shown > 0 ? ", " : "",
                          (int)(key.length < 60 ? key.length : 60), key.text);
    hone_error_append(error, "%s; name the key with %s", shown == 0 ? "no keys at all" : "",
                      wanted->flag);
    return HONE_INPUT;
}

static hone_status read_json(const source *from, field *const *fields, size_t count,
                             hone_error *error)
{
    hone_json_line scan;
    hone_json_line_value key, value;
    for (size_t i = 0; i < count; i++)
        fields[i]->count = 0;
    hone_json_line_init(&scan, from->line.text, from->line.length);
    while (hone_json_line_next(&scan, &key, &value))
        for (size_t i = 0; i < count; i++) {
            if (!is_key(&key, fields[i]->key))
                continue;
            if (fields[i]->count > 0)
                return hone_fail_at(error, HONE_INPUT, from->path, from->line.number, -1,
                                    "\"%.100s\" stands twice in the row", fields[i]->key);
            HONE_TRY(read_value(from, fields[i], &value, error));
        }
    if (scan.problem != NULL)
        return hone_fail_at(error, HONE_INPUT, from->path, from->line.number, -1,
                            "%s, at byte %zu of the line; each line must hold one JSON object",
                            scan.problem, scan.at + 1);
    for (size_t i = 0; i < count; i++)
        if (fields[i]->count == 0)
            return fail_missing(from, fields[i], error);
    return HONE_OK;
}

static hone_status read_row(const source *from, field *const *fields, size_t count,
                            hone_error *error)
{
    return from->plain ? read_plain(from, fields[0], error) : read_json(from, fields, count, error);
}

static hone_status fail_counts(const source *longer, const source *shorter, int64_t rows,
                               hone_error *error)
{
    return hone_fail_at(error, HONE_INPUT, longer->path, longer->line.number, -1,
                        "expected as many rows as in %.300s, which ends after %lld", shorter->path,
                        (long long)rows);
}

static hone_status check_has_references(const source *from, hone_error *error)
{
    if (!from->plain)
        return HONE_OK;
    return hone_fail_at(error, HONE_INPUT, from->path, -1, -1,
                        "a file of plain text has no references; name theirs with --ref");
}

/* Rows whose two parts stand in one file. */
static hone_status add_rows(hone_scorer *scorer, source *from, field *prediction, field *reference,
                            hone_error *error)
{
    field *const fields[] = {prediction, reference};
    HONE_TRY(check_has_references(from, error));
    for (;;) {
        HONE_TRY(source_next(from, error));
        if (from->line.text == NULL)
            return HONE_OK;
        HONE_TRY(read_row(from, fields, 2, error));
        HONE_TRY(hone_scorer_add(scorer, prediction->texts[0], reference->texts, reference->count,
                                 error));
    }
}

/* Rows whose two parts stand in two files. */
static hone_status add_pairs(hone_scorer *scorer, source *predictions, source *references,
                             field *prediction, field *reference, hone_error *error)
{
    for (int64_t rows = 0;; rows++) {
        HONE_TRY(source_next(predictions, error));
        HONE_TRY(source_next(references, error));
        if (predictions->line.text == NULL && references->line.text == NULL)
            return HONE_OK;
        if (references->line.text == NULL)
            return fail_counts(predictions, references, rows, error);
        if (predictions->line.text == NULL)
            return fail_counts(references, predictions, rows, error);
        HONE_TRY(read_row(predictions, &prediction, 1, error));
        HONE_TRY(read_row(references, &reference, 1, error));
        HONE_TRY(hone_scorer_add(scorer, prediction->texts[0], reference->texts, reference->count,
                                 error));
    }
}

hone_status hone_scorer_add_files(hone_scorer *scorer, const hone_score_files *files,
                                  hone_error *error)
{
    source predictions = {0}, references = {0};
    field prediction = {.key = files->prediction_field, .flag = "--pred-field"};
    field reference = {.key = files->reference_field, .flag = "--ref-field", .list = true};
    int64_t before = hone_scorer_rows(scorer);
    hone_status status = source_open(&predictions, files->predictions, error);
    if (status == HONE_OK && files->references != NULL)
        status = source_open(&references, files->references, error);
    if (status == HONE_OK && files->references == NULL)
        status = add_rows(scorer, &predictions, &prediction, &reference, error);
    else if (status == HONE_OK)
        status = add_pairs(scorer, &predictions, &references, &prediction, &reference, error);
    if (status == HONE_OK && hone_scorer_rows(scorer) == before)
        status = hone_fail_at(error, HONE_INPUT, files->predictions, -1, -1, "there are no rows");
    hone_line_reader_close(predictions.lines);
    hone_line_reader_close(references.lines);
    field_deinit(&prediction);
    field_deinit(&reference);
    return status;
}

/* ---- two files of the same rows ----------------------------------------------------------- */

static bool same_text(hone_text a, hone_text b)
{
    return a.length == b.length && memcmp(a.text, b.text, a.length) == 0;
}

static bool same_texts(const field *a, const field *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; i < a->count && same; i++)
        same = same_text(a->texts[i], b->texts[i]);
    return same;
}

/* What is shown of two texts in an error: from a little before the first byte that differs. */
static void show_difference(hone_text *a, hone_text *b)
{
    enum { BEFORE = 20, MOST = 60 };
    hone_text *const both[] = {a, b};
    size_t at = 0;
    while (at < a->length && at < b->length && a->text[at] == b->text[at])
        at++;
    at = at > BEFORE ? at - BEFORE : 0;
    while (at > 0 && ((unsigned char)a->text[at] & 0xC0) == 0x80)
        at--;
    for (int i = 0; i < 2; i++) {
        size_t rest = both[i]->length - at;
        both[i]->text += at;
        both[i]->length = hone_utf8_valid(both[i]->text, rest < MOST ? rest : MOST);
    }
}

static hone_status fail_other(const source *one, const field *a, const source *other,
                              const field *b, hone_error *error)
{
    size_t at = 0;
    if (a->count != b->count)
        return hone_fail_at(error, HONE_MISMATCH, other->path, other->line.number, -1,
                            "expected %zu references as in %.300s, line %lld, found %zu; only "
                            "predictions of the same rows can be compared",
                            a->count, one->path, (long long)one->line.number, b->count);
    while (same_text(a->texts[at], b->texts[at]))
        at++;
    hone_text here = a->texts[at], there = b->texts[at];
    show_difference(&here, &there);
    return hone_fail_at(error, HONE_MISMATCH, other->path, other->line.number, -1,
                        "expected the reference of %.300s, line %lld, \"%.*s\", found \"%.*s\"; "
                        "only predictions of the same rows can be compared",
                        one->path, (long long)one->line.number, (int)here.length, here.text,
                        (int)there.length, there.text);
}

static hone_status match_rows(source *one, field *a, source *other, field *b, hone_error *error)
{
    HONE_TRY(check_has_references(one, error));
    HONE_TRY(check_has_references(other, error));
    for (int64_t rows = 0;; rows++) {
        HONE_TRY(source_next(one, error));
        HONE_TRY(source_next(other, error));
        if (one->line.text == NULL && other->line.text == NULL)
            return HONE_OK;
        if (one->line.text == NULL || other->line.text == NULL) {
            bool longer = other->line.text == NULL;
            fail_counts(longer ? one : other, longer ? other : one, rows, error);
            if (error != NULL)
                error->status = HONE_MISMATCH;
            return HONE_MISMATCH;
        }
        HONE_TRY(read_row(one, &a, 1, error));
        HONE_TRY(read_row(other, &b, 1, error));
        if (!same_texts(a, b))
            return fail_other(one, a, other, b, error);
    }
}

hone_status hone_score_same_references(const char *first, const char *second,
                                       const char *reference_field, hone_error *error)
{
    source one = {0}, other = {0};
    field a = {.key = reference_field, .flag = "--ref-field", .list = true}, b = a;
    hone_status status = source_open(&one, first, error);
    if (status == HONE_OK)
        status = source_open(&other, second, error);
    if (status == HONE_OK)
        status = match_rows(&one, &a, &other, &b, error);
    hone_line_reader_close(one.lines);
    hone_line_reader_close(other.lines);
    field_deinit(&a);
    field_deinit(&b);
    return status;
}
