/* GPT-2: config.json to program.
 * Source:  Radford et al. 2019; names and arithmetic as Transformers' GPT2LMHeadModel.
 * Layout:  its linears are Conv1D: stored (in,out). Pre-norm blocks, learned positions. */
#include "model/builder.h"
#include "model/config.h"
#include "model/family.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct gpt2 {
    int64_t width, inner, heads, layers, vocabulary, positions;
    double epsilon, residual_dropout, embedding_dropout, attention_dropout, init;
    bool scale_scores, scale_by_layer, tied;
    hone_activation activation;
} gpt2;

#define FIELD(key, kind, absent, least, most, member)                                              \
    HONE_CONFIG_FIELD(gpt2, key, kind, absent, least, most, member)
static const hone_config_field fields[] = {
    FIELD("n_embd", INTEGER, HONE_CONFIG_NEEDED, 1, 1 << 16, width),
    FIELD("n_head", INTEGER, HONE_CONFIG_NEEDED, 1, 1 << 12, heads),
    FIELD("n_layer", INTEGER, HONE_CONFIG_NEEDED, 1, 1 << 10, layers),
    FIELD("vocab_size", INTEGER, HONE_CONFIG_NEEDED, 1, 1 << 22, vocabulary),
    FIELD("n_positions", INTEGER, HONE_CONFIG_NEEDED, 1, 1 << 20, positions),
    FIELD("n_inner", INTEGER, 0, 1, 1 << 18, inner),
    FIELD("layer_norm_epsilon", REAL, 1e-5, 0, 1, epsilon),
    FIELD("resid_pdrop", REAL, 0.1, 0, 0.999, residual_dropout),
    FIELD("embd_pdrop", REAL, 0.1, 0, 0.999, embedding_dropout),
    FIELD("attn_pdrop", REAL, 0.1, 0, 0.999, attention_dropout),
    FIELD("initializer_range", REAL, 0.02, 0, 10, init),
    FIELD("scale_attn_weights", BOOL, 1, 0, 0, scale_scores),
    FIELD("scale_attn_by_inverse_layer_idx", BOOL, 0, 0, 0, scale_by_layer),
    FIELD("tie_word_embeddings", BOOL, 1, 0, 0, tied),
};
#undef FIELD

/* Names that Transformers gives these keys in all families. */
static const hone_config_alias aliases[] = {{"n_embd", "hidden_size"},
                                            {"n_head", "num_attention_heads"},
                                            {"n_layer", "num_hidden_layers"},
                                            {"n_positions", "max_position_embeddings"}};
/* n_ctx was once n_positions, reorder_and_upcast_attn gives the same numbers in f32, and summary_*
 * is of a head that language models don't have. */
static const char *const other_keys[] = {"activation_function",
                                         "n_ctx",
                                         "reorder_and_upcast_attn",
                                         "summary_activation",
                                         "summary_first_dropout",
                                         "summary_proj_to_labels",
                                         "summary_type",
                                         "summary_use_proj",
                                         NULL};
static const char *const refused_keys[] = {"add_cross_attention", "is_encoder_decoder",
                                           "quantization_config", "pruned_heads", NULL};
static const hone_config_keys config_keys = {fields, sizeof fields / sizeof fields[0], other_keys,
                                             refused_keys};

static hone_status read_config(hone_config c, gpt2 *m, hone_error *error)
{
    const char *activation = NULL;
    HONE_TRY(hone_config_check(c, error));
    hone_config_findings f = {.all = error};
    hone_config_read(c, &config_keys, m, &f);
    hone_status status =
        hone_config_text(c, "activation_function", "gelu_new", &activation, &f.one);
    if (status == HONE_OK)
        status =
            hone_config_activation(c, "activation_function", activation, &m->activation, &f.one);
    hone_config_note(&f, c, status);
    if (f.count > 0)
        return HONE_INPUT;
    m->inner = m->inner > 0 ? m->inner : 4 * m->width;
    if (m->width % m->heads != 0)
        return hone_fail_at(error, HONE_INPUT, c.path, -1, -1,
                            "\"n_embd\" (%lld) is not a multiple of \"n_head\" (%lld)",
                            (long long)m->width, (long long)m->heads);
    hone_config_remark(c, &config_keys);
    return HONE_OK;
}

enum { NAME = 64 };

/* "transformer.h.3.attn.c_attn" */
static const char *path(const hone_builder *b, const char *module, char name[NAME])
{
    snprintf(name, NAME, "transformer.h.%d.%s", b->layer, module);
    return name;
}

static int norm(const gpt2 *m, const hone_builder *b, int x, const char *name)
{
    hone_norm_part part = {.width = m->width, .epsilon = m->epsilon, .initial_gain = 1};
    return hone_build_norm(b, x, &part, name);
}

static int linear(const gpt2 *m, const hone_builder *b, int x, int64_t in, int64_t out,
                  const char *module)
{
    char name[NAME];
    bool projects = strstr(module, "c_proj") != NULL; /* back into the residual stream */
    double std = projects ? m->init / sqrt(2.0 * (double)m->layers) : m->init;
    hone_linear_part part = {
        .in = in, .out = out, .transposed = true, .bias = true, .init_std = std};
    return hone_build_linear(b, x, &part, path(b, module, name));
}

static int attention(const gpt2 *m, const hone_builder *b, int qkv)
{
    char name[NAME];
    hone_op op = hone_op_blank(HONE_OP_ATTENTION, b->layer);
    int64_t head_size = m->width / m->heads;
    op.inputs[0] = qkv;
    op.dropout = (float)m->attention_dropout;
    op.as.attention.heads = m->heads;
    op.as.attention.head_size = head_size;
    op.as.attention.causal = true;
    op.as.attention.scale = m->scale_scores ? 1.0f / sqrtf((float)head_size) : 1.0f;
    if (m->scale_by_layer)
        op.as.attention.scale /= (float)(b->layer + 1);
    return hone_build_attention(b, op, path(b, "attn", name));
}

static int block(const gpt2 *m, const hone_builder *b, int x)
{
    char name[NAME];
    int h = norm(m, b, x, path(b, "ln_1", name));
    int qkv = linear(m, b, h, m->width, 3 * m->width, "attn.c_attn");
    int y = attention(m, b, qkv);
    y = linear(m, b, y, m->width, m->width, "attn.c_proj");
    x = hone_build_add(b, x, y, m->width, m->residual_dropout, path(b, "attn.residual", name));
    h = norm(m, b, x, path(b, "ln_2", name));
    y = linear(m, b, h, m->width, m->inner, "mlp.c_fc");
    y = hone_build_activation(b, y, -1, m->inner, m->activation, -1, path(b, "mlp.act", name));
    y = linear(m, b, y, m->inner, m->width, "mlp.c_proj");
    return hone_build_add(b, x, y, m->width, m->residual_dropout, path(b, "mlp.residual", name));
}

static hone_status build(const hone_json *json, const char *file, hone_stored_head stored,
                         hone_program *program, hone_error *error)
{
    gpt2 m = {0};
    hone_config config = {json, file, aliases, sizeof aliases / sizeof aliases[0]};
    HONE_TRY(read_config(config, &m, error));
    program->vocabulary = m.vocabulary;
    program->context_length = program->usual_length = m.positions;
    program->width = m.width;
    program->layers = m.layers;

    hone_builder b = {program, -1, false};
    hone_weight embedding = hone_build_matrix(m.vocabulary, m.width, false, m.init);
    hone_weight positions = hone_build_matrix(m.positions, m.width, false, m.init);
    hone_op op = hone_op_blank(HONE_OP_EMBEDDING, -1);
    int tokens = hone_program_weight(program, embedding, "transformer.wte.weight");
    op.weights[0] = tokens;
    op.weights[1] = hone_program_weight(program, positions, "transformer.wpe.weight");
    op.outputs[0] = hone_program_value(program, HONE_VALUE_F32, m.width, "embedding");
    op.drops = true;
    op.dropout = (float)m.embedding_dropout;
    hone_program_append(program, op, "transformer.wte");
    int x = op.outputs[0];
    for (b.layer = 0; b.layer < m.layers; b.layer++)
        x = block(&m, &b, x);
    b.layer = -1;
    x = norm(&m, &b, x, "transformer.ln_f");

    hone_op head = hone_op_blank(HONE_OP_HEAD, -1);
    head.inputs[0] = x;
    head.weights[0] = tokens;
    if (!m.tied || stored == HONE_HEAD_OWN)
        head.weights[0] = hone_program_weight(program, embedding, "lm_head.weight");
    hone_program_append(program, head, "lm_head");
    return hone_program_check(program, error);
}

/* Mask buffers that old checkpoints hold. */
static bool ignores(const char *name)
{
    size_t length = strlen(name);
    static const char *const endings[] = {".attn.bias", ".attn.masked_bias"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        size_t ending = strlen(endings[i]);
        if (length > ending && strcmp(name + length - ending, endings[i]) == 0)
            return true;
    }
    return false;
}

extern const hone_family hone_family_gpt2;
const hone_family hone_family_gpt2 = {
    .model_type = "gpt2",
    .task_type = "CAUSAL_LM",
    .build = build,
    .embedding = {"transformer.wte.weight"},
    .head = "lm_head.weight",
    .prefixes = {"transformer."},
    .ignores = ignores,
};
