/* hone compare: several methods of fine-tuning side by side. */
#include "flags.h"
#include "isolate.h"
#include "print.h"
#include "progress.h"
#include "stop.h"

#include <hone/compare.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* clang-format off */
#define COMPARE_FLAGS(X)                                                                           \
    X(LIST, methods, "", 0, 0, NULL, "NAMES", "Without a study file: an experiment for each method")\
    X(MAP, learning_rates, "", 0, 0, NULL, "NAME=X", "Learning rates of the methods")              \
    X(STRING, resume, "", 0, 0, NULL, "DIR", "Go on with a comparison, with its own settings")     \
    X(BOOL, rerun, "false", 0, 0, NULL, NULL,                                                      \
      "Run experiments anew whose settings have changed, in place of refusing")                    \
    X(BOOL, quiet, "false", 0, 0, NULL, NULL, "Show no progress")
/* clang-format on */

typedef struct compare_flags {
    COMPARE_FLAGS(HONE_OPTION_FIELD)
} compare_flags;

#define OBJECT compare_flags
static const hone_option options[] = {COMPARE_FLAGS(CLI_OPTION_ROW)};
#undef OBJECT

typedef struct comparing {
    cli_progress progress;
    bool quiet, shown; /* shown: a live line of predictions stands */
    int64_t logging_steps;
} comparing;

static void end_line(comparing *state)
{
    if (state->shown)
        fputs("\r\033[K", stderr);
    state->shown = false;
}

static void show_train(void *context, const hone_train_event *event)
{
    comparing *state = context;
    cli_progress_event(&state->progress, event);
}

static void show_predictions(comparing *state, const hone_compare_event *event)
{
    if (!isatty(STDERR_FILENO) || event->total == 0)
        return;
    fprintf(stderr, "\r%lld of %lld predictions\033[K", (long long)event->done,
            (long long)event->total);
    fflush(stderr);
    state->shown = true;
}

static void show(void *context, const hone_compare_event *event)
{
    comparing *state = context;
    if (state->quiet)
        return;
    if (event->total > 0) {
        show_predictions(state, event);
        return;
    }
    end_line(state);
    switch (event->stage) {
    case HONE_COMPARE_TRAIN:
        cli_progress_end(&state->progress);
        cli_progress_init(&state->progress, false, state->logging_steps);
        fprintf(stderr, "== %s (%zu of %zu)\n", event->name, event->index + 1, event->count);
        break;
    case HONE_COMPARE_KEPT:
        fprintf(stderr, "== %s (%zu of %zu): it has run before\n", event->name, event->index + 1,
                event->count);
        break;
    case HONE_COMPARE_EVALUATE:
        cli_progress_end(&state->progress);
        fprintf(stderr, "== %s: what it came to\n", event->name);
        break;
    case HONE_COMPARE_BASELINE: fprintf(stderr, "== %s, for comparison\n", event->name); break;
    case HONE_COMPARE_NOTE: fprintf(stderr, "note: %s\n", event->text); break;
    case HONE_COMPARE_WRITTEN: break;
    }
}

static int stop(void *context)
{
    (void)context;
    return cli_stop_signal() != 0;
}

/* What stands on a terminal's line is known to the process that drew it. */
static void leave(void *context)
{
    comparing *state = context;
    end_line(state);
    cli_progress_end(&state->progress);
}

static hone_status isolate(void *context, const char *what, hone_compare_work_fn work,
                           void *argument, hone_error *error)
{
    comparing *state = context;
    leave(state);
    const cli_isolation isolation = {what, work, argument, leave, state};
    hone_status status = cli_isolate(&isolation, error);
    if (status == HONE_PEER && !state->quiet && isatty(STDERR_FILENO))
        cli_live_clear();
    return status;
}

/* The table as it was written, for people. */
static hone_status print_table(const char *out, hone_error *error)
{
    char path[4096], line[4096];
    int length = snprintf(path, sizeof path, "%s/table.md", out);
    FILE *file = length > 0 && (size_t)length < sizeof path ? fopen(path, "r") : NULL;
    if (file == NULL)
        return cli_fail(error, HONE_IO, "%s: cannot open", path);
    while (fgets(line, sizeof line, file) != NULL)
        fputs(line, stdout);
    fclose(file);
    printf("\n%s/report.html\n", out);
    return HONE_OK;
}

static hone_status compare(const compare_flags *flags, hone_study *study, hone_error *error)
{
    comparing state = {.quiet = flags->quiet, .logging_steps = 10};
    if (hone_study_count(study) > 0)
        state.logging_steps = hone_study_experiment(study, 0)->train.logging_steps;
    cli_progress_init(&state.progress, flags->quiet, state.logging_steps);
    const hone_compare_options request = {.rerun = flags->rerun,
                                          .event = show,
                                          .train = {show_train, &state},
                                          .stop = stop,
                                          .isolate = isolate,
                                          .context = &state};
    signal(SIGPIPE, SIG_IGN);
    cli_stop_watch(true, NULL);
    hone_status status = hone_compare(study, &request, error);
    cli_stop_watch(false, NULL);
    end_line(&state);
    cli_progress_end(&state.progress);
    return status == HONE_OK ? print_table(hone_study_out(study), error) : status;
}

/* The flags that were given go over what the file says, for every experiment. */
static hone_status apply_flags(const cli_flags *flags, hone_study *study, hone_error *error)
{
    size_t index = flags->sets[0].count;
    hone_status status = HONE_OK;
    for (size_t s = 1; s < flags->count; s++) {
        for (size_t i = 0; i < flags->sets[s].count && status == HONE_OK; i++, index++) {
            const hone_option *option = &flags->sets[s].options[i];
            if (!flags->given[index])
                continue;
            char place[96];
            char *text = hone_options_get_text(&flags->sets[s], option);
            snprintf(place, sizeof place, "--%s", option->key);
            status = text == NULL ? cli_fail(error, HONE_MEMORY, "out of memory")
                                  : hone_study_set(study, option->key, text, place, error);
            hone_options_free_text(text);
        }
    }
    return status;
}

static hone_status make_study(const cli_flags *flags, const compare_flags *values,
                              hone_study **study, hone_error *error)
{
    char path[4096];
    const char *file = flags->positional;
    bool resumed = values->resume != NULL;
    if (resumed && (file != NULL || values->methods.count > 0))
        return cli_fail(error, HONE_USAGE,
                        "--resume goes on with the experiments of the comparison; no others can be "
                        "given with it");
    if (!resumed && (file != NULL) == (values->methods.count > 0))
        return cli_fail(error, HONE_USAGE, "a study file or --methods is needed, one of the two");
    if (resumed) {
        int length = snprintf(path, sizeof path, "%s/study.yaml", values->resume);
        if (length < 0 || (size_t)length >= sizeof path)
            return cli_fail(error, HONE_USAGE, "--resume: the name is too long");
        file = path;
    }
    hone_status status = hone_study_create(file, study, error);
    if (status == HONE_OK && resumed)
        status = hone_study_set(*study, "out", values->resume, "--resume", error);
    if (status == HONE_OK)
        status = apply_flags(flags, *study, error);
    if (status == HONE_OK && values->methods.count > 0)
        status = hone_study_add_methods(*study, &values->methods, &values->learning_rates, error);
    return status;
}

static hone_status run(int argc, char **argv, hone_error *error)
{
    compare_flags values;
    hone_compare_settings compared;
    hone_run_settings settings;
    cli_flags flags = {
        .command = &cli_compare, .count = 2 + HONE_RUN_SETS, .positional_name = "STUDY.yaml"};
    flags.sets[0] =
        (hone_option_set){options, sizeof options / sizeof *options, &values, "Experiments"};
    flags.sets[1] = hone_compare_option_set(&compared);
    hone_run_option_sets(&settings, flags.sets + 2);
    hone_status status = cli_flags_parse(&flags, argc, argv, error);
    if (status != HONE_OK || flags.help)
        return status;
    hone_study *study = NULL;
    status = make_study(&flags, &values, &study, error);
    if (status == HONE_OK)
        status = compare(&values, study, error);
    hone_study_free(study);
    cli_flags_deinit(&flags);
    return status;
}

const cli_command cli_compare = {
    .name = "compare",
    .summary = "Fine-tune by several methods and set them side by side",
    .usage = "STUDY.yaml [options]\n"
             "--methods NAMES --model DIR --train FILE --out DIR [options]\n"
             "--resume DIR",
    .about = "Runs experiments one after the other, on the same data in the same order, and writes "
             "a table of what each reached and cost, curves of all in one picture, predictions "
             "side by side, and a page with all of that, beside the untouched model and the first "
             "words of the source as baselines. A study file has `defaults` and a list of "
             "`experiments`, each with a name and the options that differ; options of the command "
             "line go over both. What has run is kept: the same command goes on after a stop.",
    .examples = "hone compare --methods lora,ia3,full --model models/tiny-gpt2 \\\n"
                "    --train data/synopsis/train.jsonl --valid data/synopsis/valid.jsonl \\\n"
                "    --learning-rates lora=2e-3,ia3=2e-2,full=5e-4 --max-steps 50 \\\n"
                "    --max-source-length 128 --num-predictions 8 --out runs/compared\n"
                "hone compare --resume runs/compared",
    .run = run,
};
