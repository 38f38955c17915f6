/* The program `hone`: a table of commands over the library's public interface. Owns the exit code;
 * results go to stdout, all else to stderr. */
#include "command.h"
#include "flags.h"
#include "print.h"
#include "stop.h"

#include <stdio.h>
#include <string.h>

static const cli_command *const commands[] = {
    &cli_train, &cli_compare, &cli_eval,     &cli_generate, &cli_score, &cli_merge,
    &cli_plan,  &cli_inspect, &cli_tokenize, &cli_plot,     &cli_report};
enum { COMMANDS = sizeof commands / sizeof *commands };

static const cli_command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static int unknown_command(const char *name)
{
    hone_option names[COMMANDS];
    for (size_t i = 0; i < COMMANDS; i++)
        names[i] = (hone_option){.key = commands[i]->name};
    const hone_option_set set = {.options = names, .count = COMMANDS};
    const char *near = hone_options_nearest(&set, 1, name);
    fprintf(stderr, "hone: there is no command '%.40s'", name);
    if (near != NULL)
        fprintf(stderr, "; did you mean %s?", near);
    fputs("\nhone --help lists them\n", stderr);
    return hone_status_exit_code(HONE_USAGE);
}

/* `name` is empty for the program itself. */
static int finish(const char *name, hone_status status, hone_error *error)
{
    if (status == HONE_OK)
        status = cli_finish_output(error);
    if (status == HONE_STOPPED && cli_stop_signal() != 0)
        return 128 + cli_stop_signal();
    if (status == HONE_OK)
        return 0;
    fflush(stdout);
    cli_print_error(name, error);
    if (status == HONE_USAGE)
        fprintf(stderr, "hone %s --help tells the options\n", name);
    return hone_status_exit_code(status);
}

static int run_command(const cli_command *command, int argc, char **argv)
{
    cli_stop_install();
    cli_print_remarks();
    hone_error error = {.line = -1, .offset = -1};
    hone_status status = command->run(argc, argv, &error);
    return finish(command->name, status, &error);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    hone_error error;
    if (argc < 2) {
        fputs("usage: hone COMMAND [options]; hone --help lists the commands\n", stderr);
        return hone_status_exit_code(HONE_USAGE);
    }
    if (strcmp(name, "--version") == 0) {
        puts("hone " HONE_VERSION);
        return finish("", HONE_OK, &error);
    }
    bool asks_help =
        strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0;
    if (asks_help && argc == 2) {
        cli_help_program(commands, COMMANDS);
        return finish("", HONE_OK, &error);
    }
    const cli_command *command = find_command(asks_help ? argv[2] : name);
    if (command == NULL)
        return unknown_command(asks_help ? argv[2] : name);
    static char help[] = "--help";
    char *help_arguments[] = {help, NULL};
    return asks_help ? run_command(command, 1, help_arguments)
                     : run_command(command, argc - 2, argv + 2);
}
