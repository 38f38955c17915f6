/* The page of a run: see run_page.h. */
#include "report/run_page.h"

#include "base/files.h"
#include "base/option_value.h"
#include "report/axis.h"
#include "report/run_list.h"

#include <hone/settings.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SHORT_TABLE = 12, SHOWN_SAMPLES = 3, MOST_SAMPLES = 100, TEXT = 256 };

static double summary_real(const hone_run_record *run, const char *key)
{
    double value = (double)NAN;
    if (run->summary != NULL)
        hone_json_real(hone_json_get(run->summary, key), &value);
    return value;
}

static const char *summary_text(const hone_run_record *run, const char *key)
{
    const char *text =
        run->summary != NULL ? hone_json_string(hone_json_get(run->summary, key), NULL) : NULL;
    return text != NULL ? text : "";
}

/* ---- results ------------------------------------------------------------------------------ */

static void subtitle(const hone_run_record *run, char text[TEXT])
{
    const char *status = summary_text(run, "status");
    char steps[HONE_PAGE_NUMBER] = "", total[HONE_PAGE_NUMBER] = "";
    hone_axis_number(summary_real(run, "step"), 0, steps, sizeof steps);
    hone_axis_number(summary_real(run, "total_steps"), 0, total, sizeof total);
    if (run->summary == NULL)
        snprintf(text, TEXT, "%.60s: not ended yet", hone_run_record_setting(run, "method"));
    else
        snprintf(text, TEXT, "%.60s on %.120s: %.40s after %s of %s steps",
                 hone_run_record_setting(run, "method"), hone_run_record_setting(run, "model"),
                 status, steps, total);
}

static void put_losses(hone_page *page, const hone_run_record *run)
{
    char value[HONE_PAGE_NUMBER], remark[TEXT], step[HONE_PAGE_NUMBER];
    double best = summary_real(run, "best_validation_loss");
    if (isfinite(best)) {
        hone_axis_number(best, 4, value, sizeof value);
        hone_axis_number(summary_real(run, "best_step"), 0, step, sizeof step);
        snprintf(remark, sizeof remark, "best, at step %s", step);
        hone_page_fact(page, "Validation loss", value, remark);
        hone_page_significant(summary_real(run, "best_validation_perplexity"), 4, value);
        hone_page_fact(page, "Validation perplexity", value, "there, of a token");
    }
    double last = summary_real(run, "loss");
    if (isfinite(last)) {
        hone_axis_number(last, 4, value, sizeof value);
        hone_page_fact(page, "Training loss", value, "of the last step");
    }
}

static void put_costs(hone_page *page, const hone_run_record *run)
{
    char value[HONE_PAGE_NUMBER], other[HONE_PAGE_NUMBER], remark[TEXT];
    double trained = summary_real(run, "trainable"), all = summary_real(run, "parameters");
    if (isfinite(trained) && isfinite(all)) {
        hone_axis_number(trained, 0, value, sizeof value);
        hone_page_significant(100.0 * trained / fmax(all, 1.0), 3, other);
        snprintf(remark, sizeof remark, "%s %% of all", other);
        hone_page_fact(page, "Trained parameters", value, remark);
    }
    double seconds = summary_real(run, "seconds");
    if (isfinite(seconds)) {
        hone_page_duration(seconds, value);
        hone_page_duration(run->step_seconds, other);
        snprintf(remark, sizeof remark, "steps; median %s", other);
        hone_page_fact(page, "Training time", value, remark);
    }
    double rate = summary_real(run, "tokens_per_second");
    if (isfinite(rate)) {
        hone_page_significant(rate, 3, value);
        hone_page_significant(summary_real(run, "tokens"), 3, other);
        snprintf(remark, sizeof remark, "%s tokens in all", other);
        hone_page_fact(page, "Tokens a second", value, remark);
    }
    if (isfinite(run->peak_bytes)) {
        hone_page_bytes(run->peak_bytes, value);
        hone_page_fact(page, "Memory", value, "the most after a step");
    }
}

/* ---- validations -------------------------------------------------------------------------- */

/* How a column of valid.tsv is shown; others as numbers of four digits. */
static const struct {
    const char *name, *title;
    int digits;
} columns[] = {
    {"step", "step", 0},      {"epoch", "epoch", 2},
    {"loss", "loss", 4},      {"perplexity", "perplexity", 2},
    {"rouge1", "ROUGE-1", 2}, {"rouge2", "ROUGE-2", 2},
    {"rougeL", "ROUGE-L", 2}, {"bleu", "BLEU", 2},
};

static int known_column(const char *name)
{
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        if (strcmp(columns[i].name, name) == 0)
            return (int)i;
    return -1;
}

static void put_validations(hone_page *page, const hone_table *valid)
{
    int best = hone_table_find(valid, "best");
    bool folded = valid->rows > SHORT_TABLE;
    size_t best_row = valid->rows;
    if (valid->rows == 0)
        return;
    for (size_t r = 0; r < valid->rows; r++)
        if (hone_table_at(valid, r, best) == 1.0)
            best_row = r;
    hone_page_heading(page, "Validations");
    if (folded)
        hone_string_format(&page->text, "<details><summary>All %zu</summary>\n", valid->rows);
    hone_page_html(page, "<div class=\"wide\"><table>\n<thead><tr>");
    for (size_t c = 0; c < valid->columns; c++) {
        int known = known_column(valid->names[c]);
        if ((int)c == best)
            continue;
        hone_page_html(page, "<th class=\"n\">");
        hone_page_text(page, known >= 0 ? columns[known].title : valid->names[c]);
        hone_page_html(page, "</th>");
    }
    hone_page_html(page, "<th></th></tr></thead>\n<tbody>\n");
    for (size_t r = 0; r < valid->rows; r++) {
        hone_page_html(page, r == best_row ? "<tr class=\"best\">" : "<tr>");
        for (size_t c = 0; c < valid->columns; c++) {
            int known = known_column(valid->names[c]);
            if ((int)c != best)
                hone_page_number(page, hone_table_at(valid, r, (int)c),
                                 known >= 0 ? columns[known].digits : 4);
        }
        hone_page_cell(page, false, r == best_row ? "best" : "");
        hone_page_html(page, "</tr>\n");
    }
    hone_page_html(page,
                   folded ? "</tbody></table></div></details>\n" : "</tbody></table></div>\n");
}

/* ---- samples ------------------------------------------------------------------------------ */

typedef struct samples {
    hone_page *page;
    size_t count, first; /* first: number of the first that is shown unfolded */
    bool counting;
} samples;

static bool put_sample(void *context, const hone_json *row)
{
    samples *s = context;
    int64_t step = 0;
    size_t prompt_length = 0, length = 0;
    char number[HONE_PAGE_NUMBER];
    size_t index = s->count++;
    if (s->counting)
        return true;
    /* Of very many the last ones are shown. */
    if (index + MOST_SAMPLES < s->first + SHOWN_SAMPLES)
        return true;
    if (index == s->first && index > 0)
        hone_page_html(s->page, "</details>\n");
    hone_json_integer(hone_json_get(row, "step"), &step);
    const char *prompt = hone_json_string(hone_json_get(row, "prompt"), &prompt_length);
    const char *text = hone_json_string(hone_json_get(row, "text"), &length);
    hone_axis_number((double)step, 0, number, sizeof number);
    hone_page_html(s->page, "<p class=\"step\">step ");
    hone_page_text(s->page, number);
    hone_page_html(s->page, "</p><div class=\"sample\"><b>");
    hone_page_text_n(s->page, prompt != NULL ? prompt : "", prompt_length);
    hone_page_html(s->page, "</b>");
    hone_page_text_n(s->page, text != NULL ? text : "", length);
    hone_page_html(s->page, "</div>\n");
    return true;
}

/* The last few; what came before is folded away. */
static hone_status put_samples(hone_page *page, const hone_run_record *run, hone_error *error)
{
    char *path = hone_path_join(run->path, "samples.jsonl");
    if (path == NULL)
        return hone_fail_memory(error, "path", 0);
    samples s = {.page = page, .counting = true};
    hone_status status = hone_json_lines_load(path, put_sample, &s, error);
    if (status == HONE_OK && s.count > 0) {
        hone_page_heading(page, "Samples");
        hone_page_html(page, "<p class=\"note\">What the model wrote during training; the prompt "
                             "is bold.</p>\n");
        s.first = s.count > SHOWN_SAMPLES ? s.count - SHOWN_SAMPLES : 0;
        if (s.first > 0)
            hone_string_format(
                &page->text, "<details><summary>%zu earlier</summary>\n",
                s.first < MOST_SAMPLES - SHOWN_SAMPLES ? s.first : MOST_SAMPLES - SHOWN_SAMPLES);
        s.counting = false;
        s.count = 0;
        status = hone_json_lines_load(path, put_sample, &s, error);
    }
    hone_free(path);
    return status;
}

/* ---- settings ----------------------------------------------------------------------------- */

static const hone_option *find_option(const char *key)
{
    const hone_option_set sets[] = {hone_model_option_set(NULL),    hone_adapter_option_set(NULL),
                                    hone_data_option_set(NULL),     hone_train_option_set(NULL),
                                    hone_generate_option_set(NULL), hone_score_option_set(NULL)};
    return hone_options_find(sets, sizeof sets / sizeof *sets, key, NULL);
}

static bool is_default(const hone_yaml_entry *entry, const hone_option *option)
{
    double now, before;
    if (option == NULL)
        return false;
    if (entry->kind != HONE_YAML_SCALAR)
        return entry->count == 0;
    const hone_yaml_scalar *item = &entry->items[0];
    const char *text = item->plain && strcmp(item->text, "null") == 0 ? "" : item->text;
    if (hone_option_number_read(text, &now) &&
        hone_option_number_read(option->default_value, &before))
        return now == before;
    return strcmp(text, option->default_value) == 0;
}

static void put_value(hone_page *page, const hone_yaml_entry *entry)
{
    hone_page_html(page, "<td class=\"pre\">");
    for (size_t i = 0; i < entry->count; i++) {
        const hone_yaml_scalar *item = &entry->items[i];
        hone_page_html(page, i > 0 ? ", " : "");
        if (item->key != NULL) {
            hone_page_text(page, item->key);
            hone_page_html(page, ": ");
        }
        if (!(item->plain && strcmp(item->text, "null") == 0))
            hone_page_text(page, item->text);
    }
    hone_page_html(page, "</td>");
}

static void put_settings(hone_page *page, const hone_yaml *settings, bool defaults)
{
    hone_page_html(page, "<div class=\"wide\"><table>\n<tbody>\n");
    for (size_t i = 0; i < settings->count; i++) {
        const hone_yaml_entry *entry = &settings->entries[i];
        const hone_option *option = find_option(entry->key);
        if (is_default(entry, option) != defaults)
            continue;
        hone_page_html(page, "<tr><th>");
        hone_page_text(page, entry->key);
        hone_page_html(page, "</th>");
        put_value(page, entry);
        hone_page_html(page, "<td class=\"help\">");
        hone_page_text(page, option != NULL ? option->help : "");
        hone_page_html(page, "</td></tr>\n");
    }
    hone_page_html(page, "</tbody></table></div>\n");
}

void hone_run_page_settings(hone_page *page, const hone_run_record *run)
{
    hone_page_html(page, "<p class=\"note\">What differs from the defaults:</p>\n");
    put_settings(page, &run->settings, false);
    hone_page_html(page, "<details><summary>All others, as they are by default</summary>\n");
    put_settings(page, &run->settings, true);
    hone_page_html(page, "</details>\n");
}

/* ---- the whole ---------------------------------------------------------------------------- */

static hone_status fill(hone_page *page, const hone_run_record *run, hone_error *error)
{
    char text[TEXT];
    size_t drawn;
    subtitle(run, text);
    hone_page_begin(page, run->name, text);
    hone_page_begin_facts(page);
    put_losses(page, run);
    put_costs(page, run);
    hone_page_end_facts(page);
    hone_page_heading(page, "Curves");
    const hone_chart_request request = {.runs = run, .count = 1, .x = HONE_PLOT_STEP};
    HONE_TRY(hone_page_charts(page, &request, &drawn, error));
    if (drawn == 0)
        hone_page_html(page, "<p>No step was made yet.</p>\n");
    put_validations(page, &run->valid);
    HONE_TRY(put_samples(page, run, error));
    hone_page_heading(page, "Settings");
    hone_run_page_settings(page, run);
    hone_page_end(page);
    return HONE_OK;
}

hone_status hone_run_page_fill(const char *folder, hone_page *page, hone_error *error)
{
    hone_run_list list;
    hone_run_record *records;
    HONE_TRY(hone_run_list_find(&folder, 1, &list, error));
    hone_status status = hone_run_records_load(&list, true, &records, error);
    if (status == HONE_OK) {
        status = fill(page, &records[0], error);
        hone_run_records_free(records, list.count);
    }
    hone_run_list_deinit(&list);
    return status;
}
