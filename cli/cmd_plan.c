/* hone plan: the memory that a training run would need, from the plan it would use. */
#include "flags.h"
#include "print.h"

#include <hone/trainer.h>

/* clang-format off */
#define PLAN_FLAGS(X) X(BOOL, json, "false", 0, 0, NULL, NULL, "Print one JSON object")
/* clang-format on */

typedef struct plan_flags {
    PLAN_FLAGS(HONE_OPTION_FIELD)
} plan_flags;

#define OBJECT plan_flags
static const hone_option options[] = {PLAN_FLAGS(CLI_OPTION_ROW)};
#undef OBJECT

static void print_plan(const hone_memory_plan *plan, bool json)
{
    const struct {
        const char *key, *text;
        size_t bytes;
    } parts[] = {
        {"weights", "weights", plan->weights},
        {"trainable", "trainable parameters", plan->trainable},
        {"gradients", "gradients", plan->gradients},
        {"optimizer", "optimizer state", plan->optimizer},
        {"values", "values and scratch", plan->values},
        {"generation", "predictions", plan->generation},
        {"data", "data", plan->data},
        {"other", "tokenizer, libraries", plan->other},
        {"total", "total", plan->total},
        {"values_with_checkpointing", "values, checkpointed", plan->values_with_checkpointing},
    };
    enum { PARTS = sizeof parts / sizeof *parts };
    if (json)
        printf("{\"rows\":%lld", (long long)plan->rows);
    else
        printf("%-22s %14lld\n", "rows (tokens)", (long long)plan->rows);
    for (size_t i = 0; i < PARTS; i++) {
        char text[32];
        cli_format_bytes((double)parts[i].bytes, text);
        if (json)
            printf(",\"%s\":%zu", parts[i].key, parts[i].bytes);
        else
            printf("%-22s %14zu  %10s\n", parts[i].text, parts[i].bytes, text);
    }
    if (json)
        fputs("}\n", stdout);
}

static hone_status run(int argc, char **argv, hone_error *error)
{
    plan_flags values;
    hone_run_settings settings;
    cli_flags flags = {.command = &cli_plan,
                       .count = 1 + HONE_RUN_SETS,
                       .positional_name = "RUN.yaml",
                       .positional_is_settings = true};
    flags.sets[0] = (hone_option_set){options, 1, &values, "Output"};
    hone_run_option_sets(&settings, flags.sets + 1);
    hone_status status = cli_flags_parse(&flags, argc, argv, error);
    if (status != HONE_OK || flags.help)
        return status;
    hone_memory_plan plan;
    status = cli_flags_require(&flags, "model", settings.model.model, error);
    if (status == HONE_OK)
        status = cli_flags_require(&flags, "train", settings.train.train, error);
    if (status == HONE_OK)
        status = hone_trainer_plan(&settings, &plan, error);
    if (status == HONE_OK)
        print_plan(&plan, values.json);
    cli_flags_deinit(&flags);
    return status;
}

const cli_command cli_plan = {
    .name = "plan",
    .summary = "The memory that a training run would need, before it runs",
    .usage = "--model DIR --train FILE [options of hone train]\nRUN.yaml [options of hone train]",
    .about = "Prints, in bytes, what hone train would allocate with the same options: the weights "
             "of the base, the parameters that are trained with their gradients and optimizer "
             "state, the values of the largest micro-batch, the cache and values of the "
             "predictions that --eval-generate asks for, and the data.",
    .examples = "hone plan --model models/tiny-gpt2 --train data/demo/train.jsonl\n"
                "hone plan --model models/tiny-gpt2 --train data/demo/train.jsonl \\\n"
                "    --method full --batch-size 16 --gradient-checkpointing --json",
    .run = run,
};
