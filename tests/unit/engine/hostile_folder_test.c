/* A model or adapter folder that is not what it should be is refused with the file, what was
 * expected and what was found, all of it at once, and nothing is written from it; the same folder
 * put right is opened. */
#include "engine_support.h"
#include "tensor_edits.h"

#include "base/files.h"
#include "base/json.h"
#include "base/memory.h"
#include "engine/model.h"

#include <hone/evaluate.h>
#include <hone/generate.h>
#include <hone/log.h>
#include <hone/prompts.h>

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[512], adapter[512], remarks[4096];

static void hear(void *context, hone_log_level level, const char *message)
{
    (void)context;
    size_t used = strlen(remarks);
    if (level == HONE_LOG_WARNING)
        snprintf(remarks + used, sizeof remarks - used, "%s\n", message);
}

/* In a buffer for each of few names, as in_scratch's are reused. */
static const char *in_folder(const char *name)
{
    static char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void fresh_folder(const char *golden)
{
    char from[256];
    snprintf(from, sizeof from, "%s", golden);
    assert_ok(hone_folder_remove(folder, error));
    copy_folder(from, folder);
}

static void fresh_adapter(const char *golden)
{
    assert_ok(hone_folder_remove(adapter, error));
    copy_folder(golden, adapter);
}

typedef struct opening {
    bool with_adapter, to_train, allow_partial;
} opening;

static hone_status open_folder(opening how, hone_error *problem)
{
    hone_run_settings settings;
    hone_model *model;
    *problem = (hone_error){0};
    remarks[0] = '\0';
    init_settings(&settings, NULL, "init=pretrained", NULL);
    set_option(&settings, "model", folder);
    if (how.with_adapter)
        set_option(&settings, "adapter", adapter);
    settings.adapter.allow_partial = how.allow_partial;
    hone_log_set(hear, NULL);
    hone_status status =
        hone_model_open(&settings.model, how.to_train ? &settings.adapter : NULL, &model, problem);
    hone_log_set(NULL, NULL);
    assert_true((model != NULL) == (status == HONE_OK));
    assert_true(status == HONE_OK || problem->status == status);
    hone_model_close(model);
    deinit_settings(&settings);
    return status;
}

/* The status with its exit code, and up to three parts of the message as it is shown. */
static void assert_told(const char *what, hone_status status, const hone_error *problem,
                        hone_status expected, const char *const says[3])
{
    static const int codes[HONE_STATUS_COUNT] = {
        [HONE_OK] = 0, [HONE_USAGE] = 2,   [HONE_INPUT] = 3,
        [HONE_IO] = 4, [HONE_NUMERIC] = 6, [HONE_MISMATCH] = 8};
    char shown[8192] = "";
    if (status != HONE_OK)
        hone_error_format(problem, shown, sizeof shown);
    if (status != expected)
        fail_msg("%s: %s, expected %s: %s", what, hone_status_name(status),
                 hone_status_name(expected), shown);
    assert_int_equal(hone_status_exit_code(status), codes[status]);
    for (int i = 0; i < 3 && says[i] != NULL; i++)
        if (strstr(shown, says[i]) == NULL)
            fail_msg("%s: the message lacks \"%s\": %s", what, says[i], shown);
}

/* ---- tensors ------------------------------------------------------------------------------ */

static void tensors_that_do_not_fit(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        edit edits[5];
        hone_status status;
        const char *says[3];
    } cases[] = {
        {"as they are", {{0}}, HONE_OK, {0}},
        {"three faults at once",
         {{.kind = RENAME, .name = "transformer.ln_f.bias", .other = "transformer.ln_f.biass"},
          {.kind = DROP, .name = "transformer.h.1.mlp.c_fc.weight"},
          {.kind = RESHAPE,
           .name = "transformer.h.0.mlp.c_proj.weight",
           .rows = 33,
           .columns = 71}},
         HONE_MISMATCH,
         {"wrong shape: transformer.h.0.mlp.c_proj.weight expected (71, 33), found (33, 71)",
          "missing: transformer.ln_f.bias; nearest there: transformer.ln_f.biass",
          "unexpected: transformer.ln_f.biass; nearest missing: transformer.ln_f.bias"}},
        {"missing without a near name",
         {{.kind = DROP, .name = "transformer.h.1.mlp.c_fc.weight"}},
         HONE_MISMATCH,
         {"folder: the tensors do not match what config.json describes:\n"
          "  missing: transformer.h.1.mlp.c_fc.weight"}},
        {"one more",
         {{.kind = ADD, .name = "transformer.ln_f.bias", .other = "transformer.ln_g.bias"}},
         HONE_MISMATCH,
         {"unexpected: transformer.ln_g.bias"}},
        {"a vector as a row",
         {{.kind = RESHAPE, .name = "transformer.ln_f.bias", .rows = 1, .columns = 33}},
         HONE_MISMATCH,
         {"transformer.ln_f.bias expected (33), found (1, 33)"}},
        {"an empty tensor",
         {{.kind = RESHAPE, .name = "transformer.ln_f.bias", .rows = 0}},
         HONE_MISMATCH,
         {"expected (33), found (0)"}},
        {"integers",
         {{.kind = RETYPE, .name = "transformer.ln_f.bias", .type = HONE_I32}},
         HONE_MISMATCH,
         {"wrong type: transformer.ln_f.bias expected F32, F16, BF16 or F64, found I32"}},
        {"bytes",
         {{.kind = RETYPE, .name = "transformer.h.0.attn.c_attn.weight", .type = HONE_U8}},
         HONE_MISMATCH,
         {"transformer.h.0.attn.c_attn.weight expected F32", "found U8"}},
        {"a mixture of float types",
         {{.kind = RETYPE, .name = "transformer.ln_f.bias", .type = HONE_F16},
          {.kind = RETYPE, .name = "transformer.wte.weight", .type = HONE_BF16}},
         HONE_OK,
         {0}},
        {"buffers of old checkpoints",
         {{.kind = ADD, .name = "transformer.wpe.weight", .other = "transformer.h.0.attn.bias"},
          {.kind = ADD, .name = "transformer.ln_f.bias", .other = "h.1.attn.masked_bias"}},
         HONE_OK,
         {0}},
        {"a head that is the embedding",
         {{.kind = ADD, .name = "transformer.wte.weight", .other = "lm_head.weight"}},
         HONE_OK,
         {0}},
        {"a head that is another",
         {{.kind = ADD, .name = "transformer.wte.weight", .other = "lm_head.weight"},
          {.kind = SET, .name = "lm_head.weight", .value = 3.0f}},
         HONE_OK,
         {0}},
        {"a head of another shape",
         {{.kind = ADD, .name = "transformer.wte.weight", .other = "lm_head.weight"},
          {.kind = RESHAPE, .name = "lm_head.weight", .rows = 100, .columns = 33}},
         HONE_MISMATCH,
         {"wrong shape: lm_head.weight expected (101, 33), found (100, 33)"}},
        {"only a head, which is tied",
         {{.kind = RENAME, .name = "transformer.wte.weight", .other = "lm_head.weight"}},
         HONE_OK,
         {0}},
        {"neither embedding nor head",
         {{.kind = DROP, .name = "transformer.wte.weight"}},
         HONE_MISMATCH,
         {"missing: transformer.wte.weight, nor lm_head.weight, which is tied to it"}},
        {"the same weight under both names",
         {{.kind = ADD, .name = "transformer.wte.weight", .other = "wte.weight"}},
         HONE_MISMATCH,
         {"unexpected: wte.weight"}},
        {"names that steer a terminal",
         {{.kind = ADD, .name = "transformer.ln_f.bias", .other = "\x1b[2Jx\nhone: well"}},
         HONE_MISMATCH,
         {"unexpected: \\x1b[2Jx\\x0ahone: well"}},
        {"another model altogether",
         {{.kind = RENAME, .name = "transformer.wte.weight", .other = "model.embed_tokens.weight"}},
         HONE_MISMATCH,
         {"missing: transformer.wte.weight", "unexpected: model.embed_tokens.weight"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_error problem;
        fresh_folder(GOLDEN("gpt2-odd"));
        rewrite_tensors(GOLDEN("gpt2-odd/model.safetensors"), in_folder("model.safetensors"),
                        cases[i].edits);
        for (int to_train = 0; to_train < 2; to_train++)
            assert_told(cases[i].what, open_folder((opening){.to_train = to_train}, &problem),
                        &problem, cases[i].status, cases[i].says);
    }
}

/* ---- values that are not finite ------------------------------------------------------------ */

static hone_status train_on(const char *run, const char *method, hone_error *problem)
{
    hone_run_settings settings;
    hone_trainer *trainer;
    init_settings(&settings, run, "init=pretrained", "max_steps=2", "save_steps=1", NULL);
    set_option(&settings, "model", folder);
    set_option(&settings, "method", method);
    hone_status status = hone_trainer_create(&settings, NULL, &trainer, problem);
    if (status == HONE_OK) {
        status = hone_trainer_run(trainer, problem);
        hone_trainer_free(trainer);
    }
    deinit_settings(&settings);
    return status;
}

static hone_status evaluate(hone_error *problem)
{
    hone_run_settings settings;
    hone_model *model;
    hone_evaluation found;
    init_settings(&settings, NULL, "init=pretrained", NULL);
    set_option(&settings, "model", folder);
    assert_ok(hone_model_open(&settings.model, NULL, &model, error));
    hone_evaluate_options options = {
        .data = settings.train.train, .settings = &settings.data, .batch_size = 2};
    hone_status status = hone_evaluate(model, &options, &found, problem);
    hone_model_close(model);
    deinit_settings(&settings);
    return status;
}

static hone_status generate(hone_error *problem)
{
    static const int32_t ids[] = {1, 2, 3};
    const hone_prompt prompt = {ids, 3};
    hone_run_settings settings;
    hone_model *model;
    hone_generate_settings how;
    hone_option_set set = hone_generate_option_set(&how);
    hone_generate_options options = {.settings = &how};
    init_settings(&settings, NULL, "init=pretrained", NULL);
    set_option(&settings, "model", folder);
    assert_ok(hone_options_init(&set, error));
    assert_ok(hone_model_open(&settings.model, NULL, &model, error));
    hone_status status = hone_generate(model, &prompt, 1, &options, problem);
    hone_model_close(model);
    hone_options_deinit(&set);
    deinit_settings(&settings);
    return status;
}

static void assert_nothing_saved(const char *run)
{
    char path[1024];
    static const char *const names[] = {"adapter", "model", "checkpoints"};
    for (int i = 0; i < 3; i++) {
        char **entries;
        size_t count;
        snprintf(path, sizeof path, "%s/%s", run, names[i]);
        if (!hone_folder_exists(path))
            continue;
        assert_ok(hone_folder_list(path, &entries, &count, error));
        if (count > 0)
            fail_msg("%s holds %s", path, entries[0]);
        hone_names_free(entries, count);
    }
}

static void weights_that_are_not_finite(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        edit edits[2];
        hone_status status;
    } cases[] = {
        {"finite", {{.kind = SET, .name = "transformer.ln_f.weight", .value = 1.0f}}, HONE_OK},
        {"NaN in the last norm",
         {{.kind = SET, .name = "transformer.ln_f.weight", .value = NAN}},
         HONE_NUMERIC},
        {"NaN in a matrix",
         {{.kind = SET, .name = "transformer.h.0.mlp.c_fc.weight", .value = NAN}},
         HONE_NUMERIC},
        {"infinity in a bias",
         {{.kind = SET, .name = "transformer.h.1.attn.c_proj.bias", .value = INFINITY}},
         HONE_NUMERIC},
        {"too large for the sums",
         {{.kind = SET, .name = "transformer.ln_f.weight", .value = 3e38f}},
         HONE_NUMERIC},
    };
    static const char *const methods[] = {"lora", "ia3", "full"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_error problem;
        const char *none[3] = {0}, *step[3] = {"step 1: the ", "no step was taken"};
        char run[512];
        snprintf(run, sizeof run, "%s", in_scratch("run"));
        fresh_folder(GOLDEN("gpt2-odd"));
        rewrite_tensors(GOLDEN("gpt2-odd/model.safetensors"), in_folder("model.safetensors"),
                        cases[i].edits);
        uint64_t before = hash_folder(folder);
        for (int m = 0; m < 3; m++) {
            assert_ok(hone_folder_remove(run, error));
            assert_told(cases[i].what, train_on(run, methods[m], &problem), &problem,
                        cases[i].status, cases[i].status == HONE_OK ? none : step);
            if (cases[i].status != HONE_OK)
                assert_nothing_saved(run);
        }
        assert_told(cases[i].what, evaluate(&problem), &problem, cases[i].status, none);
        assert_told(cases[i].what, generate(&problem), &problem, cases[i].status, none);
        assert_true(hash_folder(folder) == before); /* the base is only read */
    }
}

/* ---- files that are not files -------------------------------------------------------------- */

typedef enum stand_in { FIFO, FOLDER, DEVICE, DANGLING, EMPTY, STAND_INS } stand_in;

static void put_stand_in(const char *path, stand_in kind)
{
    unlink(path);
    switch (kind) {
    case FIFO: assert_int_equal(mkfifo(path, 0600), 0); break;
    case FOLDER: assert_int_equal(mkdir(path, 0700), 0); break;
    case DEVICE: assert_int_equal(symlink("/dev/zero", path), 0); break;
    case DANGLING: assert_int_equal(symlink("/nowhere/at/all", path), 0); break;
    case EMPTY: write_text(path, ""); break;
    case STAND_INS: break;
    }
}

static void what_is_no_file_is_refused(void **state)
{
    (void)state;
    static const char *const says[STAND_INS] = {
        "found a device, pipe or socket", "expected a regular file, found a folder",
        "found a device, pipe or socket", "cannot open: No such file or directory", NULL};
    static const struct {
        const char *name, *golden;
        opening how;
    } cases[] = {
        {"config.json", GOLDEN("gpt2-odd"), {0}},
        {"model.safetensors", GOLDEN("gpt2-odd"), {0}},
        {"pytorch_model.bin", GOLDEN("gpt2-bin"), {0}},
        {"model.safetensors.index.json", GOLDEN("gpt2-sharded"), {0}},
        {"model-00002-of-00002.safetensors", GOLDEN("gpt2-sharded"), {0}},
        {"tokenizer.json", GOLDEN("gpt2-odd"), {0}},
        {"vocab.json", GOLDEN("gpt2-odd"), {0}},
        {"merges.txt", GOLDEN("gpt2-odd"), {0}},
        {"tokenizer_config.json", GOLDEN("gpt2-odd"), {0}},
        {"adapter_config.json", GOLDEN("gpt2-odd"), {.with_adapter = true}},
        {"adapter_model.safetensors", GOLDEN("gpt2-odd"), {.with_adapter = true}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (stand_in kind = 0; kind < STAND_INS; kind++) {
            hone_error problem;
            char what[96], path[1024];
            fresh_folder(cases[i].golden);
            fresh_adapter(GOLDEN("gpt2-odd/lora"));
            bool tokenizer = strchr(cases[i].name, '-') == NULL && !cases[i].how.with_adapter;
            if (tokenizer && strstr("vocab.json merges.txt tokenizer_config.json", cases[i].name))
                copy_folder("tests/cli/data/bytes", folder);
            snprintf(path, sizeof path, "%s/%s", cases[i].how.with_adapter ? adapter : folder,
                     cases[i].name);
            put_stand_in(path, kind);
            snprintf(what, sizeof what, "%s, stand-in %d", cases[i].name, (int)kind);
            hone_status status = open_folder(cases[i].how, &problem);
            /* merges.txt may well be empty. */
            if (kind == EMPTY && strcmp(cases[i].name, "merges.txt") == 0) {
                assert_int_equal(status, HONE_OK);
                continue;
            }
            assert_told(what, status, &problem, kind == DANGLING ? HONE_IO : HONE_INPUT,
                        (const char *const[3]){cases[i].name, says[kind]});
        }
}

/* ---- shards -------------------------------------------------------------------------------- */

static void an_index_stays_in_its_folder(void **state)
{
    (void)state;
    static const struct {
        const char *shard; /* JSON; NULL: as it is */
        hone_status status;
        const char *says[3];
    } cases[] = {
        {NULL, HONE_OK, {0}},
        {"\"../model-00001-of-00002.safetensors\"",
         HONE_INPUT,
         {"model.safetensors.index.json", "in the same folder, found '../model-00001"}},
        {"\"/etc/passwd\"", HONE_INPUT, {"found '/etc/passwd'"}},
        {"\"/tmp/x.safetensors\"", HONE_INPUT, {"found '/tmp/x.safetensors'"}},
        {"\"sub/x.safetensors\"", HONE_INPUT, {"found 'sub/x.safetensors'"}},
        {"\"..\\\\x.safetensors\"", HONE_INPUT, {"expected the name of a .safetensors file"}},
        {"\"x.safetensors\\u0000.safetensors\"", HONE_INPUT, {"expected the name"}},
        {"\"..\"", HONE_INPUT, {"expected the name"}},
        {"\"\"", HONE_INPUT, {"expected the name"}},
        {"\"config.json\"", HONE_INPUT, {"expected the name of a .safetensors file"}},
        {"7", HONE_INPUT, {"expected a file name, found an integer"}},
        {"null", HONE_INPUT, {"expected a file name, found null"}},
        {"\"model-00003-of-00002.safetensors\"",
         HONE_IO,
         {"model-00003-of-00002.safetensors: cannot open"}},
        {"\"model-00002-of-00002.safetensors\"", HONE_INPUT, {"are not in their shards: 'h.0"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_error problem;
        hone_json *index, *shard;
        fresh_folder(GOLDEN("gpt2-sharded"));
        assert_ok(
            hone_json_load(in_folder("model.safetensors.index.json"), 1 << 20, &index, error));
        if (cases[i].shard != NULL) {
            assert_ok(
                hone_json_parse(cases[i].shard, strlen(cases[i].shard), "case", 1, &shard, error));
            assert_true(
                hone_json_set(hone_json_get(index, "weight_map"), "h.0.attn.c_attn.weight", shard));
        }
        char *text = hone_json_dump(index, (hone_json_format){0, false, 9});
        write_text(in_folder("model.safetensors.index.json"), text);
        hone_free(text);
        hone_json_free(index);
        assert_told(cases[i].shard != NULL ? cases[i].shard : "as it is",
                    open_folder((opening){0}, &problem), &problem, cases[i].status, cases[i].says);
    }
}

/* ---- adapters ------------------------------------------------------------------------------ */

#define TENSOR "base_model.model.transformer.h.0.attn.c_attn.lora_A.weight"

static void adapters_that_do_not_fit(void **state)
{
    (void)state;
    static const struct {
        const char *what, *golden;
        bool partial;
        edit edits[3];
        hone_status status;
        const char *says[3];
    } cases[] = {
        {"its own", GOLDEN("gpt2-odd/lora"), false, {{0}}, HONE_OK, {0}},
        {"IA3", GOLDEN("gpt2-odd/ia3"), false, {{0}}, HONE_OK, {0}},
        {"of another base",
         GOLDEN("gpt2-bin/lora"),
         false,
         {{0}},
         HONE_MISMATCH,
         {"shape", "expected ("}},
        {"of another base, partly",
         GOLDEN("gpt2-bin/lora"),
         true,
         {{0}},
         HONE_MISMATCH,
         {"shape", "expected ("}},
        {"without one tensor",
         GOLDEN("gpt2-odd/lora"),
         false,
         {{.kind = DROP, .name = TENSOR}},
         HONE_MISMATCH,
         {"missing: " TENSOR, "allow_partial accepts"}},
        {"without one tensor, partly",
         GOLDEN("gpt2-odd/lora"),
         true,
         {{.kind = DROP, .name = TENSOR}},
         HONE_OK,
         {0}},
        {"with one more",
         GOLDEN("gpt2-odd/lora"),
         false,
         {{.kind = ADD, .name = TENSOR, .other = TENSOR "s"}},
         HONE_MISMATCH,
         {"unexpected: " TENSOR "s; nearest expected: " TENSOR}},
        {"with one more, partly",
         GOLDEN("gpt2-odd/lora"),
         true,
         {{.kind = ADD, .name = TENSOR, .other = TENSOR "s"}},
         HONE_MISMATCH,
         {"unexpected: " TENSOR "s"}},
        {"a misspelt one",
         GOLDEN("gpt2-odd/lora"),
         false,
         {{.kind = RENAME, .name = TENSOR, .other = TENSOR "s"}},
         HONE_MISMATCH,
         {"missing: " TENSOR "; nearest there: " TENSOR "s", "unexpected: " TENSOR "s"}},
        {"of another rank",
         GOLDEN("gpt2-odd/lora"),
         false,
         {{.kind = RESHAPE, .name = TENSOR, .rows = 4, .columns = 33}},
         HONE_MISMATCH,
         {TENSOR ": shape (4, 33), expected (3, 33)"}},
        {"of integers",
         GOLDEN("gpt2-odd/lora"),
         false,
         {{.kind = RETYPE, .name = TENSOR, .type = HONE_I32}},
         HONE_MISMATCH,
         {TENSOR ": type I32, expected F32, F16 or BF16"}},
    };
    fresh_folder(GOLDEN("gpt2-odd"));
    uint64_t before = hash_folder(folder);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char from[256];
        fresh_adapter(cases[i].golden);
        snprintf(from, sizeof from, "%s/adapter_model.safetensors", cases[i].golden);
        if (cases[i].edits[0].name != NULL)
            rewrite_tensors(from, in_scratch("adapter/adapter_model.safetensors"), cases[i].edits);
        for (int to_train = 0; to_train < 2; to_train++) {
            hone_error problem;
            hone_status status = open_folder((opening){true, to_train, cases[i].partial}, &problem);
            if (cases[i].partial && !to_train) /* what is used must be whole */
                continue;
            assert_told(cases[i].what, status, &problem, cases[i].status, cases[i].says);
            if (status == HONE_OK && cases[i].partial)
                assert_non_null(strstr(remarks, "lacks 1 of"));
        }
    }
    assert_true(hash_folder(folder) == before);
}

static void adapter_settings_that_do_not_fit(void **state)
{
    (void)state;
    static const struct {
        const char *changes;
        hone_status status;
        const char *says[3];
    } cases[] = {
        {"{}", HONE_OK, {0}},
        {"{\"r\": 4}", HONE_MISMATCH, {"shape (3, 33), expected (4, 33)"}},
        {"{\"r\": 0}", HONE_INPUT, {"adapter_config.json", "r: expected 1 to 65536, found 0"}},
        {"{\"r\": \"3\"}", HONE_INPUT, {"r: expected", "found a string"}},
        {"{\"r\": 1e9, \"lora_alpha\": []}", HONE_INPUT, {"r: expected", "lora_alpha: expected"}},
        {"{\"peft_type\": \"PREFIX_TUNING\"}", HONE_INPUT, {"PREFIX_TUNING"}},
        {"{\"task_type\": \"SEQ_CLS\"}", HONE_INPUT, {"task_type", "SEQ_CLS"}},
        {"{\"target_modules\": [\"q_proj\"]}", HONE_MISMATCH, {"adapter_config.json", "q_proj"}},
        {"{\"target_modules\": [\"c_attn\"]}", HONE_MISMATCH, {"unexpected: "}},
        {"{\"target_modules\": 7}", HONE_INPUT, {"target_modules"}},
        {"{\"use_dora\": true}", HONE_INPUT, {"use_dora is set, and hone does not support it"}},
        {"{\"lora_alfa\": 3}", HONE_INPUT, {"unknown key 'lora_alfa'", "lora_alpha"}},
    };
    fresh_folder(GOLDEN("gpt2-odd"));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_error problem;
        hone_json *config, *edits, *value;
        const char *key;
        fresh_adapter(GOLDEN("gpt2-odd/lora"));
        assert_ok(
            hone_json_load(in_scratch("adapter/adapter_config.json"), 1 << 20, &config, error));
        assert_ok(
            hone_json_parse(cases[i].changes, strlen(cases[i].changes), "case", 1, &edits, error));
        for (void *cursor = NULL; hone_json_next(edits, &cursor, &key, &value);)
            assert_true(hone_json_set(config, key, hone_json_share(value)));
        char *text = hone_json_dump(config, (hone_json_format){0, false, 9});
        write_text(in_scratch("adapter/adapter_config.json"), text);
        hone_free(text);
        hone_json_free(edits);
        hone_json_free(config);
        assert_told(cases[i].changes, open_folder((opening){.with_adapter = true}, &problem),
                    &problem, cases[i].status, cases[i].says);
    }
}

/* ---- tokenizers and outputs ---------------------------------------------------------------- */

static void a_tokenizer_with_more_ids_than_the_model(void **state)
{
    (void)state;
    static const struct {
        const char *rows;
        hone_status status;
        const char *says[3];
    } cases[] = {
        {"{\"text\": \"ABC\"}\n{\"text\": \"01z\"}\n", HONE_OK, {0}},
        {"{\"text\": \"ABC\"}\n{\"text\": \"A B\"}\n",
         HONE_MISMATCH,
         {"train.jsonl:2: ", "the tokenizer gives token 220, but the model knows 0 to 100"}},
    };
    fresh_folder(GOLDEN("gpt2-odd"));
    copy_folder("tests/cli/data/bytes", folder);
    char *rows = read_text(in_scratch("train.jsonl"), NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_error problem;
        hone_run_settings settings;
        hone_trainer *trainer;
        assert_int_equal(open_folder((opening){0}, &problem), HONE_OK);
        assert_non_null(strstr(remarks, "the tokenizer has ids up to 255, the model up to 100"));
        write_text(in_scratch("train.jsonl"), cases[i].rows);
        init_settings(&settings, NULL, "init=pretrained", "append_eos=false", NULL);
        set_option(&settings, "model", folder);
        hone_status status = hone_trainer_create(&settings, NULL, &trainer, &problem);
        hone_trainer_free(trainer);
        deinit_settings(&settings);
        assert_told(cases[i].rows, status, &problem, cases[i].status, cases[i].says);
    }
    write_text(in_scratch("train.jsonl"), rows);
    hone_free(rows);
}

static void the_base_is_never_written_over(void **state)
{
    (void)state;
    hone_run_settings settings;
    hone_model *model;
    hone_error problem;
    char same[600];
    fresh_folder(GOLDEN("gpt2-odd"));
    fresh_adapter(GOLDEN("gpt2-odd/lora"));
    snprintf(same, sizeof same, "%s/.", folder);
    uint64_t before = hash_folder(folder);
    const char *const says[3] = {"the base model is in this folder"};
    for (int full = 0; full < 2; full++) {
        init_settings(&settings, NULL, "init=pretrained", "method=full", NULL);
        set_option(&settings, "model", folder);
        if (!full)
            set_option(&settings, "adapter", adapter);
        assert_ok(hone_model_open(&settings.model, full ? &settings.adapter : NULL, &model, error));
        assert_told("the base as the output",
                    full ? hone_model_save(model, same, &problem)
                         : hone_model_merge(model, same, &problem),
                    &problem, HONE_USAGE, says);
        assert_true(hash_folder(folder) == before);
        assert_ok(full ? hone_model_save(model, in_scratch("other"), error)
                       : hone_model_merge(model, in_scratch("other"), error));
        hone_model_close(model);
        deinit_settings(&settings);
    }
}

static int prepare(void **state)
{
    if (make_scratch(state) != 0)
        return 1;
    snprintf(folder, sizeof folder, "%s", in_scratch("folder"));
    snprintf(adapter, sizeof adapter, "%s", in_scratch("adapter"));
    write_rows(in_scratch("train.jsonl"), 5, 0);
    alarm(300); /* nothing here may wait for ever */
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_that_do_not_fit),
        cmocka_unit_test(weights_that_are_not_finite),
        cmocka_unit_test(what_is_no_file_is_refused),
        cmocka_unit_test(an_index_stays_in_its_folder),
        cmocka_unit_test(adapters_that_do_not_fit),
        cmocka_unit_test(adapter_settings_that_do_not_fit),
        cmocka_unit_test(a_tokenizer_with_more_ids_than_the_model),
        cmocka_unit_test(the_base_is_never_written_over),
    };
    return cmocka_run_group_tests(tests, prepare, remove_scratch);
}
