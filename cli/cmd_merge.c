/* hone merge: a model folder with an adapter folded into its weights. */
#include "flags.h"
#include "print.h"

#include <hone/model.h>

/* clang-format off */
#define MERGE_FLAGS(X) X(STRING, out, "", 0, 0, NULL, "DIR", "Model folder to write")
/* clang-format on */

typedef struct merge_flags {
    MERGE_FLAGS(HONE_OPTION_FIELD)
} merge_flags;

#define OBJECT merge_flags
static const hone_option options[] = {MERGE_FLAGS(CLI_OPTION_ROW)};
#undef OBJECT

static hone_status merge(const hone_model_settings *settings, const char *out, hone_error *error)
{
    hone_model *model = NULL;
    hone_status status = hone_model_open(settings, NULL, &model, error);
    if (status == HONE_OK)
        status = hone_model_merge(model, out, error);
    hone_model_close(model);
    if (status == HONE_OK)
        printf("%s\n", out);
    return status;
}

static hone_status run(int argc, char **argv, hone_error *error)
{
    static const char *const hidden[] = {"init", "seed", "compute", NULL};
    merge_flags values;
    hone_model_settings settings;
    cli_flags flags = {.command = &cli_merge, .count = 2, .hidden = hidden};
    flags.sets[0] = (hone_option_set){options, 1, &values, "Output"};
    flags.sets[1] = hone_model_option_set(&settings);
    hone_status status = cli_flags_parse(&flags, argc, argv, error);
    if (status != HONE_OK || flags.help)
        return status;
    status = cli_flags_require(&flags, "model", settings.model, error);
    if (status == HONE_OK)
        status = cli_flags_require(&flags, "adapter", settings.adapter, error);
    if (status == HONE_OK)
        status = cli_flags_require(&flags, "out", values.out, error);
    if (status == HONE_OK)
        status = merge(&settings, values.out, error);
    cli_flags_deinit(&flags);
    return status;
}

const cli_command cli_merge = {
    .name = "merge",
    .summary = "Fold an adapter into the weights: a model folder of its own",
    .usage = "--model DIR --adapter DIR --out DIR",
    .about = "Writes a whole model folder, in the file type of the base, that gives the outputs of "
             "the base with the adapter. Prints the folder's name.",
    .examples = "hone merge --model models/tiny-gpt2 --adapter runs/demo/adapter \\\n"
                "    --out runs/merged",
    .run = run,
};
