/* PEFT's matching rules: see target_match.h. In their order:
 *
 * 1. exclude_modules: a string must match the full name (re.fullmatch); a list excludes a name that
 *    is in it or ends with "." and an entry.
 * 2. modules_to_save: an entry m excludes what re.match(r"(^|.*\.)m($|\..*)") finds.
 * 3. target_modules: a string as above, or "all-linear" in any case; an entry of a list takes the
 *    name equal to it, or names that end with "." and it. Only the latter are sifted by
 *    layers_to_transform, with the first number in the name that follows layers_pattern.
 * 4. rank_pattern, alpha_pattern: the first key k in file order with re.match(r"(.*\.)?(k)$").
 * 5. feedforward_modules: a string as above; an entry takes names that end with it, dot or none. */
#include "adapter/target_match.h"

#include "adapter/python_pattern.h"

#include <stdlib.h>
#include <string.h>

/* Expressions made from one key of the configuration. */
typedef struct pattern_list {
    hone_pattern **items;
    bool *used;
    size_t count;
} pattern_list;

struct hone_target_match {
    const hone_peft_config *config;
    bool all_linear;
    pattern_list exclude, target, feedforward, save, layers, ranks, alphas;
};

static hone_status compile_list(const char *key, const char *before, const char *const *texts,
                                size_t count, const char *after, hone_pattern_use use,
                                pattern_list *out, hone_error *error)
{
    if (count == 0)
        return HONE_OK;
    out->items = hone_alloc_array(count, sizeof(hone_pattern *));
    out->used = hone_alloc_array(count, sizeof(bool));
    if (out->items == NULL || out->used == NULL)
        return hone_fail_memory(error, key, count * sizeof(hone_pattern *));
    for (; out->count < count; out->count++)
        HONE_TRY(hone_pattern_create(key, before, texts[out->count], after, use,
                                     &out->items[out->count], error));
    return HONE_OK;
}

static void free_list(pattern_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        hone_pattern_free(list->items[i]);
    hone_free(list->items);
    hone_free(list->used);
}

/* The one expression of a string; nothing for a list of names. */
static hone_status compile_string(const char *key, const hone_names *names, pattern_list *out,
                                  hone_error *error)
{
    return compile_list(key, "", names->items, names->pattern ? 1 : 0, "", HONE_PATTERN_FULLMATCH,
                        out, error);
}

static hone_status compile_all(hone_target_match *m, hone_error *error)
{
    const hone_peft_config *c = m->config;
    HONE_TRY(compile_string("exclude_modules", &c->exclude_modules, &m->exclude, error));
    if (!m->all_linear)
        HONE_TRY(compile_string("target_modules", &c->target_modules, &m->target, error));
    HONE_TRY(
        compile_string("feedforward_modules", &c->feedforward_modules, &m->feedforward, error));
    HONE_TRY(compile_list("modules_to_save", "(^|.*\\.)", c->modules_to_save.items,
                          c->modules_to_save.count, "($|\\..*)", HONE_PATTERN_MATCH, &m->save,
                          error));
    static const char *const any_pattern[] = {""};
    if (c->layer_count > 0 && c->layers_pattern.count == 0)
        HONE_TRY(compile_list("layers_pattern", ".*?\\.[^.]*\\.(?P<idx>\\d+)\\.", any_pattern, 1,
                              "", HONE_PATTERN_MATCH, &m->layers, error));
    else if (c->layer_count > 0)
        HONE_TRY(compile_list("layers_pattern", "(?:^|.*?\\.)", c->layers_pattern.items,
                              c->layers_pattern.count, "\\.(?P<idx>\\d+)\\.", HONE_PATTERN_MATCH,
                              &m->layers, error));
    HONE_TRY(compile_list("rank_pattern", "(.*\\.)?(", c->rank_pattern.keys, c->rank_pattern.count,
                          ")$", HONE_PATTERN_MATCH, &m->ranks, error));
    return compile_list("alpha_pattern", "(.*\\.)?(", c->alpha_pattern.keys, c->alpha_pattern.count,
                        ")$", HONE_PATTERN_MATCH, &m->alphas, error);
}

hone_status hone_target_match_create(const hone_peft_config *config, hone_target_match **out,
                                     hone_error *error)
{
    *out = NULL;
    hone_target_match *match = hone_alloc_array(1, sizeof *match);
    if (match == NULL)
        return hone_fail_memory(error, "target matching", sizeof *match);
    match->config = config;
    match->all_linear = hone_peft_config_all_linear(config);
    hone_status status = compile_all(match, error);
    if (status != HONE_OK)
        hone_target_match_free(match);
    else
        *out = match;
    return status;
}

void hone_target_match_free(hone_target_match *match)
{
    if (match == NULL)
        return;
    free_list(&match->exclude);
    free_list(&match->target);
    free_list(&match->feedforward);
    free_list(&match->save);
    free_list(&match->layers);
    free_list(&match->ranks);
    free_list(&match->alphas);
    hone_free(match);
}

static bool ends_with(const char *name, const char *ending)
{
    size_t length = strlen(name), tail = strlen(ending);
    return tail <= length && memcmp(name + length - tail, ending, tail) == 0;
}

static bool is_listed(const hone_names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->items[i], name) == 0)
            return true;
    return false;
}

static bool ends_with_listed(const hone_names *names, const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < names->count; i++) {
        size_t tail = strlen(names->items[i]);
        if (tail < length && name[length - tail - 1] == '.' && ends_with(name, names->items[i]))
            return true;
    }
    return false;
}

bool hone_names_take(const hone_names *names, const char *name)
{
    return is_listed(names, name) || ends_with_listed(names, name);
}

/* Number of the first pattern that matches, or `list->count`. */
static hone_status first_match(pattern_list *list, const char *name, size_t *index,
                               hone_error *error)
{
    for (*index = 0; *index < list->count; ++*index) {
        bool matches;
        HONE_TRY(hone_pattern_test(list->items[*index], name, &matches, error));
        if (matches)
            break;
    }
    return HONE_OK;
}

/* layers_to_transform's word on a name that a list of targets took. */
static hone_status is_chosen_layer(hone_target_match *m, const char *module, bool *chosen,
                                   hone_error *error)
{
    *chosen = m->config->layer_count == 0;
    if (*chosen)
        return HONE_OK;
    size_t i, length;
    const char *digits;
    HONE_TRY(first_match(&m->layers, module, &i, error));
    if (i == m->layers.count ||
        !hone_pattern_group(m->layers.items[i], module, "idx", &digits, &length))
        return HONE_OK;
    char *end;
    long long layer = strtoll(digits, &end, 10);
    if (end != digits + length) /* digits of another script */
        return HONE_OK;
    for (size_t k = 0; k < m->config->layer_count; k++)
        *chosen = *chosen || m->config->layers_to_transform[k] == layer;
    return HONE_OK;
}

static hone_status is_excluded(hone_target_match *m, const char *module, bool *excluded,
                               hone_error *error)
{
    const hone_names *names = &m->config->exclude_modules;
    size_t i;
    if (names->pattern) {
        HONE_TRY(first_match(&m->exclude, module, &i, error));
        *excluded = i < m->exclude.count;
    } else {
        *excluded = hone_names_take(names, module);
    }
    if (*excluded)
        return HONE_OK;
    HONE_TRY(first_match(&m->save, module, &i, error));
    *excluded = i < m->save.count;
    return HONE_OK;
}

hone_status hone_target_match_module(hone_target_match *match, const char *module, bool linear,
                                     hone_module_verdict *verdict, hone_error *error)
{
    const hone_names *names = &match->config->target_modules;
    bool yes;
    *verdict = HONE_MODULE_OTHER;
    HONE_TRY(is_excluded(match, module, &yes, error));
    if (yes) {
        *verdict = HONE_MODULE_EXCLUDED;
        return HONE_OK;
    }
    if (match->all_linear) {
        yes = linear;
    } else if (names->pattern) {
        size_t i;
        HONE_TRY(first_match(&match->target, module, &i, error));
        yes = i < match->target.count;
    } else if (is_listed(names, module)) {
        yes = true;
    } else if (ends_with_listed(names, module)) {
        HONE_TRY(is_chosen_layer(match, module, &yes, error));
    }
    if (yes)
        *verdict = HONE_MODULE_TARGET;
    return HONE_OK;
}

/* Marks all keys that match, so that those which never do can be told, and finds the first. */
static hone_status look_up(pattern_list *list, const char *module, size_t *index, hone_error *error)
{
    *index = list->count;
    for (size_t i = 0; i < list->count; i++) {
        bool matches;
        HONE_TRY(hone_pattern_test(list->items[i], module, &matches, error));
        list->used[i] = list->used[i] || matches;
        if (matches && *index == list->count)
            *index = i;
    }
    return HONE_OK;
}

hone_status hone_target_match_rank(hone_target_match *match, const char *module, int64_t *r,
                                   double *alpha, hone_error *error)
{
    const hone_peft_config *c = match->config;
    size_t i;
    HONE_TRY(look_up(&match->ranks, module, &i, error));
    *r = i < match->ranks.count ? (int64_t)c->rank_pattern.values[i] : c->r;
    HONE_TRY(look_up(&match->alphas, module, &i, error));
    *alpha = i < match->alphas.count ? c->alpha_pattern.values[i] : c->lora_alpha;
    return HONE_OK;
}

hone_status hone_target_match_feedforward(hone_target_match *match, const char *module,
                                          bool *feedforward, hone_error *error)
{
    const hone_names *names = &match->config->feedforward_modules;
    size_t i;
    *feedforward = false;
    if (names->pattern) {
        HONE_TRY(first_match(&match->feedforward, module, &i, error));
        *feedforward = i < match->feedforward.count;
        return HONE_OK;
    }
    for (i = 0; i < names->count && !*feedforward; i++)
        *feedforward = ends_with(module, names->items[i]);
    return HONE_OK;
}

bool hone_module_is_saved(const char *module, const char *entry)
{
    return ends_with(module, entry);
}

const char *hone_target_match_unused(const hone_target_match *match)
{
    for (size_t i = 0; i < match->ranks.count; i++)
        if (!match->ranks.used[i])
            return match->config->rank_pattern.keys[i];
    for (size_t i = 0; i < match->alphas.count; i++)
        if (!match->alphas.used[i])
            return match->config->alpha_pattern.keys[i];
    return NULL;
}
