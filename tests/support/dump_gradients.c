/* Runs a model once over packed documents and writes every gradient, so that they can be compared
 * with another implementation's.
 * usage: dump_gradients MODEL METHOD COMPUTE CHECKPOINTING(0|1) OUT.safetensors RUNS ids,ids,...
 * ... METHOD: lora ia3 full, or a PEFT folder to go on with. Each further argument is one document:
 * its ids, or, for an encoder-decoder model, those of its source, a colon, and those of its target.
 * RUNS repeats forward and backward on the same memory before the gradients are written, so that a
 * value left over from an earlier run would show. Prints the loss of each run. */
#include "engine/model.h"
#include "graph/executor.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ROWS = 65536 };

static int32_t ids[MOST_ROWS], positions[MOST_ROWS], labels[MOST_ROWS];
static int32_t source_ids[MOST_ROWS], source_positions[MOST_ROWS];
static int64_t starts[MOST_ROWS], source_starts[MOST_ROWS];
static float logprobs[MOST_ROWS];

/* Appends ids up to a colon or the text's end to a stream; what follows the colon. */
static char *parse_ids(char *text, int32_t *to, int32_t *places, int64_t *rows)
{
    for (int32_t at = 0; *text != '\0' && *text != ':'; text += *text == ',') {
        to[*rows] = (int32_t)strtol(text, &text, 10);
        places[(*rows)++] = at++;
    }
    return text + (*text == ':');
}

static void parse_document(char *text, const hone_program *program, hone_batch *batch)
{
    int64_t first = batch->target.rows;
    if (program->encoder_decoder)
        text = parse_ids(text, source_ids, source_positions, &batch->source.rows);
    parse_ids(text, ids, positions, &batch->target.rows);
    int64_t last = batch->target.rows - 1;
    for (int64_t row = first; row <= last; row++)
        labels[row] = row < last ? ids[row + 1] : HONE_NO_LABEL;
    if (program->encoder_decoder) { /* every id is predicted, the first from the start */
        memmove(labels + first + 1, labels + first, (size_t)(last - first) * sizeof *labels);
        labels[first] = ids[first];
        memmove(ids + first + 1, ids + first, (size_t)(last - first) * sizeof *ids);
        ids[first] = program->decoder_start;
    }
    starts[++batch->segments] = batch->target.rows;
    source_starts[batch->segments] = batch->source.rows;
}

static hone_batch parse(int count, char **documents, const hone_program *program)
{
    hone_batch batch = {
        .target = {.ids = ids, .positions = positions, .starts = starts},
        .source = {.ids = source_ids, .positions = source_positions, .starts = source_starts},
        .labels = labels};
    for (int d = 0; d < count; d++)
        parse_document(documents[d], program, &batch);
    return batch;
}

static int fail(const hone_error *error)
{
    char text[4096];
    hone_error_format(error, text, sizeof text);
    fprintf(stderr, "dump_gradients: %s\n", text);
    return hone_status_exit_code(error->status);
}

static double run(hone_executor *executor, hone_model *model, const hone_batch *batch)
{
    int64_t trained = 0;
    for (int64_t i = 0; i < batch->target.rows; i++)
        trained += labels[i] != HONE_NO_LABEL;
    memset(model->parameters.gradients, 0, (size_t)model->parameters.elements * sizeof(float));
    hone_execution execution = {.batch = batch, .seed = 1, .step = 1};
    execution.head.logprobs = logprobs;
    execution.head.loss_scale = 1.0f / (float)trained;
    hone_executor_run(executor, &execution);
    double loss = 0;
    for (int64_t i = 0; i < batch->target.rows; i++)
        if (!isnan(logprobs[i]))
            loss -= (double)logprobs[i];
    return loss / (double)trained;
}

static hone_status write_gradients(const hone_model *model, const char *path, hone_error *error)
{
    const hone_parameters *p = &model->parameters;
    hone_tensor_out *out = calloc(p->count, sizeof *out);
    for (size_t i = 0; i < p->count; i++)
        out[i] = (hone_tensor_out){.name = p->items[i].name,
                                   .dtype = HONE_F32,
                                   .stored = HONE_F32,
                                   .dims = p->items[i].dims,
                                   .shape = {p->items[i].rows, p->items[i].columns},
                                   .data = p->gradients + p->items[i].offset};
    hone_status status = hone_safetensors_write(path, out, p->count, error);
    free(out);
    return status;
}

int main(int argc, char **argv)
{
    if (argc < 8)
        return 2;
    hone_error error;
    hone_model_settings settings;
    hone_adapter_settings adapter;
    hone_option_set sets[] = {hone_model_option_set(&settings), hone_adapter_option_set(&adapter)};
    for (int i = 0; i < 2; i++)
        if (hone_options_init(&sets[i], &error) != HONE_OK)
            return fail(&error);
    bool folder = strchr(argv[2], '/') != NULL;
    hone_options_set_text(sets, 2, "model", argv[1], "", &error);
    hone_options_set_text(sets, 2, "compute", argv[3], "", &error);
    hone_options_set_text(sets, 2, folder ? "adapter" : "method", argv[2], "", &error);
    hone_model *model;
    if (hone_model_open(&settings, &adapter, &model, &error) != HONE_OK)
        return fail(&error);
    hone_batch batch = parse(argc - 7, argv + 7, &model->program);
    hone_plan_options options = {.rows = batch.target.rows,
                                 .source_rows = batch.source.rows,
                                 .compute = model->compute,
                                 .training = true,
                                 .checkpointing = argv[4][0] == '1'};
    hone_plan plan;
    hone_executor executor;
    if (hone_plan_create(&model->program, &options, &plan, &error) != HONE_OK ||
        hone_executor_create(&plan, &executor, &error) != HONE_OK)
        return fail(&error);
    for (int i = 0; i < atoi(argv[6]); i++)
        printf("%.9g\n", run(&executor, model, &batch));
    if (write_gradients(model, argv[5], &error) != HONE_OK)
        return fail(&error);
    hone_executor_free(&executor);
    hone_plan_free(&plan);
    hone_model_close(model);
    for (int i = 0; i < 2; i++)
        hone_options_deinit(&sets[i]);
    return 0;
}
