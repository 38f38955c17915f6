/* Memory that runs out at any allocation of what a user does with a model is HONE_MEMORY, or makes
 * no difference: nothing leaks, no file stays open or is half-written, and a call that succeeds all
 * the same gave the result that it gives with memory.
 *
 * Each job is done with its k-th allocation refused, once ("that one") and then for ever ("that one
 * and all after it"). The first ALL points are all tried, then evenly spaced ones, up to about MOST
 * a job and mode; HONE_FULL_SWEEP=1 tries all. A job runs in a thread of its own, so that what
 * threads keep for themselves is given back and counted. */
#include "engine_support.h"

#include "base/files.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "engine/model.h"
#include "gemm/matmul.h"

#include <hone/evaluate.h>
#include <hone/generate.h>
#include <hone/inspect.h>
#include <hone/memory.h>

#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ALL = 150, MOST = 450 };

/* ---- the hook ----------------------------------------------------------------------------- */

static struct {
    atomic_llong blocks, asked; /* held now; allocations asked for */
    long long refuse;
    bool for_ever;
} book;

static bool refused(void)
{
    long long number = atomic_fetch_add(&book.asked, 1);
    return number == book.refuse || (book.for_ever && number > book.refuse);
}

static void *reallocate(void *context, void *block, size_t old_size, size_t new_size)
{
    (void)context, (void)old_size;
    if (new_size == 0) {
        atomic_fetch_sub(&book.blocks, block != NULL);
        free(block);
        return NULL;
    }
    if (refused())
        return NULL;
    atomic_fetch_add(&book.blocks, block == NULL);
    return realloc(block, new_size);
}

static void *map_pages(void *context, size_t size)
{
    (void)context;
    void *block = refused() ? NULL : aligned_alloc(4096, (size + 4095) & ~(size_t)4095);
    if (block != NULL)
        memset(block, 0, size);
    atomic_fetch_add(&book.blocks, block != NULL);
    return block;
}

static void unmap_pages(void *context, void *block, size_t size)
{
    (void)context, (void)size;
    atomic_fetch_sub(&book.blocks, 1);
    free(block);
}

/* ---- jobs --------------------------------------------------------------------------------- */

typedef struct job job;

/* What a job found out: what must be the same to the bit, and what up to rounding, since products
 * that lack memory for their scratch take another way. */
typedef struct outcome {
    uint64_t exact;
    double rounded;
} outcome;

typedef hone_status (*work_fn)(const job *j, outcome *result, hone_error *error);

struct job {
    const char *name;
    work_fn work;
    const char *model, *adapter, *method, *compute; /* method NULL: for use */
    hone_run_settings *settings;                    /* filled before the sweep, with memory */
};

static void add_to(outcome *result, const void *data, size_t size)
{
    result->exact = hone_hash64(data, size, result->exact);
}

static hone_status open_model(const job *j, hone_model **model, hone_error *error)
{
    return hone_model_open(&j->settings->model, j->method != NULL ? &j->settings->adapter : NULL,
                           model, error);
}

static hone_status open_and_close(const job *j, outcome *result, hone_error *error)
{
    hone_model *model;
    HONE_TRY(open_model(j, &model, error));
    const hone_parameters *p = &model->parameters;
    bool tokenizer = hone_model_tokenizer(model) != NULL;
    add_to(result, model->weights, model->weight_bytes);
    if (p->values != NULL)
        add_to(result, p->values, (size_t)p->elements * sizeof *p->values);
    add_to(result, &tokenizer, sizeof tokenizer);
    hone_model_close(model);
    return HONE_OK;
}

static const char *out_folder(void)
{
    return in_scratch("out");
}

static hone_status save(const job *j, outcome *result, hone_error *error)
{
    hone_model *model;
    (void)result;
    HONE_TRY(open_model(j, &model, error));
    hone_status status = hone_model_save(model, out_folder(), error);
    hone_model_close(model);
    return status;
}

static hone_status merge(const job *j, outcome *result, hone_error *error)
{
    hone_model *model;
    (void)result;
    HONE_TRY(open_model(j, &model, error));
    hone_status status = hone_model_merge(model, out_folder(), error);
    hone_model_close(model);
    return status;
}

static hone_status train(const job *j, outcome *result, hone_error *error)
{
    hone_trainer *trainer;
    hone_step_result step = {0};
    HONE_TRY(hone_trainer_create(j->settings, NULL, &trainer, error));
    hone_status status = hone_trainer_step(trainer, &step, NULL, error);
    if (status == HONE_OK)
        status = hone_trainer_checkpoint(trainer, error);
    add_to(result, &step.tokens, sizeof step.tokens);
    result->rounded = step.loss + step.grad_norm;
    hone_trainer_free(trainer);
    return status;
}

static hone_status plan(const job *j, outcome *result, hone_error *error)
{
    hone_memory_plan needed;
    HONE_TRY(hone_trainer_plan(j->settings, &needed, error));
    /* Values are for a bound on the rows where counting them found no memory. */
    add_to(result, &needed.weights, sizeof needed.weights);
    add_to(result, &needed.trainable, sizeof needed.trainable);
    return HONE_OK;
}

static hone_status evaluate(const job *j, outcome *result, hone_error *error)
{
    hone_model *model;
    hone_evaluation found = {0};
    HONE_TRY(open_model(j, &model, error));
    hone_evaluate_options options = {
        .data = j->settings->train.train, .settings = &j->settings->data, .batch_size = 5};
    hone_status status = hone_evaluate(model, &options, &found, error);
    result->rounded = found.loss;
    hone_model_close(model);
    return status;
}

static void finished(void *context, const hone_generated *generated)
{
    add_to(context, generated->ids, (size_t)generated->count * sizeof *generated->ids);
}

static hone_status generate(const job *j, outcome *result, hone_error *error)
{
    static const int32_t ids[] = {3, 1, 2, 1, 3};
    const hone_prompt prompts[] = {{ids, 5}, {ids, 2}};
    hone_model *model;
    hone_generate_settings settings = {.max_new_tokens = 9,
                                       .temperature = 1.0,
                                       .top_p = 0.9,
                                       .repetition_penalty = 1.1,
                                       .num_beams = 1,
                                       .num_return_sequences = 2,
                                       .decode_batch_size = 3};
    hone_generate_options options = {
        .settings = &settings, .seed = 5, .finished = finished, .context = result};
    HONE_TRY(open_model(j, &model, error));
    hone_status status = hone_generate(model, prompts, 2, &options, error);
    hone_model_close(model);
    return status;
}

static hone_status use_tokenizer(const job *j, outcome *result, hone_error *error)
{
    static const char text[] = "abcab a b <e> abc";
    hone_tokenizer *tokenizer;
    int32_t *ids = NULL;
    size_t capacity = 0, count, length;
    char *back;
    HONE_TRY(hone_tokenizer_open(j->model, &tokenizer, error));
    hone_status status =
        hone_tokenizer_encode(tokenizer, text, sizeof text - 1, &ids, &capacity, &count, error);
    if (status == HONE_OK) {
        add_to(result, ids, count * sizeof *ids);
        status = hone_tokenizer_decode(tokenizer, ids, count, 0, &back, &length, error);
        if (status == HONE_OK) {
            add_to(result, back, length);
            hone_tokenizer_free(back);
        }
    }
    hone_tokenizer_free(ids);
    hone_tokenizer_close(tokenizer);
    return status;
}

static hone_status use_options(const job *j, outcome *result, hone_error *error)
{
    hone_run_settings settings;
    hone_option_set sets[HONE_RUN_SETS];
    hone_status status = HONE_OK;
    size_t ready = 0;
    (void)j;
    hone_run_option_sets(&settings, sets);
    for (; ready < HONE_RUN_SETS; ready++)
        HONE_TRY_GOTO(hone_options_init(&sets[ready], error), done);
    HONE_TRY_GOTO(hone_options_load(sets, ready, in_scratch("run.yaml"), error), done);
    HONE_TRY_GOTO(hone_options_set_text(sets, ready, "rank_pattern", "a=1,b=2", "x", error), done);
    HONE_TRY_GOTO(hone_options_add_text(sets, ready, "target_modules", "third", "x", error), done);
    HONE_TRY_GOTO(hone_folder_make(out_folder(), error), done);
    HONE_TRY_GOTO(hone_options_save(sets, ready, in_scratch("out/saved.yaml"), error), done);
    add_to(result, &settings.adapter.r, sizeof settings.adapter.r);
done:
    while (ready-- > 0)
        hone_options_deinit(&sets[ready]);
    return status;
}

static hone_status inspect(const job *j, outcome *result, hone_error *error)
{
    for (int json = 0; json < 2; json++) {
        char *text;
        HONE_TRY(hone_inspect(j->model, json, &text, error));
        add_to(result, text, strlen(text));
        hone_inspect_free(text);
    }
    return HONE_OK;
}

/* ---- the sweep ---------------------------------------------------------------------------- */

typedef struct trial {
    const job *job;
    hone_status status;
    outcome result;
    hone_error error;
} trial;

static void *run_trial(void *context)
{
    trial *t = context;
    t->status = t->job->work(t->job, &t->result, &t->error);
    return NULL;
}

/* The lowest descriptor that is free: it rises when one is never closed. */
static int free_descriptor(void)
{
    int descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(descriptor);
    return descriptor;
}

/* Does the job with one allocation refused (-1: none). */
static trial attempt(const job *j, long long refuse, bool for_ever)
{
    static const hone_allocator allocator = {reallocate, map_pages, unmap_pages, NULL};
    trial t = {.job = j};
    pthread_t thread;
    book.blocks = book.asked = 0;
    book.refuse = refuse;
    book.for_ever = for_ever;
    assert_ok(hone_folder_remove(out_folder(), error));
    int descriptor = free_descriptor();
    hone_memory_set_allocator(&allocator);
    assert_int_equal(pthread_create(&thread, NULL, run_trial, &t), 0);
    pthread_join(thread, NULL);
    hone_matmul_shutdown();
    hone_memory_set_allocator(NULL);
    if (book.blocks != 0)
        fail_msg("%s, allocation %lld: %lld blocks leak", j->name, refuse, (long long)book.blocks);
    if (free_descriptor() != descriptor)
        fail_msg("%s, allocation %lld: a file stays open", j->name, refuse);
    return t;
}

/* The run folder's logs tell times. */
static bool compares_files(const job *j)
{
    return j->work != train;
}

static void check(const job *j, const trial *t, const trial *reference, long long refuse)
{
    if (t->status != HONE_OK && (t->status != HONE_MEMORY || t->error.status != HONE_MEMORY))
        fail_msg("%s, allocation %lld: %s", j->name, refuse, t->error.message);
    if (t->status != HONE_OK && t->error.message[0] == '\0')
        fail_msg("%s, allocation %lld: no message", j->name, refuse);
    double error = fabs(t->result.rounded - reference->result.rounded);
    bool bf16 = j->compute != NULL && strcmp(j->compute, "bf16") == 0;
    bool close = error <= (bf16 ? 1e-2 : 1e-5) * fabs(reference->result.rounded);
    if (t->status == HONE_OK && (t->result.exact != reference->result.exact || !close))
        fail_msg("%s, allocation %lld: another result: %.9g, expected %.9g", j->name, refuse,
                 t->result.rounded, reference->result.rounded);
    if (t->status == HONE_OK && compares_files(j) &&
        hash_folder(out_folder()) != hash_folder(in_scratch("whole")))
        fail_msg("%s, allocation %lld: other files", j->name, refuse);
    if (compares_files(j))
        assert_part_of(out_folder(), in_scratch("whole"));
}

static void sweep(const job *j)
{
    trial reference = attempt(j, -1, false);
    if (reference.status != HONE_OK)
        fail_msg("%s: %s", j->name, reference.error.message);
    assert_ok(hone_folder_remove(in_scratch("whole"), error));
    if (hone_folder_exists(out_folder()))
        assert_int_equal(rename(out_folder(), in_scratch("whole")), 0);
    long long count = book.asked, tried = 0, failed = 0;
    long long stride = (count - ALL) / (MOST - ALL) + 1;
    if (getenv("HONE_FULL_SWEEP") != NULL || count < MOST)
        stride = 1;
    for (int for_ever = 0; for_ever < 2; for_ever++)
        for (long long k = 0; k < count; k += k < ALL ? 1 : stride) {
            trial t = attempt(j, k, for_ever != 0);
            check(j, &t, &reference, k);
            tried++;
            failed += t.status != HONE_OK;
        }
    print_message("%-34s %6lld allocations, %5lld refused, %5lld errors\n", j->name, count, tried,
                  failed);
    assert_true(failed > tried / 2);
}

/* in_scratch's own buffers are few, and reused. */
static char spoken[512];

static void prepare_job(job *j)
{
    init_settings(j->settings, NULL, "init=pretrained", "batch_size=2", "eval_batch_size=2",
                  "max_steps=1", "r=3", "max_length=20", NULL);
    set_option(j->settings, "threads", "1");
    if (j->model != NULL)
        set_option(j->settings, "model", j->model);
    if (j->adapter != NULL)
        set_option(j->settings, "adapter", j->adapter);
    if (j->method != NULL)
        set_option(j->settings, "method", j->method);
    if (j->compute != NULL)
        set_option(j->settings, "compute", j->compute);
    if (j->work == train)
        set_option(j->settings, "out", out_folder());
}

static void sweep_all(job *jobs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        hone_run_settings settings;
        jobs[i].settings = &settings;
        prepare_job(&jobs[i]);
        sweep(&jobs[i]);
        deinit_settings(&settings);
    }
}

#define SWEEP(jobs) sweep_all(jobs, sizeof(jobs) / sizeof *(jobs))

static void opening_a_model(void **state)
{
    (void)state;
    job jobs[] = {
        {"open, f32", open_and_close, GOLDEN("gpt2-odd"), NULL, NULL, NULL, NULL},
        {"open, f16", open_and_close, GOLDEN("gpt2-odd-f16"), NULL, NULL, NULL, NULL},
        {"open, bf16 in bf16", open_and_close, GOLDEN("gpt2-odd-bf16"), NULL, NULL, "bf16", NULL},
        {"open, shards", open_and_close, GOLDEN("gpt2-sharded"), NULL, NULL, NULL, NULL},
        {"open, .bin", open_and_close, GOLDEN("gpt2-bin"), NULL, NULL, NULL, NULL},
        {"open, OPT in shards of .bin", open_and_close, GOLDEN("opt-post"), NULL, NULL, NULL, NULL},
        {"open, tokenizer.json", open_and_close, spoken, NULL, NULL, NULL, NULL},
        {"open, PEFT's LoRA", open_and_close, GOLDEN("gpt2-sharded"), GOLDEN("gpt2-sharded/lora"),
         NULL, NULL, NULL},
        {"open, PEFT's IA3", open_and_close, GOLDEN("gpt2-bin"), GOLDEN("gpt2-bin/ia3"), NULL, NULL,
         NULL},
        {"open, LoRA to go on with", open_and_close, GOLDEN("gpt2-odd"), GOLDEN("gpt2-odd/lora"),
         "lora", NULL, NULL},
        {"open, new LoRA", open_and_close, GOLDEN("gpt2-odd"), NULL, "lora", NULL, NULL},
        {"open, new IA3", open_and_close, GOLDEN("gpt2-odd"), NULL, "ia3", NULL, NULL},
        {"open, full, bf16", open_and_close, GOLDEN("gpt2-odd"), NULL, "full", "bf16", NULL},
    };
    SWEEP(jobs);
}

static void writing_a_model(void **state)
{
    (void)state;
    job jobs[] = {
        {"save LoRA", save, GOLDEN("gpt2-odd"), GOLDEN("gpt2-odd/lora"), "lora", NULL, NULL},
        {"save IA3", save, GOLDEN("gpt2-odd"), NULL, "ia3", NULL, NULL},
        {"save full", save, spoken, NULL, "full", NULL, NULL},
        {"merge", merge, GOLDEN("gpt2-sharded"), GOLDEN("gpt2-sharded/lora"), NULL, NULL, NULL},
    };
    SWEEP(jobs);
}

static void training(void **state)
{
    (void)state;
    job jobs[] = {
        {"train LoRA", train, GOLDEN("gpt2-odd"), NULL, "lora", NULL, NULL},
        {"train LoRA, bf16", train, GOLDEN("gpt2-odd"), NULL, "lora", "bf16", NULL},
        {"train full", train, GOLDEN("gpt2-odd"), NULL, "full", NULL, NULL},
        {"plan", plan, GOLDEN("gpt2-odd"), NULL, "lora", NULL, NULL},
    };
    SWEEP(jobs);
}

static void using_a_model(void **state)
{
    (void)state;
    job jobs[] = {
        {"evaluate", evaluate, GOLDEN("gpt2-odd"), GOLDEN("gpt2-odd/lora"), NULL, NULL, NULL},
        {"evaluate, bf16", evaluate, GOLDEN("gpt2-odd"), NULL, NULL, "bf16", NULL},
        {"generate", generate, GOLDEN("gpt2-odd"), GOLDEN("gpt2-odd/ia3"), NULL, NULL, NULL},
        {"generate, bf16", generate, GOLDEN("gpt2-odd"), NULL, NULL, "bf16", NULL},
        {"inspect a model", inspect, GOLDEN("gpt2-sharded"), NULL, NULL, NULL, NULL},
        {"inspect an adapter", inspect, GOLDEN("gpt2-odd/lora"), NULL, NULL, NULL, NULL},
    };
    SWEEP(jobs);
}

static void tokenizers_and_settings(void **state)
{
    (void)state;
    job jobs[] = {
        {"tokenizer.json", use_tokenizer, spoken, NULL, NULL, NULL, NULL},
        {"vocab.json, merges.txt", use_tokenizer, "tests/cli/data/bytes", NULL, NULL, NULL, NULL},
        {"settings", use_options, NULL, NULL, NULL, NULL, NULL},
    };
    SWEEP(jobs);
}

static int prepare(void **state)
{
    if (make_scratch(state) != 0)
        return 1;
    snprintf(spoken, sizeof spoken, "%s", in_scratch("spoken"));
    copy_folder(GOLDEN("gpt2-odd"), spoken);
    char *text = read_text("tests/fuzz/corpus/tokenizer_json/good", NULL);
    write_text(in_scratch("spoken/tokenizer.json"), text);
    write_text(in_scratch("spoken/tokenizer_config.json"),
               "{\"eos_token\": \"<e>\", \"model_max_length\": 1000000000000000019884624838656}");
    hone_free(text);
    write_text(in_scratch("run.yaml"),
               "model: some/folder\nr: 5\ntarget_modules: [one, two]\nlearning_rate: 1.0e-3\n"
               "alpha_pattern: {x: 1.5, y: 2}\nprompt_template: \"Q: {prompt}\\n\"\n");
    write_rows(in_scratch("train.jsonl"), 7, 0);
    hone_parallel_set_threads(1);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opening_a_model),
        cmocka_unit_test(writing_a_model),
        cmocka_unit_test(training),
        cmocka_unit_test(using_a_model),
        cmocka_unit_test(tokenizers_and_settings),
    };
    return cmocka_run_group_tests(tests, prepare, remove_scratch);
}
