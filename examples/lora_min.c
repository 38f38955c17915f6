/* A whole program on libhone: tokenizes a text, fine-tunes a GPT-2 folder with LoRA for a few
 * steps, and lets it go on with the text, streamed as it is made.
 *
 *     lora_min MODEL ROWS.jsonl STEPS "A text"
 *
 * Build: cc lora_min.c -lhone and what `pkg-config` says of its libraries, or see CMakeLists.txt.
 */
#include <hone/generate.h>
#include <hone/trainer.h>

#include <stdio.h>
#include <string.h>

static int failed(const hone_error *error)
{
    char text[4096];
    hone_error_format(error, text, sizeof text);
    fprintf(stderr, "lora_min: %s\n", text);
    return hone_status_exit_code(error->status);
}

/* ---- training ----------------------------------------------------------------------------- */

static void on_event(void *context, const hone_train_event *event)
{
    (void)context;
    if (event->kind == HONE_EVENT_STEP)
        printf("step %lld of %lld: loss %.4f, %.0f tokens/s\n", (long long)event->step->step,
               (long long)event->step->total_steps, event->step->loss,
               event->step->tokens_per_second);
    else if (event->kind == HONE_EVENT_START || event->kind == HONE_EVENT_END)
        printf("%s\n", event->text);
}

/* Every setting has its default; these are the keys that this program decides. The same keys are
 * the flags of `hone train` and the keys of its YAML files. */
static hone_status set_up(const hone_option_set *sets, char **argv, hone_error *error)
{
    const char *const values[][2] = {
        {"model", argv[1]},
        {"train", argv[2]},
        {"max_steps", argv[3]},
        {"method", "lora"},
        {"r", "4"},
        {"lora_alpha", "8"},
        {"batch_size", "2"},
        {"max_length", "128"},
        {"warmup_ratio", "0"},
        {"learning_rate", "1e-3"},
        {"seed", "7"},
    };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        hone_status status = hone_options_set_text(sets, HONE_RUN_SETS, values[i][0], values[i][1],
                                                   values[i][0], error);
        if (status != HONE_OK)
            return status;
    }
    return HONE_OK;
}

/* Trains without a run folder: nothing is written. *trainer owns the model. */
static hone_status train(char **argv, hone_trainer **trainer, hone_error *error)
{
    hone_run_settings settings;
    hone_option_set sets[HONE_RUN_SETS];
    hone_status status = HONE_OK;
    size_t ready = 0;
    hone_run_option_sets(&settings, sets);
    for (; ready < HONE_RUN_SETS && status == HONE_OK; ready += status == HONE_OK)
        status = hone_options_init(&sets[ready], error);
    if (status == HONE_OK)
        status = set_up(sets, argv, error);
    const hone_train_callbacks callbacks = {.event = on_event};
    if (status == HONE_OK)
        status = hone_trainer_create(&settings, &callbacks, trainer, error);
    while (ready > 0)
        hone_options_deinit(&sets[--ready]);
    bool done = false;
    hone_step_result step;
    while (status == HONE_OK && !done)
        status = hone_trainer_step(*trainer, &step, &done, error);
    return status;
}

/* ---- text --------------------------------------------------------------------------------- */

static int on_text(void *context, int64_t prompt, int64_t sequence, const char *text, size_t length)
{
    (void)context, (void)prompt, (void)sequence;
    fwrite(text, 1, length, stdout);
    fflush(stdout);
    return 0; /* nonzero would stop */
}

static void on_finished(void *context, const hone_generated *made)
{
    *(int64_t *)context += made->count;
}

static hone_status go_on(hone_model *model, const char *text, hone_error *error)
{
    const hone_tokenizer *tokenizer = hone_model_tokenizer(model);
    int32_t *ids = NULL;
    size_t capacity = 0, count = 0;
    hone_status status =
        hone_tokenizer_encode(tokenizer, text, strlen(text), &ids, &capacity, &count, error);
    if (status != HONE_OK)
        return status;
    printf("\"%s\" is %zu tokens:", text, count);
    for (size_t i = 0; i < count; i++)
        printf(" %d", ids[i]);
    printf("\n%s", text);

    int64_t made = 0;
    hone_generate_settings settings;
    hone_option_set set = hone_generate_option_set(&settings);
    status = hone_options_init(&set, error);
    if (status == HONE_OK) {
        settings.max_new_tokens = 24;
        settings.temperature = 0.8;
        settings.top_k = 40;
        const hone_prompt prompt = {ids, (int64_t)count};
        const hone_generate_options options = {.settings = &settings,
                                               .seed = 7,
                                               .stream = on_text,
                                               .finished = on_finished,
                                               .context = &made};
        status = hone_generate(model, &prompt, 1, &options, error);
        hone_options_deinit(&set);
    }
    printf("\n(%lld new tokens)\n", (long long)made);
    hone_tokenizer_free(ids);
    return status;
}

int main(int argc, char **argv)
{
    hone_error error = {0};
    hone_trainer *trainer = NULL;
    if (argc != 5) {
        fprintf(stderr, "usage: lora_min MODEL ROWS.jsonl STEPS TEXT\n");
        return 2;
    }
    hone_status status = train(argv, &trainer, &error);
    if (status == HONE_OK && hone_model_tokenizer(hone_trainer_model(trainer)) != NULL)
        status = go_on(hone_trainer_model(trainer), argv[4], &error);
    hone_trainer_free(trainer);
    return status == HONE_OK ? 0 : failed(&error);
}
