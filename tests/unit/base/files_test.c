/* Only regular files are read, and a written file appears whole or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/files.h"
#include "base/memory.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static const char *in(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/hone-files-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    (void)state;
    hone_error error;
    return hone_folder_remove(folder, &error) != HONE_OK || hone_file_exists(folder);
}

static void assert_holds(const char *path, const char *expected)
{
    char *text;
    size_t size;
    assert_int_equal(hone_file_load(path, 1000, &text, &size, NULL), HONE_OK);
    assert_int_equal(size, strlen(expected));
    assert_string_equal(text, expected);
    hone_free(text);
}

static void refuses_folders_pipes_and_missing_files(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(in("pipe"), 0600), 0);
    static const struct {
        const char *name;
        hone_status status;
    } cases[] = {{"", HONE_INPUT}, {"pipe", HONE_INPUT}, {"none", HONE_IO}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int descriptor;
        int64_t size;
        hone_error error;
        assert_int_equal(hone_file_open(in(cases[i].name), &descriptor, &size, &error),
                         cases[i].status);
        assert_int_equal(descriptor, -1);
        assert_string_equal(error.file, in(cases[i].name));
    }
}

static void a_read_past_the_end_names_what_is_missing(void **state)
{
    (void)state;
    assert_int_equal(hone_file_write(in("short"), "12345", 5, NULL), HONE_OK);
    int descriptor;
    int64_t size;
    char buffer[8];
    hone_error error;
    assert_int_equal(hone_file_open(in("short"), &descriptor, &size, &error), HONE_OK);
    assert_int_equal(size, 5);
    assert_int_equal(hone_file_read_at(descriptor, "short", buffer, 3, 2, &error), HONE_OK);
    assert_memory_equal(buffer, "345", 3);
    assert_int_equal(hone_file_read_at(descriptor, "short", buffer, 4, 2, &error), HONE_INPUT);
    assert_non_null(strstr(error.message, "1 more"));
    hone_file_close(descriptor);
    char *text;
    size_t length;
    assert_int_equal(hone_file_load(in("short"), 4, &text, &length, &error), HONE_INPUT);
    assert_null(text);
}

static void a_writer_replaces_the_file_only_on_commit(void **state)
{
    (void)state;
    const char *path = in("written");
    hone_writer writer;
    assert_int_equal(hone_file_write(path, "old", 3, NULL), HONE_OK);
    assert_int_equal(hone_writer_open(&writer, path, NULL), HONE_OK);
    assert_int_equal(hone_writer_put(&writer, "ne", 2, NULL), HONE_OK);
    assert_int_equal(hone_writer_put(&writer, "w", 1, NULL), HONE_OK);
    assert_holds(in("written"), "old");
    assert_int_equal(writer.written, 3);
    assert_int_equal(hone_writer_commit(&writer, NULL), HONE_OK);
    assert_holds(in("written"), "new");

    assert_int_equal(hone_writer_open(&writer, in("written"), NULL), HONE_OK);
    assert_int_equal(hone_writer_put(&writer, "lost", 4, NULL), HONE_OK);
    hone_writer_abandon(&writer);
    assert_holds(in("written"), "new");

    char **names;
    size_t count;
    assert_int_equal(hone_folder_list(folder, &names, &count, NULL), HONE_OK);
    for (size_t i = 0; i < count; i++)
        assert_null(strstr(names[i], ".tmp."));
    hone_names_free(names, count);
}

/* A file of this name, held as by a process that writes it. */
static int hold(const char *path)
{
    int descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    assert_true(descriptor >= 0);
    assert_int_equal(flock(descriptor, LOCK_EX | LOCK_NB), 0);
    return descriptor;
}

static void a_writer_removes_what_killed_ones_left_of_its_file(void **state)
{
    (void)state;
    static const char *const others[] = {"swept.tmp.", "swept.tmp.1x", "swept.tmp",
                                         "swep.tmp.1", "swept2.tmp.1", "swept.tmp.2.bak"};
    char held[300];
    snprintf(held, sizeof held, "%s", in("swept.tmp.77"));
    assert_int_equal(hone_file_append(in("swept.tmp.4000001"), "half", 4, NULL), HONE_OK);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_int_equal(hone_file_append(in(others[i]), "mine", 4, NULL), HONE_OK);
    int descriptor = hold(held);
    assert_int_equal(hone_file_write(in("swept"), "new", 3, NULL), HONE_OK);
    assert_false(hone_file_exists(in("swept.tmp.4000001")));
    assert_true(hone_file_exists(held)); /* another is writing it now */
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_true(hone_file_exists(in(others[i])));
    close(descriptor);
    assert_int_equal(hone_file_write(in("swept"), "newer", 5, NULL), HONE_OK);
    assert_false(hone_file_exists(held));
    assert_holds(in("swept"), "newer");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_int_equal(unlink(in(others[i])), 0);
}

static void a_writer_holds_its_file(void **state)
{
    (void)state;
    hone_writer writer;
    assert_int_equal(hone_writer_open(&writer, in("held"), NULL), HONE_OK);
    int found = open(writer.temporary, O_RDONLY | O_CLOEXEC);
    assert_true(found >= 0 && flock(found, LOCK_EX | LOCK_NB) != 0);
    close(found);
    assert_int_equal(hone_writer_commit(&writer, NULL), HONE_OK);
    assert_holds(in("held"), "");
}

static void files_are_compared_cut_and_removed(void **state)
{
    (void)state;
    hone_error error;
    bool holds;
    int64_t size;
    assert_int_equal(hone_file_write(in("cut"), "0123456789", 10, NULL), HONE_OK);
    static const struct {
        const char *name, *text;
        bool holds;
    } cases[] = {{"cut", "0123456789", true},
                 {"cut", "0123456780", false},
                 {"cut", "012345678", false},
                 {"nothing", "", false},
                 {".", "", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(hone_file_holds(in(cases[i].name), cases[i].text, strlen(cases[i].text),
                                         &holds, &error),
                         HONE_OK);
        assert_int_equal(holds, cases[i].holds);
    }
    assert_int_equal(hone_file_sync(in("cut"), &size, &error), HONE_OK);
    assert_int_equal(size, 10);
    assert_int_equal(hone_file_cut(in("cut"), 4, &error), HONE_OK);
    assert_holds(in("cut"), "0123");
    assert_int_equal(hone_file_cut(in("cut"), 5, &error), HONE_MISMATCH);
    assert_non_null(strstr(error.message, "expected 5 bytes at least, found 4"));
    assert_int_equal(hone_file_remove(in("cut"), &error), HONE_OK);
    assert_false(hone_file_exists(in("cut")));
    assert_int_equal(hone_file_remove(in("cut"), &error), HONE_OK);
    assert_int_equal(hone_file_cut(in("cut"), 0, &error), HONE_OK);
    assert_int_equal(hone_file_cut(in("cut"), 1, &error), HONE_IO);
    assert_int_equal(hone_file_sync(in("cut"), &size, &error), HONE_OK);
    assert_int_equal(size, 0);
}

static void a_writer_can_change_its_name(void **state)
{
    (void)state;
    hone_writer writer;
    char first[300], second[300];
    snprintf(first, sizeof first, "%s", in("first"));
    snprintf(second, sizeof second, "%s", in("second"));
    assert_int_equal(hone_writer_open(&writer, first, NULL), HONE_OK);
    assert_int_equal(hone_writer_put(&writer, "text", 4, NULL), HONE_OK);
    assert_int_equal(hone_writer_rename(&writer, second, NULL), HONE_OK);
    assert_int_equal(hone_writer_commit(&writer, NULL), HONE_OK);
    assert_false(hone_file_exists(first));
    assert_holds(second, "text");
}

static void large_writes_keep_their_order(void **state)
{
    (void)state;
    enum { PIECES = 40, PIECE = 300007 };
    char *data = malloc((size_t)PIECES * PIECE);
    assert_non_null(data);
    for (size_t i = 0; i < (size_t)PIECES * PIECE; i++)
        data[i] = (char)(i * 2654435761u >> 24);
    hone_writer writer;
    assert_int_equal(hone_writer_open(&writer, in("large"), NULL), HONE_OK);
    size_t at = 0;
    for (size_t i = 0; at < (size_t)PIECES * PIECE; i++) {
        size_t size = i % 3 == 0 ? 17 : i % 3 == 1 ? PIECE : 5 * PIECE;
        if (size > (size_t)PIECES * PIECE - at)
            size = (size_t)PIECES * PIECE - at;
        assert_int_equal(hone_writer_put(&writer, data + at, size, NULL), HONE_OK);
        at += size;
    }
    assert_int_equal(hone_writer_commit(&writer, NULL), HONE_OK);
    char *text;
    size_t size;
    assert_int_equal(hone_file_load(in("large"), SIZE_MAX, &text, &size, NULL), HONE_OK);
    assert_int_equal(size, PIECES * PIECE);
    assert_memory_equal(text, data, size);
    hone_free(text);
    free(data);
}

static void a_failed_or_zeroed_writer_ends_without_harm(void **state)
{
    (void)state;
    hone_writer writer;
    hone_error error;
    assert_int_equal(hone_writer_open(&writer, in("none/file"), &error), HONE_IO);
    hone_writer_abandon(&writer);
    assert_int_equal(hone_writer_commit(&writer, &error), HONE_IO);
    hone_writer zeroed = {0};
    assert_int_equal(hone_writer_put(&zeroed, "x", 1, &error), HONE_IO);
    hone_writer_abandon(&zeroed);
    hone_writer again = {0};
    assert_int_equal(hone_writer_commit(&again, &error), HONE_IO);
    assert_int_equal(fcntl(0, F_GETFD) < 0, 0); /* descriptor 0 was not taken for the writer's */
}

static void a_full_disk_is_an_error_and_leaves_nothing(void **state)
{
    (void)state;
    if (access("/dev/full", W_OK) != 0)
        skip();
    hone_error error;
    assert_int_equal(hone_file_append("/dev/full", "x\n", 2, &error), HONE_IO);
    assert_non_null(strstr(error.message, "No space"));
}

static void appending_adds_records(void **state)
{
    (void)state;
    assert_int_equal(hone_file_append(in("log"), "a\n", 2, NULL), HONE_OK);
    assert_int_equal(hone_file_append(in("log"), "b\n", 2, NULL), HONE_OK);
    assert_holds(in("log"), "a\nb\n");
}

static void folders_are_made_with_parents_and_listed_in_order(void **state)
{
    (void)state;
    char deep[128];
    snprintf(deep, sizeof deep, "%s/x/y//z/", folder);
    assert_int_equal(hone_folder_make(deep, NULL), HONE_OK);
    assert_int_equal(hone_folder_make(deep, NULL), HONE_OK);
    assert_true(hone_folder_exists(deep));
    assert_int_equal(hone_file_write(in("x/c"), "", 0, NULL), HONE_OK);
    assert_int_equal(hone_file_write(in("x/B"), "", 0, NULL), HONE_OK);
    assert_int_equal(symlink("/etc", in("x/link")), 0);
    char **names;
    size_t count;
    assert_int_equal(hone_folder_list(in("x"), &names, &count, NULL), HONE_OK);
    static const char *const expected[] = {"B", "c", "link", "y"};
    assert_int_equal(count, 4);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(names[i], expected[i]);
    hone_names_free(names, count);
    hone_error error;
    assert_int_equal(hone_folder_make(in("x/c/d"), &error), HONE_IO);
    assert_int_equal(hone_folder_remove(in("x"), &error), HONE_OK);
    assert_false(hone_file_exists(in("x")));
    assert_true(hone_folder_exists("/etc"));
    assert_int_equal(hone_folder_remove(in("x"), &error), HONE_OK);
}

static void paths_join_with_one_slash(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"", "b", "b"}, {"/", "b", "/b"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *path = hone_path_join(cases[i][0], cases[i][1]);
        assert_string_equal(path, cases[i][2]);
        hone_free(path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_folders_pipes_and_missing_files),
        cmocka_unit_test(a_read_past_the_end_names_what_is_missing),
        cmocka_unit_test(a_writer_replaces_the_file_only_on_commit),
        cmocka_unit_test(a_writer_removes_what_killed_ones_left_of_its_file),
        cmocka_unit_test(a_writer_holds_its_file),
        cmocka_unit_test(files_are_compared_cut_and_removed),
        cmocka_unit_test(a_writer_can_change_its_name),
        cmocka_unit_test(large_writes_keep_their_order),
        cmocka_unit_test(a_failed_or_zeroed_writer_ends_without_harm),
        cmocka_unit_test(a_full_disk_is_an_error_and_leaves_nothing),
        cmocka_unit_test(appending_adds_records),
        cmocka_unit_test(folders_are_made_with_parents_and_listed_in_order),
        cmocka_unit_test(paths_join_with_one_slash),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
