/* hone train: fine-tuning, from flags, from a file of settings, or on from a run folder. */
#include "flags.h"
#include "print.h"
#include "progress.h"
#include "stop.h"

#include <signal.h>
#include <string.h>

/* clang-format off */
#define TRAIN_FLAGS(X)                                                                             \
    X(STRING, resume, "", 0, 0, NULL, "RUN", "Go on with a run folder, with its own settings")    \
    X(BOOL, quiet, "false", 0, 0, NULL, NULL, "Show no progress")                                  \
    X(BOOL, json, "false", 0, 0, NULL, NULL, "Print the result as one JSON object")
/* clang-format on */

typedef struct train_flags {
    TRAIN_FLAGS(HONE_OPTION_FIELD)
} train_flags;

#define OBJECT train_flags
static const hone_option options[] = {TRAIN_FLAGS(CLI_OPTION_ROW)};
#undef OBJECT

static void print_loss(const char *json_key, const char *text, double loss, bool json)
{
    if (loss != loss)
        return;
    if (json) {
        printf(",\"%s\":", json_key);
        cli_json_real(stdout, loss, 9);
    } else {
        printf("%-16s %.6f\n", text, loss);
    }
}

static void print_result(const cli_progress *progress, const char *run, bool json)
{
    const hone_step_result *step = &progress->step;
    if (json) {
        fputs("{\"run\":", stdout);
        cli_json_string(stdout, run, strlen(run));
    } else {
        printf("%-16s %s\n", "run folder", run);
    }
    /* A run that had ended before makes no step. */
    if (step->step > 0) {
        printf(json ? ",\"steps\":%lld" : "steps            %lld\n", (long long)step->step);
        print_loss("loss", "last loss", step->loss, json);
    }
    print_loss("validation_loss", "validation loss", progress->validation, json);
    print_loss("best_validation_loss", "best", progress->best, json);
    if (json)
        fputs("}\n", stdout);
}

static hone_status train(const train_flags *flags, const hone_run_settings *settings,
                         int64_t logging_steps, hone_error *error)
{
    cli_progress progress;
    cli_progress_init(&progress, flags->quiet, logging_steps);
    const hone_train_callbacks callbacks = {cli_progress_event, &progress};
    hone_trainer *trainer = NULL;
    hone_status status = flags->resume != NULL
                             ? hone_trainer_resume(flags->resume, &callbacks, &trainer, error)
                             : hone_trainer_create(settings, &callbacks, &trainer, error);
    if (status != HONE_OK) {
        cli_progress_end(&progress);
        return status;
    }
    cli_progress_facts(&progress, hone_trainer_model(trainer));
    /* A closed terminal or pipe must not end a long run. */
    signal(SIGPIPE, SIG_IGN);
    cli_stop_watch(true, trainer);
    status = hone_trainer_run(trainer, error);
    cli_stop_watch(false, NULL);
    cli_progress_end(&progress);
    hone_trainer_free(trainer);
    if (status == HONE_OK)
        print_result(&progress, flags->resume != NULL ? flags->resume : settings->train.out,
                     flags->json);
    return status;
}

/* How often the run that goes on prints a line: from its saved settings, if they can be read. */
static int64_t saved_logging_steps(const char *run)
{
    char path[4096];
    hone_run_settings settings;
    hone_option_set sets[HONE_RUN_SETS];
    int64_t steps = 10;
    size_t ready = 0;
    int length = snprintf(path, sizeof path, "%s/config.yaml", run);
    hone_run_option_sets(&settings, sets);
    while (ready < HONE_RUN_SETS && hone_options_init(&sets[ready], NULL) == HONE_OK)
        ready++;
    if (ready == HONE_RUN_SETS && length > 0 && (size_t)length < sizeof path &&
        hone_options_load(sets, HONE_RUN_SETS, path, NULL) == HONE_OK)
        steps = settings.train.logging_steps;
    while (ready > 0)
        hone_options_deinit(&sets[--ready]);
    return steps;
}

static hone_status resume(const cli_flags *flags, const train_flags *values, hone_error *error)
{
    size_t own = 0;
    for (size_t i = 0; i < flags->sets[0].count; i++)
        own += cli_flags_given(flags, flags->sets[0].options[i].key);
    size_t all = 0;
    for (size_t i = 0; i < CLI_OPTIONS; i++)
        all += flags->given[i];
    if (flags->positional != NULL || all > own)
        return cli_fail(error, HONE_USAGE,
                        "--resume goes on with the settings of the run; no other settings can be "
                        "given with it");
    return train(values, NULL, saved_logging_steps(values->resume), error);
}

static hone_status run(int argc, char **argv, hone_error *error)
{
    train_flags values;
    hone_run_settings settings;
    cli_flags flags = {.command = &cli_train,
                       .count = 1 + HONE_RUN_SETS,
                       .positional_name = "RUN.yaml",
                       .positional_is_settings = true};
    flags.sets[0] = (hone_option_set){options, sizeof options / sizeof *options, &values, "Run"};
    hone_run_option_sets(&settings, flags.sets + 1);
    hone_status status = cli_flags_parse(&flags, argc, argv, error);
    if (status != HONE_OK || flags.help)
        return status;
    if (values.resume != NULL) {
        status = resume(&flags, &values, error);
    } else {
        status = cli_flags_require(&flags, "model", settings.model.model, error);
        if (status == HONE_OK)
            status = cli_flags_require(&flags, "train", settings.train.train, error);
        if (status == HONE_OK)
            status = cli_flags_require(&flags, "out", settings.train.out, error);
        if (status == HONE_OK)
            status = train(&values, &settings, settings.train.logging_steps, error);
    }
    cli_flags_deinit(&flags);
    return status;
}

const cli_command cli_train = {
    .name = "train",
    .summary = "Fine-tune a model with LoRA, IA3 or in full",
    .usage = "--model DIR --train FILE --out RUN [options]\n"
             "RUN.yaml [options]\n"
             "--resume RUN",
    .about = "Rows of the data are {\"text\": ...}, {\"prompt\": ..., \"completion\": ...} "
             "(trained on the completion), or {\"ids\": [...]}. The keys of a settings file are "
             "the options' names with underscores; options win over the file. The run folder holds "
             "the adapter, checkpoints, logs and curves; a run that was stopped or killed goes on "
             "with --resume as if it never had been.",
    .examples = "hone train --model models/tiny-gpt2 --train data/demo/train.jsonl \\\n"
                "    --max-steps 50 --r 16 --lora-alpha 32 --out runs/lora\n"
                "hone train --model models/tiny-gpt2 --train data/demo/train.jsonl \\\n"
                "    --method ia3 --learning-rate 1e-2 --max-steps 50 --out runs/ia3\n"
                "hone train --resume runs/lora",
    .run = run,
};
