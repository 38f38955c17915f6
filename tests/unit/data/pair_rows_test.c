/* Pairs, under all their names and tokenized, for both kinds of model: what becomes of them, their
 * limits, packing, splitting. Tokens are bytes. */
#include "data_support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define START 250 /* shown as '>' */

static const byte_tokenizer plain = {.bos = -1, .eos = BYTE_EOS};
static const byte_tokenizer with_bos = {.bos = BYTE_BOS, .eos = BYTE_EOS};

static hone_status open_rows(const char *content, const hone_data_settings *settings,
                             const byte_tokenizer *tokenizer, bool encoder_decoder,
                             int64_t max_length, hone_dataset **out, hone_error *error)
{
    hone_dataset_options options = {.settings = settings,
                                    .tokenizer = tokenizer != NULL ? as_tokenizer(tokenizer) : NULL,
                                    .vocabulary = 258,
                                    .max_length = max_length,
                                    .encoder_decoder = encoder_decoder,
                                    .decoder_start = START};
    return hone_dataset_open(write_file("rows.jsonl", content, strlen(content)), &options, out,
                             error);
}

static char *changeable(const char *text)
{
    static char storage[8][64];
    static int next;
    char *copy = storage[next++ % 8];
    snprintf(copy, sizeof storage[0], "%s", text);
    return copy;
}

static char *append(char *end, const int32_t *ids, int64_t length)
{
    for (int64_t i = 0; i < length; i++) {
        int32_t id = ids[i];
        *end++ = id == BYTE_EOS ? '$' : id == BYTE_BOS ? '^' : id == START ? '>' : (char)id;
    }
    *end = '\0';
    return end;
}

/* A set as "source|ids/labels ...", '.' for no label. */
static void show(const hone_dataset *dataset, char *out)
{
    for (int64_t d = 0; d < hone_dataset_size(dataset); d++) {
        hone_document document = hone_dataset_at(dataset, d);
        if (d > 0)
            *out++ = ' ';
        if (document.source != NULL) {
            out = append(out, document.source, document.source_length);
            *out++ = '|';
        }
        out = append(out, document.ids, document.length);
        *out++ = '/';
        for (int64_t i = 0; i < document.length; i++)
            *out++ = document.labels[i] == HONE_NO_LABEL     ? '.'
                     : document.labels[i] == document.ids[i] ? 'x'
                                                             : '?';
    }
    *out = '\0';
}

typedef struct pair_case {
    const char *name, *rows;
    const char *whole, *apart; /* for a decoder-only and an encoder-decoder model */
    const char *source_field, *target_field, *prompt_field, *completion_field, *text_field;
    const char *prompt_template;
    const byte_tokenizer *tokenizer; /* NULL: plain */
    bool no_eos;
} pair_case;

static hone_data_settings settings_of(const pair_case *c)
{
    hone_data_settings settings = default_settings();
    char **const fields[] = {&settings.source_field, &settings.target_field,
                             &settings.prompt_field, &settings.completion_field,
                             &settings.text_field,   &settings.prompt_template};
    const char *const values[] = {c->source_field,     c->target_field, c->prompt_field,
                                  c->completion_field, c->text_field,   c->prompt_template};
    for (int i = 0; i < 6; i++)
        if (values[i] != NULL)
            *fields[i] = changeable(values[i]);
    settings.append_eos = !c->no_eos;
    return settings;
}

static void pairs_mean_the_same_under_all_names(void **state)
{
    (void)state;
    static const pair_case cases[] = {
        {"source and target", "{\"source\":\"ab\",\"target\":\"cd\"}", "abcd$/..xxx", "ab$|cd$/xxx",
         .no_eos = false},
        {"prompt and completion", "{\"completion\":\"cd\",\"prompt\":\"ab\"}", "abcd$/..xxx",
         "ab$|cd$/xxx", .no_eos = false},
        {"both in one file",
         "{\"source\":\"ab\",\"target\":\"cd\"}\n{\"prompt\":\"e\",\"completion\":\"f\"}",
         "abcd$/..xxx ef$/.xx", "ab$|cd$/xxx e$|f$/xx", .no_eos = false},
        {"after bos", "{\"source\":\"ab\",\"target\":\"cd\"}", "^abcd$/...xxx", "^ab$|^cd$/xxxx",
         .tokenizer = &with_bos},
        {"without eos", "{\"source\":\"ab\",\"target\":\"cd\"}", "abcd/..xx", "ab|cd/xx",
         .no_eos = true},
        {"empty source", "{\"source\":\"\",\"target\":\"cd\"}", "cd$/xxx", "$|cd$/xxx",
         .no_eos = false},
        {"empty target trains on the end", "{\"source\":\"ab\",\"target\":\"\"}", "ab$/..x",
         "ab$|$/x", .no_eos = false},
        {"other keys", "{\"article\":\"ab\",\"highlights\":\"c\",\"source\":\"x\"}", "abc$/..xx",
         "ab$|c$/xx", .source_field = "article", .target_field = "highlights", .no_eos = false},
        {"the same by the other fields", "{\"article\":\"ab\",\"highlights\":\"c\"}", "abc$/..xx",
         "ab$|c$/xx", .prompt_field = "article", .completion_field = "highlights", .no_eos = false},
        {"prompt goes before source",
         "{\"source\":\"x\",\"target\":\"y\",\"prompt\":\"a\",\"completion\":\"b\"}", "ab$/.xx",
         "a$|b$/xx", .no_eos = false},
        {"but not before names of one's own",
         "{\"src\":\"x\",\"target\":\"y\",\"prompt\":\"a\",\"completion\":\"b\"}", "xy$/.xx",
         "x$|y$/xx", .source_field = "src", .no_eos = false},
        {"a source alone is no pair's half", "{\"prompt\":\"a\",\"source\":\"s\",\"target\":\"t\"}",
         "st$/.xx", "s$|t$/xx", .no_eos = false},
        {"pair before text", "{\"text\":\"t\",\"source\":\"a\",\"target\":\"b\"}", "ab$/.xx",
         "a$|b$/xx", .no_eos = false},
        {"template", "{\"source\":\"ab\",\"target\":\"c\"}", "to: abc$/......xx", "to: ab$|c$/xx",
         .prompt_template = "to: {prompt}", .no_eos = false},
        {"template by the other name", "{\"prompt\":\"ab\",\"completion\":\"c\"}", "<ab>c$/....xx",
         "<ab>$|c$/xx", .prompt_template = "<{source}>", .no_eos = false},
        {"template with both keys", "{\"prompt\":\"p\",\"source\":\"s\",\"target\":\"t\"}",
         "psst$/...xx", "pss$|t$/xx", .prompt_template = "{prompt}{source}{source}",
         .no_eos = false},
        {"template with field names", "{\"article\":\"s\",\"target\":\"t\"}", "sst$/..xx",
         "ss$|t$/xx", .source_field = "article", .prompt_template = "{source}{article}",
         .no_eos = false},
        {"tokenized", "{\"source_ids\":[97,98],\"target_ids\":[99,256]}", "abc$/..xx", "ab|c$/xx",
         .no_eos = false},
        {"tokenized before texts",
         "{\"source_ids\":[97],\"target_ids\":[99],\"source\":\"x\",\"target\":\"y\"}", "ac/.x",
         "a|c/x", .no_eos = false},
        {"a record's own number", "{\"source_ids\":7,\"source\":\"x\",\"target\":\"y\"}", "xy$/.xx",
         "x$|y$/xx", .no_eos = false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const pair_case *c = &cases[i];
        hone_data_settings settings = settings_of(c);
        for (int apart = 0; apart < 2; apart++) {
            hone_dataset *dataset = NULL;
            hone_error error = {0};
            char shown[256];
            const char *expected = apart ? c->apart : c->whole;
            hone_status status =
                open_rows(c->rows, &settings, c->tokenizer != NULL ? c->tokenizer : &plain, apart,
                          41, &dataset, &error);
            if (status != HONE_OK)
                print_error("%s: %s\n", c->name, error.message);
            assert_int_equal(status, HONE_OK);
            show(dataset, shown);
            if (strcmp(shown, expected) != 0)
                print_error("%s: found %s\n", c->name, shown);
            assert_string_equal(shown, expected);
            hone_dataset_close(dataset);
        }
    }
}

static void rows_that_do_not_fit_the_model_say_what_would(void **state)
{
    (void)state;
    static const struct {
        const char *row, *part;
        bool whole_too; /* wrong for a decoder-only model as well */
    } cases[] = {
        {"{\"text\":\"abc\"}",
         "the row is a text, but the model makes a target from a source; "
         "give rows of {\"source\": ..., \"target\": ...}",
         false},
        {"{\"text\":\"abc\"}", "--objective span_corruption", false},
        {"{\"ids\":[97,98]}", "the row is one list of ids", false},
        {"{\"ids\":[97,98],\"labels\":[-100,98]}", "--source-field", false},
        {"{\"source\":\"abc\"}", "\"source\" with \"target\"", true},
        {"{\"source_ids\":[1,2]}", "\"source_ids\" without \"target_ids\"", true},
        {"{\"target_ids\":[1,2]}", "\"target_ids\" without \"source_ids\"", true},
        {"{\"source_ids\":[1,2],\"target_ids\":7}", "\"target_ids\" must be an array", true},
        {"{\"source_ids\":[1,258],\"target_ids\":[1]}", "\"source_ids\"[1] is 258", true},
        {"{\"source_ids\":[1],\"target_ids\":[1,-100]}",
         "\"target_ids\"[1] is -100; expected 0 to "
         "257",
         true},
        {"{\"source\":3,\"target\":\"a\"}", "\"source\" must be a string, found a number", true},
        {"{\"source\":\"a\",\"target\":null}", "\"target\" must be a string, found null", true},
        {"{\"source_ids\":[],\"target_ids\":[1]}", "nothing to train on", true},
        {"{\"source_ids\":[1],\"target_ids\":[]}", "nothing to train on", true},
    };
    hone_data_settings settings = default_settings();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int apart = 0; apart < 2; apart++) {
            hone_dataset *dataset;
            hone_error error = {0};
            hone_status status =
                open_rows(cases[i].row, &settings, &plain, apart, 41, &dataset, &error);
            if (!apart && !cases[i].whole_too) {
                assert_int_equal(status, HONE_OK);
                hone_dataset_close(dataset);
                continue;
            }
            if (status != HONE_INPUT || strstr(error.message, cases[i].part) == NULL)
                print_error("%s: %s\n", cases[i].row, error.message);
            assert_int_equal(status, HONE_INPUT);
            assert_non_null(strstr(error.message, cases[i].part));
            assert_int_equal(error.line, 1);
        }
    }
    hone_dataset *dataset;
    hone_error error = {0};
    settings.prompt_template = changeable("{x}");
    assert_int_equal(open_rows("{\"x\":\"a\"}", &settings, &plain, false, 41, &dataset, &error),
                     HONE_INPUT);
    assert_non_null(strstr(error.message, "expected the template's keys with \"completion\" or "
                                          "\"target\", \"text\" or \"ids\"; the row has \"x\""));
    settings.prompt_template = NULL;
    assert_int_equal(open_rows("{\"source\":\"a\",\"target\":\"b\"}", &settings, NULL, true, 41,
                               &dataset, &error),
                     HONE_INPUT);
    assert_non_null(strstr(error.message, "\"source_ids\": [...]"));
}

typedef struct limit_case {
    const char *name, *rows;
    int64_t max_length, max_source, max_target;
    const char *policy, *whole, *apart; /* documents, or part of the error */
    int64_t source_truncated, source_dropped, target_truncated, target_dropped; /* of `apart` */
    int64_t whole_truncated, whole_dropped;
    bool fails;
} limit_case;

static void source_and_target_have_limits_of_their_own(void **state)
{
    (void)state;
    static const limit_case cases[] = {
        {"what fits exactly stays", "{\"source\":\"abc\",\"target\":\"def\"}", 41, 4, 4, "truncate",
         "abcdef$/...xxxx", "abc$|def$/xxxx", 0, 0, 0, 0, 0, 0, .fails = false},
        {"a source is cut and keeps its eos", "{\"source\":\"abcd\",\"target\":\"def\"}", 41, 4, 4,
         "truncate", "abcddef$/....xxxx", "abc$|def$/xxxx", 1, 1, 0, 0, 0, 0, .fails = false},
        {"a prompt has no eos to keep", "{\"source\":\"abcdef\",\"target\":\"g\"}", 41, 4, 0,
         "truncate", "abcdg$/....xx", "abc$|g$/xx", 1, 3, 0, 0, 1, 2, .fails = false},
        {"a target is cut and keeps its eos", "{\"source\":\"a\",\"target\":\"bcdefg\"}", 41, 0, 3,
         "truncate", "abc$/.xxx", "a$|bc$/xxx", 0, 0, 1, 4, 1, 4, .fails = false},
        {"both", "{\"source\":\"abcd\",\"target\":\"efgh\"}", 41, 2, 2, "truncate", "abe$/..xx",
         "a$|e$/xx", 1, 3, 1, 3, 1, 5, .fails = false},
        {"to nothing but eos", "{\"source\":\"abcd\",\"target\":\"efgh\"}", 41, 1, 1, "truncate",
         "a$/.x", "$|$/x", 1, 4, 1, 4, 1, 7, .fails = false},
        {"tokenized without eos", "{\"source_ids\":[97,98,99],\"target_ids\":[100,101,102]}", 41, 2,
         2, "truncate", "abde/..xx", "ab|de/xx", 1, 1, 1, 1, 1, 2, .fails = false},
        {"tokenized with eos", "{\"source_ids\":[97,98,256],\"target_ids\":[100,101,256]}", 41, 2,
         2, "truncate", "a$d$/..xx", "a$|d$/xx", 1, 1, 1, 1, 1, 2, .fails = false},
        {"max_length is of the whole, or of both", "{\"source\":\"abcd\",\"target\":\"efghi\"}", 6,
         3, 0, "truncate", "abcefg/...xxx", "ab$|efghi$/xxxxxx", 1, 2, 0, 0, 1, 4, .fails = false},
        {"max_length for both", "{\"source\":\"abcd\",\"target\":\"efghij\"}", 4, 0, 0, "split",
         "efgh/xxxx ij$/xxx", "abc$|efg$/xxxx", 1, 1, 1, 3, 0, 4, .fails = false},
        {"source and target are not split", "{\"source\":\"abcd\",\"target\":\"efgh\"}", 41, 2, 2,
         "split", "abe$/..xx", "a$|e$/xx", 1, 3, 1, 3, 1, 5, .fails = false},
        {"source refused", "{\"source\":\"abcde\",\"target\":\"e\"}", 41, 4, 0, "refuse",
         "the source has 5 tokens, max_source_length is 4",
         "the source has 6 tokens, max_source_length is 4", 0, 0, 0, 0, 0, 0, .fails = true},
        {"target refused", "{\"source\":\"a\",\"target\":\"bcde\"}", 41, 0, 4, "refuse",
         "the target has 5 tokens, max_target_length is 4",
         "the target has 5 tokens, max_target_length is 4", 0, 0, 0, 0, 0, 0, .fails = true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const limit_case *c = &cases[i];
        hone_data_settings settings = default_settings();
        settings.long_documents = changeable(c->policy);
        settings.max_source_length = c->max_source;
        settings.max_target_length = c->max_target;
        for (int apart = 0; apart < 2; apart++) {
            hone_dataset *dataset;
            hone_error error = {0};
            char shown[256];
            const char *expected = apart ? c->apart : c->whole;
            hone_status status =
                open_rows(c->rows, &settings, &plain, apart, c->max_length, &dataset, &error);
            assert_int_equal(status, c->fails ? HONE_INPUT : HONE_OK);
            if (c->fails) {
                assert_non_null(strstr(error.message, expected));
                continue;
            }
            show(dataset, shown);
            if (strcmp(shown, expected) != 0)
                print_error("%s: found %s\n", c->name, shown);
            assert_string_equal(shown, expected);
            hone_dataset_counts counts = hone_dataset_count(dataset);
            if (apart) {
                assert_int_equal(counts.source_truncated, c->source_truncated);
                assert_int_equal(counts.source_dropped, c->source_dropped);
                assert_int_equal(counts.target_truncated, c->target_truncated);
                assert_int_equal(counts.target_dropped, c->target_dropped);
                assert_int_equal(counts.dropped_tokens, c->source_dropped + c->target_dropped);
            } else {
                assert_int_equal(counts.truncated, c->whole_truncated);
                assert_int_equal(counts.dropped_tokens, c->whole_dropped);
            }
            hone_dataset_close(dataset);
        }
    }
}

static void a_model_without_end_takes_512_tokens(void **state)
{
    (void)state;
    char row[2048];
    hone_data_settings settings = default_settings();
    hone_dataset *dataset;
    hone_error error = {0};
    snprintf(row, sizeof row, "{\"source\":\"%0600d\",\"target\":\"%0700d\"}", 0, 0);
    assert_int_equal(open_rows(row, &settings, &plain, true, 0, &dataset, &error), HONE_OK);
    hone_document document = hone_dataset_at(dataset, 0);
    assert_int_equal(document.source_length, 512);
    assert_int_equal(document.source[511], BYTE_EOS);
    assert_int_equal(document.length, 512);
    assert_int_equal(document.ids[511], BYTE_EOS);
    hone_dataset_close(dataset);
    settings.max_source_length = 601;
    settings.max_target_length = 602;
    assert_int_equal(open_rows(row, &settings, &plain, true, 0, &dataset, &error), HONE_OK);
    assert_int_equal(hone_dataset_longest(dataset).source, 601);
    assert_int_equal(hone_dataset_longest(dataset).target, 602);
    hone_dataset_close(dataset);
    assert_int_equal(open_rows(row, &settings, &plain, false, 0, &dataset, &error), HONE_USAGE);
}

static void nothing_to_train_on_is_left_out_where_allowed(void **state)
{
    (void)state;
    hone_data_settings settings = default_settings();
    settings.allow_empty = true;
    hone_dataset *dataset;
    hone_error error = {0};
    char shown[64];
    assert_int_equal(open_rows("{\"source_ids\":[],\"target_ids\":[97]}\n"
                               "{\"source_ids\":[97],\"target_ids\":[]}\n"
                               "{\"source\":\"a\",\"target\":\"b\"}",
                               &settings, &plain, true, 41, &dataset, &error),
                     HONE_OK);
    show(dataset, shown);
    assert_string_equal(shown, "a$|b$/xx");
    hone_dataset_counts counts = hone_dataset_count(dataset);
    assert_int_equal(counts.empty_rows, 2);
    assert_int_equal(counts.tokens, 2);
    assert_int_equal(counts.source_tokens, 2);
    assert_int_equal(counts.trained_tokens, 2);
    hone_dataset_close(dataset);
}

/* One stream of a batch as text: ids, '/' positions in base 36, ' ' between segments. */
static void show_stream(const hone_batch *batch, const hone_rows *rows, char *out)
{
    for (int64_t s = 0; s < batch->segments; s++) {
        int64_t first = rows->starts[s], length = rows->starts[s + 1] - first;
        out = append(out, rows->ids + first, length);
        *out++ = '/';
        for (int64_t i = 0; i < length; i++)
            *out++ = "0123456789abcdefghijklmnopqrstuvwxyz"[rows->positions[first + i]];
        *out++ = ' ';
    }
    *out = '\0';
}

static void pairs_are_packed_into_two_streams(void **state)
{
    (void)state;
    hone_data_settings settings = default_settings();
    hone_dataset *dataset;
    hone_packer *packer;
    hone_error error = {0};
    char shown[128];
    assert_int_equal(open_rows("{\"source\":\"abcde\",\"target\":\"fg\"}\n"
                               "{\"source\":\"\",\"target\":\"\"}\n"
                               "{\"source\":\"h\",\"target\":\"ijkl\"}",
                               &settings, &plain, true, 41, &dataset, &error),
                     HONE_OK);
    assert_int_equal(hone_packer_create(&packer, &error), HONE_OK);
    for (int round = 0; round < 2; round++) {
        for (int64_t i = 0; i < 3; i++)
            assert_int_equal(hone_packer_add(packer, hone_dataset_at(dataset, i), &error), HONE_OK);
        hone_batch batch = hone_packer_batch(packer);
        assert_int_equal(batch.segments, 3);
        assert_int_equal(batch.target.rows, 3 + 1 + 5);
        assert_int_equal(batch.source.rows, 6 + 1 + 2);
        assert_int_equal(batch.target.starts[3], batch.target.rows);
        assert_int_equal(batch.source.starts[3], batch.source.rows);
        show_stream(&batch, &batch.source, shown);
        assert_string_equal(shown, "abcde$/012345 $/0 h$/01 ");
        show_stream(&batch, &batch.target, shown);
        assert_string_equal(shown, ">fg/012 >/0 >ijkl/01234 ");
        append(shown, batch.labels, batch.target.rows);
        assert_string_equal(shown, "fg$$ijkl$");
        assert_int_equal(hone_packer_labels(packer), 9);
        /* A decoder-only document does not go with these. */
        static const int32_t ids[] = {1, 2};
        hone_document whole = {.ids = ids, .labels = ids, .length = 2};
        assert_int_equal(hone_packer_add(packer, whole, &error), HONE_USAGE);
        hone_packer_reset(packer);
        assert_int_equal(hone_packer_add(packer, whole, &error), HONE_OK);
        assert_int_equal(hone_packer_batch(packer).source.rows, 0);
        assert_int_equal(hone_packer_add(packer, hone_dataset_at(dataset, 0), &error), HONE_USAGE);
        hone_packer_reset(packer);
    }
    hone_packer_free(packer);
    hone_dataset_close(dataset);
}

static void a_target_without_labels_is_not_predicted(void **state)
{
    (void)state;
    static const int32_t source[] = {7}, ids[] = {8, 9}, labels[] = {HONE_NO_LABEL, 5};
    hone_document document = {
        .ids = ids, .labels = labels, .length = 2, .source = source, .source_length = 1};
    hone_packer *packer;
    hone_error error = {0};
    assert_int_equal(hone_document_labels(&document), 1);
    assert_int_equal(hone_packer_create(&packer, &error), HONE_OK);
    assert_int_equal(hone_packer_add(packer, document, &error), HONE_OK);
    document.labels = NULL;
    assert_int_equal(hone_document_labels(&document), 0);
    assert_int_equal(hone_packer_add(packer, document, &error), HONE_OK);
    static const int32_t expected_ids[] = {0, 8, 0, 8}, expected[] = {-1, 5, -1, -1};
    assert_memory_equal(hone_packer_batch(packer).target.ids, expected_ids, sizeof expected_ids);
    assert_memory_equal(hone_packer_batch(packer).labels, expected, sizeof expected);
    assert_int_equal(hone_packer_labels(packer), 1);
    hone_packer_free(packer);
}

/* The rows of any batch are known beforehand, in each stream. */
static void the_rows_needed_follow_from_the_longest(void **state)
{
    (void)state;
    char content[4096];
    size_t used = 0;
    int64_t sources[23], targets[23];
    for (int i = 0; i < 23; i++) {
        sources[i] = (i * 7) % 23 + 2; /* with eos: all lengths but different orders */
        targets[i] = (i * 11) % 23 + 2;
        used += (size_t)sprintf(content + used, "{\"source\":\"%0*d\",\"target\":\"%0*d\"}\n",
                                (int)sources[i] - 1, 0, (int)targets[i] - 1, 0);
    }
    hone_data_settings settings = default_settings();
    hone_dataset *dataset;
    hone_error error = {0};
    assert_int_equal(open_rows(content, &settings, &plain, true, 41, &dataset, &error), HONE_OK);
    assert_int_equal(hone_dataset_longest(dataset).source, 24);
    assert_int_equal(hone_dataset_longest(dataset).target, 24);
    for (int64_t count = 0; count <= 24; count++) {
        int64_t expected = 0;
        for (int64_t i = 0; i < count && i < 23; i++)
            expected += 24 - i;
        hone_stream_rows most = hone_dataset_most_rows(dataset, count);
        assert_int_equal(most.source, expected);
        assert_int_equal(most.target, expected);
    }
    hone_dataset_close(dataset);
}

static void the_hash_tells_sources_targets_and_their_border(void **state)
{
    (void)state;
    static const char *const contents[] = {
        "{\"source\":\"ab\",\"target\":\"cd\"}",
        "{\"source\":\"abc\",\"target\":\"d\"}",
        "{\"source\":\"ab\",\"target\":\"ce\"}",
        "{\"source\":\"bb\",\"target\":\"cd\"}",
        "{\"source\":\"cd\",\"target\":\"ab\"}",
        "{\"source\":\"ab\",\"target\":\"cd\"}\n{\"source\":\"ab\",\"target\":\"cd\"}",
    };
    uint64_t hashes[7];
    hone_data_settings settings = default_settings();
    hone_dataset *dataset;
    hone_error error = {0};
    for (int i = 0; i < 7; i++) {
        bool apart = i < 6;
        assert_int_equal(open_rows(contents[i % 6], &settings, &plain, apart, 41, &dataset, &error),
                         HONE_OK);
        hashes[i] = hone_dataset_count(dataset).hash;
        for (int j = 0; j < i; j++)
            assert_true(hashes[i] != hashes[j]);
        hone_dataset_close(dataset);
    }
    assert_int_equal(open_rows("{\"source_ids\":[97,98,256],\"target_ids\":[99,100,256]}",
                               &settings, NULL, true, 41, &dataset, &error),
                     HONE_OK);
    assert_true(hone_dataset_count(dataset).hash == hashes[0]);
    hone_dataset_close(dataset);
}

static void a_split_keeps_pairs_of_one_source_together(void **state)
{
    (void)state;
    char content[97 * 64];
    size_t used = 0;
    hone_data_settings settings = default_settings();
    for (int i = 0; i < 97; i++) /* 31 sources */
        used +=
            (size_t)sprintf(content + used, "{\"source\":\"%d\",\"target\":\"%d\"}\n", i % 31, i);
    for (uint64_t seed = 0; seed < 5; seed++) {
        hone_dataset *dataset, *rest;
        hone_error error = {0};
        bool seen[100] = {false};
        assert_int_equal(open_rows(content, &settings, &plain, true, 41, &dataset, &error),
                         HONE_OK);
        hone_dataset_counts all = hone_dataset_count(dataset);
        assert_int_equal(hone_dataset_split(dataset, 0.75, seed, &rest, &error), HONE_OK);
        hone_dataset_counts kept = hone_dataset_count(dataset), moved = hone_dataset_count(rest);
        assert_int_equal(kept.documents + moved.documents, 97);
        assert_int_equal(kept.source_tokens + moved.source_tokens, all.source_tokens);
        assert_int_equal(kept.tokens + moved.tokens, all.tokens);
        assert_true(moved.documents >= 8 * 3 && moved.documents <= 8 * 4); /* 0.25 * 31 = 7.75 */
        int64_t last = 0;
        for (int64_t i = 0; i < kept.documents; i++) {
            hone_document document = hone_dataset_at(dataset, i);
            assert_true(document.line > last);
            last = document.line;
            seen[(document.line - 1) % 31] = true;
        }
        for (int64_t i = 0; i < moved.documents; i++)
            assert_false(seen[(hone_dataset_at(rest, i).line - 1) % 31]);
        assert_int_equal(hone_dataset_at(rest, 0).decoder_start, START);
        hone_dataset_close(dataset);
        hone_dataset_close(rest);
    }
    hone_dataset *dataset, *rest;
    hone_error error = {0};
    assert_int_equal(open_rows("{\"source\":\"a\",\"target\":\"b\"}\n{\"source\":\"a\","
                               "\"target\":\"c\"}",
                               &settings, &plain, true, 41, &dataset, &error),
                     HONE_OK);
    assert_int_equal(hone_dataset_split(dataset, 0.5, 0, &rest, &error), HONE_INPUT);
    assert_non_null(strstr(error.message, "different sources"));
    hone_dataset_close(dataset);
}

static int make_the_folder(void **state)
{
    (void)state;
    make_folder();
    return 0;
}

static int remove_the_folder(void **state)
{
    (void)state;
    remove_folder();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_mean_the_same_under_all_names),
        cmocka_unit_test(rows_that_do_not_fit_the_model_say_what_would),
        cmocka_unit_test(source_and_target_have_limits_of_their_own),
        cmocka_unit_test(a_model_without_end_takes_512_tokens),
        cmocka_unit_test(nothing_to_train_on_is_left_out_where_allowed),
        cmocka_unit_test(pairs_are_packed_into_two_streams),
        cmocka_unit_test(a_target_without_labels_is_not_predicted),
        cmocka_unit_test(the_rows_needed_follow_from_the_longest),
        cmocka_unit_test(the_hash_tells_sources_targets_and_their_border),
        cmocka_unit_test(a_split_keeps_pairs_of_one_source_together),
    };
    return cmocka_run_group_tests(tests, make_the_folder, remove_the_folder);
}
