/* What a trainer tells its callback and writes for people: samples and summary. */
#include "train/trainer_parts.h"

#include "base/files.h"
#include "base/utf8_check.h"
#include "train/json_file.h"

#include <hone/prompts.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int64_t hone_rss_bytes(void)
{
    /* Read by hand: /proc has no sizes, and this runs every step. */
    char *text, line[128] = "";
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL)
        return 0;
    text = fgets(line, sizeof line, file);
    fclose(file);
    if (text == NULL)
        return 0;
    char *resident = strchr(text, ' ');
    return resident != NULL ? strtoll(resident, NULL, 10) * (int64_t)sysconf(_SC_PAGESIZE) : 0;
}

int64_t hone_peak_rss_bytes(void)
{
    static const char name[] = "VmHWM:"; /* getrusage would count what was before an exec */
    char line[128];
    int64_t kilobytes = 0;
    FILE *file = fopen("/proc/self/status", "re");
    if (file == NULL)
        return 0;
    while (kilobytes == 0 && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, name, sizeof name - 1) == 0)
            kilobytes = strtoll(line + sizeof name - 1, NULL, 10);
    fclose(file);
    return kilobytes * 1024;
}

double hone_seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- events ------------------------------------------------------------------------------- */

void hone_trainer_tell(const hone_trainer *trainer, hone_event_kind kind, const char *text)
{
    if (trainer->callbacks.event == NULL)
        return;
    const hone_train_event event = {.kind = kind, .step = &trainer->latest, .text = text};
    trainer->callbacks.event(trainer->callbacks.context, &event);
}

static void tell_data(const hone_trainer *t, const char *name, const hone_dataset *dataset)
{
    char text[256];
    hone_dataset_counts counts = hone_dataset_count(dataset);
    if (counts.truncated > 0) {
        int used = snprintf(text, sizeof text,
                            "%s: %lld documents were cut to their longest length, %lld tokens are "
                            "not used",
                            name, (long long)counts.truncated, (long long)counts.dropped_tokens);
        if (counts.source_truncated > 0 || counts.target_truncated > 0)
            snprintf(text + used, sizeof text - (size_t)used,
                     "; %lld sources lost %lld, %lld targets %lld",
                     (long long)counts.source_truncated, (long long)counts.source_dropped,
                     (long long)counts.target_truncated, (long long)counts.target_dropped);
        hone_trainer_tell(t, HONE_EVENT_NOTE, text);
    }
    if (counts.split > 0) {
        snprintf(text, sizeof text, "%s: %lld documents were split into pieces", name,
                 (long long)counts.split);
        hone_trainer_tell(t, HONE_EVENT_NOTE, text);
    }
    if (counts.bad_lines > 0 || counts.empty_rows > 0) {
        snprintf(text, sizeof text, "%s: %lld bad lines and %lld empty rows were skipped", name,
                 (long long)counts.bad_lines, (long long)counts.empty_rows);
        hone_trainer_tell(t, HONE_EVENT_NOTE, text);
    }
}

void hone_trainer_tell_start(const hone_trainer *t)
{
    char text[512];
    hone_model_facts facts = hone_model_describe(t->model);
    hone_dataset_counts counts = hone_dataset_count(t->train);
    int64_t documents = t->course.batch_size * t->course.accumulation;
    int used = snprintf(text, sizeof text,
                        "%s, %s, %s: %lld documents of %lld tokens, %lld steps of %lld documents",
                        facts.family, t->settings.adapter.method, facts.compute,
                        (long long)counts.documents, (long long)counts.tokens,
                        (long long)t->course.total_steps, (long long)documents);
    if (t->valid != NULL)
        snprintf(text + used, sizeof text - (size_t)used, "; validation: %lld documents",
                 (long long)hone_dataset_size(t->valid));
    hone_trainer_tell(t, HONE_EVENT_START, text);
    tell_data(t, "training data", t->train);
    if (t->valid != NULL)
        tell_data(t, "validation data", t->valid);
    if (t->state.step > 0) {
        snprintf(text, sizeof text, "going on after step %lld", (long long)t->state.step);
        hone_trainer_tell(t, HONE_EVENT_NOTE, text);
    }
    if (t->settings.train.sample_steps > 0 && hone_model_tokenizer(t->model) == NULL)
        hone_trainer_tell(t, HONE_EVENT_NOTE,
                          "the model folder has no tokenizer: no samples are written");
}

/* ---- samples ------------------------------------------------------------------------------ */

typedef struct sample {
    char *text; /* NULL: none, or memory ran out */
    size_t length;
    bool finished;
} sample;

/* Tokens may end inside a character, and logs are UTF-8: what is none becomes U+FFFD. */
static void keep_sample(void *context, const hone_generated *generated)
{
    sample *kept = context;
    kept->finished = true;
    size_t size;
    if (generated->text == NULL || kept->text != NULL ||
        !hone_size_mul(generated->length, 3, &size))
        return;
    kept->text = hone_alloc(size + 1);
    if (kept->text == NULL)
        return;
    kept->length = hone_utf8_repair(generated->text, generated->length, kept->text);
    kept->text[kept->length] = '\0';
}

/* Mostly what the model finds likely, with some variety: fixed settings, so that the samples of a
 * run can be compared. */
static hone_status make_sample(hone_trainer *t, const char *prompt, sample *out, hone_error *error)
{
    hone_generate_settings settings;
    hone_option_set set = hone_generate_option_set(&settings);
    hone_prompts *prompts = NULL;
    HONE_TRY(hone_options_init(&set, error));
    settings.temperature = 0.8;
    settings.top_k = 50;
    settings.max_new_tokens = 64;
    const hone_generate_options options = {.settings = &settings,
                                           .seed = (uint64_t)t->settings.model.seed +
                                                   (uint64_t)t->state.step,
                                           .finished = keep_sample,
                                           .context = out};
    hone_status status = hone_prompts_create(t->model, &prompts, error);
    if (status == HONE_OK)
        status = hone_prompts_add_text(prompts, prompt, strlen(prompt), NULL, error);
    if (status == HONE_OK)
        status = hone_generate(t->model, hone_prompts_get(prompts), 1, &options, error);
    if (status == HONE_OK && out->finished && out->text == NULL)
        status = hone_fail_memory(error, "sample", 0);
    hone_prompts_free(prompts);
    hone_options_deinit(&set);
    return status;
}

hone_status hone_trainer_sample(hone_trainer *trainer, hone_error *error)
{
    hone_trainer *t = trainer;
    if (hone_model_tokenizer(t->model) == NULL)
        return HONE_OK;
    const char *prompt = t->settings.train.sample_prompt;
    if (prompt == NULL)
        prompt = "";
    sample made = {0};
    hone_status status = make_sample(t, prompt, &made, error);
    if (status == HONE_OK)
        status =
            hone_run_log_sample(&t->folder, t->state.step, prompt, made.text, made.length, error);
    if (status == HONE_OK) {
        size_t size = strlen(prompt) + made.length + 1;
        char *whole = hone_alloc(size);
        if (whole == NULL)
            status = hone_fail_memory(error, "sample", size);
        else {
            snprintf(whole, size, "%s%s", prompt, made.text != NULL ? made.text : "");
            hone_trainer_tell(t, HONE_EVENT_SAMPLE, whole);
        }
        hone_free(whole);
    }
    hone_free(made.text);
    return status;
}

/* ---- summary ------------------------------------------------------------------------------ */

static bool put_integer(hone_json *o, const char *key, int64_t value)
{
    return hone_json_set(o, key, hone_json_new_integer(value));
}

static bool put_real(hone_json *o, const char *key, double value)
{
    return hone_json_set(o, key,
                         isfinite(value) ? hone_json_new_real(value) : hone_json_new_null());
}

static bool put_text(hone_json *o, const char *key, const char *value)
{
    return hone_json_set(o, key, hone_json_new_string(value));
}

/* What depends on the clock or the machine comes last, as in the log. */
static bool fill_summary(const hone_trainer *t, const char *status, hone_json *o)
{
    const hone_run_state *state = &t->state;
    hone_model_facts facts = hone_model_describe(t->model);
    hone_dataset_counts counts = hone_dataset_count(t->train);
    bool made = put_text(o, "status", status) && put_integer(o, "step", state->step) &&
                put_integer(o, "total_steps", t->course.total_steps) &&
                put_real(o, "epoch", hone_trainer_epoch(t, state->step)) &&
                put_text(o, "method", t->settings.adapter.method) &&
                put_text(o, "compute", facts.compute) &&
                put_integer(o, "parameters", facts.parameters) &&
                put_integer(o, "trainable", facts.trainable) &&
                put_integer(o, "documents", counts.documents) &&
                put_integer(o, "data_tokens", counts.tokens) &&
                put_integer(o, "tokens", state->tokens) && put_real(o, "loss", state->loss);
    if (made && state->stopping.best_step > 0)
        made = put_real(o, "best_validation_loss", state->kept_loss) &&
               put_real(o, "best_validation_perplexity", exp(state->kept_loss)) &&
               put_integer(o, "best_step", state->stopping.best_step);
    const char *metric = t->settings.train.metric_for_best_model;
    if (made && state->stopping.best_step > 0 && hone_trainer_metric_is_score(t))
        made = put_text(o, "metric_for_best_model", metric) &&
               put_real(o, "best_metric", -state->stopping.best);
    return made && put_real(o, "seconds", state->seconds) &&
           put_real(o, "tokens_per_second", (double)state->tokens / fmax(state->seconds, 1e-9)) &&
           put_integer(o, "rss_bytes", hone_rss_bytes()) &&
           put_integer(o, "peak_rss_bytes", hone_peak_rss_bytes());
}

hone_status hone_trainer_summarize(const hone_trainer *trainer, const char *status,
                                   hone_error *error)
{
    if (trainer->folder.path == NULL)
        return HONE_OK;
    hone_json *o = hone_json_new_object();
    if (o != NULL && !fill_summary(trainer, status, o)) {
        hone_json_free(o);
        o = NULL;
    }
    return hone_json_file_write(trainer->folder.path, "summary.json", o, 9, error);
}
