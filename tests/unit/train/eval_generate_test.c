/* Predictions during training: what is written and chosen by them, that a resumed run writes the
 * same, and what can't be asked for. */
#include "train_support.h"

#include "base/files.h"
#include "base/json.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 8 };

static int prepare(void **state)
{
    char rows[4096] = "";
    if (make_scratch(state) != 0)
        return 1;
    write_model(in_scratch("model"));
    write_rows(in_scratch("train.jsonl"), 5, 0);
    assert_ok(hone_folder_make(in_scratch("speaker"), error));
    write_text(in_scratch("speaker/config.json"),
               "{\"model_type\": \"gpt2\", \"n_embd\": 22, \"n_head\": 2, \"n_layer\": 1,"
               " \"vocab_size\": 257, \"n_positions\": 80, \"initializer_range\": 0.3}\n");
    write_byte_tokenizer(in_scratch("speaker"));
    for (int i = 0; i < 12; i++)
        snprintf(rows + strlen(rows), sizeof rows - strlen(rows),
                 "{\"source\": \"row %d of all\", \"target\": \"aa%d\"}\n", i * 7, i % 3);
    write_text(in_scratch("pairs.jsonl"), rows);
    return 0;
}

static void make_settings(hone_run_settings *settings, const char *out)
{
    init_settings(settings, out, "method=full", "batch_size=3", "max_steps=8", "eval_steps=1",
                  "save_steps=3", "eval_generate=4", "max_new_tokens=4", "metrics=chrf,rouge1",
                  "metric_for_best_model=chrf", "learning_rate=2e-2", "bootstrap_samples=20",
                  "split=0.6", "temperature=1", NULL);
    set_option(settings, "model", in_scratch("speaker"));
    set_option(settings, "train", in_scratch("pairs.jsonl"));
}

static hone_trainer *create(const hone_run_settings *settings)
{
    hone_trainer *trainer;
    assert_ok(hone_trainer_create(settings, NULL, &trainer, error));
    return trainer;
}

typedef struct seen {
    int validations, bests;
    double best;
    int64_t best_step;
} seen;

/* The best is the first of the highest. */
static void look(void *context, const hone_train_event *event)
{
    seen *s = context;
    if (event->kind != HONE_EVENT_VALIDATION)
        return;
    assert_int_equal(event->score_count, 2);
    assert_string_equal(event->scores[0].name, "chrf");
    bool better = s->validations == 0 || event->scores[0].value > s->best;
    assert_true(event->best == better);
    if (better) {
        s->best = event->scores[0].value;
        s->best_step = event->step->step;
    }
    s->validations++;
    s->bests += better;
}

static void the_best_weights_are_those_of_the_metric(void **state)
{
    (void)state;
    hone_run_settings settings;
    seen s = {0};
    const hone_train_callbacks callbacks = {look, &s};
    hone_trainer *trainer;
    make_settings(&settings, in_scratch("best"));
    assert_ok(hone_trainer_create(&settings, &callbacks, &trainer, error));
    assert_ok(hone_trainer_run(trainer, error));
    hone_trainer_free(trainer);
    deinit_settings(&settings);
    assert_int_equal(s.validations, STEPS);
    /* The scores must have gone down at least once, or the test would say nothing. */
    assert_true(s.bests > 1 && s.bests < s.validations);
    hone_json *summary;
    double metric = 0.0;
    int64_t step = 0;
    assert_ok(hone_json_load(in_scratch("best/summary.json"), 1 << 20, &summary, error));
    assert_string_equal(hone_json_string(hone_json_get(summary, "metric_for_best_model"), NULL),
                        "chrf");
    assert_true(hone_json_real(hone_json_get(summary, "best_metric"), &metric));
    assert_true(metric > 0.999999 * s.best && metric < 1.000001 * s.best);
    assert_true(hone_json_integer(hone_json_get(summary, "best_step"), &step));
    assert_int_equal(step, s.best_step);
    hone_json_free(summary);
    for (int at = 1; at <= STEPS; at++) {
        size_t size, lines = 0;
        char *text = read_text(in_scratch("best/predictions/step-%d.jsonl", at), &size);
        for (size_t i = 0; i < size; i++)
            lines += text[i] == '\n';
        assert_int_equal(lines, 4);
        hone_free(text);
    }
}

static void a_resumed_run_predicts_the_same(void **state)
{
    (void)state;
    hone_run_settings settings;
    make_settings(&settings, in_scratch("whole"));
    hone_trainer *trainer = create(&settings);
    assert_ok(hone_trainer_run(trainer, error));
    hone_trainer_free(trainer);
    set_option(&settings, "out", in_scratch("broken"));
    trainer = create(&settings);
    /* Past the checkpoint of step 3, and past validations and predictions that come again. */
    for (int step = 0; step < 5; step++)
        assert_ok(hone_trainer_step(trainer, NULL, NULL, error));
    hone_trainer_free(trainer);
    assert_ok(hone_trainer_resume(in_scratch("broken"), NULL, &trainer, error));
    assert_ok(hone_trainer_run(trainer, error));
    hone_trainer_free(trainer);
    deinit_settings(&settings);
    static const char *const files[] = {"train.tsv",
                                        "valid.tsv",
                                        "scores.jsonl",
                                        "predictions/step-2.jsonl",
                                        "predictions/step-4.jsonl",
                                        "predictions/step-8.jsonl",
                                        "adapter/model.safetensors",
                                        "plots/rouge.svg"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        assert_same_file(in_scratch("whole/%s", files[i]), in_scratch("broken/%s", files[i]));
}

static void what_cannot_be_predicted_says_why(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value, *message;
    } cases[] = {
        {"split", "0", "there are none (valid or split)"},
        {"metric_for_best_model", "bleu", "expected loss or one of the metrics"},
        {"metrics", "rouge9", "rouge9"},
        {"eval_generate", "0", "that needs predictions"},
        {"model", "model", "predictions need"},
        {"prompt_field", "text", NULL},
        {"num_return_sequences", "2", "num_return_sequences must be 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_run_settings settings;
        hone_error problem = {0};
        hone_trainer *trainer = NULL;
        make_settings(&settings, NULL);
        bool is_model = strcmp(cases[i].key, "model") == 0;
        set_option(&settings, cases[i].key, is_model ? in_scratch("model") : cases[i].value);
        if (is_model)
            set_option(&settings, "train", in_scratch("train.jsonl"));
        hone_status status = hone_trainer_create(&settings, NULL, &trainer, &problem);
        if (status == HONE_OK)
            status = hone_trainer_run(trainer, &problem);
        hone_trainer_free(trainer);
        deinit_settings(&settings);
        assert_int_equal(status, cases[i].message != NULL ? HONE_USAGE : HONE_OK);
        if (cases[i].message != NULL && strstr(problem.message, cases[i].message) == NULL)
            fail_msg("%s: %s", cases[i].key, problem.message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_weights_are_those_of_the_metric),
        cmocka_unit_test(a_resumed_run_predicts_the_same),
        cmocka_unit_test(what_cannot_be_predicted_says_why),
    };
    return cmocka_run_group_tests(tests, prepare, remove_scratch);
}
