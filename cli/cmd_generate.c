/* hone generate: text that goes on from prompts. */
#include "bar.h"
#include "flags.h"
#include "print.h"
#include "stop.h"

#include <hone/predict.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* clang-format off */
#define GENERATE_FLAGS(X)                                                                          \
    X(LIST, prompt, "", 0, 0, NULL, "TEXT", "Text to go on from; several times: several prompts")  \
    X(STRING, data, "", 0, 0, NULL, "FILE",                                                        \
      "Prompts from a file: of .jsonl or .csv each row's prompt, source or text; of .txt each line") \
    X(INTEGER, limit, "0", 0, 1e15, NULL, "N", "Take the first N rows of the file; 0: all")         \
    X(STRING, out, "", 0, 0, NULL, "FILE",                                                         \
      "Write one JSON object a text here, with the row's completion or target as the reference")   \
    X(BOOL, echo, "false", 0, 0, NULL, NULL, "Print the prompt before its text")                   \
    X(BOOL, json, "false", 0, 0, NULL, NULL,                                                       \
      "Print one JSON object a text; with --out one about the whole")
/* clang-format on */

typedef struct generate_flags {
    GENERATE_FLAGS(HONE_OPTION_FIELD)
} generate_flags;

#define OBJECT generate_flags
static const hone_option options[] = {GENERATE_FLAGS(CLI_OPTION_ROW)};
#undef OBJECT

typedef struct generating {
    const generate_flags *flags;
    const hone_tokenizer *tokenizer; /* or NULL */
    const hone_prompt *prompts;
    bool single; /* one text in all: it is printed as it is made */
    bool beams;  /* texts have scores */
} generating;

/* The prompt as text, or NULL without a tokenizer. Free with hone_tokenizer_free. */
static char *prompt_text(const generating *state, int64_t prompt, size_t *length)
{
    char *text = NULL;
    const hone_prompt *from = &state->prompts[prompt];
    if (state->tokenizer == NULL ||
        hone_tokenizer_decode(state->tokenizer, from->ids, (size_t)from->count, 1, &text, length,
                              NULL) != HONE_OK)
        return NULL;
    return text;
}

static void print_prompt(const generating *state, int64_t prompt)
{
    size_t length;
    char *text = prompt_text(state, prompt, &length);
    if (text != NULL)
        fwrite(text, 1, length, stdout);
    hone_tokenizer_free(text);
}

static int stream(void *context, int64_t prompt, int64_t sequence, const char *text, size_t length)
{
    const generating *state = context;
    (void)prompt;
    (void)sequence;
    if (state->single && !state->flags->json) {
        fwrite(text, 1, length, stdout);
        fflush(stdout);
    }
    return cli_stop_signal() != 0;
}

static void print_json(const generating *state, const hone_generated *made)
{
    static const char *const finishes[] = {"eos", "stop", "length"};
    size_t length;
    char *prompt = prompt_text(state, made->prompt, &length);
    printf("{\"prompt_index\":%lld,\"sequence\":%lld", (long long)made->prompt,
           (long long)made->sequence);
    if (prompt != NULL) {
        fputs(",\"prompt\":", stdout);
        cli_json_string(stdout, prompt, length);
    }
    if (made->text != NULL) {
        fputs(",\"text\":", stdout);
        cli_json_string(stdout, made->text, made->length);
    }
    fputs(",\"ids\":", stdout);
    cli_json_ids(stdout, made->ids, (size_t)made->count);
    printf(",\"finish\":\"%s\"", finishes[made->finish]);
    if (state->beams) {
        fputs(",\"score\":", stdout);
        cli_json_real(stdout, made->score, 9);
    }
    fputs("}\n", stdout);
    hone_tokenizer_free(prompt);
}

static void finished(void *context, const hone_generated *made)
{
    const generating *state = context;
    if (state->flags->json) {
        print_json(state, made);
    } else if (state->single) {
        if (made->text == NULL)
            cli_print_ids(stdout, made->ids, (size_t)made->count, ' ');
        putchar('\n');
    } else {
        printf("== prompt %lld, text %lld\n", (long long)made->prompt + 1,
               (long long)made->sequence + 1);
        if (state->flags->echo)
            print_prompt(state, made->prompt);
        if (made->text != NULL)
            fwrite(made->text, 1, made->length, stdout);
        else
            cli_print_ids(stdout, made->ids, (size_t)made->count, ' ');
        putchar('\n');
    }
    fflush(stdout);
}

static hone_status read_prompts(const generate_flags *flags, const hone_data_settings *data,
                                hone_prompts *prompts, hone_error *error)
{
    hone_status status = HONE_OK;
    if (flags->data != NULL) {
        int64_t skipped;
        status = hone_prompts_add_file(prompts, flags->data, data, flags->limit, &skipped, error);
        if (status == HONE_OK && skipped > 0)
            fprintf(stderr, "note: %lld bad lines were skipped\n", (long long)skipped);
        return status;
    }
    for (size_t i = 0; status == HONE_OK && i < flags->prompt.count; i++)
        status = hone_prompts_add_text(prompts, flags->prompt.items[i],
                                       strlen(flags->prompt.items[i]), data, error);
    return status;
}

/* ---- to a file ---------------------------------------------------------------------------- */

static int show_progress(void *context, const hone_prediction_counts *done, int64_t prompts)
{
    cli_bar_show(context, done->prompts, prompts);
    return cli_stop_signal() != 0;
}

static hone_status predict(const generate_flags *flags, hone_model *model,
                           const hone_prompts *prompts, const hone_generate_settings *settings,
                           uint64_t seed, hone_error *error)
{
    cli_bar bar;
    hone_prediction_counts counts;
    struct timespec begin, end;
    const hone_predict_options request = {
        .settings = settings, .seed = seed, .progress = show_progress, .context = &bar};
    cli_bar_begin(&bar, "prompts");
    clock_gettime(CLOCK_MONOTONIC, &begin);
    hone_status status = hone_predict(model, prompts, &request, flags->out, &counts, error);
    clock_gettime(CLOCK_MONOTONIC, &end);
    cli_bar_end(&bar);
    if (status != HONE_OK)
        return status;
    double seconds =
        (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec);
    if (!flags->json) {
        fprintf(stderr, "%lld texts, %lld tokens, %.1f s: %s\n", (long long)counts.texts,
                (long long)counts.tokens, seconds, flags->out);
        return HONE_OK;
    }
    printf("{\"prompts\":%lld,\"texts\":%lld,\"tokens\":%lld,\"seconds\":",
           (long long)counts.prompts, (long long)counts.texts, (long long)counts.tokens);
    cli_json_real(stdout, seconds, 6);
    fputs(",\"out\":", stdout);
    cli_json_string(stdout, flags->out, strlen(flags->out));
    fputs("}\n", stdout);
    return HONE_OK;
}

/* ---- the whole ---------------------------------------------------------------------------- */

static hone_status print_texts(const generate_flags *flags, hone_model *model,
                               const hone_prompts *prompts, const hone_generate_settings *settings,
                               uint64_t seed, hone_error *error)
{
    int64_t count = hone_prompts_count(prompts);
    generating state = {flags, hone_model_tokenizer(model), hone_prompts_get(prompts),
                        count == 1 && settings->num_return_sequences == 1, settings->num_beams > 1};
    const hone_generate_options request = {.settings = settings,
                                           .seed = seed,
                                           .stream = stream,
                                           .finished = finished,
                                           .context = &state};
    if (state.single && flags->echo && !flags->json)
        print_prompt(&state, 0);
    return hone_generate(model, state.prompts, count, &request, error);
}

static hone_status generate(const generate_flags *flags, const hone_model_settings *model_settings,
                            const hone_generate_settings *settings, const hone_data_settings *data,
                            hone_error *error)
{
    hone_model *model = NULL;
    hone_prompts *prompts = NULL;
    hone_status status = hone_model_open(model_settings, NULL, &model, error);
    if (status == HONE_OK)
        status = hone_prompts_create(model, &prompts, error);
    if (status == HONE_OK && flags->out != NULL)
        hone_prompts_keep_rows(prompts);
    if (status == HONE_OK)
        status = read_prompts(flags, data, prompts, error);
    if (status == HONE_OK) {
        uint64_t seed = (uint64_t)model_settings->seed;
        cli_stop_watch(true, NULL);
        status = flags->out != NULL ? predict(flags, model, prompts, settings, seed, error)
                                    : print_texts(flags, model, prompts, settings, seed, error);
        cli_stop_watch(false, NULL);
    }
    hone_prompts_free(prompts);
    hone_model_close(model);
    return status;
}

static bool is_same_file(const char *a, const char *b)
{
    struct stat first, second;
    return stat(a, &first) == 0 && stat(b, &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

static hone_status run(int argc, char **argv, hone_error *error)
{
    static const char *const hidden[] = {"max_length",
                                         "max_target_length",
                                         "long_documents",
                                         "allow_empty",
                                         "append_eos",
                                         "objective",
                                         "noise_density",
                                         "shuffle",
                                         "mean_noise_span_length",
                                         NULL};
    generate_flags values;
    hone_model_settings model_settings;
    hone_generate_settings settings;
    hone_data_settings data;
    cli_flags flags = {.command = &cli_generate, .count = 4, .hidden = hidden};
    flags.sets[0] =
        (hone_option_set){options, sizeof options / sizeof *options, &values, "Prompts"};
    flags.sets[1] = hone_generate_option_set(&settings);
    flags.sets[2] = hone_model_option_set(&model_settings);
    flags.sets[3] = hone_data_option_set(&data);
    hone_status status = cli_flags_parse(&flags, argc, argv, error);
    if (status != HONE_OK || flags.help)
        return status;
    status = cli_flags_require(&flags, "model", model_settings.model, error);
    if (status == HONE_OK && cli_flags_given(&flags, "prompt") == (values.data != NULL))
        status = cli_fail(error, HONE_USAGE, "expected either --prompt TEXT or --data FILE");
    if (status == HONE_OK && values.out != NULL && values.data != NULL &&
        is_same_file(values.out, values.data))
        status = cli_fail(error, HONE_USAGE, "--out %s is the file of --data", values.out);
    if (status == HONE_OK)
        status = generate(&values, &model_settings, &settings, &data, error);
    cli_flags_deinit(&flags);
    return status;
}

const cli_command cli_generate = {
    .name = "generate",
    .summary = "Text that goes on from prompts",
    .usage = "--model DIR [--adapter DIR] --prompt TEXT [options]\n"
             "--model DIR --data FILE [--out FILE] [options]",
    .about = "Prints the text that the model makes, without the prompt; a single text as it is "
             "made. The same seed gives the same texts, whatever is decoded beside them. An "
             "encoder-decoder model reads the prompt as its source. A text ends with the "
             "tokenizer's eos token, or one that generation_config.json (else config.json) names "
             "as eos_token_id; no other setting of that file is taken.",
    .examples = "hone generate --model models/tiny-gpt2 --prompt 'The king said' --echo\n"
                "hone generate --model models/tiny-gpt2 --prompt 'The king' --temperature 0.8 \\\n"
                "    --top-p 0.95 --num-return-sequences 3 --max-new-tokens 40\n"
                "hone generate --model models/tiny-gpt2 --data data/demo/valid.jsonl --json \\\n"
                "    --max-new-tokens 8\n"
                "hone generate --model models/tiny-gpt2 --data data/demo/valid.jsonl \\\n"
                "    --limit 8 --num-beams 4 --no-repeat-ngram-size 3 --max-new-tokens 16 \\\n"
                "    --out predictions.jsonl --json",
    .run = run,
};
