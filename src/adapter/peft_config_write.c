/* Writing adapter_config.json: see peft_config.h. Keys are added in sorted order by hand, because a
 * sorting writer would also reorder rank_pattern and alpha_pattern, where the first match counts.
 */
#include "adapter/peft_config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static hone_json *text_or_null(const char *text)
{
    return text != NULL ? hone_json_new_string(text) : hone_json_new_null();
}

/* Whole numbers as integers: PEFT types lora_alpha so, and other tools index with them. */
static hone_json *number(double value)
{
    return value == floor(value) && fabs(value) < 0x1p53 ? hone_json_new_integer((int64_t)value)
                                                         : hone_json_new_real(value);
}

static hone_json *names(const hone_names *list)
{
    if (!list->set)
        return hone_json_new_null();
    if (list->pattern)
        return hone_json_new_string(list->items[0]);
    hone_json *array = hone_json_new_array();
    for (size_t i = 0; array != NULL && i < list->count; i++)
        if (!hone_json_append(array, hone_json_new_string(list->items[i]))) {
            hone_json_free(array);
            return NULL;
        }
    return array;
}

static hone_json *layers(const hone_peft_config *config)
{
    if (config->layer_count == 0)
        return hone_json_new_null();
    hone_json *array = hone_json_new_array();
    for (size_t i = 0; array != NULL && i < config->layer_count; i++)
        if (!hone_json_append(array, hone_json_new_integer(config->layers_to_transform[i]))) {
            hone_json_free(array);
            return NULL;
        }
    return array;
}

static hone_json *pattern_map(const hone_pattern_map *map)
{
    hone_json *object = hone_json_new_object();
    for (size_t i = 0; object != NULL && i < map->count; i++)
        if (!hone_json_set(object, map->keys[i], number(map->values[i]))) {
            hone_json_free(object);
            return NULL;
        }
    return object;
}

static hone_json *init_value(hone_lora_init init)
{
    return init == HONE_LORA_INIT_GAUSSIAN ? hone_json_new_string("gaussian")
                                           : hone_json_new_bool(init == HONE_LORA_INIT_TRUE);
}

static bool add_lora(hone_json *o, const hone_peft_config *c, const hone_peft_facts *facts)
{
    static const char *const biases[] = {"none", "all", "lora_only"};
    return hone_json_set(o, "alpha_pattern", pattern_map(&c->alpha_pattern)) &&
           hone_json_set(o, "auto_mapping", hone_json_new_null()) &&
           hone_json_set(o, "base_model_name_or_path", text_or_null(facts->base_model)) &&
           hone_json_set(o, "bias", hone_json_new_string(biases[c->bias])) &&
           (!c->exclude_modules.set ||
            hone_json_set(o, "exclude_modules", names(&c->exclude_modules))) &&
           hone_json_set(o, "fan_in_fan_out", hone_json_new_bool(facts->fan_in_fan_out)) &&
           hone_json_set(o, "inference_mode", hone_json_new_bool(true)) &&
           hone_json_set(o, "init_lora_weights", init_value(c->init)) &&
           hone_json_set(o, "layers_pattern",
                         c->layer_count > 0 ? names(&c->layers_pattern) : hone_json_new_null()) &&
           hone_json_set(o, "layers_to_transform", layers(c)) &&
           hone_json_set(o, "lora_alpha", number(c->lora_alpha)) &&
           hone_json_set(o, "lora_dropout", hone_json_new_real(c->lora_dropout)) &&
           hone_json_set(o, "modules_to_save", names(&c->modules_to_save)) &&
           hone_json_set(o, "peft_type", hone_json_new_string("LORA")) &&
           hone_json_set(o, "r", hone_json_new_integer(c->r)) &&
           hone_json_set(o, "rank_pattern", pattern_map(&c->rank_pattern)) &&
           hone_json_set(o, "revision", hone_json_new_null()) &&
           hone_json_set(o, "target_modules", names(&facts->targets)) &&
           hone_json_set(o, "task_type", text_or_null(facts->task_type)) &&
           (!c->use_rslora || hone_json_set(o, "use_rslora", hone_json_new_bool(true)));
}

static bool add_ia3(hone_json *o, const hone_peft_config *c, const hone_peft_facts *facts)
{
    return hone_json_set(o, "auto_mapping", hone_json_new_null()) &&
           hone_json_set(o, "base_model_name_or_path", text_or_null(facts->base_model)) &&
           (!c->exclude_modules.set ||
            hone_json_set(o, "exclude_modules", names(&c->exclude_modules))) &&
           hone_json_set(o, "fan_in_fan_out", hone_json_new_bool(facts->fan_in_fan_out)) &&
           hone_json_set(o, "feedforward_modules", names(&facts->feedforward)) &&
           hone_json_set(o, "inference_mode", hone_json_new_bool(true)) &&
           hone_json_set(o, "init_ia3_weights", hone_json_new_bool(true)) &&
           hone_json_set(o, "modules_to_save", names(&c->modules_to_save)) &&
           hone_json_set(o, "peft_type", hone_json_new_string("IA3")) &&
           hone_json_set(o, "revision", hone_json_new_null()) &&
           hone_json_set(o, "target_modules", names(&facts->targets)) &&
           hone_json_set(o, "task_type", text_or_null(facts->task_type));
}

/* Fewest significant digits (at least `digits`) that give every real back exactly. */
static int digits_for(double value, int digits)
{
    for (; digits < 17; digits++) {
        char text[40];
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    return digits;
}

char *hone_peft_config_text(const hone_peft_config *config, const hone_peft_facts *facts)
{
    hone_json *object = hone_json_new_object();
    bool filled =
        object != NULL && (config->method == HONE_PEFT_IA3 ? add_ia3(object, config, facts)
                                                           : add_lora(object, config, facts));
    int digits = digits_for(config->lora_dropout, digits_for(config->lora_alpha, 6));
    for (size_t i = 0; i < config->alpha_pattern.count; i++)
        digits = digits_for(config->alpha_pattern.values[i], digits);
    char *text =
        filled ? hone_json_dump(object, (hone_json_format){.indent = 2, .digits = digits}) : NULL;
    hone_json_free(object);
    return text;
}
