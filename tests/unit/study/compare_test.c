/* A comparison from its start to its page, on a tiny random model: what it writes, what it keeps,
 * what it refuses, and that one which was stopped at any allocation goes on to the same results. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/files.h"
#include "base/json.h"
#include "base/memory.h"
#include "infer_support.h"

#include <hone/compare.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static hone_model *model;

static const char *at(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A path in the scratch folder; good until eight more calls. */
static const char *at(const char *format, ...)
{
    static char paths[8][256];
    static int next;
    char *path = paths[next++ % 8];
    int used = snprintf(path, sizeof paths[0], "%s/", model->folder);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(path + used, sizeof paths[0] - (size_t)used, format, arguments);
    va_end(arguments);
    return path;
}

static void write_pairs(const char *name, int rows, int first)
{
    static char text[1 << 14];
    size_t used = 0;
    for (int i = first; i < first + rows; i++)
        used += (size_t)snprintf(
            text + used, sizeof text - used,
            "{\"source\": \"the %d words of row %d\", \"target\": \"row %d\"}\n", i * 7, i, i);
    tiny_file(name, text);
}

static int prepare(void **state)
{
    (void)state;
    model = tiny_model("f32", 7, true);
    write_pairs("train.jsonl", 9, 0);
    write_pairs("valid.jsonl", 5, 100);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    tiny_model_close(model);
    return 0;
}

static hone_study *make_study(const char *out)
{
    hone_error error;
    hone_study *study;
    const char *const values[][2] = {
        {"model", model->folder},
        {"init", "random"},
        {"train", at("train.jsonl")},
        {"valid", at("valid.jsonl")},
        {"out", out},
        {"max_steps", "4"},
        {"batch_size", "3"},
        {"eval_steps", "2"},
        {"save_steps", "1"},
        {"eval_generate", "2"},
        {"max_new_tokens", "4"},
        {"num_predictions", "3"},
        {"metrics", "rouge1"},
        {"bootstrap_samples", "50"},
        {"target_modules", "c_attn"},
        {"save_total_limit", "1"},
    };
    static char lora[] = "lora", full[] = "full";
    char *names[] = {lora, full};
    const hone_list methods = {names, 2};
    assert_int_equal(hone_study_create(NULL, &study, &error), HONE_OK);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (hone_study_set(study, values[i][0], values[i][1], "test", &error) != HONE_OK)
            fail_msg("%s", error.message);
    assert_int_equal(hone_study_add_methods(study, &methods, NULL, &error), HONE_OK);
    return study;
}

typedef struct seen {
    int trained, kept, evaluated, baselines, written;
    int stop_at; /* steps until a stop is asked for; 0: never */
    int steps;
} seen;

static void count(void *context, const hone_compare_event *event)
{
    seen *s = context;
    s->trained += event->stage == HONE_COMPARE_TRAIN;
    s->kept += event->stage == HONE_COMPARE_KEPT;
    s->evaluated += event->stage == HONE_COMPARE_EVALUATE && event->total == 0;
    s->baselines += event->stage == HONE_COMPARE_BASELINE && event->total == 0;
    s->written += event->stage == HONE_COMPARE_WRITTEN;
}

static void count_steps(void *context, const hone_train_event *event)
{
    seen *s = context;
    s->steps += event->kind == HONE_EVENT_STEP;
}

static int stop(void *context)
{
    const seen *s = context;
    return s->stop_at > 0 && s->steps >= s->stop_at;
}

static hone_status compare(hone_study *study, bool rerun, seen *s, hone_error *error)
{
    const hone_compare_options options = {
        .rerun = rerun, .event = count, .train = {count_steps, s}, .stop = stop, .context = s};
    return hone_compare(study, &options, error);
}

static char *read_text(const char *path)
{
    char *text = NULL;
    size_t size;
    if (hone_file_load(path, 1 << 22, &text, &size, NULL) != HONE_OK)
        fail_msg("cannot read %s", path);
    return text;
}

/* All that does not depend on the clock. */
static void assert_same_results(const char *a, const char *b)
{
    static const char *const files[] = {
        "runs/lora/train.tsv",
        "runs/lora/valid.tsv",
        "runs/lora/scores.jsonl",
        "runs/lora/predictions/step-2.jsonl",
        "runs/lora/predictions/step-4.jsonl",
        "runs/lora/predictions.jsonl",
        "runs/lora/adapter/adapter_model.safetensors",
        "runs/full/valid.tsv",
        "runs/full/predictions.jsonl",
        "runs/full/adapter/model.safetensors",
        "baselines/copy-1/predictions.jsonl",
        "baselines/untouched-1/predictions.jsonl",
        "plots/loss-epoch.svg",
        "plots/rouge-epoch.png",
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char *one, *two;
        size_t size_one, size_two;
        assert_int_equal(hone_file_load(at("%s/%s", a, files[i]), 1 << 22, &one, &size_one, NULL),
                         HONE_OK);
        assert_int_equal(hone_file_load(at("%s/%s", b, files[i]), 1 << 22, &two, &size_two, NULL),
                         HONE_OK);
        if (size_one != size_two || memcmp(one, two, size_one) != 0)
            fail_msg("%s differs", files[i]);
        hone_free(one);
        hone_free(two);
    }
}

static double real_at(const hone_json *row, const char *key)
{
    double value = -1.0;
    assert_true(hone_json_real(hone_json_get(row, key), &value));
    return value;
}

static void check_table(const char *out)
{
    hone_json *table;
    assert_int_equal(hone_json_load(at("%s/table.json", out), 1 << 20, &table, NULL), HONE_OK);
    const hone_json *rows = hone_json_get(table, "rows");
    static const char *const names[] = {"first 2 words of the source", "untouched model", "lora",
                                        "full"};
    assert_int_equal(hone_json_size(rows), 4);
    for (size_t i = 0; i < 4; i++) {
        const hone_json *row = hone_json_at(rows, i);
        assert_string_equal(hone_json_string(hone_json_get(row, "name"), NULL), names[i]);
        assert_true(real_at(row, "predictions") == 3.0);
        assert_non_null(hone_json_get(hone_json_get(row, "scores"), "rouge1"));
    }
    const hone_json *copy = hone_json_at(rows, 0), *lora = hone_json_at(rows, 2),
                    *full = hone_json_at(rows, 3);
    /* "the" and a number: one of two words is never in "row N", whose words are both there. */
    assert_null(hone_json_get(copy, "loss"));
    assert_true(real_at(lora, "trainable") < real_at(full, "trainable"));
    assert_true(real_at(full, "trainable_percent") == 100.0);
    assert_true(real_at(lora, "adapter_bytes") > 0.0 && real_at(lora, "peak_memory_bytes") > 0.0);
    assert_true(real_at(lora, "decode_tokens_per_second_merged") > 0.0);
    assert_null(hone_json_get(full, "decode_tokens_per_second_merged"));
    assert_true(real_at(full, "loss") < real_at(hone_json_at(rows, 1), "loss"));
    assert_true(real_at(full, "steps") == 4.0);
    hone_json_free(table);
    char *page = read_text(at("%s/report.html", out));
    assert_non_null(strstr(page, "Predictions side by side"));
    assert_non_null(strstr(page, "untouched model"));
    hone_free(page);
}

static void a_comparison_is_made_and_kept(void **state)
{
    (void)state;
    hone_error error;
    seen first = {0}, second = {0}, third = {0}, fourth = {0};
    hone_study *study = make_study(at("whole"));
    if (compare(study, false, &first, &error) != HONE_OK)
        fail_msg("%s", error.message);
    assert_int_equal(first.trained, 2);
    assert_int_equal(first.kept, 0);
    assert_int_equal(first.evaluated, 2);
    assert_int_equal(first.baselines, 2);
    assert_true(first.written >= 12);
    check_table("whole");
    /* Nothing is trained again. */
    assert_int_equal(compare(study, false, &second, &error), HONE_OK);
    assert_int_equal(second.kept, 2);
    assert_int_equal(second.trained, 0);
    check_table("whole");
    /* Another rate is another experiment. */
    assert_int_equal(hone_study_set(study, "learning_rate", "0.01", "", &error), HONE_OK);
    assert_int_equal(compare(study, false, &third, &error), HONE_MISMATCH);
    assert_non_null(strstr(error.message, "learning_rate: was \"0.0002\", is \"0.01\""));
    assert_int_equal(compare(study, true, &fourth, &error), HONE_OK);
    assert_int_equal(fourth.trained, 2);
    hone_study_free(study);
}

static hone_scorer *read_scores(const char *path)
{
    hone_score_settings settings;
    hone_option_set set = hone_score_option_set(&settings);
    hone_scorer *scorer;
    hone_error error;
    assert_int_equal(hone_options_init(&set, &error), HONE_OK);
    assert_int_equal(hone_options_set_text(&set, 1, "metrics", "rouge1", "", &error), HONE_OK);
    assert_int_equal(hone_options_set_text(&set, 1, "bootstrap_samples", "50", "", &error),
                     HONE_OK);
    const hone_score_files files = {path, NULL, "prediction", "reference"};
    assert_int_equal(hone_scorer_create(&settings, &scorer, &error), HONE_OK);
    assert_int_equal(hone_scorer_add_files(scorer, &files, &error), HONE_OK);
    hone_options_deinit(&set);
    return scorer;
}

/* The table's test is that of hone score on the two files, and is none where rows differ. */
static void experiments_are_tested_against_the_baselines(void **state)
{
    (void)state;
    static const char *const keys[] = {"against_copy", "against_untouched"};
    static const char *const folders[] = {"baselines/copy-1", "baselines/untouched-1"};
    hone_error error;
    seen s = {0};
    hone_json *table;
    hone_study *study = make_study(at("tested"));
    assert_int_equal(compare(study, false, &s, &error), HONE_OK);
    assert_int_equal(hone_json_load(at("tested/table.json"), 1 << 20, &table, NULL), HONE_OK);
    const hone_json *rows = hone_json_get(table, "rows");
    hone_scorer *own = read_scores(at("tested/runs/full/predictions.jsonl"));
    for (size_t i = 0; i < 2; i++) {
        const hone_json *score =
            hone_json_get(hone_json_get(hone_json_at(rows, 3), "scores"), "rouge1");
        const hone_json *test = hone_json_get(score, keys[i]);
        hone_scorer *baseline = read_scores(at("tested/%s/predictions.jsonl", folders[i]));
        hone_comparison expected;
        assert_int_equal(hone_scorer_compare(baseline, own, 0, &expected, &error), HONE_OK);
        assert_float_equal(real_at(test, "p_value"), expected.p_value, 1e-8);
        assert_float_equal(real_at(test, "difference"), expected.difference, 1e-8);
        hone_scorer_free(baseline);
    }
    hone_scorer_free(own);
    for (size_t i = 0; i < 2; i++) {
        const hone_json *scores = hone_json_get(hone_json_at(rows, i), "scores");
        assert_null(hone_json_get(hone_json_get(scores, "rouge1"), keys[i]));
    }
    hone_json_free(table);
    /* Predictions of other rows have no test, but a note. */
    tiny_file("tested/baselines/copy-1/predictions.jsonl",
              "{\"prediction\": \"a\", \"reference\": \"row 1\"}\n");
    assert_int_equal(compare(study, false, &s, &error), HONE_OK);
    char *text = read_text(at("tested/table.md"));
    assert_non_null(strstr(text, "full was not tested against first 2 words of the source: it "
                                 "predicted other rows."));
    hone_free(text);
    hone_study_free(study);
}

static void copy_file(const char *from, const char *to)
{
    char *text = read_text(at("%s", from));
    tiny_file(to, text);
    hone_free(text);
}

/* Two experiments, the second with a model whose end-of-text token is spelt otherwise. */
static hone_study *make_models(const char *out)
{
    char text[1024];
    hone_error error;
    hone_study *study;
    assert_int_equal(hone_folder_make(at("other"), &error), HONE_OK);
    copy_file("config.json", "other/config.json");
    copy_file("merges.txt", "other/merges.txt");
    char *vocabulary = read_text(at("vocab.json"));
    size_t end = strlen(vocabulary);
    while (end > 0 && strncmp(vocabulary + end, "endoftext", 9) != 0)
        end--;
    vocabulary[end] = 'E';
    tiny_file("other/vocab.json", vocabulary);
    hone_free(vocabulary);
    snprintf(text, sizeof text,
             "defaults: {init: random, train: %s, valid: %s, max_steps: 2, metrics: [rouge1]}\n"
             "experiments:\n  - {name: one, model: %s}\n  - {name: two, model: %s}\n",
             at("train.jsonl"), at("valid.jsonl"), model->folder, at("other"));
    if (hone_study_create(tiny_file("models.yaml", text), &study, &error) != HONE_OK)
        fail_msg("%s", error.message);
    assert_int_equal(hone_study_set(study, "out", out, "", &error), HONE_OK);
    return study;
}

static void other_tokenizers_are_told(void **state)
{
    (void)state;
    hone_error error;
    seen s = {0};
    hone_study *study = make_models(at("models"));
    if (compare(study, false, &s, &error) != HONE_OK)
        fail_msg("%s", error.message);
    hone_study_free(study);
    hone_json *table;
    assert_int_equal(hone_json_load(at("models/table.json"), 1 << 20, &table, NULL), HONE_OK);
    const hone_json *rows = hone_json_get(table, "rows");
    const hone_json *one = hone_json_at(rows, 2), *two = hone_json_at(rows, 4);
    assert_string_not_equal(hone_json_string(hone_json_get(one, "tokenizer"), NULL),
                            hone_json_string(hone_json_get(two, "tokenizer"), NULL));
    /* Bytes are tokens here: the loss is over them and the end of each text. */
    double bits = real_at(one, "loss") * real_at(one, "validation_tokens") /
                  real_at(one, "validation_bytes") / 0.69314718056;
    assert_float_equal(real_at(one, "bits_per_byte"), bits, 1e-6);
    assert_true(real_at(one, "validation_tokens") == real_at(one, "validation_bytes") + 5.0);
    hone_json_free(table);
    char *text = read_text(at("models/table.md"));
    assert_non_null(strstr(text, "The experiments have different tokenizers"));
    assert_non_null(strstr(text, "| bits per byte |"));
    hone_free(text);
    text = read_text(at("tested/table.md"));
    assert_null(strstr(text, "different tokenizers"));
    hone_free(text);
}

static void changed_data_is_another_experiment(void **state)
{
    (void)state;
    hone_error error;
    seen s = {0};
    hone_study *study = make_study(at("data"));
    assert_int_equal(compare(study, false, &s, &error), HONE_OK);
    write_pairs("valid.jsonl", 5, 200);
    assert_int_equal(compare(study, false, &s, &error), HONE_MISMATCH);
    assert_non_null(strstr(error.message, "have changed"));
    write_pairs("valid.jsonl", 5, 100);
    assert_int_equal(compare(study, false, &s, &error), HONE_OK);
    hone_study_free(study);
}

static void a_stopped_comparison_goes_on(void **state)
{
    (void)state;
    hone_error error;
    seen whole = {0};
    hone_study *study = make_study(at("straight"));
    assert_int_equal(compare(study, false, &whole, &error), HONE_OK);
    hone_study_free(study);
    study = make_study(at("stopped"));
    for (int at_step = 1; at_step <= 5; at_step += 2) {
        seen s = {.stop_at = at_step == 5 ? 1 : at_step};
        assert_int_equal(compare(study, false, &s, &error), HONE_STOPPED);
    }
    seen s = {0};
    assert_int_equal(compare(study, false, &s, &error), HONE_OK);
    assert_same_results("straight", "stopped");
    hone_study_free(study);
}

static void rows_without_targets_are_not_predicted(void **state)
{
    (void)state;
    hone_error error;
    seen s = {0};
    tiny_file("texts.jsonl", "{\"text\": \"one row\"}\n{\"text\": \"another row\"}\n");
    hone_study *study = make_study(at("texts"));
    assert_int_equal(hone_study_set(study, "train", at("texts.jsonl"), "", &error), HONE_OK);
    assert_int_equal(hone_study_set(study, "valid", at("texts.jsonl"), "", &error), HONE_OK);
    if (compare(study, false, &s, &error) != HONE_OK)
        fail_msg("%s", error.message);
    hone_json *table;
    assert_int_equal(hone_json_load(at("texts/table.json"), 1 << 20, &table, NULL), HONE_OK);
    assert_int_equal(hone_json_size(hone_json_get(table, "rows")), 3);
    assert_null(hone_json_get(hone_json_at(hone_json_get(table, "rows"), 2), "scores"));
    hone_json_free(table);
    hone_study_free(study);
}

/* ---- pieces in processes of their own ------------------------------------------------------ */

typedef struct isolating {
    seen seen; /* first: the callbacks see it alone */
    char pieces[512];
    const char *lost; /* a piece that is not run */
    hone_status answer;
} isolating;

static hone_status isolate(void *context, const char *what, hone_compare_work_fn work,
                           void *argument, hone_error *error)
{
    isolating *i = context;
    size_t used = strlen(i->pieces);
    snprintf(i->pieces + used, sizeof i->pieces - used, "%s\n", what);
    if (i->lost == NULL || strcmp(i->lost, what) != 0)
        return work(argument, error);
    if (i->answer != HONE_OK)
        snprintf(error->message, sizeof error->message, "%s was lost", what);
    return i->answer;
}

static hone_status compare_isolated(hone_study *study, isolating *i, hone_error *error)
{
    const hone_compare_options options = {
        .event = count, .train = {count_steps, i}, .stop = stop, .isolate = isolate, .context = i};
    return hone_compare(study, &options, error);
}

static void heavy_pieces_go_through_the_hook(void **state)
{
    (void)state;
    hone_error error;
    seen plain = {0};
    hone_study *study = make_study(at("in-one"));
    assert_int_equal(compare(study, false, &plain, &error), HONE_OK);
    hone_study_free(study);
    study = make_study(at("isolated"));
    isolating first = {.lost = NULL}, again = {.lost = NULL};
    if (compare_isolated(study, &first, &error) != HONE_OK)
        fail_msg("%s", error.message);
    assert_string_equal(first.pieces, "measuring copied words\nmeasuring untouched model\n"
                                      "training lora\nmeasuring lora\n"
                                      "training full\nmeasuring full\n");
    assert_same_results("in-one", "isolated");
    check_table("isolated");
    /* What is kept needs no process. */
    assert_int_equal(compare_isolated(study, &again, &error), HONE_OK);
    assert_string_equal(again.pieces, "");
    hone_study_free(study);
}

static void a_lost_piece_is_an_error_and_is_made_up_for(void **state)
{
    (void)state;
    static const char *const pieces[] = {"measuring untouched model", "training lora",
                                         "measuring full"};
    hone_error error;
    hone_study *study = make_study(at("lost"));
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        isolating one = {.lost = pieces[i], .answer = HONE_PEER};
        assert_int_equal(compare_isolated(study, &one, &error), HONE_PEER);
        assert_non_null(strstr(error.message, pieces[i]));
    }
    /* A host that says that the work was done: the files are missed. */
    isolating liar = {.lost = "measuring full", .answer = HONE_OK};
    assert_int_equal(compare_isolated(study, &liar, &error), HONE_IO);
    assert_non_null(strstr(error.message, "results.json"));
    isolating last = {.lost = NULL};
    assert_int_equal(compare_isolated(study, &last, &error), HONE_OK);
    assert_string_equal(last.pieces, "measuring full\n");
    check_table("lost");
    hone_study_free(study);
}

static void a_stop_between_pieces_is_seen(void **state)
{
    (void)state;
    hone_error error;
    hone_study *study = make_study(at("between"));
    isolating i = {.seen = {.stop_at = 1, .steps = 1}};
    assert_int_equal(compare_isolated(study, &i, &error), HONE_STOPPED);
    assert_string_equal(i.pieces, "");
    hone_study_free(study);
}

/* ---- memory ------------------------------------------------------------------------------- */

static struct {
    _Atomic int64_t blocks, asked; /* threads allocate too */
    int64_t refuse;
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

static void *map_pages(void *context, size_t size)
{
    (void)context;
    void *block =
        book.asked++ == book.refuse ? NULL : aligned_alloc(4096, (size + 4095) & ~(size_t)4095);
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

static hone_status compare_refusing(hone_study *study, int64_t refuse)
{
    static const hone_allocator allocator = {reallocate, map_pages, unmap_pages, NULL};
    hone_error error = {0};
    seen s = {0};
    book.blocks = book.asked = 0;
    book.refuse = refuse;
    hone_memory_set_allocator(&allocator);
    hone_status status = compare(study, false, &s, &error);
    hone_memory_set_allocator(NULL);
    assert_int_equal(book.blocks, 0);
    if (status != HONE_OK && status != HONE_MEMORY)
        fail_msg("allocation %d: %s", (int)refuse, error.message);
    return status;
}

/* Each attempt goes on from where the one before was refused, so all parts are reached; where
 * HONE_FULL_SWEEP is set every allocation is refused in turn. */
static void a_comparison_survives_refusals(void **state)
{
    (void)state;
    hone_error error;
    seen s = {0};
    hone_study *study = make_study(at("calm"));
    assert_int_equal(compare(study, false, &s, &error), HONE_OK);
    hone_study_free(study);
    study = make_study(at("refused"));
    int64_t failures = 0, stride = getenv("HONE_FULL_SWEEP") != NULL ? 1 : 97;
    bool hit = true;
    for (int64_t n = 0; hit; n += stride) {
        failures += compare_refusing(study, n) != HONE_OK;
        hit = book.asked > book.refuse;
    }
    print_message("%d allocations refused\n", (int)failures);
    assert_true(failures > 20);
    assert_same_results("calm", "refused");
    hone_study_free(study);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_comparison_is_made_and_kept),
        cmocka_unit_test(experiments_are_tested_against_the_baselines),
        cmocka_unit_test(other_tokenizers_are_told),
        cmocka_unit_test(changed_data_is_another_experiment),
        cmocka_unit_test(a_stopped_comparison_goes_on),
        cmocka_unit_test(rows_without_targets_are_not_predicted),
        cmocka_unit_test(heavy_pieces_go_through_the_hook),
        cmocka_unit_test(a_lost_piece_is_an_error_and_is_made_up_for),
        cmocka_unit_test(a_stop_between_pieces_is_seen),
        cmocka_unit_test(a_comparison_survives_refusals),
    };
    return cmocka_run_group_tests(tests, prepare, clean);
}
