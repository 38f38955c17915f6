/* Steps of training: see hone/trainer.h. A step is a function of (settings, data, step number,
 * trained values, moments); everything else, the logs too, follows from it. So a run that goes on
 * from a checkpoint makes the bytes that it would have made. */
#include "train/trainer_parts.h"

#include "base/files.h"
#include "infer/evaluate_internal.h"
#include "optim/clip.h"
#include "train/checkpoint_folder.h"

#include <math.h>
#include <string.h>

double hone_trainer_epoch(const hone_trainer *trainer, int64_t step)
{
    return (double)step / (double)trainer->course.steps_per_epoch;
}

/* ---- one optimizer step ------------------------------------------------------------------- */

/* Tokens that the whole step trains on: the loss is their mean, however they are cut into
 * micro-batches. */
static int64_t count_labels(const hone_course *course, const hone_course_step *at)
{
    int64_t count = 0;
    for (int64_t i = 0; i < at->count; i++) {
        hone_document document = hone_course_document(course, at->epoch, at->first + i);
        count += hone_document_labels(&document);
    }
    return count;
}

/* Forward and backward over the step's micro-batches; gradients add up in the parameter block. */
static hone_status run_batches(hone_trainer *t, const hone_course_step *at, int64_t labels,
                               double *loss_sum, hone_stream_rows *rows, hone_error *error)
{
    float scale = labels > 0 ? (float)(1.0 / (double)labels) : 0.0f;
    *loss_sum = 0.0;
    *rows = (hone_stream_rows){0};
    for (int64_t first = 0; first < at->count; first += t->course.batch_size) {
        int64_t left = at->count - first;
        int64_t count = left < t->course.batch_size ? left : t->course.batch_size;
        hone_packer_reset(t->packer);
        for (int64_t i = 0; i < count; i++)
            HONE_TRY(hone_packer_add(
                t->packer, hone_course_document(&t->course, at->epoch, at->first + first + i),
                error));
        hone_batch batch = hone_packer_batch(t->packer);
        batch.target.row_base = rows->target;
        batch.source.row_base = rows->source;
        hone_execution execution = {.batch = &batch,
                                    .seed = (uint64_t)t->settings.model.seed,
                                    .step = (uint32_t)t->state.step,
                                    .training = true,
                                    .head = {.logprobs = t->logprobs, .loss_scale = scale}};
        hone_executor_run(&t->executor, &execution);
        for (int64_t i = 0; i < batch.target.rows; i++)
            if (batch.labels[i] != HONE_NO_LABEL)
                *loss_sum -= (double)t->logprobs[i];
        rows->target += batch.target.rows;
        rows->source += batch.source.rows;
    }
    return HONE_OK;
}

static hone_status not_finite(const hone_trainer *t, double loss, double norm, hone_error *error)
{
    const hone_parameters *parameters = &t->model->parameters;
    hone_fail(error, HONE_NUMERIC, "step %lld: the %s is %g; no step was taken",
              (long long)t->state.step + 1, isfinite(loss) ? "gradient's norm" : "loss",
              isfinite(loss) ? norm : loss);
    for (size_t i = 0; i < parameters->count && !isfinite(norm); i++) {
        const hone_parameter *p = &parameters->items[i];
        if (!isfinite(
                hone_gradient_norm(parameters->gradients + p->offset, p->rows * p->columns))) {
            hone_error_append(error, " (first in the gradient of %s)", p->name);
            break;
        }
    }
    hone_error_append(error,
                      "; the last checkpoint stands; try a lower learning rate or compute f32");
    return HONE_NUMERIC;
}

static hone_status train_step(hone_trainer *t, hone_error *error)
{
    const hone_train_settings *train = &t->settings.train;
    hone_parameters *parameters = &t->model->parameters;
    double begin = hone_seconds_now();
    hone_course_step at = hone_course_at(&t->course, t->state.step);
    int64_t labels = count_labels(&t->course, &at);
    hone_stream_rows rows;
    double loss_sum;
    HONE_TRY(run_batches(t, &at, labels, &loss_sum, &rows, error));
    double loss = labels > 0 ? loss_sum / (double)labels : 0.0;
    double norm = hone_gradient_norm(parameters->gradients, parameters->elements);
    if (!isfinite(loss) || !isfinite(norm))
        return not_finite(t, loss, norm, error);
    hone_adamw_settings settings = {
        .learning_rate = hone_schedule_rate(&t->schedule, t->state.step, t->course.total_steps),
        .beta1 = train->adam_beta1,
        .beta2 = train->adam_beta2,
        .epsilon = train->adam_epsilon,
        .weight_decay = train->weight_decay};
    hone_adamw_step(&t->adamw, &settings, t->ranges, parameters->count,
                    hone_clip_scale(norm, train->max_grad_norm), parameters->values,
                    parameters->gradients);
    hone_model_refresh(t->model);
    double seconds = hone_seconds_now() - begin;
    t->state.step++;
    t->state.loss = loss;
    t->state.grad_norm = norm;
    t->state.learning_rate = settings.learning_rate;
    int64_t tokens = rows.target + rows.source;
    t->state.tokens += tokens;
    t->state.seconds += seconds;
    t->latest = (hone_step_result){.step = t->state.step,
                                   .total_steps = t->course.total_steps,
                                   .epoch = hone_trainer_epoch(t, t->state.step),
                                   .loss = loss,
                                   .grad_norm = norm,
                                   .learning_rate = settings.learning_rate,
                                   .tokens = tokens,
                                   .tokens_per_second = (double)tokens / fmax(seconds, 1e-9),
                                   .seconds = seconds,
                                   .rss_bytes = hone_rss_bytes(),
                                   .peak_rss_bytes = hone_peak_rss_bytes()};
    return HONE_OK;
}

/* ---- between steps ------------------------------------------------------------------------ */

static hone_status save_adapter(hone_trainer *t, hone_error *error)
{
    if (t->folder.path == NULL)
        return HONE_OK;
    char *path = hone_run_folder_path(&t->folder, "adapter");
    if (path == NULL)
        return hone_fail_memory(error, "path", 0);
    hone_status status = hone_model_save(t->model, path, error);
    hone_free(path);
    return status;
}

hone_status hone_trainer_validate(hone_trainer *trainer, double *loss, hone_error *error)
{
    if (trainer->valid == NULL)
        return hone_fail(error, HONE_USAGE, "there is no validation data (valid or split)");
    hone_evaluate_request request = {.batch_size = hone_trainer_eval_batch(trainer),
                                     .lend = &trainer->executor};
    hone_evaluation evaluation;
    HONE_TRY(hone_evaluate_dataset(trainer->model, trainer->valid, &request, &evaluation, error));
    *loss = evaluation.loss;
    return HONE_OK;
}

/* What the best weights have the lowest of. */
static double measure_of(const hone_trainer *t, const hone_run_validation *found)
{
    if (!hone_trainer_metric_is_score(t))
        return found->loss;
    int64_t index = hone_scorer_find(t->scorer, t->settings.train.metric_for_best_model);
    return -found->scores[index].value;
}

static hone_status validate(hone_trainer *t, hone_error *error)
{
    const hone_train_settings *train = &t->settings.train;
    hone_run_validation found = {.step = t->state.step, .epoch = t->latest.epoch};
    hone_score *scores = NULL;
    HONE_TRY(hone_trainer_validate(t, &found.loss, error));
    HONE_TRY(hone_trainer_predict(t, &scores, &found.count, error));
    found.scores = scores;
    found.best = hone_early_stopping_take(&t->state.stopping, measure_of(t, &found), t->state.step,
                                          train->early_stopping_threshold);
    t->state.ended_early =
        hone_early_stopping_ends(&t->state.stopping, train->early_stopping_patience);
    if (found.best)
        t->state.kept_loss = found.loss;
    hone_status status = found.best ? save_adapter(t, error) : HONE_OK;
    if (status == HONE_OK)
        status = hone_run_log_validation(&t->folder, &found, error);
    if (status == HONE_OK && t->callbacks.event != NULL) {
        const hone_train_event event = {.kind = HONE_EVENT_VALIDATION,
                                        .step = &t->latest,
                                        .loss = found.loss,
                                        .best = found.best,
                                        .scores = scores,
                                        .score_count = found.count};
        t->callbacks.event(t->callbacks.context, &event);
    }
    hone_free(scores);
    return status;
}

hone_status hone_trainer_checkpoint(hone_trainer *trainer, hone_error *error)
{
    hone_trainer *t = trainer;
    if (t->folder.path == NULL)
        return hone_fail(error, HONE_USAGE, "without a run folder (out) there are no checkpoints");
    char *path = NULL, *folder = hone_run_folder_path(&t->folder, "checkpoints");
    if (folder == NULL)
        return hone_fail_memory(error, "path", 0);
    hone_status status = HONE_OK;
    const hone_checkpoint checkpoint = {.parameters = &t->model->parameters,
                                        .adamw = &t->adamw,
                                        .state = &t->state,
                                        .settings = t->settings_json,
                                        .identity = t->identity};
    /* Without validation the newest is the best that is known. It goes first: a run whose last
     * checkpoint is there has its adapter. */
    if (t->valid == NULL)
        HONE_TRY_GOTO(save_adapter(t, error), done);
    HONE_TRY_GOTO(hone_run_logs_sync(&t->folder, t->state.log_sizes, error), done);
    HONE_TRY_GOTO(hone_folder_make(folder, error), done);
    HONE_TRY_GOTO(hone_checkpoint_write(folder, &checkpoint, &path, error), done);
    t->saved_step = t->state.step;
    HONE_TRY_GOTO(hone_checkpoint_rotate(folder, t->state.step, t->settings.train.save_total_limit,
                                         &t->identity, error),
                  done);
    hone_trainer_tell(t, HONE_EVENT_CHECKPOINT, path);
done:
    hone_free(path);
    hone_free(folder);
    return status;
}

static bool is_over(const hone_trainer *t)
{
    return t->state.step >= t->course.total_steps || t->state.ended_early;
}

/* Whether something that happens every `every` steps (0: at the end of each epoch) is due. */
static bool is_due(const hone_trainer *t, int64_t every)
{
    return every > 0 ? t->state.step % every == 0 : t->state.step % t->course.steps_per_epoch == 0;
}

static hone_status after_step(hone_trainer *t, hone_error *error)
{
    const hone_train_settings *train = &t->settings.train;
    HONE_TRY(hone_run_log_step(&t->folder, &t->latest, error));
    hone_trainer_tell(t, HONE_EVENT_STEP, NULL);
    if (t->valid != NULL && (is_over(t) || is_due(t, train->eval_steps)))
        HONE_TRY(validate(t, error));
    if (train->sample_steps > 0 && (is_over(t) || is_due(t, train->sample_steps)))
        HONE_TRY(hone_trainer_sample(t, error));
    if (t->folder.path != NULL && (is_over(t) || is_due(t, train->save_steps)))
        return hone_trainer_checkpoint(t, error);
    return HONE_OK;
}

static hone_status finish(hone_trainer *t, hone_error *error)
{
    const char *reason = t->state.ended_early ? "early stopping" : "finished";
    if (t->folder.path != NULL) {
        /* Pictures are worth an error too, but not the fear that training was in vain. */
        hone_status status = hone_run_plot(&t->folder, error);
        if (status == HONE_OK)
            status = hone_trainer_summarize(t, reason, error);
        if (status != HONE_OK)
            hone_error_append(error, "; all steps are done and the adapter is saved: go on with "
                                     "the run by resume to make what is missing");
        HONE_TRY(status);
    }
    t->finished = true;
    hone_trainer_tell(t, HONE_EVENT_END,
                      t->state.ended_early ? "ended early: validation has stopped improving"
                                           : "finished");
    return HONE_OK;
}

/* ---- the run ------------------------------------------------------------------------------ */

static hone_status advance(hone_trainer *t, hone_error *error)
{
    if (!is_over(t)) {
        HONE_TRY(train_step(t, error));
        HONE_TRY(after_step(t, error));
    }
    return is_over(t) ? finish(t, error) : HONE_OK;
}

hone_status hone_trainer_step(hone_trainer *trainer, hone_step_result *result, bool *done,
                              hone_error *error)
{
    hone_status status = HONE_OK;
    if (trainer->failed)
        return hone_fail(error, HONE_USAGE, "this run has failed before; resume it anew");
    if (!trainer->finished)
        status = advance(trainer, error);
    if (status != HONE_OK) {
        trainer->failed = true;
        /* The first error is the one to tell. */
        (void)hone_trainer_summarize(trainer, "failed", NULL);
        return status;
    }
    if (result != NULL)
        *result = trainer->latest;
    if (done != NULL)
        *done = trainer->finished;
    return HONE_OK;
}

static hone_status pause_run(hone_trainer *t, hone_error *error)
{
    if (t->folder.path != NULL) {
        if (t->saved_step != t->state.step)
            HONE_TRY(hone_trainer_checkpoint(t, error));
        HONE_TRY(hone_trainer_summarize(t, "stopped", error));
    }
    hone_trainer_tell(t, HONE_EVENT_END, "stopped on request");
    return hone_fail(error, HONE_STOPPED, "stopped on request after step %lld of %lld",
                     (long long)t->state.step, (long long)t->course.total_steps);
}

hone_status hone_trainer_run(hone_trainer *trainer, hone_error *error)
{
    bool done = false;
    while (!done) {
        if (atomic_load(&trainer->stop) && !trainer->failed && !is_over(trainer))
            return pause_run(trainer, error);
        HONE_TRY(hone_trainer_step(trainer, NULL, &done, error));
    }
    return HONE_OK;
}

void hone_trainer_stop(hone_trainer *trainer)
{
    atomic_store(&trainer->stop, true);
}
