/* Rows of JSON and CSV to documents: see document_reader.h.
 * Idea: the members of a row are kept as spans of its line; strings with escapes are decoded into
 * one buffer of the line's length, each at most once, which therefore never moves. */
#include "data/document_reader.h"

#include "data/json_line.h"
#include "data/preset.h"
#include "tensor/batch.h"

#include <stdio.h>
#include <string.h>

#define MAX_MEMBERS 1024     /* bounds the search for repeated keys */
#define IGNORED_LABEL (-100) /* in files, as Transformers has it */

struct hone_template_part {
    const char *literal; /* NULL: the value of key */
    size_t length;
    const char *key;
};

struct hone_record_member {
    hone_json_line_value key, value; /* strings are decoded: `escaped` is false then */
};

/* Where a problem is, for messages. */
typedef struct place {
    const char *file;
    int64_t line;
    hone_error *error;
} place;

static const char *copy_field(hone_document_reader *reader, const char *name, bool *failed)
{
    if (name == NULL || name[0] == '\0')
        return NULL;
    const char *copy = hone_arena_strdup(&reader->arena, name);
    *failed |= copy == NULL;
    return copy;
}

/* Adds a part: a literal of `length` bytes, or the key of that many. */
static hone_status add_part(hone_document_reader *reader, size_t *capacity, const char *text,
                            size_t length, bool is_key, hone_error *error)
{
    if (!is_key && length == 0)
        return HONE_OK;
    void *parts = reader->parts;
    if (!hone_array_reserve(&parts, capacity, reader->part_count + 1, sizeof *reader->parts))
        return hone_fail_memory(error, "prompt_template", length);
    reader->parts = parts;
    const char *copy = hone_arena_strndup(&reader->arena, text, length);
    if (copy == NULL)
        return hone_fail_memory(error, "prompt_template", length);
    reader->parts[reader->part_count++] = (struct hone_template_part){
        .literal = is_key ? NULL : copy, .length = length, .key = is_key ? copy : NULL};
    return HONE_OK;
}

/* Reads "\n" and its like; text is on the backslash. */
static hone_status template_escape(const char *text, char *out, hone_error *error)
{
    switch (text[1]) {
    case 'n': *out = '\n'; return HONE_OK;
    case 't': *out = '\t'; return HONE_OK;
    case '\\': *out = '\\'; return HONE_OK;
    default:
        return hone_fail(error, HONE_USAGE,
                         "prompt_template: unknown escape \\%.1s; known are \\n, \\t and \\\\",
                         text + 1);
    }
}

static hone_status template_parts(hone_document_reader *reader, const char *text, char *literal,
                                  hone_error *error)
{
    size_t capacity = 0, length = 0, keys = 0;
    while (*text != '\0') {
        if (*text == '\\') {
            HONE_TRY(template_escape(text, &literal[length++], error));
            text += 2;
        } else if ((*text == '{' || *text == '}') && text[1] == *text) {
            literal[length++] = *text;
            text += 2;
        } else if (*text == '{') {
            size_t key_length = strcspn(text + 1, "{}");
            if (text[1 + key_length] != '}' || key_length == 0)
                return hone_fail(error, HONE_USAGE,
                                 "prompt_template: expected {key} at \"%.20s\"; write {{ for a "
                                 "brace",
                                 text);
            HONE_TRY(add_part(reader, &capacity, literal, length, false, error));
            HONE_TRY(add_part(reader, &capacity, text + 1, key_length, true, error));
            length = 0;
            keys++;
            text += key_length + 2;
        } else if (*text == '}') {
            return hone_fail(error, HONE_USAGE,
                             "prompt_template: \"}\" without \"{\"; write }} for a brace");
        } else {
            literal[length++] = *text++;
        }
    }
    if (keys == 0)
        return hone_fail(error, HONE_USAGE,
                         "prompt_template has no {prompt} and no other {key} in it, so every "
                         "prompt would be the same");
    return add_part(reader, &capacity, literal, length, false, error);
}

static hone_status parse_template(hone_document_reader *reader, const char *text, hone_error *error)
{
    char *literal = hone_alloc(strlen(text) + 1);
    if (literal == NULL)
        return hone_fail_memory(error, "prompt_template", strlen(text));
    hone_status status = template_parts(reader, text, literal, error);
    hone_free(literal);
    return status;
}

static bool names_other(const char *field, const char *usual)
{
    return field != NULL && strcmp(field, usual) != 0;
}

/* Which forms go first: see the header. */
static void order_forms(hone_document_reader *reader, hone_pair_fields prompt,
                        hone_pair_fields source)
{
    bool other_prompt =
        names_other(prompt.source, "prompt") || names_other(prompt.target, "completion");
    bool other_source =
        names_other(source.source, "source") || names_other(source.target, "target");
    bool source_first = other_source && !other_prompt;
    reader->pairs[0] = source_first ? source : prompt;
    reader->pairs[1] = source_first ? prompt : source;
    reader->text_first = names_other(reader->text_field, "text") && !other_prompt &&
                         !other_source && reader->part_count == 0;
}

hone_status hone_document_reader_init(hone_document_reader *reader, const hone_data_settings *given,
                                      bool prompts_only, hone_error *error)
{
    bool failed = false;
    const hone_data_settings preset = hone_data_preset_apply(given), *settings = &preset;
    *reader = (hone_document_reader){.prompts_only = prompts_only};
    reader->text_field = copy_field(reader, settings->text_field, &failed);
    hone_pair_fields prompt = {copy_field(reader, settings->prompt_field, &failed),
                               copy_field(reader, settings->completion_field, &failed)};
    hone_pair_fields source = {copy_field(reader, settings->source_field, &failed),
                               copy_field(reader, settings->target_field, &failed)};
    reader->prompt_field = prompt.source;
    reader->source_field = source.source;
    hone_status status = HONE_OK;
    if (failed)
        status = hone_fail_memory(error, "field names", 0);
    bool has_template = settings->prompt_template != NULL && settings->prompt_template[0] != '\0';
    if (status == HONE_OK && has_template)
        status = parse_template(reader, settings->prompt_template, error);
    if (status != HONE_OK) {
        hone_document_reader_deinit(reader);
        return status;
    }
    order_forms(reader, prompt, source);
    return HONE_OK;
}

void hone_document_reader_deinit(hone_document_reader *reader)
{
    hone_free(reader->parts);
    hone_arena_deinit(&reader->arena);
    *reader = (hone_document_reader){0};
}

void hone_record_deinit(hone_record *record)
{
    hone_free(record->members);
    hone_free(record->strings);
    hone_free(record->assembled);
    hone_free(record->ids);
    hone_free(record->labels);
    hone_free(record->source_ids);
    *record = (hone_record){0};
}

static bool equals(const hone_json_line_value *string, const char *text, size_t length)
{
    return string->length == length && memcmp(string->text, text, length) == 0;
}

/* The value under a key; NULL also for a key that is unset. */
static const hone_json_line_value *find(const hone_record *record, const char *key)
{
    if (key == NULL)
        return NULL;
    size_t length = strlen(key);
    for (size_t i = 0; i < record->member_count; i++)
        if (equals(&record->members[i].key, key, length))
            return &record->members[i].value;
    return NULL;
}

/* Appends text for a message: what could move a terminal's cursor becomes a question mark. */
static void append_shown(hone_error *error, const char *text, size_t length)
{
    char shown[64];
    size_t kept = length < 40 ? length : 40;
    while (kept < length && kept > 0 && ((unsigned char)text[kept] & 0xC0) == 0x80)
        kept--; /* not inside a character */
    for (size_t i = 0; i < kept; i++)
        shown[i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7F ? '?' : text[i];
    hone_error_append(error, "\"%.*s%s\"", (int)kept, shown, kept < length ? "..." : "");
}

static void append_keys(const hone_record *record, hone_error *error)
{
    size_t shown = record->member_count < 12 ? record->member_count : 12;
    for (size_t i = 0; i < shown; i++) {
        hone_error_append(error, "%s", i > 0 ? ", " : "");
        append_shown(error, record->members[i].key.text, record->members[i].key.length);
    }
    if (shown == 0)
        hone_error_append(error, "no keys at all");
    else if (shown < record->member_count)
        hone_error_append(error, " and %zu more", record->member_count - shown);
}

/* Decodes a string in place; the room is there: see read_members. */
static void decode(hone_record *record, hone_json_line_value *string)
{
    if (!string->escaped)
        return;
    char *out = record->strings + record->strings_used;
    string->length = hone_json_line_decode(string, out);
    string->text = out;
    string->escaped = false;
    record->strings_used += string->length;
}

static hone_status add_member(hone_record *record, hone_json_line_value key,
                              hone_json_line_value value, size_t line_length, place at)
{
    void *members = record->members, *strings = record->strings;
    if (record->member_count == MAX_MEMBERS)
        return hone_fail_at(at.error, HONE_INPUT, at.file, at.line, -1,
                            "more than %d keys in one row", MAX_MEMBERS);
    if (!hone_array_reserve(&members, &record->member_capacity, record->member_count + 1,
                            sizeof *record->members))
        return hone_fail_memory(at.error, "keys of a row", record->member_count);
    record->members = members;
    if (key.escaped || (value.type == HONE_JSON_LINE_STRING && value.escaped)) {
        if (record->strings_used == 0 &&
            !hone_array_reserve(&strings, &record->strings_capacity, line_length, 1))
            return hone_fail_memory(at.error, "strings of a row", line_length);
        record->strings = strings;
    }
    decode(record, &key);
    for (size_t i = 0; i < record->member_count; i++)
        if (equals(&record->members[i].key, key.text, key.length)) {
            hone_fail_at(at.error, HONE_INPUT, at.file, at.line, -1, "repeated key ");
            append_shown(at.error, key.text, key.length);
            return HONE_INPUT;
        }
    record->members[record->member_count++] =
        (struct hone_record_member){.key = key, .value = value};
    return HONE_OK;
}

static hone_status read_members(hone_record *record, const char *line, size_t length, place at)
{
    hone_json_line scan;
    hone_json_line_value key, value;
    record->member_count = record->strings_used = 0;
    hone_json_line_init(&scan, line, length);
    while (hone_json_line_next(&scan, &key, &value))
        HONE_TRY(add_member(record, key, value, length, at));
    if (scan.problem != NULL)
        return hone_fail_at(at.error, HONE_INPUT, at.file, at.line, -1,
                            "%s, at byte %zu of the line; each line must hold one JSON object, "
                            "such as {\"text\": \"...\"}",
                            scan.problem, scan.at + 1);
    return HONE_OK;
}

/* A field as a string of JSON that is decoded already. */
static hone_json_line_value field_string(hone_record *record, const hone_csv_field *field)
{
    hone_json_line_value value = {
        .type = HONE_JSON_LINE_STRING, .text = field->text, .length = field->length};
    if (!field->doubled)
        return value;
    char *out = record->strings + record->strings_used;
    value.text = out;
    value.length = hone_csv_decode(field, out);
    record->strings_used += value.length;
    return value;
}

static hone_status read_fields(hone_record *record, const hone_csv_header *header, const char *text,
                               size_t length, place at)
{
    hone_csv_record scan;
    hone_csv_field field;
    size_t fields = 0;
    void *members = record->members, *strings = record->strings;
    record->member_count = record->strings_used = 0;
    bool reserved = hone_array_reserve(&members, &record->member_capacity, header->count,
                                       sizeof *record->members);
    record->members = members;
    reserved = reserved && hone_array_reserve(&strings, &record->strings_capacity, length + 1, 1);
    record->strings = strings;
    if (!reserved)
        return hone_fail_memory(at.error, "fields of a row", length);
    hone_csv_record_init(&scan, text, length);
    while (hone_csv_next(&scan, &field))
        if (fields++ < header->count) {
            const hone_csv_field *name = &header->names[fields - 1];
            record->members[record->member_count++] = (struct hone_record_member){
                .key = {HONE_JSON_LINE_STRING, false, name->text, name->length},
                .value = field_string(record, &field)};
        }
    if (scan.problem != NULL)
        return hone_fail_at(at.error, HONE_INPUT, at.file, at.line, -1,
                            "%s, at byte %zu of the record", scan.problem, scan.at + 1);
    if (fields != header->count)
        return hone_fail_at(at.error, HONE_INPUT, at.file, at.line, -1,
                            "%zu fields; expected %zu, as the first line names", fields,
                            header->count);
    return HONE_OK;
}

/* The string under a key, decoded. */
static hone_status get_string(hone_record *record, const char *key, const char **text,
                              size_t *length, place at)
{
    size_t size = strlen(key);
    for (size_t i = 0; i < record->member_count; i++) {
        struct hone_record_member *member = &record->members[i];
        if (!equals(&member->key, key, size))
            continue;
        if (member->value.type != HONE_JSON_LINE_STRING)
            return hone_fail_at(at.error, HONE_INPUT, at.file, at.line, -1,
                                "\"%s\" must be a string, found %s", key,
                                hone_json_line_type_name(member->value.type));
        decode(record, &member->value);
        *text = member->value.text;
        *length = member->value.length;
        return HONE_OK;
    }
    hone_fail_at(at.error, HONE_INPUT, at.file, at.line, -1, "no \"%s\" in the row; it has ", key);
    append_keys(record, at.error);
    return HONE_INPUT;
}

/* Reads an array of ids, all in [0, vocabulary); labels may hold -100 too. */
static hone_status read_ids(const hone_json_line_value *array, const char *key, bool labels,
                            int64_t vocabulary, int32_t **ids, size_t *capacity, size_t *count,
                            place at)
{
    size_t cursor = 0, used = 0;
    int64_t number;
    int found;
    if (array->type != HONE_JSON_LINE_ARRAY)
        return hone_fail_at(at.error, HONE_INPUT, at.file, at.line, -1,
                            "\"%s\" must be an array of token ids, found %s", key,
                            hone_json_line_type_name(array->type));
    while ((found = hone_json_line_integer(array, &cursor, &number)) != 0) {
        if (found < 0)
            return hone_fail_at(at.error, HONE_INPUT, at.file, at.line, -1,
                                "\"%s\"[%zu] is not an integer", key, used);
        bool ignored = labels && number == IGNORED_LABEL;
        if (!ignored && (number < 0 || number >= vocabulary))
            return hone_fail_at(at.error, HONE_INPUT, at.file, at.line, -1,
                                "\"%s\"[%zu] is %lld; expected 0 to %lld%s", key, used,
                                (long long)number, (long long)vocabulary - 1,
                                labels ? ", or -100 where nothing is trained" : "");
        void *block = *ids;
        if (!hone_array_reserve(&block, capacity, used + 1, sizeof **ids))
            return hone_fail_memory(at.error, "token ids of a row", used * sizeof **ids);
        *ids = block;
        (*ids)[used++] = ignored ? HONE_NO_LABEL : (int32_t)number;
    }
    *count = used;
    return HONE_OK;
}

static hone_status read_tokenized(hone_record *record, int64_t vocabulary, place at)
{
    const hone_json_line_value *labels = find(record, "labels");
    size_t label_count = 0;
    record->form = HONE_RECORD_IDS;
    HONE_TRY(read_ids(find(record, "ids"), "ids", false, vocabulary, &record->ids,
                      &record->ids_capacity, &record->count, at));
    record->has_labels = labels != NULL;
    if (labels == NULL)
        return HONE_OK;
    HONE_TRY(read_ids(labels, "labels", true, vocabulary, &record->labels, &record->labels_capacity,
                      &label_count, at));
    if (label_count != record->count)
        return hone_fail_at(at.error, HONE_INPUT, at.file, at.line, -1,
                            "%zu \"ids\" but %zu \"labels\"; one label for each id is needed",
                            record->count, label_count);
    return HONE_OK;
}

static hone_status read_tokenized_pair(hone_record *record, int64_t vocabulary, bool prompts_only,
                                       place at)
{
    const hone_json_line_value *source = find(record, "source_ids");
    const hone_json_line_value *target = find(record, "target_ids");
    record->form = HONE_RECORD_PAIR_IDS;
    record->count = record->source_count = 0;
    record->has_labels = false;
    if (source == NULL || (target == NULL && !prompts_only))
        return hone_fail_at(at.error, HONE_INPUT, at.file, at.line, -1,
                            "\"%s\" without \"%s\"; a tokenized pair has both",
                            source == NULL ? "target_ids" : "source_ids",
                            source == NULL ? "source_ids" : "target_ids");
    HONE_TRY(read_ids(source, "source_ids", false, vocabulary, &record->source_ids,
                      &record->source_capacity, &record->source_count, at));
    if (target == NULL)
        return HONE_OK;
    return read_ids(target, "target_ids", false, vocabulary, &record->ids, &record->ids_capacity,
                    &record->count, at);
}

/* The key of the row that a template's {name} stands for. */
static const char *template_key(const hone_document_reader *reader, const hone_record *record,
                                const char *name)
{
    const char *first = name, *second = NULL;
    if (strcmp(name, "prompt") == 0 && reader->prompt_field != NULL) {
        first = reader->prompt_field;
        second = reader->source_field;
    } else if (strcmp(name, "source") == 0 && reader->source_field != NULL) {
        first = reader->source_field;
        second = reader->prompt_field;
    }
    return find(record, first) == NULL && find(record, second) != NULL ? second : first;
}

static hone_status assemble_source(const hone_document_reader *reader, hone_record *record,
                                   place at)
{
    size_t used = 0;
    for (size_t i = 0; i < reader->part_count; i++) {
        const struct hone_template_part *part = &reader->parts[i];
        const char *text = part->literal;
        size_t length = part->length, needed;
        if (text == NULL)
            HONE_TRY(
                get_string(record, template_key(reader, record, part->key), &text, &length, at));
        void *block = record->assembled;
        if (!hone_size_add(used, length, &needed) ||
            !hone_array_reserve(&block, &record->assembled_capacity, needed + 1, 1))
            return hone_fail_memory(at.error, "prompt", length);
        record->assembled = block;
        memcpy(record->assembled + used, text, length);
        used = needed;
    }
    record->source = record->assembled;
    record->source_length = used;
    return HONE_OK;
}

static hone_status read_pair(const hone_document_reader *reader, const hone_pair_fields *pair,
                             hone_record *record, place at)
{
    record->form = HONE_RECORD_PAIR;
    record->text = NULL;
    record->text_length = 0;
    if (find(record, pair->target) != NULL)
        HONE_TRY(get_string(record, pair->target, &record->text, &record->text_length, at));
    if (reader->part_count > 0)
        return assemble_source(reader, record, at);
    return get_string(record, pair->source, &record->source, &record->source_length, at);
}

/* The pair form that the row has the keys for, or NULL: it is text, or nothing. Without targets,
 * what only looks like a source ("source": "wikipedia") goes behind a text. */
static const hone_pair_fields *find_pair(const hone_document_reader *reader,
                                         const hone_record *record)
{
    bool has_template = reader->part_count > 0;
    bool has_text = find(record, reader->text_field) != NULL;
    if (has_text && reader->text_first)
        return NULL;
    for (int i = 0; i < 2; i++) {
        const hone_pair_fields *pair = &reader->pairs[i];
        if (find(record, pair->target) != NULL &&
            (has_template || find(record, pair->source) != NULL))
            return pair;
    }
    for (int i = 0; i < 2 && reader->prompts_only; i++) {
        const hone_pair_fields *pair = &reader->pairs[i];
        if (has_template || (find(record, pair->source) != NULL && !(i > 0 && has_text)))
            return pair;
    }
    return NULL;
}

static void append_pair_names(const hone_document_reader *reader, hone_error *error)
{
    const hone_pair_fields *pairs = reader->pairs;
    bool has_template = reader->part_count > 0 && !reader->prompts_only;
    if (has_template && (pairs[0].target != NULL || pairs[1].target != NULL)) {
        bool both = pairs[0].target != NULL && pairs[1].target != NULL;
        hone_error_append(error, "the template's keys with \"%s\"",
                          pairs[pairs[0].target == NULL].target);
        if (both)
            hone_error_append(error, " or \"%s\"", pairs[1].target);
        hone_error_append(error, ", ");
    }
    for (int i = 0; i < 2 && !has_template; i++) {
        if (reader->prompts_only && pairs[i].source != NULL)
            hone_error_append(error, "\"%s\", ", pairs[i].source);
        else if (pairs[i].target != NULL && pairs[i].source != NULL)
            hone_error_append(error, "\"%s\" with \"%s\", ", pairs[i].source, pairs[i].target);
    }
}

static hone_status fail_form(const hone_document_reader *reader, const hone_record *record,
                             place at)
{
    hone_fail_at(at.error, HONE_INPUT, at.file, at.line, -1, "expected ");
    append_pair_names(reader, at.error);
    if (reader->text_field != NULL)
        hone_error_append(at.error, "\"%s\" ", reader->text_field);
    hone_error_append(at.error, "or \"ids\"; the row has ");
    append_keys(record, at.error);
    hone_error_append(at.error, "; name its keys with --text-field, or with --source-field and "
                                "--target-field");
    return HONE_INPUT;
}

static bool is_array(const hone_json_line_value *value)
{
    return value != NULL && value->type == HONE_JSON_LINE_ARRAY;
}

/* The document that a row's members make. */
static hone_status read_row(const hone_document_reader *reader, int64_t vocabulary,
                            hone_record *record, place at)
{
    const hone_pair_fields *pair = find_pair(reader, record);
    bool has_text = find(record, reader->text_field) != NULL;
    bool has_form = pair != NULL || has_text;
    const hone_json_line_value *ids = find(record, "ids"), *source = find(record, "source_ids"),
                               *target = find(record, "target_ids");
    /* An "ids" of another type is some record's number, unless nothing else is there. */
    if (is_array(ids) || (ids != NULL && !has_form))
        return read_tokenized(record, vocabulary, at);
    if ((is_array(source) && (is_array(target) || reader->prompts_only)) ||
        ((source != NULL || target != NULL) && !has_form))
        return read_tokenized_pair(record, vocabulary, reader->prompts_only, at);
    if (pair != NULL)
        return read_pair(reader, pair, record, at);
    if (!has_text)
        return fail_form(reader, record, at);
    record->form = HONE_RECORD_TEXT;
    return get_string(record, reader->text_field, &record->text, &record->text_length, at);
}

hone_status hone_record_read(const hone_document_reader *reader, const char *line, size_t length,
                             const char *file, int64_t number, int64_t vocabulary,
                             hone_record *record, hone_error *error)
{
    place at = {file, number, error};
    HONE_TRY(read_members(record, line, length, at));
    return read_row(reader, vocabulary, record, at);
}

hone_status hone_record_read_csv(const hone_document_reader *reader, const hone_csv_header *header,
                                 const char *text, size_t length, const char *file, int64_t number,
                                 int64_t vocabulary, hone_record *record, hone_error *error)
{
    place at = {file, number, error};
    HONE_TRY(read_fields(record, header, text, length, at));
    return read_row(reader, vocabulary, record, at);
}
