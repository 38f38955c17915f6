/* Pages show texts as texts, load nothing, and are the same for the same run; broken run folders
 * are errors that name the file and its line. */
#include "report_support.h"

#include "base/files.h"
#include "base/memory.h"
#include "report/page.h"

#include <hone/report.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static void texts_are_escaped(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"<a href=\"x\">&'</a>", "&lt;a href=&quot;x&quot;&gt;&amp;&#39;&lt;/a&gt;"},
        {"a\nb\tc", "a\nb\tc"},
        {"\x01\x7f\x1b[31m", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD[31m"},
        {"\xff\xc3(", "\xEF\xBF\xBD\xEF\xBF\xBD("},
        {"\xC3\xA9\xE2\x82\xAC", "\xC3\xA9\xE2\x82\xAC"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_page page = {0};
        hone_page_html(&page, "");
        hone_page_text(&page, cases[i].text);
        assert_string_equal(page.text.bytes, cases[i].expected);
        hone_string_deinit(&page.text);
    }
    hone_page page = {0};
    hone_page_text_n(&page, "a\0b", 3);
    assert_string_equal(page.text.bytes, "a\xEF\xBF\xBD"
                                         "b");
    hone_string_deinit(&page.text);
}

static void numbers_are_for_people(void **state)
{
    (void)state;
    char text[HONE_PAGE_NUMBER];
    static const struct {
        double value;
        const char *bytes, *duration, *three;
    } cases[] = {
        {0, "0.00 B", "0.00 s", "0.00"},
        {0.0421, "0.0421 B", "0.0421 s", "0.0421"},
        {9.996, "10.0 B", "10.0 s", "10.0"},
        {59.6, "59.6 B", "1 min 00 s", "59.6"},
        {1024, "1.00 KiB", "17 min 04 s", "1,024"},
        {3700, "3.61 KiB", "1 h 02 min", "3,700"},
        {1.5e9, "1.40 GiB", "416666 h 40 min", "1,500,000,000"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_page_bytes(cases[i].value, text);
        assert_string_equal(text, cases[i].bytes);
        hone_page_duration(cases[i].value, text);
        assert_string_equal(text, cases[i].duration);
        hone_page_significant(cases[i].value, 3, text);
        assert_string_equal(text, cases[i].three);
    }
    hone_page_significant((double)NAN, 3, text);
    assert_string_equal(text, "\xE2\x80\x93");
    hone_page_duration(-1.0, text);
    assert_string_equal(text, "\xE2\x80\x93");
}

static size_t count(const char *text, const char *part)
{
    size_t found = 0;
    for (; (text = strstr(text, part)) != NULL; text += strlen(part))
        found++;
    return found;
}

static void a_page_holds_all_it_shows(void **state)
{
    (void)state;
    write_run("run", 60);
    assert_int_equal(hone_report_write(in_scratch("run"), NULL, NULL), HONE_OK);
    assert_int_equal(hone_report_write(in_scratch("run"), in_scratch("again.html"), NULL), HONE_OK);
    char *page = read_file(in_scratch("run/report.html"));
    char *again = read_file(in_scratch("again.html"));
    assert_string_equal(page, again);
    assert_null(strstr(page, "<script"));
    assert_null(strstr(page, "<i>"));
    assert_null(strstr(page, "<b><i>"));
    assert_non_null(strstr(page, "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"));
    assert_non_null(strstr(page, "a&amp;b"));
    assert_non_null(strstr(page, "&lt;b&gt;: 4"));
    /* What cairo and HTML name are addresses of vocabularies; nothing else points anywhere. */
    assert_int_equal(count(page, "://"), count(page, "xmlns"));
    assert_int_equal(count(page, "src="), 0);
    assert_int_equal(count(page, "<figure>"), 2);
    assert_int_equal(count(page, "<svg "), count(page, "</svg>"));
    /* Each picture's names are its own. */
    assert_true(count(page, " id=\"p0-glyph") > 10 && count(page, " id=\"p1-glyph") > 10);
    assert_int_equal(count(page, " id=\""), count(page, " id=\"p0-") + count(page, " id=\"p1-"));
    assert_int_equal(count(page, "href=\"#"),
                     count(page, "href=\"#p0-") + count(page, "href=\"#p1-"));
    assert_int_equal(count(page, "url(#"), count(page, "url(#p0-") + count(page, "url(#p1-"));
    assert_int_equal(count(page, "<div class=\"sample\">"), 6);
    assert_non_null(strstr(page, "3 earlier"));
    hone_free(page);
    hone_free(again);
}

static void broken_runs_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *file, *text, *place;
    } cases[] = {
        {"broken/train.tsv", "step\tloss\n1\n", "train.tsv"},
        {"broken/valid.tsv", "step\tloss\n1\t2\t3\n", "valid.tsv"},
        {"broken/log.jsonl", "{\"seconds\":1}\n{\n", "log.jsonl"},
        {"broken/samples.jsonl", "[\n", "samples.jsonl"},
        {"broken/summary.json", "{", "summary.json"},
        {"broken/config.yaml", "a: [[1]]\n", "config.yaml"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_error error;
        write_run("broken", 10);
        write_file(cases[i].file, cases[i].text);
        assert_int_equal(hone_report_write(in_scratch("broken"), in_scratch("x.html"), &error),
                         HONE_INPUT);
        assert_non_null(strstr(error.file, cases[i].place));
        assert_false(hone_file_exists(in_scratch("x.html")));
    }
    hone_error error;
    assert_int_equal(hone_report_write(in_scratch("none"), NULL, &error), HONE_INPUT);
    assert_non_null(strstr(error.message, "config.yaml"));
}

static void keep_name(void *context, const char *path)
{
    char *names = context;
    const char *slash = strrchr(path, '/');
    strcat(names, slash != NULL ? slash + 1 : path);
    strcat(names, " ");
}

static void runs_are_drawn_together(void **state)
{
    (void)state;
    write_run("a/one", 60);
    write_run("b/one", 20);
    write_run("two", 0);
    char one[512], other[512], empty[512], out[512], names[512] = "";
    snprintf(one, sizeof one, "%s", in_scratch("a/one"));
    snprintf(other, sizeof other, "%s/", in_scratch("b/one"));
    snprintf(empty, sizeof empty, "%s", in_scratch("two"));
    snprintf(out, sizeof out, "%s", in_scratch("pictures/here"));
    const char *const runs[] = {one, other, empty};
    hone_plot_request request = {.runs = runs,
                                 .count = 3,
                                 .out = out,
                                 .x = HONE_PLOT_SECONDS,
                                 .written = keep_name,
                                 .context = names};
    assert_int_equal(hone_plot_runs(&request, NULL), HONE_OK);
    assert_string_equal(names, "loss-seconds.png loss-seconds.svg perplexity-seconds.png "
                               "perplexity-seconds.svg ");
    request.out = NULL;
    assert_int_equal(hone_plot_runs(&request, NULL), HONE_USAGE);
    request.count = 0;
    assert_int_equal(hone_plot_runs(&request, NULL), HONE_USAGE);
    request.runs = runs + 2;
    request.count = 1;
    hone_error error;
    assert_int_equal(hone_plot_runs(&request, &error), HONE_INPUT);
    assert_non_null(strstr(error.message, "nothing to draw"));
    request.runs = runs;
    request.x = HONE_PLOT_STEP;
    assert_int_equal(hone_plot_runs(&request, NULL), HONE_OK);
    assert_true(hone_file_exists(in_scratch("a/one/plots/loss-step.svg")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_escaped),         cmocka_unit_test(numbers_are_for_people),
        cmocka_unit_test(a_page_holds_all_it_shows), cmocka_unit_test(broken_runs_are_named),
        cmocka_unit_test(runs_are_drawn_together),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
