/* hone eval: loss and perplexity of a model on a data file, and log-probabilities of its tokens. */
#include "bar.h"
#include "flags.h"
#include "print.h"
#include "stop.h"

#include <errno.h>
#include <fcntl.h>
#include <hone/evaluate.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* clang-format off */
#define EVAL_FLAGS(X)                                                                              \
    X(STRING, data, "", 0, 0, NULL, "FILE",                                                        \
      "Data to measure on: .jsonl, .csv or .txt, plain or .zst")                                   \
    X(STRING, logprobs, "", 0, 0, NULL, "FILE",                                                    \
      "Write a JSON object a document: its ids and ln p(id | ids before)")                         \
    X(INTEGER, batch_size, "8", 1, 65536, NULL, "N", "Documents at once")                          \
   X(INTEGER, window, "0", 0, 1048576, NULL, "N",                                                 \
     "Measure long documents whole, by windows of N tokens")                                       \
   X(INTEGER, stride, "0", 0, 1048576, NULL, "N",                                                 \
     "Tokens from one window to the next; 0: half a window")                                       \
    X(BOOL, json, "false", 0, 0, NULL, NULL, "Print one JSON object")
/* clang-format on */

typedef struct eval_flags {
    EVAL_FLAGS(HONE_OPTION_FIELD)
} eval_flags;

#define OBJECT eval_flags
static const hone_option options[] = {EVAL_FLAGS(CLI_OPTION_ROW)};
#undef OBJECT

/* The log-probability file: written beside its name and moved there when complete, unless the name
 * is that of a pipe, a device or a link, as /dev/stdout is: moving would replace it. */
typedef struct logprob_file {
    FILE *file;
    const char *path;
    char temporary[4096];
} logprob_file;

typedef struct evaluating {
    logprob_file logprobs;
    cli_bar bar;
} evaluating;

static hone_status file_failed(const logprob_file *out, hone_error *error)
{
    int number = errno;
    cli_fail(error, HONE_IO, "cannot write: %s", strerror(number));
    snprintf(error->file, sizeof error->file, "%s", out->path);
    return HONE_IO;
}

/* What already goes to the file of standard output must not be written over. */
static FILE *open_directly(const char *path)
{
    struct stat facts, output;
    if (stat(path, &facts) == 0 && fstat(STDOUT_FILENO, &output) == 0 &&
        facts.st_dev == output.st_dev && facts.st_ino == output.st_ino) {
        int copy = dup(STDOUT_FILENO);
        return copy >= 0 ? fdopen(copy, "w") : NULL;
    }
    return fopen(path, "w");
}

static hone_status open_logprobs(logprob_file *out, hone_error *error)
{
    struct stat facts;
    bool direct = lstat(out->path, &facts) == 0 && !S_ISREG(facts.st_mode);
    int length = snprintf(out->temporary, sizeof out->temporary, direct ? "%s" : "%s.tmp.%ld",
                          out->path, (long)getpid());
    if (length < 0 || (size_t)length >= sizeof out->temporary)
        return cli_fail(error, HONE_USAGE, "--logprobs: the name is too long");
    out->file = direct ? open_directly(out->path) : fopen(out->temporary, "w");
    if (out->file == NULL)
        return file_failed(out, error);
    if (direct)
        out->temporary[0] = '\0';
    return HONE_OK;
}

/* The name is there for good once its folder is synced; where folders can't be, there is nothing to
 * do. */
static bool sync_folder_of(const char *path)
{
    char folder[4096] = ".";
    const char *slash = strrchr(path, '/');
    if (slash != NULL)
        snprintf(folder, sizeof folder, "%.*s", (int)(slash - path) + 1, path);
    int descriptor, result;
    do
        descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    while (descriptor < 0 && errno == EINTR);
    if (descriptor < 0)
        return false;
    do
        result = fsync(descriptor);
    while (result != 0 && errno == EINTR);
    bool synced = result == 0 || errno == EINVAL || errno == ENOTSUP;
    close(descriptor);
    return synced;
}

/* Ends the file. Whatever was not written well is removed. */
static hone_status close_logprobs(logprob_file *out, hone_status status, hone_error *error)
{
    if (out->file == NULL)
        return status;
    bool temporary = out->temporary[0] != '\0';
    errno = EIO;
    bool written = fflush(out->file) == 0 && !ferror(out->file);
    if (written && temporary)
        written = fsync(fileno(out->file)) == 0;
    written = fclose(out->file) == 0 && written;
    if (written && status == HONE_OK && temporary)
        written = rename(out->temporary, out->path) == 0 && sync_folder_of(out->path);
    if (!written && status == HONE_OK)
        status = file_failed(out, error);
    if (status != HONE_OK && temporary)
        unlink(out->temporary);
    return status;
}

static void write_logprobs(void *context, int64_t document, const int32_t *ids,
                           const float *logprobs, int64_t count)
{
    (void)document;
    FILE *file = ((evaluating *)context)->logprobs.file;
    fputs("{\"ids\":", file);
    cli_json_ids(file, ids, (size_t)count);
    fputs(",\"logprobs\":[", file);
    for (int64_t i = 0; i < count; i++) {
        if (i > 0)
            putc(',', file);
        cli_json_real(file, (double)logprobs[i], 9);
    }
    fputs("]}\n", file);
}

static int show_progress(void *context, int64_t done, int64_t total)
{
    cli_bar_show(&((evaluating *)context)->bar, done, total);
    return cli_stop_signal() != 0;
}

/* A figure that is not known is null. */
static void print_known(const char *key, double value)
{
    printf(",\"%s\":", key);
    cli_json_real(stdout, value > 0.0 ? value : (double)NAN, 12);
}

static void print_result(const hone_evaluation *result, bool json)
{
    char signature[128];
    hone_evaluation_signature(result, signature, sizeof signature);
    if (!json) {
        printf("loss        %.6f\nperplexity  %.6g\n", result->loss, result->perplexity);
        if (result->bytes > 0)
            printf("by word     %.6g (%lld words)\nby byte     %.6g (%lld bytes, %.5f bits each)\n",
                   result->word_perplexity, (long long)result->words, result->byte_perplexity,
                   (long long)result->bytes, result->bits_per_byte);
        printf("tokens      %lld\ndocuments   %lld\nsignature   %s\n", (long long)result->tokens,
               (long long)result->documents, signature);
        if (result->truncated > 0)
            printf("truncated   %lld\n", (long long)result->truncated);
        if (result->bad_lines > 0)
            printf("bad lines   %lld\n", (long long)result->bad_lines);
        if (result->empty_rows > 0)
            printf("empty rows  %lld\n", (long long)result->empty_rows);
        printf("seconds     %.2f\n", result->seconds);
        return;
    }
    fputs("{\"loss\":", stdout);
    cli_json_real(stdout, result->loss, 12);
    fputs(",\"perplexity\":", stdout);
    cli_json_real(stdout, result->perplexity, 12);
    print_known("word_perplexity", result->word_perplexity);
    print_known("byte_perplexity", result->byte_perplexity);
    print_known("bits_per_byte", result->bits_per_byte);
    printf(",\"words\":%lld,\"bytes\":%lld,\"signature\":\"%s\"", (long long)result->words,
           (long long)result->bytes, signature);
    printf(",\"tokens\":%lld,\"documents\":%lld,\"truncated\":%lld,\"bad_lines\":%lld,"
           "\"empty_rows\":%lld,\"seconds\":",
           (long long)result->tokens, (long long)result->documents, (long long)result->truncated,
           (long long)result->bad_lines, (long long)result->empty_rows);
    cli_json_real(stdout, result->seconds, 6);
    fputs("}\n", stdout);
}

static hone_status evaluate(const eval_flags *flags, const hone_model_settings *model_settings,
                            const hone_data_settings *data_settings, hone_error *error)
{
    hone_model *model = NULL;
    evaluating state = {.logprobs = {.path = flags->logprobs}};
    hone_evaluation result;
    hone_status status = hone_model_open(model_settings, NULL, &model, error);
    if (status == HONE_OK && flags->logprobs != NULL)
        status = open_logprobs(&state.logprobs, error);
    if (status == HONE_OK) {
        const hone_evaluate_options request = {
            .data = flags->data,
            .settings = data_settings,
            .batch_size = flags->batch_size,
            .window = flags->window,
            .stride = flags->stride,
            .logprobs = state.logprobs.file != NULL ? write_logprobs : NULL,
            .progress = show_progress,
            .context = &state,
        };
        cli_bar_begin(&state.bar, "documents");
        cli_stop_watch(true, NULL);
        status = hone_evaluate(model, &request, &result, error);
        cli_stop_watch(false, NULL);
        cli_bar_end(&state.bar);
    }
    status = close_logprobs(&state.logprobs, status, error);
    if (status == HONE_OK)
        print_result(&result, flags->json);
    hone_model_close(model);
    return status;
}

static hone_status run(int argc, char **argv, hone_error *error)
{
    static const char *const hidden[] = {"shuffle", NULL};
    eval_flags values;
    hone_model_settings model_settings;
    hone_data_settings data_settings;
    cli_flags flags = {.command = &cli_eval, .count = 3, .hidden = hidden};
    flags.sets[0] =
        (hone_option_set){options, sizeof options / sizeof *options, &values, "Measuring"};
    flags.sets[1] = hone_model_option_set(&model_settings);
    flags.sets[2] = hone_data_option_set(&data_settings);
    hone_status status = cli_flags_parse(&flags, argc, argv, error);
    if (status != HONE_OK || flags.help)
        return status;
    status = cli_flags_require(&flags, "model", model_settings.model, error);
    if (status == HONE_OK)
        status = cli_flags_require(&flags, "data", values.data, error);
    if (status == HONE_OK)
        status = evaluate(&values, &model_settings, &data_settings, error);
    cli_flags_deinit(&flags);
    return status;
}

const cli_command cli_eval = {
    .name = "eval",
    .summary = "Loss and perplexity of a model on a data file",
    .usage = "--model DIR [--adapter DIR] --data FILE [options]",
    .about = "Measures the mean loss (-ln p) over the tokens that training would train on, and its "
             "exponential, the perplexity: by token, and by word and byte of the text that these "
             "tokens stand for, which can be compared between tokenizers. Rows are as for hone "
             "train. With --window, documents longer than it are measured whole: windows of so "
             "many tokens begin --stride tokens apart, and each counts the tokens that the one "
             "before has not.",
    .examples = "hone eval --model models/tiny-gpt2 --data data/demo/valid.jsonl\n"
                "hone eval --model models/tiny-gpt2 --data data/demo/valid.jsonl --json\n"
                "hone eval --model models/tiny-gpt2 --data data/demo/valid.jsonl \\\n"
                "    --adapter runs/demo/adapter --logprobs runs/logprobs.jsonl",
    .run = run,
};
