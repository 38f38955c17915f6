/* hone report: the page of a run or of a comparison. */
#include "flags.h"
#include "print.h"

#include <hone/report.h>
#include <stdio.h>
#include <string.h>

/* clang-format off */
#define REPORT_FLAGS(X)                                                                            \
    X(STRING, out, "", 0, 0, NULL, "FILE", "The page to write; not set: report.html in the folder")
/* clang-format on */

typedef struct report_flags {
    REPORT_FLAGS(HONE_OPTION_FIELD)
} report_flags;

#define OBJECT report_flags
static const hone_option options[] = {REPORT_FLAGS(CLI_OPTION_ROW)};
#undef OBJECT

static void print_default(const char *folder)
{
    size_t length = strlen(folder);
    printf("%s%sreport.html\n", folder, length > 0 && folder[length - 1] == '/' ? "" : "/");
}

static hone_status run(int argc, char **argv, hone_error *error)
{
    report_flags values;
    cli_flags flags = {.command = &cli_report, .count = 1, .positional_name = "RUN"};
    flags.sets[0] = (hone_option_set){options, sizeof options / sizeof *options, &values, "Page"};
    hone_status status = cli_flags_parse(&flags, argc, argv, error);
    if (status != HONE_OK || flags.help)
        return status;
    if (flags.positional == NULL)
        status = cli_fail(error, HONE_USAGE, "which run? No folder was given");
    else
        status = hone_report_write(flags.positional, values.out, error);
    if (status == HONE_OK && values.out != NULL)
        puts(values.out);
    else if (status == HONE_OK && flags.positional != NULL)
        print_default(flags.positional);
    cli_flags_deinit(&flags);
    return status;
}

const cli_command cli_report = {
    .name = "report",
    .summary = "A page about a run: settings, results, curves, samples",
    .usage = "RUN [--out FILE]",
    .about = "Writes one HTML file that holds all it shows, opens from disk and loads nothing. RUN "
             "is a run folder, or a folder of hone compare: then the page shows its methods side "
             "by side. Prints the file's name.",
    .examples = "hone report runs/demo\n"
                "hone report runs/demo --out runs/demo.html",
    .run = run,
};
