/* Making and freeing trainers, new and from a run folder, and telling what one would need. */
#include "train/trainer_parts.h"

#include "base/files.h"
#include "base/parallel.h"
#include "gemm/matmul.h"
#include "infer/generation.h"
#include "infer/model_data.h"
#include "train/checkpoint_folder.h"
#include "train/leftovers.h"
#include "train/run_identity.h"
#include "train/run_settings.h"

#include <string.h>

/* What the libraries of products and drawing take when they are used first: code, tables and
 * buffers; less of it where products go through kernels of our own. Measured; it hardly depends on
 * the model. */
static size_t library_bytes(hone_dtype compute)
{
    return (size_t)(hone_matmul_room(compute, 1) > 0 ? 7 : 13) << 20;
}

/* ---- parts -------------------------------------------------------------------------------- */

/* model_dropout goes over what config.json says; an adapter's own dropout is its own. */
static void set_dropout(hone_model *model, double dropout)
{
    for (size_t i = 0; i < model->program.op_count && dropout >= 0.0; i++) {
        hone_op *op = &model->program.ops[i];
        if (op->drops)
            op->dropout = (float)dropout;
    }
}

static hone_status open_model(hone_trainer *t, hone_error *error)
{
    hone_run_settings *settings = &t->settings;
    HONE_TRY(hone_model_open(&settings->model, &settings->adapter, &t->model, error));
    set_dropout(t->model, settings->train.model_dropout);
    if (t->model->parameters.count == 0)
        return hone_fail(error, HONE_USAGE, "nothing of the model is trained");
    /* What "auto" chose belongs to the run: going on elsewhere must choose the same. */
    hone_option_set set = hone_model_option_set(&settings->model);
    return hone_options_set_text(&set, 1, "compute", hone_model_describe(t->model).compute,
                                 "compute", error);
}

static hone_status open_data(hone_trainer *t, hone_error *error)
{
    const hone_train_settings *train = &t->settings.train;
    hone_dataset_options options;
    if (train->train == NULL)
        return hone_fail(error, HONE_USAGE, "no training data given (train)");
    HONE_TRY(hone_model_data_options(t->model, &t->settings.data, &options, error));
    HONE_TRY(hone_dataset_open(train->train, &options, &t->train, error));
    if (train->valid != NULL) {
        HONE_TRY(hone_dataset_open(train->valid, &options, &t->valid, error));
        if (hone_dataset_size(t->valid) == 0)
            return hone_fail_at(error, HONE_INPUT, train->valid, -1, -1,
                                "there is no document to validate on");
        return HONE_OK;
    }
    if (train->split > 0.0)
        return hone_dataset_split(t->train, train->split, (uint64_t)t->settings.model.seed,
                                  &t->valid, error);
    return HONE_OK;
}

static hone_status make_schedule(hone_trainer *t, hone_error *error)
{
    const hone_train_settings *train = &t->settings.train;
    t->schedule =
        (hone_schedule){.peak = train->learning_rate,
                        .minimum = train->min_learning_rate,
                        .warmup = hone_schedule_warmup(train->warmup_steps, train->warmup_ratio,
                                                       t->course.total_steps),
                        .cycle = train->lr_cycle_steps};
    if (!hone_schedule_find(train->lr_scheduler_type, &t->schedule.shape))
        return hone_fail(error, HONE_USAGE, "there is no schedule called \"%s\"",
                         train->lr_scheduler_type);
    return HONE_OK;
}

int64_t hone_trainer_eval_batch(const hone_trainer *trainer)
{
    const hone_train_settings *train = &trainer->settings.train;
    return train->eval_batch_size > 0 ? train->eval_batch_size : train->batch_size;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

hone_status hone_trainer_prepare(hone_trainer *t, hone_error *error)
{
    hone_parallel_set_threads((int)t->settings.model.threads);
    HONE_TRY(open_model(t, error));
    HONE_TRY(open_data(t, error));
    HONE_TRY(hone_trainer_open_examples(t, error));
    HONE_TRY(hone_course_init(&t->course, t->train, &t->settings.train, &t->settings.data,
                              (uint64_t)t->settings.model.seed, error));
    HONE_TRY(make_schedule(t, error));
    /* Validation borrows this memory: one of its documents must fit too. */
    hone_stream_rows most = hone_course_most_rows(&t->course);
    hone_stream_rows longest = hone_dataset_longest(t->train), valid = {0};
    if (t->valid != NULL)
        valid = hone_dataset_longest(t->valid);
    hone_plan_options options = {.rows = larger(most.target, valid.target),
                                 .source_rows = larger(most.source, valid.source),
                                 .compute = t->model->compute,
                                 .training = true,
                                 .checkpointing = t->settings.train.gradient_checkpointing};
    options.longest =
        larger(larger(longest.target, longest.source), larger(valid.target, valid.source));
    return hone_plan_create(&t->model->program, &options, &t->plan, error);
}

static hone_status allocate(hone_trainer *t, hone_error *error)
{
    const hone_parameters *parameters = &t->model->parameters;
    HONE_TRY(hone_executor_create(&t->plan, &t->executor, error));
    HONE_TRY(hone_packer_create(&t->packer, error));
    HONE_TRY(hone_adamw_create(parameters->elements, &t->adamw, error));
    t->logprobs = hone_alloc_array((size_t)t->plan.options.rows, sizeof *t->logprobs);
    t->ranges = hone_alloc_array(parameters->count, sizeof *t->ranges);
    if (t->logprobs == NULL || t->ranges == NULL)
        return hone_fail_memory(error, "trainer", (size_t)t->plan.options.rows);
    for (size_t i = 0; i < parameters->count; i++) {
        const hone_parameter *p = &parameters->items[i];
        t->ranges[i] = (hone_optim_range){p->offset, p->rows * p->columns, p->decay};
    }
    t->settings_json = hone_run_settings_json(&t->settings);
    if (t->settings_json == NULL)
        return hone_fail_memory(error, "settings", 0);
    return hone_run_identify(t->settings_json, t->model, t->train, t->valid, &t->identity, error);
}

/* ---- new ---------------------------------------------------------------------------------- */

static hone_trainer *new_trainer(const hone_train_callbacks *callbacks)
{
    hone_trainer *t = hone_alloc_array(1, sizeof *t);
    if (t == NULL)
        return NULL;
    if (callbacks != NULL)
        t->callbacks = *callbacks;
    t->folder.lock = -1;
    t->saved_step = -1;
    return t;
}

void hone_trainer_free(hone_trainer *trainer)
{
    if (trainer == NULL)
        return;
    hone_executor_free(&trainer->executor);
    hone_plan_free(&trainer->plan);
    hone_packer_free(trainer->packer);
    hone_adamw_free(&trainer->adamw);
    hone_free(trainer->logprobs);
    hone_free(trainer->ranges);
    hone_examples_deinit(&trainer->examples);
    hone_scorer_free(trainer->scorer);
    hone_dataset_close(trainer->valid);
    hone_dataset_close(trainer->train);
    hone_model_close(trainer->model);
    hone_json_free(trainer->settings_json);
    hone_run_folder_close(&trainer->folder);
    hone_run_settings_deinit(&trainer->settings);
    hone_free(trainer);
}

/* A folder that can't be used is told before model and data are read, which may take long. */
static hone_status check_out(const char *out, hone_error *error)
{
    if (out == NULL || !hone_file_exists(out) || !hone_folder_exists(out))
        return HONE_OK;
    char *config = hone_path_join(out, "config.yaml");
    if (config == NULL)
        return hone_fail_memory(error, "path", 0);
    bool taken = hone_file_exists(config);
    hone_free(config);
    if (!taken)
        return HONE_OK;
    return hone_fail_at(error, HONE_USAGE, out, -1, -1,
                        "there is a run in this folder already; choose another folder, or go on "
                        "with the run by resume");
}

static hone_status start(hone_trainer *t, hone_error *error)
{
    const char *out = t->settings.train.out;
    HONE_TRY(check_out(out, error));
    HONE_TRY(hone_trainer_prepare(t, error));
    HONE_TRY(allocate(t, error));
    if (out == NULL)
        return HONE_OK;
    HONE_TRY(hone_run_folder_create(&t->folder, out, &t->settings, error));
    if (t->scorer != NULL)
        HONE_TRY(hone_run_folder_add_columns(&t->folder, t->scorer, error));
    return hone_run_logs_begin(&t->folder, NULL, error);
}

hone_status hone_trainer_create(const hone_run_settings *settings,
                                const hone_train_callbacks *callbacks, hone_trainer **out,
                                hone_error *error)
{
    *out = NULL;
    hone_trainer *t = new_trainer(callbacks);
    if (t == NULL)
        return hone_fail_memory(error, "trainer", sizeof *t);
    hone_status status = hone_run_settings_copy(&t->settings, settings, error);
    if (status != HONE_OK) {
        hone_free(t);
        return status;
    }
    status = start(t, error);
    if (status != HONE_OK) {
        hone_trainer_free(t);
        return status;
    }
    *out = t;
    hone_trainer_tell_start(t);
    return HONE_OK;
}

/* ---- going on ----------------------------------------------------------------------------- */

static hone_status load_checkpoint(hone_trainer *t, const char *path,
                                   const hone_run_identity *identity, hone_error *error)
{
    hone_json *settings;
    HONE_TRY(hone_checkpoint_read_state(path, &t->state, &settings, error));
    hone_status status = hone_run_settings_compare(&t->settings, settings, t->folder.path, error);
    hone_json_free(settings);
    if (status == HONE_OK || status == HONE_MISMATCH)
        status = hone_run_identity_compare(&t->identity, identity, t->folder.path, status, error);
    HONE_TRY(status);
    HONE_TRY(hone_checkpoint_read_tensors(path, &t->model->parameters, &t->adamw, error));
    t->adamw.steps = t->saved_step = t->state.step;
    hone_model_refresh(t->model);
    t->latest = (hone_step_result){.step = t->state.step,
                                   .total_steps = t->course.total_steps,
                                   .epoch = hone_trainer_epoch(t, t->state.step),
                                   .loss = t->state.loss,
                                   .grad_norm = t->state.grad_norm,
                                   .learning_rate = t->state.learning_rate};
    return HONE_OK;
}

static hone_status go_on(hone_trainer *t, hone_error *error)
{
    hone_status status = HONE_OK;
    hone_run_identity identity = {0};
    char *path = NULL, *folder = hone_run_folder_path(&t->folder, "checkpoints");
    if (folder == NULL)
        return hone_fail_memory(error, "path", 0);
    HONE_TRY_GOTO(hone_leftovers_remove(folder, error), done);
    HONE_TRY_GOTO(hone_checkpoint_find(folder, &path, &identity, error), done);
    HONE_TRY_GOTO(hone_trainer_prepare(t, error), done);
    HONE_TRY_GOTO(allocate(t, error), done);
    if (path != NULL) {
        HONE_TRY_GOTO(load_checkpoint(t, path, &identity, error), done);
        /* What an interrupted rotation had yet to remove. */
        HONE_TRY_GOTO(hone_checkpoint_rotate(folder, t->state.step,
                                             t->settings.train.save_total_limit, &t->identity,
                                             error),
                      done);
    }
    if (t->scorer != NULL)
        HONE_TRY_GOTO(hone_run_folder_add_columns(&t->folder, t->scorer, error), done);
    status = hone_run_logs_begin(&t->folder, path != NULL ? t->state.log_sizes : NULL, error);
done:
    hone_free(path);
    hone_free(folder);
    return status;
}

/* The settings of a run folder. The folder may have been moved: it is its own `out`. */
static hone_status load_settings(hone_run_settings *settings, const char *run, hone_error *error)
{
    char *path = hone_path_join(run, "config.yaml");
    if (path == NULL)
        return hone_fail_memory(error, "path", 0);
    hone_status status = hone_run_settings_load(settings, path, error);
    hone_free(path);
    HONE_TRY(status);
    hone_option_set set = hone_train_option_set(&settings->train);
    status = hone_options_set_text(&set, 1, "out", run, "out", error);
    if (status != HONE_OK)
        hone_run_settings_deinit(settings);
    return status;
}

hone_status hone_trainer_resume(const char *run, const hone_train_callbacks *callbacks,
                                hone_trainer **out, hone_error *error)
{
    *out = NULL;
    hone_trainer *t = new_trainer(callbacks);
    if (t == NULL)
        return hone_fail_memory(error, "trainer", sizeof *t);
    hone_status status = hone_run_folder_open(&t->folder, run, error);
    if (status == HONE_OK)
        status = load_settings(&t->settings, run, error);
    if (status != HONE_OK) {
        hone_run_folder_close(&t->folder);
        hone_free(t);
        return status;
    }
    status = go_on(t, error);
    if (status != HONE_OK) {
        hone_trainer_free(t);
        return status;
    }
    *out = t;
    hone_trainer_tell_start(t);
    return HONE_OK;
}

hone_model *hone_trainer_model(hone_trainer *trainer)
{
    return trainer->model;
}

/* ---- memory ------------------------------------------------------------------------------- */

static hone_status measure(hone_trainer *t, hone_memory_plan *out, hone_error *error)
{
    int64_t before = hone_rss_bytes();
    HONE_TRY(hone_trainer_prepare(t, error));
    int64_t taken = hone_rss_bytes() - before;
    size_t block = (size_t)t->model->parameters.elements * sizeof(float);
    *out = (hone_memory_plan){.rows = t->plan.options.rows + t->plan.options.source_rows,
                              .weights = t->model->weight_bytes,
                              .trainable = block,
                              .gradients = block,
                              .optimizer = 2 * block,
                              .values = t->plan.value_bytes,
                              .data = hone_dataset_bytes(t->train)};
    if (t->valid != NULL)
        out->data += hone_dataset_bytes(t->valid);
    HONE_TRY(hone_generation_bytes(t->model, t->examples.prompts, t->examples.count,
                                   &t->settings.generate, &out->generation, error));
    /* Weights, values and data are in memory now; what else came with them stays. */
    size_t present = out->weights + out->trainable + out->data;
    out->other = library_bytes(t->plan.options.compute);
    if (taken > 0 && (size_t)taken > present)
        out->other += (size_t)taken - present;
    out->total = out->weights + out->trainable + out->gradients + out->optimizer + out->values +
                 out->generation + out->data + out->other;
    hone_plan_options options = t->plan.options;
    options.checkpointing = true;
    hone_plan checkpointed;
    HONE_TRY(hone_plan_create(&t->model->program, &options, &checkpointed, error));
    out->values_with_checkpointing = checkpointed.value_bytes;
    hone_plan_free(&checkpointed);
    return HONE_OK;
}

hone_status hone_trainer_plan(const hone_run_settings *settings, hone_memory_plan *out,
                              hone_error *error)
{
    *out = (hone_memory_plan){0};
    hone_trainer *t = new_trainer(NULL);
    if (t == NULL)
        return hone_fail_memory(error, "trainer", sizeof *t);
    hone_status status = hone_run_settings_copy(&t->settings, settings, error);
    if (status != HONE_OK) {
        hone_free(t);
        return status;
    }
    status = measure(t, out, error);
    hone_trainer_free(t);
    return status;
}
