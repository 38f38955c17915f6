/* JSON on Jansson: see json.h. Owns the only include of <jansson.h>.
 *
 * A hone_json is a json_t under another name. Depth is counted before parsing, because Jansson's
 * own limit is compiled in and far deeper than any file of ours. Jansson keeps one allocator a
 * process; it is pointed at the hook before the first value is made. A host that uses Jansson
 * itself must therefore not free its values across that first call.
 *
 * While it parses, Jansson 2.14 doesn't survive a refusal: when its token buffer cannot grow, the
 * byte is dropped and the token read past its end (its issue 362). So the first refusal is never
 * shown to it. A block that is large enough for the token buffer is put by before parsing and given
 * out instead, and from then on the text ends: at most CHUNK bytes and the rest of one character
 * are still read, which the buffer holds whatever its size (16 bytes or more, empty, or just
 * doubled), so that only allocations whose refusal is checked can follow. Whatever comes out is
 * then dropped and reported as HONE_MEMORY. */
#include "base/json.h"

#include "base/files.h"
#include "base/memory.h"

#include <jansson.h>
#include <pthread.h>
#include <string.h>

#define MAX_DEPTH 64
enum { CHUNK = 8 }; /* bytes handed to the parser at once; with a character's rest below 16 */

/* A text on its way into the parser. */
typedef struct feed {
    const char *text;
    size_t length, used;
    void *reserve; /* for the first refusal; NULL once given out */
    size_t reserve_size;
} feed;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local feed *feeding; /* what this thread is parsing, or NULL */
static _Thread_local bool refused;  /* by the hook, since this was last cleared */

static void *allocate(size_t size)
{
    void *block = hone_alloc(size);
    if (block != NULL)
        return block;
    refused = true;
    if (feeding != NULL && size <= feeding->reserve_size) {
        block = feeding->reserve;
        feeding->reserve = NULL;
    }
    return block;
}

static size_t next_bytes(void *buffer, size_t size, void *context)
{
    feed *f = context;
    size_t n = f->length - f->used;
    if (n > CHUNK)
        n = CHUNK;
    if (refused || size < CHUNK)
        return 0;
    memcpy(buffer, f->text + f->used, n);
    f->used += n;
    return n;
}

static void set_allocator(void)
{
    json_set_alloc_funcs(allocate, hone_free);
}

static void prepare(void)
{
    pthread_once(&once, set_allocator);
}

/* Jansson's getters take a const value and hand out mutable members. */
static json_t *raw(const hone_json *value)
{
    return (json_t *)(uintptr_t)value;
}

static hone_json *wrap(json_t *value)
{
    return (hone_json *)(void *)value;
}

/* What must be known of a text before it is parsed. */
typedef struct survey {
    int64_t deep_at;      /* byte offset of the first bracket that is too deep, or -1 */
    size_t longest_token; /* at least as long as any token that the parser will see */
} survey;

/* Counts as the parser would up to the first syntax error; what follows one is never parsed. A
 * token lasts at most from one bracket, comma, colon or quote to the next. */
static survey survey_text(const char *text, size_t length)
{
    survey found = {.deep_at = -1};
    int depth = 0;
    bool quoted = false;
    size_t start = 0;
    for (size_t i = 0; i <= length; i++) {
        char c = i < length ? text[i] : ',';
        if (quoted && i < length) {
            if (c == '\\' && i + 1 < length)
                i++;
            quoted = c != '"';
            continue;
        }
        switch (c) {
        case '"': quoted = true; break;
        case '[':
        case '{':
            if (++depth > MAX_DEPTH) {
                found.deep_at = (int64_t)i;
                return found;
            }
            break;
        case ']':
        case '}': depth--; break;
        case ',':
        case ':': break;
        default: continue;
        }
        if (i - start + 1 > found.longest_token)
            found.longest_token = i - start + 1;
        start = quoted ? i : i + 1;
    }
    return found;
}

static int64_t count_lines(const char *text, size_t length)
{
    int64_t lines = 0;
    for (const char *end = text + length; (text = memchr(text, '\n', (size_t)(end - text))) != NULL;
         text++)
        lines++;
    return lines;
}

/* Jansson passes over a NUL behind a number, so none gets that far. */
static hone_status check_text(const char *text, size_t length, const char *file, int64_t line,
                              survey *found, hone_error *error)
{
    const char *nul = length > 0 ? memchr(text, '\0', length) : NULL;
    if (nul != NULL)
        return hone_fail_at(error, HONE_INPUT, file, line + count_lines(text, (size_t)(nul - text)),
                            nul - text, "not valid JSON: a NUL byte (\\u0000 is its spelling)");
    *found = survey_text(text, length);
    if (found->deep_at >= 0)
        return hone_fail_at(error, HONE_INPUT, file,
                            line + count_lines(text, (size_t)found->deep_at), found->deep_at,
                            "JSON is nested more than %d levels deep", MAX_DEPTH);
    return HONE_OK;
}

hone_status hone_json_parse(const char *text, size_t length, const char *file, int64_t line,
                            hone_json **out, hone_error *error)
{
    *out = NULL;
    prepare();
    survey found = {.deep_at = -1};
    HONE_TRY(check_text(text, length, file, line, &found, error));
    /* The token buffer doubles from 16 bytes, and looks one byte beyond the token. */
    feed f = {.text = text, .length = length, .reserve_size = 2 * found.longest_token + 32};
    f.reserve = hone_alloc(f.reserve_size);
    if (f.reserve == NULL)
        return hone_fail_memory(error, "JSON value", f.reserve_size);
    json_error_t detail;
    feeding = &f;
    refused = false;
    json_t *value = json_load_callback(
        next_bytes, &f, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &detail);
    feeding = NULL;
    hone_free(f.reserve);
    if (refused) {
        json_decref(value);
        return hone_fail_memory(error, "JSON value", length);
    }
    if (value == NULL) {
        int64_t offset = detail.position >= 0 ? detail.position : 0;
        int64_t inside = detail.line > 0 ? detail.line - 1 : 0;
        return hone_fail_at(error, HONE_INPUT, file, line + inside, offset,
                            "not valid JSON at column %d: %s", detail.column, detail.text);
    }
    *out = wrap(value);
    return HONE_OK;
}

hone_status hone_json_load(const char *path, size_t limit, hone_json **out, hone_error *error)
{
    *out = NULL;
    char *text;
    size_t size;
    HONE_TRY(hone_file_load(path, limit, &text, &size, error));
    hone_status status = hone_json_parse(text, size, path, 1, out, error);
    hone_free(text);
    return status;
}

void hone_json_free(hone_json *value)
{
    json_decref(raw(value));
}

hone_json_type hone_json_type_of(const hone_json *value)
{
    switch (json_typeof(raw(value))) {
    case JSON_OBJECT: return HONE_JSON_OBJECT;
    case JSON_ARRAY: return HONE_JSON_ARRAY;
    case JSON_STRING: return HONE_JSON_STRING;
    case JSON_INTEGER: return HONE_JSON_INTEGER;
    case JSON_REAL: return HONE_JSON_REAL;
    case JSON_TRUE:
    case JSON_FALSE: return HONE_JSON_BOOL;
    case JSON_NULL: break;
    }
    return HONE_JSON_NULL;
}

const char *hone_json_type_name(hone_json_type type)
{
    switch (type) {
    case HONE_JSON_NULL: return "null";
    case HONE_JSON_BOOL: return "true or false";
    case HONE_JSON_INTEGER: return "an integer";
    case HONE_JSON_REAL: return "a number";
    case HONE_JSON_STRING: return "a string";
    case HONE_JSON_ARRAY: return "an array";
    case HONE_JSON_OBJECT: return "an object";
    }
    return "a value";
}

hone_json *hone_json_get(const hone_json *object, const char *key)
{
    return wrap(json_object_get(raw(object), key));
}

hone_json *hone_json_at(const hone_json *array, size_t index)
{
    return wrap(json_array_get(raw(array), index));
}

size_t hone_json_size(const hone_json *container)
{
    const json_t *value = raw(container);
    return json_is_object(value) ? json_object_size(value) : json_array_size(value);
}

bool hone_json_bool(const hone_json *value, bool *out)
{
    if (value == NULL || !json_is_boolean(raw(value)))
        return false;
    *out = json_is_true(raw(value));
    return true;
}

bool hone_json_integer(const hone_json *value, int64_t *out)
{
    if (value == NULL || !json_is_integer(raw(value)))
        return false;
    *out = json_integer_value(raw(value));
    return true;
}

bool hone_json_real(const hone_json *value, double *out)
{
    if (value == NULL || !json_is_number(raw(value)))
        return false;
    *out = json_number_value(raw(value));
    return true;
}

const char *hone_json_string(const hone_json *value, size_t *length)
{
    if (value == NULL || !json_is_string(raw(value)))
        return NULL;
    if (length != NULL)
        *length = json_string_length(raw(value));
    return json_string_value(raw(value));
}

bool hone_json_next(const hone_json *object, void **cursor, const char **key, hone_json **value)
{
    *cursor = *cursor == NULL ? json_object_iter(raw(object))
                              : json_object_iter_next(raw(object), *cursor);
    if (*cursor == NULL)
        return false;
    *key = json_object_iter_key(*cursor);
    *value = wrap(json_object_iter_value(*cursor));
    return true;
}

hone_json *hone_json_new_object(void)
{
    prepare();
    return wrap(json_object());
}

hone_json *hone_json_new_array(void)
{
    prepare();
    return wrap(json_array());
}

hone_json *hone_json_new_null(void)
{
    return wrap(json_null());
}

hone_json *hone_json_new_bool(bool value)
{
    return wrap(json_boolean(value));
}

hone_json *hone_json_new_integer(int64_t value)
{
    prepare();
    return wrap(json_integer(value));
}

hone_json *hone_json_new_real(double value)
{
    prepare();
    return wrap(json_real(value));
}

hone_json *hone_json_new_string(const char *text)
{
    prepare();
    return wrap(json_string(text));
}

hone_json *hone_json_new_string_n(const char *text, size_t length)
{
    prepare();
    return wrap(json_stringn(text, length));
}

hone_json *hone_json_share(const hone_json *value)
{
    return wrap(json_incref(raw(value)));
}

bool hone_json_set(hone_json *object, const char *key, hone_json *value)
{
    return json_object_set_new(raw(object), key, raw(value)) == 0;
}

bool hone_json_append(hone_json *array, hone_json *value)
{
    return json_array_append_new(raw(array), raw(value)) == 0;
}

char *hone_json_dump(const hone_json *value, hone_json_format format)
{
    if (value == NULL)
        return NULL;
    prepare();
    size_t flags = JSON_ENCODE_ANY | JSON_REAL_PRECISION(format.digits);
    flags |= format.indent > 0 ? JSON_INDENT(format.indent) : JSON_COMPACT;
    if (format.sort_keys)
        flags |= JSON_SORT_KEYS;
    refused = false;
    char *text = json_dumps(raw(value), flags);
    if (refused) { /* also with a text: Jansson leaves out what it had no room for */
        hone_free(text);
        return NULL;
    }
    return text;
}
