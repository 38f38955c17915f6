/* A checkpoint is read back to the bit, one that is not whole is never picked, rotation removes
 * only old ones of its own run, and a failed write leaves nothing behind. */
#include "train_support.h"

#include "base/files.h"
#include "base/memory.h"
#include "train/checkpoint_folder.h"
#include "train/leftovers.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { ELEMENTS = 80 };
static float values[ELEMENTS], loaded[ELEMENTS];
static hone_parameter items[] = {
    {.name = "a.weight", .offset = 0, .rows = 5, .columns = 7, .dims = 2, .decay = true},
    {.name = "b.bias", .offset = 48, .rows = 23, .columns = 1, .dims = 1}};
static const hone_run_identity ours = {1, 2, 3, 4}, theirs = {1, 2, 3, 5};

static hone_adamw adamw;
static hone_run_state run_state;
static hone_json *settings;

static int prepare(void **state)
{
    settings = hone_json_new_object();
    if (settings == NULL || !hone_json_set(settings, "seed", hone_json_new_string("42")) ||
        hone_adamw_create(ELEMENTS, &adamw, NULL) != HONE_OK)
        return 1;
    return make_scratch(state);
}

static int release(void **state)
{
    hone_json_free(settings);
    hone_adamw_free(&adamw);
    return remove_scratch(state);
}

/* Padding stays zero, as in a trainer's block. */
static void fill(float *block, int step, float scale)
{
    for (size_t k = 0; k < 2; k++)
        for (int64_t i = 0; i < items[k].rows * items[k].columns; i++)
            block[items[k].offset + i] = scale * sinf((float)(i * 31 + step + 1));
}

static hone_checkpoint make_checkpoint(int64_t step, const hone_run_identity *identity)
{
    static const hone_parameters parameters = {
        .items = items, .count = 2, .elements = ELEMENTS, .values = values};
    fill(values, (int)step, 1.0f);
    fill(adamw.first, (int)step, 0.1f);
    fill(adamw.second, (int)step, 1e-30f);
    run_state = (hone_run_state){.step = step,
                                 .stopping = {1.0 / 3.0, 2, 1},
                                 .loss = 0.1,
                                 .grad_norm = 1e-300,
                                 .learning_rate = 2e-4,
                                 .tokens = 1234567890123,
                                 .seconds = 0.25,
                                 .log_sizes = {11, 22, 33, 44}};
    return (hone_checkpoint){&parameters, &adamw, &run_state, settings, *identity};
}

static void put(const char *folder, int64_t step, const hone_run_identity *identity)
{
    hone_checkpoint checkpoint = make_checkpoint(step, identity);
    assert_ok(hone_folder_make(folder, error));
    assert_ok(hone_checkpoint_write(folder, &checkpoint, NULL, error));
}

/* The step of the checkpoint that is picked; -1 for none, -2 for an error. */
static int64_t picked(const char *folder)
{
    char *path;
    hone_run_identity identity;
    hone_error error;
    hone_status status = hone_checkpoint_find(folder, &path, &identity, &error);
    if (status != HONE_OK)
        return -2;
    if (path == NULL)
        return -1;
    long long step;
    assert_int_equal(sscanf(strrchr(path, '/'), "/step-%lld", &step), 1);
    hone_free(path);
    return step;
}

static void is_read_back_to_the_bit(void **state)
{
    (void)state;
    hone_checkpoint checkpoint = make_checkpoint(17, &ours);
    char *path = NULL;
    assert_ok(hone_folder_make(in_scratch("bits"), error));
    assert_ok(hone_checkpoint_write(in_scratch("bits"), &checkpoint, &path, error));
    hone_run_state found;
    hone_json *stored;
    assert_ok(hone_checkpoint_read_state(path, &found, &stored, error));
    assert_memory_equal(found.log_sizes, run_state.log_sizes, sizeof found.log_sizes);
    assert_int_equal(found.step, 17);
    assert_int_equal(found.tokens, run_state.tokens);
    assert_true(found.stopping.best == 1.0 / 3.0 && found.stopping.best_step == 2 &&
                found.stopping.bad == 1 && !found.ended_early);
    assert_true(found.loss == 0.1 && found.grad_norm == 1e-300 && found.seconds == 0.25);
    assert_string_equal(hone_json_string(hone_json_get(stored, "seed"), NULL), "42");
    hone_json_free(stored);
    hone_adamw moments;
    assert_ok(hone_adamw_create(ELEMENTS, &moments, error));
    const hone_parameters parameters = {
        .items = items, .count = 2, .elements = ELEMENTS, .values = loaded};
    assert_ok(hone_checkpoint_read_tensors(path, &parameters, &moments, error));
    assert_memory_equal(loaded, values, sizeof values);
    assert_memory_equal(moments.first, adamw.first, 2 * sizeof values);
    hone_adamw_free(&moments);
    hone_free(path);
}

static void tensors_of_another_model_are_a_mismatch(void **state)
{
    (void)state;
    put(in_scratch("shapes"), 1, &ours);
    static const struct {
        hone_parameter item;
        const char *message;
    } cases[] = {
        {{.name = "c.weight", .rows = 5, .columns = 7, .dims = 2}, "no tensor c.weight"},
        {{.name = "a.weight", .rows = 7, .columns = 5, .dims = 2}, "expected F32 of 7 x 5"},
        {{.name = "a.weight", .rows = 35, .columns = 1, .dims = 1}, "a.weight"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_error error;
        hone_parameter item = cases[i].item;
        const hone_parameters parameters = {
            .items = &item, .count = 1, .elements = ELEMENTS, .values = loaded};
        assert_int_equal(
            hone_checkpoint_read_tensors(in_scratch("shapes/step-1"), &parameters, &adamw, &error),
            HONE_MISMATCH);
        assert_non_null(strstr(error.message, cases[i].message));
    }
}

static void the_newest_by_number_is_picked(void **state)
{
    (void)state;
    assert_int_equal(picked(in_scratch("none")), -1);
    assert_ok(hone_folder_make(in_scratch("newest"), error));
    assert_int_equal(picked(in_scratch("newest")), -1);
    static const int64_t steps[] = {9, 100, 20};
    for (size_t i = 0; i < 3; i++)
        put(in_scratch("newest"), steps[i], &ours);
    assert_int_equal(picked(in_scratch("newest")), 100);
}

/* Names that are no checkpoint's, and so are neither picked nor removed. */
static void other_names_are_left_alone(void **state)
{
    (void)state;
    static const char *const names[] = {"step-",
                                        "step-07",
                                        "step--7",
                                        "step-7x",
                                        "step-7.tmp.",
                                        "step-7.tmp.x",
                                        "Step-7",
                                        "step-7.tmp.1.bak",
                                        "notes.txt",
                                        "step-+7",
                                        "step-99999999999999999999"};
    put(in_scratch("names"), 3, &ours);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_ok(hone_folder_make(in_scratch("names/%s", names[i]), error));
    assert_int_equal(picked(in_scratch("names")), 3);
    assert_ok(hone_leftovers_remove(in_scratch("names"), error));
    assert_ok(hone_checkpoint_rotate(in_scratch("names"), 3, 1, &ours, error));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_true(hone_folder_exists(in_scratch("names/%s", names[i])));
}

static void cut_short(const char *path)
{
    size_t size;
    char *text = read_text(path, &size);
    hone_free(text);
    assert_int_equal(truncate(path, (off_t)size - 1), 0);
}

static void flip_a_bit(const char *path)
{
    size_t size;
    char *text = read_text(path, &size);
    text[size / 2] ^= 4;
    assert_ok(hone_file_write(path, text, size, error));
    hone_free(text);
}

static void make_longer(const char *path)
{
    assert_ok(hone_file_append(path, "\n", 1, error));
}

static void make_empty(const char *path)
{
    assert_int_equal(truncate(path, 0), 0);
}

static void take_away(const char *path)
{
    assert_int_equal(unlink(path), 0);
}

static void make_a_folder(const char *path)
{
    assert_int_equal(unlink(path), 0);
    assert_ok(hone_folder_make(path, error));
}

static void make_dangling(const char *path)
{
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/nonexistent/file", path), 0);
}

static void one_that_is_not_whole_is_never_picked(void **state)
{
    (void)state;
    static const char *const files[] = {"trainable.safetensors", "optimizer.safetensors",
                                        "state.json", "manifest.json"};
    static void (*const damages[])(const char *path) = {
        cut_short, flip_a_bit, make_longer, make_empty, take_away, make_a_folder, make_dangling};
    put(in_scratch("damaged"), 4, &ours);
    for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
        for (size_t d = 0; d < sizeof damages / sizeof *damages; d++) {
            /* A manifest may end with or without a newline, as any JSON. */
            if (f == 3 && (damages[d] == make_longer || damages[d] == cut_short))
                continue;
            put(in_scratch("damaged"), 8, &ours);
            assert_int_equal(picked(in_scratch("damaged")), 8);
            damages[d](in_scratch("damaged/step-8/%s", files[f]));
            if (picked(in_scratch("damaged")) != 4)
                fail_msg("damage %zu of %s", d, files[f]);
        }
    }
    assert_ok(hone_folder_remove(in_scratch("damaged/step-4"), error));
    assert_int_equal(picked(in_scratch("damaged")), -2);
}

static void manifests_that_lie_are_not_believed(void **state)
{
    (void)state;
    static const char *const manifests[] = {
        "",
        "{}",
        "[]",
        "null",
        "{\"format\": \"hone checkpoint 1\"}",
        "{\"format\": \"hone checkpoint 2\", \"step\": 8}",
        "{\"format\": \"hone checkpoint 1\", \"step\": 8, \"identity\": {\"settings\": "
        "\"0000000000000001\", \"base\": \"0000000000000002\", \"train\": \"0000000000000003\", "
        "\"valid\": \"0000000000000004\"}}",
        "{\"format\": \"hone checkpoint 1\", \"step\": 8, \"identity\": {\"settings\": "
        "\"0000000000000001\", \"base\": \"0000000000000002\", \"train\": \"0000000000000003\", "
        "\"valid\": \"0000000000000004\"}, \"files\": {}}",
        "{\"format\": \"hone checkpoint 1\", \"step\": 8, \"identity\": {\"settings\": "
        "\"0000000000000001\", \"base\": \"0000000000000002\", \"train\": \"0000000000000003\", "
        "\"valid\": \"000000000000000g\"}, \"files\": {}}",
        "{\"format\": \"hone checkpoint 1\", \"step\": 8, \"identity\": {\"settings\": "
        "\"0000000000000001\", \"base\": \"0000000000000002\", \"train\": \"0000000000000003\", "
        "\"valid\": \"0000000000000004\"}, \"files\": {\"a\": {}, \"b\": {}, \"../c\": {}}}",
        "{\"format\": \"hone checkpoint 1\", \"step\": 8.0, \"identity\": 7, \"files\": 7}",
    };
    put(in_scratch("lies"), 8, &ours);
    char *good = read_text(in_scratch("lies/step-8/manifest.json"), NULL);
    for (size_t i = 0; i < sizeof manifests / sizeof *manifests; i++) {
        write_text(in_scratch("lies/step-8/manifest.json"), manifests[i]);
        assert_int_equal(picked(in_scratch("lies")), -2);
    }
    /* Every cut of a good one is refused too; the twin that is whole is taken. */
    size_t size = strlen(good);
    for (size_t cut = 0; cut < size - 1; cut += 3) {
        assert_ok(hone_file_write(in_scratch("lies/step-8/manifest.json"), good, cut, error));
        assert_int_equal(picked(in_scratch("lies")), -2);
    }
    write_text(in_scratch("lies/step-8/manifest.json"), good);
    assert_int_equal(picked(in_scratch("lies")), 8);
    hone_free(good);
    /* A whole one under another name. */
    assert_int_equal(rename(in_scratch("lies/step-8"), in_scratch("lies/step-9")), 0);
    assert_int_equal(picked(in_scratch("lies")), -2);
}

static void states_with_other_types_are_refused(void **state)
{
    (void)state;
    put(in_scratch("states"), 8, &ours);
    char *good = read_text(in_scratch("states/step-8/state.json"), NULL);
    static const struct {
        const char *from, *to;
    } edits[] = {{"\"step\": 8", "\"step\": -8"},
                 {"\"step\": 8", "\"step\": \"8\""},
                 {"\"step\": 8", "\"steps\": 8"},
                 {"\"loss\": 0.1", "\"loss\": null"},
                 {"\"ended_early\": false", "\"ended_early\": 0"},
                 {"\"train.tsv\": 22", "\"train.tsv\": -22"},
                 {"\"settings\": {", "\"setting\": {"},
                 {"\"log_bytes\": {", "\"log\": {"}};
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        char text[4096], *found = strstr(good, edits[i].from);
        if (found == NULL)
            fail_msg("no %s in %s", edits[i].from, good);
        snprintf(text, sizeof text, "%.*s%s%s", (int)(found - good), good, edits[i].to,
                 found + strlen(edits[i].from));
        write_text(in_scratch("states/step-8/state.json"), text);
        hone_run_state read;
        hone_json *stored;
        assert_int_equal(
            hone_checkpoint_read_state(in_scratch("states/step-8"), &read, &stored, NULL),
            HONE_INPUT);
        assert_null(stored);
    }
    hone_free(good);
}

static void rotation_keeps_the_newest_of_its_run(void **state)
{
    (void)state;
    const char *folder = in_scratch("rotate");
    static const int64_t steps[] = {2, 4, 6, 8, 10};
    for (size_t i = 0; i < 5; i++)
        put(in_scratch("rotate"), steps[i], &ours);
    put(in_scratch("rotate"), 5, &theirs);
    put(in_scratch("rotate"), 12, &theirs);
    assert_ok(hone_folder_make(in_scratch("rotate/step-3"), error)); /* nobody's */
    folder = in_scratch("rotate");
    /* Number 10 is the newest written; 12, of another run, neither counts nor goes. */
    assert_ok(hone_checkpoint_rotate(folder, 10, 3, &ours, error));
    static const struct {
        int step;
        bool kept;
    } after[] = {{2, false}, {3, true}, {4, false}, {5, true},
                 {6, true},  {8, true}, {10, true}, {12, true}};
    for (size_t i = 0; i < sizeof after / sizeof *after; i++)
        assert_int_equal(hone_folder_exists(in_scratch("rotate/step-%d", after[i].step)),
                         after[i].kept);
    assert_ok(hone_checkpoint_rotate(in_scratch("rotate"), 10, 1, &ours, error));
    assert_false(hone_folder_exists(in_scratch("rotate/step-8")));
    assert_true(hone_folder_exists(in_scratch("rotate/step-10")));
    /* One that was written beside newer ones of its own run is not removed for being low. */
    put(in_scratch("rotate"), 1, &ours);
    assert_ok(hone_checkpoint_rotate(in_scratch("rotate"), 1, 1, &ours, error));
    assert_true(hone_folder_exists(in_scratch("rotate/step-1")));
    assert_true(hone_folder_exists(in_scratch("rotate/step-10")));
}

static void leftovers_of_killed_processes_go(void **state)
{
    (void)state;
    put(in_scratch("left"), 5, &ours);
    assert_ok(hone_folder_make(in_scratch("left/step-6.tmp.123"), error));
    write_text(in_scratch("left/step-6.tmp.123/state.json"), "{");
    assert_int_equal(picked(in_scratch("left")), 5);
    assert_ok(hone_leftovers_remove(in_scratch("left"), error));
    assert_false(hone_file_exists(in_scratch("left/step-6.tmp.123")));
    assert_int_equal(picked(in_scratch("left")), 5);
    assert_ok(hone_leftovers_remove(in_scratch("never-made"), error));
}

static void replaces_its_own_and_never_another_runs(void **state)
{
    (void)state;
    put(in_scratch("again"), 5, &ours);
    put(in_scratch("again"), 5, &ours);
    assert_int_equal(picked(in_scratch("again")), 5);
    hone_checkpoint checkpoint = make_checkpoint(5, &theirs);
    hone_error problem;
    assert_int_equal(hone_checkpoint_write(in_scratch("again"), &checkpoint, NULL, &problem),
                     HONE_MISMATCH);
    assert_non_null(strstr(problem.message, "another run"));
    char **names;
    size_t count;
    assert_ok(hone_folder_list(in_scratch("again"), &names, &count, error));
    assert_int_equal(count, 1);
    hone_names_free(names, count);
}

static void values_that_are_not_finite_are_never_saved(void **state)
{
    (void)state;
    assert_ok(hone_folder_make(in_scratch("finite"), error));
    hone_checkpoint checkpoint = make_checkpoint(5, &ours);
    float *const blocks[] = {values, adamw.first, adamw.second};
    for (size_t i = 0; i < 3; i++) {
        hone_error problem;
        blocks[i][50] = i == 1 ? (float)HUGE_VAL : nanf("");
        assert_int_equal(hone_checkpoint_write(in_scratch("finite"), &checkpoint, NULL, &problem),
                         HONE_NUMERIC);
        blocks[i][50] = 0.0f;
        assert_int_equal(picked(in_scratch("finite")), -1);
    }
}

/* Files may grow to `limit` bytes only, as on a full disk; write then fails with EFBIG. */
static void limit_files(rlim_t limit)
{
    struct rlimit now;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &now), 0);
    now.rlim_cur = limit;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &now), 0);
}

static void a_failed_write_leaves_nothing_behind(void **state)
{
    (void)state;
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    put(in_scratch("full"), 3, &ours);
    static const rlim_t limits[] = {0, 10, 300, 450, 600};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        hone_checkpoint checkpoint = make_checkpoint(5, &ours);
        limit_files(limits[i]);
        hone_error problem;
        hone_status status = hone_checkpoint_write(in_scratch("full"), &checkpoint, NULL, &problem);
        limit_files(RLIM_INFINITY);
        assert_int_equal(status, HONE_IO);
        char **names;
        size_t count;
        assert_ok(hone_folder_list(in_scratch("full"), &names, &count, error));
        assert_int_equal(count, 1);
        hone_names_free(names, count);
        assert_int_equal(picked(in_scratch("full")), 3);
    }
}

typedef struct budget {
    long left; /* allocations before one fails; after that they go on failing when `forever` */
    bool forever, hit;
} budget;

static void *counted(void *context, void *block, size_t old_size, size_t new_size)
{
    budget *b = context;
    (void)old_size;
    if (new_size == 0) {
        free(block);
        return NULL;
    }
    if (b->left == 0 || (b->hit && b->forever)) {
        b->hit = true;
        b->left = -1;
        return NULL;
    }
    if (b->left > 0)
        b->left--;
    return realloc(block, new_size);
}

static void *counted_pages(void *context, size_t size)
{
    void *pages = counted(context, NULL, 0, size);
    if (pages != NULL)
        memset(pages, 0, size);
    return pages;
}

static void free_pages(void *context, void *block, size_t size)
{
    (void)context;
    (void)size;
    free(block);
}

static void survives_memory_that_runs_out_anywhere(void **state)
{
    (void)state;
    put(in_scratch("memory"), 3, &ours);
    for (int forever = 0; forever <= 1; forever++) {
        bool hit = true;
        for (long n = 0; hit; n++) {
            budget b = {n, forever != 0, false};
            const hone_allocator limited = {counted, counted_pages, free_pages, &b};
            hone_checkpoint checkpoint = make_checkpoint(5, &ours);
            hone_memory_set_allocator(&limited);
            hone_status status =
                hone_checkpoint_write(in_scratch("memory"), &checkpoint, NULL, NULL);
            if (status == HONE_OK)
                status = hone_checkpoint_rotate(in_scratch("memory"), 5, 1, &ours, NULL);
            hone_memory_set_allocator(NULL);
            hit = b.hit;
            assert_true(status == HONE_MEMORY || (status == HONE_OK));
            int64_t newest = picked(in_scratch("memory"));
            assert_true(newest == 3 || newest == 5);
            if (newest == 5)
                put(in_scratch("memory"), 3, &ours);
            assert_ok(hone_folder_remove(in_scratch("memory/step-5"), error));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_read_back_to_the_bit),
        cmocka_unit_test(tensors_of_another_model_are_a_mismatch),
        cmocka_unit_test(the_newest_by_number_is_picked),
        cmocka_unit_test(other_names_are_left_alone),
        cmocka_unit_test(one_that_is_not_whole_is_never_picked),
        cmocka_unit_test(manifests_that_lie_are_not_believed),
        cmocka_unit_test(states_with_other_types_are_refused),
        cmocka_unit_test(rotation_keeps_the_newest_of_its_run),
        cmocka_unit_test(leftovers_of_killed_processes_go),
        cmocka_unit_test(replaces_its_own_and_never_another_runs),
        cmocka_unit_test(values_that_are_not_finite_are_never_saved),
        cmocka_unit_test(a_failed_write_leaves_nothing_behind),
        cmocka_unit_test(survives_memory_that_runs_out_anywhere),
    };
    return cmocka_run_group_tests(tests, prepare, release);
}
