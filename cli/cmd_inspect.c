/* hone inspect: what a folder or file holds. */
#include "flags.h"
#include "print.h"

#include <hone/inspect.h>
#include <string.h>

/* clang-format off */
#define INSPECT_FLAGS(X) X(BOOL, json, "false", 0, 0, NULL, NULL, "Print one JSON object")
/* clang-format on */

typedef struct inspect_flags {
    INSPECT_FLAGS(HONE_OPTION_FIELD)
} inspect_flags;

#define OBJECT inspect_flags
static const hone_option options[] = {INSPECT_FLAGS(CLI_OPTION_ROW)};
#undef OBJECT

static hone_status run(int argc, char **argv, hone_error *error)
{
    inspect_flags values;
    cli_flags flags = {.command = &cli_inspect, .count = 1, .positional_name = "PATH"};
    flags.sets[0] = (hone_option_set){options, 1, &values, "Options"};
    hone_status status = cli_flags_parse(&flags, argc, argv, error);
    if (status != HONE_OK || flags.help)
        return status;
    char *text = NULL;
    status = flags.positional != NULL ? hone_inspect(flags.positional, values.json, &text, error)
                                      : cli_fail(error, HONE_USAGE, "a PATH is needed");
    if (status == HONE_OK)
        fputs(text, stdout);
    hone_inspect_free(text);
    cli_flags_deinit(&flags);
    return status;
}

const cli_command cli_inspect = {
    .name = "inspect",
    .summary = "What a model, adapter or run folder or a weight file holds",
    .usage = "PATH [--json]",
    .about = "Describes a model folder, an adapter folder, a run folder, or a .safetensors or .bin "
             "file from its headers: kind, settings, tensors with types and shapes, sizes.",
    .examples = "hone inspect models/tiny-gpt2\n"
                "hone inspect runs/demo/adapter --json\n"
                "hone inspect runs/demo",
    .run = run,
};
