/* Tables of comparisons: see compare_table.h. */
#include "report/compare_table.h"

#include "base/files.h"
#include "base/memory.h"
#include "base/option_value.h"
#include "report/axis.h"
#include "report/page.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- columns ------------------------------------------------------------------------------ */

typedef enum cell_form {
    FORM_PLAIN,    /* 0.002 */
    FORM_COUNT,    /* 1,234 */
    FORM_FOUR,     /* four digits after the point */
    FORM_THREE,    /* three significant digits */
    FORM_BYTES,    /* 1.2 MiB */
    FORM_DURATION, /* 3 min 20 s */
    FORM_PERCENT
} cell_form;

typedef struct column_facts {
    const char *key, *title;
    hone_compare_part part;
    cell_form form;
    int better;
    const char *detail; /* key of what stands behind it, and what is said after that; or NULL */
    const char *after;
} column_facts;

static const column_facts facts[] = {
    {"learning_rate", "learning rate", HONE_COMPARE_QUALITY, FORM_PLAIN, 0, NULL, NULL},
    {"loss", "loss", HONE_COMPARE_QUALITY, FORM_FOUR, -1, NULL, NULL},
    {"final_loss", "loss at end", HONE_COMPARE_QUALITY, FORM_FOUR, -1, NULL, NULL},
    {"perplexity", "perplexity", HONE_COMPARE_QUALITY, FORM_THREE, -1, NULL, NULL},
    {"bits_per_byte", "bits per byte", HONE_COMPARE_QUALITY, FORM_FOUR, -1, NULL, NULL},
    {"trainable", "trained parameters", HONE_COMPARE_COSTS, FORM_COUNT, -1, "trainable_percent",
     " of all"},
    {"adapter_bytes", "size on disk", HONE_COMPARE_COSTS, FORM_BYTES, -1, NULL, NULL},
    {"peak_memory_bytes", "peak memory", HONE_COMPARE_COSTS, FORM_BYTES, -1, NULL, NULL},
    {"step_seconds", "time a step", HONE_COMPARE_COSTS, FORM_DURATION, -1, NULL, NULL},
    {"tokens_per_second", "tokens/s", HONE_COMPARE_COSTS, FORM_THREE, 1, NULL, NULL},
    {"training_seconds", "time in steps", HONE_COMPARE_COSTS, FORM_DURATION, -1, NULL, NULL},
    {"decode_tokens_per_second", "decoding tokens/s", HONE_COMPARE_COSTS, FORM_THREE, 1,
     "decode_tokens_per_second_merged", " merged"},
    {"trainable_percent", "", HONE_COMPARE_DETAILS, FORM_PERCENT, -1, NULL, NULL},
    {"decode_tokens_per_second_merged", "", HONE_COMPARE_DETAILS, FORM_THREE, 1, NULL, NULL},
};
enum { FACTS = sizeof facts / sizeof *facts };

const char *hone_metric_title(const char *name)
{
    static const char *const titles[][2] = {{"rouge1", "ROUGE-1"},
                                            {"rouge2", "ROUGE-2"},
                                            {"rougeL", "ROUGE-L"},
                                            {"rougeLsum", "ROUGE-Lsum"},
                                            {"bleu", "BLEU"},
                                            {"sentence_bleu", "sentence BLEU"},
                                            {"nltk_bleu", "BLEU (NLTK)"},
                                            {"chrf", "chrF"},
                                            {"chrf++", "chrF++"},
                                            {"exact_match", "exact match"},
                                            {"token_f1", "token F1"},
                                            {"accuracy", "accuracy"},
                                            {"macro_f1", "macro F1"}};
    for (size_t i = 0; i < sizeof titles / sizeof *titles; i++)
        if (strcmp(titles[i][0], name) == 0)
            return titles[i][1];
    return name;
}

static double number(const hone_json *object, const char *key)
{
    double value = (double)NAN;
    if (object != NULL)
        hone_json_real(hone_json_get(object, key), &value);
    return value;
}

static const hone_json *score_of(const hone_json *row, const char *name)
{
    const hone_json *scores = hone_json_get(row, "scores");
    return scores != NULL ? hone_json_get(scores, name) : NULL;
}

static double value_of(const hone_json *row, const hone_compare_column *column)
{
    return column->is_score ? number(score_of(row, column->key), "value")
                            : number(row, column->key);
}

static bool any_value(const hone_json *rows, const hone_compare_column *column)
{
    for (size_t i = 0; i < hone_json_size(rows); i++)
        if (isfinite(value_of(hone_json_at(rows, i), column)))
            return true;
    return false;
}

/* The metrics in the order in which they were measured. */
static size_t add_scores(const hone_json *rows, hone_compare_column *columns, size_t count)
{
    for (size_t r = 0; r < hone_json_size(rows); r++) {
        const hone_json *scores = hone_json_get(hone_json_at(rows, r), "scores");
        void *cursor = NULL;
        const char *name;
        hone_json *score;
        if (scores == NULL || hone_json_type_of(scores) != HONE_JSON_OBJECT)
            continue;
        while (hone_json_next(scores, &cursor, &name, &score)) {
            bool known = false;
            for (size_t i = 0; i < count; i++)
                known = known || (columns[i].is_score && strcmp(columns[i].key, name) == 0);
            hone_compare_column column = {.is_score = true, .better = 1};
            if (known || count == HONE_COMPARE_COLUMNS || strlen(name) >= sizeof column.key)
                continue;
            snprintf(column.key, sizeof column.key, "%s", name);
            snprintf(column.title, sizeof column.title, "%s", hone_metric_title(name));
            if (any_value(rows, &column))
                columns[count++] = column;
        }
    }
    return count;
}

size_t hone_compare_columns(const hone_json *table, hone_compare_part part,
                            hone_compare_column columns[HONE_COMPARE_COLUMNS])
{
    const hone_json *rows = hone_json_get(table, "rows");
    size_t count = 0;
    for (size_t i = 0; i < FACTS; i++) {
        hone_compare_column column = {.better = facts[i].better};
        snprintf(column.key, sizeof column.key, "%s", facts[i].key);
        snprintf(column.title, sizeof column.title, "%s", facts[i].title);
        if (facts[i].part == part && any_value(rows, &column))
            columns[count++] = column;
    }
    return part == HONE_COMPARE_QUALITY ? add_scores(rows, columns, count) : count;
}

static const column_facts *find_facts(const char *key)
{
    for (size_t i = 0; i < FACTS; i++)
        if (strcmp(facts[i].key, key) == 0)
            return &facts[i];
    return NULL;
}

/* ---- cells -------------------------------------------------------------------------------- */

/* Whether the score is better or worse than the copied words' by a paired test; "" when the test
 * shows neither, or there is none. */
static const char *mark_of(const hone_json *score)
{
    const hone_json *test = hone_json_get(score, "against_copy");
    double p = number(test, "p_value"), difference = number(test, "difference");
    if (!isfinite(p) || !isfinite(difference) || p >= HONE_COMPARE_LEVEL || difference == 0.0)
        return "";
    return difference > 0.0 ? " \xE2\x96\xB2" : " \xE2\x96\xBC";
}

/* Out of 100, with an interval where there is one. */
static void score_cell(const hone_json *score, char text[HONE_CELL])
{
    double scale = number(score, "scale");
    double hundredth = isfinite(scale) && scale > 0.0 ? 100.0 / scale : 1.0;
    double low = number(score, "low"), high = number(score, "high");
    char parts[3][24];
    hone_axis_number(number(score, "value") * hundredth, 1, parts[0], sizeof parts[0]);
    if (!isfinite(low) || !isfinite(high)) {
        snprintf(text, HONE_CELL, "%s%s", parts[0], mark_of(score));
        return;
    }
    hone_axis_number(low * hundredth, 1, parts[1], sizeof parts[1]);
    hone_axis_number(high * hundredth, 1, parts[2], sizeof parts[2]);
    snprintf(text, HONE_CELL, "%s [%s, %s]%s", parts[0], parts[1], parts[2], mark_of(score));
}

static void number_cell(cell_form form, double value, char text[HONE_CELL])
{
    char short_text[HONE_PAGE_NUMBER];
    switch (form) {
    case FORM_PLAIN: hone_option_number_text(value, short_text); break;
    case FORM_COUNT: hone_axis_number(value, 0, text, HONE_CELL); return;
    case FORM_FOUR: hone_axis_number(value, 4, text, HONE_CELL); return;
    case FORM_THREE: hone_page_significant(value, 3, short_text); break;
    case FORM_BYTES: hone_page_bytes(value, short_text); break;
    case FORM_DURATION: hone_page_duration(value, short_text); break;
    case FORM_PERCENT:
        hone_page_significant(value, 3, short_text);
        snprintf(text, HONE_CELL, "%s %%", short_text);
        return;
    }
    snprintf(text, HONE_CELL, "%s", short_text);
}

void hone_compare_cell(const hone_json *row, const hone_compare_column *column,
                       char text[HONE_CELL])
{
    double value = value_of(row, column);
    snprintf(text, HONE_CELL, "\xE2\x80\x93");
    if (!isfinite(value))
        return;
    if (column->is_score) {
        score_cell(score_of(row, column->key), text);
        return;
    }
    const column_facts *own = find_facts(column->key);
    if (own == NULL)
        return;
    number_cell(own->form, value, text);
    const column_facts *detail = own->detail != NULL ? find_facts(own->detail) : NULL;
    double behind = detail != NULL ? number(row, detail->key) : (double)NAN;
    if (isfinite(behind)) {
        char short_text[HONE_CELL];
        size_t used = strlen(text);
        number_cell(detail->form, behind, short_text);
        snprintf(text + used, HONE_CELL - used, " [%.40s%s]", short_text, own->after);
    }
}

bool hone_compare_has_cells(const hone_json *row, const hone_compare_column *columns, size_t count)
{
    for (size_t c = 0; c < count; c++)
        if (isfinite(value_of(row, &columns[c])))
            return true;
    return false;
}

static bool is_run(const hone_json *row)
{
    const char *kind = hone_json_string(hone_json_get(row, "kind"), NULL);
    return kind != NULL && strcmp(kind, "run") == 0;
}

/* Figures by token are of the same kind only for one tokenizer. */
static bool is_by_token(const char *key)
{
    return strcmp(key, "loss") == 0 || strcmp(key, "final_loss") == 0 ||
           strcmp(key, "perplexity") == 0;
}

static bool same_tokenizers(const hone_json *row, const hone_json *other)
{
    const char *one = hone_json_string(hone_json_get(row, "tokenizer"), NULL);
    const char *two = hone_json_string(hone_json_get(other, "tokenizer"), NULL);
    return one == NULL || two == NULL || strcmp(one, two) == 0;
}

bool hone_compare_is_best(const hone_json *table, const hone_json *row,
                          const hone_compare_column *column)
{
    const hone_json *rows = hone_json_get(table, "rows");
    double value = value_of(row, column);
    size_t known = 0;
    if (column->better == 0 || !is_run(row) || !isfinite(value))
        return false;
    for (size_t i = 0; i < hone_json_size(rows); i++) {
        const hone_json *other = hone_json_at(rows, i);
        double against = value_of(other, column);
        if (!is_run(other) || !isfinite(against))
            continue;
        if (is_by_token(column->key) && !same_tokenizers(row, other))
            return false;
        known++;
        if (column->better * (against - value) > 0.0)
            return false;
    }
    return known > 1;
}

/* ---- Markdown ----------------------------------------------------------------------------- */

/* A text in a cell of Markdown: what would end the cell or begin a mark is escaped. */
static void put_escaped(hone_string *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (strchr("|\\`*_<>[]#", *text) != NULL)
            hone_string_add(out, "\\");
        hone_string_put(out, *text == '\n' || *text == '\t' ? " " : text, 1);
    }
}

static void put_name(hone_string *out, const hone_json *row)
{
    const char *name = hone_json_string(hone_json_get(row, "name"), NULL);
    put_escaped(out, name != NULL ? name : "");
}

static void put_part(hone_string *out, const hone_json *table, hone_compare_part part)
{
    hone_compare_column columns[HONE_COMPARE_COLUMNS];
    size_t count = hone_compare_columns(table, part, columns);
    const hone_json *rows = hone_json_get(table, "rows");
    char text[HONE_CELL];
    if (count == 0)
        return;
    hone_string_add(out, "\n|  |");
    for (size_t c = 0; c < count; c++)
        hone_string_format(out, " %s |", columns[c].title);
    hone_string_add(out, "\n|---|");
    for (size_t c = 0; c < count; c++)
        hone_string_add(out, "--:|");
    hone_string_add(out, "\n");
    for (size_t r = 0; r < hone_json_size(rows); r++) {
        const hone_json *row = hone_json_at(rows, r);
        if (!hone_compare_has_cells(row, columns, count))
            continue;
        hone_string_add(out, "| ");
        put_name(out, row);
        hone_string_add(out, " |");
        for (size_t c = 0; c < count; c++) {
            const char *mark = hone_compare_is_best(table, row, &columns[c]) ? "**" : "";
            hone_compare_cell(row, &columns[c], text);
            hone_string_format(out, " %s%s%s |", mark, text, mark);
        }
        hone_string_add(out, "\n");
    }
}

static hone_status write_markdown(const char *path, const hone_json *table, hone_error *error)
{
    hone_string out = {0};
    const char *title = hone_json_string(hone_json_get(table, "title"), NULL);
    hone_string_add(&out, "# ");
    put_escaped(&out, title != NULL ? title : "Comparison");
    hone_string_add(&out, "\n");
    put_part(&out, table, HONE_COMPARE_QUALITY);
    put_part(&out, table, HONE_COMPARE_COSTS);
    const hone_json *notes = hone_json_get(table, "notes");
    for (size_t i = 0; i < hone_json_size(notes); i++) {
        const char *note = hone_json_string(hone_json_at(notes, i), NULL);
        hone_string_add(&out, i == 0 ? "\n- " : "- ");
        put_escaped(&out, note != NULL ? note : "");
        hone_string_add(&out, "\n");
    }
    hone_status status = hone_string_write(&out, path, error);
    hone_string_deinit(&out);
    return status;
}

/* ---- tab-separated ------------------------------------------------------------------------ */

static void put_cell(hone_string *out, double value)
{
    char text[32];
    hone_string_add(out, "\t");
    if (!isfinite(value))
        return;
    hone_option_number_text(value, text);
    hone_string_add(out, text);
}

static void put_tsv_name(hone_string *out, const char *text)
{
    for (; text != NULL && *text != '\0'; text++)
        hone_string_put(out, *text == '\t' || *text == '\n' ? " " : text, 1);
}

static double p_value(const hone_json *score, const char *test)
{
    return number(score != NULL ? hone_json_get(score, test) : NULL, "p_value");
}

static void put_tsv_row(hone_string *out, const hone_json *row, const hone_compare_column *columns,
                        size_t count)
{
    put_tsv_name(out, hone_json_string(hone_json_get(row, "name"), NULL));
    hone_string_add(out, "\t");
    put_tsv_name(out, hone_json_string(hone_json_get(row, "kind"), NULL));
    for (size_t c = 0; c < count; c++) {
        put_cell(out, value_of(row, &columns[c]));
        if (columns[c].is_score) {
            put_cell(out, number(score_of(row, columns[c].key), "low"));
            put_cell(out, number(score_of(row, columns[c].key), "high"));
            put_cell(out, p_value(score_of(row, columns[c].key), "against_copy"));
            put_cell(out, p_value(score_of(row, columns[c].key), "against_untouched"));
        }
    }
    hone_string_add(out, "\n");
}

static void put_tsv_title(hone_string *out, const hone_compare_column *column)
{
    static const char *const ends[] = {"", "_low", "_high", "_p_copy", "_p_untouched"};
    for (size_t i = 0; i < (column->is_score ? sizeof ends / sizeof *ends : 1); i++)
        hone_string_format(out, "\t%s%s", column->key, ends[i]);
}

static hone_status write_tsv(const char *path, const hone_json *table, hone_error *error)
{
    hone_string out = {0};
    hone_compare_column columns[3 * HONE_COMPARE_COLUMNS];
    size_t count = hone_compare_columns(table, HONE_COMPARE_COSTS, columns);
    count += hone_compare_columns(table, HONE_COMPARE_DETAILS, columns + count);
    count += hone_compare_columns(table, HONE_COMPARE_QUALITY, columns + count);
    hone_string_add(&out, "name\tkind");
    for (size_t c = 0; c < count; c++)
        put_tsv_title(&out, &columns[c]);
    hone_string_add(&out, "\n");
    const hone_json *rows = hone_json_get(table, "rows");
    for (size_t r = 0; r < hone_json_size(rows); r++)
        put_tsv_row(&out, hone_json_at(rows, r), columns, count);
    hone_status status = hone_string_write(&out, path, error);
    hone_string_deinit(&out);
    return status;
}

static hone_status write_json(const char *path, const hone_json *table, hone_error *error)
{
    hone_string out = {0};
    char *text = hone_json_dump(table, (hone_json_format){.indent = 2, .digits = 9});
    out.failed = text == NULL;
    hone_string_add(&out, text != NULL ? text : "");
    hone_string_add(&out, "\n");
    hone_free(text);
    hone_status status = hone_string_write(&out, path, error);
    hone_string_deinit(&out);
    return status;
}

hone_status hone_compare_table_write(const char *folder, const hone_json *table, hone_error *error)
{
    static const struct {
        const char *name;
        hone_status (*write)(const char *path, const hone_json *table, hone_error *error);
    } files[] = {
        {"table.json", write_json}, {"table.tsv", write_tsv}, {"table.md", write_markdown}};
    hone_status status = HONE_OK;
    for (size_t i = 0; i < sizeof files / sizeof *files && status == HONE_OK; i++) {
        char *path = hone_path_join(folder, files[i].name);
        status =
            path == NULL ? hone_fail_memory(error, "path", 0) : files[i].write(path, table, error);
        hone_free(path);
    }
    return status;
}
