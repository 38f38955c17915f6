/* Lines of plain and compressed files: borders of blocks and limits, damage, bombs. */
#include "data_support.h"

#include "data/line_reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

static void expect_lines(const char *path, bool zstd, const char *const *lines, int count)
{
    hone_line_reader *reader;
    hone_line line;
    hone_error error = {0};
    assert_int_equal(hone_line_reader_open(path, zstd, &reader, &error), HONE_OK);
    for (int i = 0; i < count; i++) {
        assert_int_equal(hone_line_reader_next(reader, &line, &error), HONE_OK);
        assert_non_null(line.text);
        assert_int_equal(line.number, i + 1);
        assert_int_equal(line.length, strlen(lines[i]));
        assert_memory_equal(line.text, lines[i], line.length);
        assert_false(line.too_long);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(hone_line_reader_next(reader, &line, &error), HONE_OK);
        assert_null(line.text);
    }
    hone_line_reader_close(reader);
}

static void lines_end_at_newlines_and_at_the_end(void **state)
{
    (void)state;
    static const struct {
        const char *content, *lines[4];
        int count;
    } cases[] = {
        {"", {NULL}, 0},
        {"a", {"a"}, 1},
        {"a\n", {"a"}, 1},
        {"a\n\nb", {"a", "", "b"}, 3},
        {"\n", {""}, 1},
        {"a\r\nb\r", {"a", "b"}, 2},
        {"a\rb\n", {"a\rb"}, 1},
        {"\xEF\xBB\xBF"
         "a\n\xEF\xBB\xBF"
         "b",
         {"a", "\xEF\xBB\xBF"
               "b"},
         2},
        {"\xEF\xBB\xBF", {""}, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *content = cases[i].content;
        size_t size = strlen(content), packed_size;
        expect_lines(write_file("l", content, size), false, cases[i].lines, cases[i].count);
        char *packed = compress_frame(content, size, (zstd_options){.checksum = 1}, &packed_size);
        expect_lines(write_file("l.zst", packed, packed_size), true, cases[i].lines,
                     cases[i].count);
        free(packed);
    }
}

/* Lines longer and shorter than the reader's blocks. */
static void lines_cross_blocks(void **state)
{
    (void)state;
    static const size_t lengths[] = {262143, 262144, 262145, 0, 1, 1000003, 17, 524287, 3};
    size_t total = 0, size, packed_size;
    int count = sizeof lengths / sizeof lengths[0];
    char *content = malloc(3000000);
    assert_non_null(content);
    for (int i = 0; i < count; i++) {
        memset(content + total, 'a' + i, lengths[i]);
        total += lengths[i];
        content[total++] = '\n';
    }
    char *packed = compress_frame(content, total, (zstd_options){.level = 1}, &packed_size);
    for (int zstd = 0; zstd < 2; zstd++) {
        hone_line_reader *reader;
        hone_line line;
        hone_error error = {0};
        const char *path =
            zstd ? write_file("b.zst", packed, packed_size) : write_file("b", content, total);
        assert_int_equal(hone_line_reader_open(path, zstd, &reader, &error), HONE_OK);
        for (int i = 0; i < count; i++) {
            assert_int_equal(hone_line_reader_next(reader, &line, &error), HONE_OK);
            assert_int_equal(line.length, lengths[i]);
            for (size = 0; size < line.length; size++)
                if (line.text[size] != 'a' + i)
                    break;
            assert_int_equal(size, line.length);
        }
        hone_line_reader_close(reader);
    }
    free(packed);
    free(content);
}

static void a_line_over_the_limit_is_reported_and_passed_over(void **state)
{
    (void)state;
    for (int extra = 0; extra < 3; extra++) {
        /* At the limit, one over, and over by more than a block. */
        size_t length = HONE_LINE_LIMIT + (extra == 2 ? 700001 : (size_t)extra);
        char *content = malloc(length + 8);
        hone_line_reader *reader;
        hone_line line;
        hone_error error = {0};
        assert_non_null(content);
        memcpy(content, "ab\n", 3);
        memset(content + 3, 'x', length);
        memcpy(content + 3 + length, "\ncd\n", 4);
        const char *path = write_file("limit", content, length + 7);
        assert_int_equal(hone_line_reader_open(path, false, &reader, &error), HONE_OK);
        assert_int_equal(hone_line_reader_next(reader, &line, &error), HONE_OK);
        assert_int_equal(hone_line_reader_next(reader, &line, &error), HONE_OK);
        assert_int_equal(line.number, 2);
        assert_int_equal(line.too_long, extra > 0);
        assert_int_equal(line.length, HONE_LINE_LIMIT);
        assert_int_equal(hone_line_reader_next(reader, &line, &error), HONE_OK);
        assert_int_equal(line.number, 3);
        assert_int_equal(line.length, 2);
        assert_memory_equal(line.text, "cd", 2);
        assert_int_equal(hone_line_reader_next(reader, &line, &error), HONE_OK);
        assert_null(line.text);
        hone_line_reader_close(reader);
        free(content);
    }
}

/* Appends a piece to a growing buffer. */
static size_t put(char *buffer, size_t used, const void *piece, size_t size)
{
    memcpy(buffer + used, piece, size);
    return used + size;
}

static void frames_follow_each_other(void **state)
{
    (void)state;
    static const unsigned char skippable[] = {0x53, 0x2A, 0x4D, 0x18, 5,   0,  0,
                                              0,    'h',  'e',  'l',  'l', 'o'};
    static const unsigned char skippable_empty[] = {0x50, 0x2A, 0x4D, 0x18, 0, 0, 0, 0};
    static const char *const lines[] = {"one", "two", "three"};
    char file[512];
    size_t used = 0, size;
    char *first = compress_frame("one\ntw", 6, (zstd_options){.checksum = 1}, &size);
    used = put(file, used, skippable, sizeof skippable);
    used = put(file, used, first, size);
    char *empty = compress_frame("", 0, (zstd_options){0}, &size);
    used = put(file, used, skippable_empty, sizeof skippable_empty);
    used = put(file, used, empty, size);
    char *last = compress_frame("o\nthree\n", 8, (zstd_options){.level = 19}, &size);
    used = put(file, used, last, size);
    used = put(file, used, skippable, sizeof skippable);
    expect_lines(write_file("frames.zst", file, used), true, lines, 3);
    free(first);
    free(empty);
    free(last);
}

/* Reads to the end or the first failure. */
static hone_status drain(const char *path, bool zstd, hone_error *error)
{
    hone_line_reader *reader;
    hone_line line;
    hone_status status = hone_line_reader_open(path, zstd, &reader, error);
    if (status != HONE_OK)
        return status;
    do
        status = hone_line_reader_next(reader, &line, error);
    while (status == HONE_OK && line.text != NULL);
    hone_line_reader_close(reader);
    return status;
}

static void a_file_cut_anywhere_is_an_error(void **state)
{
    (void)state;
    char content[3000], file[4096];
    size_t size, border;
    for (size_t i = 0; i < sizeof content; i++)
        content[i] = i % 97 == 96 ? '\n' : (char)('a' + i * i % 26);
    char *first = compress_frame(content, 1000, (zstd_options){.checksum = 1}, &border);
    char *second = compress_frame(content + 1000, 2000, (zstd_options){0}, &size);
    memcpy(file, first, border);
    memcpy(file + border, second, size);
    size += border;
    for (size_t cut = 0; cut <= size; cut++) {
        hone_error error = {0};
        hone_status status = drain(write_file("cut.zst", file, cut), true, &error);
        bool whole = cut == 0 || cut == border || cut == size;
        assert_int_equal(status, whole ? HONE_OK : HONE_INPUT);
        if (!whole) {
            assert_non_null(strstr(error.message, "cut short"));
            assert_int_equal(error.offset, cut);
        }
    }
    free(first);
    free(second);
}

/* The lines of a zstd file, joined again, are the content. */
static void expect_content(const char *path, const char *content, size_t size)
{
    hone_line_reader *reader;
    hone_line line;
    hone_error error = {0};
    size_t at = 0;
    assert_int_equal(hone_line_reader_open(path, true, &reader, &error), HONE_OK);
    for (;;) {
        assert_int_equal(hone_line_reader_next(reader, &line, &error), HONE_OK);
        if (line.text == NULL)
            break;
        assert_true(at + line.length <= size);
        assert_memory_equal(line.text, content + at, line.length);
        at += line.length + 1;
    }
    assert_in_range(at, size, size + 1);
    hone_line_reader_close(reader);
}

static void a_changed_bit_is_an_error_under_a_checksum(void **state)
{
    (void)state;
    char content[700];
    size_t size;
    for (size_t i = 0; i < sizeof content; i++)
        content[i] = i % 97 == 96 ? '\n' : (char)('a' + i * i % 26);
    char *frame = compress_frame(content, sizeof content, (zstd_options){.checksum = 1}, &size);
    for (size_t bit = 0; bit < size * 8; bit++) {
        hone_error error = {0};
        frame[bit / 8] ^= (char)(1 << bit % 8);
        const char *path = write_file("bit.zst", frame, size);
        hone_status status = drain(path, true, &error);
        /* A few bits carry nothing; then what is read is what was written. */
        if (status == HONE_OK)
            expect_content(path, content, sizeof content);
        else
            assert_int_equal(status, HONE_INPUT);
        frame[bit / 8] ^= (char)(1 << bit % 8);
    }
    free(frame);
}

static void what_is_no_frame_or_asks_too_much_is_refused(void **state)
{
    (void)state;
    size_t size;
    hone_error error = {0};
    assert_int_equal(drain(write_file("n.zst", "plain text", 10), true, &error), HONE_INPUT);
    assert_non_null(strstr(error.message, "expected a zstd frame"));
    char *frame = compress_frame("abc\n", 4, (zstd_options){.window_log = 28}, &size);
    assert_int_equal(drain(write_file("w.zst", frame, size), true, &error), HONE_INPUT);
    assert_non_null(strstr(error.message, "window over 128 MiB"));
    free(frame);
    frame = compress_frame("abc\n", 4, (zstd_options){.window_log = 27}, &size);
    assert_int_equal(drain(write_file("w.zst", frame, size), true, &error), HONE_OK);
    free(frame);
    /* A frame whose header names dictionary 0x12345678. */
    static const unsigned char dictionary[] = {0x28, 0xB5, 0x2F, 0xFD, 0x23, 0x78, 0x56,
                                               0x34, 0x12, 1,    9,    0,    0,    'a'};
    assert_int_equal(drain(write_file("d.zst", dictionary, sizeof dictionary), true, &error),
                     HONE_INPUT);
    assert_non_null(strstr(error.message, "dictionary"));
    assert_int_equal(drain("/dev/zero", false, &error), HONE_INPUT);
    assert_int_equal(drain("/tmp", false, &error), HONE_INPUT);
    assert_int_equal(drain("/nonexistent", false, &error), HONE_IO);
}

static long peak_mebibytes(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss / 1024;
}

/* A gibibyte of one line in a few kilobytes: counted as one line too long, in bounded memory. */
static void a_bomb_costs_no_memory(void **state)
{
    (void)state;
    enum { FRAMES = 256, MEBI = 1 << 20 };
    char *zeros = calloc(4, MEBI);
    size_t size;
    assert_non_null(zeros);
    char *frame = compress_frame(zeros, 4 * MEBI, (zstd_options){.level = 1}, &size);
    char *file = malloc(size * FRAMES);
    assert_non_null(file);
    for (size_t i = 0; i < FRAMES; i++)
        memcpy(file + i * size, frame, size);
    const char *path = write_file("bomb.jsonl.zst", file, size * FRAMES);
    long before = peak_mebibytes();
    hone_line_reader *reader;
    hone_line line;
    hone_error error = {0};
    assert_int_equal(hone_line_reader_open(path, true, &reader, &error), HONE_OK);
    assert_int_equal(hone_line_reader_next(reader, &line, &error), HONE_OK);
    assert_true(line.too_long);
    assert_int_equal(hone_line_reader_next(reader, &line, &error), HONE_OK);
    assert_null(line.text);
    hone_line_reader_close(reader);
    long grown = peak_mebibytes() - before;
    if (grown > 100)
        print_error("grew by %ld MiB\n", grown);
    assert_true(grown <= 100); /* under a sanitizer as well */
    free(file);
    free(frame);
    free(zeros);
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
        cmocka_unit_test(lines_end_at_newlines_and_at_the_end),
        cmocka_unit_test(lines_cross_blocks),
        cmocka_unit_test(a_line_over_the_limit_is_reported_and_passed_over),
        cmocka_unit_test(frames_follow_each_other),
        cmocka_unit_test(a_file_cut_anywhere_is_an_error),
        cmocka_unit_test(a_changed_bit_is_an_error_under_a_checksum),
        cmocka_unit_test(what_is_no_frame_or_asks_too_much_is_refused),
        cmocka_unit_test(a_bomb_costs_no_memory),
    };
    return cmocka_run_group_tests(tests, make_the_folder, remove_the_folder);
}
