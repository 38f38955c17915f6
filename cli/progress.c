/* Progress of training: see progress.h. The live line is drawn at most ten times a second, so that
 * a terminal never slows a fast run. */
#include "progress.h"

#include "print.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

void cli_progress_init(cli_progress *progress, bool quiet, int64_t logging_steps)
{
    *progress = (cli_progress){.terminal = isatty(STDERR_FILENO),
                               .quiet = quiet,
                               .logging_steps = logging_steps > 0 ? logging_steps : 1,
                               .best = (double)NAN,
                               .validation = (double)NAN};
}

static double seconds_between(struct timespec from, struct timespec to)
{
    return (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec);
}

/* The time left from the mean step of this process; "" after the first step and the last. */
static void format_left(const cli_progress *progress, struct timespec now, char buffer[48])
{
    buffer[0] = '\0';
    int64_t done = progress->step.step - progress->first_step;
    if (done < 1 || progress->step.step >= progress->step.total_steps)
        return;
    char duration[32];
    double each = seconds_between(progress->begin, now) / (double)done;
    cli_format_duration(each * (double)(progress->step.total_steps - progress->step.step),
                        duration);
    snprintf(buffer, 48, "  %s left", duration);
}

static void format_step(const cli_progress *progress, struct timespec now, char *line, size_t size)
{
    const hone_step_result *step = &progress->step;
    char memory[32], left[48];
    cli_format_bytes((double)step->rss_bytes, memory);
    format_left(progress, now, left);
    snprintf(line, size, "step %lld/%lld  loss %.4f  rate %.2e  %.0f tokens/s  %s%s",
             (long long)step->step, (long long)step->total_steps, step->loss, step->learning_rate,
             step->tokens_per_second, memory, left);
}

static void draw_line(cli_progress *progress, struct timespec now)
{
    char line[256];
    format_step(progress, now, line, sizeof line);
    cli_live_line(line);
    progress->shown = true;
    progress->drawn = now;
}

static void show_step(cli_progress *progress, const hone_step_result *step)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    progress->step = *step;
    if (progress->first_step == 0) {
        progress->first_step = step->step;
        progress->begin = now;
    }
    bool last = step->step == step->total_steps;
    if (progress->quiet)
        return;
    if (progress->terminal) {
        if (!progress->shown || last || seconds_between(progress->drawn, now) > 0.1)
            draw_line(progress, now);
    } else if (last || step->step % progress->logging_steps == 0 ||
               step->step == progress->first_step) {
        char line[256];
        format_step(progress, now, line, sizeof line);
        fprintf(stderr, "%s\n", line);
    }
}

static void show_text(cli_progress *progress, const char *title, const char *text)
{
    if (progress->quiet || text == NULL)
        return;
    if (progress->shown)
        cli_live_clear();
    progress->shown = false;
    fprintf(stderr, "%s%s\n", title, text);
}

static void format_validation(const cli_progress *progress, const hone_train_event *event,
                              char *text, size_t size)
{
    int used = snprintf(text, size, "step %lld  loss %.4f  perplexity %.4g",
                        (long long)(event->step != NULL ? event->step->step : progress->step.step),
                        event->loss, exp(event->loss));
    for (size_t i = 0; i < event->score_count && (size_t)used + 48 < size; i++)
        used += snprintf(text + used, size - (size_t)used, "  %.24s %.4g", event->scores[i].name,
                         event->scores[i].value);
    snprintf(text + used, size - (size_t)used, "%s", event->best ? "  best so far" : "");
}

void cli_progress_event(void *context, const hone_train_event *event)
{
    cli_progress *progress = context;
    char text[512];
    switch (event->kind) {
    case HONE_EVENT_STEP:
        if (event->step != NULL)
            show_step(progress, event->step);
        break;
    case HONE_EVENT_VALIDATION:
        progress->validation = event->loss;
        if (event->best)
            progress->best = event->loss;
        format_validation(progress, event, text, sizeof text);
        show_text(progress, "validation  ", text);
        break;
    case HONE_EVENT_START: show_text(progress, "", event->text); break;
    case HONE_EVENT_SAMPLE: show_text(progress, "sample  ", event->text); break;
    case HONE_EVENT_CHECKPOINT: show_text(progress, "checkpoint  ", event->text); break;
    case HONE_EVENT_NOTE: show_text(progress, "note: ", event->text); break;
    case HONE_EVENT_END: show_text(progress, "", event->text); break;
    }
}

void cli_progress_end(cli_progress *progress)
{
    if (progress->shown)
        putc('\n', stderr);
    progress->shown = false;
}

/* Thousands with commas. */
static void format_count(int64_t value, char buffer[40])
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%lld", (long long)value), used = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            buffer[used++] = ',';
        buffer[used++] = digits[i];
    }
    buffer[used] = '\0';
}

void cli_progress_facts(const cli_progress *progress, const hone_model *model)
{
    if (progress->quiet)
        return;
    hone_model_facts facts = hone_model_describe(model);
    char trainable[40], all[40];
    format_count(facts.trainable, trainable);
    format_count(facts.parameters, all);
    fprintf(stderr, "trainable params: %s || all params: %s || trainable%%: %.4f\n", trainable, all,
            facts.parameters > 0 ? 100 * (double)facts.trainable / (double)facts.parameters : 0);
}
