/* Predictions: see predict_examples.h. */
#include "infer/predict_examples.h"

#include <string.h>
#include <time.h>

typedef struct predicting {
    const hone_examples *examples;
    const hone_predict_request *request;
    hone_string lines;
    hone_prediction_costs costs;
    int64_t done;
    hone_status status; /* of the callbacks, which can't fail */
    hone_error *error;
} predicting;

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static hone_text trim(hone_text text)
{
    while (text.length > 0 && is_space(text.text[0])) {
        text.text++;
        text.length--;
    }
    while (text.length > 0 && is_space(text.text[text.length - 1]))
        text.length--;
    return text;
}

void hone_prediction_put(hone_string *out, const hone_example *example, hone_text prediction,
                         const char *finish)
{
    hone_string_format(out, "{\"line\":%lld,\"prediction\":", (long long)example->line);
    hone_string_json(out, prediction.text, prediction.length);
    hone_string_add(out, ",\"reference\":");
    hone_string_json(out, example->target.text, example->target.length);
    hone_string_add(out, ",\"source\":");
    hone_string_json(out, example->source.text, example->source.length);
    if (finish != NULL)
        hone_string_format(out, ",\"finish\":\"%s\"", finish);
    hone_string_add(out, "}\n");
}

static void take(void *context, const hone_generated *made)
{
    static const char *const finishes[] = {"eos", "stop", "length"};
    predicting *p = context;
    if (p->status != HONE_OK)
        return;
    const hone_example *example = &p->examples->items[made->prompt];
    hone_text prediction = trim((hone_text){made->text, made->length});
    p->costs.tokens += made->count + (made->finish == HONE_FINISH_EOS);
    if (p->request->path != NULL)
        hone_prediction_put(&p->lines, example, prediction, finishes[made->finish]);
    if (p->request->scorer != NULL)
        p->status = hone_scorer_add(p->request->scorer, prediction, &example->target, 1, p->error);
    p->done++;
}

static int go_on(void *context, int64_t prompt, int64_t sequence, const char *text, size_t length)
{
    (void)prompt, (void)sequence, (void)text, (void)length;
    const predicting *p = context;
    const hone_predict_request *request = p->request;
    if (p->status != HONE_OK)
        return 1;
    return request->progress != NULL &&
           request->progress(request->context, p->done, p->examples->count) != 0;
}

hone_status hone_predict_examples(hone_model *model, const hone_examples *examples,
                                  const hone_predict_request *request, hone_prediction_costs *costs,
                                  hone_error *error)
{
    if (hone_model_tokenizer(model) == NULL)
        return hone_fail(error, HONE_USAGE,
                         "the model folder has no tokenizer: there are no texts to predict");
    if (request->settings->num_return_sequences != 1)
        return hone_fail(error, HONE_USAGE,
                         "predictions are one a row: num_return_sequences must be 1");
    predicting p = {.examples = examples, .request = request, .error = error};
    const hone_generate_options options = {.settings = request->settings,
                                           .seed = request->seed,
                                           .stream = go_on,
                                           .finished = take,
                                           .context = &p};
    double begin = seconds_now();
    hone_status status = hone_generate(model, examples->prompts, examples->count, &options, error);
    p.costs.seconds = seconds_now() - begin;
    if (p.status != HONE_OK)
        status = p.status; /* what made it stop */
    if (status == HONE_OK && request->path != NULL)
        status = hone_string_write(&p.lines, request->path, error);
    hone_string_deinit(&p.lines);
    if (status == HONE_OK && costs != NULL)
        *costs = p.costs;
    return status;
}
