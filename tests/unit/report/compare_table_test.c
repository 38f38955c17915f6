/* The tables of a comparison: which columns, what cells say, which value is the best, and that no
 * text of a row breaks the table that it stands in. */
#include "report_support.h"

#include "base/files.h"
#include "base/memory.h"
#include "report/compare_table.h"

#include <hone/report.h>
#include <stdio.h>
#include <string.h>

static const char rows[] =
    "{\"title\": \"A | title\", \"notes\": [\"one_note\", \"<b>\"], \"rows\": ["
    "{\"name\": \"first 5 words\", \"kind\": \"copy\", \"folder\": \"baselines/copy\","
    " \"scores\": {\"rouge1\": {\"value\": 0.25, \"low\": 0.2, \"high\": 0.3, \"scale\": 1}}},"
    "{\"name\": \"untouched\", \"kind\": \"untouched\", \"loss\": 6.5, \"perplexity\": 665.14,"
    " \"scores\": {\"rouge1\": {\"value\": 0.01, \"low\": null, \"high\": null, \"scale\": 1},"
    " \"bleu\": {\"value\": 1.26, \"low\": 1, \"high\": 2, \"scale\": 100}},"
    " \"decode_tokens_per_second\": 100},"
    "{\"name\": \"a|b\\t*c*\", \"kind\": \"run\", \"run\": \"runs/one\", \"learning_rate\": 2e-3,"
    " \"trainable\": 36864, \"trainable_percent\": 0.8421, \"adapter_bytes\": 148480,"
    " \"loss\": 4.25, \"perplexity\": 70.105, \"step_seconds\": 0.1884,"
    " \"decode_tokens_per_second\": 417.31, \"decode_tokens_per_second_merged\": 512,"
    " \"scores\": {\"rouge1\": {\"value\": 0.34, \"low\": 0.3, \"high\": 0.38, \"scale\": 1,"
    " \"against_copy\": {\"difference\": 0.09, \"p_value\": 0.002},"
    " \"against_untouched\": {\"difference\": 0.33, \"p_value\": 0.001}},"
    " \"bleu\": {\"value\": 5.5, \"low\": 4, \"high\": 7, \"scale\": 100,"
    " \"against_copy\": {\"difference\": 1, \"p_value\": 0.3}}}},"
    "{\"name\": \"two\", \"kind\": \"run\", \"run\": \"runs/two\", \"learning_rate\": 5e-4,"
    " \"trainable\": 4340736, \"trainable_percent\": 100, \"adapter_bytes\": 8690000,"
    " \"loss\": 4.5, \"perplexity\": 90.01, \"step_seconds\": 75,"
    " \"decode_tokens_per_second\": 500,"
    " \"scores\": {\"rouge1\": {\"value\": 0.36, \"low\": 0.3, \"high\": 0.4, \"scale\": 1,"
    " \"against_copy\": {\"difference\": -0.2, \"p_value\": 0.04}}}}]}";

static const char markdown[] =
    "# A \\| title\n"
    "\n"
    "|  | learning rate | loss | perplexity | ROUGE-1 | BLEU |\n"
    "|---|--:|--:|--:|--:|--:|\n"
    "| first 5 words | – | – | – | 25.0 [20.0, 30.0] | – |\n"
    "| untouched | – | 6.5000 | 665 | 1.0 | 1.3 [1.0, 2.0] |\n"
    "| a\\|b \\*c\\* | 0.002 | **4.2500** | **70.1** | 34.0 [30.0, 38.0] ▲ | 5.5 [4.0, 7.0] |\n"
    "| two | 0.0005 | 4.5000 | 90.0 | **36.0 [30.0, 40.0] ▼** | – |\n"
    "\n"
    "|  | trained parameters | size on disk | time a step | decoding tokens/s |\n"
    "|---|--:|--:|--:|--:|\n"
    "| untouched | – | – | – | 100 |\n"
    "| a\\|b \\*c\\* | **36,864 [0.842 % of all]** | **145 KiB** | **0.188 s** | 417 [512 merged] "
    "|\n"
    "| two | 4,340,736 [100 % of all] | 8.29 MiB | 1 min 15 s | **500** |\n"
    "\n"
    "- one\\_note\n"
    "- \\<b\\>\n";

static hone_json *parse(const char *text)
{
    hone_json *table;
    hone_error error;
    if (hone_json_parse(text, strlen(text), "rows", 1, &table, &error) != HONE_OK)
        fail_msg("%s", error.message);
    return table;
}

static void tables_are_written_for_people_and_programs(void **state)
{
    (void)state;
    hone_json *table = parse(rows);
    assert_int_equal(hone_folder_make(in_scratch("t"), NULL), HONE_OK);
    assert_int_equal(hone_compare_table_write(in_scratch("t"), table, NULL), HONE_OK);
    char *text = read_file(in_scratch("t/table.md"));
    assert_string_equal(text, markdown);
    hone_free(text);
    text = read_file(in_scratch("t/table.tsv"));
    const char *const lines[] = {
        ("name\tkind\ttrainable\tadapter_bytes\tstep_seconds\tdecode_tokens_per_second\t"
         "trainable_percent\tdecode_tokens_per_second_merged\tlearning_rate\tloss\tperplexity\t"
         "rouge1\trouge1_low\trouge1_high\trouge1_p_copy\trouge1_p_untouched\tbleu\tbleu_low\tbleu_"
         "high\t"
         "bleu_p_copy\tbleu_p_untouched\n"),
        "first 5 words\tcopy\t\t\t\t\t\t\t\t\t\t0.25\t0.2\t0.3\t\t\t\t\t\t\t\n",
        "untouched\tuntouched\t\t\t\t100\t\t\t\t6.5\t665.14\t0.01\t\t\t\t\t1.26\t1\t2\t\t\n",
        ("a|b *c*\trun\t36864\t148480\t0.1884\t417.31\t0.8421\t512\t0.002\t4.25\t70.105\t0.34\t0.3"
         "\t0.38\t0.002\t0.001\t5.5\t4\t7\t0.3\t\n")};
    const char *rest = text;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        assert_memory_equal(rest, lines[i], strlen(lines[i]));
        rest += strlen(lines[i]);
    }
    hone_free(text);
    hone_json *again;
    assert_int_equal(hone_json_load(in_scratch("t/table.json"), 1 << 20, &again, NULL), HONE_OK);
    char *one = hone_json_dump(table, (hone_json_format){.digits = 17});
    char *two = hone_json_dump(again, (hone_json_format){.digits = 17});
    assert_string_equal(one, two);
    hone_free(one);
    hone_free(two);
    hone_json_free(again);
    hone_json_free(table);
}

/* A loss by token is the best only among the same tokens; by the text it is among all. */
static void other_tokenizers_have_no_best_by_token(void **state)
{
    (void)state;
    static const struct {
        const char *tokenizer, *key;
        bool best;
    } cases[] = {{"a", "loss", true},
                 {"b", "loss", false},
                 {"b", "perplexity", false},
                 {"b", "final_loss", false},
                 {"b", "bits_per_byte", true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[400];
        snprintf(text, sizeof text,
                 "{\"rows\": [{\"kind\": \"run\", \"tokenizer\": \"a\", \"%s\": 1},"
                 "{\"kind\": \"run\", \"tokenizer\": \"%s\", \"%s\": 2}]}",
                 cases[i].key, cases[i].tokenizer, cases[i].key);
        hone_json *table = parse(text);
        hone_compare_column columns[HONE_COMPARE_COLUMNS];
        assert_int_equal(hone_compare_columns(table, HONE_COMPARE_QUALITY, columns), 1);
        const hone_json *first = hone_json_at(hone_json_get(table, "rows"), 0);
        assert_int_equal(hone_compare_is_best(table, first, &columns[0]), cases[i].best);
        hone_json_free(table);
    }
}

/* Whatever stands where a table should: no crash, and no column out of nothing. */
static void odd_tables_are_written_too(void **state)
{
    (void)state;
    static const char *const odd[] = {
        "{}",
        "{\"rows\": 3, \"notes\": {}, \"title\": []}",
        "{\"rows\": [1, null, [], {\"name\": 4, \"kind\": {}, \"scores\": 7, \"loss\": \"x\"}]}",
        ("{\"rows\": [{\"kind\": \"run\", \"scores\": {\"a\": 1, \"b\": {\"value\": null}}}],"
         " \"notes\": [1]}"),
        "[]",
    };
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        hone_json *table = parse(odd[i]);
        hone_compare_column columns[HONE_COMPARE_COLUMNS];
        for (int part = HONE_COMPARE_QUALITY; part <= HONE_COMPARE_DETAILS; part++)
            assert_int_equal(hone_compare_columns(table, (hone_compare_part)part, columns), 0);
        assert_int_equal(hone_compare_table_write(in_scratch("t"), table, NULL), HONE_OK);
        assert_int_equal(hone_report_write(in_scratch("t"), in_scratch("t.html"), NULL), HONE_OK);
        hone_json_free(table);
    }
}

static size_t count(const char *text, const char *part)
{
    size_t found = 0;
    for (; (text = strstr(text, part)) != NULL; text += strlen(part))
        found++;
    return found;
}

static void pages_show_methods_side_by_side(void **state)
{
    (void)state;
    hone_json *table = parse(rows);
    assert_int_equal(hone_folder_make(in_scratch("c/baselines/copy"), NULL), HONE_OK);
    assert_int_equal(hone_compare_table_write(in_scratch("c"), table, NULL), HONE_OK);
    hone_json_free(table);
    hone_error error;
    assert_int_equal(hone_report_write(in_scratch("c"), NULL, &error), HONE_INPUT);
    write_run("c/runs/one", 30);
    write_run("c/runs/two", 20);
    write_file("c/runs/one/predictions.jsonl",
               "{\"line\":3,\"source\":\"<s>\",\"reference\":\"t&\",\"prediction\":\"p<1>\"}\n"
               "{\"line\":9,\"source\":\"s2\",\"reference\":\"t2\",\"prediction\":\"\"}\n");
    write_file("c/baselines/copy/predictions.jsonl",
               "{\"line\":3,\"source\":\"<s>\",\"reference\":\"t&\",\"prediction\":\"copied\"}\n"
               "{\"line\":9,\"source\":\"s2\",\"reference\":\"t2\",\"prediction\":\"copied\"}\n");
    assert_int_equal(hone_report_write(in_scratch("c"), NULL, NULL), HONE_OK);
    char *page = read_file(in_scratch("c/report.html"));
    assert_int_equal(count(page, "<h3>Line "), 2);
    assert_int_equal(count(page, "p&lt;1&gt;"), 1);
    assert_int_equal(count(page, "(nothing)"), 1);
    assert_int_equal(count(page, "copied"), 2);
    assert_int_equal(count(page, "<figure>"), 4);
    assert_int_equal(count(page, "<script"), 0);
    assert_int_equal(count(page, "untouched"), 2);
    hone_free(page);
    write_file("c/runs/one/predictions.jsonl", "{\n");
    assert_int_equal(hone_report_write(in_scratch("c"), NULL, &error), HONE_INPUT);
    assert_int_equal(error.line, 1);
}

/* A table from elsewhere must not lead out of its folder. */
static void runs_outside_are_refused(void **state)
{
    (void)state;
    static const char *const places[] = {"/etc", "../run", "runs/../../x"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char text[128];
        hone_error error;
        snprintf(text, sizeof text, "{\"rows\": [{\"kind\": \"run\", \"run\": \"%s\"}]}",
                 places[i]);
        assert_int_equal(hone_folder_make(in_scratch("out"), NULL), HONE_OK);
        write_file("out/table.json", text);
        assert_int_equal(hone_report_write(in_scratch("out"), NULL, &error), HONE_INPUT);
        assert_non_null(strstr(error.message, "to lie in this folder"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_are_written_for_people_and_programs),
        cmocka_unit_test(other_tokenizers_have_no_best_by_token),
        cmocka_unit_test(odd_tables_are_written_too),
        cmocka_unit_test(pages_show_methods_side_by_side),
        cmocka_unit_test(runs_outside_are_refused),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
