/* Descriptions of folders and files: see inspect.h. One JSON tree is made of what is found; people
 * are shown the same tree as lines, with the tensors of all layers that look alike on one. */
#include <hone/inspect.h>

#include "base/files.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/yaml.h"
#include "file/weight_source.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_LIMIT ((size_t)16 << 20)
#define TAIL ((int64_t)64 << 10) /* of log.jsonl: more than its longest line */
#define VALUE_WIDTH 100

/* What is being told. Building goes on after a failure without effect; it is checked once. */
typedef struct description {
    hone_json *tree;
    bool failed; /* out of memory */
} description;

/* A JSON string; names of files may hold any bytes. */
static hone_json *text_value(const char *text)
{
    hone_json *value = hone_json_new_string(text);
    if (value != NULL)
        return value;
    char *copy = hone_strdup(text);
    for (char *c = copy; c != NULL && *c != '\0'; c++)
        if ((unsigned char)*c >= 0x80)
            *c = '?';
    value = copy != NULL ? hone_json_new_string(copy) : NULL;
    hone_free(copy);
    return value;
}

static void put(description *out, const char *key, hone_json *value)
{
    out->failed |= !hone_json_set(out->tree, key, value);
}

static void put_text(description *out, const char *key, const char *text)
{
    put(out, key, text_value(text));
}

static hone_status join(const char *folder, const char *name, char **path, hone_error *error)
{
    *path = hone_path_join(folder, name);
    return *path != NULL ? HONE_OK : hone_fail_memory(error, folder, strlen(folder));
}

/* Whether folder/name exists; a longer name than the system's longest does not. */
static bool has(const char *folder, const char *name)
{
    char path[4096];
    int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    return length > 0 && (size_t)length < sizeof path && hone_file_exists(path);
}

/* Adds folder/name, parsed, under a key; nothing when there is no such file. */
static hone_status put_json_file(description *out, const char *key, const char *folder,
                                 const char *name, hone_error *error)
{
    char *path;
    hone_json *value = NULL;
    if (!has(folder, name))
        return HONE_OK;
    HONE_TRY(join(folder, name, &path, error));
    hone_status status = hone_json_load(path, FILE_LIMIT, &value, error);
    hone_free(path);
    if (status == HONE_OK)
        put(out, key, value);
    return status;
}

static hone_json *tensor_value(const hone_stored_tensor *tensor)
{
    description one = {.tree = hone_json_new_object()};
    hone_json *shape = hone_json_new_array();
    for (int i = 0; i < tensor->dims; i++)
        one.failed |= !hone_json_append(shape, hone_json_new_integer(tensor->shape[i]));
    put_text(&one, "name", tensor->name);
    put_text(&one, "dtype", hone_dtype_name(tensor->dtype));
    put(&one, "shape", shape);
    const char *slash = strrchr(tensor->file, '/');
    put_text(&one, "file", slash != NULL ? slash + 1 : tensor->file);
    if (!one.failed)
        return one.tree;
    hone_json_free(one.tree);
    return NULL;
}

static hone_status put_tensors(description *out, const char *path, const char *stem, bool may_lack,
                               hone_error *error)
{
    hone_weight_source *source;
    hone_status status = hone_weight_source_open(path, stem, &source, error);
    if (status == HONE_IO && may_lack) {
        put(out, "tensors", hone_json_new_null());
        return HONE_OK;
    }
    HONE_TRY(status);
    hone_json *tensors = hone_json_new_array();
    int64_t elements = 0, bytes = 0;
    for (size_t i = 0; i < hone_weight_source_count(source); i++) {
        const hone_stored_tensor *tensor = hone_weight_source_at(source, i);
        elements += tensor->elements;
        bytes += tensor->elements * (int64_t)hone_dtype_size(tensor->dtype);
        out->failed |= !hone_json_append(tensors, tensor_value(tensor));
    }
    put(out, "elements", hone_json_new_integer(elements));
    put(out, "bytes", hone_json_new_integer(bytes));
    put(out, "tensors", tensors);
    hone_weight_source_close(source);
    return HONE_OK;
}

static hone_status describe_model(description *out, const char *path, hone_error *error)
{
    HONE_TRY(put_json_file(out, "config", path, "config.json", error));
    if (has(path, "tokenizer.json"))
        put_text(out, "tokenizer", "tokenizer.json");
    else if (has(path, "vocab.json") && has(path, "merges.txt"))
        put_text(out, "tokenizer", "vocab.json, merges.txt");
    else if (has(path, "spiece.model"))
        put_text(out, "tokenizer", "spiece.model");
    else
        put(out, "tokenizer", hone_json_new_null());
    return put_tensors(out, path, "model", true, error);
}

static hone_status describe_adapter(description *out, const char *path, hone_error *error)
{
    HONE_TRY(put_json_file(out, "config", path, "adapter_config.json", error));
    return put_tensors(out, path, "adapter_model", false, error);
}

static hone_json *entry_value(const hone_yaml_entry *entry)
{
    if (entry->kind == HONE_YAML_SCALAR)
        return text_value(entry->items[0].text);
    bool sequence = entry->kind == HONE_YAML_SEQUENCE, made = true;
    hone_json *value = sequence ? hone_json_new_array() : hone_json_new_object();
    for (size_t i = 0; i < entry->count; i++) {
        hone_json *item = text_value(entry->items[i].text);
        made &= sequence ? hone_json_append(value, item)
                         : hone_json_set(value, entry->items[i].key, item);
    }
    if (made && value != NULL)
        return value;
    hone_json_free(value);
    return NULL;
}

static hone_status put_settings(description *out, const char *folder, hone_error *error)
{
    char *path, *text = NULL;
    size_t size;
    hone_yaml settings = {0};
    HONE_TRY(join(folder, "config.yaml", &path, error));
    hone_status status = hone_file_load(path, FILE_LIMIT, &text, &size, error);
    if (status == HONE_OK)
        status = hone_yaml_parse(text, size, path, &settings, error);
    description object = {.tree = hone_json_new_object()};
    for (size_t i = 0; status == HONE_OK && i < settings.count; i++)
        put(&object, settings.entries[i].key, entry_value(&settings.entries[i]));
    out->failed |= object.failed;
    put(out, "settings", object.tree);
    hone_yaml_deinit(&settings);
    hone_free(text);
    hone_free(path);
    return status;
}

/* The last whole line of log.jsonl, when it is readable: a run that is going on, or that was
 * killed, may have half a line there. */
static hone_status put_last_step(description *out, const char *folder, hone_error *error)
{
    char *path, *text = NULL;
    int descriptor = -1;
    int64_t size = 0;
    if (!has(folder, "log.jsonl"))
        return HONE_OK;
    HONE_TRY(join(folder, "log.jsonl", &path, error));
    hone_status status = hone_file_open(path, &descriptor, &size, error);
    int64_t length = size < TAIL ? size : TAIL;
    if (status == HONE_OK && (text = hone_alloc((size_t)length + 1)) == NULL)
        status = hone_fail_memory(error, path, (size_t)length);
    if (status == HONE_OK)
        status = hone_file_read_at(descriptor, path, text, (size_t)length, size - length, error);
    hone_file_close(descriptor);
    if (status == HONE_OK) {
        while (length > 0 && text[length - 1] != '\n')
            length--;
        int64_t start = length > 0 ? length - 1 : 0;
        while (start > 0 && text[start - 1] != '\n')
            start--;
        hone_json *step;
        if (length > start && hone_json_parse(text + start, (size_t)(length - start), path, 1,
                                              &step, NULL) == HONE_OK)
            put(out, "last_step", step);
    }
    hone_free(text);
    hone_free(path);
    return status;
}

static hone_status describe_run(description *out, const char *path, hone_error *error)
{
    HONE_TRY(put_settings(out, path, error));
    HONE_TRY(put_json_file(out, "summary", path, "summary.json", error));
    HONE_TRY(put_last_step(out, path, error));
    put(out, "adapter", hone_json_new_bool(has(path, "adapter")));
    if (!has(path, "checkpoints"))
        return HONE_OK;
    char *folder, **names;
    size_t count;
    HONE_TRY(join(path, "checkpoints", &folder, error));
    hone_status status = hone_folder_list(folder, &names, &count, error);
    hone_free(folder);
    HONE_TRY(status);
    hone_json *list = hone_json_new_array();
    for (size_t i = 0; i < count; i++)
        if (strstr(names[i], ".tmp") == NULL)
            out->failed |= !hone_json_append(list, text_value(names[i]));
    put(out, "checkpoints", list);
    hone_names_free(names, count);
    return HONE_OK;
}

static hone_status describe(description *out, const char *path, hone_error *error)
{
    static const struct {
        const char *kind, *file;
        hone_status (*fill)(description *out, const char *path, hone_error *error);
    } kinds[] = {
        {"adapter", "adapter_config.json", describe_adapter},
        {"model", "config.json", describe_model},
        {"run", "config.yaml", describe_run},
    };
    if (!hone_folder_exists(path)) {
        put_text(out, "kind", "weights");
        put_text(out, "path", path);
        return put_tensors(out, path, "model", false, error);
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (has(path, kinds[i].file)) {
            put_text(out, "kind", kinds[i].kind);
            put_text(out, "path", path);
            return kinds[i].fill(out, path, error);
        }
    return hone_fail_at(error, HONE_INPUT, path, -1, -1,
                        "expected a folder with config.json (a model), adapter_config.json (an "
                        "adapter) or config.yaml (a run), found none of them");
}

/* Lines for people, growing. */
typedef struct lines {
    char *text;
    size_t length, capacity;
    bool failed;
} lines;

/* Adds text; bytes that could steer a terminal become question marks. */
static void add(lines *out, const char *text)
{
    size_t size = strlen(text);
    if (out->failed ||
        !hone_array_reserve((void **)&out->text, &out->capacity, out->length + size + 1, 1)) {
        out->failed = true;
        return;
    }
    for (size_t i = 0; i <= size; i++) {
        unsigned char c = (unsigned char)text[i];
        out->text[out->length + i] =
            (char)((c < 0x20 && c != '\n' && c != '\0') || c == 0x7F ? '?' : c);
    }
    out->length += size;
}

static void add_format(lines *out, const char *format, ...) HONE_PRINTF(2, 3);

static void add_format(lines *out, const char *format, ...)
{
    char buffer[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(buffer, sizeof buffer, format, arguments);
    va_end(arguments);
    add(out, buffer);
}

/* One value on the rest of a line: a text as it is, others as JSON. */
static void add_value(lines *out, const hone_json *value)
{
    const char *text = hone_json_string(value, NULL);
    char *dumped = text == NULL ? hone_json_dump(value, (hone_json_format){.digits = 9}) : NULL;
    if (text == NULL && dumped == NULL) {
        out->failed = true;
        return;
    }
    const char *shown = text != NULL ? text : dumped;
    size_t length = strlen(shown);
    add_format(out, "%.*s%s\n", VALUE_WIDTH, shown, length > VALUE_WIDTH ? "..." : "");
    hone_free(dumped);
}

/* A tensor's line: its name with the first number in it as *, type and shape. */
typedef struct tensor_line {
    char *text; /* "h.*.ln_1.weight\tF32 [768]" */
    size_t name_length;
    int64_t count;
} tensor_line;

static hone_status make_line(const hone_json *tensor, tensor_line *line, hone_error *error)
{
    const char *name = hone_json_string(hone_json_get(tensor, "name"), NULL);
    const char *dtype = hone_json_string(hone_json_get(tensor, "dtype"), NULL);
    char *shape = hone_json_dump(hone_json_get(tensor, "shape"), (hone_json_format){0});
    size_t length = strlen(name) + strlen(dtype) + (shape != NULL ? strlen(shape) : 0) + 8;
    *line = (tensor_line){.text = hone_alloc(length), .count = 1};
    if (line->text == NULL || shape == NULL) {
        hone_free(shape);
        return hone_fail_memory(error, name, length);
    }
    const char *number = name;
    while (*number != '\0' &&
           (!isdigit((unsigned char)*number) || (number > name && number[-1] != '.')))
        number++;
    size_t digits = strspn(number, "0123456789");
    bool layer = digits > 0 && number[digits] == '.';
    line->name_length =
        layer ? (size_t)sprintf(line->text, "%.*s*%s", (int)(number - name), name, number + digits)
              : (size_t)sprintf(line->text, "%s", name);
    sprintf(line->text + line->name_length, "\t%s %s", dtype, shape);
    hone_free(shape);
    return HONE_OK;
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(((const tensor_line *)a)->text, ((const tensor_line *)b)->text);
}

static void add_tensor_lines(lines *out, tensor_line *list, size_t count)
{
    size_t kinds = 0, width = 0;
    qsort(list, count, sizeof *list, compare_lines);
    for (size_t i = 0; i < count; i++) {
        if (kinds > 0 && strcmp(list[kinds - 1].text, list[i].text) == 0) {
            list[kinds - 1].count++;
            hone_free(list[i].text);
        } else {
            list[kinds++] = list[i];
        }
    }
    for (size_t i = kinds; i < count; i++)
        list[i].text = NULL;
    for (size_t i = 0; i < kinds; i++)
        if (list[i].name_length > width)
            width = list[i].name_length;
    for (size_t i = 0; i < kinds; i++) {
        list[i].text[list[i].name_length] = '\0';
        add(out, "  ");
        add(out, list[i].text);
        add_format(out, "%*s", (int)(width < 64 ? width - list[i].name_length : 0) + 2, "");
        if (list[i].count > 1)
            add_format(out, "%4lld x ", (long long)list[i].count);
        else
            add(out, "       ");
        add(out, list[i].text + list[i].name_length + 1);
        add(out, "\n");
    }
}

static hone_status add_tensors(lines *out, const hone_json *tensors, hone_error *error)
{
    size_t count = hone_json_size(tensors);
    tensor_line *list = hone_alloc_array(count, sizeof *list);
    if (list == NULL)
        return hone_fail_memory(error, "tensors", count * sizeof *list);
    hone_status status = HONE_OK;
    for (size_t i = 0; status == HONE_OK && i < count; i++)
        status = make_line(hone_json_at(tensors, i), &list[i], error);
    if (status == HONE_OK) {
        add_format(out, "tensors     %zu\n", count);
        add_tensor_lines(out, list, count);
    }
    for (size_t i = 0; i < count; i++)
        hone_free(list[i].text);
    hone_free(list);
    return status;
}

static void add_object(lines *out, const char *title, const hone_json *object)
{
    void *cursor = NULL;
    const char *key;
    hone_json *value;
    add_format(out, "%.100s\n", title);
    while (hone_json_next(object, &cursor, &key, &value)) {
        add_format(out, "  %-28.100s ", key);
        add_value(out, value);
    }
}

static hone_status render(const hone_json *tree, lines *out, hone_error *error)
{
    void *cursor = NULL;
    const char *key;
    hone_json *value;
    while (hone_json_next(tree, &cursor, &key, &value)) {
        hone_json_type type = hone_json_type_of(value);
        if (strcmp(key, "tensors") == 0 && type == HONE_JSON_ARRAY) {
            HONE_TRY(add_tensors(out, value, error));
        } else if (type == HONE_JSON_OBJECT) {
            add_object(out, key, value);
        } else {
            add_format(out, "%-11s ", key);
            if (type == HONE_JSON_NULL)
                add(out, "none\n");
            else
                add_value(out, value);
        }
    }
    return out->failed ? hone_fail_memory(error, "description", out->length) : HONE_OK;
}

hone_status hone_inspect(const char *path, bool json, char **text, hone_error *error)
{
    *text = NULL;
    description found = {.tree = hone_json_new_object()};
    hone_status status = describe(&found, path, error);
    if (status == HONE_OK && (found.failed || found.tree == NULL))
        status = hone_fail_memory(error, path, 0);
    lines out = {0};
    if (status == HONE_OK && json) {
        out.text = hone_json_dump(found.tree, (hone_json_format){.digits = 15});
        out.length = out.text != NULL ? strlen(out.text) : 0;
        out.capacity = out.length;
        if (out.text == NULL ||
            !hone_array_reserve((void **)&out.text, &out.capacity, out.length + 2, 1))
            status = hone_fail_memory(error, path, out.length);
        else
            memcpy(out.text + out.length, "\n", 2);
    } else if (status == HONE_OK) {
        status = render(found.tree, &out, error);
    }
    hone_json_free(found.tree);
    if (status != HONE_OK) {
        hone_free(out.text);
        return status;
    }
    *text = out.text;
    return HONE_OK;
}

void hone_inspect_free(char *text)
{
    hone_free(text);
}
