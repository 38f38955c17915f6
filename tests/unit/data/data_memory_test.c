/* Memory that runs out at any allocation is HONE_MEMORY, leaks nothing, and what was there before
 * stays as it was. Refusals come once and for ever after the n-th allocation. */
#include "data_support.h"

#include "base/parallel.h"

#include <hone/memory.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct ledger {
    atomic_int blocks; /* held */
    atomic_int calls, refused_call;
    bool for_ever;
} ledger;

static bool refuse(ledger *book)
{
    int call = atomic_fetch_add(&book->calls, 1);
    return call == book->refused_call || (book->for_ever && call > book->refused_call);
}

static void *reallocate(void *context, void *block, size_t old_size, size_t new_size)
{
    ledger *book = context;
    (void)old_size;
    if (new_size == 0) {
        atomic_fetch_sub(&book->blocks, block != NULL);
        free(block);
        return NULL;
    }
    if (refuse(book))
        return NULL;
    atomic_fetch_add(&book->blocks, block == NULL);
    return realloc(block, new_size);
}

static void *map_pages(void *context, size_t size)
{
    ledger *book = context;
    if (refuse(book))
        return NULL;
    atomic_fetch_add(&book->blocks, 1);
    return calloc(1, size);
}

static void unmap_pages(void *context, void *block, size_t size)
{
    ledger *book = context;
    (void)size;
    atomic_fetch_sub(&book->blocks, 1);
    free(block);
}

/* Opens, splits and packs: everything that allocates. */
static hone_status use_data(const char *path, const hone_dataset_options *options,
                            hone_error *error)
{
    static const byte_tokenizer plain = {.bos = -1, .eos = BYTE_EOS};
    hone_dataset_options full = *options;
    hone_dataset *dataset = NULL, *rest = NULL;
    hone_packer *packer = NULL;
    full.tokenizer = as_tokenizer(&plain);
    hone_status status = hone_dataset_open(path, &full, &dataset, error);
    if (status != HONE_OK)
        return status;
    status = hone_dataset_split(dataset, 0.5, 7, &rest, error);
    if (status == HONE_OK)
        status = hone_packer_create(&packer, error);
    if (status == HONE_OK) {
        status = hone_packer_add(packer, hone_dataset_at(dataset, 0), error);
        assert_true(hone_packer_batch(packer).segments == (status == HONE_OK));
        /* Without memory an upper bound is given. */
        assert_true(hone_dataset_most_rows(dataset, 1).target >=
                    hone_dataset_longest(dataset).target);
    }
    hone_packer_free(packer);
    hone_dataset_close(rest);
    hone_dataset_close(dataset);
    return status;
}

/* Fails each allocation in turn until the work is done; the number of failures. */
static int sweep(const char *path, const hone_dataset_options *options, bool for_ever)
{
    for (int call = 0;; call++) {
        ledger book = {.refused_call = call, .for_ever = for_ever};
        hone_allocator allocator = {reallocate, map_pages, unmap_pages, &book};
        hone_error error = {0};
        hone_memory_set_allocator(&allocator);
        hone_status status = use_data(path, options, &error);
        hone_memory_set_allocator(NULL);
        assert_int_equal(atomic_load(&book.blocks), 0);
        if (status == HONE_OK && atomic_load(&book.calls) <= call)
            return call;
        /* A block that only gives memory back may be refused without harm. */
        if (status != HONE_OK) {
            assert_int_equal(status, HONE_MEMORY);
            assert_int_equal(error.status, HONE_MEMORY);
        }
    }
}

static void running_out_anywhere_is_an_error(void **state)
{
    (void)state;
    static const char rows[] =
        "{\"text\":\"abcdefgh\\n\\u00e4\",\"x\":[1,{}]}\n"
        "{\"prompt\":\"ab\\\"c\",\"completion\":\"d\\u0065fghijkl\"}\n"
        "{\"ids\":[1,2,3,4,5,6,7,8,9,10,11,12],\"labels\":[-100,2,3,4,5,6,7,8,9,10,11,12]}\n"
        "broken\n"
        "{\"text\":\"longer than all of the others in this small file of test rows\"}\n";
    static const char table[] =
        "prompt,\"n\",completion\n\"a \"\"b\"\"\",1,\"two\nlines\"\nx,2,yy\nbad\nz,3,w\n";
    static const char paragraphs[] = "one\ntwo\n\nthree\n\n\nfour\nfive";
    hone_data_settings settings = default_settings();
    char template[] = "Q: {prompt}\\n", split[] = "split", skip[] = "skip";
    settings.prompt_template = template;
    settings.long_documents = split;
    settings.on_bad_line = skip;
    hone_dataset_options options = {.settings = &settings, .vocabulary = 258, .max_length = 23};
    size_t size;
    char *frame = compress_frame(rows, strlen(rows), (zstd_options){.checksum = 1}, &size);
    hone_parallel_set_threads(1);
    for (int for_ever = 0; for_ever < 2; for_ever++) {
        assert_true(sweep(write_file("rows.jsonl", rows, strlen(rows)), &options, for_ever) > 20);
        assert_true(sweep(write_file("rows.jsonl.zst", frame, size), &options, for_ever) > 24);
        assert_true(sweep(write_file("t.csv", table, strlen(table)), &options, for_ever) > 20);
        assert_true(sweep(write_file("p.txt", paragraphs, strlen(paragraphs)), &options, for_ever) >
                    15);
    }
    hone_parallel_set_threads(0);
    free(frame);
}

static void running_out_with_an_encoder_decoder_is_an_error(void **state)
{
    (void)state;
    static const char rows[] = /* the last two are for span corruption only */
        "{\"source\":\"ab\\u00e4\",\"target\":\"cdefghijkl\"}\n"
        "{\"prompt\":\"ab\",\"completion\":\"d\"}\n"
        "{\"source_ids\":[1,2,3,4,5,6,7,8,9],\"target_ids\":[1,2,3,4,5,6,7,8,9,10,11,12]}\n"
        "{\"text\":\"longer than all of the others in this small file of test rows\"}\n"
        "{\"ids\":[1,2,3,4,5,6,7,8,9]}\n";
    hone_data_settings settings = default_settings();
    char template[] = "Q: {source}", objective[] = "span_corruption", skip[] = "skip";
    settings.prompt_template = template;
    settings.on_bad_line = skip;
    hone_dataset_options options = {.settings = &settings,
                                    .vocabulary = 258,
                                    .max_length = 23,
                                    .encoder_decoder = true,
                                    .first_sentinel = 257,
                                    .sentinel_count = 9};
    hone_parallel_set_threads(1);
    for (int corrupts = 0; corrupts < 2; corrupts++) {
        if (corrupts)
            settings.objective = objective;
        size_t size = corrupts ? strlen(rows) : (size_t)(strstr(rows, "{\"text\"") - rows);
        for (int for_ever = 0; for_ever < 2; for_ever++)
            assert_true(sweep(write_file("rows.jsonl", rows, size), &options, for_ever) > 20);
    }
    hone_parallel_set_threads(0);
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
        cmocka_unit_test(running_out_anywhere_is_an_error),
        cmocka_unit_test(running_out_with_an_encoder_decoder_is_an_error),
    };
    return cmocka_run_group_tests(tests, make_the_folder, remove_the_folder);
}
