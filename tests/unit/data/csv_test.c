/* Tables of comma-separated values: fields, records over several lines, rows of data sets. */
#include "data_support.h"

#include "data/csv_record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const byte_tokenizer plain = {.bos = -1, .eos = BYTE_EOS};

/* The fields of a record, each in brackets, or its problem. */
static void show_record(const char *text, size_t length, char *out)
{
    hone_csv_record record;
    hone_csv_field field;
    /* A copy of its own, so that the sanitizer sees reads past its end. */
    char *exact = malloc(length > 0 ? length : 1);
    assert_non_null(exact);
    memcpy(exact, text, length);
    hone_csv_record_init(&record, exact, length);
    while (hone_csv_next(&record, &field)) {
        *out++ = '[';
        out += hone_csv_decode(&field, out);
        *out++ = ']';
    }
    *out = '\0';
    if (record.problem != NULL)
        sprintf(out, " %s at %zu", record.problem, record.at);
    free(exact);
}

static void fields_are_what_rfc_4180_says(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"aaa,bbb,ccc", "[aaa][bbb][ccc]"},
        {"", "[]"},
        {",", "[][]"},
        {"a,", "[a][]"},
        {"\"a\",b", "[a][b]"},
        {"\"\",\"\"", "[][]"},
        {"\"a,b\",\"c\nd\"", "[a,b][c\nd]"},
        {"\"a\r\n\r\nb\",c", "[a\r\n\r\nb][c]"},
        {"\"b \"\"bb\"\" c\",\"\"\"\"", "[b \"bb\" c][\"]"},
        {"\"\"\"a\"\"\"", "[\"a\"]"},
        {" a , b ", "[ a ][ b ]"},
        {"a\tb;c", "[a\tb;c]"},
        {"\"a", " a quoted field without its end at 0"},
        {"a,\"b\"\"", "[a] a quoted field without its end at 2"},
        {"\"a\"b", " text after a closing quote; quotes inside a field are doubled at 3"},
        {"\"a\" ,b", " text after a closing quote; quotes inside a field are doubled at 3"},
        {"x,a\"b", "[x] a quote in a field that does not begin with one; put the field in quotes "
                   "and double those inside at 3"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char shown[256];
        show_record(cases[i][0], strlen(cases[i][0]), shown);
        assert_string_equal(shown, cases[i][1]);
    }
}

static void a_record_ends_where_its_quotes_do(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        bool inside, ends;
    } cases[] = {
        {"a,b", false, true},     {"", false, true},           {"a,\"b", false, false},
        {"a,\"b\"", false, true}, {"a,\"b\"\"", false, false}, {"\"", false, false},
        {"\"\"", false, true},    {"\"\"\"", false, false},    {"b\",c", true, true},
        {"b\",\"c", true, false}, {"", true, false},           {"\"", true, true},
        {"\"\"", true, false},    {"b\"x", true, true}, /* malformed ends too */
        {"a\"b", false, true},    {"a\"b,\"c", false, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool inside = cases[i].inside;
        bool ends = hone_csv_ends(&inside, cases[i].line, strlen(cases[i].line));
        assert_int_equal(ends, cases[i].ends);
        assert_int_equal(inside, !cases[i].ends);
    }
}

static void names_are_read_and_differ(void **state)
{
    (void)state;
    hone_csv_header header;
    hone_error error = {0};
    assert_int_equal(hone_csv_header_read(&header, ",\"a \"\"b\"\"\",c", 12, "f", 1, &error),
                     HONE_OK);
    assert_int_equal(header.count, 3);
    assert_int_equal(header.names[0].length, 0);
    assert_memory_equal(header.names[1].text, "a \"b\"", 5);
    assert_int_equal(header.names[2].length, 1);
    hone_csv_header_deinit(&header);
    assert_int_equal(hone_csv_header_read(&header, "a,b,\"a\"", 7, "f", 1, &error), HONE_INPUT);
    assert_non_null(strstr(error.message, "column 3 has the name of an earlier one"));
    assert_null(header.text);
    assert_int_equal(hone_csv_header_read(&header, "a,\"b", 4, "f", 1, &error), HONE_INPUT);
    assert_non_null(strstr(error.message, "at byte 3"));
}

static hone_status open_table(const char *name, const char *content, size_t size,
                              const hone_data_settings *settings, hone_dataset **out,
                              hone_error *error)
{
    hone_dataset_options options = {.settings = settings,
                                    .tokenizer = as_tokenizer(&plain),
                                    .vocabulary = 258,
                                    .max_length = 1009};
    return hone_dataset_open(write_file(name, content, size), &options, out, error);
}

static void expect_document(const hone_dataset *dataset, int64_t index, const char *text,
                            int64_t line)
{
    hone_document document = hone_dataset_at(dataset, index);
    assert_int_equal(document.length, strlen(text) + 1);
    for (int64_t i = 0; i + 1 < document.length; i++)
        assert_int_equal(document.ids[i], (unsigned char)text[i]);
    assert_int_equal(document.line, line);
}

static void rows_of_a_table_are_documents(void **state)
{
    (void)state;
    static const char content[] = "\xEF\xBB\xBFid,article,highlights\r\n"
                                  "1,\"two\r\nlines, and \"\"more\"\"\",x\r\n"
                                  "\r\n"
                                  "2,b,\"\n\"\r\n"
                                  "3,\"c\",y";
    char source[] = "article", target[] = "highlights";
    hone_data_settings settings = default_settings();
    hone_dataset *dataset;
    hone_error error = {0};
    settings.source_field = source;
    settings.target_field = target;
    size_t size;
    char *frame = compress_frame(content, sizeof content - 1, (zstd_options){0}, &size);
    for (int compressed = 0; compressed < 2; compressed++) {
        hone_status status =
            compressed
                ? open_table("t.csv.zst", frame, size, &settings, &dataset, &error)
                : open_table("t.csv", content, sizeof content - 1, &settings, &dataset, &error);
        if (status != HONE_OK)
            print_error("%s\n", error.message);
        assert_int_equal(status, HONE_OK);
        assert_int_equal(hone_dataset_size(dataset), 3);
        expect_document(dataset, 0, "two\r\nlines, and \"more\"x", 2);
        expect_document(dataset, 1, "b\n", 5);
        expect_document(dataset, 2, "cy", 7);
        assert_int_equal(hone_dataset_count(dataset).trained_tokens, 2 + 2 + 2);
        hone_dataset_close(dataset);
    }
    free(frame);
}

/* Enough records for many chunks, with line breaks everywhere. */
static void many_records_are_read_in_order(void **state)
{
    (void)state;
    enum { ROWS = 20011 };
    hone_data_settings settings = default_settings();
    hone_dataset *dataset;
    hone_error error = {0};
    char *content = malloc(ROWS * 128);
    assert_non_null(content);
    size_t used = (size_t)sprintf(content, "text,n\n");
    for (int i = 0; i < ROWS; i++)
        used +=
            (size_t)sprintf(content + used, i % 3 == 0 ? "\"%d\n%0*d\",\"%d\"\n" : "%d-%0*d,%d\n",
                            i, i % 97 + 1, 0, i);
    assert_int_equal(open_table("many.csv", content, used, &settings, &dataset, &error), HONE_OK);
    assert_int_equal(hone_dataset_size(dataset), ROWS);
    for (int i = 0, line = 2; i < ROWS; i++) {
        char text[160];
        sprintf(text, i % 3 == 0 ? "%d\n%0*d" : "%d-%0*d", i, i % 97 + 1, 0);
        expect_document(dataset, i, text, line);
        line += 1 + (i % 3 == 0);
    }
    hone_dataset_close(dataset);
    free(content);
}

static void a_bad_record_is_an_error_at_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *content, *part;
        int64_t line;
    } cases[] = {
        {"text,n\na,1\nb\n", "1 fields; expected 2", 3},
        {"text,n\n\"a\nb\",1\nc,2,3\n", "3 fields; expected 2", 4},
        {"text,n\na,1\nx,y\"z\nb,2\n", "a quote in a field that does not begin with one", 3},
        {"text,n\na,1\n\"x\"y,2\n", "text after a closing quote", 3},
        {"text,n\na,1\n\"x,2\nb,3\n", "a quoted field without its end, at byte 1", 3},
        {"text,n\n\"a\nb\xFF\",1\n", "not UTF-8", 3},
        {"text,te\xC0xt\na,1\n", "not UTF-8", 1},
        {"text,text\na,1\n", "column 2 has the name of an earlier one", 1},
        {"txt;n\na;1\n", "the row has \"txt;n\"", 2},
        {"ids\n\"[1,2]\"\n", "\"ids\" must be an array of token ids, found a string", 2},
    };
    hone_data_settings settings = default_settings();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        hone_dataset *dataset;
        hone_error error = {0};
        hone_status status = open_table("bad.csv", cases[i].content, strlen(cases[i].content),
                                        &settings, &dataset, &error);
        if (status != HONE_INPUT || strstr(error.message, cases[i].part) == NULL ||
            error.line != cases[i].line)
            print_error("%zu: line %lld: %s\n", i, (long long)error.line, error.message);
        assert_int_equal(status, HONE_INPUT);
        assert_non_null(strstr(error.message, cases[i].part));
        assert_int_equal(error.line, cases[i].line);
    }
    char skip[] = "skip";
    hone_dataset *dataset;
    hone_error error = {0};
    settings.on_bad_line = skip;
    static const char content[] = "text,n\na,1\nb\nx,y\"z\n\"c\nd\",2\n\"e";
    assert_int_equal(open_table("bad.csv", content, strlen(content), &settings, &dataset, &error),
                     HONE_OK);
    assert_int_equal(hone_dataset_size(dataset), 2);
    assert_int_equal(hone_dataset_count(dataset).bad_lines, 3);
    expect_document(dataset, 1, "c\nd", 5);
    hone_dataset_close(dataset);
}

/* A quote without its end swallows what follows, but not more than a line may have. */
static void a_record_that_never_ends_is_too_long(void **state)
{
    (void)state;
    enum { LINES = 300000, LINE = 64 };
    hone_data_settings settings = default_settings();
    hone_dataset *dataset;
    hone_error error = {0};
    size_t used = (size_t)LINES * LINE;
    char *content = malloc(used + 64);
    assert_non_null(content);
    size_t head = (size_t)sprintf(content, "text\na\n\"b\n");
    memset(content + head, 'x', used);
    for (size_t i = 0; i < LINES; i++)
        content[head + i * LINE + LINE - 1] = '\n';
    assert_int_equal(open_table("long.csv", content, head + used, &settings, &dataset, &error),
                     HONE_INPUT);
    assert_non_null(strstr(error.message, "the record is longer than 16 MiB"));
    assert_int_equal(error.line, 3);
    free(content);
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
        cmocka_unit_test(fields_are_what_rfc_4180_says),
        cmocka_unit_test(a_record_ends_where_its_quotes_do),
        cmocka_unit_test(names_are_read_and_differ),
        cmocka_unit_test(rows_of_a_table_are_documents),
        cmocka_unit_test(many_records_are_read_in_order),
        cmocka_unit_test(a_bad_record_is_an_error_at_its_line),
        cmocka_unit_test(a_record_that_never_ends_is_too_long),
    };
    return cmocka_run_group_tests(tests, make_the_folder, remove_the_folder);
}
