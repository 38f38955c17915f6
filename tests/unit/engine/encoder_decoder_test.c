/* Encoder-decoder models as a whole: source and target run apart, with a cache, give what one run
 * gives; and documents packed together give what they give alone. */
#include "../train/train_support.h"
#include "graph/executor.h"
#include "infer/evaluate_internal.h"

#include "base/files.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { VOCABULARY = 53, SEGMENTS = 3, SOURCE_ROWS = 29, TARGET_ROWS = 17 };

/* Distinct odd sizes; values large enough to leave attention's flat start. */
static const char config[] =
    "{\"model_type\": \"t5\", \"d_model\": 22, \"d_kv\": 7, \"d_ff\": 31, \"num_layers\": 3,"
    " \"num_decoder_layers\": 2, \"num_heads\": 3, \"vocab_size\": 53,"
    " \"relative_attention_num_buckets\": 8, \"relative_attention_max_distance\": 9,"
    " \"feed_forward_proj\": \"%s\", \"dropout_rate\": 0.1, \"initializer_factor\": 1.0}\n";

static hone_model *open_model(const char *feed_forward)
{
    char text[1024];
    snprintf(text, sizeof text, config, feed_forward);
    return open_random_model(text);
}

/* Three documents of odd lengths. */
typedef struct documents {
    int32_t ids[TARGET_ROWS], positions[TARGET_ROWS];
    int32_t source_ids[SOURCE_ROWS], source_positions[SOURCE_ROWS];
    int64_t starts[SEGMENTS + 1], source_starts[SEGMENTS + 1];
    hone_batch batch;
} documents;

static void fill_stream(const int64_t *starts, int factor, int32_t *ids, int32_t *positions)
{
    for (int s = 0; s < SEGMENTS; s++)
        for (int64_t row = starts[s]; row < starts[s + 1]; row++) {
            positions[row] = (int32_t)(row - starts[s]);
            ids[row] = (int32_t)(row * factor % VOCABULARY);
        }
}

static void make_documents(documents *d)
{
    static const int64_t starts[] = {0, 5, 6, TARGET_ROWS}, sources[] = {0, 13, 18, SOURCE_ROWS};
    memcpy(d->starts, starts, sizeof starts);
    memcpy(d->source_starts, sources, sizeof sources);
    fill_stream(starts, 7, d->ids, d->positions);
    fill_stream(sources, 11, d->source_ids, d->source_positions);
    d->batch = (hone_batch){
        .segments = SEGMENTS,
        .target = {TARGET_ROWS, d->ids, d->positions, d->starts, 0},
        .source = {SOURCE_ROWS, d->source_ids, d->source_positions, d->source_starts, 0}};
}

static void run(const hone_model *model, const hone_plan_options *options,
                const hone_execution *execution)
{
    hone_plan plan;
    hone_executor executor;
    assert_ok(hone_plan_create(&model->program, options, &plan, error));
    assert_ok(hone_executor_create(&plan, &executor, error));
    hone_executor_run(&executor, execution);
    hone_executor_free(&executor);
    hone_plan_free(&plan);
}

static void run_whole(const hone_model *model, const documents *d, float *logits)
{
    int32_t all[TARGET_ROWS];
    for (int32_t i = 0; i < TARGET_ROWS; i++)
        all[i] = i;
    hone_plan_options options = {
        .rows = TARGET_ROWS, .source_rows = SOURCE_ROWS, .compute = HONE_F32};
    hone_execution execution = {
        .batch = &d->batch,
        .head = {.logit_rows = all, .logit_count = TARGET_ROWS, .logits = logits}};
    run(model, &options, &execution);
}

/* The source once, into slots that are not the documents' own numbers; then the target, all rows of
 * all documents at once or one row of each after the other. */
static void run_apart(const hone_model *model, const documents *d, bool by_row, float *logits)
{
    static const int32_t slots[] = {2, 0, 1}, source_slots[] = {3, 1, 0}, none[SEGMENTS] = {0};
    int32_t lengths[SEGMENTS];
    hone_cache cache;
    const hone_cache_room room = {
        .slots = 3, .capacity = 11, .source_slots = 4, .source_capacity = 14};
    assert_ok(hone_cache_create(&model->program, HONE_F32, &room, &cache, error));
    hone_plan_options options = {.source_rows = SOURCE_ROWS,
                                 .rows = 1,
                                 .compute = HONE_F32,
                                 .longest = room.source_capacity,
                                 .part = HONE_PART_SOURCE};
    hone_batch batch = {.segments = SEGMENTS, .source = d->batch.source};
    hone_execution execution = {
        .batch = &batch, .cache = &cache, .source_slots = source_slots, .source_past = none};
    run(model, &options, &execution);
    for (int s = 0; s < SEGMENTS; s++)
        lengths[s] = (int32_t)(d->source_starts[s + 1] - d->source_starts[s]);
    options = (hone_plan_options){.rows = TARGET_ROWS,
                                  .compute = HONE_F32,
                                  .longest = room.source_capacity,
                                  .part = HONE_PART_TARGET};
    int64_t rounds = by_row ? 11 : 1;
    for (int64_t round = 0; round < rounds; round++) {
        int32_t ids[TARGET_ROWS], positions[TARGET_ROWS], all[TARGET_ROWS], past[SEGMENTS];
        int32_t live[SEGMENTS], live_sources[SEGMENTS], live_lengths[SEGMENTS];
        int64_t starts[SEGMENTS + 1] = {0}, rows = 0, segments = 0;
        for (int s = 0; s < SEGMENTS; s++) {
            int64_t first = d->starts[s] + (by_row ? round : 0);
            int64_t last = by_row ? first + 1 : d->starts[s + 1];
            if (first >= d->starts[s + 1])
                continue;
            past[segments] = (int32_t)(first - d->starts[s]);
            live[segments] = slots[s];
            live_sources[segments] = source_slots[s];
            live_lengths[segments] = lengths[s];
            for (int64_t row = first; row < last; row++, rows++) {
                ids[rows] = d->ids[row];
                positions[rows] = d->positions[row];
                all[rows] = (int32_t)row;
            }
            starts[++segments] = rows;
        }
        float found[TARGET_ROWS * VOCABULARY];
        int32_t numbers[TARGET_ROWS];
        for (int32_t i = 0; i < rows; i++)
            numbers[i] = i;
        batch = (hone_batch){.segments = segments, .target = {rows, ids, positions, starts, 0}};
        execution =
            (hone_execution){.batch = &batch,
                             .head = {.logit_rows = numbers, .logit_count = rows, .logits = found},
                             .cache = &cache,
                             .slots = live,
                             .past = past,
                             .source_slots = live_sources,
                             .source_past = live_lengths};
        run(model, &options, &execution);
        for (int64_t i = 0; i < rows; i++)
            memcpy(logits + all[i] * VOCABULARY, found + i * VOCABULARY,
                   VOCABULARY * sizeof(float));
    }
    hone_cache_free(&cache);
}

static void source_and_target_apart_give_what_one_run_gives(void **state)
{
    (void)state;
    static const char *const kinds[] = {"relu", "gated-gelu"};
    for (int k = 0; k < 2; k++) {
        static documents d;
        static float whole[TARGET_ROWS * VOCABULARY], apart[TARGET_ROWS * VOCABULARY];
        hone_model *model = open_model(kinds[k]);
        make_documents(&d);
        run_whole(model, &d, whole);
        for (int by_row = 0; by_row < 2; by_row++) {
            memset(apart, 0, sizeof apart);
            run_apart(model, &d, by_row == 1, apart);
            /* Other blocks of the same products: rounding only. */
            for (int i = 0; i < TARGET_ROWS * VOCABULARY; i++)
                if (!(fabsf(whole[i] - apart[i]) <= 2e-5f))
                    fail_msg("%s, %s: logit %d is %g apart, %g whole", kinds[k],
                             by_row ? "row by row" : "at once", i, (double)apart[i],
                             (double)whole[i]);
        }
        hone_model_close(model);
    }
}

typedef struct seen {
    float logprobs[8][16];
    int64_t documents;
} seen;

static void keep(void *context, int64_t document, const int32_t *ids, const float *logprobs,
                 int64_t count)
{
    (void)ids;
    seen *s = context;
    memcpy(s->logprobs[document], logprobs, (size_t)count * sizeof *logprobs);
    s->documents++;
}

static void packed_equals_one_by_one(void **state)
{
    (void)state;
    hone_model *model = open_model("relu");
    hone_data_settings settings;
    hone_option_set set = hone_data_option_set(&settings);
    assert_ok(hone_options_init(&set, error));
    write_text(in_scratch("rows.jsonl"),
               "{\"source_ids\": [5, 9, 1], \"target_ids\": [3, 1]}\n"
               "{\"source_ids\": [1], \"target_ids\": [1]}\n"
               "{\"source_ids\": [7, 8, 9, 10, 11, 12, 1], \"target_ids\": [4, 4, 5, 6, 7, 1]}\n"
               "{\"source_ids\": [50, 1], \"target_ids\": [2, 9, 1]}\n");
    static const int64_t batches[] = {1, 2, 100};
    static seen all[3];
    hone_evaluation result[3];
    for (int b = 0; b < 3; b++) {
        hone_evaluate_options options = {.data = in_scratch("rows.jsonl"),
                                         .settings = &settings,
                                         .batch_size = batches[b],
                                         .logprobs = keep,
                                         .context = &all[b]};
        assert_ok(hone_evaluate(model, &options, &result[b], error));
        assert_int_equal(result[b].tokens, 12);
        assert_int_equal(all[b].documents, 4);
        assert_true(fabs(result[b].loss - result[0].loss) < 1e-6);
        for (int d = 0; d < 4; d++)
            for (int i = 0; i < 16; i++)
                assert_true(fabsf(all[b].logprobs[d][i] - all[0].logprobs[d][i]) < 1e-5f);
    }
    assert_false(isnan(all[0].logprobs[1][0])); /* the first token of a target is predicted */
    hone_options_deinit(&set);
    hone_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(source_and_target_apart_give_what_one_run_gives),
        cmocka_unit_test(packed_equals_one_by_one),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
