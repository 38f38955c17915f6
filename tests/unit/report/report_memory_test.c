/* Memory that runs out at any allocation of a picture or page is HONE_MEMORY: nothing leaks, and no
 * file is half-written. */
#include "report_support.h"

#include "base/files.h"

#include <hone/memory.h>
#include <hone/report.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static struct {
    int64_t blocks, asked, refuse;
} book;

static void *reallocate(void *context, void *block, size_t old_size, size_t new_size)
{
    (void)context, (void)old_size;
    if (new_size == 0) {
        book.blocks--;
        free(block);
        return NULL;
    }
    if (book.asked++ == book.refuse)
        return NULL;
    book.blocks += block == NULL;
    return realloc(block, new_size);
}

static hone_status draw(void)
{
    const char *const runs[] = {in_scratch("one"), in_scratch("two")};
    const hone_plot_request request = {.runs = runs, .count = 2, .out = in_scratch("out")};
    return hone_plot_runs(&request, NULL);
}

static hone_status report(void)
{
    return hone_report_write(in_scratch("one"), in_scratch("out/report.html"), NULL);
}

static void sweep(hone_status (*make)(void))
{
    static const hone_allocator allocator = {reallocate, NULL, NULL, NULL};
    bool hit = true;
    int64_t failures = 0;
    for (int64_t n = 0; hit; n++) {
        book.blocks = book.asked = 0;
        book.refuse = n;
        assert_int_equal(hone_folder_remove(in_scratch("out"), NULL), HONE_OK);
        assert_int_equal(hone_folder_make(in_scratch("out"), NULL), HONE_OK);
        hone_memory_set_allocator(&allocator);
        hone_status status = make();
        hone_memory_set_allocator(NULL);
        assert_int_equal(book.blocks, 0);
        hit = book.asked > book.refuse;
        assert_int_equal(status, hit ? HONE_MEMORY : HONE_OK);
        failures += status != HONE_OK;
        char **names;
        size_t count;
        assert_int_equal(hone_folder_list(in_scratch("out"), &names, &count, NULL), HONE_OK);
        for (size_t i = 0; i < count; i++)
            assert_null(strstr(names[i], ".tmp."));
        hone_names_free(names, count);
    }
    assert_true(failures > 50);
}

static void pictures_survive_every_refusal(void **state)
{
    (void)state;
    write_run("one", 60);
    write_run("two", 30);
    sweep(draw);
}

static void pages_survive_every_refusal(void **state)
{
    (void)state;
    write_run("one", 60);
    sweep(report);
}

static hone_status report_comparison(void)
{
    return hone_report_write(in_scratch("both"), in_scratch("out/report.html"), NULL);
}

static void comparisons_survive_every_refusal(void **state)
{
    (void)state;
    write_run("both/runs/one", 30);
    write_run("both/runs/two", 20);
    write_file("both/runs/one/predictions.jsonl",
               "{\"line\":3,\"source\":\"s\",\"reference\":\"t\",\"prediction\":\"p\"}\n");
    write_file("both/table.json",
               "{\"title\":\"T\",\"notes\":[\"n\"],\"rows\":["
               "{\"kind\":\"untouched\",\"name\":\"u\",\"loss\":4,\"scores\":{\"bleu\":"
               "{\"value\":1,\"scale\":100}}},"
               "{\"kind\":\"run\",\"name\":\"a\",\"loss\":3,\"run\":\"runs/one\"},"
               "{\"kind\":\"run\",\"name\":\"b\",\"loss\":2,\"run\":\"runs/two\"}]}");
    sweep(report_comparison);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pictures_survive_every_refusal),
        cmocka_unit_test(pages_survive_every_refusal),
        cmocka_unit_test(comparisons_survive_every_refusal),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
