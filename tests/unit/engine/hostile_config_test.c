/* Every field of a config.json as every type and at every edge opens, or is refused with the file,
 * the key, what was expected and what was found; what hone does not know is remarked on. */
#include "engine_support.h"

#include "base/files.h"
#include "base/json.h"
#include "base/memory.h"
#include "engine/model.h"

#include <hone/log.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char folder[512], config_path[600], remarks[4096];
static const char *golden = GOLDEN("gpt2-odd"); /* what `folder` is a copy of */

static void use_golden(const char *path)
{
    golden = path;
    assert_ok(hone_folder_remove(folder, error));
    copy_folder(path, folder);
}

static void hear(void *context, hone_log_level level, const char *message)
{
    (void)context;
    if (level == HONE_LOG_WARNING) {
        size_t used = strlen(remarks);
        snprintf(remarks + used, sizeof remarks - used, "%s\n", message);
    }
}

/* Opens the scratch model for use. */
static hone_status open_folder(const char *path, hone_error *error)
{
    hone_run_settings settings;
    hone_model *model;
    *error = (hone_error){0};
    remarks[0] = '\0';
    init_settings(&settings, NULL, "init=pretrained", NULL);
    set_option(&settings, "model", path);
    hone_log_set(hear, NULL);
    hone_status status = hone_model_open(&settings.model, NULL, &model, error);
    hone_log_set(NULL, NULL);
    assert_true((model != NULL) == (status == HONE_OK));
    hone_model_close(model);
    deinit_settings(&settings);
    return status;
}

/* The golden config.json with some members replaced: a JSON object, or NULL for none. */
static void write_config(const char *changes)
{
    hone_json *config, *edits = NULL, *value;
    const char *key;
    char path[600];
    snprintf(path, sizeof path, "%s/config.json", golden);
    assert_ok(hone_json_load(path, 1 << 20, &config, error));
    if (changes != NULL)
        assert_ok(hone_json_parse(changes, strlen(changes), "changes", 1, &edits, error));
    for (void *cursor = NULL; edits != NULL && hone_json_next(edits, &cursor, &key, &value);)
        assert_true(hone_json_set(config, key, hone_json_share(value)));
    char *text = hone_json_dump(config, (hone_json_format){0, false, 9});
    write_text(config_path, text);
    hone_free(text);
    hone_json_free(edits);
    hone_json_free(config);
}

static void assert_says(const char *what, const hone_error *error, const char *part)
{
    if (part != NULL && strstr(error->message, part) == NULL)
        fail_msg("%s: the message lacks \"%s\": %s", what, part, error->message);
}

/* HONE_INPUT with the file and the parts. */
static void assert_refused(const char *what, hone_status status, const hone_error *error,
                           const char *part, const char *other)
{
    if (status != HONE_INPUT || error->status != HONE_INPUT)
        fail_msg("%s: status %s, expected INPUT: %s", what, hone_status_name(status),
                 error->message);
    assert_int_equal(hone_status_exit_code(status), 3);
    assert_string_equal(error->file, config_path);
    assert_says(what, error, part);
    assert_says(what, error, other);
}

/* SIZE: from 1; TOKEN: of the vocabulary, also from its end; REAL: from 0 to less than 1; SCALE:
 * from 0; ZERO: a real that must be 0; TRUE: a flag that must be true. */
typedef enum kind { SIZE, SIZE_OR_NULL, TOKEN, REAL, SCALE, ZERO, FLAG, TRUE, TEXT, REFUSED } kind;

typedef struct config_field {
    const char *key;
    kind kind;
} config_field;

static const config_field gpt2_fields[] = {
    {"n_embd", SIZE},
    {"n_head", SIZE},
    {"n_layer", SIZE},
    {"vocab_size", SIZE},
    {"n_positions", SIZE},
    {"n_inner", SIZE_OR_NULL},
    {"layer_norm_epsilon", REAL},
    {"resid_pdrop", REAL},
    {"embd_pdrop", REAL},
    {"attn_pdrop", REAL},
    {"initializer_range", SCALE},
    {"scale_attn_weights", FLAG},
    {"scale_attn_by_inverse_layer_idx", FLAG},
    {"tie_word_embeddings", FLAG},
    {"activation_function", TEXT},
    {"add_cross_attention", REFUSED},
    {"is_encoder_decoder", REFUSED},
    {"quantization_config", REFUSED},
    {"pruned_heads", REFUSED},
};

static const config_field opt_fields[] = {
    {"hidden_size", SIZE},
    {"num_attention_heads", SIZE},
    {"num_hidden_layers", SIZE},
    {"ffn_dim", SIZE},
    {"vocab_size", SIZE},
    {"max_position_embeddings", SIZE},
    {"word_embed_proj_dim", SIZE_OR_NULL},
    {"pad_token_id", TOKEN},
    {"dropout", REAL},
    {"attention_dropout", REAL},
    {"activation_dropout", ZERO},
    {"layerdrop", ZERO},
    {"init_std", SCALE},
    {"do_layer_norm_before", FLAG},
    {"_remove_final_layer_norm", FLAG},
    {"enable_bias", FLAG},
    {"layer_norm_elementwise_affine", FLAG},
    {"tie_word_embeddings", FLAG},
    {"learned_embeddings", TRUE},
    {"activation_function", TEXT},
    {"add_cross_attention", REFUSED},
    {"is_encoder_decoder", REFUSED},
    {"quantization_config", REFUSED},
    {"pruned_heads", REFUSED},
    {"scale_embeddings", REFUSED},
};

/* What a value is, as the messages name it. */
static const struct value {
    const char *json, *name;
    hone_json_type type;
} values[] = {
    {"null", "null", HONE_JSON_NULL},
    {"true", "true or false", HONE_JSON_BOOL},
    {"false", "true or false", HONE_JSON_BOOL},
    {"0", "0", HONE_JSON_INTEGER},
    {"-1", "-1", HONE_JSON_INTEGER},
    {"2147483648", "2147483648", HONE_JSON_INTEGER},
    {"4294967297", "4294967297", HONE_JSON_INTEGER},
    {"9223372036854775807", "9223372036854775807", HONE_JSON_INTEGER},
    {"-9223372036854775808", "-9223372036854775808", HONE_JSON_INTEGER},
    {"1.5", "a number", HONE_JSON_REAL},
    {"-0.0", "a number", HONE_JSON_REAL},
    {"1e300", "a number", HONE_JSON_REAL},
    {"\"\"", "a string", HONE_JSON_STRING},
    {"\"33\"", "a string", HONE_JSON_STRING},
    {"[]", "an array", HONE_JSON_ARRAY},
    {"[33]", "an array", HONE_JSON_ARRAY},
    {"{}", "an object", HONE_JSON_OBJECT},
    {"{\"a\": 1}", "an object", HONE_JSON_OBJECT},
};

/* What must be said of a value for a field, or NULL where the value will do. */
static const char *expected_part(const config_field *field, const struct value *value)
{
    bool integer = value->type == HONE_JSON_INTEGER,
         number = integer || value->type == HONE_JSON_REAL;
    bool zero = strcmp(value->json, "0") == 0 || strcmp(value->json, "-0.0") == 0;
    bool no = value->type == HONE_JSON_NULL || strcmp(value->json, "false") == 0;
    switch (field->kind) {
    case SIZE:
    case SIZE_OR_NULL:
        if (value->type == HONE_JSON_NULL)
            return field->kind == SIZE ? "is missing" : NULL;
        return integer ? "must be from 1 to" : "must be an integer";
    case TOKEN:
        if (value->type == HONE_JSON_NULL || zero || strcmp(value->json, "-1") == 0)
            return integer || value->type == HONE_JSON_NULL ? NULL : "must be an integer";
        return integer ? "must be from -4194304 to 4194304" : "must be an integer";
    case REAL:
    case SCALE:
    case ZERO:
        if (value->type == HONE_JSON_NULL || zero ||
            (field->kind == SCALE && strcmp(value->json, "1.5") == 0))
            return NULL;
        return number ? "must be from 0 to" : "must be a number";
    case FLAG:
    case TRUE:
        if (value->type != HONE_JSON_NULL && value->type != HONE_JSON_BOOL)
            return "must be true or false";
        return field->kind == TRUE && strcmp(value->json, "false") == 0 ? "hone does not support it"
                                                                        : NULL;
    case TEXT:
        if (value->type == HONE_JSON_NULL)
            return NULL;
        return value->type == HONE_JSON_STRING ? "supported are gelu_new" : "must be a string";
    case REFUSED: break;
    }
    bool empty = strcmp(value->json, "[]") == 0 || strcmp(value->json, "{}") == 0;
    return no || empty ? NULL : "hone does not support it";
}

/* A value in a field is refused with the right words, or opens; counted. */
static void try_field(const config_field *field, const struct value *value, int *refused,
                      int *opened)
{
    char changes[128], quoted[64];
    hone_error error;
    snprintf(changes, sizeof changes, "{\"%s\": %s}", field->key, value->json);
    snprintf(quoted, sizeof quoted, "\"%s\"", field->key);
    write_config(changes);
    hone_status status = open_folder(folder, &error);
    const char *part = expected_part(field, value);
    if (part == NULL) {
        /* The value will do; what follows from it may still not fit the tensors. */
        if (status != HONE_OK && status != HONE_MISMATCH)
            fail_msg("%s: %s", changes, error.message);
        *opened += status == HONE_OK;
        return;
    }
    assert_refused(changes, status, &error, quoted, part);
    bool whole = field->kind == SIZE || field->kind == SIZE_OR_NULL || field->kind == TOKEN;
    if (strstr(part, "must be from") != NULL && value->type == HONE_JSON_INTEGER && whole)
        assert_says(changes, &error, value->name);
    if (strstr(part, "must be a") != NULL || strstr(part, "must be true") != NULL)
        assert_says(changes, &error,
                    value->type == HONE_JSON_INTEGER ? "found an integer" : value->name);
    ++*refused;
}

static void every_field_as_every_type(void **state)
{
    (void)state;
    static const struct {
        const char *golden;
        const config_field *fields;
        size_t count;
    } families[] = {
        {GOLDEN("gpt2-odd"), gpt2_fields, sizeof gpt2_fields / sizeof *gpt2_fields},
        {GOLDEN("opt-odd"), opt_fields, sizeof opt_fields / sizeof *opt_fields},
    };
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        int refused = 0, opened = 0;
        use_golden(families[i].golden);
        for (size_t f = 0; f < families[i].count; f++)
            for (size_t v = 0; v < sizeof values / sizeof *values; v++)
                try_field(&families[i].fields[f], &values[v], &refused, &opened);
        print_message("%s: %d values refused, %d opened\n", golden, refused, opened);
        assert_true(refused > 150 && opened > 40);
    }
}

typedef struct edge {
    const char *changes;
    hone_status status;
    const char *says, *also;
} edge;

static void try_edges(const edge *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        hone_error error;
        write_config(cases[i].changes);
        hone_status status = open_folder(folder, &error);
        const char *name = cases[i].changes != NULL ? cases[i].changes : "as it is";
        if (status != cases[i].status)
            fail_msg("%s: %s: %s", name, hone_status_name(status), error.message);
        if (status == HONE_INPUT)
            assert_refused(name, status, &error, cases[i].says, cases[i].also);
        assert_says(name, &error, cases[i].says);
        assert_says(name, &error, cases[i].also);
    }
}

static void edges_and_combinations(void **state)
{
    (void)state;
    use_golden(GOLDEN("gpt2-odd"));
    static const edge cases[] = {
        {NULL, HONE_OK, NULL, NULL},
        {"{\"n_head\": 1}", HONE_OK, NULL, NULL},
        {"{\"n_head\": 33}", HONE_OK, NULL, NULL},
        {"{\"n_head\": 2}", HONE_INPUT, "\"n_embd\" (33) is not a multiple of \"n_head\" (2)",
         NULL},
        {"{\"n_head\": 34}", HONE_INPUT, "not a multiple", NULL},
        {"{\"n_embd\": 36}", HONE_MISMATCH, "wrong shape: transformer.wte.weight",
         "expected (101, 36), found (101, 33)"},
        {"{\"vocab_size\": 100}", HONE_MISMATCH, "expected (100, 33), found (101, 33)", NULL},
        {"{\"vocab_size\": 102}", HONE_MISMATCH, "expected (102, 33), found (101, 33)", NULL},
        {"{\"n_positions\": 38}", HONE_MISMATCH, "transformer.wpe.weight", "expected (38, 33)"},
        {"{\"n_inner\": null}", HONE_MISMATCH, "mlp.c_fc.weight", "expected (33, 132)"},
        {"{\"n_inner\": 70}", HONE_MISMATCH, "mlp.c_proj.weight", "expected (70, 33)"},
        {"{\"n_layer\": 3}", HONE_MISMATCH, "missing: transformer.h.2.ln_1.weight", NULL},
        {"{\"n_layer\": 1}", HONE_MISMATCH, "unexpected: transformer.h.1.ln_1.weight", NULL},
        {"{\"n_layer\": 1024}", HONE_MISMATCH, "missing: transformer.h.2.",
         "and 12256 more missing"},
        /* A hundred terabytes, were it believed before it is compared. */
        {"{\"n_layer\": 1024, \"n_embd\": 65536, \"n_head\": 4096, \"vocab_size\": 4194304,"
         " \"n_inner\": 262144, \"n_positions\": 1048576}",
         HONE_MISMATCH, "expected (4194304, 65536), found (101, 33)", NULL},
        {"{\"tie_word_embeddings\": false}", HONE_MISMATCH, "missing: lm_head.weight", NULL},
        {"{\"model_type\": \"llama\"}", HONE_INPUT, "\"llama\"", "hone knows gpt2"},
        {"{\"model_type\": null}", HONE_INPUT, "\"model_type\" is missing", NULL},
        {"{\"model_type\": 2}", HONE_INPUT, "\"model_type\" must be a string, found an integer",
         NULL},
        {"{\"activation_function\": \"tanh\"}", HONE_INPUT, "is \"tanh\"", "gelu_pytorch_tanh"},
        {"{\"n_head\": 0, \"vocab_size\": \"x\", \"attn_pdrop\": 1, \"tie_word_embeddings\": 3}",
         HONE_INPUT,
         "\"n_head\" must be from 1 to 4096, found 0\n  \"vocab_size\" must be an "
         "integer, found a string\n  \"attn_pdrop\"",
         "\"tie_word_embeddings\""},
        {"{\"n_embd\": null, \"hidden_size\": 33, \"n_layer\": null, \"num_hidden_layers\": 2}",
         HONE_OK, NULL, NULL},
        {"{\"hidden_size\": 33}", HONE_OK, NULL, NULL},
        {"{\"hidden_size\": 34}", HONE_INPUT, "\"n_embd\" and \"hidden_size\"", "differ"},
        {"{\"n_embd\": null, \"hidden_size\": 0}", HONE_INPUT, "\"n_embd\" must be from 1", NULL},
    };
    try_edges(cases, sizeof cases / sizeof *cases);
    assert_int_equal(hone_status_exit_code(HONE_MISMATCH), 8);
}

/* What fits each other in OPT's: opt_folder_test.c has what must fit the tensors. */
static void edges_of_opt(void **state)
{
    (void)state;
    static const edge cases[] = {
        {NULL, HONE_OK, NULL, NULL},
        {"{\"num_attention_heads\": 11}", HONE_OK, NULL, NULL},
        {"{\"num_attention_heads\": 2}", HONE_INPUT,
         "\"hidden_size\" (33) is not a multiple of \"num_attention_heads\" (2)", NULL},
        {"{\"pad_token_id\": 100}", HONE_OK, NULL, NULL},
        {"{\"pad_token_id\": 101}", HONE_INPUT, "\"pad_token_id\" is 101, \"vocab_size\" 101",
         NULL},
        {"{\"pad_token_id\": -101}", HONE_OK, NULL, NULL},
        {"{\"pad_token_id\": -102}", HONE_INPUT, "\"pad_token_id\" is -102, \"vocab_size\" 101",
         NULL},
        {"{\"layerdrop\": 0.1}", HONE_INPUT, "\"layerdrop\" is set; hone does not support it",
         "no layers are dropped"},
        {"{\"activation_dropout\": 0.1, \"learned_embeddings\": false, \"ffn_dim\": 0}", HONE_INPUT,
         "\"ffn_dim\" must be from 1 to 262144, found 0\n  \"activation_dropout\" is set",
         "\n  \"learned_embeddings\" is set"},
        {"{\"scale_embeddings\": true}", HONE_INPUT, "\"scale_embeddings\" is set", NULL},
        {"{\"activation_dropout\": 0.0, \"layerdrop\": 0.0, \"learned_embeddings\": true,"
         " \"scale_embeddings\": false, \"prefix\": \"</s>\"}",
         HONE_OK, NULL, NULL},
        {"{\"vocab_size\": 4194304, \"hidden_size\": 65536, \"num_attention_heads\": 4096,"
         " \"max_position_embeddings\": 1048576, \"num_hidden_layers\": 1024,"
         " \"word_embed_proj_dim\": 65535}",
         HONE_MISMATCH, "expected (4194304, 65535), found (101, 33)", NULL},
    };
    use_golden(GOLDEN("opt-odd"));
    try_edges(cases, sizeof cases / sizeof *cases);
}

static void texts_that_are_no_object(void **state)
{
    (void)state;
    use_golden(GOLDEN("gpt2-odd"));
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "not valid JSON"},
        {"[]", "expected an object, found an array"},
        {"7", "expected an object, found an integer"},
        {"null", "expected an object, found null"},
        {"{\"model_type\": \"gpt2\"", "not valid JSON"},
        {"{\"model_type\": \"gpt2\"}}", "not valid JSON"},
        {"\xef\xbb\xbf{}", "not valid JSON"},
        {"{\"n_head\": 3, \"n_head\": 3}", "duplicate"},
        {"{\"n_head\": 99999999999999999999}", "too big integer"},
        {"{\"resid_pdrop\": NaN}", "not valid JSON"},
        {"{}", "\"model_type\" is missing"},
        {"{\"model_type\": \"gpt2\"}", "\"n_embd\" is missing\n  the key \"n_head\" is missing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_error error;
        write_text(config_path, cases[i].text);
        assert_refused(cases[i].text, open_folder(folder, &error), &error, cases[i].says, NULL);
    }
}

/* A whole config.json cut at every byte is refused, or opens where only blanks are cut. */
static void a_text_cut_anywhere(void **state)
{
    (void)state;
    size_t size;
    char *text = read_text(GOLDEN("gpt2-odd/config.json"), &size);
    size_t end = size;
    while (text[end - 1] != '}')
        end--;
    for (size_t cut = 0; cut < end; cut += 3) {
        hone_error error;
        char kept = text[cut];
        text[cut] = '\0';
        write_text(config_path, text);
        text[cut] = kept;
        assert_refused("a cut config.json", open_folder(folder, &error), &error, "JSON", NULL);
    }
    hone_free(text);
}

static void unknown_keys_are_remarked_on(void **state)
{
    (void)state;
    static const struct {
        const char *changes, *says;
    } cases[] = {
        {"{\"n_emdb\": 33}", "this key: \"n_emdb\"\n"},
        {"{\"rope_theta\": 1, \"window\": [1]}", "these keys: \"rope_theta\", \"window\"\n"},
        {"{\"k1\":0,\"k2\":0,\"k3\":0,\"k4\":0,\"k5\":0,\"k6\":0,\"k7\":0,\"k8\":0,\"k9\":0}",
         "\"k8\" and 1 more\n"},
        {"{\"\\u001b[2J\": 1}", "this key: \"\\x1b[2J\"\n"},
        /* Harmless: what Transformers writes, or once wrote. */
        {"{\"_name_or_path\": \"x\", \"torch_dtype\": \"float32\", \"n_ctx\": 37, \"id2label\": {},"
         " \"task_specific_params\": {\"a\": 1}, \"gradient_checkpointing\": false,"
         " \"use_bfloat16\": false, \"output_past\": true, \"return_dict\": true,"
         " \"hidden_size\": 33, \"num_attention_heads\": 3}",
         NULL},
        {NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_error error;
        write_config(cases[i].changes);
        assert_int_equal(open_folder(folder, &error), HONE_OK);
        if (cases[i].says == NULL)
            assert_string_equal(remarks, "");
        else if (strstr(remarks, cases[i].says) == NULL || strstr(remarks, "config.json") == NULL)
            fail_msg("%s: remark \"%s\"", cases[i].changes, remarks);
    }
    static const char *const clean[] = {
        GOLDEN("gpt2-odd"), GOLDEN("gpt2-sharded"), GOLDEN("gpt2-bin"), "models/tiny-gpt2",
        GOLDEN("opt-odd"),  GOLDEN("opt-post"),     GOLDEN("opt-bare")};
    for (size_t i = 0; i < sizeof clean / sizeof *clean; i++) {
        hone_error error;
        assert_int_equal(open_folder(clean[i], &error), HONE_OK);
        assert_string_equal(remarks, "");
    }
}

static int prepare(void **state)
{
    if (make_scratch(state) != 0)
        return 1;
    snprintf(folder, sizeof folder, "%s", in_scratch("folder"));
    snprintf(config_path, sizeof config_path, "%s/config.json", folder);
    alarm(120); /* nothing here may wait for ever */
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_as_every_type),
        cmocka_unit_test(edges_and_combinations),
        cmocka_unit_test(edges_of_opt),
        cmocka_unit_test(texts_that_are_no_object),
        cmocka_unit_test(a_text_cut_anywhere),
        cmocka_unit_test(unknown_keys_are_remarked_on),
    };
    return cmocka_run_group_tests(tests, prepare, remove_scratch);
}
