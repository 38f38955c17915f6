/* hone score: ROUGE, BLEU, chrF and other scores of predictions, with intervals and signatures, and
 * a paired test between two systems. */
#include "flags.h"
#include "print.h"

#include <hone/score.h>
#include <math.h>
#include <string.h>

/* clang-format off */
#define SCORE_FLAGS(X)                                                                             \
    X(STRING, pred, "", 0, 0, NULL, "FILE", "Predictions: .jsonl, or plain text, a line each")     \
    X(STRING, ref, "", 0, 0, NULL, "FILE", "References, row by row; not given: in the rows of pred") \
    X(STRING, pred2, "", 0, 0, NULL, "FILE", "Predictions of a second system, to compare with")    \
    X(STRING, pred_field, "prediction", 0, 0, NULL, "KEY", "Key of a prediction in .jsonl rows")   \
    X(STRING, ref_field, "reference", 0, 0, NULL, "KEY",                                           \
      "Key of a reference, or of an array of several")                                             \
    X(BOOL, rows, "false", 0, 0, NULL, NULL, "Print a JSON object for each row instead")           \
    X(BOOL, json, "false", 0, 0, NULL, NULL, "Print one JSON object")
/* clang-format on */

typedef struct score_flags {
    SCORE_FLAGS(HONE_OPTION_FIELD)
} score_flags;

#define OBJECT score_flags
static const hone_option options[] = {SCORE_FLAGS(CLI_OPTION_ROW)};
#undef OBJECT

/* Digits behind the point: a value of 0..1 has two more than one of 0..100. */
static int digits_of(double scale)
{
    return scale > 1 ? 2 : 4;
}

static void print_score(const hone_score *score)
{
    int digits = digits_of(score->scale);
    char interval[64] = "";
    if (isfinite(score->low))
        snprintf(interval, sizeof interval, "%8.*f .. %.*f", digits, score->low, digits,
                 score->high);
    printf("%-14s %8.*f", score->name, digits, score->value);
    if (isfinite(score->precision))
        printf("  %-20s  %9.4f  %8.4f\n", interval, score->precision, score->recall);
    else
        printf("%s%s\n", interval[0] != '\0' ? "  " : "", interval);
}

/* A signature in lines of at most 78 columns, cut behind a bar. */
static void print_signature(const char *signature)
{
    enum { WIDTH = 74 };
    while (*signature != '\0') {
        size_t length = strlen(signature);
        if (length > WIDTH) {
            length = WIDTH;
            while (length > 1 && signature[length - 1] != '|')
                length--;
        }
        printf("    %.*s\n", (int)length, signature);
        signature += length;
    }
}

static hone_status print_table(hone_scorer *scorer, const hone_score_settings *settings,
                               hone_error *error)
{
    size_t count = hone_scorer_count(scorer);
    hone_score score;
    char interval[32] = "";
    if (settings->bootstrap_samples > 0)
        snprintf(interval, sizeof interval, "%g %% interval", 100 * settings->confidence);
    printf("%-14s %8s  %-20s  %9s  %8s\n", "metric", "value", interval, "precision", "recall");
    for (size_t i = 0; i < count; i++) {
        hone_status status = hone_scorer_result(scorer, i, &score, error);
        if (status != HONE_OK)
            return status;
        print_score(&score);
    }
    return HONE_OK;
}

/* Metrics that were measured alike share a signature. */
static hone_status print_signatures(hone_scorer *scorer, hone_error *error)
{
    char before[sizeof((hone_score *)NULL)->signature] = "";
    size_t count = hone_scorer_count(scorer);
    hone_score score;
    for (size_t i = 0; i <= count; i++) {
        hone_status status = i < count ? hone_scorer_result(scorer, i, &score, error) : HONE_OK;
        if (status != HONE_OK)
            return status;
        bool same = i > 0 && i < count && strcmp(before, score.signature) == 0;
        if (i > 0 && !same) {
            putchar('\n');
            print_signature(before);
        }
        if (i == count)
            break;
        printf("%s%s", same ? " " : "", score.name);
        snprintf(before, sizeof before, "%s", score.signature);
    }
    return HONE_OK;
}

static hone_status print_comparison(hone_scorer *first, hone_scorer *second,
                                    const hone_score_settings *settings, hone_error *error)
{
    hone_comparison found;
    hone_score score;
    char interval[32];
    snprintf(interval, sizeof interval, "%g %% interval", 100 * settings->confidence);
    printf("\nsecond against first, paired bootstrap (Koehn 2004), two-sided p\n");
    printf("%-14s %8s  %-20s  %9s  %8s\n", "metric", "change", interval, "wins", "p");
    for (size_t i = 0; i < hone_scorer_count(first); i++) {
        hone_status status = hone_scorer_compare(first, second, i, &found, error);
        if (status == HONE_OK)
            status = hone_scorer_result(first, i, &score, error);
        if (status != HONE_OK)
            return status;
        int digits = digits_of(score.scale);
        printf("%-14s %+8.*f  %+8.*f .. %+-8.*f  %7.1f %%  %8.4f\n", found.name, digits,
               found.difference, digits, found.low, digits, found.high, 100 * found.wins,
               found.p_value);
    }
    return HONE_OK;
}

static hone_status print_text(hone_scorer *const *scorers, const score_flags *flags,
                              const hone_score_settings *settings, hone_error *error)
{
    hone_status status = HONE_OK;
    for (int k = 0; k < 2 && scorers[k] != NULL && status == HONE_OK; k++) {
        if (scorers[1] != NULL)
            printf("%s%s: %s\n", k > 0 ? "\n" : "", k > 0 ? "second" : "first",
                   k > 0 ? flags->pred2 : flags->pred);
        status = print_table(scorers[k], settings, error);
    }
    if (status == HONE_OK && scorers[1] != NULL)
        status = print_comparison(scorers[0], scorers[1], settings, error);
    if (status != HONE_OK)
        return status;
    putchar('\n');
    return print_signatures(scorers[0], error);
}

static void put_real(const char *lead, double value)
{
    fputs(lead, stdout);
    cli_json_real(stdout, value, 15);
}

static hone_status put_scores(hone_scorer *scorer, hone_error *error)
{
    hone_score score;
    for (size_t i = 0; i < hone_scorer_count(scorer); i++) {
        hone_status status = hone_scorer_result(scorer, i, &score, error);
        if (status != HONE_OK)
            return status;
        printf("%s\"%s\":{", i > 0 ? "," : "", score.name);
        put_real("\"value\":", score.value);
        if (isfinite(score.low)) {
            put_real(",\"low\":", score.low);
            put_real(",\"high\":", score.high);
        }
        if (isfinite(score.precision)) {
            put_real(",\"precision\":", score.precision);
            put_real(",\"recall\":", score.recall);
        }
        fputs(",\"signature\":", stdout);
        cli_json_string(stdout, score.signature, strlen(score.signature));
        putchar('}');
    }
    return HONE_OK;
}

static hone_status put_comparison(hone_scorer *first, hone_scorer *second, hone_error *error)
{
    hone_comparison found;
    for (size_t i = 0; i < hone_scorer_count(first); i++) {
        hone_status status = hone_scorer_compare(first, second, i, &found, error);
        if (status != HONE_OK)
            return status;
        printf("%s\"%s\":{", i > 0 ? "," : "", found.name);
        put_real("\"difference\":", found.difference);
        put_real(",\"low\":", found.low);
        put_real(",\"high\":", found.high);
        put_real(",\"wins\":", found.wins);
        put_real(",\"p_value\":", found.p_value);
        putchar('}');
    }
    return HONE_OK;
}

static hone_status print_json(hone_scorer *const *scorers, hone_error *error)
{
    printf("{\"examples\":%lld,\"scores\":{", (long long)hone_scorer_rows(scorers[0]));
    hone_status status = put_scores(scorers[0], error);
    if (status == HONE_OK && scorers[1] != NULL) {
        fputs("},\"second\":{", stdout);
        status = put_scores(scorers[1], error);
        if (status == HONE_OK) {
            fputs("},\"comparison\":{", stdout);
            status = put_comparison(scorers[0], scorers[1], error);
        }
    }
    if (status == HONE_OK)
        fputs("}}\n", stdout);
    return status;
}

static hone_status put_row(const hone_scorer *scorer, int64_t row, hone_error *error)
{
    for (size_t i = 0; i < hone_scorer_count(scorer); i++) {
        double value;
        hone_status status = hone_scorer_row_value(scorer, i, row, &value, error);
        if (status != HONE_OK)
            return status;
        printf("%s\"%s\":", i > 0 ? "," : "", hone_scorer_name(scorer, i));
        cli_json_real(stdout, value, 15);
    }
    return HONE_OK;
}

/* A JSON object a row: each metric's value for it. */
static hone_status print_rows(hone_scorer *const *scorers, hone_error *error)
{
    for (int64_t row = 0; row < hone_scorer_rows(scorers[0]); row++) {
        putchar('{');
        hone_status status = put_row(scorers[0], row, error);
        if (status == HONE_OK && scorers[1] != NULL) {
            fputs(",\"second\":{", stdout);
            status = put_row(scorers[1], row, error);
            putchar('}');
        }
        if (status != HONE_OK)
            return status;
        fputs("}\n", stdout);
    }
    return HONE_OK;
}

static hone_status read_files(const score_flags *flags, const char *predictions,
                              const hone_score_settings *settings, hone_scorer **out,
                              hone_error *error)
{
    const hone_score_files files = {.predictions = predictions,
                                    .references = flags->ref,
                                    .prediction_field = flags->pred_field,
                                    .reference_field = flags->ref_field};
    hone_status status = hone_scorer_create(settings, out, error);
    return status == HONE_OK ? hone_scorer_add_files(*out, &files, error) : status;
}

static hone_status score(const score_flags *flags, const hone_score_settings *settings,
                         hone_error *error)
{
    hone_scorer *scorers[2] = {NULL, NULL};
    hone_status status = read_files(flags, flags->pred, settings, &scorers[0], error);
    if (status == HONE_OK && flags->pred2 != NULL)
        status = read_files(flags, flags->pred2, settings, &scorers[1], error);
    if (status == HONE_OK && scorers[1] != NULL &&
        hone_scorer_rows(scorers[0]) != hone_scorer_rows(scorers[1])) {
        cli_fail(error, HONE_INPUT, "expected %lld rows as in %.300s, found %lld",
                 (long long)hone_scorer_rows(scorers[0]), flags->pred,
                 (long long)hone_scorer_rows(scorers[1]));
        snprintf(error->file, sizeof error->file, "%s", flags->pred2);
        status = HONE_INPUT;
    }
    if (status == HONE_OK && scorers[1] != NULL && flags->ref == NULL)
        status = hone_score_same_references(flags->pred, flags->pred2, flags->ref_field, error);
    if (status == HONE_OK && flags->rows)
        status = print_rows(scorers, error);
    else if (status == HONE_OK)
        status =
            flags->json ? print_json(scorers, error) : print_text(scorers, flags, settings, error);
    hone_scorer_free(scorers[0]);
    hone_scorer_free(scorers[1]);
    return status;
}

static hone_status run(int argc, char **argv, hone_error *error)
{
    score_flags values;
    hone_score_settings settings;
    cli_flags flags = {.command = &cli_score, .count = 2};
    flags.sets[0] = (hone_option_set){options, sizeof options / sizeof *options, &values, "Files"};
    flags.sets[1] = hone_score_option_set(&settings);
    hone_status status = cli_flags_parse(&flags, argc, argv, error);
    if (status != HONE_OK || flags.help)
        return status;
    status = cli_flags_require(&flags, "pred", values.pred, error);
    if (status == HONE_OK)
        status = cli_flags_require(&flags, "pred_field", values.pred_field, error);
    if (status == HONE_OK)
        status = cli_flags_require(&flags, "ref_field", values.ref_field, error);
    if (status == HONE_OK && values.pred2 != NULL && settings.bootstrap_samples == 0)
        status = cli_fail(error, HONE_USAGE, "--pred2 needs --bootstrap-samples above 0");
    if (status == HONE_OK)
        status = score(&values, &settings, error);
    cli_flags_deinit(&flags);
    return status;
}

const cli_command cli_score = {
    .name = "score",
    .summary = "ROUGE, BLEU and other scores of predictions",
    .usage = "--pred FILE [--ref FILE] [--pred2 FILE] [options]",
    .about =
        "Scores predictions against references, row by row: rows of .jsonl with the keys "
        "--pred-field and --ref-field (in one file or in two), or lines of plain text; .zst is "
        "unpacked. Each score comes with a bootstrap interval over the rows and a signature "
        "that says how it was measured; docs/numerics.md defines them. With --pred2 the "
        "second system's scores are compared with the first's on the same resamples.",
    .examples = "hone score --pred data/synopsis/valid.jsonl --pred-field source \\\n"
                "    --ref-field target --stemmer\n"
                "hone score --pred data/synopsis/valid.jsonl --pred-field source \\\n"
                "    --ref-field target --metrics rougeL,bleu,chrf++ --json",
    .run = run,
};
