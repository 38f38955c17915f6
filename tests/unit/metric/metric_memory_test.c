/* Memory that runs out at any allocation is HONE_MEMORY and leaks nothing; a row whose adding
 * failed is not there, and the same call succeeds afterwards. */
#include "base/parallel.h"

#include <hone/memory.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "metric_support.h"

/* What the hook has given out, and how many allocations it still allows. */
static struct {
    int64_t blocks, left;
} book;

static void *reallocate(void *context, void *block, size_t old_size, size_t new_size)
{
    (void)context, (void)old_size;
    if (new_size == 0) {
        book.blocks -= block != NULL;
        free(block);
        return NULL;
    }
    if (book.left-- <= 0)
        return NULL;
    book.blocks += block == NULL;
    return realloc(block, new_size);
}

static void *map_pages(void *context, size_t size)
{
    (void)context;
    book.blocks += book.left-- > 0;
    return book.left >= 0 ? calloc(1, size) : NULL;
}

static void unmap_pages(void *context, void *block, size_t size)
{
    (void)context, (void)size;
    book.blocks--;
    free(block);
}

static char file[128];

static hone_status init(hone_score_settings *settings, hone_option_set *set, hone_error *error)
{
    static const char *const options[][2] = {
        {"stemmer", "true"}, {"lowercase", "true"}, {"bootstrap_samples", "7"}};
    *set = hone_score_option_set(settings);
    hone_status status = hone_options_init(set, error);
    if (status == HONE_OK)
        status = hone_options_set_text(set, 1, "metrics", strchr(EVERY_METRIC, '=') + 1, "metrics",
                                       error);
    for (size_t i = 0; status == HONE_OK && i < sizeof options / sizeof *options; i++)
        status = hone_options_set_text(set, 1, options[i][0], options[i][1], options[i][0], error);
    return status;
}

static hone_status use(hone_scorer *scorer, hone_error *error)
{
    static const char wide[] = "line one of it\nline two of it\nA third, with 1,000.5 words.\n\n";
    hone_text prediction = {wide, sizeof wide - 1};
    hone_text references[] = {{wide + 7, 30}, {wide + 3, 44}, {"two\nof it", 9}};
    const hone_score_files files = {file, NULL, "p", "r"};
    hone_score score;
    hone_status status = hone_scorer_add(scorer, prediction, references, 3, error);
    assert_int_equal(hone_scorer_rows(scorer), status == HONE_OK ? 1 : 0);
    if (status == HONE_OK)
        status = hone_scorer_add_files(scorer, &files, error);
    for (size_t i = 0; status == HONE_OK && i < hone_scorer_count(scorer); i++)
        status = hone_scorer_result(scorer, i, &score, error);
    return status;
}

static hone_status run(hone_error *error)
{
    hone_score_settings settings;
    hone_option_set set;
    hone_scorer *scorer = NULL, *second = NULL;
    hone_comparison comparison;
    hone_status status = init(&settings, &set, error);
    if (status == HONE_OK)
        status = hone_scorer_create(&settings, &scorer, error);
    if (status == HONE_OK)
        status = hone_scorer_create(&settings, &second, error);
    if (status == HONE_OK)
        status = use(scorer, error);
    if (status == HONE_OK)
        status = use(second, error);
    if (status == HONE_OK)
        status = hone_scorer_compare(scorer, second, 0, &comparison, error);
    hone_scorer_free(scorer);
    hone_scorer_free(second);
    hone_options_deinit(&set);
    return status;
}

static void scoring_survives_every_refusal(void **state)
{
    (void)state;
    hone_allocator allocator = {reallocate, map_pages, unmap_pages, NULL};
    hone_error error = {0};
    int64_t failures = 0;
    hone_parallel_set_threads(1);
    assert_int_equal(run(&error), HONE_OK); /* what is made once and stays */
    for (hone_status status = HONE_MEMORY; status != HONE_OK; failures++) {
        book.blocks = 0;
        book.left = failures;
        hone_memory_set_allocator(&allocator);
        status = run(&error);
        hone_memory_set_allocator(NULL);
        assert_int_equal(book.blocks, 0);
        if (status != HONE_OK && status != HONE_MEMORY)
            fail_msg("allocation %lld: %s", (long long)failures, error.message);
    }
    assert_true(failures > 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(scoring_survives_every_refusal)};
    snprintf(file, sizeof file, "/tmp/hone_metric_memory.%ld.jsonl", (long)getpid());
    FILE *out = fopen(file, "w");
    if (out == NULL)
        return 1;
    fputs("{\"p\": \"a \\u0041 b\", \"r\": [\"a b\", \"x\\ty\", \"z\"]}\n{\"p\": 1, \"r\": 2}\n",
          out);
    fclose(out);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(file);
    return failed;
}
