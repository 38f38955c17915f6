/* Reading adapter_config.json and adapter settings: see peft_config.h. One table has every key that
 * PEFT 0.21 writes for LoRA and IA3, its type, and whether hone honours it, may pass over it, or
 * must refuse it; all findings go into one error. */
#include "adapter/peft_config.h"

#include "adapter/near_name.h"

#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { LARGEST_RANK = 65536, LARGEST_LAYER = 1 << 20, LISTED_PROBLEMS = 24 };

/* ---- defaults ---- */

/* PEFT's targets when none are named: utils/constants.py of 0.21.2, the families that have both
 * methods. Names are parted by spaces; IA3's feedforward ones come after the bar. */
static const struct family_targets {
    const char *model_type, *lora, *ia3;
} family_targets[] = {
    {"bart", "q_proj v_proj", "q_proj v_proj fc2 | fc2"},
    {"bloom", "query_key_value", "query_key_value mlp.dense_4h_to_h | mlp.dense_4h_to_h"},
    {"falcon", "query_key_value", "query_key_value dense_4h_to_h | dense_4h_to_h"},
    {"gemma", "q_proj v_proj", "q_proj v_proj down_proj | down_proj"},
    {"gemma2", "q_proj v_proj", "q_proj v_proj down_proj | down_proj"},
    {"gemma3_text", "q_proj v_proj", "q_proj v_proj down_proj | down_proj"},
    {"gpt2", "c_attn", "c_attn mlp.c_proj | mlp.c_proj"},
    {"gpt_bigcode", "c_attn", "c_attn mlp.c_proj | mlp.c_proj"},
    {"gpt_neo", "q_proj v_proj", "q_proj v_proj c_proj | c_proj"},
    {"gpt_neox", "query_key_value", "query_key_value dense_4h_to_h | dense_4h_to_h"},
    {"gptj", "q_proj v_proj", "q_proj v_proj fc_out | fc_out"},
    {"llama", "q_proj v_proj", "k_proj v_proj down_proj | down_proj"},
    {"mistral", "q_proj v_proj", "k_proj v_proj down_proj | down_proj"},
    {"mt5", "q v", "k v wi_1 |"},
    {"opt", "q_proj v_proj", "q_proj k_proj fc2 | fc2"},
    {"phi", "q_proj v_proj fc1 fc2", "q_proj v_proj fc2 | fc2"},
    {"qwen2", "q_proj v_proj", "q_proj v_proj down_proj | down_proj"},
    {"qwen3", "q_proj v_proj", "q_proj v_proj down_proj | down_proj"},
    {"t5", "q v", "k v wo | wo"},
};

static hone_status out_of_memory(hone_error *error)
{
    return hone_fail_memory(error, "adapter configuration", 0);
}

static bool names_reserve(hone_arena *arena, hone_names *names, size_t capacity)
{
    names->items = hone_arena_alloc(arena, (capacity > 0 ? capacity : 1) * sizeof *names->items);
    names->count = 0;
    names->set = true;
    return names->items != NULL;
}

static bool names_add(hone_arena *arena, hone_names *names, const char *text, size_t length)
{
    const char *copy = hone_arena_strndup(arena, text, length);
    if (copy != NULL)
        names->items[names->count++] = copy;
    return copy != NULL;
}

/* Names parted by spaces, up to a bar or the end. */
static bool names_split(hone_arena *arena, hone_names *names, const char *text)
{
    if (!names_reserve(arena, names, strlen(text)))
        return false;
    while (*text != '\0' && *text != '|') {
        size_t length = strcspn(text, " |");
        if (length > 0 && !names_add(arena, names, text, length))
            return false;
        text += length + strspn(text + length, " ");
    }
    return true;
}

static hone_status fill_defaults(hone_peft_config *config, const char *model_type,
                                 hone_status failure, const char *file, hone_error *error)
{
    bool ia3 = config->method == HONE_PEFT_IA3;
    if (config->target_modules.set && (!ia3 || config->feedforward_modules.set))
        return HONE_OK;
    const struct family_targets *family = NULL;
    for (size_t i = 0; i < sizeof family_targets / sizeof *family_targets; i++)
        if (strcmp(family_targets[i].model_type, model_type) == 0)
            family = &family_targets[i];
    if (family == NULL)
        return hone_fail_at(error, failure, file, -1, -1,
                            "there are no default targets for models of type %s: name %s",
                            model_type,
                            config->target_modules.set ? "feedforward_modules" : "target_modules");
    const char *text = ia3 ? family->ia3 : family->lora;
    if (!config->target_modules.set && !names_split(&config->arena, &config->target_modules, text))
        return out_of_memory(error);
    if (ia3 && !config->feedforward_modules.set &&
        !names_split(&config->arena, &config->feedforward_modules, strchr(text, '|') + 1))
        return out_of_memory(error);
    return HONE_OK;
}

bool hone_peft_config_all_linear(const hone_peft_config *config)
{
    const hone_names *targets = &config->target_modules;
    return targets->pattern && strcasecmp(targets->items[0], "all-linear") == 0;
}

void hone_peft_config_deinit(hone_peft_config *config)
{
    hone_arena_deinit(&config->arena);
    *config = (hone_peft_config){0};
}

/* ---- what is wrong, all of it ---- */

typedef struct reader {
    hone_peft_config *config;
    const char *file;
    hone_error *error;
    hone_status failure; /* HONE_USAGE for settings, HONE_INPUT for a file */
    size_t problems;
    bool no_memory;
} reader;

HONE_PRINTF(2, 3) static void add_problem(reader *r, const char *format, ...)
{
    if (r->problems++ == 0)
        hone_fail_at(r->error, r->failure, r->file, -1, -1, "%s", "");
    if (r->problems > LISTED_PROBLEMS)
        return;
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    hone_error_append(r->error, "%s%s", r->problems > 1 ? "\n  " : "", text);
}

static hone_status problems_status(reader *r)
{
    if (r->no_memory)
        return out_of_memory(r->error);
    if (r->problems > LISTED_PROBLEMS)
        hone_error_append(r->error, "\n  and %zu more", r->problems - LISTED_PROBLEMS);
    return r->problems > 0 ? r->failure : HONE_OK;
}

/* What settings and files must both obey, and PEFT checks too. */
static void check_sense(reader *r)
{
    const hone_peft_config *c = r->config;
    if (c->target_modules.pattern && c->layer_count > 0)
        add_problem(r,
                    "layers_to_transform wants target_modules as a list of names, and it is "
                    "'%s': say the layers in the expression",
                    c->target_modules.items[0]);
    if (c->layers_pattern.count > 0 && c->layer_count == 0)
        add_problem(r, "layers_pattern is set, but layers_to_transform names no layer");
    for (size_t i = 0; i < c->rank_pattern.count; i++) {
        double rank = c->rank_pattern.values[i];
        if (!(rank >= 1 && rank <= LARGEST_RANK) || rank != floor(rank))
            add_problem(r,
                        "rank_pattern: the rank of '%s' is %g; expected a whole number from 1 "
                        "to %d",
                        c->rank_pattern.keys[i], rank, LARGEST_RANK);
    }
    for (size_t i = 0; i < c->alpha_pattern.count; i++)
        if (!(c->alpha_pattern.values[i] >= 0))
            add_problem(r, "alpha_pattern: '%s' is %g; expected 0 or more",
                        c->alpha_pattern.keys[i], c->alpha_pattern.values[i]);
}

/* ---- settings ---- */

static bool copy_list(hone_peft_config *config, const hone_list *list, bool may_be_pattern,
                      hone_names *out)
{
    if (list->count == 0)
        return true;
    if (!names_reserve(&config->arena, out, list->count))
        return false;
    for (size_t i = 0; i < list->count; i++)
        if (!names_add(&config->arena, out, list->items[i], strlen(list->items[i])))
            return false;
    out->pattern = may_be_pattern && list->count == 1 &&
                   (strpbrk(list->items[0], "[({\\*+?|^$") != NULL ||
                    strcasecmp(list->items[0], "all-linear") == 0);
    return true;
}

static bool copy_map(hone_peft_config *config, const hone_map *map, hone_pattern_map *out)
{
    if (map->count == 0)
        return true;
    out->keys = hone_arena_alloc(&config->arena, map->count * sizeof *out->keys);
    out->values = hone_arena_alloc(&config->arena, map->count * sizeof *out->values);
    if (out->keys == NULL || out->values == NULL)
        return false;
    for (size_t i = 0; i < map->count; i++) {
        out->keys[i] = hone_arena_strdup(&config->arena, map->keys[i]);
        out->values[i] = map->values[i];
        if (out->keys[i] == NULL)
            return false;
    }
    out->count = map->count;
    return true;
}

static void copy_layers(reader *r, const hone_list *list)
{
    hone_peft_config *c = r->config;
    if (list->count == 0)
        return;
    c->layers_to_transform =
        hone_arena_alloc(&c->arena, list->count * sizeof *c->layers_to_transform);
    if (c->layers_to_transform == NULL) {
        r->no_memory = true;
        return;
    }
    for (size_t i = 0; i < list->count; i++) {
        char *end;
        long long layer = strtoll(list->items[i], &end, 10);
        if (end == list->items[i] || *end != '\0' || layer < 0 || layer > LARGEST_LAYER)
            add_problem(r, "layers_to_transform: '%s' is not the number of a layer",
                        list->items[i]);
        c->layers_to_transform[c->layer_count++] = layer;
    }
}

/* Settings that choose what is trained must not be passed over in silence; those that only shape
 * LoRA's update (r, lora_alpha ...) may stand in a run file whose method is changed to ia3. */
static void check_ia3_settings(reader *r)
{
    const hone_peft_config *c = r->config;
    const char *key = c->layer_count > 0            ? "layers_to_transform"
                      : c->layers_pattern.count > 0 ? "layers_pattern"
                      : c->bias != HONE_BIAS_NONE   ? "bias"
                                                    : NULL;
    if (key != NULL)
        add_problem(r,
                    "%s is a setting of LoRA; ia3 has none: leave it out or say the layers in "
                    "target_modules",
                    key);
}

hone_status hone_peft_config_from_settings(const hone_adapter_settings *settings,
                                           const char *model_type, hone_peft_config *out,
                                           hone_error *error)
{
    *out = (hone_peft_config){0};
    reader r = {.config = out, .error = error, .failure = HONE_USAGE};
    bool ia3 = strcmp(settings->method, "ia3") == 0;
    if (!ia3 && strcmp(settings->method, "lora") != 0)
        return hone_fail(error, HONE_USAGE, "method %s has no adapter; expected lora or ia3",
                         settings->method);
    out->method = ia3 ? HONE_PEFT_IA3 : HONE_PEFT_LORA;
    out->r = settings->r;
    out->lora_alpha = settings->lora_alpha;
    out->lora_dropout = settings->lora_dropout;
    out->use_rslora = settings->use_rslora;
    out->bias = strcmp(settings->bias, "all") == 0         ? HONE_BIAS_ALL
                : strcmp(settings->bias, "lora_only") == 0 ? HONE_BIAS_LORA_ONLY
                                                           : HONE_BIAS_NONE;
    out->init = strcmp(settings->init_lora_weights, "gaussian") == 0 ? HONE_LORA_INIT_GAUSSIAN
                : strcmp(settings->init_lora_weights, "false") == 0  ? HONE_LORA_INIT_FALSE
                                                                     : HONE_LORA_INIT_TRUE;
    r.no_memory = !(copy_list(out, &settings->target_modules, true, &out->target_modules) &&
                    copy_list(out, &settings->exclude_modules, true, &out->exclude_modules) &&
                    copy_list(out, &settings->modules_to_save, false, &out->modules_to_save) &&
                    copy_list(out, &settings->layers_pattern, false, &out->layers_pattern) &&
                    copy_map(out, &settings->rank_pattern, &out->rank_pattern) &&
                    copy_map(out, &settings->alpha_pattern, &out->alpha_pattern));
    if (ia3 && !r.no_memory)
        r.no_memory =
            !copy_list(out, &settings->feedforward_modules, true, &out->feedforward_modules);
    copy_layers(&r, &settings->layers_to_transform);
    if (!r.no_memory && r.problems == 0) {
        check_sense(&r);
        if (ia3)
            check_ia3_settings(&r);
    }
    hone_status status = problems_status(&r);
    if (status == HONE_OK)
        status = fill_defaults(out, model_type, HONE_USAGE, NULL, error);
    if (status != HONE_OK)
        hone_peft_config_deinit(out);
    return status;
}

/* ---- adapter_config.json ---- */

typedef enum key_rule {
    PASS_TEXT, /* null or a string, without influence on the result */
    PASS_FLAG, /* a boolean, likewise */
    PASS_NUMBER,
    PASS_ANY,
    NEUTRAL, /* null, false or empty; anything else would change the result */
    READ_FLAG,
    READ_RANK,
    READ_REAL,    /* 0 or more */
    READ_SHARE,   /* in [0,1) */
    READ_NAMES,   /* null, one expression, or a list of names */
    READ_LIST,    /* null, one expression, or a list of them: always a list */
    READ_STRINGS, /* null or a list of names */
    READ_LAYERS,
    READ_MAP,
    READ_BIAS,
    READ_INIT,
    READ_TASK
} key_rule;

enum { LORA = 1 << HONE_PEFT_LORA, IA3 = 1 << HONE_PEFT_IA3, BOTH = LORA | IA3 };

#define FIELD(name) offsetof(hone_peft_config, name)

static const struct config_key {
    const char *name;
    unsigned methods;
    key_rule rule;
    size_t offset;
} config_keys[] = {
    {"alora_invocation_tokens", LORA, NEUTRAL, 0},
    {"alpha_pattern", LORA, READ_MAP, FIELD(alpha_pattern)},
    {"arrow_config", LORA, NEUTRAL, 0},
    {"auto_mapping", BOTH, PASS_ANY, 0},
    {"base_model_name_or_path", BOTH, PASS_TEXT, 0},
    {"bias", LORA, READ_BIAS, FIELD(bias)},
    {"corda_config", LORA, PASS_ANY, 0}, /* says how values were begun, as the next ones do */
    {"ensure_weight_tying", LORA, PASS_FLAG, 0}, /* tied weights can't be saved apart at all */
    {"eva_config", LORA, PASS_ANY, 0},
    {"exclude_modules", BOTH, READ_NAMES, FIELD(exclude_modules)},
    {"fan_in_fan_out", BOTH, PASS_FLAG, 0}, /* the base weight says it better */
    {"feedforward_modules", IA3, READ_NAMES, FIELD(feedforward_modules)},
    {"inference_mode", BOTH, PASS_FLAG, 0},
    {"init_ia3_weights", IA3, PASS_FLAG, 0},
    {"init_lora_weights", LORA, READ_INIT, FIELD(init)},
    {"kasa_config", LORA, NEUTRAL, 0},
    {"layer_replication", LORA, NEUTRAL, 0},
    {"layers_pattern", LORA, READ_LIST, FIELD(layers_pattern)},
    {"layers_to_transform", LORA, READ_LAYERS, FIELD(layers_to_transform)},
    {"loftq_config", LORA, PASS_ANY, 0},
    {"lora_alpha", LORA, READ_REAL, FIELD(lora_alpha)},
    {"lora_bias", LORA, NEUTRAL, 0},
    {"lora_dropout", LORA, READ_SHARE, FIELD(lora_dropout)},
    {"lora_ga_config", LORA, PASS_ANY, 0},
    {"megatron_config", LORA, NEUTRAL, 0},
    {"megatron_core", LORA, PASS_TEXT, 0},
    {"modules_to_save", BOTH, READ_STRINGS, FIELD(modules_to_save)},
    {"monteclora_config", LORA, NEUTRAL, 0},
    {"peft_type", BOTH, PASS_ANY, 0}, /* read before all others */
    {"peft_version", BOTH, PASS_TEXT, 0},
    {"qalora_group_size", LORA, PASS_NUMBER, 0},
    {"r", LORA, READ_RANK, FIELD(r)},
    {"rank_pattern", LORA, READ_MAP, FIELD(rank_pattern)},
    {"revision", BOTH, PASS_TEXT, 0},
    {"runtime_config", LORA, PASS_ANY, 0},
    {"target_modules", BOTH, READ_NAMES, FIELD(target_modules)},
    {"target_parameters", LORA, NEUTRAL, 0},
    {"task_type", BOTH, READ_TASK, 0},
    {"trainable_token_indices", LORA, NEUTRAL, 0},
    {"use_bdlora", LORA, NEUTRAL, 0},
    {"use_dora", LORA, NEUTRAL, 0},
    {"use_qalora", LORA, NEUTRAL, 0},
    {"use_rslora", LORA, READ_FLAG, FIELD(use_rslora)},
    {"velora_config", LORA, NEUTRAL, 0},
};

enum { KEY_COUNT = sizeof config_keys / sizeof *config_keys };

static void expected(reader *r, const char *key, const char *what, const hone_json *value)
{
    add_problem(r, "%s: expected %s, found %s", key, what,
                hone_json_type_name(hone_json_type_of(value)));
}

/* The text of a JSON string without NUL bytes, or NULL. */
static const char *plain_text(const hone_json *value)
{
    size_t length;
    const char *text = hone_json_string(value, &length);
    return text != NULL && strlen(text) == length ? text : NULL;
}

static void read_names(reader *r, const char *key, const hone_json *value, key_rule rule,
                       hone_names *out)
{
    const char *text = rule != READ_STRINGS ? plain_text(value) : NULL;
    bool list = hone_json_type_of(value) == HONE_JSON_ARRAY;
    if (text == NULL && !list) {
        expected(r, key,
                 rule == READ_STRINGS ? "null or a list of strings"
                                      : "null, a string or a list of strings",
                 value);
        return;
    }
    size_t count = list ? hone_json_size(value) : 1;
    if (!names_reserve(&r->config->arena, out, count)) {
        r->no_memory = true;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const char *item = list ? plain_text(hone_json_at(value, i)) : text;
        if (item == NULL) {
            expected(r, key, "a list of strings", hone_json_at(value, i));
            return;
        }
        if (!names_add(&r->config->arena, out, item, strlen(item))) {
            r->no_memory = true;
            return;
        }
    }
    out->pattern = !list && rule == READ_NAMES;
}

static void read_layers(reader *r, const char *key, const hone_json *value)
{
    hone_peft_config *c = r->config;
    bool list = hone_json_type_of(value) == HONE_JSON_ARRAY;
    size_t count = list ? hone_json_size(value) : 1;
    c->layers_to_transform =
        hone_arena_alloc(&c->arena, (count > 0 ? count : 1) * sizeof *c->layers_to_transform);
    if (c->layers_to_transform == NULL) {
        r->no_memory = true;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const hone_json *item = list ? hone_json_at(value, i) : value;
        if (!hone_json_integer(item, &c->layers_to_transform[i])) {
            expected(r, key, "null, an integer or a list of integers", item);
            return;
        }
    }
    c->layer_count = count;
}

static void read_map(reader *r, const char *key, const hone_json *value, hone_pattern_map *out)
{
    if (hone_json_type_of(value) != HONE_JSON_OBJECT) {
        expected(r, key, "null or an object of numbers", value);
        return;
    }
    size_t count = hone_json_size(value);
    out->keys = hone_arena_alloc(&r->config->arena, (count + 1) * sizeof *out->keys);
    out->values = hone_arena_alloc(&r->config->arena, (count + 1) * sizeof *out->values);
    if (out->keys == NULL || out->values == NULL) {
        r->no_memory = true;
        return;
    }
    void *cursor = NULL;
    const char *name;
    hone_json *number;
    while (out->count < count && hone_json_next(value, &cursor, &name, &number)) {
        if (!hone_json_real(number, &out->values[out->count])) {
            expected(r, key, "an object of numbers", number);
            return;
        }
        out->keys[out->count] = hone_arena_strdup(&r->config->arena, name);
        if (out->keys[out->count] == NULL) {
            r->no_memory = true;
            return;
        }
        out->count++;
    }
}

/* Initializations that leave the base as it is are over once the values are in the file; the others
 * (pissa, olora, corda, loftq, lora_ga) mean another base than the one that is here. */
static void read_init(reader *r, const hone_json *value)
{
    bool flag;
    const char *text = plain_text(value);
    if (hone_json_bool(value, &flag))
        r->config->init = flag ? HONE_LORA_INIT_TRUE : HONE_LORA_INIT_FALSE;
    else if (text != NULL && strcasecmp(text, "gaussian") == 0)
        r->config->init = HONE_LORA_INIT_GAUSSIAN;
    else if (text != NULL && (strcmp(text, "eva") == 0 || strcmp(text, "orthogonal") == 0))
        r->config->init = HONE_LORA_INIT_TRUE;
    else if (text != NULL)
        add_problem(r,
                    "init_lora_weights: '%s' changes the weights of the base model, which hone "
                    "does not support; save the adapter in PEFT with "
                    "path_initial_model_for_weight_conversion",
                    text);
    else
        expected(r, "init_lora_weights", "true, false or a string", value);
}

static void read_bias(reader *r, const hone_json *value)
{
    static const char *const names[] = {"none", "all", "lora_only"};
    const char *text = plain_text(value);
    for (size_t i = 0; text != NULL && i < 3; i++)
        if (strcmp(text, names[i]) == 0) {
            r->config->bias = (hone_peft_bias)i;
            return;
        }
    if (text != NULL)
        add_problem(r, "bias: expected none, all or lora_only, found '%s'", text);
    else
        expected(r, "bias", "none, all or lora_only", value);
}

static void read_task(reader *r, const hone_json *value)
{
    const char *text = plain_text(value);
    if (text == NULL)
        expected(r, "task_type", "null or a string", value);
    else if (strcmp(text, "CAUSAL_LM") != 0 && strcmp(text, "SEQ_2_SEQ_LM") != 0)
        add_problem(r,
                    "task_type: '%s' is for models with another head; hone reads adapters of "
                    "language models (CAUSAL_LM, SEQ_2_SEQ_LM)",
                    text);
}

static bool is_neutral(const hone_json *value)
{
    bool flag;
    switch (hone_json_type_of(value)) {
    case HONE_JSON_NULL: return true;
    case HONE_JSON_BOOL: return hone_json_bool(value, &flag) && !flag;
    case HONE_JSON_ARRAY:
    case HONE_JSON_OBJECT: return hone_json_size(value) == 0;
    default: return false;
    }
}

static void read_number(reader *r, const struct config_key *key, const hone_json *value,
                        void *field)
{
    int64_t whole;
    double real;
    if (key->rule == READ_RANK) {
        if (hone_json_integer(value, &whole) && whole >= 1 && whole <= LARGEST_RANK)
            *(int64_t *)field = whole;
        else if (hone_json_integer(value, &whole))
            add_problem(r, "%s: expected 1 to %d, found %lld", key->name, LARGEST_RANK,
                        (long long)whole);
        else
            expected(r, key->name, "an integer", value);
        return;
    }
    if (!hone_json_real(value, &real))
        expected(r, key->name, "a number", value);
    else if (!(real >= 0) || (key->rule == READ_SHARE && real >= 1))
        add_problem(r, "%s: expected 0 or more%s, found %g", key->name,
                    key->rule == READ_SHARE ? " and less than 1" : "", real);
    else
        *(double *)field = real;
}

static void read_key(reader *r, const struct config_key *key, const hone_json *value)
{
    void *field = (char *)r->config + key->offset;
    bool null = hone_json_type_of(value) == HONE_JSON_NULL, flag;
    double number;
    switch (key->rule) {
    case PASS_ANY: return;
    case NEUTRAL:
        if (!is_neutral(value))
            add_problem(r, "%s is set, and hone does not support it; only null or false will do",
                        key->name);
        return;
    case PASS_FLAG:
        if (!hone_json_bool(value, &flag))
            expected(r, key->name, "true or false", value);
        return;
    case PASS_NUMBER:
        if (!hone_json_real(value, &number))
            expected(r, key->name, "a number", value);
        return;
    case READ_FLAG:
        if (!hone_json_bool(value, (bool *)field))
            expected(r, key->name, "true or false", value);
        return;
    case READ_RANK:
    case READ_REAL:
    case READ_SHARE: read_number(r, key, value, field); return;
    case READ_BIAS: read_bias(r, value); return;
    case READ_INIT: read_init(r, value); return;
    default: break;
    }
    if (null)
        return;
    switch (key->rule) {
    case PASS_TEXT:
        if (plain_text(value) == NULL)
            expected(r, key->name, "null or a string", value);
        return;
    case READ_NAMES:
    case READ_LIST:
    case READ_STRINGS: read_names(r, key->name, value, key->rule, field); return;
    case READ_LAYERS: read_layers(r, key->name, value); return;
    case READ_MAP: read_map(r, key->name, value, field); return;
    default: read_task(r, value); return;
    }
}

static void read_unknown_key(reader *r, const char *name, const hone_json *value)
{
    if (hone_json_type_of(value) == HONE_JSON_NULL)
        return;
    const char *known[KEY_COUNT];
    for (size_t i = 0; i < KEY_COUNT; i++)
        known[i] = config_keys[i].methods & 1u << r->config->method ? config_keys[i].name : NULL;
    const char *near = hone_near_name(name, known, KEY_COUNT);
    add_problem(r, "unknown key '%.120s'%s%s%s", name, near != NULL ? " (nearest known: " : "",
                near != NULL ? near : "", near != NULL ? ")" : "");
}

static hone_status read_method(const hone_json *json, const char *file, hone_peft_config *out,
                               hone_error *error)
{
    if (hone_json_type_of(json) != HONE_JSON_OBJECT)
        return hone_fail_at(error, HONE_INPUT, file, -1, -1, "expected an object, found %s",
                            hone_json_type_name(hone_json_type_of(json)));
    const hone_json *value = hone_json_get(json, "peft_type");
    const char *type = value != NULL ? plain_text(value) : NULL;
    if (type == NULL)
        return hone_fail_at(error, HONE_INPUT, file, -1, -1,
                            "peft_type is missing or no string; expected \"LORA\" or \"IA3\"");
    out->method = strcmp(type, "IA3") == 0 ? HONE_PEFT_IA3 : HONE_PEFT_LORA;
    if (out->method == HONE_PEFT_LORA && strcmp(type, "LORA") != 0)
        return hone_fail_at(error, HONE_INPUT, file, -1, -1,
                            "peft_type is '%.60s'; hone reads LORA and IA3", type);
    return HONE_OK;
}

hone_status hone_peft_config_read(const hone_json *json, const char *file, const char *model_type,
                                  hone_peft_config *out, hone_error *error)
{
    *out = (hone_peft_config){.r = 8, .lora_alpha = 8};
    HONE_TRY(read_method(json, file, out, error));
    reader r = {.config = out, .file = file, .error = error, .failure = HONE_INPUT};
    void *cursor = NULL;
    const char *name;
    hone_json *value;
    while (hone_json_next(json, &cursor, &name, &value)) {
        size_t i = 0;
        while (i < KEY_COUNT && (strcmp(config_keys[i].name, name) != 0 ||
                                 !(config_keys[i].methods & 1u << out->method)))
            i++;
        if (i < KEY_COUNT)
            read_key(&r, &config_keys[i], value);
        else
            read_unknown_key(&r, name, value);
    }
    if (!r.no_memory && r.problems == 0)
        check_sense(&r);
    hone_status status = problems_status(&r);
    if (status == HONE_OK)
        status = fill_defaults(out, model_type, HONE_INPUT, file, error);
    if (status != HONE_OK)
        hone_peft_config_deinit(out);
    return status;
}
