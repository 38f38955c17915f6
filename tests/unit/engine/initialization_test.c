/* Random weights (--init random) have the means and deviations that each family's _init_weights in
 * Transformers gives them. */
#include "../train/train_support.h"
#include "base/files.h"
#include "engine/model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char t5_config[] =
    "{\"model_type\": \"t5\", \"d_model\": 48, \"d_kv\": 20, \"d_ff\": 80, \"num_layers\": 2,"
    " \"num_heads\": 3, \"vocab_size\": 211, \"relative_attention_num_buckets\": 32,"
    " \"feed_forward_proj\": \"relu\", \"initializer_factor\": 0.4}\n";

static const char gpt2_config[] =
    "{\"model_type\": \"gpt2\", \"n_embd\": 48, \"n_layer\": 2, \"n_head\": 3, \"n_positions\": 64,"
    " \"vocab_size\": 211, \"initializer_range\": 0.03}\n";

static const char opt_config[] =
    "{\"model_type\": \"opt\", \"hidden_size\": 48, \"ffn_dim\": 80, \"num_hidden_layers\": 2,"
    " \"num_attention_heads\": 3, \"max_position_embeddings\": 64, \"vocab_size\": 211,"
    " \"word_embed_proj_dim\": 48, \"init_std\": 0.05}\n";

static const struct {
    const char *config, *weight;
    double mean, deviation;
} expected[] = {
    /* T5PreTrainedModel: factor, and factor times the width (or inner width) to the -1/2; queries
     * also by d_kv, since nothing is divided by its root later. */
    {t5_config, "shared.weight", 0, 0.4},
    {t5_config, "encoder.block.0.layer.0.layer_norm.weight", 0.4, 0},
    {t5_config, "decoder.final_layer_norm.weight", 0.4, 0},
    {t5_config, "encoder.block.1.layer.0.SelfAttention.q.weight", 0, 0.4 * 0.0322748612}, /* 960 */
    {t5_config, "decoder.block.0.layer.1.EncDecAttention.k.weight", 0, 0.4 * 0.1443375673},
    {t5_config, "decoder.block.1.layer.0.SelfAttention.v.weight", 0, 0.4 * 0.1443375673},
    {t5_config, "encoder.block.0.layer.0.SelfAttention.o.weight", 0, 0.4 * 0.1290994449}, /* 60 */
    {t5_config, "encoder.block.0.layer.1.DenseReluDense.wi.weight", 0, 0.4 * 0.1443375673},
    {t5_config, "decoder.block.1.layer.2.DenseReluDense.wo.weight", 0, 0.4 * 0.1118033989},
    {t5_config, "decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", 0,
     0.4 * 0.1443375673},
    /* GPT2PreTrainedModel: what ends a residual branch by 1/sqrt(2 layers). */
    {gpt2_config, "transformer.wte.weight", 0, 0.03},
    {gpt2_config, "transformer.h.0.attn.c_attn.weight", 0, 0.03},
    {gpt2_config, "transformer.h.1.attn.c_proj.weight", 0, 0.015},
    {gpt2_config, "transformer.h.0.mlp.c_proj.weight", 0, 0.015},
    {gpt2_config, "transformer.h.0.ln_1.weight", 1, 0},
    {gpt2_config, "transformer.h.0.ln_1.bias", 0, 0},
    /* OPTPreTrainedModel: one deviation for all. */
    {opt_config, "model.decoder.embed_tokens.weight", 0, 0.05},
    {opt_config, "model.decoder.layers.1.self_attn.out_proj.weight", 0, 0.05},
    {opt_config, "model.decoder.layers.0.fc1.weight", 0, 0.05},
    {opt_config, "model.decoder.final_layer_norm.weight", 1, 0},
};

static const hone_weight *find_weight(const hone_model *model, const char *name)
{
    for (size_t i = 0; i < model->program.weight_count; i++)
        if (strcmp(model->program.weights[i].name, name) == 0)
            return &model->program.weights[i];
    fail_msg("no weight is called %s", name);
    return NULL;
}

/* Within five standard errors: 1/sqrt(n) of the mean, 1/sqrt(2n) of the deviation. */
static void check_weight(const hone_model *model, const char *name, double mean, double deviation)
{
    const hone_weight *weight = find_weight(model, name);
    double n = (double)hone_weight_elements(weight), sum = 0.0, squares = 0.0;
    const float *x = (const float *)weight->data;
    assert_int_equal(weight->dtype, HONE_F32);
    for (int64_t i = 0; i < (int64_t)n; i++)
        sum += (double)x[i];
    for (int64_t i = 0; i < (int64_t)n; i++)
        squares += ((double)x[i] - sum / n) * ((double)x[i] - sum / n);
    double found = sqrt(squares / n), one = deviation > 0 ? deviation : 1e-6;
    if (!(fabs(sum / n - mean) <= 5.0 * one / sqrt(n)) ||
        !(fabs(found - deviation) <= 5.0 * one / sqrt(2.0 * n)))
        fail_msg("%s: mean %g, deviation %g, where %g and %g are expected", name, sum / n, found,
                 mean, deviation);
}

static void random_weights_have_their_familys_spread(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        hone_model *model = open_random_model(expected[i].config);
        check_weight(model, expected[i].weight, expected[i].mean, expected[i].deviation);
        hone_model_close(model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_weights_have_their_familys_spread)};
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
