/* A run that was stopped or killed, wherever, and resumed ends with the bytes of the run that was
 * not: adapter, values, moments and logs. */
#include "../text/spiece_support.h"
#include "train_support.h"

#include "base/files.h"
#include "base/json.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

/* 25 rows by 2 x 2 make 7 steps an epoch; 2 epochs. */
enum { TOTAL = 14 };

/* A T5 with a tokenizer of a few pieces and 100 sentinels, and rows of texts, which span corruption
 * takes apart anew in each epoch, among pairs. */
static void prepare_t5(void)
{
    static message pieces;
    put_small_model(&pieces);
    assert_ok(hone_folder_make(in_scratch("t5"), error));
    assert_ok(hone_file_write(in_scratch("t5/spiece.model"), pieces.bytes, pieces.length, error));
    write_text(
        in_scratch("t5/config.json"),
        "{\"model_type\": \"t5\", \"d_model\": 22, \"d_kv\": 5, \"d_ff\": 31, \"num_layers\": 2,"
        " \"num_decoder_layers\": 1, \"num_heads\": 3, \"vocab_size\": 113,"
        " \"dropout_rate\": 0.1}\n");
    char text[8192] = "";
    for (int row = 0; row < 25; row++) {
        size_t used = strlen(text);
        if (row % 3 == 0)
            snprintf(text + used, sizeof text - used,
                     "{\"source\": \"ab a%.*s\", \"target\": \"b ab%.*s\"}\n", row,
                     "bab a bb a ababab ab b aa b", row / 4, " a ab b");
        else
            snprintf(text + used, sizeof text - used, "{\"text\": \"b a ab ab b %.*s\"}\n", row,
                     "ab abb a b b a ab ba b ab");
    }
    write_text(in_scratch("mixed.jsonl"), text);
}

static int prepare(void **state)
{
    if (make_scratch(state) != 0)
        return 1;
    prepare_t5();
    write_model(in_scratch("model"));
    write_rows(in_scratch("train.jsonl"), 25, 0);
    write_rows(in_scratch("valid.jsonl"), 6, 100);
    return 0;
}

static void make_settings(hone_run_settings *settings, const char *method, const char *out)
{
    init_settings(settings, out, "batch_size=2", "gradient_accumulation_steps=2", "epochs=2",
                  "eval_steps=4", "save_steps=3", "save_total_limit=3", "lora_dropout=0.2",
                  "target_modules=c_attn,c_proj,c_fc", "feedforward_modules=c_fc",
                  "learning_rate=5e-3", NULL);
    if (strcmp(method, "ia3") != 0) {
        set_option(settings, "feedforward_modules", "");
        if (strcmp(method, "full") == 0)
            set_option(settings, "target_modules", "");
    }
    set_option(settings, "method", method);
    set_option(settings, "valid", in_scratch("valid.jsonl"));
}

typedef struct stopper {
    hone_trainer *trainer;
    int64_t step; /* stop after this one */
} stopper;

static void stop_at(void *context, const hone_train_event *event)
{
    stopper *s = context;
    if (event->kind == HONE_EVENT_STEP && event->step->step == s->step)
        hone_trainer_stop(s->trainer);
}

/* Asks for a stop, as a signal handler would: a checkpoint is written. */
static void run_until_stopped(const hone_run_settings *settings, const char *resume, int64_t step)
{
    hone_error reason;
    stopper s = {.step = step};
    const hone_train_callbacks callbacks = {stop_at, &s};
    if (resume != NULL)
        assert_ok(hone_trainer_resume(resume, &callbacks, &s.trainer, error));
    else
        assert_ok(hone_trainer_create(settings, &callbacks, &s.trainer, error));
    assert_int_equal(hone_trainer_run(s.trainer, &reason), HONE_STOPPED);
    hone_trainer_free(s.trainer);
}

/* Leaves after a step as a killed process does, at whatever checkpoint there is. */
static void run_until_killed(const hone_run_settings *settings, const char *resume, int64_t step)
{
    hone_trainer *trainer = NULL;
    hone_step_result result = {0};
    if (resume != NULL)
        assert_ok(hone_trainer_resume(resume, NULL, &trainer, error));
    else
        assert_ok(hone_trainer_create(settings, NULL, &trainer, error));
    for (bool done = false; result.step < step && !done;)
        assert_ok(hone_trainer_step(trainer, &result, &done, error));
    hone_trainer_free(trainer);
}

static void run_to_the_end(const hone_run_settings *settings, const char *resume)
{
    hone_trainer *trainer = NULL;
    if (resume != NULL)
        assert_ok(hone_trainer_resume(resume, NULL, &trainer, error));
    else
        assert_ok(hone_trainer_create(settings, NULL, &trainer, error));
    assert_ok(hone_trainer_run(trainer, error));
    hone_trainer_free(trainer);
}

/* Cuts each line before what depends on the clock. */
static char *without_times(const char *path)
{
    char *text = read_text(path, NULL), *to = text;
    for (char *line = text; *line != '\0';) {
        char *end = strchr(line, '\n') + 1, *cut = strstr(line, ",\"tokens_per_second\"");
        assert_true(cut != NULL && cut < end);
        memmove(to, line, (size_t)(cut - line));
        to += cut - line;
        *to++ = '\n';
        line = end;
    }
    *to = '\0';
    return text;
}

static void assert_same_run(const char *method, const char *a, const char *b)
{
    static const char *const files[] = {"train.tsv",
                                        "valid.tsv",
                                        "plots/loss.png",
                                        "plots/loss.svg",
                                        "checkpoints/step-14/trainable.safetensors",
                                        "checkpoints/step-14/optimizer.safetensors",
                                        "checkpoints/step-12/trainable.safetensors"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        assert_same_file(in_scratch("%s/%s", a, files[i]), in_scratch("%s/%s", b, files[i]));
    const char *weights = strcmp(method, "full") == 0 ? "adapter/model.safetensors"
                                                      : "adapter/adapter_model.safetensors";
    assert_same_file(in_scratch("%s/%s", a, weights), in_scratch("%s/%s", b, weights));
    char *one = without_times(in_scratch("%s/log.jsonl", a));
    char *two = without_times(in_scratch("%s/log.jsonl", b));
    assert_string_equal(one, two);
    hone_free(one);
    hone_free(two);
}

static void resumed_runs_equal_the_uninterrupted_one(const char *method, const char *compute)
{
    /* Before the first checkpoint, at and beside one, at the end of an epoch, before the last. */
    static const int64_t stops[] = {1, 2, 3, 7, 8, 13};
    hone_run_settings settings;
    char whole[64];
    snprintf(whole, sizeof whole, "%s-%s", method, compute);
    make_settings(&settings, method, in_scratch("%s", whole));
    set_option(&settings, "compute", compute);
    run_to_the_end(&settings, NULL);
    for (size_t i = 0; i < sizeof stops / sizeof *stops; i++) {
        for (int killed = 0; killed <= 1; killed++) {
            char name[64];
            snprintf(name, sizeof name, "%s-%s-%d-%d", method, compute, (int)stops[i], killed);
            set_option(&settings, "out", in_scratch("%s", name));
            (killed ? run_until_killed : run_until_stopped)(&settings, NULL, stops[i]);
            run_to_the_end(NULL, in_scratch("%s", name));
            assert_same_run(method, whole, name);
        }
    }
    deinit_settings(&settings);
}

static void lora_resumes_byte_for_byte(void **state)
{
    (void)state;
    resumed_runs_equal_the_uninterrupted_one("lora", "f32");
}

static void ia3_resumes_byte_for_byte(void **state)
{
    (void)state;
    resumed_runs_equal_the_uninterrupted_one("ia3", "f32");
}

static void full_resumes_byte_for_byte(void **state)
{
    (void)state;
    resumed_runs_equal_the_uninterrupted_one("full", "f32");
}

static void bf16_resumes_byte_for_byte(void **state)
{
    (void)state;
    resumed_runs_equal_the_uninterrupted_one("full", "bf16");
}

static void span_corruption_resumes_byte_for_byte(void **state)
{
    (void)state;
    static const char *const methods[] = {"lora", "ia3", "full"};
    for (int m = 0; m < 3; m++) {
        hone_run_settings settings;
        make_settings(&settings, methods[m], in_scratch("spans-%s", methods[m]));
        set_option(&settings, "model", in_scratch("t5"));
        set_option(&settings, "train", in_scratch("mixed.jsonl"));
        set_option(&settings, "valid", in_scratch("mixed.jsonl"));
        set_option(&settings, "objective", "span_corruption");
        if (m < 2)
            set_option(&settings, "target_modules", "q,v,wi");
        if (m == 1)
            set_option(&settings, "feedforward_modules", "wi");
        run_to_the_end(&settings, NULL);
        set_option(&settings, "out", in_scratch("spans-%s-torn", methods[m]));
        run_until_killed(&settings, NULL, 5);
        run_until_stopped(NULL, in_scratch("spans-%s-torn", methods[m]), 9);
        run_to_the_end(NULL, in_scratch("spans-%s-torn", methods[m]));
        char whole[32], torn[32];
        snprintf(whole, sizeof whole, "spans-%s", methods[m]);
        snprintf(torn, sizeof torn, "spans-%s-torn", methods[m]);
        assert_same_run(methods[m], whole, torn);
        deinit_settings(&settings);
    }
}

static void many_interruptions_in_one_run_change_nothing(void **state)
{
    (void)state;
    hone_run_settings settings;
    make_settings(&settings, "lora", in_scratch("whole"));
    run_to_the_end(&settings, NULL);
    set_option(&settings, "out", in_scratch("torn"));
    run_until_killed(&settings, NULL, 2);
    run_until_killed(NULL, in_scratch("torn"), 4);
    run_until_stopped(NULL, in_scratch("torn"), 5);
    run_until_killed(NULL, in_scratch("torn"), 5);
    run_until_stopped(NULL, in_scratch("torn"), 11);
    run_until_killed(NULL, in_scratch("torn"), TOTAL);
    run_to_the_end(NULL, in_scratch("torn"));
    run_to_the_end(NULL, in_scratch("torn"));
    assert_same_run("lora", "whole", "torn");
    deinit_settings(&settings);
}

static void early_stopping_survives_a_kill(void **state)
{
    (void)state;
    hone_run_settings settings;
    make_settings(&settings, "lora", in_scratch("early"));
    set_option(&settings, "early_stopping_patience", "2");
    set_option(&settings, "early_stopping_threshold", "1000");
    set_option(&settings, "eval_steps", "2");
    run_to_the_end(&settings, NULL);
    set_option(&settings, "out", in_scratch("early-killed"));
    run_until_killed(&settings, NULL, 5);
    run_to_the_end(NULL, in_scratch("early-killed"));
    assert_same_file(in_scratch("early/valid.tsv"), in_scratch("early-killed/valid.tsv"));
    assert_same_file(in_scratch("early/checkpoints/step-6/trainable.safetensors"),
                     in_scratch("early-killed/checkpoints/step-6/trainable.safetensors"));
    assert_false(hone_file_exists(in_scratch("early-killed/checkpoints/step-9")));
    char *summary = read_text(in_scratch("early-killed/summary.json"), NULL);
    assert_non_null(strstr(summary, "\"status\": \"early stopping\""));
    hone_free(summary);
    deinit_settings(&settings);
}

/* Replaces the first `from` in a file. */
static void edit(const char *path, const char *from, const char *to)
{
    char *text = read_text(path, NULL), *found = strstr(text, from);
    assert_non_null(found);
    size_t size = strlen(text) + strlen(to) + 1;
    char *edited = hone_alloc(size);
    snprintf(edited, size, "%.*s%s%s", (int)(found - text), text, to, found + strlen(from));
    write_text(path, edited);
    hone_free(edited);
    hone_free(text);
}

static void assert_refused(const char *run, hone_status status, const char *part)
{
    hone_error error;
    hone_trainer *trainer = NULL;
    assert_int_equal(hone_trainer_resume(run, NULL, &trainer, &error), status);
    assert_null(trainer);
    if (strstr(error.message, part) == NULL)
        fail_msg("expected '%s' in: %s", part, error.message);
}

static void what_has_changed_since_is_named(void **state)
{
    (void)state;
    hone_run_settings settings;
    make_settings(&settings, "lora", in_scratch("changed"));
    run_until_killed(&settings, NULL, 4);
    char run[512], config[512];
    snprintf(run, sizeof run, "%s", in_scratch("changed"));
    snprintf(config, sizeof config, "%s", in_scratch("changed/config.yaml"));
    edit(config, "learning_rate: 0.005", "learning_rate: 0.006");
    assert_refused(run, HONE_MISMATCH, "learning_rate: expected \"0.005\", found \"0.006\"");
    edit(config, "\nr: 8", "\nr: 7");
    assert_refused(run, HONE_MISMATCH, "r: expected \"8\", found \"7\"");
    edit(config, "learning_rate: 0.006", "learning_rate: 0.005");
    edit(config, "\nr: 7", "\nr: 8");
    write_rows(in_scratch("train.jsonl"), 25, 1);
    assert_refused(run, HONE_MISMATCH, "the training data");
    write_rows(in_scratch("train.jsonl"), 25, 0);
    write_rows(in_scratch("valid.jsonl"), 6, 101);
    assert_refused(run, HONE_MISMATCH, "the validation data");
    write_rows(in_scratch("valid.jsonl"), 6, 100);
    edit(in_scratch("model/config.json"), "1e-5", "1e-6");
    assert_refused(run, HONE_MISMATCH, "the base model");
    edit(in_scratch("model/config.json"), "1e-6", "1e-5");
    /* What decides nothing may change. */
    edit(config, "save_steps: 3", "save_steps: 5");
    edit(config, "threads: 0", "threads: 1");
    run_to_the_end(NULL, run);
    deinit_settings(&settings);
}

static void a_run_without_a_whole_checkpoint_says_why(void **state)
{
    (void)state;
    hone_run_settings settings;
    make_settings(&settings, "lora", in_scratch("broken"));
    run_until_killed(&settings, NULL, 7);
    char run[512];
    snprintf(run, sizeof run, "%s", in_scratch("broken"));
    assert_refused(in_scratch("nothing"), HONE_INPUT, "no config.yaml");
    write_text(in_scratch("broken/checkpoints/step-6/state.json"), "{}");
    edit(in_scratch("broken/checkpoints/step-3/manifest.json"), "\"step\": 3", "\"step\": 2");
    assert_refused(run, HONE_INPUT, "step-6");
    assert_refused(run, HONE_INPUT, "step-3");
    /* With the older one whole again it is taken, and the broken one is replaced. */
    edit(in_scratch("broken/checkpoints/step-3/manifest.json"), "\"step\": 2", "\"step\": 3");
    set_option(&settings, "out", in_scratch("unbroken"));
    run_to_the_end(&settings, NULL);
    run_to_the_end(NULL, run);
    assert_same_run("lora", "unbroken", "broken");
    deinit_settings(&settings);
}

static void a_log_that_was_cut_is_a_mismatch(void **state)
{
    (void)state;
    hone_run_settings settings;
    make_settings(&settings, "lora", in_scratch("cut"));
    run_until_killed(&settings, NULL, 4);
    write_text(in_scratch("cut/log.jsonl"), "{\"step\":1}\n");
    assert_refused(in_scratch("cut"), HONE_MISMATCH, "was cut after the checkpoint");
    deinit_settings(&settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lora_resumes_byte_for_byte),
        cmocka_unit_test(ia3_resumes_byte_for_byte),
        cmocka_unit_test(full_resumes_byte_for_byte),
        cmocka_unit_test(bf16_resumes_byte_for_byte),
        cmocka_unit_test(span_corruption_resumes_byte_for_byte),
        cmocka_unit_test(many_interruptions_in_one_run_change_nothing),
        cmocka_unit_test(early_stopping_survives_a_kill),
        cmocka_unit_test(what_has_changed_since_is_named),
        cmocka_unit_test(a_run_without_a_whole_checkpoint_says_why),
        cmocka_unit_test(a_log_that_was_cut_is_a_mismatch),
    };
    return cmocka_run_group_tests(tests, prepare, remove_scratch);
}
