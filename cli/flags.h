/* Command lines against option sets: every flag is a key of a table, so its check, its default and
 * its line in --help come from there. */
#ifndef HONE_CLI_FLAGS_H
#define HONE_CLI_FLAGS_H

#include "command.h"

#include <hone/options.h>

enum { CLI_SETS = 8, CLI_OPTIONS = 256, CLI_POSITIONALS = 64 };

typedef struct cli_flags {
    const cli_command *command;
    hone_option_set sets[CLI_SETS];
    size_t count;
    const char *const *hidden; /* keys of the sets that this command lacks, NULL at the end */
    const char *positional_name;
    bool positional_is_settings; /* a file of settings, read before the flags are applied */
    bool many_positionals;       /* else one at most */

    const char *positional; /* the first, or NULL */
    const char *positionals[CLI_POSITIONALS];
    size_t positional_count;
    bool help; /* --help was among the arguments; nothing else was done */
    bool given[CLI_OPTIONS];
    size_t flags_given;
} cli_flags;

/* The fields of a command's own table, and its rows. */
#define CLI_OPTION_ROW(type, key, value, minimum, maximum, choices, metavar, help)                 \
    {#key, HONE_OPTION_##type, offsetof(OBJECT, key), value, minimum, maximum, choices, metavar,   \
     help},

/* Gives all sets their defaults and applies the arguments: the file first, then the flags in their
 * order, whatever stands first. On failure and on help nothing is left to free. */
hone_status cli_flags_parse(cli_flags *flags, int argc, char **argv, hone_error *error);
void cli_flags_deinit(cli_flags *flags);
bool cli_flags_given(const cli_flags *flags, const char *key);
bool cli_flags_hides(const cli_flags *flags, const char *key);
/* HONE_USAGE "--key METAVAR is needed" unless the text is set. */
hone_status cli_flags_require(const cli_flags *flags, const char *key, const char *value,
                              hone_error *error);

/* `hone NAME --help` on stdout. */
void cli_help_command(const cli_flags *flags);
/* `hone --help`. */
void cli_help_program(const cli_command *const *commands, size_t count);

#endif
