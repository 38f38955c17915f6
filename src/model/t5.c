/* T5, T5 v1.1, flan-T5 and mT5: config.json to program.
 * Source:  Raffel et al. 2020, arXiv:1910.10683; names and arithmetic as Transformers'
 *          T5ForConditionalGeneration.
 * Layout:  linears (out,in) without biases, RMS norms before each branch, no scaling of scores,
 *          one relative position bias for each stack, which its first block holds and cross
 *          attention does not have. The decoder's output is scaled by width^-1/2 before a head
 *          that is, or once was, the embedding. */
#include "model/builder.h"
#include "model/config.h"
#include "model/family.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { USUAL_LENGTH = 512, NO_LIMIT = 1 << 24 };

typedef struct t5 {
    int64_t width, key_size, inner, layers, decoder_layers, heads, vocabulary;
    int64_t buckets, distance, pad, start, usual_length;
    double dropout, epsilon, init;
    bool gated, tied, scaled;
    hone_activation activation;
} t5;

#define FIELD(key, kind, absent, least, most, member)                                              \
    HONE_CONFIG_FIELD(t5, key, kind, absent, least, most, member)
static const hone_config_field fields[] = {
    FIELD("d_model", INTEGER, 512, 1, 1 << 16, width),
    FIELD("d_kv", INTEGER, 64, 1, 1 << 12, key_size),
    FIELD("d_ff", INTEGER, 2048, 1, 1 << 18, inner),
    FIELD("num_layers", INTEGER, 6, 1, 1 << 10, layers),
    FIELD("num_decoder_layers", INTEGER, 0, 1, 1 << 10, decoder_layers),
    FIELD("num_heads", INTEGER, 8, 1, 1 << 12, heads),
    FIELD("vocab_size", INTEGER, 32128, 1, 1 << 22, vocabulary),
    FIELD("relative_attention_num_buckets", INTEGER, 32, 4, 1 << 12, buckets),
    FIELD("relative_attention_max_distance", INTEGER, 128, 2, 1 << 20, distance),
    FIELD("pad_token_id", INTEGER, 0, 0, 1 << 22, pad),
    FIELD("decoder_start_token_id", INTEGER, -1, 0, 1 << 22, start),
    FIELD("n_positions", INTEGER, USUAL_LENGTH, 1, NO_LIMIT, usual_length),
    FIELD("dropout_rate", REAL, 0.1, 0, 0.999, dropout),
    FIELD("layer_norm_epsilon", REAL, 1e-6, 0, 1, epsilon),
    FIELD("initializer_factor", REAL, 1, 0, 100, init),
};
#undef FIELD

static const hone_config_alias aliases[] = {{"d_model", "hidden_size"},
                                            {"num_heads", "num_attention_heads"},
                                            {"num_layers", "num_hidden_layers"},
                                            {"d_kv", "head_dim"}};
static const char *const other_keys[] = {
    "classifier_dropout", "dense_act_fn",          "feed_forward_proj",
    "is_decoder",         "is_encoder_decoder",    "is_gated_act",
    "output_past",        "scale_decoder_outputs", NULL};
static const char *const refused_keys[] = {"quantization_config", "pruned_heads", NULL};
static const hone_config_keys config_keys = {fields, sizeof fields / sizeof fields[0], other_keys,
                                             refused_keys};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* "relu", or "gated-" and a name; "gated-gelu" means gelu_new. dense_act_fn and is_gated_act are
 * the same said again, and win where both are there, as in Transformers. */
static hone_status read_activation(hone_config config, bool gated_by_default, t5 *m,
                                   hone_error *error)
{
    static const char prefix[] = "gated-";
    const char *text, *name;
    HONE_TRY(hone_config_text(config, "feed_forward_proj", gated_by_default ? "gated-gelu" : "relu",
                              &text, error));
    bool gated = strncmp(text, prefix, strlen(prefix)) == 0;
    name = gated ? text + strlen(prefix) : text;
    if (strcmp(text, "gated-gelu") == 0)
        name = "gelu_new";
    HONE_TRY(hone_config_text(config, "dense_act_fn", name, &name, error));
    HONE_TRY(hone_config_bool(config, "is_gated_act", gated, &m->gated, error));
    return hone_config_activation(config, "feed_forward_proj", name, &m->activation, error);
}

/* The decoder's output is scaled unless the file says otherwise: by scale_decoder_outputs, or, in
 * files that lack it, by tie_word_embeddings = false. */
static hone_status read_config(hone_config config, bool multilingual, t5 *m, hone_error *error)
{
    bool encoder_decoder = true;
    HONE_TRY(hone_config_check(config, error));
    hone_config_findings f = {.all = error};
    hone_config_read(config, &config_keys, m, &f);
    hone_config_note(
        &f, config,
        hone_config_bool(config, "tie_word_embeddings", !multilingual, &m->tied, &f.one));
    hone_config_note(
        &f, config, hone_config_bool(config, "scale_decoder_outputs", m->tied, &m->scaled, &f.one));
    hone_config_note(
        &f, config, hone_config_bool(config, "is_encoder_decoder", true, &encoder_decoder, &f.one));
    hone_config_note(&f, config, read_activation(config, multilingual, m, &f.one));
    if (f.count > 0)
        return HONE_INPUT;
    if (!encoder_decoder)
        return hone_fail_at(error, HONE_INPUT, config.path, -1, -1,
                            "\"is_encoder_decoder\" is false; hone runs encoder-decoder T5 models");
    m->decoder_layers = m->decoder_layers > 0 ? m->decoder_layers : m->layers;
    m->start = m->start >= 0 ? m->start : m->pad;
    if (m->start >= m->vocabulary)
        return hone_fail_at(error, HONE_INPUT, config.path, -1, -1,
                            "\"decoder_start_token_id\" is %lld, \"vocab_size\" %lld",
                            (long long)m->start, (long long)m->vocabulary);
    hone_config_remark(config, &config_keys);
    return HONE_OK;
}

/* ---- blocks ------------------------------------------------------------------------------- */

/* A stack while it is being built. */
typedef struct stack {
    const t5 *m;
    hone_builder b;
    const char *name; /* "encoder" */
    int block;        /* number of the block in the stack */
    int bias;         /* weight of the stack's relative position bias */
} stack;

enum { NAME = 160, MODULE = 48 };

/* "encoder.block.3.layer.1.DenseReluDense.wi" */
static const char *path(const stack *s, int branch, const char *module, char name[NAME])
{
    snprintf(name, NAME, "%s.block.%d.layer.%d.%s", s->name, s->block, branch, module);
    return name;
}

static int linear(const stack *s, int x, int64_t in, int64_t out, double init, int branch,
                  const char *module)
{
    char name[NAME];
    hone_linear_part part = {.in = in, .out = out, .init_std = s->m->init * init};
    return hone_build_linear(&s->b, x, &part, path(s, branch, module, name));
}

static int norm(const stack *s, int x, int branch)
{
    char name[NAME];
    hone_norm_part part = {
        .width = s->m->width, .epsilon = s->m->epsilon, .rms = true, .initial_gain = s->m->init};
    return hone_build_norm(&s->b, x, &part, path(s, branch, "layer_norm", name));
}

static int add(const stack *s, int x, int branch_value, int branch)
{
    char name[NAME];
    return hone_build_add(&s->b, x, branch_value, s->m->width, s->m->dropout,
                          path(s, branch, "residual", name));
}

/* The attention of a branch over the rows of `keys`: x itself, or the encoder's output. */
static int attention(const stack *s, int x, int keys, int branch, const char *module)
{
    const t5 *m = s->m;
    int64_t width = m->heads * m->key_size;
    double model = 1.0 / sqrt((double)m->width);
    bool cross = x != keys;
    char name[NAME], part[MODULE];
    stack reader = *s;
    reader.b.source = s->b.source || cross;
    hone_op op = hone_op_blank(HONE_OP_ATTENTION, s->b.layer);
    snprintf(part, sizeof part, "%s.q", module);
    op.inputs[0] = linear(s, x, m->width, width, model / sqrt((double)m->key_size), branch, part);
    snprintf(part, sizeof part, "%s.k", module);
    op.inputs[1] = linear(&reader, keys, m->width, width, model, branch, part);
    snprintf(part, sizeof part, "%s.v", module);
    op.inputs[2] = linear(&reader, keys, m->width, width, model, branch, part);
    op.dropout = (float)m->dropout;
    op.as.attention.heads = m->heads;
    op.as.attention.head_size = m->key_size;
    op.as.attention.scale = 1.0f;
    op.as.attention.causal = !s->b.source && !cross;
    op.as.attention.cross = cross;
    if (!cross) {
        op.weights[0] = s->bias;
        op.as.attention.relative_buckets = m->buckets;
        op.as.attention.relative_distance = m->distance;
    }
    int y = hone_build_attention(&s->b, op, path(s, branch, module, name));
    snprintf(part, sizeof part, "%s.o", module);
    return linear(s, y, width, m->width, 1.0 / sqrt((double)width), branch, part);
}

static int feed_forward(const stack *s, int x, int branch)
{
    const t5 *m = s->m;
    double model = 1.0 / sqrt((double)m->width);
    char name[NAME];
    int gate = -1, y;
    if (m->gated) {
        y = linear(s, x, m->width, m->inner, model, branch, "DenseReluDense.wi_0");
        gate = linear(s, x, m->width, m->inner, model, branch, "DenseReluDense.wi_1");
    } else
        y = linear(s, x, m->width, m->inner, model, branch, "DenseReluDense.wi");
    y = hone_build_activation(&s->b, y, gate, m->inner, m->activation, m->dropout,
                              path(s, branch, "DenseReluDense.act", name));
    return linear(s, y, m->inner, m->width, 1.0 / sqrt((double)m->inner), branch,
                  "DenseReluDense.wo");
}

static int block(const stack *s, int x, int encoded)
{
    int branch = 0;
    int h = norm(s, x, branch);
    x = add(s, x, attention(s, h, h, branch, "SelfAttention"), branch);
    if (encoded >= 0) {
        branch++;
        h = norm(s, x, branch);
        x = add(s, x, attention(s, h, encoded, branch, "EncDecAttention"), branch);
    }
    branch++;
    h = norm(s, x, branch);
    return add(s, x, feed_forward(s, h, branch), branch);
}

/* Tokens through all blocks of a stack; the result of its last norm. */
static int build_stack(stack *s, int tokens, int64_t layers, int first_layer, int encoded)
{
    const t5 *m = s->m;
    hone_program *program = s->b.program;
    char name[NAME];
    hone_op op = hone_op_blank(HONE_OP_EMBEDDING, -1);
    op.source = s->b.source;
    op.weights[0] = tokens;
    op.outputs[0] =
        hone_program_value(program, HONE_VALUE_F32, m->width, "%s.embed_tokens", s->name);
    op.drops = true;
    op.dropout = (float)m->dropout;
    hone_program_append(program, op, "%s.embed_tokens", s->name);
    int x = op.outputs[0];
    hone_weight bias =
        hone_build_matrix(m->buckets, m->heads, false, m->init / sqrt((double)m->width));
    bias.use = HONE_WEIGHT_VECTOR; /* read as f32, never multiplied */
    s->bias = hone_program_weight(
        program, bias, "%s.block.0.layer.0.SelfAttention.relative_attention_bias.weight", s->name);
    for (s->block = 0; s->block < layers; s->block++) {
        s->b.layer = first_layer + s->block;
        x = block(s, x, encoded);
    }
    s->b.layer = -1;
    hone_norm_part last = {.width = m->width,
                           .epsilon = m->epsilon,
                           .rms = true,
                           .initial_gain = m->init,
                           .drops = true,
                           .dropout = m->dropout};
    if (!s->b.source && m->scaled)
        last.scale = 1.0f / sqrtf((float)m->width);
    snprintf(name, sizeof name, "%s.final_layer_norm", s->name);
    return hone_build_norm(&s->b, x, &last, name);
}

/* The folder decides where it can: Transformers 5 writes tie_word_embeddings = true for all. */
static bool has_own_head(const t5 *m, hone_stored_head stored)
{
    return stored == HONE_HEAD_OWN || (stored != HONE_HEAD_ABSENT && !m->tied);
}

static hone_status build_program(const hone_json *json, const char *path, bool multilingual,
                                 hone_stored_head stored, hone_program *program, hone_error *error)
{
    t5 m = {0};
    hone_config config = {json, path, aliases, COUNT(aliases)};
    HONE_TRY(read_config(config, multilingual, &m, error));
    program->vocabulary = m.vocabulary;
    program->context_length = NO_LIMIT;
    program->usual_length = m.usual_length;
    program->width = m.width;
    program->layers = m.layers + m.decoder_layers;
    program->encoder_decoder = true;
    program->decoder_start = (int32_t)m.start;

    hone_weight embedding = hone_build_matrix(m.vocabulary, m.width, false, m.init);
    int tokens = hone_program_weight(program, embedding, "shared.weight");
    stack encoder = {.m = &m, .b = {program, -1, true}, .name = "encoder"};
    stack decoder = {.m = &m, .b = {program, -1, false}, .name = "decoder"};
    int encoded = build_stack(&encoder, tokens, m.layers, 0, -1);
    int x = build_stack(&decoder, tokens, m.decoder_layers, (int)m.layers, encoded);

    hone_op head = hone_op_blank(HONE_OP_HEAD, -1);
    head.inputs[0] = x;
    head.weights[0] = tokens;
    if (has_own_head(&m, stored))
        head.weights[0] = hone_program_weight(program, embedding, "lm_head.weight");
    hone_program_append(program, head, "lm_head");
    return hone_program_check(program, error);
}

static hone_status build(const hone_json *json, const char *path, hone_stored_head head,
                         hone_program *program, hone_error *error)
{
    return build_program(json, path, false, head, program, error);
}

static hone_status build_multilingual(const hone_json *json, const char *path,
                                      hone_stored_head head, hone_program *program,
                                      hone_error *error)
{
    return build_program(json, path, true, head, program, error);
}

/* A bias of cross attention, which old checkpoints hold and nothing reads. */
static bool ignores(const char *name)
{
    return strcmp(name, "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight") ==
           0;
}

#define T5_FAMILY(type, builder)                                                                   \
    {                                                                                              \
        .model_type = type, .task_type = "SEQ_2_SEQ_LM", .build = builder,                         \
        .embedding = {"shared.weight", "encoder.embed_tokens.weight",                              \
                      "decoder.embed_tokens.weight"},                                              \
        .head = "lm_head.weight", .ignores = ignores                                               \
    }

extern const hone_family hone_family_t5, hone_family_mt5;
const hone_family hone_family_t5 = T5_FAMILY("t5", build);
const hone_family hone_family_mt5 = T5_FAMILY("mt5", build_multilingual);
