/* The tensors of PEFT's adapter folders. Each key is "base_model.model.", the module's full name
 * and the weight's; the bias of an adapted module is "<module>.base_layer.bias", since PEFT wraps
 * the module and saves what is inside. All keys are compared before one value is read. */
#include "adapter/adapter_parts.h"
#include "adapter/near_name.h"

#include "base/files.h"
#include "file/weight_source.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char key_prefix[] = "base_model.model.";

enum { LISTED_TENSORS = 16, CHUNK = 1024 };

/* A tensor that the folder holds or should hold. */
typedef struct entry {
    const char *key;
    int weight;
    int module; /* adapted module that it is part of, or -1: a base weight */
    const hone_stored_tensor *stored;
    bool skip; /* partial folder: the initial value stays */
} entry;

typedef struct entry_list {
    entry *items; /* sorted by key */
    size_t count;
    hone_arena keys;
} entry_list;

static int by_key(const void *a, const void *b)
{
    return strcmp(((const entry *)a)->key, ((const entry *)b)->key);
}

static void list_deinit(entry_list *list)
{
    hone_free(list->items);
    hone_arena_deinit(&list->keys);
    *list = (entry_list){0};
}

static const char *make_key(entry_list *list, const char *name, size_t length, const char *rest)
{
    size_t prefix = strlen(key_prefix), tail = strlen(rest);
    char *key = hone_arena_alloc(&list->keys, prefix + length + tail + 1);
    if (key != NULL) {
        memcpy(key, key_prefix, prefix);
        memcpy(key + prefix, name, length);
        memcpy(key + prefix + length, rest, tail + 1);
    }
    return key;
}

static bool list_add(entry_list *list, const char *key, int weight, int module)
{
    list->items[list->count++] = (entry){.key = key, .weight = weight, .module = module};
    return key != NULL;
}

static bool is_adapted_bias(const hone_adapter *adapter, int weight)
{
    for (size_t i = 0; i < adapter->count; i++)
        if (adapter->modules[i].base_bias == weight)
            return true;
    return false;
}

static hone_status list_create(const hone_adapter *adapter, const hone_program *program,
                               entry_list *out, hone_error *error)
{
    *out = (entry_list){0};
    bool complete = true;
    out->items =
        hone_alloc_array(2 * adapter->count + adapter->saved_count + 1, sizeof *out->items);
    if (out->items == NULL)
        return hone_fail_memory(error, "adapter tensors", adapter->count);
    for (size_t i = 0; complete && i < adapter->count; i++)
        for (int k = 0; complete && k < 2; k++) {
            int weight = adapter->modules[i].weights[k];
            const char *name = weight >= 0 ? program->weights[weight].name : NULL;
            if (name != NULL)
                complete = list_add(out, make_key(out, name, strlen(name), ""), weight, (int)i);
        }
    for (size_t i = 0; complete && i < adapter->saved_count; i++) {
        int weight = adapter->saved[i];
        const char *name = program->weights[weight].name;
        const char *key =
            is_adapted_bias(adapter, weight)
                ? make_key(out, name, strlen(name) - strlen(".bias"), ".base_layer.bias")
                : make_key(out, name, strlen(name), "");
        complete = list_add(out, key, weight, -1);
    }
    if (!complete) {
        list_deinit(out);
        return hone_fail_memory(error, "adapter tensors", adapter->count);
    }
    qsort(out->items, out->count, sizeof *out->items, by_key);
    return HONE_OK;
}

/* ---- reading ---- */

/* Comparing a folder with what the adapter wants. */
typedef struct comparison {
    const hone_adapter *adapter;
    const hone_program *program;
    const hone_weight_source *source;
    entry_list wanted;
    const char **foreign; /* keys in the folder that nothing asks for */
    size_t foreign_count, missing, problems;
    hone_error *error;
} comparison;

/* Starts a line of the one error, unless there are too many already. */
static bool add_line(comparison *c)
{
    if (c->problems++ == 0)
        hone_fail_at(c->error, HONE_MISMATCH, c->adapter->folder, -1, -1,
                     "the adapter's tensors don't fit this model and its adapter_config.json:");
    if (c->problems > LISTED_TENSORS)
        return false;
    hone_error_append(c->error, "\n  ");
    return true;
}

static void add_shape(hone_error *error, const int64_t *shape, int dims)
{
    for (int i = 0; i < dims; i++)
        hone_error_append(error, "%s%lld", i == 0 ? "(" : ", ", (long long)shape[i]);
    hone_error_append(error, dims == 0 ? "()" : ")");
}

static void compare_shape(comparison *c, const entry *e)
{
    const hone_weight *w = &c->program->weights[e->weight];
    const hone_stored_tensor *t = e->stored;
    int64_t shape[HONE_MAX_DIMS] = {w->rows, w->columns};
    bool same =
        t->dims == w->dims && t->shape[0] == shape[0] && (t->dims < 2 || t->shape[1] == shape[1]);
    bool known = t->dtype == HONE_F32 || t->dtype == HONE_F16 || t->dtype == HONE_BF16 ||
                 t->dtype == HONE_F64;
    if ((same && known) || !add_line(c))
        return;
    hone_error_append(c->error, "%s: ", e->key);
    if (!known)
        hone_error_append(c->error, "type %s, expected F32, F16 or BF16",
                          hone_dtype_name(t->dtype));
    if (!same) {
        hone_error_append(c->error, "%sshape ", known ? "" : "; ");
        add_shape(c->error, t->shape, t->dims);
        hone_error_append(c->error, ", expected ");
        add_shape(c->error, shape, w->dims);
    }
}

/* PEFT 0.21 writes a saved module's biases thrice when bias is "all"; the plain name counts. */
static bool is_duplicate(const hone_adapter *adapter, const char *key)
{
    return adapter->config.bias == HONE_BIAS_ALL && adapter->config.modules_to_save.count > 0 &&
           (strstr(key, ".original_module.") != NULL || strstr(key, ".modules_to_save.") != NULL);
}

static hone_status find_foreign(comparison *c)
{
    size_t count = hone_weight_source_count(c->source);
    c->foreign = hone_alloc_array(count + 1, sizeof *c->foreign);
    if (c->foreign == NULL)
        return hone_fail_memory(c->error, "adapter tensors", count);
    for (size_t i = 0; i < count; i++) {
        entry key = {.key = hone_weight_source_at(c->source, i)->name};
        if (bsearch(&key, c->wanted.items, c->wanted.count, sizeof key, by_key) == NULL &&
            !is_duplicate(c->adapter, key.key))
            c->foreign[c->foreign_count++] = key.key;
    }
    return HONE_OK;
}

static void report_missing(comparison *c, const char *key)
{
    c->missing++;
    if (c->adapter->allow_partial || !add_line(c))
        return;
    const char *near = hone_near_name(key, c->foreign, c->foreign_count);
    hone_error_append(c->error, "missing: %s%s%s", key, near != NULL ? "; nearest there: " : "",
                      near != NULL ? near : "");
}

static hone_status report_foreign(comparison *c)
{
    if (c->foreign_count == 0)
        return HONE_OK;
    const char **keys = hone_alloc_array(c->wanted.count + 1, sizeof *keys);
    if (keys == NULL)
        return hone_fail_memory(c->error, "adapter tensors", c->wanted.count);
    for (size_t i = 0; i < c->wanted.count; i++)
        keys[i] = c->wanted.items[i].key;
    for (size_t i = 0; i < c->foreign_count; i++) {
        if (!add_line(c))
            continue;
        const char *near = hone_near_name(c->foreign[i], keys, c->wanted.count);
        hone_error_append(c->error, "unexpected: %s%s%s", c->foreign[i],
                          near != NULL ? "; nearest expected: " : "", near != NULL ? near : "");
    }
    hone_free(keys);
    return HONE_OK;
}

static hone_status compare(comparison *c)
{
    HONE_TRY(find_foreign(c));
    for (size_t i = 0; i < c->wanted.count; i++) {
        entry *e = &c->wanted.items[i];
        e->stored = hone_weight_source_find(c->source, e->key);
        if (e->stored == NULL)
            report_missing(c, e->key);
        else
            compare_shape(c, e);
    }
    HONE_TRY(report_foreign(c));
    if (c->problems == 0)
        return HONE_OK;
    if (c->problems > LISTED_TENSORS)
        hone_error_append(c->error, "\n  and %zu more", c->problems - LISTED_TENSORS);
    if (c->missing == c->problems)
        hone_error_append(c->error, "\n  (allow_partial accepts a folder that lacks tensors)");
    return HONE_MISMATCH;
}

/* A module that lacks one tensor keeps its initial values, which change nothing. */
static void keep_partial_modules(comparison *c, hone_program *program)
{
    hone_log(HONE_LOG_WARNING, "%s lacks %zu of %zu tensors, which keep their initial values",
             c->adapter->folder, c->missing, c->wanted.count);
    for (size_t i = 0; i < c->wanted.count; i++) {
        const entry *missing = &c->wanted.items[i];
        if (missing->stored != NULL)
            continue;
        c->wanted.items[i].skip = true;
        if (missing->module < 0)
            continue;
        c->adapter->method->init(program, &c->adapter->modules[missing->module],
                                 HONE_LORA_INIT_TRUE, 0, (size_t)missing->module);
        for (size_t k = 0; k < c->wanted.count; k++)
            if (c->wanted.items[k].module == missing->module)
                c->wanted.items[k].skip = true;
    }
}

static hone_status read_values(comparison *c, hone_program *program)
{
    for (size_t i = 0; i < c->wanted.count; i++) {
        const entry *e = &c->wanted.items[i];
        hone_weight *w = &program->weights[e->weight];
        if (e->skip)
            continue;
        HONE_TRY(
            hone_weight_source_read(c->source, e->stored, w->master != NULL ? HONE_F32 : w->dtype,
                                    w->master != NULL ? (void *)w->master : w->data, c->error));
        if (w->master != NULL && w->data != w->master)
            hone_convert(HONE_F32, w->master, w->dtype, w->data, (size_t)hone_weight_elements(w));
    }
    return HONE_OK;
}

hone_status hone_adapter_load(hone_adapter *adapter, hone_program *program, hone_error *error)
{
    hone_weight_source *source = NULL;
    HONE_TRY(hone_weight_source_open(adapter->folder, "adapter_model", &source, error));
    comparison c = {.adapter = adapter, .program = program, .source = source, .error = error};
    hone_status status = list_create(adapter, program, &c.wanted, error);
    if (status == HONE_OK)
        status = compare(&c);
    if (status == HONE_OK && c.missing > 0)
        keep_partial_modules(&c, program);
    if (status == HONE_OK)
        status = read_values(&c, program);
    hone_free(c.foreign);
    list_deinit(&c.wanted);
    hone_weight_source_close(source);
    return status;
}

/* ---- writing ---- */

static const void *values_of(const hone_weight *w, hone_dtype *type)
{
    *type = w->master != NULL ? HONE_F32 : w->dtype;
    return w->master != NULL ? (const void *)w->master : w->data;
}

static hone_status check_finite(const hone_weight *w, const char *key, hone_error *error)
{
    hone_dtype type;
    const char *values = values_of(w, &type);
    int64_t n = hone_weight_elements(w);
    float chunk[CHUNK];
    for (int64_t start = 0; start < n; start += CHUNK) {
        int64_t count = n - start < CHUNK ? n - start : CHUNK;
        hone_convert(type, values + (size_t)start * hone_dtype_size(type), HONE_F32, chunk,
                     (size_t)count);
        for (int64_t i = 0; i < count; i++)
            if (!isfinite(chunk[i]))
                return hone_fail(error, HONE_NUMERIC,
                                 "%s holds %f at element %lld; nothing was saved", key,
                                 (double)chunk[i], (long long)(start + i));
    }
    return HONE_OK;
}

static hone_status write_tensors(const entry_list *list, const hone_program *program,
                                 const char *folder, hone_error *error)
{
    hone_tensor_out *tensors = hone_alloc_array(list->count + 1, sizeof *tensors);
    char *path = hone_path_join(folder, "adapter_model.safetensors");
    hone_status status = HONE_OK;
    if (tensors == NULL || path == NULL)
        HONE_TRY_GOTO(hone_fail_memory(error, "adapter tensors", list->count), done);
    for (size_t i = 0; i < list->count; i++) {
        const hone_weight *w = &program->weights[list->items[i].weight];
        tensors[i] = (hone_tensor_out){.name = list->items[i].key,
                                       .dtype = HONE_F32,
                                       .dims = w->dims,
                                       .shape = {w->rows, w->columns}};
        tensors[i].data = values_of(w, &tensors[i].stored);
    }
    status = hone_safetensors_write(path, tensors, list->count, error);
done:
    hone_free(tensors);
    hone_free(path);
    return status;
}

/* JSON holds UTF-8 alone: a base model in a folder of another encoding can't be named. */
static bool is_json_text(const char *text)
{
    for (const char *p = text; *p != '\0'; p++)
        if ((unsigned char)*p >= 0x80) {
            hone_json *value = hone_json_new_string(text);
            hone_json_free(value);
            return value != NULL;
        }
    return true;
}

static char *config_text(const hone_adapter *adapter, const char *base_model, const char *task_type)
{
    hone_peft_facts facts = {.base_model = base_model,
                             .task_type = task_type,
                             .fan_in_fan_out = adapter->fan_in_fan_out,
                             .targets = adapter->targets,
                             .feedforward = adapter->feedforward};
    if (base_model != NULL && !is_json_text(base_model))
        facts.base_model = NULL;
    return hone_peft_config_text(&adapter->config, &facts);
}

/* Writes both files. The config of another adapter goes first: whatever happens in between, no
 * tensors stand beside a foreign config, whose scale or modules could pass for theirs. */
static hone_status write_folder(const entry_list *list, const hone_program *program,
                                const char *folder, const char *config, hone_error *error)
{
    bool same = false;
    char *path = hone_path_join(folder, "adapter_config.json");
    if (path == NULL)
        return hone_fail_memory(error, "path", 0);
    hone_status status = hone_file_holds(path, config, strlen(config), &same, error);
    if (status == HONE_OK && !same)
        status = hone_file_remove(path, error);
    if (status == HONE_OK)
        status = write_tensors(list, program, folder, error);
    if (status == HONE_OK && !same)
        status = hone_file_write(path, config, strlen(config), error);
    hone_free(path);
    return status;
}

hone_status hone_adapter_save(const hone_adapter *adapter, const hone_program *program,
                              const char *folder, const char *base_model, const char *task_type,
                              hone_error *error)
{
    entry_list list;
    HONE_TRY(list_create(adapter, program, &list, error));
    hone_status status = HONE_OK;
    for (size_t i = 0; i < list.count && status == HONE_OK; i++)
        status = check_finite(&program->weights[list.items[i].weight], list.items[i].key, error);
    if (status == HONE_OK)
        status = hone_folder_make(folder, error);
    char *config = config_text(adapter, base_model, task_type);
    if (status == HONE_OK && config == NULL)
        status = hone_fail_memory(error, "adapter_config.json", 0);
    if (status == HONE_OK)
        status = write_folder(&list, program, folder, config, error);
    hone_free(config);
    list_deinit(&list);
    return status;
}
