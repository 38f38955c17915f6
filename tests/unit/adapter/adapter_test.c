/* Attaching rewrites a program as it should, initial values are PEFT's, merging equals the plain
 * formula, and folders come back as they went, or say what is wrong. */
#include "../file/test_files.h"
#include "adapter_fixture.h"
#include "base/files.h"
#include "file/weight_source.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A program with a new adapter and memory. */
typedef struct fixture {
    hone_program program;
    hone_adapter *adapter;
    float *memory;
} fixture;

static fixture make(const char *first, const char *second, const char *third)
{
    fixture f;
    hone_error error;
    hone_adapter_settings settings = settings_with(first, second, third, NULL);
    small_program(&f.program, false);
    hone_status status = hone_adapter_create(&f.program, &settings, "none", &f.adapter, &error);
    expect_ok(first, status, &error);
    settings_free(&settings);
    f.memory = give_memory(&f.program);
    return f;
}

static void drop(fixture *f)
{
    hone_adapter_free(f->adapter);
    hone_program_deinit(&f->program);
    free(f->memory);
}

static const hone_op *op_after(const hone_program *p, const char *linear, int step)
{
    int place = hone_program_find_linear(p, linear);
    assert_true(place >= 0);
    return &p->ops[place + step];
}

static void lora_stands_after_its_linear(void **state)
{
    (void)state;
    fixture f = make("target_modules=up,down", "r=3", "lora_dropout=0.25");
    hone_program *p = &f.program;
    assert_int_equal(hone_adapter_count(f.adapter), 4);
    assert_string_equal(hone_adapter_method(f.adapter), "lora");
    const hone_op *linear = op_after(p, "t.h.1.mlp.up", 0), *lora = linear + 1, *next = lora + 1;
    assert_int_equal(lora->code, HONE_OP_LORA);
    assert_int_equal(lora->layer, 1);
    assert_true(lora->dropout == 0.25f);
    assert_true(lora->as.lora.scale == (float)(8.0 / 3.0));
    assert_int_equal(lora->inputs[0], linear->inputs[0]);
    assert_int_equal(lora->inputs[1], linear->outputs[0]);
    assert_int_equal(next->code, HONE_OP_LINEAR);
    assert_int_equal(next->inputs[0], lora->outputs[0]);
    assert_int_equal(p->values[lora->outputs[0]].width, 7);
    assert_int_equal(p->values[lora->outputs[0]].type, HONE_VALUE_COMPUTE);
    assert_int_equal(p->values[lora->outputs[1]].width, 3);
    assert_int_equal(p->values[lora->outputs[1]].type, HONE_VALUE_F32);
    /* the residual reads the update of the last linear, not the bare linear */
    const hone_op *down = op_after(p, "t.h.1.mlp.down", 0);
    assert_int_equal(down[2].code, HONE_OP_ADD);
    assert_int_equal(down[2].inputs[1], down[1].outputs[0]);
    static const struct {
        const char *name;
        int64_t rows, columns;
    } weights[] = {{"t.h.0.mlp.up.lora_A.weight", 3, 5},
                   {"t.h.0.mlp.up.lora_B.weight", 7, 3},
                   {"t.h.0.mlp.down.lora_A.weight", 3, 7},
                   {"t.h.0.mlp.down.lora_B.weight", 5, 3}};
    for (size_t i = 0; i < 4; i++) {
        int number = hone_program_find_weight(p, weights[i].name);
        assert_true(number >= 0);
        const hone_weight *w = &p->weights[number];
        assert_true(w->rows == weights[i].rows && w->columns == weights[i].columns);
        assert_true(w->use == HONE_WEIGHT_ADAPTER && w->trainable && w->decay && w->dims == 2);
    }
    for (size_t i = 0; i < p->weight_count; i++)
        assert_true(p->weights[i].trainable == (p->weights[i].use == HONE_WEIGHT_ADAPTER));
    drop(&f);
}

static void ia3_scales_outputs_or_the_inputs_of_feedforward(void **state)
{
    (void)state;
    fixture f = make("method=ia3", "target_modules=up,mlp.down", "feedforward_modules=own");
    hone_program *p = &f.program;
    const hone_op *up = op_after(p, "t.h.0.mlp.up", 0), *down = op_after(p, "t.h.0.mlp.down", 0);
    assert_int_equal(up[1].code, HONE_OP_SCALE);
    assert_int_equal(up[1].inputs[0], up->outputs[0]);
    assert_int_equal(up[2].code, HONE_OP_SCALE); /* of the input of the next linear */
    assert_int_equal(up[2].inputs[0], up[1].outputs[0]);
    assert_ptr_equal(&up[3], down);
    assert_int_equal(down->inputs[0], up[2].outputs[0]);
    assert_int_equal(down[1].code, HONE_OP_ADD);
    assert_int_equal(down[1].inputs[1], down->outputs[0]);
    const hone_weight *out = &p->weights[up[1].weights[0]], *in = &p->weights[up[2].weights[0]];
    assert_string_equal(out->name, "t.h.0.mlp.up.ia3_l");
    assert_string_equal(in->name, "t.h.0.mlp.down.ia3_l");
    assert_true(out->rows == 7 && out->columns == 1 && in->rows == 1 && in->columns == 7);
    assert_true(!out->decay && out->trainable && out->use == HONE_WEIGHT_ADAPTER);
    hone_adapter_init(f.adapter, p, 5);
    for (int i = 0; i < 7; i++)
        assert_true(((float *)out->data)[i] == 1 && ((float *)in->data)[i] == 1);
    drop(&f);
}

static void initial_values_are_as_peft_draws_them(void **state)
{
    (void)state;
    const struct {
        const char *how;
        double a_spread, b_spread; /* standard deviations */
        double a_bound, b_bound;
    } cases[] = {
        {"init_lora_weights=true", 1 / sqrt(5.0) / sqrt(3.0), 0, 1 / sqrt(5.0), 0},
        {"init_lora_weights=gaussian", 1.0 / 4096, 0, 6.0 / 4096, 0},
        {"init_lora_weights=false", 1 / sqrt(5.0) / sqrt(3.0), 1 / 64.0 / sqrt(3.0), 1 / sqrt(5.0),
         1 / 64.0},
    };
    for (size_t i = 0; i < 3; i++) {
        fixture f = make("target_modules=up", "r=4096", cases[i].how);
        hone_adapter_init(f.adapter, &f.program, 7);
        const char *names[2] = {"t.h.0.mlp.up.lora_A.weight", "t.h.0.mlp.up.lora_B.weight"};
        double spread[2] = {cases[i].a_spread, cases[i].b_spread};
        double bound[2] = {cases[i].a_bound, cases[i].b_bound};
        for (int k = 0; k < 2; k++) {
            const float *values = values_named(&f.program, names[k]);
            int64_t n = hone_weight_elements(
                &f.program.weights[hone_program_find_weight(&f.program, names[k])]);
            double sum = 0, squares = 0, largest = 0;
            for (int64_t j = 0; j < n; j++) {
                sum += (double)values[j];
                squares += (double)values[j] * (double)values[j];
                largest = fmax(largest, fabs((double)values[j]));
            }
            double deviation = sqrt(squares / (double)n);
            print_message("%s %c: %g, largest %g\n", cases[i].how, "AB"[k], deviation, largest);
            assert_true(fabs(deviation - spread[k]) <= 0.02 * spread[k]);
            assert_true(fabs(sum / (double)n) <= 0.03 * spread[k]);
            assert_true(largest <= bound[k] * 1.0001);
        }
        /* other modules and other seeds draw something else, the same seed the same */
        float first = values_named(&f.program, names[0])[0];
        assert_true(first != values_named(&f.program, "t.h.1.mlp.up.lora_A.weight")[0]);
        hone_adapter_init(f.adapter, &f.program, 8);
        assert_true(first != values_named(&f.program, names[0])[0]);
        hone_adapter_init(f.adapter, &f.program, 7);
        assert_true(first == values_named(&f.program, names[0])[0]);
        drop(&f);
    }
}

/* W + s B A for a (out,in) matrix, at (o, i). */
static double lora_delta(const fixture *f, const hone_adapted *a, int64_t o, int64_t i)
{
    const hone_weight *wa = &f->program.weights[a->weights[0]];
    const float *av = wa->data, *bv = f->program.weights[a->weights[1]].data;
    double sum = 0;
    for (int64_t r = 0; r < wa->rows; r++)
        sum += (double)bv[o * wa->rows + r] * (double)av[r * wa->columns + i];
    return (double)a->scale * sum;
}

static void merging_equals_the_formula(void **state)
{
    (void)state;
    for (int ia3 = 0; ia3 < 2; ia3++) {
        fixture f = ia3 ? make("method=ia3", "target_modules=up,down",
                               "feedforward_modules=0.mlp.down,0.mlp.up")
                        : make("target_modules=up,down", "r=3", "lora_alpha=5");
        for (size_t m = 0; m < hone_adapter_count(f.adapter); m++) {
            const hone_adapted *a = hone_adapter_at(f.adapter, m);
            const hone_weight *w = &f.program.weights[a->base_weight];
            const float *l = f.program.weights[a->weights[0]].data;
            float weight[35], bias[7], old_bias[7];
            memcpy(weight, w->data, sizeof weight);
            for (int k = 0; k < 7; k++)
                old_bias[k] = bias[k] = (float)(k + 1) / 4;
            hone_adapter_merge(f.adapter, &f.program, a->base_weight, weight,
                               a->base_bias >= 0 ? bias : NULL);
            int64_t out = w->transposed ? w->columns : w->rows;
            for (int64_t o = 0; o < out; o++) {
                for (int64_t i = 0; i < 35 / out; i++) {
                    int64_t at = w->transposed ? i * out + o : o * (35 / out) + i;
                    double before = (double)((float *)w->data)[at];
                    double expected = ia3 ? before * (double)l[a->feedforward ? i : o]
                                          : before + lora_delta(&f, a, o, i);
                    assert_true(fabs((double)weight[at] - expected) < 1e-5);
                }
                if (a->base_bias >= 0)
                    assert_true(bias[o] == old_bias[o] * (ia3 && !a->feedforward ? l[o] : 1));
            }
        }
        float norm[5] = {1, 2, 3, 4, 5}, same[5] = {1, 2, 3, 4, 5};
        hone_adapter_merge(f.adapter, &f.program,
                           hone_program_find_weight(&f.program, "t.ln.weight"), norm, NULL);
        assert_memory_equal(norm, same, sizeof norm);
        drop(&f);
    }
}

static void a_fresh_adapter_changes_nothing(void **state)
{
    (void)state;
    for (int ia3 = 0; ia3 < 2; ia3++) {
        fixture f = make(ia3 ? "method=ia3" : "r=2", "target_modules=all-linear",
                         "feedforward_modules=down");
        hone_adapter_init(f.adapter, &f.program, 3);
        for (size_t m = 0; m < hone_adapter_count(f.adapter); m++) {
            const hone_adapted *a = hone_adapter_at(f.adapter, m);
            float weight[35];
            memcpy(weight, f.program.weights[a->base_weight].data, sizeof weight);
            hone_adapter_merge(f.adapter, &f.program, a->base_weight, weight, NULL);
            assert_memory_equal(weight, f.program.weights[a->base_weight].data, sizeof weight);
        }
        drop(&f);
    }
}

/* ---- folders ---- */

static const struct round_trip {
    const char *what, *changes[3];
    const char *has[3]; /* keys in the file, without the prefix */
    size_t tensors;
} round_trips[] = {
    {"lora", {"target_modules=up", "r=3", "lora_alpha=2.5"}, {"t.h.0.mlp.up.lora_A.weight"}, 4},
    {"all-linear", {"target_modules=all-linear", "r=2", "bias=none"}, {NULL}, 8},
    {"biases of all",
     {"target_modules=up", "bias=all", "r=1"},
     {"t.h.1.mlp.up.base_layer.bias", "t.ln.bias"},
     7},
    {"biases of targets",
     {"target_modules=up", "bias=lora_only", "r=1"},
     {"t.h.1.mlp.up.base_layer.bias"},
     6},
    {"saved modules",
     {"target_modules=down", "modules_to_save=ln,head", "r=1"},
     {"t.ln.weight", "t.ln.bias", "head.weight"},
     7},
    {"saved and biases",
     {"target_modules=0.mlp.up", "modules_to_save=ln", "bias=all"},
     {"t.ln.bias", "t.h.0.mlp.up.base_layer.bias", "t.h.1.mlp.up.bias"},
     6},
    {"ranks",
     {"target_modules=up,down", "rank_pattern=h.1.mlp.up=5", "alpha_pattern=down=3"},
     {NULL},
     8},
    {"expression",
     {"target_modules=.*\\.(up|down)", "exclude_modules=h.0.mlp.up", "use_rslora=true"},
     {NULL},
     6},
    {"ia3",
     {"method=ia3", "target_modules=up,down", "feedforward_modules=down"},
     {"t.h.0.mlp.down.ia3_l"},
     4},
    {"ia3, not a subset",
     {"method=ia3", "target_modules=mlp.up,down", "feedforward_modules=1.mlp.down"},
     {"t.h.0.mlp.down.ia3_l"},
     4},
};

static void folders_come_back_as_they_went(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof round_trips / sizeof *round_trips; i++) {
        const struct round_trip *t = &round_trips[i];
        fixture f = make(t->changes[0], t->changes[1], t->changes[2]);
        const char *folder = scratch("round");
        hone_error error;
        hone_adapter_init(f.adapter, &f.program, 9);
        for (size_t k = 0; k < f.program.weight_count; k++) /* what training would change */
            if (f.program.weights[k].trainable)
                ((float *)f.program.weights[k].data)[0] += 0.5f;
        expect_ok(t->what,
                  hone_adapter_save(f.adapter, &f.program, folder, "base", "CAUSAL_LM", &error),
                  &error);
        hone_weight_source *source;
        expect_ok(t->what, hone_weight_source_open(folder, "adapter_model", &source, &error),
                  &error);
        assert_int_equal(hone_weight_source_count(source), t->tensors);
        for (int k = 0; k < 3 && t->has[k] != NULL; k++) {
            char key[128];
            snprintf(key, sizeof key, "base_model.model.%s", t->has[k]);
            if (hone_weight_source_find(source, key) == NULL)
                fail_msg("%s: no %s", t->what, key);
        }
        hone_weight_source_close(source);

        fixture g;
        small_program(&g.program, false);
        for (int trainable = 0; trainable < 2; trainable++) {
            hone_program_deinit(&g.program);
            small_program(&g.program, false);
            expect_ok(
                t->what,
                hone_adapter_open(&g.program, folder, "none", trainable, false, &g.adapter, &error),
                &error);
            g.memory = give_memory(&g.program);
            expect_ok(t->what, hone_adapter_load(g.adapter, &g.program, &error), &error);
            assert_int_equal(g.program.weight_count, f.program.weight_count);
            assert_int_equal(g.program.op_count, f.program.op_count);
            for (size_t k = 0; k < g.program.weight_count; k++) {
                const hone_weight *a = &f.program.weights[k], *b = &g.program.weights[k];
                assert_string_equal(a->name, b->name);
                assert_memory_equal(a->data, b->data,
                                    (size_t)hone_weight_elements(a) * sizeof(float));
                assert_int_equal(b->trainable, trainable && a->trainable);
            }
            for (size_t k = 0; k < hone_adapter_count(g.adapter); k++)
                assert_true(hone_adapter_at(g.adapter, k)->scale ==
                                hone_adapter_at(f.adapter, k)->scale &&
                            hone_adapter_at(g.adapter, k)->feedforward ==
                                hone_adapter_at(f.adapter, k)->feedforward);
            hone_adapter_free(g.adapter);
            free(g.memory);
        }
        hone_program_deinit(&g.program);
        drop(&f);
    }
}

static bytes file_in(const char *folder, const char *name)
{
    char *path = hone_path_join(folder, name);
    bytes content = bytes_load(path);
    hone_free(path);
    return content;
}

static void saving_twice_gives_the_same_bytes(void **state)
{
    (void)state;
    static const char *const names[] = {"adapter_config.json", "adapter_model.safetensors"};
    fixture f = make("target_modules=up,down", "bias=all", "r=3");
    hone_error error;
    const char *one = scratch("one"), *two = scratch("two");
    expect_ok("save", hone_adapter_save(f.adapter, &f.program, one, "b", NULL, &error), &error);
    expect_ok("save", hone_adapter_save(f.adapter, &f.program, two, "b", NULL, &error), &error);
    for (int i = 0; i < 2; i++) {
        bytes a = file_in(one, names[i]), b = file_in(two, names[i]);
        assert_int_equal(a.size, b.size);
        assert_memory_equal(a.data, b.data, a.size);
        bytes_free(&a);
        bytes_free(&b);
    }
    drop(&f);
}

static void a_value_that_is_not_finite_is_not_saved(void **state)
{
    (void)state;
    fixture f = make("target_modules=up", "r=3", "bias=none");
    hone_error error;
    values_named(&f.program, "t.h.1.mlp.up.lora_B.weight")[4] = NAN;
    hone_status status =
        hone_adapter_save(f.adapter, &f.program, scratch("nan"), "b", NULL, &error);
    expect_error("nan", status, &error, HONE_NUMERIC, "t.h.1.mlp.up.lora_B.weight");
    assert_false(hone_folder_exists(scratch("nan")));
    drop(&f);
}

static const char minimal[] = "{\"peft_type\":\"LORA\",\"r\":2,\"target_modules\":[\"up\"]}";

static const float zeros[64];

static hone_tensor_out tensor(const char *name, hone_dtype dtype, int dims, int64_t a, int64_t b)
{
    return (hone_tensor_out){.name = name,
                             .dtype = dtype,
                             .stored = dtype,
                             .dims = dims,
                             .shape = {a, b},
                             .data = zeros};
}

static const char *folder_with(const char *name, const hone_tensor_out *tensors, size_t count)
{
    const char *folder = folder_with_config(name, minimal);
    char *path = hone_path_join(folder, "adapter_model.safetensors");
    hone_error error;
    expect_ok(name, hone_safetensors_write(path, tensors, count, &error), &error);
    hone_free(path);
    return folder;
}

#define KEY(rest) "base_model.model.t.h." rest

static hone_status open_and_load(const char *folder, bool partial, fixture *f, hone_error *error)
{
    small_program(&f->program, true);
    f->adapter = NULL;
    f->memory = NULL;
    hone_status status =
        hone_adapter_open(&f->program, folder, "none", false, partial, &f->adapter, error);
    if (status == HONE_OK) {
        f->memory = give_memory(&f->program);
        status = hone_adapter_load(f->adapter, &f->program, error);
    }
    return status;
}

static void lists_all_that_does_not_fit(void **state)
{
    (void)state;
    const hone_tensor_out tensors[] = {
        tensor(KEY("0.mlp.up.lora_A.weight"), HONE_F32, 2, 2, 5),
        tensor(KEY("0.mlp.up.lora_B.weight"), HONE_F32, 2, 2, 7),
        tensor(KEY("1.mlp.up.lora_A.wieght"), HONE_F32, 2, 2, 5),
        tensor(KEY("1.mlp.up.lora_B.weight"), HONE_I64, 2, 7, 2),
        tensor("something.quite.different", HONE_F32, 1, 3, 0),
    };
    fixture f;
    hone_error error;
    const char *folder = folder_with("bad", tensors, 5);
    hone_status status = open_and_load(folder, false, &f, &error);
    print_message("%s: %s\n", error.file, error.message);
    static const char *const says[] = {
        KEY("0.mlp.up.lora_B.weight") ": shape (2, 7), expected (7, 2)",
        "missing: " KEY("1.mlp.up.lora_A.weight") "; nearest there: " KEY("1.mlp.up.lora_A.wieght"),
        KEY("1.mlp.up.lora_B.weight") ": type I64",
        "unexpected: " KEY("1.mlp.up.lora_A.wieght") "; nearest expected: ",
        "unexpected: something.quite.different",
    };
    for (size_t i = 0; i < sizeof says / sizeof *says; i++)
        expect_error("bad", status, &error, HONE_MISMATCH, says[i]);
    assert_string_equal(error.file, folder);
    drop(&f);
}

static void a_partial_folder_is_taken_on_demand_only(void **state)
{
    (void)state;
    const hone_tensor_out tensors[] = {
        tensor(KEY("0.mlp.up.lora_A.weight"), HONE_F16, 2, 2, 5),
        tensor(KEY("0.mlp.up.lora_B.weight"), HONE_BF16, 2, 7, 2),
        tensor(KEY("1.mlp.up.lora_A.weight"), HONE_F32, 2, 2, 5),
    };
    fixture f;
    hone_error error;
    const char *folder = folder_with("part", tensors, 3);
    hone_status status = open_and_load(folder, false, &f, &error);
    expect_error("partial", status, &error, HONE_MISMATCH, "allow_partial");
    drop(&f);
    expect_ok("partial", open_and_load(folder, true, &f, &error), &error);
    const float *a = values_named(&f.program, "t.h.1.mlp.up.lora_A.weight");
    const float *b = values_named(&f.program, "t.h.1.mlp.up.lora_B.weight");
    assert_true(a[0] != 0 && fabsf(a[0]) < 0.45f);
    for (int i = 0; i < 14; i++)
        assert_true(b[i] == 0);
    drop(&f);
}

static void missing_files_are_named(void **state)
{
    (void)state;
    fixture f;
    hone_error error;
    hone_status status = open_and_load(scratch("nowhere"), false, &f, &error);
    expect_error("no folder", status, &error, HONE_IO, "");
    assert_non_null(strstr(error.file, "adapter_config.json"));
    drop(&f);
    status = open_and_load(folder_with_config("alone", minimal), false, &f, &error);
    expect_error("no tensors", status, &error, HONE_IO, "adapter_model.safetensors");
    drop(&f);
    status =
        open_and_load(folder_with_config("broken", "{\"peft_type\": \"LORA\","), false, &f, &error);
    expect_error("no JSON", status, &error, HONE_INPUT, "");
    drop(&f);
}

/* ---- memory ---- */

/* Attach, load and save, with the n-th allocation failing; the program is built before. */
static hone_status live(const hone_adapter_settings *settings, const char *folder, long n,
                        int *failed, hone_error *error)
{
    fixture f = {.memory = NULL};
    small_program(&f.program, false);
    fail_allocation(n);
    hone_status status =
        settings != NULL
            ? hone_adapter_create(&f.program, settings, "none", &f.adapter, error)
            : hone_adapter_open(&f.program, folder, "none", true, false, &f.adapter, error);
    if (status == HONE_OK) {
        f.memory = give_memory(&f.program);
        hone_adapter_init(f.adapter, &f.program, 1);
        if (settings == NULL)
            status = hone_adapter_load(f.adapter, &f.program, error);
    }
    if (status == HONE_OK)
        status = hone_adapter_save(f.adapter, &f.program, scratch("memory-out"), "b", NULL, error);
    *failed = fail_allocation(0);
    drop(&f);
    return status;
}

static void every_failure_of_memory_is_an_error(void **state)
{
    (void)state;
    hone_adapter_settings settings[] = {
        settings_with("target_modules=all-linear", "modules_to_save=ln", "bias=all",
                      "rank_pattern=up=3,down=2", NULL),
        settings_with("method=ia3", "target_modules=.*\\.(up|down)", "feedforward_modules=down",
                      "exclude_modules=0.mlp.up", NULL)};
    for (int i = 0; i < 4; i++) {
        char in[512]; /* what the case before has saved */
        snprintf(in, sizeof in, "%s", scratch("memory-in"));
        hone_error error;
        int failed = 1;
        long n = 1, fallbacks = 0;
        for (; failed; n++) {
            hone_status status = live(i % 2 == 0 ? &settings[i / 2] : NULL, in, n, &failed, &error);
            /* without its compiled code an expression is interpreted */
            fallbacks += failed && status == HONE_OK;
            if (failed && status != HONE_OK && status != HONE_MEMORY)
                fail_msg("allocation %ld of case %d: %s (%s), expected MEMORY", n, i,
                         hone_status_name(status), error.message);
            if (!failed)
                expect_ok("enough memory", status, &error);
        }
        if (i % 2 == 0)
            assert_int_equal(rename(scratch("memory-out"), in), 0);
        else
            expect_ok("clean", hone_folder_remove(in, &error), &error);
        print_message("case %d: %ld allocations, %ld could be done without\n", i, n - 2, fallbacks);
        assert_true(n > 20 && fallbacks < 40);
    }
    settings_free(&settings[0]);
    settings_free(&settings[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lora_stands_after_its_linear),
        cmocka_unit_test(ia3_scales_outputs_or_the_inputs_of_feedforward),
        cmocka_unit_test(initial_values_are_as_peft_draws_them),
        cmocka_unit_test(merging_equals_the_formula),
        cmocka_unit_test(a_fresh_adapter_changes_nothing),
        cmocka_unit_test(folders_come_back_as_they_went),
        cmocka_unit_test(saving_twice_gives_the_same_bytes),
        cmocka_unit_test(a_value_that_is_not_finite_is_not_saved),
        cmocka_unit_test(lists_all_that_does_not_fit),
        cmocka_unit_test(a_partial_folder_is_taken_on_demand_only),
        cmocka_unit_test(missing_files_are_named),
        cmocka_unit_test(every_failure_of_memory_is_an_error),
    };
    fail_allocation(0); /* one allocator for the whole program */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
