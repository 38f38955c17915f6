/* OPT and Galactica: config.json to program.
 * Source:  Zhang et al. 2022, arXiv:2205.01068; Taylor et al. 2022, arXiv:2211.09085; names and
 *          arithmetic as Transformers' OPTForCausalLM.
 * Layout:  linears (out,in); norms before each branch, or, in opt-350m, after each residual sum;
 *          learned positions whose first two rows are unused; an embedding that may be narrower
 *          than the model and is then projected on the way in and on the way out. Galactica may
 *          lack biases and the norms' weights. */
#include "model/builder.h"
#include "model/config.h"
#include "model/family.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { POSITION_OFFSET = 2, NO_PADDING = -1 };

typedef struct opt {
    int64_t width, heads, layers, inner, vocabulary, positions;
    int64_t embedding; /* width of the embedding */
    int64_t padding;   /* token whose embedding is not trained, or NO_PADDING */
    double dropout, attention_dropout, activation_dropout, layer_drop, init;
    bool norm_first, no_last_norm, biases, norm_weights, learned_positions, tied;
    hone_activation activation;
} opt;

#define FIELD(key, kind, absent, least, most, member)                                              \
    HONE_CONFIG_FIELD(opt, key, kind, absent, least, most, member)
static const hone_config_field fields[] = {
    FIELD("hidden_size", INTEGER, HONE_CONFIG_NEEDED, 1, 1 << 16, width),
    FIELD("num_attention_heads", INTEGER, HONE_CONFIG_NEEDED, 1, 1 << 12, heads),
    FIELD("num_hidden_layers", INTEGER, HONE_CONFIG_NEEDED, 1, 1 << 10, layers),
    FIELD("ffn_dim", INTEGER, HONE_CONFIG_NEEDED, 1, 1 << 18, inner),
    FIELD("vocab_size", INTEGER, HONE_CONFIG_NEEDED, 1, 1 << 22, vocabulary),
    FIELD("max_position_embeddings", INTEGER, HONE_CONFIG_NEEDED, 1, 1 << 20, positions),
    FIELD("word_embed_proj_dim", INTEGER, 0, 1, 1 << 16, embedding),
    FIELD("pad_token_id", INTEGER, 1, -(1 << 22), 1 << 22, padding),
    FIELD("dropout", REAL, 0.1, 0, 0.999, dropout),
    FIELD("attention_dropout", REAL, 0, 0, 0.999, attention_dropout),
    FIELD("activation_dropout", REAL, 0, 0, 1, activation_dropout),
    FIELD("layerdrop", REAL, 0, 0, 1, layer_drop),
    FIELD("init_std", REAL, 0.02, 0, 10, init),
    FIELD("do_layer_norm_before", BOOL, 1, 0, 0, norm_first),
    FIELD("_remove_final_layer_norm", BOOL, 0, 0, 0, no_last_norm),
    FIELD("enable_bias", BOOL, 1, 0, 0, biases),
    FIELD("layer_norm_elementwise_affine", BOOL, 1, 0, 0, norm_weights),
    FIELD("learned_embeddings", BOOL, 1, 0, 0, learned_positions),
    FIELD("tie_word_embeddings", BOOL, 1, 0, 0, tied),
};
#undef FIELD

static const char *const other_keys[] = {"activation_function", NULL};
static const char *const refused_keys[] = {"add_cross_attention", "is_encoder_decoder",
                                           "pruned_heads",        "quantization_config",
                                           "scale_embeddings",    NULL};
static const hone_config_keys config_keys = {fields, sizeof fields / sizeof fields[0], other_keys,
                                             refused_keys};

static hone_status fail(hone_config c, hone_error *error, const char *key, const char *why)
{
    return hone_fail_at(error, HONE_INPUT, c.path, -1, -1,
                        "\"%s\" is set; hone does not support it and leaving it out would change "
                        "the results: %s",
                        key, why);
}

/* What is read, but has one value that hone can do. */
static void check_neutral(hone_config c, const opt *m, hone_config_findings *f)
{
    if (m->layer_drop != 0.0)
        hone_config_note(f, c, fail(c, &f->one, "layerdrop", "no layers are dropped; expected 0"));
    if (m->activation_dropout != 0.0)
        hone_config_note(f, c,
                         fail(c, &f->one, "activation_dropout",
                              "Transformers' OPT has none either; expected 0"));
    if (!m->learned_positions)
        hone_config_note(f, c, fail(c, &f->one, "learned_embeddings", "expected true"));
}

/* The padding token, counted from the end where it is negative, as PyTorch's padding_idx. An
 * explicit null means none, a missing key the family's usual one. */
static hone_status find_padding(hone_config c, opt *m, hone_error *error)
{
    const hone_json *value = hone_json_get(c.json, "pad_token_id");
    int64_t token = m->padding < 0 ? m->padding + m->vocabulary : m->padding;
    if (value != NULL && hone_json_type_of(value) == HONE_JSON_NULL)
        token = NO_PADDING;
    else if (token < 0 || token >= m->vocabulary)
        return hone_fail_at(error, HONE_INPUT, c.path, -1, -1,
                            "\"pad_token_id\" is %lld, \"vocab_size\" %lld", (long long)m->padding,
                            (long long)m->vocabulary);
    m->padding = token;
    return HONE_OK;
}

static hone_status read_config(hone_config c, opt *m, hone_error *error)
{
    const char *activation = NULL;
    HONE_TRY(hone_config_check(c, error));
    hone_config_findings f = {.all = error};
    hone_config_read(c, &config_keys, m, &f);
    hone_status status = hone_config_text(c, "activation_function", "relu", &activation, &f.one);
    if (status == HONE_OK)
        status =
            hone_config_activation(c, "activation_function", activation, &m->activation, &f.one);
    hone_config_note(&f, c, status);
    check_neutral(c, m, &f);
    if (f.count > 0)
        return HONE_INPUT;
    m->embedding = m->embedding > 0 ? m->embedding : m->width;
    if (m->width % m->heads != 0)
        return hone_fail_at(error, HONE_INPUT, c.path, -1, -1,
                            "\"hidden_size\" (%lld) is not a multiple of \"num_attention_heads\" "
                            "(%lld)",
                            (long long)m->width, (long long)m->heads);
    HONE_TRY(find_padding(c, m, error));
    hone_config_remark(c, &config_keys);
    return HONE_OK;
}

/* ---- parts -------------------------------------------------------------------------------- */

#define DECODER "model.decoder."

enum { NAME = 96 };

static int linear(const opt *m, const hone_builder *b, int x, int64_t in, int64_t out,
                  const char *module)
{
    char name[NAME];
    hone_linear_part part = {.in = in, .out = out, .bias = m->biases, .init_std = m->init};
    snprintf(name, sizeof name, DECODER "layers.%d.%s", b->layer, module);
    return hone_build_linear(b, x, &part, name);
}

/* The two linears around a narrow embedding have no bias, whatever the others have. */
static int projection(const opt *m, const hone_builder *b, int x, int64_t in, int64_t out,
                      const char *name)
{
    hone_linear_part part = {.in = in, .out = out, .init_std = m->init};
    return hone_build_linear(b, x, &part, name);
}

/* After a residual sum its result is the residual stream itself. */
static int norm(const opt *m, const hone_builder *b, int x, const char *module)
{
    char name[NAME];
    hone_norm_part part = {.width = m->width,
                           .epsilon = 1e-5,
                           .initial_gain = 1,
                           .no_gain = !m->norm_weights,
                           .no_bias = !m->norm_weights,
                           .type = m->norm_first ? HONE_VALUE_COMPUTE : HONE_VALUE_F32};
    snprintf(name, sizeof name, DECODER "layers.%d.%s", b->layer, module);
    return hone_build_norm(b, x, &part, b->layer >= 0 ? name : module);
}

static int add(const opt *m, const hone_builder *b, int x, int branch, const char *module)
{
    char name[NAME];
    snprintf(name, sizeof name, DECODER "layers.%d.%s", b->layer, module);
    return hone_build_add(b, x, branch, m->width, m->dropout, name);
}

static int attention(const opt *m, const hone_builder *b, int x)
{
    static const char *const inputs[] = {"self_attn.q_proj", "self_attn.k_proj",
                                         "self_attn.v_proj"};
    char name[NAME];
    hone_op op = hone_op_blank(HONE_OP_ATTENTION, b->layer);
    for (int i = 0; i < 3; i++)
        op.inputs[i] = linear(m, b, x, m->width, m->width, inputs[i]);
    op.dropout = (float)m->attention_dropout;
    op.as.attention.heads = m->heads;
    op.as.attention.head_size = m->width / m->heads;
    op.as.attention.scale = 1.0f / sqrtf((float)op.as.attention.head_size);
    op.as.attention.causal = true;
    snprintf(name, sizeof name, DECODER "layers.%d.self_attn", b->layer);
    int y = hone_build_attention(b, op, name);
    return linear(m, b, y, m->width, m->width, "self_attn.out_proj");
}

static int feed_forward(const opt *m, const hone_builder *b, int x)
{
    char name[NAME];
    int y = linear(m, b, x, m->width, m->inner, "fc1");
    snprintf(name, sizeof name, DECODER "layers.%d.activation_fn", b->layer);
    y = hone_build_activation(b, y, -1, m->inner, m->activation, -1, name);
    return linear(m, b, y, m->inner, m->width, "fc2");
}

static int block(const opt *m, const hone_builder *b, int x)
{
    int h = m->norm_first ? norm(m, b, x, "self_attn_layer_norm") : x;
    x = add(m, b, x, attention(m, b, h), "self_attn.residual");
    if (!m->norm_first)
        x = norm(m, b, x, "self_attn_layer_norm");
    h = m->norm_first ? norm(m, b, x, "final_layer_norm") : x;
    x = add(m, b, x, feed_forward(m, b, h), "fc2.residual");
    return m->norm_first ? x : norm(m, b, x, "final_layer_norm");
}

/* Tokens and positions. A narrow embedding is projected before positions are added, so there are
 * then two lookups and a sum. */
static int embed(const opt *m, const hone_builder *b, int tokens)
{
    hone_program *program = b->program;
    bool narrow = m->embedding != m->width;
    int positions = hone_program_weight(
        program, hone_build_matrix(m->positions + POSITION_OFFSET, m->width, false, m->init),
        DECODER "embed_positions.weight");
    hone_op op = hone_op_blank(HONE_OP_EMBEDDING, -1), place = op;
    op.weights[0] = tokens;
    op.as.embedding.pads = m->padding != NO_PADDING;
    op.as.embedding.pad_token = (int32_t)m->padding;
    op.outputs[0] = hone_program_value(program, narrow ? HONE_VALUE_COMPUTE : HONE_VALUE_F32,
                                       m->embedding, DECODER "embed_tokens");
    hone_op *placed = narrow ? &place : &op;
    placed->weights[1] = positions;
    placed->as.embedding.position_offset = POSITION_OFFSET;
    hone_program_append(program, op, DECODER "embed_tokens");
    if (!narrow)
        return op.outputs[0];
    int x = projection(m, b, op.outputs[0], m->embedding, m->width, DECODER "project_in");
    place.outputs[0] =
        hone_program_value(program, HONE_VALUE_F32, m->width, DECODER "embed_positions");
    hone_program_append(program, place, DECODER "embed_positions");
    return hone_build_add(b, place.outputs[0], x, m->width, -1, DECODER "embedding");
}

static hone_status build(const hone_json *json, const char *path, hone_stored_head stored,
                         hone_program *program, hone_error *error)
{
    opt m = {0};
    hone_config config = {.json = json, .path = path};
    HONE_TRY(read_config(config, &m, error));
    program->vocabulary = m.vocabulary;
    program->context_length = program->usual_length = m.positions;
    program->width = m.width;
    program->layers = m.layers;

    hone_builder b = {program, -1, false};
    hone_weight embedding = hone_build_matrix(m.vocabulary, m.embedding, false, m.init);
    int tokens = hone_program_weight(program, embedding, DECODER "embed_tokens.weight");
    int x = embed(&m, &b, tokens);
    for (b.layer = 0; b.layer < m.layers; b.layer++)
        x = block(&m, &b, x);
    b.layer = -1;
    if (m.norm_first && !m.no_last_norm)
        x = norm(&m, &b, x, DECODER "final_layer_norm");
    if (m.embedding != m.width)
        x = projection(&m, &b, x, m.width, m.embedding, DECODER "project_out");

    hone_op head = hone_op_blank(HONE_OP_HEAD, -1);
    head.inputs[0] = x;
    head.weights[0] = tokens;
    if (!m.tied || stored == HONE_HEAD_OWN)
        head.weights[0] = hone_program_weight(program, embedding, "lm_head.weight");
    hone_program_append(program, head, "lm_head");
    return hone_program_check(program, error);
}

/* A marker of the format, from fairseq. */
static bool ignores(const char *name)
{
    return strcmp(name, "model.decoder.version") == 0 || strcmp(name, "decoder.version") == 0;
}

extern const hone_family hone_family_opt;
const hone_family hone_family_opt = {
    .model_type = "opt",
    .task_type = "CAUSAL_LM",
    .build = build,
    .embedding = {"model.decoder.embed_tokens.weight"},
    .head = "lm_head.weight",
    .prefixes = {"model.", "model.decoder."},
    .ignores = ignores,
};
