/* A command of the program: a row in the table of main.c, one cmd_*.c file each. */
#ifndef HONE_CLI_COMMAND_H
#define HONE_CLI_COMMAND_H

#include <hone/status.h>

typedef struct cli_command {
    const char *name;
    const char *summary;  /* a line in `hone --help` */
    const char *usage;    /* what follows "hone NAME", a line each */
    const char *about;    /* of `hone NAME --help`, wrapped there */
    const char *examples; /* commands that run in a checkout of hone, a line each */
    /* argv[0] is the first argument after the name. */
    hone_status (*run)(int argc, char **argv, hone_error *error);
} cli_command;

extern const cli_command cli_train, cli_eval, cli_generate, cli_merge, cli_plan, cli_inspect,
    cli_tokenize, cli_score, cli_plot, cli_report, cli_compare;

#endif
