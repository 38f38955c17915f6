/* OPT folders as they are met: other names, either name of a tied embedding, switches that change
 * what tensors there must be. What opens gives the golden model's losses; what does not fit is
 * refused by name. */
#include "engine_support.h"
#include "tensor_edits.h"

#include "base/files.h"
#include "base/json.h"
#include "base/memory.h"
#include "engine/model.h"

#include <hone/evaluate.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#define D "model.decoder."
#define EMBEDDING D "embed_tokens.weight"
#define HEAD "lm_head.weight"

static char folder[512];

static void change_config(const char *golden, const char *changes)
{
    hone_json *config, *edits, *value;
    const char *key;
    char path[600];
    snprintf(path, sizeof path, "%s/config.json", golden);
    assert_ok(hone_json_load(path, 1 << 20, &config, error));
    assert_ok(hone_json_parse(changes, strlen(changes), "changes", 1, &edits, error));
    for (void *cursor = NULL; hone_json_next(edits, &cursor, &key, &value);)
        assert_true(hone_json_set(config, key, hone_json_share(value)));
    char *text = hone_json_dump(config, (hone_json_format){0, false, 9});
    snprintf(path, sizeof path, "%s/config.json", folder);
    write_text(path, text);
    hone_free(text);
    hone_json_free(edits);
    hone_json_free(config);
}

/* A golden folder's config.json and tensors, both changed. */
static void make_folder(const char *golden, const char *changes, const edit *edits)
{
    char path[600];
    assert_ok(hone_folder_remove(folder, error));
    assert_ok(hone_folder_make(folder, error));
    change_config(golden, changes);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    rewrite_tensors(golden, path, edits);
}

/* Loss over the rows of a file. */
static hone_status measure(const char *path, const char *rows, double *loss, hone_error *problem)
{
    hone_run_settings settings;
    hone_model *model;
    hone_evaluation found;
    init_settings(&settings, NULL, "init=pretrained", NULL);
    set_option(&settings, "model", path);
    settings.data.append_eos = false;
    hone_status status = hone_model_open(&settings.model, NULL, &model, problem);
    if (status == HONE_OK) {
        hone_evaluate_options options = {.data = rows, .settings = &settings.data, .batch_size = 7};
        status = hone_evaluate(model, &options, &found, problem);
        *loss = found.loss;
        hone_model_close(model);
    }
    deinit_settings(&settings);
    return status;
}

typedef enum outcome { SAME, OTHER, REFUSED } outcome;

typedef struct folder_case {
    const char *what, *changes;
    edit edits[5];
    outcome outcome;
    const char *says[3]; /* REFUSED: parts of the message */
} folder_case;

static void check_case(const char *golden, const folder_case *c)
{
    char rows[600];
    double expected, loss = (double)NAN;
    hone_error problem = {0};
    snprintf(rows, sizeof rows, "%s/rows.jsonl", golden);
    assert_ok(measure(golden, rows, &expected, error));
    make_folder(golden, c->changes, c->edits);
    hone_status status = measure(folder, rows, &loss, &problem);
    if (c->outcome == REFUSED) {
        assert_int_equal(hone_status_exit_code(status), 8);
        for (int i = 0; i < 3 && c->says[i] != NULL; i++)
            if (strstr(problem.message, c->says[i]) == NULL)
                fail_msg("%s: the message lacks \"%s\": %s", c->what, c->says[i], problem.message);
        return;
    }
    if (status != HONE_OK)
        fail_msg("%s: %s", c->what, problem.message);
    if ((fabs(loss - expected) < 1e-9) != (c->outcome == SAME))
        fail_msg("%s: loss %.9f, of the golden folder %.9f", c->what, loss, expected);
}

#define BLOCK D "layers.0."

static void names_and_ties(void **state)
{
    (void)state;
    /* opt-odd is tied, and holds the embedding as lm_head.weight. */
    static const folder_case cases[] = {
        {"the head's name alone", "{}", {{0}}, SAME, {0}},
        {"the embedding's name alone",
         "{}",
         {{.kind = RENAME, .name = HEAD, .other = EMBEDDING}},
         SAME,
         {0}},
        {"both names", "{}", {{.kind = ADD, .name = HEAD, .other = EMBEDDING}}, SAME, {0}},
        {"both names, other values",
         "{}",
         {{.kind = ADD, .name = HEAD, .other = EMBEDDING},
          {.kind = SET, .name = HEAD, .value = 3.0f}},
         OTHER,
         {0}},
        {"neither name",
         "{}",
         {{.kind = DROP, .name = HEAD}},
         REFUSED,
         {"missing: " EMBEDDING ", nor " HEAD ", which is tied to it"}},
        {"untied, the head's name alone",
         "{\"tie_word_embeddings\": false}",
         {{0}},
         REFUSED,
         {"missing: " EMBEDDING}},
        {"untied, the embedding's name alone",
         "{\"tie_word_embeddings\": false}",
         {{.kind = RENAME, .name = HEAD, .other = EMBEDDING}},
         REFUSED,
         {"missing: " HEAD}},
        {"untied, both names of the same values",
         "{\"tie_word_embeddings\": false}",
         {{.kind = ADD, .name = HEAD, .other = EMBEDDING}},
         SAME,
         {0}},
        {"names of a decoder", "{}", {{.kind = STRIP, .name = "model."}}, SAME, {0}},
        {"names of a decoder, with the embedding",
         "{}",
         {{.kind = RENAME, .name = HEAD, .other = EMBEDDING}, {.kind = STRIP, .name = "model."}},
         SAME,
         {0}},
        {"no prefix", "{}", {{.kind = STRIP, .name = D}}, SAME, {0}},
        {"no prefix, both names",
         "{}",
         {{.kind = ADD, .name = HEAD, .other = EMBEDDING}, {.kind = STRIP, .name = D}},
         SAME,
         {0}},
        {"one name of a decoder",
         "{}",
         {{.kind = RENAME,
           .name = D "final_layer_norm.bias",
           .other = "decoder.final_layer_norm.bias"}},
         SAME,
         {0}},
        {"a tensor under two names",
         "{}",
         {{.kind = ADD, .name = BLOCK "fc1.bias", .other = "decoder.layers.0.fc1.bias"}},
         REFUSED,
         {"unexpected: decoder.layers.0.fc1.bias"}},
        {"fairseq's marker",
         "{}",
         {{.kind = ADD, .name = D "final_layer_norm.bias", .other = D "version"}},
         SAME,
         {0}},
        {"another marker",
         "{}",
         {{.kind = ADD, .name = D "final_layer_norm.bias", .other = "versions"}},
         REFUSED,
         {"unexpected: versions"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_case(GOLDEN("opt-odd"), &cases[i]);
}

static void switches_change_what_must_be_there(void **state)
{
    (void)state;
    static const struct {
        const char *golden;
        folder_case c;
    } cases[] = {
        {GOLDEN("opt-odd"),
         {"positions without the two unused rows",
          "{}",
          {{.kind = RESHAPE, .name = D "embed_positions.weight", .rows = 37, .columns = 33}},
          REFUSED,
          {D "embed_positions.weight expected (39, 33), found (37, 33)"}}},
        {GOLDEN("opt-odd"),
         {"one position less",
          "{\"max_position_embeddings\": 36}",
          {{0}},
          REFUSED,
          {D "embed_positions.weight expected (38, 33), found (39, 33)"}}},
        {GOLDEN("opt-odd"),
         {"no biases",
          "{\"enable_bias\": false}",
          {{0}},
          REFUSED,
          {"unexpected: " BLOCK "fc1.bias", "unexpected: " BLOCK "self_attn.k_proj.bias"}}},
        {GOLDEN("opt-odd"),
         {"norms without weights",
          "{\"layer_norm_elementwise_affine\": false}",
          {{0}},
          REFUSED,
          {"unexpected: " D "final_layer_norm.bias",
           "unexpected: " BLOCK "self_attn_layer_norm.weight"}}},
        {GOLDEN("opt-odd"),
         {"no last norm",
          "{\"_remove_final_layer_norm\": true}",
          {{0}},
          REFUSED,
          {"unexpected: " D "final_layer_norm.bias\n  unexpected: " D "final_layer_norm.weight"}}},
        {GOLDEN("opt-odd"),
         {"no last norm, nor its tensors",
          "{\"_remove_final_layer_norm\": true}",
          {{.kind = DROP, .name = D "final_layer_norm.bias"},
           {.kind = DROP, .name = D "final_layer_norm.weight"}},
          OTHER,
          {0}}},
        {GOLDEN("opt-odd"),
         {"norms behind the sums have no last one",
          "{\"do_layer_norm_before\": false}",
          {{0}},
          REFUSED,
          {"unexpected: " D "final_layer_norm.bias\n  unexpected: " D "final_layer_norm.weight"}}},
        {GOLDEN("opt-odd"),
         {"a narrow embedding",
          "{\"word_embed_proj_dim\": 13}",
          {{0}},
          REFUSED,
          {"wrong shape: " HEAD " expected (101, 13), found (101, 33)",
           "missing: " D "project_in.weight", "missing: " D "project_out.weight"}}},
        {GOLDEN("opt-odd"),
         {"an embedding as wide as the model, by default",
          "{\"word_embed_proj_dim\": null}",
          {{0}},
          SAME,
          {0}}},
        {GOLDEN("opt-odd"),
         {"another activation", "{\"activation_function\": \"gelu\"}", {{0}}, OTHER, {0}}},
        {GOLDEN("opt-post"),
         {"a wide embedding",
          "{\"word_embed_proj_dim\": 21}",
          {{0}},
          REFUSED,
          {"expected (53, 21), found (53, 13)", "unexpected: decoder.project_in.weight",
           "unexpected: decoder.project_out.weight"}}},
        {GOLDEN("opt-post"),
         {"norms before the branches",
          "{\"do_layer_norm_before\": true}",
          {{0}},
          REFUSED,
          {"missing: " D "final_layer_norm.weight"}}},
        {GOLDEN("opt-post"),
         {"norms before the branches, and no last one",
          "{\"do_layer_norm_before\": true, \"_remove_final_layer_norm\": true}",
          {{0}},
          OTHER,
          {0}}},
        {GOLDEN("opt-post"),
         {"no last norm, where there is none",
          "{\"_remove_final_layer_norm\": true}",
          {{0}},
          SAME,
          {0}}},
        {GOLDEN("opt-bare"),
         {"with biases",
          "{\"enable_bias\": true}",
          {{0}},
          REFUSED,
          {"missing: " BLOCK "fc1.bias", "missing: " BLOCK "self_attn.out_proj.bias"}}},
        {GOLDEN("opt-bare"),
         {"with a last norm, which has no weights",
          "{\"_remove_final_layer_norm\": false}",
          {{0}},
          OTHER,
          {0}}},
        {GOLDEN("opt-bare"),
         {"tied, with a head of its own", "{\"tie_word_embeddings\": true}", {{0}}, SAME, {0}}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_case(cases[i].golden, &cases[i].c);
}

/* No tensor says which token is padding; its row alone keeps still. */
static void padding_is_not_trained(void **state)
{
    (void)state;
    static const struct {
        const char *changes;
        int64_t padding; /* -1: none */
    } cases[] = {
        {"{}", 1},
        {"{\"pad_token_id\": 7}", 7},
        {"{\"pad_token_id\": -2}", 99},
        {"{\"pad_token_id\": null}", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_run_settings settings;
        hone_model *model;
        static const edit none[1];
        make_folder(GOLDEN("opt-odd"), cases[i].changes, none);
        init_settings(&settings, NULL, "init=pretrained", NULL);
        set_option(&settings, "model", folder);
        assert_ok(hone_model_open(&settings.model, NULL, &model, error));
        const hone_op *op = &model->program.ops[0];
        assert_int_equal(op->code, HONE_OP_EMBEDDING);
        assert_int_equal(op->as.embedding.pads, cases[i].padding >= 0);
        if (cases[i].padding >= 0)
            assert_int_equal(op->as.embedding.pad_token, cases[i].padding);
        hone_model_close(model);
        deinit_settings(&settings);
    }
}

/* Dropout is on attention and before the two sums of a block, and nowhere else: --model-dropout
 * goes by these marks. */
static void dropout_is_where_transformers_has_it(void **state)
{
    (void)state;
    static const char *const golden[] = {GOLDEN("opt-odd"), GOLDEN("opt-post"), GOLDEN("opt-bare")};
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        hone_run_settings settings;
        hone_model *model;
        int marked[HONE_OP_COUNT] = {0}, all = 0;
        init_settings(&settings, NULL, "init=pretrained", NULL);
        set_option(&settings, "model", golden[i]);
        assert_ok(hone_model_open(&settings.model, NULL, &model, error));
        for (size_t k = 0; k < model->program.op_count; k++) {
            const hone_op *op = &model->program.ops[k];
            if (op->drops) {
                marked[op->code]++;
                all++;
                assert_true(op->layer >= 0);
            }
            assert_true(op->dropout == (op->drops && op->code == HONE_OP_ADD ? 0.1f : 0.0f));
        }
        assert_int_equal(marked[HONE_OP_ATTENTION], 2);
        assert_int_equal(marked[HONE_OP_ADD], 4);
        assert_int_equal(all, 6);
        hone_model_close(model);
        deinit_settings(&settings);
    }
}

static int prepare(void **state)
{
    if (make_scratch(state) != 0)
        return 1;
    snprintf(folder, sizeof folder, "%s", in_scratch("folder"));
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_ties),
        cmocka_unit_test(switches_change_what_must_be_there),
        cmocka_unit_test(padding_is_not_trained),
        cmocka_unit_test(dropout_is_where_transformers_has_it),
    };
    return cmocka_run_group_tests(tests, prepare, remove_scratch);
}
