/* Writing what was trained, and merged models. */
#include "adapter/adapter.h"
#include "base/files.h"
#include "engine/model.h"

#include <math.h>
#include <string.h>

/* Files that make a folder usable beside its weights. */
static const char *const companions[] = {"config.json",       "generation_config.json",
                                         "tokenizer.json",    "tokenizer_config.json",
                                         "vocab.json",        "merges.txt",
                                         "spiece.model",      "special_tokens_map.json",
                                         "added_tokens.json", "chat_template.jinja"};

enum { COMPANION_LIMIT = 256 << 20 };

/* Writes a companion. Where it changes what another model has left in the folder, that one's
 * weights go first: whatever happens in between, no weights stand beside a foreign config.json. */
static hone_status put_companion(const char *path, const char *weights, const char *text,
                                 size_t size, hone_error *error)
{
    bool same;
    HONE_TRY(hone_file_holds(path, text, size, &same, error));
    if (same)
        return HONE_OK;
    HONE_TRY(hone_file_remove(weights, error));
    return hone_file_write(path, text, size, error);
}

static hone_status copy_companions(const hone_model *model, const char *folder, const char *weights,
                                   hone_error *error)
{
    hone_status status = HONE_OK;
    for (size_t i = 0; i < sizeof companions / sizeof companions[0] && status == HONE_OK; i++) {
        char *from = hone_path_join(model->folder, companions[i]);
        char *to = hone_path_join(folder, companions[i]), *text = NULL;
        size_t size = 0;
        if (from == NULL || to == NULL)
            status = hone_fail_memory(error, "path", 0);
        else if (hone_file_exists(from)) {
            status = hone_file_load(from, COMPANION_LIMIT, &text, &size, error);
            if (status == HONE_OK)
                status = put_companion(to, weights, text, size, error);
        }
        hone_free(text);
        hone_free(from);
        hone_free(to);
    }
    return status;
}

/* The trained values must be finite: what is not would be loaded by someone. */
static hone_status check_finite(const hone_model *model, hone_error *error)
{
    for (size_t i = 0; i < model->parameters.count; i++) {
        const hone_parameter *p = &model->parameters.items[i];
        const float *values = model->parameters.values + p->offset;
        for (int64_t j = 0; j < p->rows * p->columns; j++)
            if (!isfinite(values[j]))
                return hone_fail(error, HONE_NUMERIC,
                                 "%s holds %f at element %lld; nothing was saved", p->name,
                                 (double)values[j], (long long)j);
    }
    return HONE_OK;
}

/* One weight being written: its values in f32, with the adapter folded in. */
typedef struct merged {
    const hone_model *model;
    int weight;
    int *held;     /* number of the weight that the buffer holds, -1 none; shared by all */
    float *buffer; /* room for the largest matrix and the largest bias, shared by all */
    float *bias;
} merged;

static int bias_of(const hone_model *model, int weight)
{
    for (size_t i = 0; model->adapter != NULL && i < hone_adapter_count(model->adapter); i++) {
        const hone_adapted *a = hone_adapter_at(model->adapter, i);
        if (a->base_weight == weight)
            return a->base_bias;
    }
    return -1;
}

/* The matrix whose merging changes this bias, or -1. */
static int matrix_of(const hone_model *model, int bias)
{
    for (size_t i = 0; model->adapter != NULL && i < hone_adapter_count(model->adapter); i++) {
        const hone_adapted *a = hone_adapter_at(model->adapter, i);
        if (a->base_bias == bias)
            return a->base_weight;
    }
    return -1;
}

static void load_plain(const hone_model *model, int weight, float *to)
{
    const hone_weight *w = &model->program.weights[weight];
    const void *from = w->master != NULL ? w->master : w->data;
    hone_convert(w->master != NULL ? HONE_F32 : w->dtype, from, HONE_F32, to,
                 (size_t)hone_weight_elements(w));
}

static void fill(void *context, int64_t start, int64_t n, float *out)
{
    const merged *m = context;
    const hone_model *model = m->model;
    int matrix = m->weight, bias = bias_of(model, m->weight);
    bool wants_bias = matrix_of(model, m->weight) >= 0;
    if (wants_bias) {
        matrix = matrix_of(model, m->weight);
        bias = m->weight;
    }
    if (*m->held != matrix) {
        load_plain(model, matrix, m->buffer);
        if (bias >= 0)
            load_plain(model, bias, m->bias);
        if (model->adapter != NULL)
            hone_adapter_merge(model->adapter, &model->program, matrix, m->buffer,
                               bias >= 0 ? m->bias : NULL);
        *m->held = matrix;
    }
    memcpy(out, (wants_bias ? m->bias : m->buffer) + start, (size_t)n * sizeof(float));
}

static hone_status write_weights(const hone_model *model, const char *path, hone_error *error)
{
    const hone_program *program = &model->program;
    size_t count = 0, largest = 1;
    int held = -1;
    hone_tensor_out *tensors = hone_alloc_array(program->weight_count, sizeof *tensors);
    merged *parts = hone_alloc_array(program->weight_count, sizeof *parts);
    for (size_t i = 0; i < program->weight_count; i++)
        if ((size_t)hone_weight_elements(&program->weights[i]) > largest)
            largest = (size_t)hone_weight_elements(&program->weights[i]);
    float *buffer = hone_pages_alloc(2 * largest * sizeof(float));
    hone_status status = HONE_OK;
    if (tensors == NULL || parts == NULL || buffer == NULL)
        HONE_TRY_GOTO(hone_fail_memory(error, "merging", largest * sizeof(float)), done);
    for (size_t i = 0; i < program->weight_count; i++) {
        const hone_weight *w = &program->weights[i];
        if (w->use == HONE_WEIGHT_ADAPTER)
            continue;
        parts[count] = (merged){model, (int)i, &held, buffer, buffer + largest};
        tensors[count] = (hone_tensor_out){.name = w->name,
                                           .dtype = model->file_dtype,
                                           .stored = HONE_F32,
                                           .dims = w->dims,
                                           .shape = {w->rows, w->columns},
                                           .fill = fill,
                                           .context = &parts[count]};
        count++;
    }
    status = hone_safetensors_write(path, tensors, count, error);
done:
    hone_pages_free(buffer, 2 * largest * sizeof(float));
    hone_free(tensors);
    hone_free(parts);
    return status;
}

static hone_status write_folder(const hone_model *model, const char *folder, hone_error *error)
{
    if (hone_file_same(folder, model->folder))
        return hone_fail_at(error, HONE_USAGE, folder, -1, -1,
                            "the base model is in this folder and would be lost; choose another");
    HONE_TRY(hone_folder_make(folder, error));
    char *path = hone_path_join(folder, "model.safetensors");
    if (path == NULL)
        return hone_fail_memory(error, "path", 0);
    hone_status status = copy_companions(model, folder, path, error);
    if (status == HONE_OK)
        status = write_weights(model, path, error);
    hone_free(path);
    return status;
}

hone_status hone_model_save(const hone_model *model, const char *folder, hone_error *error)
{
    HONE_TRY(check_finite(model, error));
    if (model->full)
        return write_folder(model, folder, error);
    if (model->adapter == NULL)
        return hone_fail(error, HONE_USAGE, "nothing was trained: there is nothing to save");
    return hone_adapter_save(model->adapter, &model->program, folder, model->folder,
                             model->family->task_type, error);
}

hone_status hone_model_merge(const hone_model *model, const char *folder, hone_error *error)
{
    if (model->compute != HONE_F32)
        return hone_fail(error, HONE_USAGE,
                         "merging needs the weights as they are on disk: open with compute f32");
    if (model->adapter == NULL)
        return hone_fail(error, HONE_USAGE, "no adapter to merge");
    HONE_TRY(check_finite(model, error));
    return write_folder(model, folder, error);
}
