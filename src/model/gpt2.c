/* GPT-2: config.json to program.
 * Source:  Radford et al. 2019; names and arithmetic as Transformers' GPT2LMHeadModel.
 * Layout:  its linears are Conv1D: stored (in,out). Pre-norm blocks, learned positions. */
#include "model/config.h"
#include "model/family.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct gpt2 {
    hone_program *program;
    int64_t width, inner, heads, layers, vocabulary, positions;
    double epsilon, residual_dropout, embedding_dropout, attention_dropout, init;
    bool scale_scores, scale_by_layer;
    hone_activation activation;
} gpt2;

static hone_status read_activation(hone_config config, hone_activation *out, hone_error *error)
{
    static const struct {
        const char *name;
        hone_activation type;
    } known[] = {{"gelu_new", HONE_GELU_NEW}, {"gelu_pytorch_tanh", HONE_GELU_NEW},
                 {"gelu", HONE_GELU},         {"relu", HONE_RELU},
                 {"silu", HONE_SILU},         {"swish", HONE_SILU}};
    const char *name;
    HONE_TRY(hone_config_text(config, "activation_function", "gelu_new", &name, error));
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i].name, name) == 0) {
            *out = known[i].type;
            return HONE_OK;
        }
    return hone_fail_at(error, HONE_INPUT, config.path, -1, -1,
                        "\"activation_function\" is \"%s\"; supported are gelu_new, "
                        "gelu_pytorch_tanh, gelu, relu, silu and swish",
                        name);
}

/* Names that Transformers gives these keys in all families. */
static const hone_config_alias aliases[] = {{"n_embd", "hidden_size"},
                                            {"n_head", "num_attention_heads"},
                                            {"n_layer", "num_hidden_layers"},
                                            {"n_positions", "max_position_embeddings"}};

/* What read_config and build look at; and n_ctx (once n_positions), reorder_and_upcast_attn (the
 * same numbers in f32) and summary_* (of a head that language models don't have). */
static const char *const known_keys[] = {"activation_function",
                                         "attn_pdrop",
                                         "embd_pdrop",
                                         "layer_norm_epsilon",
                                         "n_ctx",
                                         "n_embd",
                                         "n_head",
                                         "n_inner",
                                         "n_layer",
                                         "n_positions",
                                         "reorder_and_upcast_attn",
                                         "resid_pdrop",
                                         "scale_attn_by_inverse_layer_idx",
                                         "scale_attn_weights",
                                         "summary_activation",
                                         "summary_first_dropout",
                                         "summary_proj_to_labels",
                                         "summary_type",
                                         "summary_use_proj",
                                         "vocab_size"};
static const char *const refused_keys[] = {"add_cross_attention", "is_encoder_decoder",
                                           "quantization_config", "pruned_heads"};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void remark(hone_config config)
{
    const char *known[COUNT(known_keys) + COUNT(refused_keys)];
    memcpy(known, known_keys, sizeof known_keys);
    memcpy(known + COUNT(known_keys), refused_keys, sizeof refused_keys);
    hone_config_remark(config, known, COUNT(known));
}

/* All that is wrong with a config.json goes into one error. */
typedef struct findings {
    hone_error *all, one; /* `one` is handed to the getters */
    size_t count;
} findings;

static void note(findings *f, hone_config c, hone_status status)
{
    if (status == HONE_OK)
        return;
    if (f->count++ == 0)
        hone_fail_at(f->all, HONE_INPUT, c.path, -1, -1, "%s", f->one.message);
    else
        hone_error_append(f->all, "\n  %s", f->one.message);
}

static void read_sizes(hone_config c, gpt2 *m, findings *f)
{
    const struct {
        const char *key;
        int64_t absent, most, *out;
    } sizes[] = {{"n_embd", HONE_CONFIG_REQUIRED, 1 << 16, &m->width},
                 {"n_head", HONE_CONFIG_REQUIRED, 1 << 12, &m->heads},
                 {"n_layer", HONE_CONFIG_REQUIRED, 1 << 10, &m->layers},
                 {"vocab_size", HONE_CONFIG_REQUIRED, 1 << 22, &m->vocabulary},
                 {"n_positions", HONE_CONFIG_REQUIRED, 1 << 20, &m->positions},
                 {"n_inner", 0, 1 << 18, &m->inner}};
    for (size_t i = 0; i < COUNT(sizes); i++)
        note(f, c,
             hone_config_integer(c, sizes[i].key, sizes[i].absent, 1, sizes[i].most, sizes[i].out,
                                 &f->one));
}

static void read_reals(hone_config c, gpt2 *m, findings *f)
{
    const struct {
        const char *key;
        double absent, most, *out;
    } reals[] = {{"layer_norm_epsilon", 1e-5, 1, &m->epsilon},
                 {"resid_pdrop", 0.1, 0.999, &m->residual_dropout},
                 {"embd_pdrop", 0.1, 0.999, &m->embedding_dropout},
                 {"attn_pdrop", 0.1, 0.999, &m->attention_dropout},
                 {"initializer_range", 0.02, 10, &m->init}};
    for (size_t i = 0; i < COUNT(reals); i++)
        note(f, c,
             hone_config_real(c, reals[i].key, reals[i].absent, 0, reals[i].most, reals[i].out,
                              &f->one));
}

static hone_status read_config(hone_config c, gpt2 *m, bool *tied, hone_error *error)
{
    HONE_TRY(hone_config_check(c, error));
    findings f = {.all = error};
    for (size_t i = 0; i < COUNT(refused_keys); i++)
        note(&f, c, hone_config_refuse(c, &refused_keys[i], 1, &f.one));
    read_sizes(c, m, &f);
    read_reals(c, m, &f);
    note(&f, c, hone_config_bool(c, "scale_attn_weights", true, &m->scale_scores, &f.one));
    note(&f, c,
         hone_config_bool(c, "scale_attn_by_inverse_layer_idx", false, &m->scale_by_layer, &f.one));
    note(&f, c, hone_config_bool(c, "tie_word_embeddings", true, tied, &f.one));
    note(&f, c, read_activation(c, &m->activation, &f.one));
    if (f.count > 0)
        return HONE_INPUT;
    m->inner = m->inner > 0 ? m->inner : 4 * m->width;
    if (m->width % m->heads != 0)
        return hone_fail_at(error, HONE_INPUT, c.path, -1, -1,
                            "\"n_embd\" (%lld) is not a multiple of \"n_head\" (%lld)",
                            (long long)m->width, (long long)m->heads);
    return HONE_OK;
}

static hone_weight matrix(int64_t rows, int64_t columns, bool transposed, double std)
{
    return (hone_weight){.use = HONE_WEIGHT_MATRIX,
                         .dims = 2,
                         .rows = rows,
                         .columns = columns,
                         .transposed = transposed,
                         .decay = true,
                         .init_std = (float)std};
}

static hone_weight vector(int64_t rows, float value)
{
    return (hone_weight){
        .use = HONE_WEIGHT_VECTOR, .dims = 1, .rows = rows, .columns = 1, .init_constant = value};
}

static int norm(gpt2 *m, int x, int layer, const char *name)
{
    hone_op op = hone_op_blank(HONE_OP_NORM, layer);
    op.inputs[0] = x;
    op.outputs[0] = hone_program_value(m->program, HONE_VALUE_COMPUTE, m->width, "%s", name);
    op.outputs[1] = hone_program_value(m->program, HONE_VALUE_F32, 2, "%s.statistics", name);
    op.weights[0] = hone_program_weight(m->program, vector(m->width, 1.0f), "%s.weight", name);
    op.weights[1] = hone_program_weight(m->program, vector(m->width, 0.0f), "%s.bias", name);
    op.as.norm.epsilon = (float)m->epsilon;
    hone_program_append(m->program, op, "%s", name);
    return op.outputs[0];
}

static int linear(gpt2 *m, int x, int64_t in, int64_t out, double std, int layer,
                  const char *module)
{
    hone_op op = hone_op_blank(HONE_OP_LINEAR, layer);
    op.inputs[0] = x;
    op.outputs[0] =
        hone_program_value(m->program, HONE_VALUE_COMPUTE, out, "h.%d.%s", layer, module);
    op.weights[0] = hone_program_weight(m->program, matrix(in, out, true, std),
                                        "transformer.h.%d.%s.weight", layer, module);
    op.weights[1] = hone_program_weight(m->program, vector(out, 0.0f), "transformer.h.%d.%s.bias",
                                        layer, module);
    hone_program_append(m->program, op, "transformer.h.%d.%s", layer, module);
    return op.outputs[0];
}

static int add(gpt2 *m, int x, int branch, int layer, const char *name)
{
    hone_op op = hone_op_blank(HONE_OP_ADD, layer);
    op.inputs[0] = x;
    op.inputs[1] = branch;
    op.outputs[0] =
        hone_program_value(m->program, HONE_VALUE_F32, m->width, "h.%d.%s", layer, name);
    op.dropout = (float)m->residual_dropout;
    hone_program_append(m->program, op, "transformer.h.%d.%s", layer, name);
    return op.outputs[0];
}

static int attention(gpt2 *m, int qkv, int layer)
{
    hone_op op = hone_op_blank(HONE_OP_ATTENTION, layer);
    int64_t head_size = m->width / m->heads;
    op.inputs[0] = qkv;
    op.outputs[0] =
        hone_program_value(m->program, HONE_VALUE_COMPUTE, m->width, "h.%d.attn", layer);
    op.outputs[1] =
        hone_program_value(m->program, HONE_VALUE_F32, m->heads, "h.%d.attn.log_sum_exp", layer);
    op.dropout = (float)m->attention_dropout;
    op.as.attention.heads = m->heads;
    op.as.attention.head_size = head_size;
    op.as.attention.causal = true;
    op.as.attention.scale = m->scale_scores ? 1.0f / sqrtf((float)head_size) : 1.0f;
    if (m->scale_by_layer)
        op.as.attention.scale /= (float)(layer + 1);
    hone_program_append(m->program, op, "transformer.h.%d.attn", layer);
    return op.outputs[0];
}

static int activation(gpt2 *m, int x, int layer)
{
    hone_op op = hone_op_blank(HONE_OP_ACTIVATION, layer);
    op.inputs[0] = x;
    op.outputs[0] =
        hone_program_value(m->program, HONE_VALUE_COMPUTE, m->inner, "h.%d.mlp.act", layer);
    op.as.activation.type = m->activation;
    hone_program_append(m->program, op, "transformer.h.%d.mlp.act", layer);
    return op.outputs[0];
}

static int block(gpt2 *m, int x, int layer)
{
    char name[64];
    double projection = m->init / sqrt(2.0 * (double)m->layers);
    snprintf(name, sizeof name, "transformer.h.%d.ln_1", layer);
    int h = norm(m, x, layer, name);
    int qkv = linear(m, h, m->width, 3 * m->width, m->init, layer, "attn.c_attn");
    int y = attention(m, qkv, layer);
    y = linear(m, y, m->width, m->width, projection, layer, "attn.c_proj");
    x = add(m, x, y, layer, "attn.residual");
    snprintf(name, sizeof name, "transformer.h.%d.ln_2", layer);
    h = norm(m, x, layer, name);
    y = linear(m, h, m->width, m->inner, m->init, layer, "mlp.c_fc");
    y = activation(m, y, layer);
    y = linear(m, y, m->inner, m->width, projection, layer, "mlp.c_proj");
    return add(m, x, y, layer, "mlp.residual");
}

static hone_status build(const hone_json *json, const char *path, hone_stored_head stored,
                         hone_program *program, hone_error *error)
{
    gpt2 m = {.program = program};
    bool tied;
    hone_config config = {json, path, aliases, COUNT(aliases)};
    HONE_TRY(read_config(config, &m, &tied, error));
    remark(config);
    program->vocabulary = m.vocabulary;
    program->context_length = program->usual_length = m.positions;
    program->width = m.width;
    program->layers = m.layers;

    hone_op op = hone_op_blank(HONE_OP_EMBEDDING, -1);
    int tokens = hone_program_weight(program, matrix(m.vocabulary, m.width, false, m.init),
                                     "transformer.wte.weight");
    op.weights[0] = tokens;
    op.weights[1] = hone_program_weight(program, matrix(m.positions, m.width, false, m.init),
                                        "transformer.wpe.weight");
    op.outputs[0] = hone_program_value(program, HONE_VALUE_F32, m.width, "embedding");
    op.dropout = (float)m.embedding_dropout;
    hone_program_append(program, op, "transformer.wte");
    int x = op.outputs[0];
    for (int layer = 0; layer < m.layers; layer++)
        x = block(&m, x, layer);
    x = norm(&m, x, -1, "transformer.ln_f");

    hone_op head = hone_op_blank(HONE_OP_HEAD, -1);
    head.inputs[0] = x;
    head.weights[0] = tokens;
    if (!tied || stored == HONE_HEAD_OWN)
        head.weights[0] = hone_program_weight(program, matrix(m.vocabulary, m.width, false, m.init),
                                              "lm_head.weight");
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
