/* hone tokenize: text on standard input to token ids, or back. */
#include "flags.h"
#include "input.h"
#include "print.h"

#include <hone/tokenizer.h>
#include <string.h>

/* clang-format off */
#define TOKENIZE_FLAGS(X)                                                                          \
    X(STRING, model, "", 0, 0, NULL, "DIR", "Folder with the tokenizer")                          \
    X(BOOL, decode, "false", 0, 0, NULL, NULL, "Ids on standard input to text")                   \
    X(BOOL, count, "false", 0, 0, NULL, NULL, "Print how many tokens and bytes there are")        \
    X(BOOL, json, "false", 0, 0, NULL, NULL, "Print one JSON object")
/* clang-format on */

typedef struct tokenize_flags {
    TOKENIZE_FLAGS(HONE_OPTION_FIELD)
} tokenize_flags;

#define OBJECT tokenize_flags
static const hone_option options[] = {TOKENIZE_FLAGS(CLI_OPTION_ROW)};
#undef OBJECT

static hone_status encode(const tokenize_flags *flags, const hone_tokenizer *tokenizer,
                          const char *text, size_t length, hone_error *error)
{
    int32_t *ids = NULL;
    size_t capacity = 0, count = 0;
    hone_status status =
        hone_tokenizer_encode(tokenizer, text, length, &ids, &capacity, &count, error);
    if (status == HONE_OK && flags->count && flags->json) {
        printf("{\"tokens\":%zu,\"bytes\":%zu}\n", count, length);
    } else if (status == HONE_OK && flags->count) {
        printf("tokens  %zu\nbytes   %zu\n", count, length);
    } else if (status == HONE_OK && flags->json) {
        fputs("{\"ids\":", stdout);
        cli_json_ids(stdout, ids, count);
        fputs("}\n", stdout);
    } else if (status == HONE_OK) {
        cli_print_ids(stdout, ids, count, ' ');
        putchar('\n');
    }
    hone_tokenizer_free(ids);
    return status;
}

/* Ids between blanks, commas and brackets, so that all that encode prints can be read. */
static hone_status parse_ids(const char *text, size_t length, int32_t *ids, size_t *count,
                             hone_error *error)
{
    for (size_t i = 0; i < length;) {
        if (memchr(" \t\r\n,[]", text[i], 8) != NULL) {
            i++;
            continue;
        }
        int64_t id = 0;
        size_t start = i;
        for (; i < length && text[i] >= '0' && text[i] <= '9' && id <= INT32_MAX; i++)
            id = 10 * id + (text[i] - '0');
        if (i == start || id > INT32_MAX) {
            cli_fail(error, HONE_INPUT, "expected token ids with blanks between them");
            snprintf(error->file, sizeof error->file, "standard input");
            error->offset = (int64_t)start;
            return HONE_INPUT;
        }
        ids[(*count)++] = (int32_t)id;
    }
    return HONE_OK;
}

static hone_status decode(const tokenize_flags *flags, const hone_tokenizer *tokenizer,
                          const char *text, size_t length, hone_error *error)
{
    cli_pages ids = {0};
    size_t count = 0, decoded_length = 0;
    char *decoded = NULL;
    hone_status status = cli_pages_grow(&ids, (length / 2 + 1) * sizeof(int32_t), error);
    if (status == HONE_OK)
        status = parse_ids(text, length, ids.block, &count, error);
    if (status == HONE_OK)
        status =
            hone_tokenizer_decode(tokenizer, ids.block, count, 0, &decoded, &decoded_length, error);
    if (status == HONE_OK && flags->count && flags->json) {
        printf("{\"tokens\":%zu,\"bytes\":%zu}\n", count, decoded_length);
    } else if (status == HONE_OK && flags->count) {
        printf("tokens  %zu\nbytes   %zu\n", count, decoded_length);
    } else if (status == HONE_OK && flags->json) {
        fputs("{\"text\":", stdout);
        cli_json_string(stdout, decoded, decoded_length);
        fputs("}\n", stdout);
    } else if (status == HONE_OK) {
        fwrite(decoded, 1, decoded_length, stdout);
    }
    hone_tokenizer_free(decoded);
    cli_pages_free(&ids);
    return status;
}

static hone_status tokenize(const tokenize_flags *flags, hone_error *error)
{
    hone_tokenizer *tokenizer = NULL;
    cli_pages input = {0};
    size_t length;
    hone_status status = hone_tokenizer_open(flags->model, &tokenizer, error);
    if (status == HONE_OK)
        status = cli_read_stdin(&input, &length, error);
    if (status == HONE_OK)
        status = flags->decode ? decode(flags, tokenizer, input.block, length, error)
                               : encode(flags, tokenizer, input.block, length, error);
    cli_pages_free(&input);
    hone_tokenizer_close(tokenizer);
    return status;
}

static hone_status run(int argc, char **argv, hone_error *error)
{
    tokenize_flags values;
    cli_flags flags = {.command = &cli_tokenize, .count = 1};
    flags.sets[0] =
        (hone_option_set){options, sizeof options / sizeof *options, &values, "Options"};
    hone_status status = cli_flags_parse(&flags, argc, argv, error);
    if (status != HONE_OK || flags.help)
        return status;
    status = cli_flags_require(&flags, "model", values.model, error);
    if (status == HONE_OK)
        status = tokenize(&values, error);
    cli_flags_deinit(&flags);
    return status;
}

const cli_command cli_tokenize = {
    .name = "tokenize",
    .summary = "Text to token ids, or back",
    .usage = "--model DIR < TEXT\n--model DIR --decode < IDS",
    .about = "Reads standard input to its end and prints its token ids, or, with --decode, the "
             "text of ids. Special tokens in the text, such as <|endoftext|>, become their ids.",
    .examples = "echo 'Hello world' | hone tokenize --model models/tiny-gpt2\n"
                "hone tokenize --model models/tiny-gpt2 --count < README.md\n"
                "echo 'Hello world' | hone tokenize --model models/tiny-gpt2 \\\n"
                "    | hone tokenize --model models/tiny-gpt2 --decode",
    .run = run,
};
