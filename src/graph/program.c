/* Building and rewriting programs: see program.h. */
#include "graph/program.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void hone_program_init(hone_program *program)
{
    *program = (hone_program){0};
}

void hone_program_deinit(hone_program *program)
{
    hone_free(program->values);
    hone_free(program->weights);
    hone_free(program->ops);
    hone_arena_deinit(&program->names);
    *program = (hone_program){0};
}

hone_status hone_program_check(const hone_program *program, hone_error *error)
{
    return program->failed ? hone_fail_memory(error, "program", 0) : HONE_OK;
}

/* Formats a name of any length into the program's arena; NULL (and failed) without memory. */
static const char *make_name(hone_program *program, const char *format, va_list arguments)
    HONE_PRINTF(2, 0);
static const char *make_name(hone_program *program, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    char *name = length < 0 ? NULL : hone_arena_alloc(&program->names, (size_t)length + 1);
    if (name == NULL) {
        program->failed = true;
        return NULL;
    }
    vsnprintf(name, (size_t)length + 1, format, arguments);
    return name;
}

int hone_program_value(hone_program *program, hone_value_type type, int64_t width,
                       const char *name_format, ...)
{
    va_list arguments;
    va_start(arguments, name_format);
    const char *name = make_name(program, name_format, arguments);
    va_end(arguments);
    if (name == NULL || !hone_array_reserve((void **)&program->values, &program->value_capacity,
                                            program->value_count + 1, sizeof(hone_value))) {
        program->failed = true;
        return -1;
    }
    program->values[program->value_count] = (hone_value){name, width, type};
    return (int)program->value_count++;
}

int hone_program_weight(hone_program *program, hone_weight weight, const char *name_format, ...)
{
    va_list arguments;
    va_start(arguments, name_format);
    weight.name = make_name(program, name_format, arguments);
    va_end(arguments);
    if (weight.name == NULL ||
        !hone_array_reserve((void **)&program->weights, &program->weight_capacity,
                            program->weight_count + 1, sizeof(hone_weight))) {
        program->failed = true;
        return -1;
    }
    program->weights[program->weight_count] = weight;
    return (int)program->weight_count++;
}

hone_op hone_op_blank(hone_op_code code, int layer)
{
    hone_op op = {.code = code, .layer = layer};
    for (int i = 0; i < HONE_OP_INPUTS; i++)
        op.inputs[i] = -1;
    for (int i = 0; i < HONE_OP_OUTPUTS; i++)
        op.outputs[i] = -1;
    for (int i = 0; i < HONE_OP_WEIGHTS; i++)
        op.weights[i] = -1;
    if (code == HONE_OP_NORM)
        op.as.norm.scale = 1.0f;
    return op;
}

int hone_program_insert(hone_program *program, size_t place, hone_op op, const char *name)
{
    op.name = hone_arena_strdup(&program->names, name);
    if (op.name == NULL || !hone_array_reserve((void **)&program->ops, &program->op_capacity,
                                               program->op_count + 1, sizeof(hone_op))) {
        program->failed = true;
        return -1;
    }
    op.site = ++program->sites;
    memmove(program->ops + place + 1, program->ops + place,
            (program->op_count - place) * sizeof(hone_op));
    program->ops[place] = op;
    program->op_count++;
    return (int)place;
}

int hone_program_append(hone_program *program, hone_op op, const char *name_format, ...)
{
    va_list arguments;
    va_start(arguments, name_format);
    const char *name = make_name(program, name_format, arguments);
    va_end(arguments);
    return name != NULL ? hone_program_insert(program, program->op_count, op, name) : -1;
}

void hone_program_redirect(hone_program *program, size_t start, int from, int to)
{
    for (size_t i = start; i < program->op_count; i++)
        for (int k = 0; k < HONE_OP_INPUTS; k++)
            if (program->ops[i].inputs[k] == from)
                program->ops[i].inputs[k] = to;
}

int hone_program_find_weight(const hone_program *program, const char *name)
{
    for (size_t i = 0; i < program->weight_count; i++)
        if (strcmp(program->weights[i].name, name) == 0)
            return (int)i;
    return -1;
}

int hone_program_find_linear(const hone_program *program, const char *module)
{
    for (size_t i = 0; i < program->op_count; i++)
        if (program->ops[i].code == HONE_OP_LINEAR && strcmp(program->ops[i].name, module) == 0)
            return (int)i;
    return -1;
}
