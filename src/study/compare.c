/* hone_compare: see hone/compare.h. First the baselines of an experiment's model and data, then its
 * run, then what the result is worth; the table is written anew after each, so that a comparison
 * that was stopped shows what there is. */
#include "study/experiment.h"
#include "study/measure.h"
#include "study/paired.h"

#include "base/files.h"
#include "base/memory.h"
#include "report/charts.h"
#include "report/compare_page.h"
#include "report/compare_table.h"
#include "train/leftovers.h"

#include <hone/report.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BASELINE = 40 }; /* "untouched-1", within baselines/ */

typedef struct comparing {
    hone_study *study;
    const hone_compare_options *options;
    hone_json *rows, *notes;
    bool *predicts;   /* (count) whether an experiment has something to predict */
    const char *name; /* of what is measured now */
    size_t index;
    hone_compare_stage stage;
} comparing;

/* ---- telling ------------------------------------------------------------------------------ */

static void tell(const comparing *c, hone_compare_stage stage, const char *text, int64_t done,
                 int64_t total)
{
    const hone_compare_event event = {.stage = stage,
                                      .index = c->index,
                                      .count = c->study->count,
                                      .name = c->name,
                                      .text = text,
                                      .done = done,
                                      .total = total};
    if (c->options->event != NULL)
        c->options->event(c->options->context, &event);
}

static int show_predictions(void *context, int64_t done, int64_t total)
{
    const comparing *c = context;
    tell(c, c->stage, NULL, done, total);
    return c->options->stop != NULL && c->options->stop(c->options->context) != 0;
}

static hone_status no_memory(hone_error *error)
{
    return hone_fail_memory(error, "comparison", 0);
}

static hone_status add_note(comparing *c, const char *text, hone_error *error)
{
    for (size_t i = 0; i < hone_json_size(c->notes); i++)
        if (strcmp(hone_json_string(hone_json_at(c->notes, i), NULL), text) == 0)
            return HONE_OK;
    return hone_json_append(c->notes, hone_json_new_string(text)) ? HONE_OK : no_memory(error);
}

/* ---- rows --------------------------------------------------------------------------------- */

static bool put_real(hone_json *row, const char *key, double value)
{
    return !isfinite(value) || hone_json_set(row, key, hone_json_new_real(value));
}

static bool put_text(hone_json *row, const char *key, const char *text)
{
    return hone_json_set(row, key, hone_json_new_string(text));
}

/* Copies what measuring found, but for what it was made from. */
static bool put_results(hone_json *row, const hone_json *results)
{
    void *cursor = NULL;
    const char *key;
    hone_json *value;
    while (hone_json_next(results, &cursor, &key, &value))
        if (strcmp(key, "made_from") != 0 && hone_json_type_of(value) != HONE_JSON_NULL &&
            !hone_json_set(row, key, hone_json_share(value)))
            return false;
    return true;
}

static double summary_real(const hone_run_record *record, const char *key)
{
    double value = (double)NAN;
    if (record->summary != NULL)
        hone_json_real(hone_json_get(record->summary, key), &value);
    return value;
}

/* What has to be kept of a run: the bytes of the weight files of its adapter. */
static hone_status weight_bytes(const char *run, double *bytes, hone_error *error)
{
    char **names;
    size_t count;
    char *folder = hone_path_join(run, "adapter");
    if (folder == NULL)
        return no_memory(error);
    *bytes = 0.0;
    hone_status status = hone_folder_list(folder, &names, &count, error);
    for (size_t i = 0; status == HONE_OK && i < count; i++) {
        const char *end = strrchr(names[i], '.');
        int descriptor;
        int64_t size = 0;
        if (end == NULL || strcmp(end, ".safetensors") != 0)
            continue;
        char *path = hone_path_join(folder, names[i]);
        status = path == NULL ? no_memory(error) : hone_file_open(path, &descriptor, &size, error);
        if (status == HONE_OK) {
            hone_file_close(descriptor);
            *bytes += (double)size;
        }
        hone_free(path);
    }
    hone_names_free(names, count);
    hone_free(folder);
    return status;
}

static bool put_run(hone_json *row, const hone_run_record *record,
                    const hone_experiment *experiment, double bytes)
{
    char run[160];
    double trainable = summary_real(record, "trainable");
    double all = summary_real(record, "parameters");
    double final_loss = (double)NAN;
    if (record->valid.rows > 0)
        final_loss = hone_table_at(&record->valid, record->valid.rows - 1,
                                   hone_table_find(&record->valid, "loss"));
    snprintf(run, sizeof run, "runs/%s", experiment->name);
    return put_text(row, "run", run) &&
           put_text(row, "method", experiment->settings.adapter.method) &&
           put_text(row, "model", experiment->settings.model.model) &&
           put_real(row, "learning_rate", experiment->settings.train.learning_rate) &&
           put_real(row, "steps", summary_real(record, "step")) &&
           put_real(row, "epochs", summary_real(record, "epoch")) &&
           put_real(row, "tokens", summary_real(record, "tokens")) &&
           put_real(row, "trainable", trainable) && put_real(row, "parameters", all) &&
           put_real(row, "trainable_percent", 100.0 * trainable / all) &&
           put_real(row, "adapter_bytes", bytes) &&
           put_real(row, "peak_memory_bytes", record->peak_bytes) &&
           put_real(row, "step_seconds", record->step_seconds) &&
           put_real(row, "tokens_per_second", summary_real(record, "tokens_per_second")) &&
           put_real(row, "training_seconds", summary_real(record, "seconds")) &&
           put_real(row, "final_loss", final_loss);
}

/* Adds a row; takes it, and NULL for one that could not be made. */
static hone_status add_row(comparing *c, hone_json *row, bool made, hone_error *error)
{
    if (!made) {
        hone_json_free(row);
        return no_memory(error);
    }
    return hone_json_append(c->rows, row) ? HONE_OK : no_memory(error);
}

static hone_json *new_row(const char *name, const char *kind)
{
    hone_json *row = hone_json_new_object();
    if (row != NULL && put_text(row, "name", name) && put_text(row, "kind", kind))
        return row;
    hone_json_free(row);
    return NULL;
}

/* ---- baselines ---------------------------------------------------------------------------- */

/* Whether two experiments read the same data the same way, whatever their model. */
static bool same_texts(const char *a, const char *b)
{
    return (a == NULL && b == NULL) || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_data(const hone_run_settings *a, const hone_run_settings *b)
{
    return same_texts(a->train.train, b->train.train) &&
           same_texts(a->train.valid, b->train.valid) && a->train.split == b->train.split &&
           a->model.seed == b->model.seed && same_texts(a->data.preset, b->data.preset) &&
           same_texts(a->data.text_field, b->data.text_field) &&
           same_texts(a->data.prompt_field, b->data.prompt_field) &&
           same_texts(a->data.completion_field, b->data.completion_field) &&
           same_texts(a->data.source_field, b->data.source_field) &&
           same_texts(a->data.target_field, b->data.target_field);
}

/* Whether the untouched model gives the same for both. */
static hone_status same_base(hone_run_settings *a, hone_run_settings *b, bool *same,
                             hone_error *error)
{
    hone_option_set sets_a[HONE_RUN_SETS], sets_b[HONE_RUN_SETS];
    *same = same_data(a, b);
    hone_run_option_sets(a, sets_a);
    hone_run_option_sets(b, sets_b);
    for (size_t s = 0; s < HONE_RUN_SETS && *same; s++) {
        /* Those of the model, the data, generation and scores; not of adapter and training. */
        if (sets_a[s].object == &a->adapter || sets_a[s].object == &a->train)
            continue;
        for (size_t i = 0; i < sets_a[s].count && *same; i++) {
            char *one = hone_options_get_text(&sets_a[s], &sets_a[s].options[i]);
            char *other = hone_options_get_text(&sets_b[s], &sets_b[s].options[i]);
            bool made = one != NULL && other != NULL;
            *same = made &&
                    (strcmp(one, other) == 0 || strcmp(sets_a[s].options[i].key, "threads") == 0);
            hone_options_free_text(one);
            hone_options_free_text(other);
            if (!made)
                return no_memory(error);
        }
    }
    return HONE_OK;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

typedef hone_status (*measure_fn)(const hone_measure_request *request, hone_json **results,
                                  bool *kept, hone_error *error);

/* Measures into baselines/<folder>, and adds the row. `results` stays NULL where it is not wanted.
 */
static hone_status add_baseline(comparing *c, measure_fn measure, const char *kind,
                                const char *folder_name, const char *name, hone_error *error)
{
    const hone_run_settings *settings = &c->study->items[c->index].settings;
    char own[64], called[200];
    snprintf(own, sizeof own, "baselines/%s", folder_name);
    char *folder = hone_path_join(c->study->out, own);
    if (folder == NULL)
        return no_memory(error);
    c->name = name;
    c->stage = HONE_COMPARE_BASELINE;
    tell(c, c->stage, NULL, 0, 0);
    hone_json *results;
    bool kept;
    const hone_measure_request request = {.settings = settings,
                                          .model = settings->model.model,
                                          .adapter = settings->model.adapter,
                                          .num_predictions = c->study->settings.num_predictions,
                                          .folder = folder,
                                          .progress = show_predictions,
                                          .context = c,
                                          .name = name,
                                          .options = c->options};
    hone_status status = measure(&request, &results, &kept, error);
    hone_free(folder);
    HONE_TRY(status);
    int64_t words = 0;
    snprintf(called, sizeof called, "%s", name);
    if (hone_json_integer(hone_json_get(results, "words"), &words))
        snprintf(called, sizeof called, "first %lld words of the source", (long long)words);
    bool wanted = strcmp(kind, "copy") != 0 || words > 0;
    c->predicts[c->index] = hone_json_get(results, "scores") != NULL;
    if (wanted) {
        hone_json *row = new_row(called, kind);
        status = add_row(c, row,
                         row != NULL && put_text(row, "folder", own) && put_results(row, results),
                         error);
    }
    hone_json_free(results);
    return status;
}

/* The first experiment that has the same data, and the first whose untouched model gives the same.
 * *models: how many experiments have another one. */
static hone_status find_shared(const comparing *c, size_t index, size_t *data, size_t *base,
                               size_t *models, hone_error *error)
{
    hone_experiment *items = c->study->items;
    *data = *base = c->study->count;
    *models = 0;
    for (size_t i = 0; i < c->study->count; i++) {
        bool same = false;
        HONE_TRY(same_base(&items[i].settings, &items[index].settings, &same, error));
        if (same && *base == c->study->count)
            *base = i;
        if (*data == c->study->count && same_data(&items[i].settings, &items[index].settings))
            *data = i;
        *models += !same;
    }
    return HONE_OK;
}

static void name_baseline(const char *kind, size_t index, char name[BASELINE])
{
    snprintf(name, BASELINE, "%s-%zu", kind, index + 1);
}

/* What this experiment is held against, unless an earlier one's is the same. */
static hone_status add_baselines(comparing *c, hone_error *error)
{
    size_t data, base, models;
    char folder[BASELINE], name[160] = "untouched model";
    HONE_TRY(find_shared(c, c->index, &data, &base, &models, error));
    if (data == c->index) {
        name_baseline("copy", c->index, folder);
        HONE_TRY(add_baseline(c, hone_measure_copy, "copy", folder, "copied words", error));
    }
    if (models > 0)
        snprintf(name, sizeof name, "untouched %.120s",
                 base_name(c->study->items[c->index].settings.model.model));
    if (base < c->index) {
        c->predicts[c->index] = c->predicts[base];
        return HONE_OK;
    }
    name_baseline("untouched", c->index, folder);
    return add_baseline(c, hone_measure, "untouched", folder, name, error);
}

/* ---- experiments -------------------------------------------------------------------------- */

static hone_status measure_run(comparing *c, const char *run, hone_json **results,
                               hone_error *error)
{
    const hone_run_settings *settings = &c->study->items[c->index].settings;
    bool full = strcmp(settings->adapter.method, "full") == 0, kept;
    char *adapter = hone_path_join(run, "adapter");
    if (adapter == NULL)
        return no_memory(error);
    c->stage = HONE_COMPARE_EVALUATE;
    tell(c, c->stage, NULL, 0, 0);
    const hone_measure_request request = {.settings = settings,
                                          .model = full ? adapter : settings->model.model,
                                          .adapter = full ? NULL : adapter,
                                          .num_predictions = c->study->settings.num_predictions,
                                          .folder = run,
                                          .merge = !full,
                                          .progress = show_predictions,
                                          .context = c,
                                          .name = c->name,
                                          .options = c->options};
    hone_status status = hone_measure(&request, results, &kept, error);
    hone_free(adapter);
    return status;
}

static hone_status add_experiment(comparing *c, const char *run, hone_error *error)
{
    const hone_experiment *experiment = &c->study->items[c->index];
    hone_json *results;
    hone_run_record record;
    double bytes = 0.0;
    HONE_TRY(weight_bytes(run, &bytes, error));
    HONE_TRY(measure_run(c, run, &results, error));
    hone_status status = hone_run_record_load(run, experiment->name, true, &record, error);
    if (status == HONE_OK) {
        hone_json *row = new_row(experiment->name, "run");
        status = add_row(c, row,
                         row != NULL && put_run(row, &record, experiment, bytes) &&
                             put_results(row, results),
                         error);
        hone_run_record_deinit(&record);
    }
    hone_json_free(results);
    return status;
}

/* The budget of training: experiments that have another are not compared fairly. */
static hone_status check_budget(comparing *c, hone_error *error)
{
    const hone_run_settings *first = &c->study->items[0].settings;
    const hone_run_settings *own = &c->study->items[c->index].settings;
    char text[400];
    bool same = same_data(first, own) && first->train.epochs == own->train.epochs &&
                first->train.max_steps == own->train.max_steps &&
                first->train.batch_size * first->train.gradient_accumulation_steps ==
                    own->train.batch_size * own->train.gradient_accumulation_steps &&
                first->data.shuffle == own->data.shuffle;
    if (same)
        return HONE_OK;
    snprintf(text, sizeof text,
             "%.100s was trained on other data, in another order or for longer or shorter than "
             "%.100s: their results differ for that reason too.",
             c->study->items[c->index].name, c->study->items[0].name);
    tell(c, HONE_COMPARE_NOTE, text, 0, 0);
    return add_note(c, text, error);
}

/* ---- files -------------------------------------------------------------------------------- */

static void tell_written(void *context, const char *path)
{
    tell(context, HONE_COMPARE_WRITTEN, path, 0, 0);
}

static hone_status draw(comparing *c, const hone_json *table, hone_error *error)
{
    static const struct {
        hone_plot_x x;
        const char *suffix;
    } axes[] = {{HONE_PLOT_EPOCH, "-epoch"}, {HONE_PLOT_SECONDS, "-seconds"}};
    const char *out = c->study->out;
    hone_run_list list = {0};
    hone_run_record *records = NULL;
    hone_chart_level *levels = NULL;
    size_t count = 0, drawn;
    char *folder = hone_path_join(out, "plots");
    if (folder == NULL)
        return no_memory(error);
    hone_status status = hone_leftovers_remove(folder, error);
    if (status == HONE_OK)
        status = hone_run_list_find(&out, 1, &list, error);
    if (status == HONE_OK)
        status = hone_run_records_load(&list, true, &records, error);
    if (status == HONE_OK)
        status = hone_compare_levels(table, &levels, &count, error);
    for (size_t i = 0; i < sizeof axes / sizeof *axes && status == HONE_OK && list.count > 0; i++) {
        const hone_chart_request request = {.runs = records,
                                            .count = list.count,
                                            .levels = levels,
                                            .level_count = count,
                                            .x = axes[i].x};
        status =
            hone_charts_write(&request, folder, axes[i].suffix, tell_written, c, &drawn, error);
    }
    hone_free(levels);
    hone_run_records_free(records, records != NULL ? list.count : 0);
    hone_run_list_deinit(&list);
    hone_free(folder);
    return status;
}

static hone_json *make_table(const comparing *c)
{
    hone_json *table = hone_json_new_object();
    const char *title = c->study->settings.title;
    if (table != NULL && put_text(table, "title", title != NULL ? title : "Comparison") &&
        hone_json_set(table, "rows", hone_json_share(c->rows)) &&
        hone_json_set(table, "notes", hone_json_share(c->notes)))
        return table;
    hone_json_free(table);
    return NULL;
}

/* How the scores were made, a note a signature. */
static hone_status note_scores(comparing *c, hone_error *error)
{
    hone_json *scores = NULL, *score;
    void *cursor = NULL;
    const char *name;
    char text[512];
    for (size_t i = 0; i < hone_json_size(c->rows) && scores == NULL; i++)
        scores = hone_json_get(hone_json_at(c->rows, i), "scores");
    if (scores == NULL)
        return HONE_OK;
    HONE_TRY(add_note(c,
                      "Scores are out of 100, with bootstrap intervals over the predictions. "
                      "Decoding tokens/s counts new tokens, the reading of the sources included.",
                      error));
    /* One note for the metrics in a row that have the same one. */
    char signature[300] = "", names[160] = "";
    while (hone_json_next(scores, &cursor, &name, &score)) {
        const char *own = hone_json_string(hone_json_get(score, "signature"), NULL);
        bool same = names[0] != '\0' && own != NULL && strcmp(own, signature) == 0;
        if (!same && names[0] != '\0') {
            snprintf(text, sizeof text, "%s: %s", names, signature);
            HONE_TRY(add_note(c, text, error));
            names[0] = '\0';
        }
        size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%s%s", same ? ", " : "",
                 hone_metric_title(name));
        snprintf(signature, sizeof signature, "%s", own != NULL ? own : "");
    }
    snprintf(text, sizeof text, "%s: %s", names, signature);
    return names[0] != '\0' ? add_note(c, text, error) : HONE_OK;
}

/* ---- what a reader must know -------------------------------------------------------------- */

static const char *text_of(const hone_json *row, const char *key)
{
    const char *text = hone_json_string(hone_json_get(row, key), NULL);
    return text != NULL ? text : "";
}

static hone_json *find_row(const comparing *c, const char *key, const char *text)
{
    for (size_t i = 0; i < hone_json_size(c->rows); i++)
        if (strcmp(text_of(hone_json_at(c->rows, i), key), text) == 0)
            return hone_json_at(c->rows, i);
    return NULL;
}

/* Figures by token are of one tokenizer's tokens. */
static hone_status note_tokenizers(comparing *c, hone_error *error)
{
    static const char text[] =
        "The experiments have different tokenizers: loss and perplexity, which are by token, "
        "cannot be compared between them; bits per byte, which are by text, can.";
    static const char cut[] =
        "Bits per byte are of different lengths of text: what is too long is cut, by tokens.";
    const hone_json *first = NULL;
    bool tokens = false, bytes = false;
    for (size_t i = 0; i < hone_json_size(c->rows); i++) {
        const hone_json *row = hone_json_at(c->rows, i);
        int64_t here = 0, there = 0;
        if (text_of(row, "tokenizer")[0] == '\0')
            continue;
        first = first != NULL ? first : row;
        tokens = tokens || strcmp(text_of(row, "tokenizer"), text_of(first, "tokenizer")) != 0;
        hone_json_integer(hone_json_get(row, "validation_bytes"), &here);
        hone_json_integer(hone_json_get(first, "validation_bytes"), &there);
        bytes = bytes || here != there;
    }
    if (tokens)
        HONE_TRY(add_note(c, text, error));
    return tokens && bytes ? add_note(c, cut, error) : HONE_OK;
}

/* Tests an experiment against one baseline, where there is one. */
static hone_status test_row(comparing *c, size_t index, size_t from, const char *kind,
                            const char *key, bool *any, hone_error *error)
{
    char folder[BASELINE], own[BASELINE + 16], text[600];
    hone_error found = {.line = -1, .offset = -1};
    bool done = false;
    name_baseline(kind, from, folder);
    snprintf(own, sizeof own, "baselines/%s", folder);
    hone_json *row = find_row(c, "name", c->study->items[index].name);
    const hone_json *baseline = find_row(c, "folder", own);
    if (row == NULL || baseline == NULL)
        return HONE_OK;
    hone_status status = hone_paired_test(c->study->out, row, baseline, key,
                                          &c->study->items[index].settings.score, &done, &found);
    *any = *any || done;
    if (status == HONE_MISMATCH) {
        snprintf(text, sizeof text,
                 "%.100s was not tested against %.100s: it predicted other rows.",
                 c->study->items[index].name, text_of(baseline, "name"));
        return add_note(c, text, error);
    }
    if (status != HONE_OK && error != NULL)
        *error = found;
    return status;
}

/* "ROUGE-1, BLEU": the metrics in which a test does not show a gain over the untouched model. */
static void name_no_gains(const hone_json *scores, char text[400])
{
    void *cursor = NULL;
    const char *name;
    hone_json *score;
    text[0] = '\0';
    while (scores != NULL && hone_json_next(scores, &cursor, &name, &score)) {
        const hone_json *test = hone_json_get(score, "against_untouched");
        double p = 1.0, gain = 0.0;
        hone_json_real(hone_json_get(test, "p_value"), &p);
        hone_json_real(hone_json_get(test, "difference"), &gain);
        if (test == NULL || (gain > 0.0 && p < HONE_COMPARE_LEVEL))
            continue;
        size_t used = strlen(text);
        snprintf(text + used, 400 - used, "%s%.40s", used > 0 ? ", " : "", hone_metric_title(name));
    }
}

static hone_status note_no_gains(comparing *c, hone_error *error)
{
    for (size_t i = 0; i < hone_json_size(c->rows); i++) {
        const hone_json *row = hone_json_at(c->rows, i);
        char names[400], note[600];
        name_no_gains(hone_json_get(row, "scores"), names);
        if (names[0] == '\0')
            continue;
        snprintf(note, sizeof note,
                 "%.100s is not shown to be better than the untouched model in %s (p >= %g).",
                 text_of(row, "name"), names, HONE_COMPARE_LEVEL);
        HONE_TRY(add_note(c, note, error));
    }
    return HONE_OK;
}

static hone_status test_rows(comparing *c, hone_error *error)
{
    bool copied = false, untouched = false;
    char text[400];
    for (size_t i = 0; i < c->study->count; i++) {
        size_t data, base, models;
        HONE_TRY(find_shared(c, i, &data, &base, &models, error));
        HONE_TRY(test_row(c, i, data, "copy", "against_copy", &copied, error));
        HONE_TRY(test_row(c, i, base, "untouched", "against_untouched", &untouched, error));
    }
    if (copied) {
        snprintf(
            text, sizeof text,
            "\xE2\x96\xB2 better, \xE2\x96\xBC worse than the copied words, p < %g in a "
            "paired bootstrap test over the predictions (Koehn 2004), two-sided, of each score "
            "by itself; without a mark no difference is shown. table.json has all p.",
            HONE_COMPARE_LEVEL);
        HONE_TRY(add_note(c, text, error));
    }
    return untouched ? note_no_gains(c, error) : HONE_OK;
}

static hone_status write_table(comparing *c, bool whole, hone_error *error)
{
    if (whole) {
        HONE_TRY(note_tokenizers(c, error));
        HONE_TRY(test_rows(c, error));
        HONE_TRY(note_scores(c, error));
    }
    hone_json *table = make_table(c);
    if (table == NULL)
        return no_memory(error);
    hone_status status = hone_compare_table_write(c->study->out, table, error);
    if (status == HONE_OK && whole)
        status = draw(c, table, error);
    if (status == HONE_OK && whole)
        status = hone_report_write(c->study->out, NULL, error);
    hone_json_free(table);
    return status;
}

/* ---- the whole ---------------------------------------------------------------------------- */

static hone_status run_one(comparing *c, hone_error *error)
{
    HONE_TRY(add_baselines(c, error));
    c->name = c->study->items[c->index].name;
    HONE_TRY(check_budget(c, error));
    if (!c->predicts[c->index])
        HONE_TRY(add_note(c,
                          "The rows have no target, or the model folder no tokenizer: nothing was "
                          "predicted.",
                          error));
    HONE_TRY(hone_experiment_run(c->study, c->index, c->predicts[c->index], c->options, error));
    char *run = hone_experiment_path(c->study, c->index);
    hone_status status = run == NULL ? no_memory(error) : add_experiment(c, run, error);
    hone_free(run);
    if (status == HONE_OK)
        status = write_table(c, false, error);
    return status;
}

static hone_status run_all(comparing *c, hone_error *error)
{
    char *copy = hone_path_join(c->study->out, "study.yaml");
    hone_status status = copy == NULL ? no_memory(error) : HONE_OK;
    if (status == HONE_OK)
        status = hone_folder_make(c->study->out, error);
    if (status == HONE_OK)
        status = hone_leftovers_remove(c->study->out, error);
    if (status == HONE_OK)
        status = hone_study_save(c->study, copy, error);
    hone_free(copy);
    for (size_t i = 0; i < c->study->count && status == HONE_OK; i++) {
        c->index = i;
        status = run_one(c, error);
    }
    return status == HONE_OK ? write_table(c, true, error) : status;
}

hone_status hone_compare(hone_study *study, const hone_compare_options *options, hone_error *error)
{
    HONE_TRY(hone_study_check(study, error));
    comparing c = {.study = study,
                   .options = options,
                   .rows = hone_json_new_array(),
                   .notes = hone_json_new_array(),
                   .predicts = hone_alloc_array(study->count, sizeof *c.predicts)};
    bool made = c.rows != NULL && c.notes != NULL && c.predicts != NULL;
    hone_status status = made ? run_all(&c, error) : no_memory(error);
    hone_free(c.predicts);
    hone_json_free(c.rows);
    hone_json_free(c.notes);
    return status;
}
