/* Attaching adapters to programs: see adapter.h. Matching comes first, over the modules of the
 * untouched program; only when all is known to be right does the method rewrite it, linear by
 * linear. Base weights that are trained beside (bias, modules_to_save) stay where they are: they
 * are marked, and listed in `saved`. */
#include "adapter/adapter_parts.h"
#include "adapter/module_list.h"

#include "base/files.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CONFIG_LIMIT = 16 << 20 };

/* One attaching: what it works on. */
typedef struct attaching {
    hone_adapter *adapter;
    hone_program *program;
    hone_target_match *match;
    hone_module_list modules;
    size_t base_weights; /* those of the program before the method added its own */
    bool trainable, opened;
    hone_status failure; /* HONE_USAGE for settings, HONE_MISMATCH for a folder */
    hone_error *error;
} attaching;

/* Decides on every module; targets that are no linears are one error. */
static hone_status decide(attaching *at)
{
    size_t targets = 0, excluded = 0, others = 0;
    const char *other = NULL;
    for (size_t i = 0; i < at->modules.count; i++) {
        hone_module *m = &at->modules.items[i];
        HONE_TRY(hone_target_match_module(at->match, m->name, m->linear, &m->verdict, at->error));
        excluded += m->verdict == HONE_MODULE_EXCLUDED;
        targets += m->verdict == HONE_MODULE_TARGET && m->linear;
        if (m->verdict == HONE_MODULE_TARGET && !m->linear) {
            other = others == 0 ? m->name : other;
            others++;
        }
    }
    const hone_peft_config *config = &at->adapter->config;
    if (others > 0)
        return hone_fail(at->error, at->failure,
                         "target_modules take '%s'%s, and only linear modules can be adapted: name "
                         "linears, exclude the others with exclude_modules, or say all-linear",
                         other, others > 1 ? " and others" : "");
    if (config->exclude_modules.count > 0 && excluded == 0)
        hone_log(HONE_LOG_WARNING, "exclude_modules exclude no module of this model");
    if (targets > 0)
        return HONE_OK;
    const char *wanted = config->target_modules.count > 0 ? config->target_modules.items[0] : "";
    const char *near =
        config->target_modules.pattern ? NULL : hone_module_list_near(&at->modules, wanted, true);
    if (near != NULL && strcmp(near, wanted) == 0) /* it is there, but excluded */
        near = NULL;
    const char *example = "";
    for (size_t i = 0; near == NULL && i < at->modules.count; i++)
        if (at->modules.items[i].linear)
            example = at->modules.items[i].name;
    hone_fail(at->error, at->failure, "target_modules ('%s'%s) take no module of this model",
              wanted, config->target_modules.count > 1 ? ", ..." : "");
    hone_error_append(at->error, near != NULL ? "; nearest name: %s" : "; its linears are like %s",
                      near != NULL ? near : example);
    if (excluded > 0)
        hone_error_append(at->error, "; %zu are excluded by exclude_modules or modules_to_save",
                          excluded);
    if (config->layer_count > 0)
        hone_error_append(at->error, "; layers_to_transform is set");
    return at->failure;
}

/* ---- weights trained beside ---- */

static bool is_under(const char *name, const char *module)
{
    size_t length = strlen(module);
    return strncmp(name, module, length) == 0 && name[length] == '.';
}

static bool is_bias(const char *name)
{
    const char *dot = strrchr(name, '.');
    return strcmp(dot != NULL ? dot + 1 : name, "bias") == 0;
}

static bool is_shared(const hone_program *program, int weight)
{
    int readers = 0;
    for (size_t i = 0; i < program->op_count; i++)
        for (int k = 0; k < HONE_OP_WEIGHTS; k++)
            readers += program->ops[i].weights[k] == weight;
    return readers > 1;
}

static hone_status refuse_shared(attaching *at, const char *module, int weight)
{
    return hone_fail(at->error, at->failure,
                     "modules_to_save names '%s', whose weight %s is also used elsewhere (a tied "
                     "head): a copy of its own would untie it; leave it out, or train with "
                     "method full",
                     module, at->program->weights[weight].name);
}

static hone_status mark_module(attaching *at, const hone_module *module, bool *marks)
{
    const hone_program *program = at->program;
    for (size_t i = 0; i < program->op_count; i++) {
        const hone_op *op = &program->ops[i];
        if (op->code == HONE_OP_HEAD && strcmp(op->name, module->name) == 0 &&
            is_shared(program, op->weights[0]))
            return refuse_shared(at, module->name, op->weights[0]);
    }
    for (size_t i = 0; i < at->base_weights; i++) {
        if (!is_under(program->weights[i].name, module->name))
            continue;
        if (is_shared(program, (int)i))
            return refuse_shared(at, module->name, (int)i);
        marks[i] = true;
    }
    if (module->linear && module->verdict == HONE_MODULE_TARGET)
        return hone_fail(at->error, at->failure,
                         "modules_to_save and target_modules both take '%s': a module is either "
                         "adapted or trained in full",
                         module->name);
    return HONE_OK;
}

/* The weights under each module that modules_to_save names. */
static hone_status mark_modules(attaching *at, bool *marks)
{
    const hone_names *names = &at->adapter->config.modules_to_save;
    for (size_t k = 0; k < names->count; k++) {
        bool found = false;
        for (size_t i = 0; i < at->modules.count; i++) {
            const hone_module *module = &at->modules.items[i];
            if (!hone_module_is_saved(module->name, names->items[k]))
                continue;
            found = true;
            HONE_TRY(mark_module(at, module, marks));
        }
        if (found)
            continue;
        const char *near = hone_module_list_near(&at->modules, names->items[k], false);
        if (!at->opened)
            return hone_fail(at->error, at->failure,
                             "modules_to_save: no module of this model is named '%s'%s%s",
                             names->items[k], near != NULL ? "; nearest name: " : "",
                             near != NULL ? near : "");
        hone_log(HONE_LOG_WARNING, "modules_to_save: no module of this model is named '%s'",
                 names->items[k]);
    }
    return HONE_OK;
}

/* ---- rewriting ---- */

static hone_status attach_one(attaching *at, size_t place)
{
    hone_adapter *a = at->adapter;
    const hone_op *op = &at->program->ops[place];
    hone_adapted adapted = {.module = op->name,
                            .base_weight = op->weights[0],
                            .base_bias = op->weights[1],
                            .weights = {-1, -1}};
    hone_attachment attachment = {.dropout = (float)a->config.lora_dropout,
                                  .trainable = at->trainable};
    double alpha, divisor;
    HONE_TRY(hone_target_match_rank(at->match, op->name, &attachment.rank, &alpha, at->error));
    HONE_TRY(
        hone_target_match_feedforward(at->match, op->name, &attachment.feedforward, at->error));
    divisor = (double)attachment.rank;
    attachment.scale = (float)(alpha / (a->config.use_rslora ? sqrt(divisor) : divisor));
    a->fan_in_fan_out = at->program->weights[op->weights[0]].transposed;
    if (!hone_array_reserve((void **)&a->modules, &a->capacity, a->count + 1, sizeof *a->modules))
        return hone_fail_memory(at->error, "adapter", a->count);
    a->method->attach(at->program, place, &attachment, &adapted);
    HONE_TRY(hone_program_check(at->program, at->error));
    a->modules[a->count++] = adapted;
    return HONE_OK;
}

static hone_status attach_targets(attaching *at)
{
    for (size_t i = 0; i < at->program->op_count; i++) {
        const hone_op *op = &at->program->ops[i];
        const hone_module *module =
            op->code == HONE_OP_LINEAR ? hone_module_list_find(&at->modules, op->name) : NULL;
        if (module == NULL || module->verdict != HONE_MODULE_TARGET)
            continue;
        size_t before = at->program->op_count;
        HONE_TRY(attach_one(at, i));
        i += at->program->op_count - before; /* the linear itself may have moved on */
    }
    const char *unused = hone_target_match_unused(at->match);
    if (unused != NULL)
        hone_log(HONE_LOG_WARNING,
                 "rank_pattern or alpha_pattern: '%s' matches no adapted module and is ignored",
                 unused);
    return HONE_OK;
}

static hone_status mark_saved(attaching *at, const bool *marks)
{
    hone_adapter *a = at->adapter;
    hone_peft_bias bias = a->config.bias;
    for (size_t i = 0; i < at->base_weights; i++) {
        hone_weight *weight = &at->program->weights[i];
        bool saved = marks[i] || (bias == HONE_BIAS_ALL && is_bias(weight->name));
        for (size_t k = 0; bias == HONE_BIAS_LORA_ONLY && k < a->count; k++)
            saved = saved || a->modules[k].base_bias == (int)i;
        if (!saved)
            continue;
        if (!hone_array_reserve((void **)&a->saved, &a->saved_capacity, a->saved_count + 1,
                                sizeof *a->saved))
            return hone_fail_memory(at->error, "adapter", a->saved_count);
        a->saved[a->saved_count++] = (int)i;
        a->copied += marks[i] ? hone_weight_elements(weight) : 0;
        weight->trainable = at->trainable;
    }
    return HONE_OK;
}

/* ---- what is written for target_modules ---- */

static const char *last_part(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot != NULL ? dot + 1 : name;
}

/* The adapted modules' last parts, each once, if a list of them means the same modules. */
static bool shorten(attaching *at, hone_names *names)
{
    hone_adapter *a = at->adapter;
    for (size_t i = 0; i < a->count; i++) {
        const char *part = last_part(a->modules[i].module);
        size_t k = 0;
        while (k < names->count && strcmp(names->items[k], part) != 0)
            k++;
        if (k == names->count)
            names->items[names->count++] = part;
    }
    for (size_t i = 0; i < at->modules.count; i++) {
        const hone_module *m = &at->modules.items[i];
        if (m->verdict == HONE_MODULE_OTHER && hone_names_take(names, m->name))
            return false;
    }
    return true;
}

/* Full names of adapted modules, or of IA3's feedforward ones, or the shortest list. */
static hone_status list_modules(attaching *at, bool feedforward_only, bool may_shorten,
                                hone_names *out)
{
    hone_adapter *a = at->adapter;
    *out = (hone_names){.set = true};
    out->items = hone_arena_alloc(&a->config.arena, a->count * sizeof *out->items);
    if (out->items == NULL)
        return hone_fail_memory(at->error, "adapter", a->count);
    if (may_shorten && shorten(at, out))
        return HONE_OK;
    out->count = 0;
    for (size_t i = 0; i < a->count; i++)
        if (!feedforward_only || a->modules[i].feedforward)
            out->items[out->count++] = a->modules[i].module;
    return HONE_OK;
}

/* PEFT saves "all-linear" as the names it stood for, and refuses to read feedforward_modules that
 * are not among target_modules letter by letter: then both are full names. */
static hone_status choose_written_names(attaching *at)
{
    hone_adapter *a = at->adapter;
    a->targets = a->config.target_modules;
    a->feedforward = a->config.feedforward_modules;
    if (hone_peft_config_all_linear(&a->config))
        HONE_TRY(list_modules(at, false, true, &a->targets));
    if (a->targets.pattern || a->feedforward.pattern)
        return HONE_OK;
    bool subset = true;
    for (size_t i = 0; i < a->feedforward.count; i++) {
        bool found = false;
        for (size_t k = 0; k < a->targets.count; k++)
            found = found || strcmp(a->feedforward.items[i], a->targets.items[k]) == 0;
        subset = subset && found;
    }
    if (subset)
        return HONE_OK;
    HONE_TRY(list_modules(at, false, false, &a->targets));
    return list_modules(at, true, false, &a->feedforward);
}

static hone_status attach_all(attaching *at)
{
    hone_status status;
    bool *marks = NULL;
    at->base_weights = at->program->weight_count;
    HONE_TRY_GOTO(hone_target_match_create(&at->adapter->config, &at->match, at->error), done);
    HONE_TRY_GOTO(hone_module_list_create(at->program, &at->modules, at->error), done);
    marks = hone_alloc_array(at->base_weights, sizeof *marks);
    if (marks == NULL)
        HONE_TRY_GOTO(hone_fail_memory(at->error, "adapter", at->base_weights), done);
    HONE_TRY_GOTO(decide(at), done);
    HONE_TRY_GOTO(mark_modules(at, marks), done);
    HONE_TRY_GOTO(attach_targets(at), done);
    HONE_TRY_GOTO(mark_saved(at, marks), done);
    status = choose_written_names(at);
done:
    hone_free(marks);
    hone_module_list_deinit(&at->modules);
    hone_target_match_free(at->match);
    return status;
}

static hone_adapter *adapter_new(hone_error *error)
{
    hone_adapter *adapter = hone_alloc_array(1, sizeof *adapter);
    if (adapter == NULL)
        hone_fail_memory(error, "adapter", sizeof *adapter);
    return adapter;
}

static const hone_tuning_method *method_of(const hone_peft_config *config)
{
    static const hone_tuning_method *const methods[HONE_PEFT_METHODS] = {&hone_lora_method,
                                                                         &hone_ia3_method};
    return methods[config->method];
}

hone_status hone_adapter_create(hone_program *program, const hone_adapter_settings *settings,
                                const char *model_type, hone_adapter **out, hone_error *error)
{
    *out = NULL;
    hone_adapter *adapter = adapter_new(error);
    if (adapter == NULL)
        return HONE_MEMORY;
    hone_status status =
        hone_peft_config_from_settings(settings, model_type, &adapter->config, error);
    if (status == HONE_OK) {
        adapter->method = method_of(&adapter->config);
        attaching at = {.adapter = adapter,
                        .program = program,
                        .trainable = true,
                        .failure = HONE_USAGE,
                        .error = error};
        status = attach_all(&at);
    }
    if (status == HONE_INPUT) { /* of an expression: it came from the settings */
        status = HONE_USAGE;
        if (error != NULL)
            error->status = HONE_USAGE;
    }
    if (status != HONE_OK) {
        hone_adapter_free(adapter);
        return status;
    }
    *out = adapter;
    return HONE_OK;
}

static hone_status open_config(hone_adapter *adapter, const char *path, const char *model_type,
                               hone_error *error)
{
    hone_json *json = NULL;
    HONE_TRY(hone_json_load(path, CONFIG_LIMIT, &json, error));
    hone_status status = hone_peft_config_read(json, path, model_type, &adapter->config, error);
    hone_json_free(json);
    return status;
}

/* Messages of matching name no file: it is the configuration. */
static void place_error(hone_error *error, const char *path)
{
    if (error != NULL && error->file[0] == '\0' && error->status != HONE_MEMORY) {
        size_t length = strnlen(path, sizeof error->file - 1);
        memcpy(error->file, path, length);
        error->file[length] = '\0';
    }
}

hone_status hone_adapter_open(hone_program *program, const char *folder, const char *model_type,
                              bool trainable, bool allow_partial, hone_adapter **out,
                              hone_error *error)
{
    *out = NULL;
    hone_adapter *adapter = adapter_new(error);
    if (adapter == NULL)
        return HONE_MEMORY;
    hone_status status = HONE_OK;
    char *path = hone_path_join(folder, "adapter_config.json");
    adapter->folder = hone_strdup(folder);
    adapter->allow_partial = allow_partial;
    if (path == NULL || adapter->folder == NULL)
        HONE_TRY_GOTO(hone_fail_memory(error, "path", strlen(folder)), fail_adapter);
    HONE_TRY_GOTO(open_config(adapter, path, model_type, error), fail_adapter);
    adapter->method = method_of(&adapter->config);
    attaching at = {.adapter = adapter,
                    .program = program,
                    .trainable = trainable,
                    .opened = true,
                    .failure = HONE_MISMATCH,
                    .error = error};
    status = attach_all(&at);
    if (status != HONE_OK) {
        place_error(error, path);
        goto fail_adapter;
    }
    hone_free(path);
    *out = adapter;
    return HONE_OK;

fail_adapter:
    hone_free(path);
    hone_adapter_free(adapter);
    return status;
}

void hone_adapter_free(hone_adapter *adapter)
{
    if (adapter == NULL)
        return;
    hone_free(adapter->modules);
    hone_free(adapter->saved);
    hone_free(adapter->folder);
    hone_peft_config_deinit(&adapter->config);
    hone_free(adapter);
}

void hone_adapter_init(hone_adapter *adapter, hone_program *program, uint64_t seed)
{
    for (size_t i = 0; i < adapter->count; i++)
        adapter->method->init(program, &adapter->modules[i], adapter->config.init, seed, i);
}

void hone_adapter_merge(const hone_adapter *adapter, const hone_program *program, int base_weight,
                        float *weight, float *bias)
{
    for (size_t i = 0; i < adapter->count; i++)
        if (adapter->modules[i].base_weight == base_weight)
            adapter->method->merge(program, &adapter->modules[i], weight, bias);
}

int64_t hone_adapter_copied(const hone_adapter *adapter)
{
    return adapter->copied;
}

const char *hone_adapter_method(const hone_adapter *adapter)
{
    return adapter->method->name;
}

size_t hone_adapter_count(const hone_adapter *adapter)
{
    return adapter->count;
}

const hone_adapted *hone_adapter_at(const hone_adapter *adapter, size_t index)
{
    return &adapter->modules[index];
}
