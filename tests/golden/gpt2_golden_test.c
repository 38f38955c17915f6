/* Logits and gradients of the tiny GPT-2 folders beside this file against what PyTorch,
 * Transformers and PEFT said of them: README.md. Gradients are made three times over on the same
 * memory, so that a value left over from an earlier run would show. */
#include "base/files.h"
#include "base/memory.h"
#include "data/dataset.h"
#include "graph/executor.h"
#include "engine/model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { BATCH = 3, RUNS = 3 };

static const char *const folders[] = {"gpt2-odd", "gpt2-sharded", "gpt2-bin"};
static hone_error error;

static void check(hone_status status)
{
    if (status != HONE_OK) {
        char text[4096];
        hone_error_format(&error, text, sizeof text);
        fail_msg("%s", text);
    }
}

/* method NULL: for use. A method with a folder of its name beside the model goes on with that. */
static hone_model *open_model(const char *folder, const char *method)
{
    hone_model_settings settings;
    hone_adapter_settings adapter;
    hone_option_set sets[] = {hone_model_option_set(&settings), hone_adapter_option_set(&adapter)};
    char path[128], part[160];
    snprintf(path, sizeof path, "tests/golden/%s", folder);
    snprintf(part, sizeof part, "%s/%s", path, method != NULL ? method : "");
    for (int i = 0; i < 2; i++)
        check(hone_options_init(&sets[i], &error));
    check(hone_options_set_text(sets, 2, "model", path, "test", &error));
    if (method != NULL && strcmp(method, "full") == 0)
        check(hone_options_set_text(sets, 2, "method", method, "test", &error));
    else if (method != NULL)
        check(hone_options_set_text(sets, 2, "adapter", part, "test", &error));
    hone_model *model;
    check(hone_model_open(&settings, method != NULL ? &adapter : NULL, &model, &error));
    for (int i = 0; i < 2; i++)
        hone_options_deinit(&sets[i]);
    return model;
}

static hone_weight_source *open_golden(const char *folder)
{
    char path[160];
    hone_weight_source *golden;
    snprintf(path, sizeof path, "tests/golden/%s/golden.safetensors", folder);
    check(hone_weight_source_open(path, "golden", &golden, &error));
    return golden;
}

static float *read_tensor(const hone_weight_source *golden, const hone_stored_tensor *tensor)
{
    float *values = hone_alloc((size_t)tensor->elements * sizeof(float));
    assert_non_null(values);
    check(hone_weight_source_read(golden, tensor, HONE_F32, values, &error));
    return values;
}

static void run(const hone_model *model, const hone_plan_options *options, int runs,
                hone_execution *execution)
{
    hone_plan plan;
    hone_executor executor;
    check(hone_plan_create(&model->program, options, &plan, &error));
    check(hone_executor_create(&plan, &executor, &error));
    for (int i = 0; i < runs; i++) {
        if (options->training)
            memset(model->parameters.gradients, 0,
                   (size_t)model->parameters.elements * sizeof(float));
        hone_executor_run(&executor, execution);
    }
    hone_executor_free(&executor);
    hone_plan_free(&plan);
}

/* Ids are integers, which the typed reader refuses. */
static void read_ids(const hone_weight_source *golden, int32_t *ids, int64_t count)
{
    const hone_stored_tensor *stored = hone_weight_source_find(golden, "probe.ids");
    int descriptor;
    assert_non_null(stored);
    assert_int_equal(stored->elements, count);
    check(hone_file_open(stored->file, &descriptor, NULL, &error));
    check(hone_file_read_at(descriptor, stored->file, ids, (size_t)count * sizeof *ids,
                            stored->offset, &error));
    hone_file_close(descriptor);
}

static void logits_equal_the_oracles(void **state)
{
    (void)state;
    static const char *const all[] = {"gpt2-odd", "gpt2-odd-f16", "gpt2-odd-bf16", "gpt2-sharded",
                                      "gpt2-bin"};
    for (size_t f = 0; f < sizeof all / sizeof all[0]; f++) {
        hone_model *model = open_model(all[f], NULL);
        hone_weight_source *golden = open_golden(all[f]);
        const hone_stored_tensor *stored = hone_weight_source_find(golden, "probe.logits");
        int64_t rows = stored->shape[0], starts[2] = {0, rows};
        int32_t ids[64], positions[64];
        assert_true(rows <= 64);
        read_ids(golden, ids, rows);
        for (int64_t i = 0; i < rows; i++)
            positions[i] = (int32_t)i;
        float *expected = read_tensor(golden, stored);
        float *found = hone_alloc((size_t)stored->elements * sizeof(float));
        hone_batch batch = {rows, ids, positions, NULL, 1, starts, 0};
        hone_plan_options options = {rows, HONE_F32, false, false};
        hone_execution execution = {.batch = &batch};
        execution.head.logit_rows = positions;
        execution.head.logit_count = rows;
        execution.head.logits = found;
        run(model, &options, 1, &execution);
        for (int64_t i = 0; i < stored->elements; i++)
            if (!(fabsf(found[i] - expected[i]) <= 1e-4f))
                fail_msg("%s: logit %lld is %g, expected %g", all[f], (long long)i,
                         (double)found[i], (double)expected[i]);
        hone_free(found);
        hone_free(expected);
        hone_weight_source_close(golden);
        hone_model_close(model);
    }
}

/* Of the golden tensor "<method>.gradient.<name>" the name that hone's parameter has. */
static bool names_parameter(const char *golden, const char *method, const char *parameter)
{
    char name[256];
    size_t prefix = strlen(method) + strlen(".gradient.");
    snprintf(name, sizeof name, "%s", golden + prefix);
    char *start = name;
    if (strncmp(start, "base_model.model.", 17) == 0)
        start += 17;
    char *base = strstr(start, ".base_layer");
    if (base != NULL)
        memmove(base, base + 11, strlen(base + 11) + 1);
    return strcmp(start, parameter) == 0;
}

static const hone_parameter *find_parameter(const hone_model *model, const char *golden,
                                            const char *method)
{
    for (size_t i = 0; i < model->parameters.count; i++)
        if (names_parameter(golden, method, model->parameters.items[i].name))
            return &model->parameters.items[i];
    return NULL;
}

/* Relative L2 distance of one gradient. Where the true one is zero but for rounding (the key part
 * of a c_attn.bias), by the size of the tensor's neighbours: an absolute 1e-6. */
static void compare_gradient(const hone_model *model, const hone_weight_source *golden,
                             const hone_stored_tensor *stored, const char *method)
{
    const hone_parameter *p = find_parameter(model, stored->name, method);
    if (p == NULL)
        fail_msg("%s: no parameter of that name", stored->name);
    assert_int_equal(p->rows * p->columns, stored->elements);
    float *expected = read_tensor(golden, stored);
    const float *found = model->parameters.gradients + p->offset;
    double difference = 0, size = 0;
    for (int64_t i = 0; i < stored->elements; i++) {
        double d = (double)found[i] - (double)expected[i];
        difference += d * d;
        size += (double)expected[i] * (double)expected[i];
    }
    if (!(sqrt(difference) <= 1e-3 * sqrt(size) + 1e-6))
        fail_msg("%s: gradient off by %g of %g", stored->name, sqrt(difference), sqrt(size));
    hone_free(expected);
}

/* The first documents of rows.jsonl as one batch. */
static hone_packer *pack_rows(const char *folder, int64_t vocabulary, int64_t context)
{
    hone_data_settings settings;
    hone_option_set set = hone_data_option_set(&settings);
    check(hone_options_init(&set, &error));
    settings.append_eos = false;
    char path[128];
    snprintf(path, sizeof path, "tests/golden/%s/rows.jsonl", folder);
    hone_dataset_options options = {&settings, NULL, vocabulary, context};
    hone_dataset *data;
    hone_packer *packer;
    check(hone_dataset_open(path, &options, &data, &error));
    check(hone_packer_create(&packer, &error));
    for (int64_t i = 0; i < BATCH; i++)
        check(hone_packer_add(packer, hone_dataset_at(data, i), &error));
    hone_dataset_close(data);
    hone_options_deinit(&set);
    return packer;
}

static void check_gradients(const char *folder, const char *method, bool checkpointing)
{
    hone_model *model = open_model(folder, method);
    hone_weight_source *golden = open_golden(folder);
    hone_packer *packer =
        pack_rows(folder, hone_model_vocabulary(model), hone_model_context_length(model));
    hone_batch batch = hone_packer_batch(packer);
    hone_plan_options options = {batch.rows, HONE_F32, true, checkpointing};
    hone_execution execution = {.batch = &batch};
    execution.head.loss_scale = 1.0f / (float)hone_packer_labels(packer);
    run(model, &options, RUNS, &execution);
    char prefix[64];
    size_t compared = 0;
    snprintf(prefix, sizeof prefix, "%s.gradient.", method);
    for (size_t i = 0; i < hone_weight_source_count(golden); i++) {
        const hone_stored_tensor *stored = hone_weight_source_at(golden, i);
        if (strncmp(stored->name, prefix, strlen(prefix)) != 0)
            continue;
        compare_gradient(model, golden, stored, method);
        compared++;
    }
    assert_int_equal(compared, model->parameters.count);
    hone_packer_free(packer);
    hone_weight_source_close(golden);
    hone_model_close(model);
}

static void every_gradient_equals_the_oracles(void **state)
{
    (void)state;
    static const char *const methods[] = {"lora", "ia3", "full"};
    for (size_t f = 0; f < sizeof folders / sizeof folders[0]; f++)
        for (size_t m = 0; m < sizeof methods / sizeof methods[0]; m++)
            for (int checkpointing = 0; checkpointing < 2; checkpointing++)
                check_gradients(folders[f], methods[m], checkpointing == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_equal_the_oracles),
        cmocka_unit_test(every_gradient_equals_the_oracles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
