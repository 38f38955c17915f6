/* Properties of plans, on a GPT-2 of five layers: places, lifetimes, what is kept and what is not
 * even computed. */
#include "engine/model.h"
#include "graph/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char config[] = "{\"model_type\": \"gpt2\", \"n_embd\": 30, \"n_head\": 3, "
                             "\"n_layer\": 5, \"vocab_size\": 101, \"n_positions\": 37}";

typedef struct fixture {
    hone_program program;
    hone_plan plan;
} fixture;

static hone_error error;

static void build(fixture *f)
{
    hone_json *json;
    const hone_family *family = hone_family_find("gpt2");
    memset(f, 0, sizeof *f);
    hone_program_init(&f->program);
    assert_int_equal(hone_json_parse(config, sizeof config - 1, "config", 1, &json, &error),
                     HONE_OK);
    assert_int_equal(family->build(json, "config", false, &f->program, &error), HONE_OK);
    hone_json_free(json);
}

/* Trains the weights whose name holds `part` ("" for all). */
static void train(fixture *f, const char *part)
{
    for (size_t i = 0; i < f->program.weight_count; i++)
        if (strstr(f->program.weights[i].name, part) != NULL)
            f->program.weights[i].trainable = true;
}

static void plan(fixture *f, bool training, bool checkpointing)
{
    hone_plan_options options = {
        .rows = 41, .compute = HONE_F32, .training = training, .checkpointing = checkpointing};
    hone_plan_free(&f->plan);
    assert_int_equal(hone_plan_create(&f->program, &options, &f->plan, &error), HONE_OK);
}

static void finish(fixture *f)
{
    hone_plan_free(&f->plan);
    hone_program_deinit(&f->program);
}

static void assert_places_are_apart(const hone_plan *p)
{
    for (size_t i = 0; i < p->buffer_count; i++)
        for (size_t j = 0; j < i; j++) {
            const hone_buffer *a = &p->buffers[i], *b = &p->buffers[j];
            bool together = a->first <= b->last && b->first <= a->last;
            bool apart = a->offset + a->size <= b->offset || b->offset + b->size <= a->offset;
            assert_true(!together || apart);
        }
    for (size_t i = 0; i < p->buffer_count; i++) {
        assert_true(p->buffers[i].first >= 0);
        assert_true(p->buffers[i].offset + p->buffers[i].size <= p->value_bytes);
    }
}

static void values_that_live_together_lie_apart(void **state)
{
    (void)state;
    for (int variant = 0; variant < 3; variant++) {
        fixture f;
        build(&f);
        train(&f, "");
        plan(&f, variant > 0, variant == 2);
        assert_places_are_apart(&f.plan);
        finish(&f);
    }
}

/* Every value that a step reads was written by an earlier step into that same buffer. */
static void steps_read_only_what_was_written(void **state)
{
    (void)state;
    for (int checkpointing = 0; checkpointing < 2; checkpointing++) {
        fixture f;
        bool written[4096] = {false};
        build(&f);
        train(&f, "");
        plan(&f, true, checkpointing == 1);
        assert_true(f.plan.buffer_count < 4096);
        for (size_t i = 0; i < f.plan.step_count; i++) {
            const hone_step *s = &f.plan.steps[i];
            for (int k = 0; k < HONE_OP_INPUTS; k++) {
                assert_true(s->in[k] < 0 || written[s->in[k]]);
                assert_true(s->d_in[k] < 0 || !s->accumulate[k] || written[s->d_in[k]]);
            }
            if (s->phase == HONE_BACKWARD) {
                assert_true(s->d_out >= 0 && written[s->d_out]);
                for (int k = 0; k < HONE_OP_OUTPUTS; k++)
                    assert_true(s->out[k] < 0 || written[s->out[k]]);
            }
            for (int k = 0; k < HONE_OP_OUTPUTS; k++)
                if (s->out[k] >= 0)
                    written[s->out[k]] = true;
            for (int k = 0; k < HONE_OP_INPUTS; k++)
                if (s->d_in[k] >= 0)
                    written[s->d_in[k]] = true;
        }
        finish(&f);
    }
}

static int lowest_backward_layer(const fixture *f)
{
    int lowest = 1000;
    for (size_t i = 0; i < f->plan.step_count; i++) {
        int layer = f->program.ops[f->plan.steps[i].op].layer;
        if (f->plan.steps[i].phase == HONE_BACKWARD && layer >= 0 && layer < lowest)
            lowest = layer;
    }
    return lowest;
}

static void no_backward_below_the_lowest_trained_weight(void **state)
{
    (void)state;
    fixture f;
    build(&f);
    train(&f, "h.3.mlp.c_fc");
    plan(&f, true, false);
    assert_int_equal(lowest_backward_layer(&f), 3);
    for (size_t i = 0; i < f.plan.step_count; i++)
        if (f.plan.steps[i].phase == HONE_BACKWARD)
            assert_string_not_equal(f.program.ops[f.plan.steps[i].op].name,
                                    "transformer.h.3.attn.c_attn");
    finish(&f);
}

/* Most bytes of values (not scratch, which is large beside so small a model) at any one step. */
static size_t most_alive(const hone_plan *p)
{
    size_t most = 0;
    for (size_t step = 0; step < p->step_count; step++) {
        size_t alive = 0;
        for (size_t i = 0; i < p->buffer_count; i++) {
            const hone_buffer *b = &p->buffers[i];
            if (b->value >= 0 && b->first <= (int)step && b->last >= (int)step)
                alive += b->size;
        }
        most = alive > most ? alive : most;
    }
    return most;
}

static void inference_keeps_nothing(void **state)
{
    (void)state;
    fixture f;
    build(&f);
    plan(&f, false, false);
    for (size_t i = 0; i < f.plan.step_count; i++)
        assert_int_equal(f.plan.steps[i].phase, HONE_FORWARD);
    /* The residual stream, and qkv beside an attention's output: nothing adds up over layers. */
    assert_true(most_alive(&f.plan) < (size_t)48 * 4 * 30 * 12);
    finish(&f);
}

static size_t training_bytes(const char *trained, bool checkpointing)
{
    fixture f;
    build(&f);
    train(&f, trained);
    plan(&f, true, checkpointing);
    size_t bytes = most_alive(&f.plan);
    finish(&f);
    return bytes;
}

static void checkpointing_and_freezing_save_memory(void **state)
{
    (void)state;
    size_t all = training_bytes("", false);
    assert_true(training_bytes("", true) < all / 2);
    assert_true(training_bytes("ln_f", false) < all / 3);
}

static void cheap_results_are_computed_again(void **state)
{
    (void)state;
    fixture f;
    int norms = 0;
    build(&f);
    train(&f, "");
    plan(&f, true, false);
    for (size_t i = 0; i < f.plan.step_count; i++)
        if (f.plan.steps[i].phase == HONE_RECOMPUTE) {
            hone_op_code code = f.program.ops[f.plan.steps[i].op].code;
            assert_true(code == HONE_OP_NORM || code == HONE_OP_ACTIVATION);
            norms += code == HONE_OP_NORM;
        }
    assert_int_equal(norms, 10);
    finish(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_that_live_together_lie_apart),
        cmocka_unit_test(steps_read_only_what_was_written),
        cmocka_unit_test(no_backward_below_the_lowest_trained_weight),
        cmocka_unit_test(inference_keeps_nothing),
        cmocka_unit_test(checkpointing_and_freezing_save_memory),
        cmocka_unit_test(cheap_results_are_computed_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
