/* YAML on libyaml: see yaml.h. Reads the stream of events rather than libyaml's tree, so whatever
 * is not allowed stops the reading where it stands and nothing is built for it. */
#include "base/yaml.h"

#include <string.h>
#include <yaml.h>

bool hone_yaml_add_entry(hone_yaml *document, const char *key, hone_yaml_kind kind, int64_t line)
{
    char *copy = hone_arena_strdup(&document->arena, key);
    if (copy == NULL || !hone_array_reserve((void **)&document->entries, &document->capacity,
                                            document->count + 1, sizeof *document->entries))
        return false;
    document->entries[document->count++] =
        (hone_yaml_entry){.key = copy, .kind = kind, .line = line};
    return true;
}

bool hone_yaml_add_item(hone_yaml *document, const char *key, const char *text, bool plain,
                        int64_t line)
{
    hone_yaml_entry *entry = &document->entries[document->count - 1];
    char *key_copy = key != NULL ? hone_arena_strdup(&document->arena, key) : NULL;
    char *copy = hone_arena_strdup(&document->arena, text);
    if ((key != NULL && key_copy == NULL) || copy == NULL ||
        !hone_array_reserve((void **)&entry->items, &entry->capacity, entry->count + 1,
                            sizeof *entry->items))
        return false;
    entry->items[entry->count++] = (hone_yaml_scalar){key_copy, copy, plain, line};
    return true;
}

void hone_yaml_deinit(hone_yaml *document)
{
    for (size_t i = 0; i < document->count; i++)
        hone_free(document->entries[i].items);
    hone_free(document->entries);
    hone_arena_deinit(&document->arena);
    *document = (hone_yaml){0};
}

typedef struct reading {
    yaml_parser_t parser;
    yaml_event_t event; /* the current one; owned while `held` */
    bool held;
    const char *file;
    hone_yaml *out;       /* the document in work */
    hone_yaml_book *book; /* NULL: one document is read */
    hone_error *error;
} reading;

static hone_status refuse(const reading *in, const char *what)
{
    return hone_fail_at(in->error, HONE_INPUT, in->file, (int64_t)in->event.start_mark.line + 1, -1,
                        "%s", what);
}

static hone_status parser_failed(const reading *in)
{
    const yaml_parser_t *parser = &in->parser;
    if (parser->error == YAML_MEMORY_ERROR)
        return hone_fail_memory(in->error, in->file, 0);
    const char *problem = parser->problem != NULL ? parser->problem : "not readable";
    /* The reader (encoding) knows bytes, the scanner and parser know lines. */
    if (parser->error == YAML_READER_ERROR)
        return hone_fail_at(in->error, HONE_INPUT, in->file, -1, (int64_t)parser->problem_offset,
                            "not valid YAML: %s", problem);
    return hone_fail_at(in->error, HONE_INPUT, in->file, (int64_t)parser->problem_mark.line + 1, -1,
                        "not valid YAML: %s%s%s", problem, parser->context != NULL ? " " : "",
                        parser->context != NULL ? parser->context : "");
}

static void drop_event(reading *in)
{
    if (in->held)
        yaml_event_delete(&in->event);
    in->held = false;
}

/* The next event, checked for what no event may carry. */
static hone_status next(reading *in)
{
    drop_event(in);
    if (!yaml_parser_parse(&in->parser, &in->event))
        return parser_failed(in);
    in->held = true;
    const yaml_char_t *anchor = NULL, *tag = NULL;
    switch (in->event.type) {
    case YAML_ALIAS_EVENT: return refuse(in, "aliases (*name) are not allowed here");
    case YAML_SCALAR_EVENT:
        anchor = in->event.data.scalar.anchor;
        tag = in->event.data.scalar.tag;
        if (memchr(in->event.data.scalar.value, '\0', in->event.data.scalar.length) != NULL)
            return refuse(in, "a text may not hold a zero byte");
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = in->event.data.sequence_start.anchor;
        tag = in->event.data.sequence_start.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = in->event.data.mapping_start.anchor;
        tag = in->event.data.mapping_start.tag;
        break;
    default: break;
    }
    if (anchor != NULL)
        return refuse(in, "anchors (&name) are not allowed here");
    if (tag != NULL)
        return refuse(in, "tags (!name) are not allowed here");
    return HONE_OK;
}

static const char *scalar_text(const reading *in)
{
    return (const char *)in->event.data.scalar.value;
}

static bool scalar_plain(const reading *in)
{
    return in->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

static int64_t event_line(const reading *in)
{
    return (int64_t)in->event.start_mark.line + 1;
}

static hone_status add_item(reading *in, const char *key)
{
    if (in->event.type != YAML_SCALAR_EVENT)
        return refuse(in, "nested too deep: expected a single value here");
    if (!hone_yaml_add_item(in->out, key, scalar_text(in), scalar_plain(in), event_line(in)))
        return hone_fail_memory(in->error, in->file, in->event.data.scalar.length);
    return HONE_OK;
}

static hone_status repeated(const reading *in, const char *key, int64_t before)
{
    return hone_fail_at(in->error, HONE_INPUT, in->file, event_line(in), -1,
                        "key '%s' stands twice, first in line %lld", key, (long long)before);
}

/* The items up to the end; the current event is the first. */
static hone_status read_items(reading *in, hone_yaml_entry *entry)
{
    yaml_event_type_t end =
        entry->kind == HONE_YAML_SEQUENCE ? YAML_SEQUENCE_END_EVENT : YAML_MAPPING_END_EVENT;
    for (hone_status status = HONE_OK;; status = next(in)) {
        HONE_TRY(status);
        if (in->event.type == end)
            return HONE_OK;
        if (entry->kind == HONE_YAML_SEQUENCE) {
            HONE_TRY(add_item(in, NULL));
            continue;
        }
        if (in->event.type != YAML_SCALAR_EVENT)
            return refuse(in, "expected a text as the key");
        for (size_t i = 0; i < entry->count; i++)
            if (strcmp(entry->items[i].key, scalar_text(in)) == 0)
                return repeated(in, scalar_text(in), entry->items[i].line);
        char *key = hone_strdup(scalar_text(in));
        if (key == NULL)
            return hone_fail_memory(in->error, in->file, in->event.data.scalar.length);
        hone_status added = next(in);
        if (added == HONE_OK)
            added = add_item(in, key);
        hone_free(key);
        HONE_TRY(added);
    }
}

static hone_status read_mapping(reading *in);

/* Whether the entry in work is one of a book's top. */
static bool at_top(const reading *in)
{
    return in->book != NULL && in->out == &in->book->top;
}

/* A document within the book; the current event is the start of its mapping. */
static hone_status read_section(reading *in, const char *key)
{
    hone_yaml_book *book = in->book;
    void *sections = book->sections;
    char *copy = hone_arena_strdup(&book->top.arena, key);
    bool made = copy != NULL && hone_array_reserve(&sections, &book->capacity, book->count + 1,
                                                   sizeof *book->sections);
    book->sections = sections;
    if (!made)
        return hone_fail_memory(in->error, in->file, sizeof *book->sections);
    hone_yaml_section *section = &book->sections[book->count++];
    *section = (hone_yaml_section){.key = copy, .line = event_line(in)};
    in->out = &section->body;
    hone_status status = read_mapping(in);
    in->out = &book->top;
    return status;
}

/* The value of the top's last entry turns out to be documents: the entry becomes sections. */
static hone_status read_sections(reading *in, bool sequence)
{
    hone_yaml *top = &in->book->top;
    const char *key = top->entries[--top->count].key;
    if (!sequence)
        return read_section(in, key);
    while (in->event.type != YAML_SEQUENCE_END_EVENT) {
        if (in->event.type != YAML_MAPPING_START_EVENT)
            return refuse(in, "expected lines of the form \"key: value\" behind each dash, as "
                              "behind the first");
        HONE_TRY(read_section(in, key));
        HONE_TRY(next(in));
    }
    return HONE_OK;
}

static hone_status read_value(reading *in, hone_yaml_entry *entry)
{
    bool sequence = in->event.type == YAML_SEQUENCE_START_EVENT;
    if (!sequence && in->event.type != YAML_MAPPING_START_EVENT)
        return add_item(in, NULL);
    if (at_top(in) && !sequence)
        return read_sections(in, false);
    entry->kind = sequence ? HONE_YAML_SEQUENCE : HONE_YAML_MAPPING;
    HONE_TRY(next(in));
    if (at_top(in) && in->event.type == YAML_MAPPING_START_EVENT)
        return read_sections(in, true);
    return read_items(in, entry);
}

static hone_status known_key(const reading *in)
{
    const hone_yaml *out = in->out;
    for (size_t i = 0; i < out->count; i++)
        if (strcmp(out->entries[i].key, scalar_text(in)) == 0)
            return repeated(in, scalar_text(in), out->entries[i].line);
    for (size_t i = 0; at_top(in) && i < in->book->count; i++)
        if (strcmp(in->book->sections[i].key, scalar_text(in)) == 0)
            return repeated(in, scalar_text(in), in->book->sections[i].line);
    return HONE_OK;
}

/* One "key: value" of a mapping; the key is the current event. */
static hone_status read_entry(reading *in)
{
    if (in->event.type != YAML_SCALAR_EVENT)
        return refuse(in, "expected a text as the key");
    hone_yaml *out = in->out;
    HONE_TRY(known_key(in));
    if (!hone_yaml_add_entry(out, scalar_text(in), HONE_YAML_SCALAR, event_line(in)))
        return hone_fail_memory(in->error, in->file, in->event.data.scalar.length);
    HONE_TRY(next(in));
    return read_value(in, &out->entries[out->count - 1]);
}

/* The entries up to the end; the current event is the mapping's start. */
static hone_status read_mapping(reading *in)
{
    for (;;) {
        HONE_TRY(next(in));
        if (in->event.type == YAML_MAPPING_END_EVENT)
            return HONE_OK;
        HONE_TRY(read_entry(in));
    }
}

static hone_status read_document(reading *in)
{
    do
        HONE_TRY(next(in));
    while (in->event.type == YAML_STREAM_START_EVENT);
    if (in->event.type == YAML_STREAM_END_EVENT)
        return HONE_OK;
    HONE_TRY(next(in));
    bool empty = in->event.type == YAML_SCALAR_EVENT && in->event.data.scalar.length == 0;
    if (in->event.type == YAML_MAPPING_START_EVENT) {
        HONE_TRY(read_mapping(in));
    } else if (!empty) {
        return refuse(in, "expected lines of the form \"key: value\"");
    }
    HONE_TRY(next(in));
    HONE_TRY(next(in));
    if (in->event.type != YAML_STREAM_END_EVENT)
        return refuse(in, "expected one document, found a second one");
    return HONE_OK;
}

static hone_status parse(reading *in, const char *text, size_t length)
{
    if (!yaml_parser_initialize(&in->parser))
        return hone_fail_memory(in->error, in->file, sizeof in->parser);
    yaml_parser_set_encoding(&in->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&in->parser, (const unsigned char *)text, length);
    hone_status status = read_document(in);
    drop_event(in);
    yaml_parser_delete(&in->parser);
    return status;
}

hone_status hone_yaml_parse(const char *text, size_t length, const char *file, hone_yaml *out,
                            hone_error *error)
{
    *out = (hone_yaml){0};
    reading in = {.file = file, .out = out, .error = error};
    hone_status status = parse(&in, text, length);
    if (status != HONE_OK)
        hone_yaml_deinit(out);
    return status;
}

hone_status hone_yaml_parse_book(const char *text, size_t length, const char *file,
                                 hone_yaml_book *out, hone_error *error)
{
    *out = (hone_yaml_book){0};
    reading in = {.file = file, .out = &out->top, .book = out, .error = error};
    hone_status status = parse(&in, text, length);
    if (status != HONE_OK)
        hone_yaml_book_deinit(out);
    return status;
}

void hone_yaml_book_deinit(hone_yaml_book *book)
{
    for (size_t i = 0; i < book->count; i++)
        hone_yaml_deinit(&book->sections[i].body);
    hone_free(book->sections);
    hone_yaml_deinit(&book->top);
    *book = (hone_yaml_book){0};
}

/* Text that grows as libyaml hands it out. */
typedef struct growing {
    char *text;
    size_t length, capacity;
} growing;

static int append_text(void *context, unsigned char *text, size_t size)
{
    growing *out = context;
    if (!hone_array_reserve((void **)&out->text, &out->capacity, out->length + size + 1, 1))
        return 0;
    memcpy(out->text + out->length, text, size);
    out->length += size;
    out->text[out->length] = '\0';
    return 1;
}

/* libyaml's text arguments are not const, but it copies them. */
static unsigned char *mutable_text(const char *text)
{
    return (unsigned char *)(uintptr_t)text;
}

static bool emit_scalar(yaml_emitter_t *emitter, const char *text, bool plain)
{
    yaml_event_t event;
    return yaml_scalar_event_initialize(
               &event, NULL, NULL, mutable_text(text), (int)strlen(text), plain, 1,
               plain ? YAML_PLAIN_SCALAR_STYLE : YAML_DOUBLE_QUOTED_SCALAR_STYLE) &&
           yaml_emitter_emit(emitter, &event);
}

static bool emit_entry(yaml_emitter_t *emitter, const hone_yaml_entry *entry)
{
    yaml_event_t event;
    if (!emit_scalar(emitter, entry->key, true))
        return false;
    if (entry->kind == HONE_YAML_SCALAR)
        return emit_scalar(emitter, entry->items[0].text, entry->items[0].plain);
    bool sequence = entry->kind == HONE_YAML_SEQUENCE;
    int made =
        sequence
            ? yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, YAML_FLOW_SEQUENCE_STYLE)
            : yaml_mapping_start_event_initialize(&event, NULL, NULL, 1,
                                                  entry->count > 0 ? YAML_BLOCK_MAPPING_STYLE
                                                                   : YAML_FLOW_MAPPING_STYLE);
    if (!made || !yaml_emitter_emit(emitter, &event))
        return false;
    for (size_t i = 0; i < entry->count; i++) {
        const hone_yaml_scalar *item = &entry->items[i];
        if (!sequence && !emit_scalar(emitter, item->key, false))
            return false;
        if (!emit_scalar(emitter, item->text, item->plain))
            return false;
    }
    made = sequence ? yaml_sequence_end_event_initialize(&event)
                    : yaml_mapping_end_event_initialize(&event);
    return made && yaml_emitter_emit(emitter, &event);
}

static bool emit_document(yaml_emitter_t *emitter, const hone_yaml *document)
{
    yaml_event_t event;
    if (!yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING) ||
        !yaml_emitter_emit(emitter, &event) ||
        !yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1) ||
        !yaml_emitter_emit(emitter, &event) ||
        !yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE) ||
        !yaml_emitter_emit(emitter, &event))
        return false;
    for (size_t i = 0; i < document->count; i++)
        if (!emit_entry(emitter, &document->entries[i]))
            return false;
    return yaml_mapping_end_event_initialize(&event) && yaml_emitter_emit(emitter, &event) &&
           yaml_document_end_event_initialize(&event, 1) && yaml_emitter_emit(emitter, &event) &&
           yaml_stream_end_event_initialize(&event) && yaml_emitter_emit(emitter, &event);
}

hone_status hone_yaml_dump(const hone_yaml *document, char **text, size_t *length,
                           hone_error *error)
{
    *text = NULL;
    *length = 0;
    yaml_emitter_t emitter;
    if (!yaml_emitter_initialize(&emitter))
        return hone_fail_memory(error, "YAML", sizeof emitter);
    growing out = {0};
    yaml_emitter_set_output(&emitter, append_text, &out);
    yaml_emitter_set_unicode(&emitter, 1);
    yaml_emitter_set_width(&emitter, -1);
    bool made = emit_document(&emitter, document);
    bool invalid = emitter.error == YAML_EMITTER_ERROR;
    yaml_emitter_delete(&emitter);
    if (!made) {
        hone_free(out.text);
        return invalid ? hone_fail(error, HONE_INPUT, "a text cannot be written as YAML")
                       : hone_fail_memory(error, "YAML", out.length);
    }
    *text = out.text;
    *length = out.length;
    return HONE_OK;
}
