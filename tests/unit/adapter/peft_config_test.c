/* adapter_config.json: files that PEFT wrote are read, all that hone can't honour is named, and
 * what is written reads back to the same. */
#include "../file/test_files.h"
#include "adapter/peft_config.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static hone_status read_text(const char *text, hone_peft_config *config, hone_error *error)
{
    hone_json *json;
    hone_status status = hone_json_parse(text, strlen(text), "a.json", 1, &json, error);
    if (status != HONE_OK)
        fail_msg("%s: %s", text, error->message);
    status = hone_peft_config_read(json, "a.json", "gpt2", config, error);
    hone_json_free(json);
    return status;
}

static void refuses_and_names_every_problem(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"[]", "expected an object"},
        {"{}", "peft_type"},
        {"{\"peft_type\":1}", "peft_type"},
        {"{\"peft_type\":\"ADALORA\"}", "'ADALORA'; hone reads LORA and IA3"},
        {"{\"peft_type\":\"LORA\",\"use_dora\":true}", "use_dora"},
        {"{\"peft_type\":\"LORA\",\"lora_bias\":true}", "lora_bias"},
        {"{\"peft_type\":\"LORA\",\"use_qalora\":true}", "use_qalora"},
        {"{\"peft_type\":\"LORA\",\"alora_invocation_tokens\":[1]}", "alora_invocation_tokens"},
        {"{\"peft_type\":\"LORA\",\"layer_replication\":[[0,1]]}", "layer_replication"},
        {"{\"peft_type\":\"LORA\",\"target_parameters\":[\"w\"]}", "target_parameters"},
        {"{\"peft_type\":\"LORA\",\"trainable_token_indices\":[5]}", "trainable_token_indices"},
        {"{\"peft_type\":\"LORA\",\"use_bdlora\":{\"x\":1}}", "use_bdlora"},
        {"{\"peft_type\":\"LORA\",\"arrow_config\":{\"x\":1}}", "arrow_config"},
        {"{\"peft_type\":\"LORA\",\"kasa_config\":{\"x\":1}}", "kasa_config"},
        {"{\"peft_type\":\"LORA\",\"monteclora_config\":{\"x\":1}}", "monteclora_config"},
        {"{\"peft_type\":\"LORA\",\"velora_config\":{\"x\":1}}", "velora_config"},
        {"{\"peft_type\":\"LORA\",\"megatron_config\":{\"x\":1}}", "megatron_config"},
        {"{\"peft_type\":\"LORA\",\"init_lora_weights\":\"pissa\"}", "'pissa' changes the weights"},
        {"{\"peft_type\":\"LORA\",\"init_lora_weights\":\"olora\"}", "'olora'"},
        {"{\"peft_type\":\"LORA\",\"init_lora_weights\":3}", "init_lora_weights: expected"},
        {"{\"peft_type\":\"LORA\",\"bias\":\"some\"}", "'some'"},
        {"{\"peft_type\":\"LORA\",\"bias\":null}", "bias: expected"},
        {"{\"peft_type\":\"LORA\",\"task_type\":\"SEQ_CLS\"}", "'SEQ_CLS'"},
        {"{\"peft_type\":\"LORA\",\"r\":0}", "r: expected 1 to 65536, found 0"},
        {"{\"peft_type\":\"LORA\",\"r\":8.0}", "r: expected an integer"},
        {"{\"peft_type\":\"LORA\",\"r\":\"8\"}", "r: expected an integer, found a string"},
        {"{\"peft_type\":\"LORA\",\"lora_alpha\":null}", "lora_alpha: expected a number"},
        {"{\"peft_type\":\"LORA\",\"lora_alpha\":-1}", "lora_alpha: expected 0 or more"},
        {"{\"peft_type\":\"LORA\",\"lora_dropout\":1}", "less than 1"},
        {"{\"peft_type\":\"LORA\",\"use_rslora\":1}", "use_rslora: expected true or false"},
        {"{\"peft_type\":\"LORA\",\"fan_in_fan_out\":\"yes\"}", "fan_in_fan_out: expected"},
        {"{\"peft_type\":\"LORA\",\"target_modules\":{}}", "target_modules: expected"},
        {"{\"peft_type\":\"LORA\",\"target_modules\":[1]}", "target_modules: expected"},
        {"{\"peft_type\":\"LORA\",\"target_modules\":\"a\\u0000b\"}", "target_modules: expected"},
        {"{\"peft_type\":\"LORA\",\"modules_to_save\":\"ln_f\"}", "modules_to_save: expected"},
        {"{\"peft_type\":\"LORA\",\"layers_to_transform\":\"1\"}", "layers_to_transform: expected"},
        {"{\"peft_type\":\"LORA\",\"layers_to_transform\":[1.5]}", "layers_to_transform"},
        {"{\"peft_type\":\"LORA\",\"rank_pattern\":[]}", "rank_pattern: expected"},
        {"{\"peft_type\":\"LORA\",\"rank_pattern\":{\"x\":\"2\"}}", "rank_pattern: expected"},
        {"{\"peft_type\":\"LORA\",\"rank_pattern\":{\"x\":0}}", "rank_pattern: the rank of 'x'"},
        {"{\"peft_type\":\"LORA\",\"alpha_pattern\":{\"x\":-1}}", "alpha_pattern: 'x' is -1"},
        {"{\"peft_type\":\"LORA\",\"megatron_core\":1}", "megatron_core: expected"},
        {"{\"peft_type\":\"LORA\",\"qalora_group_size\":\"x\"}", "qalora_group_size: expected"},
        {"{\"peft_type\":\"LORA\",\"lora_alhpa\":4}", "'lora_alhpa' (nearest known: lora_alpha)"},
        {"{\"peft_type\":\"LORA\",\"something_else\":false}", "unknown key 'something_else'"},
        {"{\"peft_type\":\"IA3\",\"r\":4}", "unknown key 'r'"},
        {"{\"peft_type\":\"IA3\",\"bias\":\"all\"}", "unknown key 'bias'"},
        {"{\"peft_type\":\"IA3\",\"feedforward_modules\":3}", "feedforward_modules: expected"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_peft_config config;
        hone_error error;
        hone_status status = read_text(cases[i].text, &config, &error);
        expect_error(cases[i].text, status, &error, HONE_INPUT, cases[i].says);
        assert_string_equal(error.file, "a.json");
        hone_peft_config_deinit(&config);
    }
    hone_peft_config config;
    hone_error error;
    hone_status status =
        read_text("{\"peft_type\":\"LORA\",\"r\":0,\"use_dora\":true,\"foo\":1}", &config, &error);
    expect_error("three at once", status, &error, HONE_INPUT, "r: ");
    expect_error("three at once", status, &error, HONE_INPUT, "\n  use_dora");
    expect_error("three at once", status, &error, HONE_INPUT, "\n  unknown key 'foo'");
}

static void reads_what_changes_nothing(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "{\"peft_type\":\"LORA\"}",
        "{\"peft_type\":\"LORA\",\"use_dora\":false,\"layer_replication\":null,"
        "\"loftq_config\":{},\"runtime_config\":{\"ephemeral_gpu_offload\":false}}",
        "{\"peft_type\":\"LORA\",\"init_lora_weights\":\"eva\",\"eva_config\":{\"rho\":2.0}}",
        "{\"peft_type\":\"LORA\",\"a_key_of_the_future\":null}",
        "{\"peft_type\":\"LORA\",\"target_parameters\":[],\"trainable_token_indices\":null}",
        "{\"peft_type\":\"LORA\",\"auto_mapping\":{\"base_model_class\":\"GPT2LMHeadModel\","
        "\"parent_library\":\"transformers.models.gpt2.modeling_gpt2\"},\"task_type\":null}",
        "{\"peft_type\":\"IA3\",\"init_ia3_weights\":false}",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_peft_config config;
        hone_error error;
        expect_ok(cases[i], read_text(cases[i], &config, &error), &error);
        assert_true(config.r == 8 && config.lora_alpha == 8 && config.target_modules.set);
        hone_peft_config_deinit(&config);
    }
}

static char *write_text(const hone_peft_config *config)
{
    hone_peft_facts facts = {.base_model = "base",
                             .task_type = "CAUSAL_LM",
                             .fan_in_fan_out = true,
                             .targets = config->target_modules,
                             .feedforward = config->feedforward_modules};
    char *text = hone_peft_config_text(config, &facts);
    assert_non_null(text);
    return text;
}

/* The files of tests/golden were written by PEFT: reading, writing and reading again must end in
 * the text that reading once ends in, and hold PEFT's value for every key that is written. */
static void reads_and_writes_what_peft_wrote(void **state)
{
    (void)state;
    static const char *const models[] = {"gpt2-odd", "gpt2-sharded", "gpt2-bin"};
    static const char *const adapters[] = {"lora", "ia3", "lora-final", "ia3-final"};
    for (size_t i = 0; i < 12; i++) {
        char path[128];
        snprintf(path, sizeof path, "tests/golden/%s/%s/adapter_config.json", models[i / 4],
                 adapters[i % 4]);
        hone_json *json, *ours;
        hone_error error;
        hone_peft_config config, again;
        expect_ok(path, hone_json_load(path, 1 << 20, &json, &error), &error);
        expect_ok(path, hone_peft_config_read(json, path, "gpt2", &config, &error), &error);
        char *text = write_text(&config);
        expect_ok(path, read_text(text, &again, &error), &error);
        char *second = write_text(&again);
        assert_string_equal(text, second);
        expect_ok(path, hone_json_parse(text, strlen(text), path, 1, &ours, &error), &error);
        void *cursor = NULL;
        const char *key, *last = "";
        hone_json *value;
        while (hone_json_next(ours, &cursor, &key, &value)) {
            hone_json_format format = {.digits = 17};
            char *a = hone_json_dump(value, format);
            char *b = hone_json_dump(hone_json_get(json, key), format);
            if (strcmp(key, "base_model_name_or_path") != 0)
                assert_string_equal(a, b);
            assert_true(strcmp(last, key) < 0);
            last = key;
            hone_free(a);
            hone_free(b);
        }
        hone_json_free(ours);
        hone_json_free(json);
        hone_free(text);
        hone_free(second);
        hone_peft_config_deinit(&config);
        hone_peft_config_deinit(&again);
    }
}

static void keeps_the_order_of_patterns_and_exact_numbers(void **state)
{
    (void)state;
    hone_peft_config config;
    hone_error error;
    expect_ok("read",
              read_text("{\"peft_type\":\"LORA\",\"target_modules\":\".*x\",\"lora_alpha\":12.0,"
                        "\"lora_dropout\":0.1,\"rank_pattern\":{\"z\":2,\"a\":3},"
                        "\"alpha_pattern\":{\"q\":0.30000000000000004},\"layers_to_transform\":"
                        "null,\"use_rslora\":true,\"exclude_modules\":[\"y\"]}",
                        &config, &error),
              &error);
    char *text = write_text(&config);
    const char *z = strstr(text, "\"z\": 2"), *a = strstr(text, "\"a\": 3");
    assert_true(z != NULL && a != NULL && z < a);
    assert_non_null(strstr(text, "\"lora_alpha\": 12,"));
    assert_non_null(strstr(text, "0.30000000000000004"));
    assert_non_null(strstr(text, "\"target_modules\": \".*x\""));
    assert_non_null(strstr(text, "\"use_rslora\": true"));
    assert_non_null(strstr(text, "exclude_modules"));
    hone_free(text);
    config.alpha_pattern.count = 0;
    config.use_rslora = false;
    config.exclude_modules = (hone_names){0};
    text = write_text(&config);
    assert_non_null(strstr(text, "\"lora_dropout\": 0.1,"));
    assert_null(strstr(text, "use_rslora"));
    assert_null(strstr(text, "exclude_modules"));
    hone_free(text);
    hone_peft_config_deinit(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_and_names_every_problem),
        cmocka_unit_test(reads_what_changes_nothing),
        cmocka_unit_test(reads_and_writes_what_peft_wrote),
        cmocka_unit_test(keeps_the_order_of_patterns_and_exact_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
