/* What a step is: the mean over the tokens of the whole step, however it is cut into micro-batches;
 * nothing that is not finite becomes a step or a file; what can't be begun says why. */
#include "train_support.h"

#include "base/files.h"
#include "base/memory.h"
#include "train/trainer_parts.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static int prepare(void **state)
{
    if (make_scratch(state) != 0)
        return 1;
    write_model(in_scratch("model"));
    write_rows(in_scratch("train.jsonl"), 25, 0);
    write_rows(in_scratch("valid.jsonl"), 6, 100);
    return 0;
}

static hone_trainer *create(hone_run_settings *settings)
{
    hone_trainer *trainer = NULL;
    assert_ok(hone_trainer_create(settings, NULL, &trainer, error));
    return trainer;
}

static hone_step_result take_step(hone_trainer *trainer)
{
    hone_step_result result;
    bool done;
    assert_ok(hone_trainer_step(trainer, &result, &done, error));
    return result;
}

/* The keys' bias shifts all scores of a query alike, so its gradient is nothing but rounding, which
 * Adam then divides by its own size: no two orders of summation agree about it. */
static bool is_rounding(const hone_parameter *parameter, int64_t element)
{
    return strstr(parameter->name, "c_attn.bias") != NULL && element >= 22 && element < 44;
}

static void assert_same_values(const hone_parameters *parameters, const float *others)
{
    for (size_t k = 0; k < parameters->count; k++) {
        const hone_parameter *p = &parameters->items[k];
        for (int64_t i = 0; i < p->rows * p->columns; i++)
            if (!is_rounding(p, i) &&
                !(fabsf(parameters->values[p->offset + i] - others[p->offset + i]) < 1e-6f))
                fail_msg("%s, element %d", p->name, (int)i);
    }
}

static void any_split_of_a_batch_gives_the_same_step(void **state)
{
    (void)state;
    static const char *const methods[] = {"lora", "ia3", "full"};
    static const char *const splits[][2] = {{"12", "1"}, {"6", "2"},  {"4", "3"},
                                            {"3", "4"},  {"1", "12"}, {"7", "2"}};
    for (size_t m = 0; m < 3; m++) {
        hone_trainer *trainers[6];
        for (size_t s = 0; s < 6; s++) {
            hone_run_settings settings;
            init_settings(&settings, NULL, "max_steps=4", "lora_dropout=0.3", "warmup_ratio=0",
                          "learning_rate=1e-3", NULL);
            set_option(&settings, "method", methods[m]);
            set_option(&settings, "batch_size", splits[s][0]);
            set_option(&settings, "gradient_accumulation_steps", splits[s][1]);
            trainers[s] = create(&settings);
            deinit_settings(&settings);
        }
        /* The last split makes batches of 14: only its own first 12 rows would be the same. */
        for (int step = 0; step < 4; step++) {
            hone_step_result first = take_step(trainers[0]);
            for (size_t s = 1; s < 5; s++) {
                hone_step_result other = take_step(trainers[s]);
                assert_int_equal(first.tokens, other.tokens);
                assert_true(fabs(first.loss - other.loss) < 1e-6 * first.loss);
                assert_true(fabs(first.grad_norm - other.grad_norm) < 1e-5 * first.grad_norm);
            }
        }
        const hone_parameters *p = &trainers[0]->model->parameters;
        for (size_t s = 1; s < 5; s++)
            assert_same_values(p, trainers[s]->model->parameters.values);
        assert_true(take_step(trainers[5]).tokens != 0);
        assert_true(fabs(trainers[5]->latest.loss - trainers[0]->latest.loss) > 1e-6);
        for (size_t s = 0; s < 6; s++)
            hone_trainer_free(trainers[s]);
    }
}

static void the_loss_is_the_mean_over_all_trained_tokens(void **state)
{
    (void)state;
    /* One step over all rows, dropout off: what evaluation finds before that step. */
    hone_run_settings settings;
    init_settings(&settings, NULL, "max_steps=2", "batch_size=3", "gradient_accumulation_steps=9",
                  "model_dropout=0", "eval_steps=100", NULL);
    set_option(&settings, "valid", in_scratch("train.jsonl"));
    hone_trainer *trainer = create(&settings);
    double before, after;
    assert_ok(hone_trainer_validate(trainer, &before, error));
    hone_step_result step = take_step(trainer);
    assert_true(fabs(step.loss - before) < 1e-6 * before);
    assert_int_equal(step.tokens, hone_dataset_count(trainer->train).tokens);
    assert_ok(hone_trainer_validate(trainer, &after, error));
    assert_true(after < before);
    hone_trainer_free(trainer);
    deinit_settings(&settings);
}

static void training_lowers_the_loss(void **state)
{
    (void)state;
    static const char *const methods[] = {"lora", "ia3", "full"};
    for (size_t m = 0; m < 3; m++) {
        hone_run_settings settings;
        init_settings(&settings, NULL, "max_steps=40", "batch_size=25", "learning_rate=1e-2",
                      "model_dropout=0", "lr_scheduler_type=constant", NULL);
        set_option(&settings, "method", methods[m]);
        hone_trainer *trainer = create(&settings);
        double first = take_step(trainer).loss;
        assert_ok(hone_trainer_run(trainer, error));
        assert_true(trainer->latest.loss < first - (m == 1 ? 0.05 : 0.3));
        hone_trainer_free(trainer);
        deinit_settings(&settings);
    }
}

static void model_dropout_goes_over_the_config(void **state)
{
    (void)state;
    double losses[3];
    static const char *const values[] = {"-1", "0.1", "0"};
    for (size_t i = 0; i < 3; i++) {
        hone_run_settings settings;
        init_settings(&settings, NULL, NULL);
        set_option(&settings, "model_dropout", values[i]);
        hone_trainer *trainer = create(&settings);
        losses[i] = take_step(trainer).loss;
        hone_trainer_free(trainer);
        deinit_settings(&settings);
    }
    assert_true(losses[0] == losses[1]); /* the config says 0.1 */
    assert_true(losses[0] != losses[2]);
}

static void what_is_not_finite_is_never_a_step(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool loss;
        const char *message;
    } cases[] = {{"nan-loss", true, "the loss is"},
                 {"nan-norm", false, "first in the gradient of"}};
    for (size_t i = 0; i < 2; i++) {
        hone_run_settings settings;
        init_settings(&settings, in_scratch("%s", cases[i].name), "batch_size=4", "save_steps=2",
                      NULL);
        hone_trainer *trainer = create(&settings);
        for (int step = 0; step < 3; step++)
            take_step(trainer);
        hone_parameters *p = &trainer->model->parameters;
        size_t bytes = (size_t)p->elements * sizeof(float);
        float *before = hone_alloc(bytes);
        memcpy(before, p->values, bytes);
        if (cases[i].loss) {
            int gain =
                hone_program_find_weight(&trainer->model->program, "transformer.h.1.ln_2.weight");
            ((float *)trainer->model->program.weights[gain].data)[5] = nanf("");
        } else {
            p->gradients[p->items[3].offset + 1] = nanf("");
        }
        hone_error problem;
        assert_int_equal(hone_trainer_step(trainer, NULL, NULL, &problem), HONE_NUMERIC);
        assert_non_null(strstr(problem.message, "step 4"));
        if (strstr(problem.message, cases[i].message) == NULL)
            fail_msg("%s", problem.message);
        if (!cases[i].loss)
            assert_non_null(strstr(problem.message, p->items[3].name));
        assert_memory_equal(p->values, before, bytes);
        assert_int_equal(hone_trainer_step(trainer, NULL, NULL, &problem), HONE_USAGE);
        hone_trainer_free(trainer);
        hone_free(before);
        char *text = read_text(in_scratch("%s/summary.json", cases[i].name), NULL);
        assert_non_null(strstr(text, "\"failed\""));
        hone_free(text);
        assert_true(hone_folder_exists(in_scratch("%s/checkpoints/step-2", cases[i].name)));
        assert_true(hone_folder_exists(in_scratch("%s/adapter", cases[i].name)));
        /* With the cause gone the run goes on from there. */
        assert_ok(hone_trainer_resume(in_scratch("%s", cases[i].name), NULL, &trainer, error));
        assert_int_equal(take_step(trainer).step, 3);
        hone_trainer_free(trainer);
        deinit_settings(&settings);
    }
}

typedef struct tape {
    char text[512];
} tape;

static void note_event(void *context, const hone_train_event *event)
{
    tape *t = context;
    size_t used = strlen(t->text);
    if (used + 8 < sizeof t->text)
        snprintf(t->text + used, sizeof t->text - used, "%c", "TsvSCNE"[event->kind]);
    assert_non_null(event->step);
    assert_true(event->kind == HONE_EVENT_STEP || event->kind == HONE_EVENT_VALIDATION ||
                event->text != NULL);
}

/* Files may grow to `limit` bytes only, as on a full disk; write then fails with EFBIG. */
static void limit_files(rlim_t limit)
{
    struct rlimit now;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &now), 0);
    now.rlim_cur = limit;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &now), 0);
}

static void a_full_disk_ends_the_run_and_what_is_saved_stands(void **state)
{
    (void)state;
    /* Below 100 bytes the logs fail, above it the checkpoint. */
    static const rlim_t limits[] = {0, 300, 2000};
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        hone_run_settings settings;
        hone_status status = HONE_OK;
        hone_error problem;
        init_settings(&settings, in_scratch("disk-%zu", i), "batch_size=8", "save_steps=2",
                      "max_steps=6", NULL);
        hone_trainer *trainer = create(&settings);
        take_step(trainer);
        take_step(trainer);
        limit_files(limits[i]);
        while (status == HONE_OK && !trainer->finished)
            status = hone_trainer_step(trainer, NULL, NULL, &problem);
        limit_files(RLIM_INFINITY);
        assert_int_equal(status, HONE_IO);
        hone_trainer_free(trainer);
        assert_ok(hone_trainer_resume(in_scratch("disk-%zu", i), NULL, &trainer, error));
        assert_int_equal(trainer->state.step, 2);
        assert_ok(hone_trainer_run(trainer, error));
        hone_trainer_free(trainer);
        assert_same_file(in_scratch("disk-0/train.tsv"), in_scratch("disk-%zu/train.tsv", i));
        deinit_settings(&settings);
    }
}

static void events_and_files_come_when_they_are_due(void **state)
{
    (void)state;
    hone_run_settings settings;
    tape t = {""};
    const hone_train_callbacks callbacks = {note_event, &t};
    /* 7 steps; validation each epoch and at the end, checkpoints after 3, 6 and at the end. */
    init_settings(&settings, in_scratch("due"), "batch_size=7", "max_steps=7", "save_steps=3",
                  "sample_steps=2", "save_total_limit=2", NULL);
    set_option(&settings, "valid", in_scratch("valid.jsonl"));
    hone_trainer *trainer = NULL;
    assert_ok(hone_trainer_create(&settings, &callbacks, &trainer, error));
    assert_ok(hone_trainer_run(trainer, error));
    hone_trainer_free(trainer);
    /* T start, N note (no tokenizer: no samples), s step, v validation, C checkpoint, E end */
    assert_string_equal(t.text, "TNsssCsvssCsvCE");
    assert_false(hone_file_exists(in_scratch("due/checkpoints/step-3")));
    assert_true(hone_file_exists(in_scratch("due/checkpoints/step-6")));
    assert_true(hone_file_exists(in_scratch("due/checkpoints/step-7")));
    assert_true(hone_file_exists(in_scratch("due/plots/loss.svg")));
    deinit_settings(&settings);
}

static void samples_are_written_and_are_utf8(void **state)
{
    (void)state;
    assert_ok(hone_folder_make(in_scratch("speaker"), error));
    write_text(in_scratch("speaker/config.json"),
               "{\"model_type\": \"gpt2\", \"n_embd\": 22, \"n_head\": 2, \"n_layer\": 1,"
               " \"vocab_size\": 257, \"n_positions\": 80, \"initializer_range\": 0.1}\n");
    write_byte_tokenizer(in_scratch("speaker"));
    for (int run = 0; run < 2; run++) {
        hone_run_settings settings;
        init_settings(&settings, in_scratch("speech-%d", run), "max_steps=3", "sample_steps=2",
                      "batch_size=5", NULL);
        set_option(&settings, "model", in_scratch("speaker"));
        set_option(&settings, "sample_prompt", "ab");
        hone_trainer *trainer = create(&settings);
        assert_ok(hone_trainer_run(trainer, error));
        hone_trainer_free(trainer);
        deinit_settings(&settings);
    }
    assert_same_file(in_scratch("speech-0/samples.jsonl"), in_scratch("speech-1/samples.jsonl"));
    size_t size, lines = 0;
    char *text = read_text(in_scratch("speech-0/samples.jsonl"), &size);
    for (char *line = text; *line != '\0'; lines++) {
        char *end = strchr(line, '\n');
        hone_json *sample = NULL;
        assert_ok(hone_json_parse(line, (size_t)(end - line), "samples", 1, &sample, error));
        assert_string_equal(hone_json_string(hone_json_get(sample, "prompt"), NULL), "ab");
        assert_non_null(hone_json_string(hone_json_get(sample, "text"), NULL));
        hone_json_free(sample);
        line = end + 1;
    }
    assert_int_equal(lines, 2);
    hone_free(text);
}

/* An encoder is given what it must have, an end token, where there is no prompt. */
static void encoder_decoder_models_speak_too(void **state)
{
    (void)state;
    hone_run_settings settings;
    size_t size;
    assert_ok(hone_folder_make(in_scratch("translator"), error));
    write_text(
        in_scratch("translator/config.json"),
        "{\"model_type\": \"t5\", \"d_model\": 22, \"d_kv\": 5, \"d_ff\": 31, \"num_heads\": 3,"
        " \"num_layers\": 1, \"vocab_size\": 257, \"decoder_start_token_id\": 0,"
        " \"pad_token_id\": 0}\n");
    write_byte_tokenizer(in_scratch("translator"));
    write_text(in_scratch("pairs.jsonl"), "{\"source\": \"ab\", \"target\": \"c\"}\n");
    init_settings(&settings, in_scratch("translated"), "max_steps=1", "sample_steps=1",
                  "batch_size=1", NULL);
    set_option(&settings, "model", in_scratch("translator"));
    set_option(&settings, "train", in_scratch("pairs.jsonl"));
    hone_trainer *trainer = create(&settings);
    assert_ok(hone_trainer_run(trainer, error));
    hone_trainer_free(trainer);
    deinit_settings(&settings);
    hone_free(read_text(in_scratch("translated/samples.jsonl"), &size));
    assert_true(size > 0);
}

static void what_cannot_begin_says_why(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value;
        hone_status status;
        const char *message;
    } cases[] = {
        {"train", "", HONE_USAGE, "no training data"},
        {"train", "/nonexistent.jsonl", HONE_IO, "cannot open"},
        {"max_length", "30", HONE_USAGE, "the model has 29 positions"},
        {"epochs", "0", HONE_USAGE, "at least one step"},
        {"model", "", HONE_USAGE, "no model folder"},
        {"valid", "/nonexistent.jsonl", HONE_IO, "cannot open"},
        {"target_modules", "no_such_module", HONE_INPUT, "no_such_module"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_run_settings settings;
        hone_error problem;
        hone_trainer *trainer;
        hone_memory_plan plan;
        init_settings(&settings, in_scratch("never"), NULL);
        set_option(&settings, cases[i].key, cases[i].value);
        hone_status status = hone_trainer_create(&settings, NULL, &trainer, &problem);
        if (status != cases[i].status && !(i == 6 && status == HONE_USAGE))
            fail_msg("%s: status %d, %s", cases[i].key, (int)status, problem.message);
        if (strstr(problem.message, cases[i].message) == NULL)
            fail_msg("%s: %s", cases[i].key, problem.message);
        assert_null(trainer);
        assert_int_equal(hone_trainer_plan(&settings, &plan, &problem), status);
        assert_false(hone_file_exists(in_scratch("never")));
        deinit_settings(&settings);
    }
}

static void a_run_is_never_overwritten(void **state)
{
    (void)state;
    hone_run_settings settings;
    hone_error problem;
    hone_trainer *trainer;
    init_settings(&settings, in_scratch("first"), "max_steps=1", NULL);
    trainer = create(&settings);
    assert_ok(hone_trainer_run(trainer, error));
    hone_trainer *second = NULL;
    assert_int_equal(hone_trainer_resume(in_scratch("first"), NULL, &second, &problem), HONE_IO);
    assert_non_null(strstr(problem.message, "another process"));
    hone_trainer_free(trainer);
    assert_int_equal(hone_trainer_create(&settings, NULL, &trainer, &problem), HONE_USAGE);
    assert_non_null(strstr(problem.message, "there is a run in this folder"));
    deinit_settings(&settings);
}

static void without_a_folder_there_are_no_checkpoints(void **state)
{
    (void)state;
    hone_run_settings settings;
    hone_error problem;
    double loss;
    init_settings(&settings, NULL, "max_steps=2", "save_steps=1", "eval_steps=1", NULL);
    hone_trainer *trainer = create(&settings);
    assert_int_equal(hone_trainer_checkpoint(trainer, &problem), HONE_USAGE);
    assert_int_equal(hone_trainer_validate(trainer, &loss, &problem), HONE_USAGE);
    assert_ok(hone_trainer_run(trainer, error));
    bool done = false;
    assert_ok(hone_trainer_step(trainer, NULL, &done, error));
    assert_true(done);
    hone_trainer_free(trainer);
    deinit_settings(&settings);
}

static void the_plan_is_what_the_trainer_allocates(void **state)
{
    (void)state;
    hone_run_settings settings;
    hone_memory_plan plan;
    init_settings(&settings, NULL, "method=full", "batch_size=5", "split=0.7", NULL);
    assert_ok(hone_trainer_plan(&settings, &plan, error));
    hone_trainer *trainer = create(&settings);
    assert_int_equal(plan.rows, trainer->plan.options.rows);
    assert_int_equal(plan.values, trainer->plan.value_bytes);
    assert_int_equal(plan.trainable, (size_t)trainer->model->parameters.elements * sizeof(float));
    assert_int_equal(plan.optimizer, 2 * plan.trainable);
    assert_int_equal(plan.total,
                     plan.weights + 4 * plan.trainable + plan.values + plan.data + plan.other);
    assert_true(plan.values_with_checkpointing < plan.values);
    assert_int_equal(hone_dataset_size(trainer->train) + hone_dataset_size(trainer->valid), 25);
    hone_trainer_free(trainer);
    set_option(&settings, "gradient_checkpointing", "true");
    size_t expected = plan.values_with_checkpointing;
    assert_ok(hone_trainer_plan(&settings, &plan, error));
    assert_int_equal(plan.values, expected);
    deinit_settings(&settings);
}

static void checkpointing_changes_no_byte(void **state)
{
    (void)state;
    hone_trainer *trainers[2];
    for (int i = 0; i < 2; i++) {
        hone_run_settings settings;
        init_settings(&settings, NULL, "batch_size=5", "lora_dropout=0.2", NULL);
        set_option(&settings, "gradient_checkpointing", i == 0 ? "false" : "true");
        trainers[i] = create(&settings);
        for (int step = 0; step < 3; step++)
            take_step(trainers[i]);
        deinit_settings(&settings);
    }
    const hone_parameters *p = &trainers[0]->model->parameters;
    assert_memory_equal(p->values, trainers[1]->model->parameters.values,
                        (size_t)p->elements * sizeof(float));
    hone_trainer_free(trainers[0]);
    hone_trainer_free(trainers[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_split_of_a_batch_gives_the_same_step),
        cmocka_unit_test(the_loss_is_the_mean_over_all_trained_tokens),
        cmocka_unit_test(training_lowers_the_loss),
        cmocka_unit_test(model_dropout_goes_over_the_config),
        cmocka_unit_test(what_is_not_finite_is_never_a_step),
        cmocka_unit_test(a_full_disk_ends_the_run_and_what_is_saved_stands),
        cmocka_unit_test(events_and_files_come_when_they_are_due),
        cmocka_unit_test(samples_are_written_and_are_utf8),
        cmocka_unit_test(encoder_decoder_models_speak_too),
        cmocka_unit_test(what_cannot_begin_says_why),
        cmocka_unit_test(a_run_is_never_overwritten),
        cmocka_unit_test(without_a_folder_there_are_no_checkpoints),
        cmocka_unit_test(the_plan_is_what_the_trainer_allocates),
        cmocka_unit_test(checkpointing_changes_no_byte),
    };
    return cmocka_run_group_tests(tests, prepare, remove_scratch);
}
