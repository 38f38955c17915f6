/* Memory that runs out at any allocation of a training run is HONE_MEMORY: nothing leaks, nothing
 * half-written is left, and the run goes on from its folder to the bytes it would have made. */
#include "train_support.h"

#include "base/files.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the hook has given out, and which request it refuses: that one, or all from it on. */
static struct {
    int64_t blocks, asked, refuse;
    bool forever;
} book;

static bool refused(void)
{
    int64_t number = book.asked++;
    return number == book.refuse || (book.forever && number > book.refuse);
}

static void *reallocate(void *context, void *block, size_t old_size, size_t new_size)
{
    (void)context, (void)old_size;
    if (new_size == 0) {
        book.blocks--;
        free(block);
        return NULL;
    }
    if (refused())
        return NULL;
    book.blocks += block == NULL;
    return realloc(block, new_size);
}

static void *map_pages(void *context, size_t size)
{
    (void)context;
    void *block = refused() ? NULL : aligned_alloc(4096, (size + 4095) & ~(size_t)4095);
    if (block != NULL)
        memset(block, 0, size);
    book.blocks += block != NULL;
    return block;
}

static void unmap_pages(void *context, void *block, size_t size)
{
    (void)context, (void)size;
    book.blocks--;
    free(block);
}

static int prepare(void **state)
{
    if (make_scratch(state) != 0)
        return 1;
    write_model(in_scratch("model"));
    write_rows(in_scratch("train.jsonl"), 9, 0);
    write_rows(in_scratch("valid.jsonl"), 3, 100);
    return 0;
}

static hone_status run(const hone_run_settings *settings, const char *resume, hone_error *error)
{
    hone_trainer *trainer;
    if (resume != NULL)
        HONE_TRY(hone_trainer_resume(resume, NULL, &trainer, error));
    else
        HONE_TRY(hone_trainer_create(settings, NULL, &trainer, error));
    hone_status status = hone_trainer_run(trainer, error);
    hone_trainer_free(trainer);
    return status;
}

static bool has_leftovers(const char *folder)
{
    char **names;
    size_t count;
    bool found = false;
    if (!hone_folder_exists(folder))
        return false;
    assert_ok(hone_folder_list(folder, &names, &count, error));
    for (size_t i = 0; i < count; i++)
        found = found || strstr(names[i], ".tmp.") != NULL;
    hone_names_free(names, count);
    return found;
}

static hone_status run_refusing(int64_t refuse, bool forever, const hone_run_settings *settings,
                                const char *resume)
{
    static const hone_allocator allocator = {reallocate, map_pages, unmap_pages, NULL};
    hone_error problem = {0};
    book.blocks = book.asked = 0;
    book.refuse = refuse;
    book.forever = forever;
    hone_memory_set_allocator(&allocator);
    hone_status status = run(settings, resume, &problem);
    hone_memory_set_allocator(NULL);
    assert_int_equal(book.blocks, 0);
    if (status != HONE_OK && status != HONE_MEMORY)
        fail_msg("allocation %d: %s", (int)refuse, problem.message);
    return status;
}

static void assert_finishes(const hone_run_settings *settings)
{
    bool begun = hone_file_exists(in_scratch("run/config.yaml"));
    assert_false(has_leftovers(in_scratch("run")));
    assert_false(has_leftovers(in_scratch("run/checkpoints")));
    assert_ok(run(settings, begun ? in_scratch("run") : NULL, error));
    assert_same_file(in_scratch("run/train.tsv"), in_scratch("whole/train.tsv"));
    assert_same_file(in_scratch("run/adapter/adapter_model.safetensors"),
                     in_scratch("whole/adapter/adapter_model.safetensors"));
}

/* Every 13th allocation fails, once or for ever; all do where HONE_FULL_SWEEP is set. */
static void sweep(bool resuming)
{
    hone_run_settings settings;
    init_settings(&settings, in_scratch("whole"), "batch_size=3", "max_steps=4", "save_steps=2",
                  "eval_steps=2", "save_total_limit=1", NULL);
    set_option(&settings, "valid", in_scratch("valid.jsonl"));
    assert_ok(run(&settings, NULL, error));
    set_option(&settings, "out", in_scratch("run"));
    int64_t failures = 0, stride = getenv("HONE_FULL_SWEEP") != NULL ? 1 : 13;
    for (int forever = 0; forever <= 1; forever++) {
        bool hit = true;
        for (int64_t n = 0; hit; n += stride) {
            assert_ok(hone_folder_remove(in_scratch("run"), error));
            if (resuming) {
                hone_trainer *trainer;
                assert_ok(hone_trainer_create(&settings, NULL, &trainer, error));
                for (int step = 0; step < 3; step++)
                    assert_ok(hone_trainer_step(trainer, NULL, NULL, error));
                hone_trainer_free(trainer);
            }
            hone_status status =
                run_refusing(n, forever != 0, &settings, resuming ? in_scratch("run") : NULL);
            hit = book.asked > book.refuse;
            failures += status != HONE_OK;
            assert_true(hit || status == HONE_OK);
            assert_finishes(&settings);
        }
    }
    assert_true(failures > 1000 / stride);
    print_message("%d allocations refused\n", (int)failures);
    assert_ok(hone_folder_remove(in_scratch("run"), error));
    assert_ok(hone_folder_remove(in_scratch("whole"), error));
    deinit_settings(&settings);
}

static void training_survives_every_refusal(void **state)
{
    (void)state;
    sweep(false);
}

static void resuming_survives_every_refusal(void **state)
{
    (void)state;
    sweep(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(training_survives_every_refusal),
        cmocka_unit_test(resuming_survives_every_refusal),
    };
    return cmocka_run_group_tests(tests, prepare, remove_scratch);
}
