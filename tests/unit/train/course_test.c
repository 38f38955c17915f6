/* Every document is taken once an epoch, whatever the batch, and the largest micro-batch is known
 * beforehand. */
#include "train_support.h"

#include "base/memory.h"
#include "train/course.h"

#include <string.h>

static hone_dataset *open_rows(int rows)
{
    hone_data_settings settings;
    hone_option_set set = hone_data_option_set(&settings);
    hone_dataset *dataset = NULL;
    write_rows(in_scratch("rows-%d.jsonl", rows), rows, 0);
    assert_ok(hone_options_init(&set, error));
    const hone_dataset_options options = {
        .settings = &settings, .vocabulary = 97, .max_length = 29};
    assert_ok(hone_dataset_open(in_scratch("rows-%d.jsonl", rows), &options, &dataset, error));
    hone_options_deinit(&set);
    return dataset;
}

static hone_course make_course(const hone_dataset *dataset, int64_t batch, int64_t accumulation,
                               double epochs, int64_t max_steps, bool shuffle)
{
    hone_course course;
    const hone_train_settings train = {.batch_size = batch,
                                       .gradient_accumulation_steps = accumulation,
                                       .epochs = epochs,
                                       .max_steps = max_steps};
    const hone_data_settings data = {.shuffle = shuffle};
    assert_ok(hone_course_init(&course, dataset, &train, &data, 7, error));
    return course;
}

static void steps_follow_from_documents_and_batch(void **state)
{
    (void)state;
    static const struct {
        int64_t batch, accumulation;
        double epochs;
        int64_t max_steps, steps_per_epoch, total;
    } cases[] = {
        {4, 1, 3, 0, 5, 15},   {4, 2, 3, 0, 3, 9},  {19, 1, 1, 0, 1, 1},
        {1, 1, 1, 0, 19, 19},  {20, 5, 2, 0, 1, 2}, {4, 1, 0.5, 0, 5, 3},
        {4, 1, 0.01, 0, 5, 1}, {4, 1, 3, 7, 5, 7},  {1, 1, 1, 1000, 19, 1000},
    };
    hone_dataset *dataset = open_rows(19);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_course course = make_course(dataset, cases[i].batch, cases[i].accumulation,
                                         cases[i].epochs, cases[i].max_steps, true);
        assert_int_equal(course.steps_per_epoch, cases[i].steps_per_epoch);
        assert_int_equal(course.total_steps, cases[i].total);
    }
    hone_dataset_close(dataset);
}

static void each_epoch_takes_each_document_once(void **state)
{
    (void)state;
    enum { ROWS = 23 };
    hone_dataset *dataset = open_rows(ROWS);
    const hone_document start = hone_dataset_at(dataset, 0);
    for (int64_t batch = 1; batch <= ROWS + 1; batch += 3) {
        for (int64_t accumulation = 1; accumulation <= 4; accumulation++) {
            hone_course course = make_course(dataset, batch, accumulation, 3, 0, true);
            int64_t step = 0;
            for (int64_t epoch = 0; epoch < 3; epoch++) {
                int seen[ROWS] = {0};
                for (bool ends = false; !ends; step++) {
                    hone_course_step at = hone_course_at(&course, step);
                    assert_int_equal(at.epoch, epoch);
                    for (int64_t i = 0; i < at.count; i++)
                        seen[hone_course_document(&course, epoch, at.first + i).line -
                             start.line]++;
                    ends = at.ends_epoch;
                }
                for (int i = 0; i < ROWS; i++)
                    assert_int_equal(seen[i], 1);
            }
            assert_int_equal(step, course.total_steps);
        }
    }
    hone_dataset_close(dataset);
}

static void epochs_differ_only_when_shuffled(void **state)
{
    (void)state;
    hone_dataset *dataset = open_rows(23);
    for (int shuffle = 0; shuffle <= 1; shuffle++) {
        hone_course course = make_course(dataset, 4, 1, 2, 0, shuffle);
        int moved = 0, in_order = 0;
        for (int64_t place = 0; place < 23; place++) {
            int64_t first = hone_course_document(&course, 0, place).line;
            moved += first != hone_course_document(&course, 1, place).line;
            in_order += first == hone_dataset_at(dataset, place).line;
        }
        assert_true(shuffle ? moved > 10 && in_order < 10 : moved == 0 && in_order == 23);
    }
    hone_dataset_close(dataset);
}

static void the_largest_micro_batch_is_known_beforehand(void **state)
{
    (void)state;
    hone_dataset *dataset = open_rows(23);
    for (int64_t batch = 1; batch <= 24; batch++) {
        for (int shuffle = 0; shuffle <= 1; shuffle++) {
            hone_course course = make_course(dataset, batch, 2, 2.5, 0, shuffle);
            int64_t most = 0;
            for (int64_t step = 0; step < course.total_steps; step++) {
                hone_course_step at = hone_course_at(&course, step);
                for (int64_t first = 0; first < at.count; first += batch) {
                    int64_t rows = 0;
                    for (int64_t i = first; i < first + batch && i < at.count; i++)
                        rows += hone_course_document(&course, at.epoch, at.first + i).length;
                    most = rows > most ? rows : most;
                }
            }
            assert_int_equal(hone_course_most_rows(&course).target, most);
            assert_int_equal(hone_course_most_rows(&course).source, 0);
            assert_true(most <= hone_dataset_most_rows(dataset, batch).target);
        }
    }
    int64_t tokens = hone_dataset_count(dataset).tokens;
    assert_int_equal(hone_dataset_most_rows(dataset, 1).target,
                     hone_dataset_longest(dataset).target);
    assert_int_equal(hone_dataset_most_rows(dataset, 23).target, tokens);
    assert_int_equal(hone_dataset_most_rows(dataset, 1000).target, tokens);
    hone_dataset_close(dataset);
}

static void a_course_without_steps_is_an_error(void **state)
{
    (void)state;
    hone_dataset *dataset = open_rows(5);
    static const double epochs[] = {0, -1, 1e300};
    for (size_t i = 0; i < sizeof epochs / sizeof *epochs; i++) {
        hone_course course;
        hone_error error;
        const hone_train_settings train = {
            .batch_size = 1, .gradient_accumulation_steps = 1, .epochs = epochs[i]};
        const hone_data_settings data = {.shuffle = true};
        assert_int_equal(hone_course_init(&course, dataset, &train, &data, 7, &error), HONE_USAGE);
        assert_non_null(strstr(error.message, "epochs"));
    }
    hone_dataset_close(dataset);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_follow_from_documents_and_batch),
        cmocka_unit_test(each_epoch_takes_each_document_once),
        cmocka_unit_test(epochs_differ_only_when_shuffled),
        cmocka_unit_test(the_largest_micro_batch_is_known_beforehand),
        cmocka_unit_test(a_course_without_steps_is_an_error),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
