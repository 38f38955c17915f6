/* Reading a command line: see flags.h. The arguments are walked twice, first to find the file of
 * settings, then to apply the flags over it. */
#include "flags.h"

#include "print.h"

#include <string.h>
#include <strings.h>

/* One argument taken apart. */
typedef struct argument {
    char flag[72];         /* "--learning-rate" */
    const char *key;       /* of the option found */
    const char *value;     /* NULL: a switch without one */
    size_t index;          /* in given */
    bool is_list, is_text; /* is_text: an item of a list, taken as it is */
} argument;

bool cli_flags_hides(const cli_flags *flags, const char *key)
{
    for (const char *const *hidden = flags->hidden; hidden != NULL && *hidden != NULL; hidden++)
        if (strcmp(*hidden, key) == 0)
            return true;
    return false;
}

static const hone_option *find(const cli_flags *flags, const char *key, size_t *index)
{
    const hone_option_set *owner;
    const hone_option *option = hone_options_find(flags->sets, flags->count, key, &owner);
    if (option == NULL || cli_flags_hides(flags, option->key))
        return NULL;
    *index = (size_t)(option - owner->options);
    for (const hone_option_set *set = flags->sets; set < owner; set++)
        *index += set->count;
    return option;
}

static hone_status unknown(const cli_flags *flags, const char *flag, hone_error *error)
{
    const char *near = hone_options_nearest(flags->sets, flags->count, flag + 2);
    char dashed[72] = "";
    if (near != NULL && !cli_flags_hides(flags, near)) {
        snprintf(dashed, sizeof dashed, "; did you mean --%s?", near);
        for (char *c = dashed; *c != '\0'; c++)
            if (*c == '_')
                *c = '-';
    }
    return cli_fail(error, HONE_USAGE, "unknown option %.100s%s", flag, dashed);
}

static bool is_switch_word(const char *text)
{
    return strcasecmp(text, "true") == 0 || strcasecmp(text, "false") == 0;
}

/* Reads the flag at argv[*at] with its value, and moves *at past them. */
static hone_status read_flag(const cli_flags *flags, int argc, char **argv, int *at, argument *out,
                             hone_error *error)
{
    const char *text = argv[(*at)++];
    size_t length = strcspn(text, "=");
    *out = (argument){0};
    if (length >= sizeof out->flag)
        return cli_fail(error, HONE_USAGE, "unknown option %.100s", text);
    memcpy(out->flag, text, length);
    const hone_option *option = find(flags, out->flag + 2, &out->index);
    if (option == NULL)
        return unknown(flags, out->flag, error);
    out->key = option->key;
    out->is_list = option->type == HONE_OPTION_LIST;
    out->is_text = out->is_list && strcmp(option->metavar, "TEXT") == 0;
    const char *next = *at < argc ? argv[*at] : NULL;
    if (text[length] == '=') {
        out->value = text + length + 1;
    } else if (option->type == HONE_OPTION_BOOL) {
        out->value = next != NULL && is_switch_word(next) ? argv[(*at)++] : "true";
    } else if (next == NULL || strncmp(next, "--", 2) == 0) {
        /* A value that starts with dashes is almost always a forgotten one. */
        return cli_fail(error, HONE_USAGE,
                        "%s needs a value (one that starts with -- is given with =)", out->flag);
    } else {
        out->value = argv[(*at)++];
    }
    return HONE_OK;
}

static hone_status find_positional(cli_flags *flags, int argc, char **argv, hone_error *error)
{
    bool only_positionals = false;
    for (int at = 0; at < argc;) {
        if (!only_positionals && strcmp(argv[at], "--") == 0) {
            only_positionals = true;
            at++;
        } else if (!only_positionals && strncmp(argv[at], "--", 2) == 0) {
            argument ignored;
            hone_status status = read_flag(flags, argc, argv, &at, &ignored, error);
            if (status != HONE_OK)
                return status;
            flags->flags_given++;
        } else if (!only_positionals && argv[at][0] == '-' && argv[at][1] != '\0') {
            return cli_fail(error, HONE_USAGE,
                            "unknown option %.100s (options start with two dashes)", argv[at]);
        } else if (flags->positional_name == NULL ||
                   (flags->positional_count > 0 && !flags->many_positionals)) {
            return cli_fail(error, HONE_USAGE, "unexpected argument '%.200s'", argv[at]);
        } else if (flags->positional_count == CLI_POSITIONALS) {
            return cli_fail(error, HONE_USAGE, "more than %d arguments", CLI_POSITIONALS);
        } else {
            flags->positionals[flags->positional_count++] = argv[at++];
        }
    }
    flags->positional = flags->positionals[0];
    return HONE_OK;
}

/* The first of a repeated list flag replaces what the file says. */
static hone_status apply_flag(const cli_flags *flags, const argument *flag, hone_error *error)
{
    const hone_option_set *sets = flags->sets;
    size_t count = flags->count;
    bool again = flags->given[flag->index];
    if (flag->is_list && again && !flag->is_text)
        return hone_options_add_text(sets, count, flag->key, flag->value, flag->flag, error);
    if (!flag->is_text)
        return hone_options_set_text(sets, count, flag->key, flag->value, flag->flag, error);
    hone_status status = HONE_OK;
    if (!again)
        status = hone_options_set_text(sets, count, flag->key, "", flag->flag, error);
    if (status == HONE_OK)
        status = hone_options_add_item(sets, count, flag->key, flag->value, flag->flag, error);
    return status;
}

static hone_status apply_flags(cli_flags *flags, int argc, char **argv, hone_error *error)
{
    for (int at = 0; at < argc;) {
        if (strcmp(argv[at], "--") == 0)
            return HONE_OK;
        if (strncmp(argv[at], "--", 2) != 0) {
            at++;
            continue;
        }
        argument flag;
        hone_status status = read_flag(flags, argc, argv, &at, &flag, error);
        if (status != HONE_OK)
            return status;
        status = apply_flag(flags, &flag, error);
        if (status != HONE_OK)
            return status;
        flags->given[flag.index] = true;
    }
    return HONE_OK;
}

static bool asks_help(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    return false;
}

hone_status cli_flags_parse(cli_flags *flags, int argc, char **argv, hone_error *error)
{
    flags->help = asks_help(argc, argv);
    if (flags->help) {
        cli_help_command(flags);
        return HONE_OK;
    }
    for (size_t i = 0; i < flags->count; i++) {
        hone_status status = hone_options_init(&flags->sets[i], error);
        if (status != HONE_OK) {
            while (i > 0)
                hone_options_deinit(&flags->sets[--i]);
            return status;
        }
    }
    hone_status status = find_positional(flags, argc, argv, error);
    if (status == HONE_OK && flags->positional != NULL && flags->positional_is_settings)
        status = hone_options_load(flags->sets, flags->count, flags->positional, error);
    if (status == HONE_OK)
        status = apply_flags(flags, argc, argv, error);
    if (status != HONE_OK)
        cli_flags_deinit(flags);
    return status;
}

void cli_flags_deinit(cli_flags *flags)
{
    for (size_t i = 0; i < flags->count && !flags->help; i++)
        hone_options_deinit(&flags->sets[i]);
}

bool cli_flags_given(const cli_flags *flags, const char *key)
{
    size_t index;
    return find(flags, key, &index) != NULL && flags->given[index];
}

hone_status cli_flags_require(const cli_flags *flags, const char *key, const char *value,
                              hone_error *error)
{
    if (value != NULL)
        return HONE_OK;
    size_t index;
    const hone_option *option = find(flags, key, &index);
    char flag[96];
    snprintf(flag, sizeof flag, "--%s %s", key, option != NULL ? option->metavar : "");
    for (char *c = flag; *c != '\0' && *c != ' '; c++)
        if (*c == '_')
            *c = '-';
    return cli_fail(error, HONE_USAGE, "%s is needed", flag);
}
