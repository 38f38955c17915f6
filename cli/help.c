/* Help texts, made from the command's row and its option tables, at most 80 columns wide. */
#include "flags.h"

#include <stdio.h>
#include <string.h>

enum { WIDTH = 79, COLUMN = 30 };

/* Prints words from column `column` on, broken before WIDTH, with later lines indented to it. */
static void print_wrapped(const char *text, int column)
{
    int at = column;
    while (*text != '\0') {
        int length = (int)strcspn(text, " ");
        if (at > column && at + 1 + length > WIDTH) {
            printf("\n%*s", column, "");
            at = column;
        }
        if (at > column) {
            putchar(' ');
            at++;
        }
        printf("%.*s", length, text);
        at += length;
        text += length;
        text += strspn(text, " ");
    }
    putchar('\n');
}

/* Appends "a, b, c" from "a|b|c". */
static void append_choices(char *text, size_t size, const char *choices)
{
    size_t used = strlen(text);
    for (; *choices != '\0' && used + 3 < size; choices++) {
        if (*choices == '|') {
            text[used++] = ',';
            text[used++] = ' ';
        } else {
            text[used++] = *choices;
        }
    }
    text[used] = '\0';
}

static void print_option(const hone_option *option)
{
    char flag[96], text[1024];
    bool is_switch = option->type == HONE_OPTION_BOOL;
    snprintf(flag, sizeof flag, "  --%s%s%s", option->key, is_switch ? "" : " ",
             is_switch ? "" : option->metavar);
    for (char *c = flag; *c != '\0' && (c < flag + 3 || *c != ' '); c++)
        if (*c == '_')
            *c = '-';
    snprintf(text, sizeof text, "%s", option->help);
    if (option->choices != NULL) {
        strncat(text, ". One of ", sizeof text - strlen(text) - 1);
        append_choices(text, sizeof text, option->choices);
    }
    bool has_default = option->default_value[0] != '\0' &&
                       !(is_switch && strcmp(option->default_value, "false") == 0);
    if (has_default) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, " [%s]", option->default_value);
    }
    if ((int)strlen(flag) > COLUMN - 2)
        printf("%s\n%*s", flag, COLUMN, "");
    else
        printf("%-*s", COLUMN, flag);
    print_wrapped(text, COLUMN);
}

/* Prints each line of a text after a prefix; the first may have another. */
static void print_lines(const char *text, const char *first, const char *prefix)
{
    while (*text != '\0') {
        int length = (int)strcspn(text, "\n");
        printf("%s%.*s\n", first, length, text);
        first = prefix;
        text += length;
        text += *text == '\n';
    }
}

void cli_help_command(const cli_flags *flags)
{
    const cli_command *command = flags->command;
    char first[48], next[48];
    snprintf(first, sizeof first, "Usage: hone %s ", command->name);
    snprintf(next, sizeof next, "       hone %s ", command->name);
    print_lines(command->usage, first, next);
    putchar('\n');
    print_wrapped(command->about, 0);
    for (size_t s = 0; s < flags->count; s++) {
        const hone_option_set *set = &flags->sets[s];
        printf("\n%s:\n", set->title);
        for (size_t i = 0; i < set->count; i++)
            if (!cli_flags_hides(flags, set->options[i].key))
                print_option(&set->options[i]);
    }
    printf("\nA list takes commas or the flag several times; a switch may be followed by true\n"
           "or false; [value] is the default.\n\nExamples:\n");
    print_lines(command->examples, "  ", "  ");
}

void cli_help_program(const cli_command *const *commands, size_t count)
{
    printf("Usage: hone COMMAND [options]\n\n"
           "Fine-tunes, measures and runs language models on the processors at hand. Reads\n"
           "model folders as Transformers writes them, and writes adapters that PEFT loads.\n\n"
           "Commands:\n");
    for (size_t i = 0; i < count; i++)
        printf("  %-10s  %s\n", commands[i]->name, commands[i]->summary);
    printf("\nhone COMMAND --help tells a command's options; hone --version the version.\n\n"
           "Exit codes:\n  ");
    static const char *const texts[] = {
#define STATUS_TEXT(name, code, text) #code " " text,
        HONE_STATUS_LIST(STATUS_TEXT)
#undef STATUS_TEXT
    };
    char line[512] = "";
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        strncat(line, texts[i], sizeof line - strlen(line) - 1);
        strncat(line, i + 1 < sizeof texts / sizeof *texts ? ", " : "",
                sizeof line - strlen(line) - 1);
    }
    print_wrapped(line, 2);
}
