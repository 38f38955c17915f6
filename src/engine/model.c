/* Opening models: see hone/model.h. config.json makes the program, an adapter rewrites it, then
 * memory is laid out and filled. */
#include "engine/model.h"

#include "adapter/adapter.h"
#include "base/files.h"
#include "base/parallel.h"
#include "engine/model_load.h"
#include "gemm/matmul.h"
#include "model/config.h"

#include <string.h>

enum { CONFIG_LIMIT = 16 << 20 };

static hone_status read_config(hone_model *model, hone_error *error)
{
    char *path = hone_path_join(model->folder, "config.json");
    if (path == NULL)
        return hone_fail_memory(error, "path", 0);
    hone_status status = hone_json_load(path, CONFIG_LIMIT, &model->config, error);
    const char *type = NULL;
    hone_config config = {.json = model->config, .path = path};
    if (status == HONE_OK)
        status = hone_config_check(config, error);
    if (status == HONE_OK)
        status = hone_config_text(config, "model_type", NULL, &type, error);
    if (status == HONE_OK && type == NULL)
        status = hone_fail_at(error, HONE_INPUT, path, -1, -1, "the key \"model_type\" is missing");
    if (status == HONE_OK) {
        model->family = hone_family_find(type);
        if (model->family == NULL)
            status =
                hone_fail_at(error, HONE_INPUT, path, -1, -1,
                             "\"model_type\" is \"%s\"; hone knows %s", type, hone_family_names);
    }
    hone_free(path);
    return status;
}

static hone_status build_program(hone_model *model, hone_stored_head head, hone_error *error)
{
    char *path = hone_path_join(model->folder, "config.json");
    if (path == NULL)
        return hone_fail_memory(error, "path", 0);
    hone_status status = model->family->build(model->config, path, head, &model->program, error);
    hone_free(path);
    for (size_t i = 0; i < model->program.weight_count; i++)
        model->base_parameters += hone_weight_elements(&model->program.weights[i]);
    return status;
}

/* What is trained, or used beside the base. */
static hone_status attach(hone_model *model, const hone_model_settings *settings,
                          const hone_adapter_settings *training, hone_error *error)
{
    hone_program *program = &model->program;
    const char *type = model->family->model_type;
    if (training != NULL && strcmp(training->method, "full") == 0) {
        if (settings->adapter != NULL)
            return hone_fail(error, HONE_USAGE,
                             "method full trains the base model: merge the adapter %s into it "
                             "first (hone merge)",
                             settings->adapter);
        model->full = true;
        for (size_t i = 0; i < program->weight_count; i++)
            program->weights[i].trainable = true;
        return HONE_OK;
    }
    if (settings->adapter != NULL)
        return hone_adapter_open(program, settings->adapter, type, training != NULL,
                                 training != NULL && training->allow_partial, &model->adapter,
                                 error);
    if (training != NULL)
        return hone_adapter_create(program, training, type, &model->adapter, error);
    return HONE_OK;
}

static hone_status fill(hone_model *model, const hone_model_settings *settings,
                        const hone_weight_source *source, hone_error *error)
{
    if (source != NULL)
        HONE_TRY(hone_model_load(model, source, error));
    else
        hone_model_initialize(model);
    if (model->adapter == NULL)
        return HONE_OK;
    if (settings->adapter != NULL)
        return hone_adapter_load(model->adapter, &model->program, error);
    hone_adapter_init(model->adapter, &model->program, model->seed);
    return HONE_OK;
}

static hone_status open_tokenizer(hone_model *model, hone_error *error)
{
    static const char *const names[] = {"tokenizer.json", "vocab.json", "spiece.model"};
    bool found = false;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && !found; i++) {
        char *path = hone_path_join(model->folder, names[i]);
        if (path == NULL)
            return hone_fail_memory(error, "path", strlen(model->folder));
        found = hone_file_exists(path);
        hone_free(path);
    }
    if (!found)
        return HONE_OK;
    HONE_TRY(hone_tokenizer_open(model->folder, &model->tokenizer, error));
    /* Not an error: tokens are added without a row of the embedding where no text holds them. */
    int32_t size = hone_tokenizer_size(model->tokenizer);
    if (size > model->program.vocabulary)
        hone_log(HONE_LOG_WARNING,
                 "%.300s: the tokenizer has ids up to %d, the model up to %lld; a text that needs "
                 "one beyond is refused",
                 model->folder, (int)size - 1, (long long)model->program.vocabulary - 1);
    return HONE_OK;
}

static hone_status choose_compute(hone_model *model, const char *compute, hone_error *error)
{
    if (strcmp(compute, "auto") == 0)
        model->compute = hone_matmul_bf16_is_fast() ? HONE_BF16 : HONE_F32;
    else if (strcmp(compute, "bf16") == 0)
        model->compute = HONE_BF16;
    else if (strcmp(compute, "f32") == 0)
        model->compute = HONE_F32;
    else
        return hone_fail(error, HONE_USAGE, "compute must be f32, bf16 or auto, found \"%s\"",
                         compute);
    return HONE_OK;
}

static hone_status open_parts(hone_model *model, const hone_model_settings *settings,
                              const hone_adapter_settings *training, hone_error *error)
{
    hone_weight_source *source = NULL;
    hone_stored_head head = HONE_HEAD_UNREAD;
    HONE_TRY(choose_compute(model, settings->compute, error));
    HONE_TRY(read_config(model, error));
    if (strcmp(settings->init, "random") != 0) {
        HONE_TRY(hone_weight_source_open(model->folder, "model", &source, error));
    } else if (training == NULL || strcmp(training->method, "full") != 0) {
        hone_log(HONE_LOG_WARNING, "the base model has random weights (init random)");
    }
    hone_status status = HONE_OK;
    if (source != NULL)
        HONE_TRY_GOTO(hone_model_find_head(model->family, source, &head, error), done);
    HONE_TRY_GOTO(build_program(model, head, error), done);
    HONE_TRY_GOTO(attach(model, settings, training, error), done);
    HONE_TRY_GOTO(hone_program_check(&model->program, error), done);
    if (source != NULL)
        HONE_TRY_GOTO(hone_model_compare(model, source, error), done);
    HONE_TRY_GOTO(hone_model_allocate(model, training != NULL, error), done);
    HONE_TRY_GOTO(fill(model, settings, source, error), done);
    status = open_tokenizer(model, error);
done:
    hone_weight_source_close(source);
    return status;
}

hone_status hone_model_open(const hone_model_settings *settings,
                            const hone_adapter_settings *training, hone_model **out,
                            hone_error *error)
{
    *out = NULL;
    if (settings->model == NULL)
        return hone_fail(error, HONE_USAGE, "no model folder given (model)");
    if (!hone_folder_exists(settings->model))
        return hone_fail_at(error, HONE_IO, settings->model, -1, -1,
                            "no such folder; a model folder with config.json is expected");
    if (settings->threads > 0)
        hone_parallel_set_threads((int)settings->threads);
    hone_model *model = hone_alloc_array(1, sizeof *model);
    if (model == NULL)
        return hone_fail_memory(error, "model", sizeof *model);
    hone_program_init(&model->program);
    model->seed = (uint64_t)settings->seed;
    model->folder = hone_strdup(settings->model);
    hone_status status = model->folder != NULL
                             ? open_parts(model, settings, training, error)
                             : hone_fail_memory(error, "path", strlen(settings->model));
    if (status != HONE_OK) {
        hone_model_close(model);
        return status;
    }
    *out = model;
    return HONE_OK;
}

void hone_model_close(hone_model *model)
{
    if (model == NULL)
        return;
    hone_tokenizer_close(model->tokenizer);
    hone_adapter_free(model->adapter);
    hone_parameters_free(&model->parameters);
    hone_pages_free(model->weights, model->weight_bytes);
    hone_program_deinit(&model->program);
    hone_json_free(model->config);
    hone_free(model->folder);
    hone_free(model);
}

const hone_tokenizer *hone_model_tokenizer(const hone_model *model)
{
    return model->tokenizer;
}

int64_t hone_model_context_length(const hone_model *model)
{
    return model->program.context_length;
}

int64_t hone_model_vocabulary(const hone_model *model)
{
    return model->program.vocabulary;
}

hone_model_facts hone_model_describe(const hone_model *model)
{
    const hone_program *program = &model->program;
    hone_model_facts facts = {.family = model->family->model_type,
                              .compute = model->compute == HONE_BF16 ? "bf16" : "f32",
                              .trainable = model->parameters.trainable,
                              .layers = program->layers,
                              .width = program->width,
                              .vocabulary = program->vocabulary,
                              .context_length = program->context_length,
                              .weight_bytes = model->weight_bytes};
    for (size_t i = 0; i < program->weight_count; i++)
        facts.parameters += hone_weight_elements(&program->weights[i]);
    if (model->adapter != NULL)
        facts.parameters += hone_adapter_copied(model->adapter);
    return facts;
}
