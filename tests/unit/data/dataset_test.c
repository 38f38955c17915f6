/* Files to token rows: forms of rows, masks, lengths, bad lines, splitting. Tokens are bytes. */
#include "data_support.h"

#include "base/parallel.h"
#include "data/document_reader.h"

#include <hone/log.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const byte_tokenizer plain = {.bos = -1, .eos = BYTE_EOS};
static const byte_tokenizer with_bos = {.bos = BYTE_BOS, .eos = BYTE_EOS};

static hone_status open_text(const char *name, const char *content,
                             const hone_data_settings *settings, const byte_tokenizer *tokenizer,
                             int64_t max_length, hone_dataset **out, hone_error *error)
{
    hone_dataset_options options = {.settings = settings,
                                    .tokenizer = tokenizer != NULL ? as_tokenizer(tokenizer) : NULL,
                                    .vocabulary = 258,
                                    .max_length = max_length};
    return hone_dataset_open(write_file(name, content, strlen(content)), &options, out, error);
}

/* Shows a document as text: ids as characters, eos '$', bos '^'; what isn't trained in lower case
 * is told apart by the second string: '.' not trained, 'x' trained. */
static void show(hone_document document, char *text, char *mask)
{
    for (int64_t i = 0; i < document.length; i++) {
        int32_t id = document.ids[i];
        text[i] = id == BYTE_EOS ? '$' : id == BYTE_BOS ? '^' : (char)id;
        mask[i] = document.labels[i] == HONE_NO_LABEL ? '.' : document.labels[i] == id ? 'x' : '?';
    }
    text[document.length] = mask[document.length] = '\0';
}

typedef struct row_case {
    const char *name, *line, *ids, *mask;
    const char *text_field, *prompt_field, *completion_field, *prompt_template;
    const byte_tokenizer *tokenizer;
    bool no_eos;
} row_case;

static char *changeable(const char *text)
{
    static char storage[8][64];
    static int next;
    char *copy = storage[next++ % 8];
    snprintf(copy, sizeof storage[0], "%s", text);
    return copy;
}

static void rows_become_ids_and_masks(void **state)
{
    (void)state;
    static const row_case cases[] = {
        {"text trains on all", "{\"text\":\"abc\"}", "abc$", "xxxx", .no_eos = false},
        {"text after bos", "{\"text\":\"abc\"}", "^abc$", "xxxxx", .tokenizer = &with_bos},
        {"text without eos", "{\"text\":\"abc\"}", "abc", "xxx", .no_eos = true},
        {"pair trains on the completion and its end", "{\"prompt\":\"ab\",\"completion\":\"cd\"}",
         "abcd$", "..xxx", .no_eos = false},
        {"pair after bos", "{\"prompt\":\"ab\",\"completion\":\"cd\"}", "^abcd$", "...xxx",
         .tokenizer = &with_bos},
        {"pair without eos", "{\"completion\":\"cd\",\"prompt\":\"ab\"}", "abcd", "..xx",
         .no_eos = true},
        {"empty prompt", "{\"prompt\":\"\",\"completion\":\"cd\"}", "cd$", "xxx", .no_eos = false},
        {"empty completion trains on the end", "{\"prompt\":\"ab\",\"completion\":\"\"}", "ab$",
         "..x", .no_eos = false},
        {"escapes", "{\"text\":\"a\\n\\\"\\u0041\\/\"}", "a\n\"A/$", "xxxxxx", .no_eos = false},
        {"escaped key", "{\"t\\u0065xt\":\"abc\"}", "abc$", "xxxx", .no_eos = false},
        {"other keys are ignored", "{\"x\":[1,{\"text\":2}],\"text\":\"abc\",\"y\":null}", "abc$",
         "xxxx", .no_eos = false},
        {"an ids that is a number is a record's", "{\"ids\":7,\"text\":\"abc\"}", "abc$", "xxxx",
         .no_eos = false},
        {"field names", "{\"article\":\"ab\",\"highlights\":\"c\"}", "abc$", "..xx",
         .prompt_field = "article", .completion_field = "highlights", .no_eos = false},
        {"classification", "{\"text\":\"ab\",\"label\":\"c\"}", "abc$", "..xx",
         .prompt_field = "text", .completion_field = "label", .no_eos = false},
        {"text field of one's own goes first",
         "{\"body\":\"b\",\"prompt\":\"p\",\"completion\":\"c\"}", "b$", "xx", .text_field = "body",
         .no_eos = false},
        {"pair goes before text", "{\"text\":\"t\",\"prompt\":\"p\",\"completion\":\"c\"}", "pc$",
         ".xx", .no_eos = false},
        {"pair form off", "{\"text\":\"t\",\"prompt\":\"p\",\"completion\":\"c\"}", "t$", "xx",
         .completion_field = "", .no_eos = false},
        {"template", "{\"prompt\":\"p\",\"completion\":\"c\"}", "Q: p\nA: c$", "........xx",
         .prompt_template = "Q: {prompt}\\nA: ", .no_eos = false},
        {"template with prompt_field", "{\"article\":\"p\",\"completion\":\"c\"}", "<p>c$", "...xx",
         .prompt_field = "article", .prompt_template = "<{prompt}>", .no_eos = false},
        {"template with keys and braces", "{\"a\":\"1\",\"b\":\"2\",\"completion\":\"c\"}",
         "{2}\\1\t2c$", ".......xx", .prompt_template = "{{{b}}}\\\\{a}\\t{b}", .no_eos = false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const row_case *c = &cases[i];
        hone_data_settings settings = default_settings();
        hone_dataset *dataset = NULL;
        hone_error error = {0};
        char ids[64], mask[64];
        if (c->text_field != NULL)
            settings.text_field = changeable(c->text_field);
        if (c->prompt_field != NULL)
            settings.prompt_field = changeable(c->prompt_field);
        if (c->completion_field != NULL)
            settings.completion_field = changeable(c->completion_field);
        if (c->prompt_template != NULL)
            settings.prompt_template = changeable(c->prompt_template);
        settings.append_eos = !c->no_eos;
        hone_status status =
            open_text("rows.jsonl", c->line, &settings,
                      c->tokenizer != NULL ? c->tokenizer : &plain, 41, &dataset, &error);
        if (status != HONE_OK)
            print_error("%s: %s\n", c->name, error.message);
        assert_int_equal(status, HONE_OK);
        assert_int_equal(hone_dataset_size(dataset), 1);
        show(hone_dataset_at(dataset, 0), ids, mask);
        if (strcmp(ids, c->ids) != 0 || strcmp(mask, c->mask) != 0)
            print_error("%s: found %s / %s\n", c->name, ids, mask);
        assert_string_equal(ids, c->ids);
        assert_string_equal(mask, c->mask);
        hone_dataset_close(dataset);
    }
}

typedef struct bad_case {
    const char *content, *part;
    int64_t line;
} bad_case;

static const bad_case bad_lines[] = {
    {"{\"text\":\"a\"}\n{\"text\":\"b\"", "an object without its end, at byte 12", 2},
    {"\n\n{\"text\":\"a\"}\n\n{\"text\" \"b\"}\n", "expected a colon", 5},
    {"{", "expected a key", 1},
    {"{\"text\":\"a\"} x", "something after the object", 1},
    {"{\"text\":\"a\",}", "expected a key", 1},
    {"\"text\"", "expected an object", 1},
    {"{\"text\":\"a\"}\r\n17", "expected an object", 2},
    {"{\"text\":\"a\"}\n[1]", "expected an object", 2},
    {"{\"text\":\"\xC3(\"}", "not UTF-8", 1},
    {"{\"text\":\"\xED\xA0\x80\"}", "not UTF-8", 1},
    {"{\"text\":\"\xF5\x80\x80\x80\"}", "not UTF-8", 1},
    {"{\"text\":\"\xC0\x80\"}", "not UTF-8", 1},
    {"{\"text\":\"\xE0\x9F\xBF\"}", "not UTF-8", 1},
    {"{\"text\":\"\xF0\x8F\xBF\xBF\"}", "not UTF-8", 1},
    {"{\"text\":\"\xF4\x90\x80\x80\"}", "not UTF-8", 1},
    {"{\"text\":\"\xF0\x9F\x98\"}", "not UTF-8", 1},
    {"{\"text\":\"\x80\"}", "not UTF-8", 1},
    {"{\"text\":\"\\ud800\"}", "surrogate", 1},
    {"{\"text\":\"\\udc00\\ud800\"}", "surrogate", 1},
    {"{\"text\":\"\\u12g4\"}", "hexadecimal", 1},
    {"{\"text\":\"\\x\"}", "unknown escape", 1},
    {"{\"text\":\"a\tb\"}", "control character", 1},
    {"{\"text\":\"a", "string without its end", 1},
    {"{\"text\":\"a\\", "string without its end", 1},
    {"{\"n\":01,\"text\":\"a\"}", "leading zero", 1},
    {"{\"n\":1.,\"text\":\"a\"}", "without digits", 1},
    {"{\"n\":-,\"text\":\"a\"}", "without digits", 1},
    {"{\"n\":1e+,\"text\":\"a\"}", "without digits", 1},
    {"{\"n\":nul,\"text\":\"a\"}", "expected a value", 1},
    {"{\"n\":NaN,\"text\":\"a\"}", "expected a value", 1},
    {"{\"n\":[1,],\"text\":\"a\"}", "expected a value", 1},
    {"{\"n\":[1 2],\"text\":\"a\"}", "comma or a closing bracket", 1},
    {"{\"n\":[},\"text\":\"a\"}", "expected a value", 1},
    {"{\"n\":{\"a\":1]},\"text\":\"a\"}", "comma or a closing bracket", 1},
    {"{\"text\":\"a\",\"text\":\"b\"}", "repeated key \"text\"", 1},
    {"{\"text\":\"a\",\"t\\u0065xt\":\"b\"}", "repeated key \"text\"", 1},
    {"{\"text\":17}", "\"text\" must be a string, found a number", 1},
    {"{\"text\":null}", "found null", 1},
    {"{\"prompt\":\"a\",\"completion\":[\"b\"]}", "\"completion\" must be a string, found an array",
     1},
    {"{\"prompt\":{},\"completion\":\"b\"}", "\"prompt\" must be a string, found an object", 1},
    {"{\"body\":\"a\",\"n\":1}", "the row has \"body\", \"n\"; name its keys with --text-field", 1},
    {"{\"prompt\":\"a\"}",
     "expected \"prompt\" with \"completion\", \"source\" with \"target\", \"text\" or \"ids\"", 1},
    {"{}", "no keys at all", 1},
    {"{\"a\\u001bb\":1}", "\"a?b\"", 1},
    {"{\"ids\":5}", "\"ids\" must be an array of token ids, found a number", 1},
    {"{\"ids\":[1,258]}", "\"ids\"[1] is 258; expected 0 to 257", 1},
    {"{\"ids\":[-1,2]}", "\"ids\"[0] is -1", 1},
    {"{\"ids\":[1,2.0]}", "\"ids\"[1] is not an integer", 1},
    {"{\"ids\":[1,1e2]}", "\"ids\"[1] is not an integer", 1},
    {"{\"ids\":[1,\"2\"]}", "\"ids\"[1] is not an integer", 1},
    {"{\"ids\":[1,[2]]}", "\"ids\"[1] is not an integer", 1},
    {"{\"ids\":[1,99999999999999999999]}", "\"ids\"[1] is not an integer", 1},
    {"{\"ids\":[1,4294967297]}", "\"ids\"[1] is 4294967297", 1},
    {"{\"ids\":[1,2],\"labels\":[1]}", "2 \"ids\" but 1 \"labels\"", 1},
    {"{\"ids\":[1,2],\"labels\":[1,-1]}", "\"labels\"[1] is -1; expected 0 to 257, or -100", 1},
    {"{\"ids\":[1,2],\"labels\":[1,258]}", "\"labels\"[1] is 258", 1},
    {"{\"ids\":[1,2],\"labels\":null}", "\"labels\" must be an array", 1},
};

static void a_bad_line_is_an_error_with_its_number(void **state)
{
    (void)state;
    hone_data_settings settings = default_settings();
    for (size_t i = 0; i < sizeof bad_lines / sizeof bad_lines[0]; i++) {
        const bad_case *c = &bad_lines[i];
        hone_dataset *dataset;
        hone_error error = {0};
        hone_status status =
            open_text("bad.jsonl", c->content, &settings, &plain, 41, &dataset, &error);
        if (status != HONE_INPUT || strstr(error.message, c->part) == NULL || error.line != c->line)
            print_error("%s: line %lld: %s\n", c->content, (long long)error.line, error.message);
        assert_int_equal(status, HONE_INPUT);
        assert_non_null(strstr(error.message, c->part));
        assert_int_equal(error.line, c->line);
        assert_non_null(strstr(error.file, "bad.jsonl"));
        assert_null(dataset);
    }
}

static void a_bad_line_is_counted_when_skipped(void **state)
{
    (void)state;
    hone_data_settings settings = default_settings();
    settings.on_bad_line = changeable("skip");
    for (size_t i = 0; i < sizeof bad_lines / sizeof bad_lines[0]; i++) {
        char content[256];
        hone_dataset *dataset;
        hone_error error = {0};
        if (strchr(bad_lines[i].content, '\n') != NULL)
            continue;
        snprintf(content, sizeof content, "{\"text\":\"ab\"}\n%s\n{\"text\":\"cde\"}",
                 bad_lines[i].content);
        assert_int_equal(open_text("bad.jsonl", content, &settings, &plain, 41, &dataset, &error),
                         HONE_OK);
        hone_dataset_counts counts = hone_dataset_count(dataset);
        assert_int_equal(counts.bad_lines, 1);
        assert_int_equal(counts.documents, 2);
        assert_int_equal(counts.tokens, 7);
        assert_int_equal(hone_dataset_at(dataset, 1).line, 3);
        hone_dataset_close(dataset);
    }
}

static void errors_of_the_whole_file_say_what_to_do(void **state)
{
    (void)state;
    static const struct {
        const char *name, *content, *part;
        hone_status status;
    } cases[] = {
        {"array.json", "\n [\n{\"text\":\"a\"}]", "one JSON array", HONE_INPUT},
        {"array.jsonl", "[{\"text\":\"a\"}]", "jq -c", HONE_INPUT},
        {"empty.jsonl", "", "no documents", HONE_INPUT},
        {"blank.txt", "\n \n\t\r\n", "no documents", HONE_INPUT},
        {"table.tsv", "a\tb", "unknown kind of data file", HONE_INPUT},
        {"table.csv", "", "names the columns", HONE_INPUT},
        {"table.csv", "text\n\n", "no documents", HONE_INPUT},
        {"plain.jsonl.zst", "{\"text\":\"a\"}", "expected a zstd frame", HONE_INPUT},
        {"latin.txt", "abc\n\nab\n\xE9t\xE9\n", "0xE9", HONE_INPUT},
    };
    hone_data_settings settings = default_settings();
    settings.on_bad_line = changeable("error");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        hone_dataset *dataset;
        hone_error error = {0};
        hone_status status =
            open_text(cases[i].name, cases[i].content, &settings, &plain, 41, &dataset, &error);
        if (status != cases[i].status || strstr(error.message, cases[i].part) == NULL)
            print_error("%s: %s\n", cases[i].name, error.message);
        assert_int_equal(status, cases[i].status);
        assert_non_null(strstr(error.message, cases[i].part));
        if (strcmp(cases[i].name, "latin.txt") == 0)
            assert_int_equal(error.line, 4);
    }
    hone_dataset *dataset;
    hone_error error = {0};
    hone_dataset_options options = {.settings = &settings, .vocabulary = 258, .max_length = 41};
    assert_int_equal(hone_dataset_open("/nonexistent/file.jsonl", &options, &dataset, &error),
                     HONE_IO);
    assert_int_equal(
        open_text("t.jsonl", "{\"text\":\"a\"}", &settings, NULL, 41, &dataset, &error),
        HONE_INPUT);
    assert_non_null(strstr(error.message, "no tokenizer"));
    options.vocabulary = 98;
    options.tokenizer = as_tokenizer(&plain);
    assert_int_equal(hone_dataset_open(write_file("t.jsonl", "{\"text\":\"ab\"}", 13), &options,
                                       &dataset, &error),
                     HONE_MISMATCH);
    assert_non_null(strstr(error.message, "token 256"));
    options.max_length = 0;
    assert_int_equal(hone_dataset_open("t.jsonl", &options, &dataset, &error), HONE_USAGE);
}

static void a_template_that_is_not_well_formed_is_refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"no key", "no {prompt}"},        {"{", "expected {key}"},
        {"{}", "expected {key}"},         {"{a{b}", "expected {key}"},
        {"a}", "without \"{\""},          {"{prompt}\\q", "unknown escape \\q"},
        {"{prompt}\\", "unknown escape"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        hone_data_settings settings = default_settings();
        hone_dataset *dataset;
        hone_error error = {0};
        settings.prompt_template = changeable(cases[i][0]);
        assert_int_equal(
            open_text("t.jsonl", "{\"text\":\"a\"}", &settings, &plain, 41, &dataset, &error),
            HONE_USAGE);
        if (strstr(error.message, cases[i][1]) == NULL)
            print_error("%s: %s\n", cases[i][0], error.message);
        assert_non_null(strstr(error.message, cases[i][1]));
    }
}

static void ids_rows_are_taken_as_they_are(void **state)
{
    (void)state;
    hone_data_settings settings = default_settings();
    hone_dataset *dataset;
    hone_error error = {0};
    const char *content = "{\"ids\": [3, 1 ,257]}\n"
                          "{\"labels\":[-100,-100,7],\"ids\":[5,6,7],\"text\":\"unused\"}\n"
                          "{\"ids\":[5,6,7],\"labels\":[5,9,-100]}";
    assert_int_equal(open_text("ids.jsonl", content, &settings, NULL, 41, &dataset, &error),
                     HONE_OK);
    static const int32_t ids[3][3] = {{3, 1, 257}, {5, 6, 7}, {5, 6, 7}};
    static const int32_t labels[3][3] = {{3, 1, 257}, {-1, -1, 7}, {5, 9, -1}};
    for (int i = 0; i < 3; i++) {
        hone_document document = hone_dataset_at(dataset, i);
        assert_int_equal(document.length, 3);
        assert_memory_equal(document.ids, ids[i], sizeof ids[i]);
        assert_memory_equal(document.labels, labels[i], sizeof labels[i]);
        assert_int_equal(document.line, i + 1);
    }
    assert_int_equal(hone_dataset_count(dataset).trained_tokens, 2 + 1 + 1);
    hone_dataset_close(dataset);
}

typedef struct length_case {
    const char *name, *policy, *content;
    int64_t max_length;
    const char *shown; /* documents as "ids/mask ", or part of the error */
    int64_t truncated, dropped, split, empty;
    bool fails, allow_empty;
} length_case;

static void long_and_empty_rows_are_cut_split_refused_or_counted(void **state)
{
    (void)state;
    static const length_case cases[] = {
        {"fits exactly", "truncate", "{\"text\":\"abcd\"}", 5, "abcd$/xxxxx ", 0, 0, 0, 0,
         .fails = false},
        {"truncated", "truncate", "{\"text\":\"abcd\"}", 4, "abcd/xxxx ", 1, 1, 0, 0,
         .fails = false},
        {"truncated pair", "truncate", "{\"prompt\":\"ab\",\"completion\":\"cd\"}", 3, "abc/..x ",
         1, 2, 0, 0, .fails = false},
        {"pair without room", "truncate", "{\"prompt\":\"abc\",\"completion\":\"d\"}", 3,
         "the row has 5 tokens, and the first 3", 0, 0, 0, 0, .fails = true},
        {"pair without room allowed", "truncate",
         "{\"prompt\":\"abc\",\"completion\":\"d\"}\n{\"text\":\"x\"}", 3, "x$/xx ", 0, 0, 0, 1,
         .allow_empty = true},
        {"split", "split", "{\"text\":\"abcdefg\"}", 3, "abc/xxx def/xxx g$/xx ", 0, 0, 1, 0,
         .fails = false},
        {"split drops a lone last token", "split", "{\"text\":\"abcdef\"}", 3, "abc/xxx def/xxx ",
         0, 1, 1, 0, .fails = false},
        {"split pair drops pieces of the prompt", "split",
         "{\"prompt\":\"abcd\",\"completion\":\"efg\"}", 3, "def/.xx g$/xx ", 0, 3, 1, 0,
         .fails = false},
        {"refused", "refuse", "{\"text\":\"ab\"}\n{\"text\":\"abcd\"}", 4,
         "has 5 tokens, max_length is 4", 0, 0, 0, 0, .fails = true},
        {"empty text", "truncate", "{\"text\":\"\"}", 4, "nothing to train on", 0, 0, 0, 0,
         .fails = true},
        {"empty text allowed", "truncate", "{\"text\":\"\"}\n{\"text\":\"a\"}", 4, "a$/xx ", 0, 0,
         0, 1, .allow_empty = true},
        {"one id", "truncate", "{\"ids\":[7]}", 4, "fewer than two ids", 0, 0, 0, 0, .fails = true},
        {"empty pair", "truncate", "{\"prompt\":\"\",\"completion\":\"\"}", 4,
         "its completion is empty", 0, 0, 0, 0, .fails = true},
        {"no ids", "split", "{\"ids\":[]}", 4, "fewer than two ids", 0, 0, 0, 0, .fails = true},
        {"label at the first place only", "truncate", "{\"ids\":[7,8],\"labels\":[7,-100]}", 4,
         "no label after the first", 0, 0, 0, 0, .fails = true},
        {"all empty", "truncate", "{\"ids\":[7]}\n{\"text\":\"\"}", 4,
         "0 bad lines and 2 rows with nothing", 0, 0, 0, 0, .fails = true, .allow_empty = true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const length_case *c = &cases[i];
        hone_data_settings settings = default_settings();
        hone_dataset *dataset;
        hone_error error = {0};
        char shown[256] = "";
        settings.long_documents = changeable(c->policy);
        settings.allow_empty = c->allow_empty;
        hone_status status =
            open_text("long.jsonl", c->content, &settings, &plain, c->max_length, &dataset, &error);
        if (c->fails) {
            if (status != HONE_INPUT || strstr(error.message, c->shown) == NULL)
                print_error("%s: %s\n", c->name, error.message);
            assert_int_equal(status, HONE_INPUT);
            assert_non_null(strstr(error.message, c->shown));
            continue;
        }
        assert_int_equal(status, HONE_OK);
        for (int64_t d = 0; d < hone_dataset_size(dataset); d++) {
            char ids[64], mask[64];
            show(hone_dataset_at(dataset, d), ids, mask);
            snprintf(shown + strlen(shown), sizeof shown - strlen(shown), "%s/%s ", ids, mask);
        }
        hone_dataset_counts counts = hone_dataset_count(dataset);
        if (strcmp(shown, c->shown) != 0)
            print_error("%s: %s\n", c->name, shown);
        assert_string_equal(shown, c->shown);
        assert_int_equal(counts.truncated, c->truncated);
        assert_int_equal(counts.dropped_tokens, c->dropped);
        assert_int_equal(counts.split, c->split);
        assert_int_equal(counts.empty_rows, c->empty);
        assert_true(hone_dataset_longest(dataset).target <= c->max_length);
        hone_dataset_close(dataset);
    }
}

static void an_empty_text_after_bos_is_empty(void **state)
{
    (void)state;
    hone_data_settings settings = default_settings();
    hone_dataset *dataset;
    hone_error error = {0};
    assert_int_equal(
        open_text("t.jsonl", "{\"text\":\"\"}", &settings, &with_bos, 41, &dataset, &error),
        HONE_INPUT);
}

static void paragraphs_of_text_are_documents(void **state)
{
    (void)state;
    hone_data_settings settings = default_settings();
    hone_dataset *dataset;
    hone_error error = {0};
    const char *content = "\xEF\xBB\xBF\n\nab\r\ncd\r\n \t\r\n\n\nef\n\n\n\n\ng\nh";
    static const char *const expected[] = {"ab\ncd$", "ef$", "g\nh$"};
    static const int lines[] = {3, 8, 13};
    assert_int_equal(open_text("t.txt", content, &settings, &plain, 41, &dataset, &error), HONE_OK);
    assert_int_equal(hone_dataset_size(dataset), 3);
    for (int i = 0; i < 3; i++) {
        char ids[64], mask[64];
        show(hone_dataset_at(dataset, i), ids, mask);
        assert_string_equal(ids, expected[i]);
        assert_int_equal(hone_dataset_at(dataset, i).line, lines[i]);
    }
    hone_dataset_close(dataset);
}

/* Makes rows of many sizes, over several chunks; *count lines. */
static char *many_rows(int count, size_t *size)
{
    char *content = malloc((size_t)count * 600);
    size_t used = 0;
    assert_non_null(content);
    for (int i = 0; i < count; i++) {
        int length = i * 7919 % 499 + 1;
        used += (size_t)sprintf(
            content + used, i % 3 == 0 ? "{\"prompt\":\"%d\",\"completion\":\"" : "{\"text\":\"%d",
            i);
        memset(content + used, 'a' + i % 23, (size_t)length);
        used += (size_t)length;
        used += (size_t)sprintf(content + used, "\"}\n");
    }
    *size = used;
    return content;
}

static void the_result_does_not_depend_on_threads(void **state)
{
    (void)state;
    size_t size;
    char *content = many_rows(10007, &size);
    const char *path = write_file("many.jsonl", content, size);
    hone_data_settings settings = default_settings();
    hone_dataset_options options = {.settings = &settings,
                                    .tokenizer = as_tokenizer(&plain),
                                    .vocabulary = 258,
                                    .max_length = 211};
    hone_dataset_counts first = {0};
    for (int threads = 1; threads <= 3; threads++) {
        hone_dataset *dataset;
        hone_error error = {0};
        hone_parallel_set_threads(threads);
        assert_int_equal(hone_dataset_open(path, &options, &dataset, &error), HONE_OK);
        hone_dataset_counts counts = hone_dataset_count(dataset);
        if (threads == 1)
            first = counts;
        assert_memory_equal(&counts, &first, sizeof counts);
        assert_int_equal(counts.documents, 10007);
        for (int64_t i = 0; i < 10007; i++)
            assert_int_equal(hone_dataset_at(dataset, i).line, i + 1);
        hone_dataset_close(dataset);
        /* Of several bad lines, the first is reported. */
        content[size / 2] = content[size / 3] = content[size - 30000] = '\x01';
        int64_t line = 1;
        for (size_t i = 0; i < size / 3; i++)
            line += content[i] == '\n';
        write_file("many.jsonl", content, size);
        assert_int_equal(hone_dataset_open(path, &options, &dataset, &error), HONE_INPUT);
        assert_int_equal(error.line, line);
        free(content);
        content = many_rows(10007, &size);
        write_file("many.jsonl", content, size);
    }
    hone_parallel_set_threads(0);
    free(content);
}

static void the_hash_sees_ids_labels_and_borders(void **state)
{
    (void)state;
    static const char *const contents[] = {
        "{\"ids\":[1,2,3,4]}",
        "{\"ids\":[1,2]}\n{\"ids\":[3,4]}",
        "{\"ids\":[1,2,3,5]}",
        "{\"ids\":[1,2,3,4],\"labels\":[-100,2,3,4]}",
        "{\"ids\":[1,2,3,4],\"labels\":[-100,2,3,5]}",
        "{\"ids\":[3,4]}\n{\"ids\":[1,2]}",
        "{\"ids\":[1,2]}\n{\"ids\":[1,2]}",
        "{\"ids\":[1,2,1,2]}",
    };
    uint64_t hashes[8];
    hone_data_settings settings = default_settings();
    for (int i = 0; i < 8; i++) {
        hone_dataset *dataset;
        hone_error error = {0};
        assert_int_equal(open_text("h.jsonl", contents[i], &settings, NULL, 41, &dataset, &error),
                         HONE_OK);
        hashes[i] = hone_dataset_count(dataset).hash;
        for (int j = 0; j < i; j++)
            assert_true(hashes[i] != hashes[j]);
        hone_dataset_close(dataset);
    }
    hone_dataset *dataset;
    hone_error error = {0};
    assert_int_equal(open_text("h.jsonl", "{\"labels\":[1,2,3,4],\"ids\":[1,2,3,4], \"x\":0}",
                               &settings, NULL, 41, &dataset, &error),
                     HONE_OK);
    assert_true(hone_dataset_count(dataset).hash == hashes[0]);
    hone_dataset_close(dataset);
}

static void a_split_takes_each_line_to_one_side(void **state)
{
    (void)state;
    char content[97 * 64];
    size_t used = 0;
    hone_data_settings settings = default_settings();
    settings.long_documents = changeable("split");
    for (int i = 0; i < 97; i++)
        used += (size_t)sprintf(content + used, "{\"text\":\"%0*d\"}\n", i % 11 + 1, i % 7);
    for (uint64_t seed = 0; seed < 3; seed++) {
        hone_dataset *dataset, *rest, *again, *again_rest;
        hone_error error = {0};
        bool seen[98] = {false};
        assert_int_equal(open_text("s.jsonl", content, &settings, &plain, 5, &dataset, &error),
                         HONE_OK);
        hone_dataset_counts all = hone_dataset_count(dataset);
        assert_int_equal(hone_dataset_split(dataset, 0.8, seed, &rest, &error), HONE_OK);
        hone_dataset_counts kept = hone_dataset_count(dataset), moved = hone_dataset_count(rest);
        assert_int_equal(kept.documents + moved.documents, all.documents);
        assert_int_equal(kept.tokens + moved.tokens, all.tokens);
        assert_int_equal(kept.trained_tokens + moved.trained_tokens, all.trained_tokens);
        assert_true(kept.hash != all.hash && moved.hash != kept.hash);
        int64_t lines = 0, last = 0;
        for (int64_t i = 0; i < moved.documents; i++) {
            hone_document document = hone_dataset_at(rest, i);
            assert_true(document.line >= last);
            lines += document.line != last;
            last = document.line;
            seen[document.line] = true;
        }
        assert_int_equal(lines, 97 - 78); /* 0.8 * 97 = 77.6 */
        for (int64_t i = 0; i < kept.documents; i++)
            assert_false(seen[hone_dataset_at(dataset, i).line]);
        assert_int_equal(open_text("s.jsonl", content, &settings, &plain, 5, &again, &error),
                         HONE_OK);
        assert_int_equal(hone_dataset_split(again, 0.8, seed + 1, &again_rest, &error), HONE_OK);
        assert_true(hone_dataset_count(again_rest).hash != moved.hash);
        hone_dataset_close(again);
        hone_dataset_close(again_rest);
        assert_int_equal(open_text("s.jsonl", content, &settings, &plain, 5, &again, &error),
                         HONE_OK);
        assert_int_equal(hone_dataset_split(again, 0.8, seed, &again_rest, &error), HONE_OK);
        assert_true(hone_dataset_count(again_rest).hash == moved.hash);
        hone_dataset_close(again);
        hone_dataset_close(again_rest);
        hone_dataset_close(dataset); /* the rest outlives it */
        assert_int_equal(hone_dataset_at(rest, 0).length > 0, 1);
        hone_dataset_close(rest);
    }
}

static void a_split_leaves_something_on_both_sides_or_fails(void **state)
{
    (void)state;
    hone_data_settings settings = default_settings();
    hone_dataset *dataset, *rest;
    hone_error error = {0};
    assert_int_equal(open_text("s.jsonl", "{\"text\":\"a\"}\n{\"text\":\"b\"}", &settings, &plain,
                               5, &dataset, &error),
                     HONE_OK);
    assert_int_equal(hone_dataset_split(dataset, 1, 0, &rest, &error), HONE_USAGE);
    assert_int_equal(hone_dataset_split(dataset, 0, 0, &rest, &error), HONE_USAGE);
    assert_int_equal(hone_dataset_split(dataset, 0.999, 0, &rest, &error), HONE_OK);
    assert_int_equal(hone_dataset_size(dataset), 1);
    assert_int_equal(hone_dataset_size(rest), 1);
    hone_dataset_close(rest);
    assert_int_equal(hone_dataset_split(dataset, 0.5, 0, &rest, &error), HONE_INPUT);
    assert_null(rest);
    hone_dataset_close(dataset);
}

/* One line of nested arrays, `levels` deep with the object. */
static char *nested(int levels)
{
    char *content = malloc((size_t)levels * 2 + 32);
    assert_non_null(content);
    char *end = content + sprintf(content, "{\"x\":");
    memset(end, '[', (size_t)levels - 1);
    memset(end + levels - 1, ']', (size_t)levels - 1);
    strcpy(end + 2 * (levels - 1), ",\"text\":\"a\"}");
    return content;
}

static void nesting_is_limited(void **state)
{
    (void)state;
    static const int levels[] = {2, 64, 65, 100000};
    hone_data_settings settings = default_settings();
    for (int i = 0; i < 4; i++) {
        hone_dataset *dataset;
        hone_error error = {0};
        char *content = nested(levels[i]);
        hone_status status =
            open_text("deep.jsonl", content, &settings, &plain, 41, &dataset, &error);
        assert_int_equal(status, levels[i] <= 64 ? HONE_OK : HONE_INPUT);
        if (status != HONE_OK)
            assert_non_null(strstr(error.message, "more than 64 levels"));
        hone_dataset_close(dataset);
        free(content);
    }
}

static void a_row_of_too_many_keys_is_refused(void **state)
{
    (void)state;
    hone_data_settings settings = default_settings();
    for (int keys = 1023; keys <= 1024; keys++) {
        hone_dataset *dataset;
        hone_error error = {0};
        char content[16384];
        size_t used = (size_t)sprintf(content, "{\"text\":\"a\"");
        for (int i = 0; i < keys; i++)
            used += (size_t)sprintf(content + used, ",\"k%d\":%d", i, i % 10);
        sprintf(content + used, "}");
        assert_int_equal(open_text("keys.jsonl", content, &settings, &plain, 41, &dataset, &error),
                         keys == 1023 ? HONE_OK : HONE_INPUT);
        hone_dataset_close(dataset);
    }
}

/* Lines and paragraphs over the limit, in the middle of a file. */
static void what_is_too_long_is_an_error_or_skipped(void **state)
{
    (void)state;
    static const struct {
        const char *name, *before, *after, *part;
        size_t lines; /* of the long part; 0: a single one */
    } cases[] = {
        {"long.jsonl", "{\"text\":\"a\"}\n", "\n{\"text\":\"b\"}\n", "the line is longer", 0},
        {"long.txt", "a\n\n", "\n\nb", "the paragraph is longer", 0},
        {"long.txt", "a\n\n", "\n\nb", "the paragraph is longer", 300000},
    };
    size_t size = ((size_t)16 << 20) + 1;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        hone_data_settings settings = default_settings();
        hone_dataset *dataset;
        hone_error error = {0};
        size_t before = strlen(cases[i].before);
        char *content = malloc(size + 64);
        assert_non_null(content);
        memcpy(content, cases[i].before, before);
        memset(content + before, 'x', size);
        for (size_t line = 1; line < cases[i].lines; line++)
            content[before + line * (size / cases[i].lines)] = '\n';
        strcpy(content + before + size, cases[i].after);
        assert_int_equal(open_text(cases[i].name, content, &settings, &plain, 41, &dataset, &error),
                         HONE_INPUT);
        assert_non_null(strstr(error.message, cases[i].part));
        assert_int_equal(error.line, cases[i].part[4] == 'l' ? 2 : 3);
        settings.on_bad_line = changeable("skip");
        assert_int_equal(open_text(cases[i].name, content, &settings, &plain, 41, &dataset, &error),
                         HONE_OK);
        assert_int_equal(hone_dataset_count(dataset).bad_lines, 1);
        assert_int_equal(hone_dataset_size(dataset), 2);
        assert_int_equal(hone_dataset_at(dataset, 1).ids[0], 'b');
        hone_dataset_close(dataset);
        free(content);
    }
}

typedef struct remark {
    int count;
    char message[512];
} remark;

static void note(void *context, hone_log_level level, const char *message)
{
    remark *last = context;
    assert_int_equal(level, HONE_LOG_WARNING);
    last->count++;
    snprintf(last->message, sizeof last->message, "%s", message);
}

static void skipped_lines_are_remarked_on_once(void **state)
{
    (void)state;
    hone_data_settings settings = default_settings();
    hone_dataset *dataset;
    hone_error error = {0};
    remark last = {0};
    settings.on_bad_line = changeable("skip");
    hone_log_set(note, &last);
    assert_int_equal(open_text("skip.jsonl", "{\"text\":\"a\"}\n{\"text\":7}\nx\n", &settings,
                               &plain, 41, &dataset, &error),
                     HONE_OK);
    hone_log_set(NULL, NULL);
    assert_int_equal(last.count, 1);
    assert_non_null(strstr(last.message, "2 bad lines left out; the first, line 2: \"text\" must"));
    hone_dataset_close(dataset);
}

static void generation_needs_no_completion(void **state)
{
    (void)state;
    hone_data_settings settings = default_settings();
    hone_document_reader reader;
    hone_record record = {0};
    hone_error error = {0};
    static const char line[] = "{\"prompt\":\"a\\tb\"}";
    for (int prompts_only = 0; prompts_only < 2; prompts_only++) {
        assert_int_equal(hone_document_reader_init(&reader, &settings, prompts_only, &error),
                         HONE_OK);
        assert_int_equal(
            hone_record_read(&reader, line, strlen(line), "f", 1, 258, &record, &error),
            prompts_only ? HONE_OK : HONE_INPUT);
        hone_document_reader_deinit(&reader);
    }
    assert_int_equal(record.form, HONE_RECORD_PAIR);
    assert_int_equal(record.source_length, 3);
    assert_memory_equal(record.source, "a\tb", 3);
    assert_null(record.text);
    hone_record_deinit(&record);
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
        cmocka_unit_test(rows_become_ids_and_masks),
        cmocka_unit_test(a_bad_line_is_an_error_with_its_number),
        cmocka_unit_test(a_bad_line_is_counted_when_skipped),
        cmocka_unit_test(errors_of_the_whole_file_say_what_to_do),
        cmocka_unit_test(a_template_that_is_not_well_formed_is_refused),
        cmocka_unit_test(ids_rows_are_taken_as_they_are),
        cmocka_unit_test(long_and_empty_rows_are_cut_split_refused_or_counted),
        cmocka_unit_test(an_empty_text_after_bos_is_empty),
        cmocka_unit_test(paragraphs_of_text_are_documents),
        cmocka_unit_test(the_result_does_not_depend_on_threads),
        cmocka_unit_test(the_hash_sees_ids_labels_and_borders),
        cmocka_unit_test(a_split_takes_each_line_to_one_side),
        cmocka_unit_test(a_split_leaves_something_on_both_sides_or_fails),
        cmocka_unit_test(nesting_is_limited),
        cmocka_unit_test(a_row_of_too_many_keys_is_refused),
        cmocka_unit_test(what_is_too_long_is_an_error_or_skipped),
        cmocka_unit_test(skipped_lines_are_remarked_on_once),
        cmocka_unit_test(generation_needs_no_completion),
    };
    return cmocka_run_group_tests(tests, make_the_folder, remove_the_folder);
}
