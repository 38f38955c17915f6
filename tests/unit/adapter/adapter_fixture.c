#include "adapter_fixture.h"

#include "../file/test_files.h"
#include "base/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static hone_weight matrix(int64_t rows, int64_t columns, bool transposed)
{
    return (hone_weight){.use = HONE_WEIGHT_MATRIX,
                         .dims = 2,
                         .rows = rows,
                         .columns = columns,
                         .transposed = transposed,
                         .decay = true};
}

static hone_weight vector(int64_t rows)
{
    return (hone_weight){.use = HONE_WEIGHT_VECTOR, .dims = 1, .rows = rows, .columns = 1};
}

static int add_linear(hone_program *p, int x, const char *name, hone_weight weight, bool bias,
                      int layer)
{
    hone_op op = hone_op_blank(HONE_OP_LINEAR, layer);
    int64_t out = weight.transposed ? weight.columns : weight.rows;
    op.inputs[0] = x;
    op.outputs[0] = hone_program_value(p, HONE_VALUE_COMPUTE, out, "%s", name);
    op.weights[0] = hone_program_weight(p, weight, "%s.weight", name);
    if (bias)
        op.weights[1] = hone_program_weight(p, vector(out), "%s.bias", name);
    hone_program_append(p, op, "%s", name);
    return op.outputs[0];
}

static void add_head(hone_program *p, int x, const char *name, int weight)
{
    hone_op op = hone_op_blank(HONE_OP_HEAD, -1);
    op.inputs[0] = x;
    op.weights[0] = weight;
    hone_program_append(p, op, "%s", name);
}

void small_program(hone_program *p, bool tied)
{
    hone_program_init(p);
    hone_op op = hone_op_blank(HONE_OP_EMBEDDING, -1);
    op.weights[0] = hone_program_weight(p, matrix(11, 5, false), "t.wte.weight");
    op.outputs[0] = hone_program_value(p, HONE_VALUE_F32, 5, "embedding");
    hone_program_append(p, op, "t.wte");
    int x = op.outputs[0];
    for (int layer = 0; layer < 2; layer++) {
        char name[40];
        snprintf(name, sizeof name, "t.h.%d.mlp.up", layer);
        int y = add_linear(p, x, name, matrix(5, 7, true), true, layer);
        snprintf(name, sizeof name, "t.h.%d.mlp.down", layer);
        y = add_linear(p, y, name, matrix(5, 7, false), false, layer);
        hone_op add = hone_op_blank(HONE_OP_ADD, layer);
        add.inputs[0] = x;
        add.inputs[1] = y;
        x = add.outputs[0] = hone_program_value(p, HONE_VALUE_F32, 5, "residual");
        hone_program_append(p, add, "t.h.%d.residual", layer);
    }
    hone_op norm = hone_op_blank(HONE_OP_NORM, -1);
    norm.inputs[0] = x;
    norm.weights[0] = hone_program_weight(p, vector(5), "t.ln.weight");
    norm.weights[1] = hone_program_weight(p, vector(5), "t.ln.bias");
    norm.outputs[0] = hone_program_value(p, HONE_VALUE_COMPUTE, 5, "ln");
    hone_program_append(p, norm, "t.ln");
    int head = op.weights[0];
    if (!tied)
        head = hone_program_weight(p, matrix(11, 5, false), "head.weight");
    add_head(p, norm.outputs[0], "head", head);
    assert_false(p->failed);
}

static int64_t integer_at(const hone_json *array, size_t index)
{
    int64_t value;
    assert_true(hone_json_integer(hone_json_at(array, index), &value));
    return value;
}

static const char *text_at(const hone_json *array, size_t index)
{
    const char *text = hone_json_string(hone_json_at(array, index), NULL);
    assert_non_null(text);
    return text;
}

void listed_program(hone_program *p, const hone_json *model)
{
    hone_program_init(p);
    const hone_json *weights = hone_json_get(model, "weights");
    for (size_t i = 0; i < hone_json_size(weights); i++) {
        const hone_json *w = hone_json_at(weights, i);
        hone_weight weight = hone_json_size(w) > 2
                                 ? matrix(integer_at(w, 1), integer_at(w, 2), false)
                                 : vector(integer_at(w, 1));
        hone_program_weight(p, weight, "%s", text_at(w, 0));
    }
    const hone_json *linears = hone_json_get(model, "linears");
    for (size_t i = 0; i < hone_json_size(linears); i++) {
        const hone_json *l = hone_json_at(linears, i);
        bool transposed, bias;
        assert_true(hone_json_bool(hone_json_at(l, 1), &transposed));
        assert_true(hone_json_bool(hone_json_at(l, 2), &bias));
        hone_weight weight = matrix(integer_at(l, 3), integer_at(l, 4), transposed);
        int x = hone_program_value(p, HONE_VALUE_COMPUTE, transposed ? weight.rows : weight.columns,
                                   "x");
        add_linear(p, x, text_at(l, 0), weight, bias, 0);
    }
    const hone_json *head = hone_json_get(model, "head");
    int weight = hone_program_find_weight(p, text_at(head, 1));
    assert_true(weight >= 0);
    add_head(p, hone_program_value(p, HONE_VALUE_COMPUTE, 4, "x"), text_at(head, 0), weight);
    if (strcmp(p->weights[weight].name, "lm_head.weight") != 0) {
        hone_op embedding = hone_op_blank(HONE_OP_EMBEDDING, -1);
        embedding.weights[0] = weight;
        hone_program_append(p, embedding, "embedding");
    }
    assert_false(p->failed);
}

float value_at(int weight, int64_t element)
{
    return (float)((weight * 31 + element * 7) % 23 - 11) / 8.0f;
}

float *give_memory(hone_program *program)
{
    int64_t total = 0;
    for (size_t i = 0; i < program->weight_count; i++)
        total += hone_weight_elements(&program->weights[i]);
    float *block = take_memory((size_t)total * sizeof *block), *at = block;
    for (size_t i = 0; i < program->weight_count; i++) {
        hone_weight *w = &program->weights[i];
        w->dtype = HONE_F32;
        w->data = at;
        w->master = w->trainable ? at : NULL;
        for (int64_t k = 0; k < hone_weight_elements(w); k++)
            *at++ = value_at((int)i, k);
    }
    return block;
}

float *values_named(hone_program *program, const char *name)
{
    int weight = hone_program_find_weight(program, name);
    if (weight < 0)
        fail_msg("no weight %s", name);
    return program->weights[weight].data;
}

hone_adapter_settings settings_with(const char *change, ...)
{
    hone_adapter_settings settings;
    hone_option_set set = hone_adapter_option_set(&settings);
    hone_error error;
    assert_int_equal(hone_options_init(&set, &error), HONE_OK);
    va_list changes;
    va_start(changes, change);
    for (; change != NULL; change = va_arg(changes, const char *)) {
        char key[64];
        const char *value = strchr(change, '=');
        assert_non_null(value);
        snprintf(key, sizeof key, "%.*s", (int)(value - change), change);
        hone_status status = hone_options_set_text(&set, 1, key, value + 1, key, &error);
        expect_ok(change, status, &error);
    }
    va_end(changes);
    return settings;
}

void settings_free(hone_adapter_settings *settings)
{
    hone_option_set set = hone_adapter_option_set(settings);
    hone_options_deinit(&set);
}

const char *folder_with_config(const char *name, const char *config)
{
    const char *folder = scratch(name);
    hone_error error;
    expect_ok(name, hone_folder_make(folder, &error), &error);
    char *path = hone_path_join(folder, "adapter_config.json");
    bytes content = bytes_new(config, strlen(config));
    bytes_save(path, content);
    bytes_free(&content);
    hone_free(path);
    return folder;
}
