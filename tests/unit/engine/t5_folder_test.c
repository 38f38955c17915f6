/* The traps of T5 folders: one model under other names, with other words in its config.json. Each
 * case changes a golden folder, whose numbers are PyTorch's (tests/golden), and says whether the
 * loss stays what it was. */
#include "../train/train_support.h"
#include "base/files.h"
#include "base/memory.h"
#include "engine/model.h"
#include "file/tensor_file.h"

#include <hone/evaluate.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST_TENSORS = 96 };

/* What a folder holds of the embedding and head. */
#define SHARED "shared.weight"
#define ENCODER "encoder.embed_tokens.weight"
#define DECODER "decoder.embed_tokens.weight"
#define HEAD "lm_head.weight"

typedef struct change {
    const char *what;
    const char *golden;          /* folder that is changed */
    const char *names[5];        /* that the embedding gets, in place of shared.weight */
    const char *other;           /* one of them whose values are another's, or NULL */
    const char *from[3], *to[3]; /* replaced in config.json */
    const char *like;            /* case whose loss it has; NULL: refused */
} change;

/* "scaled" and "plain" are the golden folders as they are; "unscaled" is told apart by its loss. */
static const change changes[] = {
    {"scaled", "t5-odd", {SHARED}, NULL, {NULL}, {NULL}, "scaled"},
    {"encoder's name", "t5-odd", {ENCODER}, NULL, {NULL}, {NULL}, "scaled"},
    {"decoder's name", "t5-odd", {DECODER}, NULL, {NULL}, {NULL}, "scaled"},
    {"head's name", "t5-odd", {HEAD}, NULL, {NULL}, {NULL}, "scaled"},
    {"two names", "t5-odd", {DECODER, HEAD}, NULL, {NULL}, {NULL}, "scaled"},
    {"all names", "t5-odd", {SHARED, ENCODER, DECODER, HEAD}, NULL, {NULL}, {NULL}, "scaled"},
    {"no name", "t5-odd", {NULL}, NULL, {NULL}, {NULL}, NULL},
    {"names that differ", "t5-odd", {SHARED, ENCODER}, ENCODER, {NULL}, {NULL}, NULL},
    {"a head of its own", "t5-odd", {SHARED, HEAD}, HEAD, {NULL}, {NULL}, "own head"},
    {"own head",
     "t5-odd",
     {SHARED, HEAD},
     HEAD,
     {"\"tie_word_embeddings\": true"},
     {"\"tie_word_embeddings\": false"},
     "own head"},
    {"no scale's key",
     "t5-odd",
     {SHARED},
     NULL,
     {"\"scale_decoder_outputs\": true,"},
     {""},
     "scaled"},
    {"unscaled",
     "t5-odd",
     {SHARED},
     NULL,
     {"\"scale_decoder_outputs\": true"},
     {"\"scale_decoder_outputs\": false"},
     "unscaled"},
    {"untied without the key",
     "t5-odd",
     {SHARED},
     NULL,
     {"\"scale_decoder_outputs\": true,", "\"tie_word_embeddings\": true"},
     {"", "\"tie_word_embeddings\": false"},
     "unscaled"},
    {"untied with the key",
     "t5-odd",
     {SHARED},
     NULL,
     {"\"tie_word_embeddings\": true"},
     {"\"tie_word_embeddings\": false"},
     "scaled"},
    {"start is the padding",
     "t5-odd",
     {SHARED},
     NULL,
     {"\"decoder_start_token_id\": 0,"},
     {""},
     "scaled"},
    {"another start",
     "t5-odd",
     {SHARED},
     NULL,
     {"\"decoder_start_token_id\": 0,"},
     {"\"decoder_start_token_id\": 5,"},
     "another start"},
    {"no such start",
     "t5-odd",
     {SHARED},
     NULL,
     {"\"decoder_start_token_id\": 0,"},
     {"\"decoder_start_token_id\": 101,"},
     NULL},
    {"no decoder's layers", "t5-odd", {SHARED}, NULL, {"\"num_decoder_layers\": 2,"}, {""}, NULL},
    {"no encoder",
     "t5-odd",
     {SHARED},
     NULL,
     {"\"is_encoder_decoder\": true"},
     {"\"is_encoder_decoder\": false"},
     NULL},
    {"plain", "t5-gated", {SHARED, ENCODER}, NULL, {NULL}, {NULL}, "plain"},
    {"gated-gelu means gelu_new",
     "t5-gated",
     {SHARED},
     NULL,
     {"\"dense_act_fn\": \"gelu_new\",", "\"is_gated_act\": true,"},
     {"", ""},
     "plain"},
    {"the exact gelu",
     "t5-gated",
     {SHARED},
     NULL,
     {"\"dense_act_fn\": \"gelu_new\""},
     {"\"dense_act_fn\": \"gelu\""},
     "the exact gelu"},
    {"an unknown activation",
     "t5-gated",
     {SHARED},
     NULL,
     {"\"dense_act_fn\": \"gelu_new\",", "gated-gelu"},
     {"", "gated-mish"},
     NULL},
};

enum { CHANGES = sizeof changes / sizeof changes[0] };

/* A folder's tensors as they will be written. */
typedef struct content {
    hone_tensor_out tensors[MOST_TENSORS];
    size_t count;
    float *embedding;
    int64_t rows, columns;
} content;

static bool is_embedding(const char *name)
{
    return strcmp(name, SHARED) == 0 || strcmp(name, ENCODER) == 0 || strcmp(name, DECODER) == 0;
}

static void add(content *c, const char *name, const hone_stored_tensor *stored, float *values)
{
    hone_tensor_out *out = &c->tensors[c->count++];
    assert_true(c->count <= MOST_TENSORS);
    *out = (hone_tensor_out){
        .name = name, .dtype = HONE_F32, .stored = HONE_F32, .dims = stored->dims, .data = values};
    memcpy(out->shape, stored->shape, sizeof stored->shape);
}

/* The golden folder's tensors; the embedding under the names of the case. `other` of them gets a
 * value of its own. */
static void collect(const hone_weight_source *source, const change *at, content *c)
{
    const hone_stored_tensor *embedding = hone_weight_source_find(source, SHARED);
    for (size_t i = 0; i < hone_weight_source_count(source); i++) {
        const hone_stored_tensor *stored = hone_weight_source_at(source, i);
        if (is_embedding(stored->name))
            continue;
        float *values = hone_alloc((size_t)stored->elements * sizeof *values);
        assert_ok(hone_weight_source_read(source, stored, HONE_F32, values, error));
        add(c, stored->name, stored, values);
    }
    for (int n = 0; at->names[n] != NULL; n++) {
        float *values = hone_alloc((size_t)embedding->elements * sizeof *values);
        assert_ok(hone_weight_source_read(source, embedding, HONE_F32, values, error));
        if (at->other != NULL && strcmp(at->other, at->names[n]) == 0)
            values[7] += 0.5f;
        add(c, at->names[n], embedding, values);
    }
}

/* The text of a config.json with the case's replacements. */
static void write_config(const change *at, const char *folder)
{
    char path[160], text[4096], edited[4096];
    snprintf(path, sizeof path, "tests/golden/%s/config.json", at->golden);
    char *whole = read_text(path, NULL);
    snprintf(text, sizeof text, "%s", whole);
    hone_free(whole);
    for (int r = 0; r < 3 && at->from[r] != NULL; r++) {
        char *found = strstr(text, at->from[r]);
        assert_non_null(found);
        snprintf(edited, sizeof edited, "%.*s%s%s", (int)(found - text), text, at->to[r],
                 found + strlen(at->from[r]));
        memcpy(text, edited, sizeof text);
    }
    write_text(in_scratch("%s/config.json", folder), text);
}

static void write_folder(const change *at, const char *folder)
{
    static content c;
    char path[160];
    hone_weight_source *source;
    c = (content){.count = 0};
    snprintf(path, sizeof path, "tests/golden/%s", at->golden);
    assert_ok(hone_folder_make(in_scratch("%s", folder), error));
    assert_ok(hone_weight_source_open(path, "model", &source, error));
    collect(source, at, &c);
    assert_ok(hone_safetensors_write(in_scratch("%s/model.safetensors", folder), c.tensors, c.count,
                                     error));
    hone_weight_source_close(source);
    for (size_t i = 0; i < c.count; i++) {
        union {
            const void *given;
            void *taken;
        } data = {c.tensors[i].data};
        hone_free(data.taken);
    }
    write_config(at, folder);
}

/* Loss on the golden rows; NAN where the folder is refused, with a message. */
static double loss_of(const change *at, const char *folder)
{
    char rows[160];
    hone_error problem = {.message = ""};
    hone_model *model = NULL;
    hone_model_settings settings;
    hone_data_settings data;
    hone_option_set sets[] = {hone_model_option_set(&settings), hone_data_option_set(&data)};
    hone_evaluation result = {.loss = (double)NAN};
    snprintf(rows, sizeof rows, "tests/golden/%s/rows.jsonl", at->golden);
    for (int i = 0; i < 2; i++)
        assert_ok(hone_options_init(&sets[i], error));
    assert_ok(hone_options_set_text(sets, 2, "model", in_scratch("%s", folder), "", error));
    if (hone_model_open(&settings, NULL, &model, &problem) == HONE_OK) {
        const hone_evaluate_options options = {.data = rows, .settings = &data, .batch_size = 8};
        assert_ok(hone_evaluate(model, &options, &result, error));
    } else
        assert_true(problem.message[0] != '\0');
    hone_model_close(model);
    for (int i = 0; i < 2; i++)
        hone_options_deinit(&sets[i]);
    return result.loss;
}

static void one_model_under_other_names_and_words(void **state)
{
    (void)state;
    double losses[CHANGES];
    for (int i = 0; i < CHANGES; i++) {
        char folder[32];
        snprintf(folder, sizeof folder, "case-%d", i);
        write_folder(&changes[i], folder);
        losses[i] = loss_of(&changes[i], folder);
        if (isnan(losses[i]) != (changes[i].like == NULL))
            fail_msg("%s: %s", changes[i].what, isnan(losses[i]) ? "refused" : "not refused");
    }
    /* Equal where they should be, and nowhere else. */
    for (int i = 0; i < CHANGES; i++)
        for (int j = 0; j < i; j++) {
            if (changes[i].like == NULL || changes[j].like == NULL)
                continue;
            bool same = strcmp(changes[i].like, changes[j].like) == 0;
            if ((fabs(losses[i] - losses[j]) < 1e-6) != same)
                fail_msg("%s: loss %.8f; %s: %.8f", changes[i].what, losses[i], changes[j].what,
                         losses[j]);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_model_under_other_names_and_words),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
