/* A run folder is taken by one process at a time, its logs are cut back exactly, and what can't be
 * written is an error. */
#include "train_support.h"

#include "base/files.h"
#include "base/memory.h"
#include "train/run_folder.h"
#include "train/run_settings.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static hone_run_settings settings;

static int prepare(void **state)
{
    if (make_scratch(state) != 0)
        return 1;
    init_settings(&settings, NULL, "learning_rate=3e-4", "target_modules=c_attn,c_proj", NULL);
    return 0;
}

static int release(void **state)
{
    deinit_settings(&settings);
    return remove_scratch(state);
}

static const hone_run_validation validation = {.step = 3, .epoch = 0.5, .loss = 2.0, .best = true};
static const hone_score scores[] = {
    {.name = "rouge1", .value = 0.25, .low = 0.125, .high = 0.5, .signature = "a|b"},
    {.name = "bleu", .value = 3, .low = (double)NAN, .high = (double)NAN, .signature = "c"}};
static const hone_run_validation scored = {
    .step = 6, .epoch = 1, .loss = 0, .scores = scores, .count = 2};

static void create(hone_run_folder *folder, const char *path)
{
    assert_ok(hone_run_folder_create(folder, path, &settings, error));
}

static void config_holds_the_effective_settings(void **state)
{
    (void)state;
    hone_run_folder folder;
    hone_run_settings loaded;
    create(&folder, in_scratch("config"));
    assert_ok(hone_run_settings_load(&loaded, in_scratch("config/config.yaml"), error));
    assert_true(loaded.train.learning_rate == 3e-4);
    assert_int_equal(loaded.adapter.target_modules.count, 2);
    assert_string_equal(loaded.adapter.target_modules.items[1], "c_proj");
    assert_string_equal(loaded.model.init, "random");
    hone_run_settings_deinit(&loaded);
    hone_run_folder_close(&folder);
}

static void copies_and_comparisons_go_deep(void **state)
{
    (void)state;
    hone_run_settings copy;
    hone_error problem;
    assert_ok(hone_run_settings_copy(&copy, &settings, error));
    assert_ptr_not_equal(copy.adapter.target_modules.items, settings.adapter.target_modules.items);
    hone_json *stored = hone_run_settings_json(&settings);
    assert_ok(hone_run_settings_compare(&copy, stored, "place", error));
    set_option(&copy, "threads", "3");
    set_option(&copy, "out", "elsewhere");
    set_option(&copy, "save_steps", "77");
    assert_ok(hone_run_settings_compare(&copy, stored, "place", error));
    set_option(&copy, "r", "9");
    set_option(&copy, "shuffle", "false");
    assert_int_equal(hone_run_settings_compare(&copy, stored, "place", &problem), HONE_MISMATCH);
    assert_non_null(strstr(problem.message, "r: expected \"8\", found \"9\""));
    assert_non_null(strstr(problem.message, "shuffle: expected \"true\", found \"false\""));
    hone_json_free(stored);
    hone_run_settings_deinit(&copy);
}

static void a_folder_with_something_in_it_is_refused(void **state)
{
    (void)state;
    hone_run_folder folder;
    hone_error problem;
    assert_ok(hone_folder_make(in_scratch("taken"), error));
    write_text(in_scratch("taken/notes.txt"), "mine");
    assert_int_equal(hone_run_folder_create(&folder, in_scratch("taken"), &settings, &problem),
                     HONE_USAGE);
    assert_non_null(strstr(problem.message, "notes.txt"));
    assert_int_equal(
        hone_run_folder_create(&folder, in_scratch("taken/notes.txt"), &settings, &problem),
        HONE_IO);
    assert_int_equal(hone_run_folder_open(&folder, in_scratch("taken"), &problem), HONE_INPUT);
    assert_int_equal(hone_run_folder_open(&folder, in_scratch("not there"), &problem), HONE_INPUT);
    /* What a process left that was killed while it began is no obstacle. */
    assert_ok(hone_folder_make(in_scratch("begun"), error));
    write_text(in_scratch("begun/config.yaml.tmp.123"), "mod");
    create(&folder, in_scratch("begun"));
    hone_run_folder_close(&folder);
    assert_false(hone_file_exists(in_scratch("begun/config.yaml.tmp.123")));
    write_text(in_scratch("begun/summary.json.tmp.123"), "{");
    assert_ok(hone_folder_make(in_scratch("begun/adapter"), error));
    write_text(in_scratch("begun/adapter/adapter_config.json.tmp.123"), "{");
    assert_ok(hone_run_folder_open(&folder, in_scratch("begun"), error));
    assert_false(hone_file_exists(in_scratch("begun/summary.json.tmp.123")));
    assert_false(hone_file_exists(in_scratch("begun/adapter/adapter_config.json.tmp.123")));
    assert_true(hone_file_exists(in_scratch("begun/config.yaml")));
    hone_run_folder_close(&folder);
}

static void one_process_has_it_at_a_time(void **state)
{
    (void)state;
    hone_run_folder folder, second;
    hone_error problem;
    create(&folder, in_scratch("locked"));
    assert_int_equal(hone_run_folder_open(&second, in_scratch("locked"), &problem), HONE_IO);
    assert_non_null(strstr(problem.message, "another process"));
    hone_run_folder_close(&folder);
    assert_ok(hone_run_folder_open(&second, in_scratch("locked"), error));
    hone_run_folder_close(&second);
}

static const hone_step_result result = {.step = 3,
                                        .total_steps = 9,
                                        .epoch = 0.5,
                                        .loss = 1.0 / 3.0,
                                        .grad_norm = 2e-17,
                                        .learning_rate = 2e-4,
                                        .tokens = 512,
                                        .tokens_per_second = 1234.5,
                                        .seconds = 0.25,
                                        .rss_bytes = 1 << 20,
                                        .peak_rss_bytes = 1 << 21};

static void assert_text(const char *path, const char *expected)
{
    char *text = read_text(path, NULL);
    assert_string_equal(text, expected);
    hone_free(text);
}

static void records_have_nine_digits_and_times_last(void **state)
{
    (void)state;
    hone_run_folder folder;
    create(&folder, in_scratch("records"));
    assert_ok(hone_run_logs_begin(&folder, NULL, error));
    assert_ok(hone_run_log_step(&folder, &result, error));
    assert_ok(hone_run_log_validation(&folder, &validation, error));
    assert_ok(hone_run_log_sample(&folder, 3, "a\"b", "c\n\xC3\xA9", 4, error));
    assert_ok(hone_run_log_sample(&folder, 3, "", NULL, 0, error));
    hone_run_folder_close(&folder);
    assert_text(in_scratch("records/log.jsonl"),
                "{\"step\":3,\"loss\":0.333333333,\"grad_norm\":2e-17,\"learning_rate\":0.0002,"
                "\"tokens\":512,\"tokens_per_second\":1234.5,\"seconds\":0.25,"
                "\"rss_bytes\":1048576,\"peak_rss_bytes\":2097152}\n");
    assert_text(in_scratch("records/train.tsv"),
                "step\tepoch\tloss\tgrad_norm\tlearning_rate\ttokens\n"
                "3\t0.5\t0.333333333\t2e-17\t0.0002\t512\n");
    assert_text(in_scratch("records/valid.tsv"),
                "step\tepoch\tloss\tperplexity\tbest\n3\t0.5\t2\t7.3890561\ttrue\n");
    assert_text(in_scratch("records/samples.jsonl"),
                "{\"step\":3,\"prompt\":\"a\\\"b\",\"text\":\"c\\n\xC3\xA9\"}\n"
                "{\"step\":3,\"prompt\":\"\",\"text\":null}\n");
}

/* The metrics are columns of the table; their intervals and signatures stand in a log of their own.
 */
static void scores_stand_behind_the_loss(void **state)
{
    (void)state;
    hone_run_folder folder;
    hone_score_settings metrics;
    hone_scorer *scorer;
    hone_option_set set = hone_score_option_set(&metrics);
    assert_ok(hone_options_init(&set, error));
    assert_ok(hone_options_set_text(&set, 1, "metrics", "rouge1,bleu", "metrics", error));
    assert_ok(hone_scorer_create(&metrics, &scorer, error));
    create(&folder, in_scratch("scored"));
    assert_ok(hone_run_folder_add_columns(&folder, scorer, error));
    assert_ok(hone_run_logs_begin(&folder, NULL, error));
    assert_ok(hone_run_log_validation(&folder, &scored, error));
    hone_run_folder_close(&folder);
    assert_text(in_scratch("scored/valid.tsv"),
                "step\tepoch\tloss\tperplexity\tbest\trouge1\tbleu\n"
                "6\t1\t0\t1\tfalse\t0.25\t3\n");
    assert_text(in_scratch("scored/scores.jsonl"),
                "{\"step\":6,\"rouge1\":{\"value\":0.25,\"low\":0.125,\"high\":0.5,"
                "\"signature\":\"a|b\"},\"bleu\":{\"value\":3.0,\"signature\":\"c\"}}\n");
    hone_scorer_free(scorer);
    hone_options_deinit(&set);
}

static void logs_are_cut_back_to_the_byte(void **state)
{
    (void)state;
    hone_run_folder folder;
    int64_t first[HONE_RUN_LOGS], second[HONE_RUN_LOGS];
    create(&folder, in_scratch("cut"));
    assert_ok(hone_run_logs_begin(&folder, NULL, error));
    assert_ok(hone_run_log_step(&folder, &result, error));
    assert_ok(hone_run_logs_sync(&folder, first, error));
    assert_ok(hone_run_log_step(&folder, &result, error));
    assert_ok(hone_run_log_validation(&folder, &scored, error));
    assert_ok(hone_run_log_sample(&folder, 3, "a", "b", 1, error));
    assert_ok(hone_run_logs_sync(&folder, second, error));
    for (int i = 0; i < HONE_RUN_LOGS; i++)
        assert_true(second[i] > first[i]);
    assert_ok(hone_run_logs_begin(&folder, first, error));
    assert_ok(hone_run_logs_sync(&folder, second, error));
    assert_memory_equal(first, second, sizeof first);
    /* All anew: the headings alone. */
    assert_ok(hone_run_logs_begin(&folder, NULL, error));
    assert_text(in_scratch("cut/valid.tsv"), "step\tepoch\tloss\tperplexity\tbest\n");
    assert_text(in_scratch("cut/log.jsonl"), "");
    hone_error problem;
    assert_int_equal(hone_run_logs_begin(&folder, first, &problem), HONE_MISMATCH);
    hone_run_folder_close(&folder);
}

static void a_full_disk_is_an_error(void **state)
{
    (void)state;
    static const char *const logs[] = {"log.jsonl", "train.tsv", "valid.tsv", "samples.jsonl"};
    for (size_t i = 0; i < 4; i++) {
        hone_run_folder folder;
        hone_error problem;
        create(&folder, in_scratch("full-%zu", i));
        assert_int_equal(symlink("/dev/full", in_scratch("full-%zu/%s", i, logs[i])), 0);
        hone_status status = hone_run_log_step(&folder, &result, &problem);
        if (status == HONE_OK)
            status = hone_run_log_validation(&folder, &validation, &problem);
        if (status == HONE_OK)
            status = hone_run_log_sample(&folder, 3, "a", "b", 1, &problem);
        assert_int_equal(status, HONE_IO);
        assert_non_null(strstr(problem.file, logs[i]));
        hone_run_folder_close(&folder);
    }
}

static void without_a_folder_nothing_is_written(void **state)
{
    (void)state;
    hone_run_folder none = {.lock = -1};
    int64_t sizes[HONE_RUN_LOGS];
    assert_ok(hone_run_logs_begin(&none, NULL, error));
    assert_ok(hone_run_log_step(&none, &result, error));
    assert_ok(hone_run_log_validation(&none, &validation, error));
    assert_ok(hone_run_log_sample(&none, 3, "a", "b", 1, error));
    assert_ok(hone_run_logs_sync(&none, sizes, error));
    assert_ok(hone_run_plot(&none, error));
    hone_run_folder_close(&none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config_holds_the_effective_settings),
        cmocka_unit_test(copies_and_comparisons_go_deep),
        cmocka_unit_test(a_folder_with_something_in_it_is_refused),
        cmocka_unit_test(one_process_has_it_at_a_time),
        cmocka_unit_test(records_have_nine_digits_and_times_last),
        cmocka_unit_test(scores_stand_behind_the_loss),
        cmocka_unit_test(logs_are_cut_back_to_the_byte),
        cmocka_unit_test(a_full_disk_is_an_error),
        cmocka_unit_test(without_a_folder_nothing_is_written),
    };
    return cmocka_run_group_tests(tests, prepare, release);
}
