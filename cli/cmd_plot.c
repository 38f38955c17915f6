/* hone plot: the curves of runs as pictures. */
#include "flags.h"

#include <hone/report.h>
#include <stdio.h>
#include <string.h>

/* clang-format off */
#define PLOT_FLAGS(X)                                                                              \
    X(STRING, out, "", 0, 0, NULL, "DIR", "Folder for the pictures; not set: plots in the one run")\
    X(STRING, x, "epoch", 0, 0, "epoch|step|seconds", "AXIS",                                      \
      "What the curves are drawn against; seconds: time in training steps")
/* clang-format on */

typedef struct plot_flags {
    PLOT_FLAGS(HONE_OPTION_FIELD)
} plot_flags;

#define OBJECT plot_flags
static const hone_option options[] = {PLOT_FLAGS(CLI_OPTION_ROW)};
#undef OBJECT

static void print_path(void *context, const char *path)
{
    (void)context;
    puts(path);
}

static hone_status run(int argc, char **argv, hone_error *error)
{
    plot_flags values;
    cli_flags flags = {
        .command = &cli_plot, .count = 1, .positional_name = "RUN", .many_positionals = true};
    flags.sets[0] =
        (hone_option_set){options, sizeof options / sizeof *options, &values, "Pictures"};
    hone_status status = cli_flags_parse(&flags, argc, argv, error);
    if (status != HONE_OK || flags.help)
        return status;
    const hone_plot_request request = {
        .runs = flags.positionals,
        .count = flags.positional_count,
        .out = values.out,
        .x = strcmp(values.x, "step") == 0      ? HONE_PLOT_STEP
             : strcmp(values.x, "seconds") == 0 ? HONE_PLOT_SECONDS
                                                : HONE_PLOT_EPOCH,
        .written = print_path,
    };
    status = hone_plot_runs(&request, error);
    cli_flags_deinit(&flags);
    return status;
}

const cli_command cli_plot = {
    .name = "plot",
    .summary = "Pictures of the curves of runs, as PNG and SVG",
    .usage = "RUN [RUN...] [--out DIR] [--x AXIS]",
    .about = "Draws what the runs have: loss, perplexity, and ROUGE and BLEU where predictions "
             "were scored; several runs in one picture. A folder of hone compare stands for its "
             "runs. Prints the names of the files.",
    .examples = "hone plot runs/demo --x step\n"
                "hone plot runs/demo --x seconds --out runs/pictures",
    .run = run,
};
