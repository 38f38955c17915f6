/* Which modules a configuration adapts, with which rank and scale, and what is trained beside:
 * as PEFT answered (tests/golden/peft_targets.json, made by tests/parity/peft_targets.py). */
#include "adapter_fixture.h"

#include "../file/test_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static size_t compare_adapted(const char *config, const hone_adapter *adapter,
                              const hone_program *program, const hone_json *expected)
{
    size_t wrong = 0;
    for (size_t i = 0; i < hone_adapter_count(adapter); i++) {
        const hone_adapted *a = hone_adapter_at(adapter, i);
        const hone_json *want = hone_json_get(expected, a->module);
        const char *side = want != NULL ? hone_json_string(want, NULL) : NULL;
        int64_t rank = program->weights[a->weights[0]].rows, r = 0;
        double scale = 0;
        bool same = want != NULL;
        if (side != NULL) {
            same = a->feedforward == (strcmp(side, "in") == 0);
        } else if (want != NULL) {
            hone_json_integer(hone_json_at(want, 0), &r);
            hone_json_real(hone_json_at(want, 1), &scale);
            same = rank == r && (double)a->scale > scale - 1e-6 && (double)a->scale < scale + 1e-6;
        }
        if (!same) {
            print_message("%s: %s: rank %d, scale %g; PEFT: %s %d %g\n", config, a->module,
                          (int)rank, (double)a->scale, want != NULL ? "" : "not adapted", (int)r,
                          scale);
            wrong++;
        }
    }
    if (hone_adapter_count(adapter) != hone_json_size(expected)) {
        print_message("%s: %zu modules adapted; PEFT: %zu\n", config, hone_adapter_count(adapter),
                      hone_json_size(expected));
        wrong++;
    }
    return wrong;
}

static size_t compare_trained(const char *config, const hone_program *program,
                              const hone_json *expected)
{
    size_t trained = 0, wrong = 0;
    for (size_t i = 0; i < program->weight_count; i++)
        trained += program->weights[i].trainable && program->weights[i].use != HONE_WEIGHT_ADAPTER;
    for (size_t i = 0; i < hone_json_size(expected); i++) {
        const char *name = hone_json_string(hone_json_at(expected, i), NULL);
        int weight = hone_program_find_weight(program, name);
        if (weight < 0 || !program->weights[weight].trainable) {
            print_message("%s: %s is not trained\n", config, name);
            wrong++;
        }
    }
    if (trained != hone_json_size(expected)) {
        print_message("%s: %zu base weights trained; PEFT: %zu\n", config, trained,
                      hone_json_size(expected));
        wrong++;
    }
    return wrong;
}

static size_t run_case(const hone_json *models, const hone_json *test)
{
    const hone_json *model =
        hone_json_get(models, hone_json_string(hone_json_get(test, "model"), NULL));
    char *config = hone_json_dump(hone_json_get(test, "config"), (hone_json_format){.digits = 17});
    const char *folder = folder_with_config("case", config);
    hone_program program;
    hone_adapter *adapter;
    hone_error error;
    listed_program(&program, model);
    hone_status status = hone_adapter_open(
        &program, folder, hone_json_string(hone_json_get(model, "model_type"), NULL), true, false,
        &adapter, &error);
    size_t wrong = 0;
    if (hone_json_get(test, "error") != NULL) {
        wrong = status == HONE_OK || error.message[0] == '\0' ||
                strstr(error.file, "adapter_config.json") == NULL;
        print_message("%s -> %s\n", config, status == HONE_OK ? "taken" : error.message);
    } else if (status != HONE_OK) {
        print_message("%s: refused: %s\n", config, error.message);
        wrong = 1;
    } else {
        wrong = compare_adapted(config, adapter, &program, hone_json_get(test, "adapted")) +
                compare_trained(config, &program, hone_json_get(test, "trained"));
    }
    hone_adapter_free(adapter);
    hone_program_deinit(&program);
    hone_free(config);
    return wrong;
}

static void takes_the_modules_that_peft_takes(void **state)
{
    (void)state;
    hone_json *golden;
    hone_error error;
    expect_ok("golden file",
              hone_json_load("tests/golden/peft_targets.json", 1 << 24, &golden, &error), &error);
    const hone_json *cases = hone_json_get(golden, "cases");
    size_t wrong = 0;
    for (size_t i = 0; i < hone_json_size(cases); i++)
        wrong += run_case(hone_json_get(golden, "models"), hone_json_at(cases, i));
    print_message("%zu cases\n", hone_json_size(cases));
    assert_true(hone_json_size(cases) > 100);
    hone_json_free(golden);
    assert_int_equal(wrong, 0);
}

/* What is no error in PEFT or can't be shown with it. */
static void refuses_what_it_can_not_honour(void **state)
{
    (void)state;
    static const struct {
        const char *config, *says;
    } cases[] = {
        {"{\"peft_type\":\"LORA\",\"target_modules\":[\"upp\"]}", "nearest name: up"},
        {"{\"peft_type\":\"LORA\",\"target_modules\":[\"q_proj\"]}", "its linears are like t.h."},
        {"{\"peft_type\":\"LORA\",\"target_modules\":[\"up\",\"head\"]}", "'head'"},
        {"{\"peft_type\":\"LORA\",\"target_modules\":[\"wte\"]}", "'t.wte'"},
        {"{\"peft_type\":\"LORA\",\"target_modules\":[\"up\"],\"modules_to_save\":[\"head\"]}",
         "tied"},
        {"{\"peft_type\":\"LORA\",\"target_modules\":[\"up\"],\"modules_to_save\":[\"wte\"]}",
         "tied"},
        {"{\"peft_type\":\"LORA\",\"target_modules\":\"((((\\\\w\\\\.?)+)+)+)+[!?]\"}",
         "can't be decided"},
        {"{\"peft_type\":\"LORA\",\"target_modules\":\"(a\"}", "missing closing parenthesis"},
        {"{\"peft_type\":\"LORA\",\"target_modules\":\"up{,3}\"}", "{0,n}"},
        {"{\"peft_type\":\"LORA\",\"target_modules\":\"up\\\\\"}", "backslash"},
        {"{\"peft_type\":\"LORA\",\"target_modules\":\"(?R)\"}", "no such group"},
        {"{\"peft_type\":\"LORA\",\"target_modules\":\"(*ACCEPT)\"}", "begin with *"},
        {"{\"peft_type\":\"LORA\",\"target_modules\":\"[up\"}", "not closed"},
        {"{\"peft_type\":\"LORA\",\"target_modules\":[\"up\"],\"rank_pattern\":{\"(\":2}}",
         "rank_pattern"},
        {"{\"peft_type\":\"LORA\",\"target_modules\":[\"up\"],\"modules_to_save\":[\"(\"]}",
         "modules_to_save"},
        {"{\"peft_type\":\"LORA\",\"target_modules\":[\"up\"],\"layers_to_transform\":[3]}",
         "layers_to_transform"},
        {"{\"peft_type\":\"LORA\",\"target_modules\":[\"up\"],\"exclude_modules\":[\"up\"]}",
         "excluded"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_program program;
        hone_adapter *adapter;
        hone_error error;
        small_program(&program, true);
        hone_status status = hone_adapter_open(&program, folder_with_config("no", cases[i].config),
                                               "none", true, false, &adapter, &error);
        print_message("%s -> %s\n", cases[i].config, status == HONE_OK ? "ok" : error.message);
        assert_true(status == HONE_MISMATCH || status == HONE_INPUT);
        assert_null(adapter);
        assert_non_null(strstr(error.message, cases[i].says));
        hone_program_deinit(&program);
    }
}

static void says_what_is_wrong_in_settings(void **state)
{
    (void)state;
    static const struct {
        const char *changes[3], *says;
    } cases[] = {
        {{"target_modules=dwon"}, "nearest name: down"},
        {{"target_modules=.*(up"}, "not a regular expression"},
        {{"method=ia3", "target_modules=up"}, "name feedforward_modules"},
        {{"method=ia3", "bias=all"}, "bias"},
        {{"method=full"}, "full"},
        {{"target_modules=up", "modules_to_save=lnn"}, "nearest name: "},
        {{"target_modules=up", "layers_to_transform=one"}, "'one'"},
        {{"target_modules=up", "layers_pattern=h"}, "names no layer"},
        {{"target_modules=up", "rank_pattern=up=1.5"}, "whole number"},
        {{"r=4"}, "no default targets"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_program program;
        hone_adapter *adapter;
        hone_error error;
        const char *const *c = cases[i].changes;
        hone_adapter_settings settings = settings_with(c[0], c[1], c[2], NULL);
        small_program(&program, true);
        hone_status status = hone_adapter_create(&program, &settings, "none", &adapter, &error);
        print_message("%s -> %s\n", c[0], status == HONE_OK ? "ok" : error.message);
        assert_int_equal(status, HONE_USAGE);
        assert_int_equal(error.status, HONE_USAGE);
        assert_non_null(strstr(error.message, cases[i].says));
        hone_program_deinit(&program);
        settings_free(&settings);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_the_modules_that_peft_takes),
        cmocka_unit_test(refuses_what_it_can_not_honour),
        cmocka_unit_test(says_what_is_wrong_in_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
