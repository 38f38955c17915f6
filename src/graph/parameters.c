/* The blocks of trained values and gradients: see parameters.h. */
#include "graph/parameters.h"

enum { PARAMETER_PADDING = 16 }; /* elements: each parameter starts on 64 bytes */

hone_status hone_parameters_create(hone_program *program, bool with_gradients, hone_parameters *out,
                                   hone_error *error)
{
    *out = (hone_parameters){0};
    out->items = hone_alloc_array(program->weight_count + 1, sizeof *out->items);
    if (out->items == NULL)
        return hone_fail_memory(error, "table of parameters", program->weight_count);
    size_t total = 0;
    for (size_t i = 0; i < program->weight_count; i++) {
        const hone_weight *w = &program->weights[i];
        if (!w->trainable)
            continue;
        out->items[out->count++] =
            (hone_parameter){w->name, (int64_t)total, w->rows, w->columns, w->dims, w->decay};
        out->trainable += hone_weight_elements(w);
        size_t padded;
        if (!hone_size_align((size_t)hone_weight_elements(w), PARAMETER_PADDING, &padded) ||
            !hone_size_add(total, padded, &total))
            break;
    }
    out->elements = (int64_t)total;
    size_t bytes;
    bool ok = hone_size_mul(total, sizeof(float), &bytes) &&
              (out->values = hone_pages_alloc(bytes)) != NULL &&
              (!with_gradients || (out->gradients = hone_pages_alloc(bytes)) != NULL);
    if (!ok) {
        hone_parameters_free(out);
        return hone_fail_memory(error, "trained parameters", total * sizeof(float));
    }
    size_t next = 0;
    for (size_t i = 0; i < program->weight_count; i++) {
        hone_weight *w = &program->weights[i];
        if (!w->trainable)
            continue;
        w->master = out->values + out->items[next].offset;
        w->gradient = with_gradients ? out->gradients + out->items[next].offset : NULL;
        next++;
    }
    return HONE_OK;
}

void hone_parameters_free(hone_parameters *parameters)
{
    size_t bytes = (size_t)parameters->elements * sizeof(float);
    hone_pages_free(parameters->values, bytes);
    hone_pages_free(parameters->gradients, bytes);
    hone_free(parameters->items);
    *parameters = (hone_parameters){0};
}
