/* Evaluation: packed equals one by one, masks, the documents' own order, and what is refused. */
#include "infer/evaluate_internal.h"
#include "infer_support.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { DOCUMENTS = 23 };

static hone_model *model;
static hone_data_settings settings;

static int set_up(void **state)
{
    (void)state;
    hone_option_set set = hone_data_option_set(&settings);
    model = tiny_model("f32", 5, false);
    return hone_options_init(&set, NULL) == HONE_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    hone_option_set set = hone_data_option_set(&settings);
    hone_options_deinit(&set);
    tiny_model_close(model);
    return 0;
}

/* Rows of ids of many lengths; every third has its first half masked. */
static const char *write_rows(int documents)
{
    static char text[65536];
    size_t used = 0;
    for (int d = 0; d < documents; d++) {
        int length = 2 + d * 17 % (TINY_POSITIONS - 1), masked = d % 3 == 0 ? length / 2 : 0;
        for (int part = 0; part < 2; part++) {
            used += (size_t)snprintf(text + used, sizeof text - used,
                                     part == 0 ? "{\"ids\": [" : "], \"labels\": [");
            for (int i = 0; i < length; i++)
                used += (size_t)snprintf(
                    text + used, sizeof text - used, "%s%d", i > 0 ? ", " : "",
                    part == 1 && i < masked ? -100 : (d * 31 + i * i * 7) % TINY_VOCABULARY);
        }
        used += (size_t)snprintf(text + used, sizeof text - used, "]}\n");
    }
    return tiny_file("rows.jsonl", text);
}

typedef struct seen {
    int64_t documents, tokens;
    double sum;
    float logprobs[DOCUMENTS][TINY_POSITIONS];
    int64_t progress, stop_at;
} seen;

static void keep_logprobs(void *context, int64_t document, const int32_t *ids,
                          const float *logprobs, int64_t count)
{
    seen *s = context;
    assert_int_equal(document, s->documents);
    assert_int_equal(ids[0], document * 31 % TINY_VOCABULARY);
    memcpy(s->logprobs[document], logprobs, (size_t)count * sizeof *logprobs);
    for (int64_t i = 1; i < count; i++) {
        s->sum -= (double)logprobs[i];
        s->tokens++;
    }
    assert_true(isnan(logprobs[0]));
    s->documents++;
}

static int note_progress(void *context, int64_t done, int64_t total)
{
    seen *s = context;
    assert_true(done > s->progress && done <= total);
    s->progress = done;
    return s->stop_at > 0 && done >= s->stop_at;
}

/* Labels that name other ids than their tokens' count in the loss as they do in training; the
 * log-probabilities are of the tokens. */
static void own_labels_count_whether_or_not_logprobs_are_asked_for(void **state)
{
    (void)state;
    const char *path = tiny_file("rows.jsonl", "{\"ids\": [0, 2, 3], \"labels\": [5, 6, 7]}\n"
                                               "{\"ids\": [31, 9], \"labels\": [-100, 9]}\n");
    hone_evaluation plain, asked;
    seen *s = calloc(1, sizeof *s);
    hone_evaluate_options options = {.data = path, .settings = &settings, .batch_size = 2};
    assert_int_equal(hone_evaluate(model, &options, &plain, NULL), HONE_OK);
    options.logprobs = keep_logprobs;
    options.context = s;
    assert_int_equal(hone_evaluate(model, &options, &asked, NULL), HONE_OK);
    assert_int_equal(asked.tokens, 3);
    assert_true(plain.loss == asked.loss);
    assert_true(fabs(s->sum / 3.0 - asked.loss) > 1e-4);
    free(s);
}

static void packed_equals_one_by_one(void **state)
{
    (void)state;
    static const int64_t batches[] = {1, 2, 3, 7, 1000};
    const char *path = write_rows(DOCUMENTS);
    double loss = 0.0;
    for (size_t b = 0; b < sizeof batches / sizeof batches[0]; b++) {
        hone_evaluation result;
        hone_error error = {0};
        seen *s = calloc(1, sizeof *s);
        hone_evaluate_options options = {.data = path,
                                         .settings = &settings,
                                         .batch_size = batches[b],
                                         .logprobs = keep_logprobs,
                                         .progress = note_progress,
                                         .context = s};
        assert_int_equal(hone_evaluate(model, &options, &result, &error), HONE_OK);
        assert_int_equal(s->documents, DOCUMENTS);
        assert_int_equal(s->progress, DOCUMENTS);
        assert_int_equal(result.documents, DOCUMENTS);
        double sum = 0.0;
        int64_t tokens = 0;
        for (int d = 0; d < DOCUMENTS; d++) {
            int length = 2 + d * 17 % (TINY_POSITIONS - 1), masked = d % 3 == 0 ? length / 2 : 0;
            int32_t ids[TINY_POSITIONS];
            float alone[TINY_POSITIONS];
            for (int i = 0; i < length; i++)
                ids[i] = (d * 31 + i * i * 7) % TINY_VOCABULARY;
            tiny_logprobs(model, ids, length, alone);
            for (int i = 1; i < length; i++) {
                assert_float_equal(s->logprobs[d][i], alone[i], 2e-5f);
                if (i >= masked) {
                    sum -= (double)alone[i];
                    tokens++;
                }
            }
        }
        assert_int_equal(result.tokens, tokens);
        assert_true(fabs(result.loss - sum / (double)tokens) < 1e-5);
        assert_true(fabs(result.perplexity - exp(result.loss)) < 1e-9 * result.perplexity);
        assert_true(s->tokens > tokens && s->sum > sum);
        assert_true(b == 0 || fabs(result.loss - loss) < 1e-6);
        loss = result.loss;
        /* Without the callback only labelled rows go through the head: the same loss. */
        options.logprobs = NULL;
        options.progress = NULL;
        assert_int_equal(hone_evaluate(model, &options, &result, &error), HONE_OK);
        assert_true(fabs(result.loss - loss) < 1e-6);
        free(s);
    }
}

static void lent_memory_gives_the_same_loss(void **state)
{
    (void)state;
    hone_error error = {0};
    hone_evaluation own, lent;
    hone_dataset *dataset;
    hone_plan plan;
    hone_executor executor;
    hone_dataset_options data = {
        .settings = &settings, .vocabulary = TINY_VOCABULARY, .max_length = TINY_POSITIONS};
    assert_int_equal(hone_dataset_open(write_rows(DOCUMENTS), &data, &dataset, &error), HONE_OK);
    hone_evaluate_request request = {.batch_size = 4};
    assert_int_equal(hone_evaluate_dataset(model, dataset, &request, &own, &error), HONE_OK);
    for (int64_t rows = 2; rows <= 256; rows *= 2) { /* too small at first */
        hone_plan_options options = {.rows = rows, .compute = HONE_F32, .training = true};
        assert_int_equal(hone_plan_create(&model->program, &options, &plan, &error), HONE_OK);
        assert_int_equal(hone_executor_create(&plan, &executor, &error), HONE_OK);
        memset(executor.values, 0xFF, plan.value_bytes);
        request.lend = &executor;
        assert_int_equal(hone_evaluate_dataset(model, dataset, &request, &lent, &error), HONE_OK);
        assert_true(fabs(own.loss - lent.loss) < 1e-6);
        hone_executor_free(&executor);
        hone_plan_free(&plan);
    }
    hone_dataset_close(dataset);
}

static void the_caller_can_stop(void **state)
{
    (void)state;
    hone_evaluation result;
    hone_error error = {0};
    seen *s = calloc(1, sizeof *s);
    s->stop_at = 5;
    hone_evaluate_options options = {.data = write_rows(DOCUMENTS),
                                     .settings = &settings,
                                     .batch_size = 1,
                                     .progress = note_progress,
                                     .context = s};
    assert_int_equal(hone_evaluate(model, &options, &result, &error), HONE_STOPPED);
    assert_in_range(s->progress, 5, DOCUMENTS - 1);
    free(s);
}

static void what_cannot_be_measured_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t max_length, batch_size;
        hone_status status;
        const char *says;
    } cases[] = {
        {"", 0, 1, HONE_INPUT, ""},
        {"{\"ids\": [1]}\n", 0, 1, HONE_INPUT, "nothing to train on"},
        {"{\"ids\": [1, 2]}\n", TINY_POSITIONS + 1, 1, HONE_USAGE, "61 positions"},
        {"{\"ids\": [1, 2]}\n", 0, 0, HONE_USAGE, "batch_size"},
        {"{\"ids\": [1, 263]}\n", 0, 1, HONE_INPUT, "263"},
        {"{\"text\": \"a\"}\n", 0, 1, HONE_INPUT, "tokenizer"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        hone_evaluation result;
        hone_error error = {0};
        settings.max_length = cases[i].max_length;
        hone_evaluate_options options = {.data = tiny_file("bad.jsonl", cases[i].text),
                                         .settings = &settings,
                                         .batch_size = cases[i].batch_size};
        hone_status status = hone_evaluate(model, &options, &result, &error);
        if (status != cases[i].status || strstr(error.message, cases[i].says) == NULL)
            fail_msg("case %zu: %s, \"%s\"", i, hone_status_name(status), error.message);
    }
    settings.max_length = 0;
}

static void a_loss_that_is_no_number_is_named(void **state)
{
    (void)state;
    hone_evaluation result;
    hone_error error = {0};
    hone_evaluate_options options = {.data = tiny_file("one.jsonl", "{\"ids\": [1, 2, 3]}\n"),
                                     .settings = &settings,
                                     .batch_size = 1};
    hone_weight *weight = &model->program.weights[0];
    float *first = weight->data, kept = first[weight->columns];
    first[weight->columns] = NAN; /* in the embedding of token 1 */
    assert_int_equal(hone_evaluate(model, &options, &result, &error), HONE_NUMERIC);
    first[weight->columns] = kept;
    assert_non_null(strstr(error.message, "line 1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(packed_equals_one_by_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(own_labels_count_whether_or_not_logprobs_are_asked_for,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(lent_memory_gives_the_same_loss, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_caller_can_stop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_measured_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_loss_that_is_no_number_is_named, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
