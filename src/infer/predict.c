/* Predictions: see hone/predict.h. */
#include <hone/predict.h>

#include "base/files.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/utf8_check.h"
#include "engine/model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct predicting {
    const hone_model *model;
    const hone_prompts *prompts;
    const hone_predict_options *options;
    hone_writer writer;
    hone_prediction_counts counts;
    hone_status status; /* of the first line that could not be written, ... */
    hone_error failure; /* ... and why */
} predicting;

/* ---- a line ------------------------------------------------------------------------------- */

static hone_json *text_value(const char *text, size_t length)
{
    size_t size;
    if (!hone_size_mul(length, 3, &size))
        return NULL;
    char *clean = hone_alloc(size + 1);
    if (clean == NULL)
        return NULL;
    hone_json *value = hone_json_new_string_n(clean, hone_utf8_repair(text, length, clean));
    hone_free(clean);
    return value;
}

static hone_json *ids_value(const int32_t *ids, int64_t count)
{
    hone_json *list = hone_json_new_array();
    for (int64_t i = 0; i < count; i++)
        if (!hone_json_append(list, hone_json_new_integer(ids[i]))) {
            hone_json_free(list);
            return NULL;
        }
    return list;
}

/* A part of a row as a text, by its ids where it has none; without a tokenizer as ids. */
static bool set_part(const predicting *p, hone_json *line, const char *key, const char *text,
                     size_t length, const int32_t *ids, int64_t count)
{
    char ids_key[32], *decoded = NULL;
    const hone_tokenizer *tokenizer = p->model->tokenizer;
    if (text != NULL)
        return hone_json_set(line, key, text_value(text, length));
    if (ids == NULL)
        return true;
    if (tokenizer == NULL || hone_tokenizer_decode(tokenizer, ids, (size_t)count, 1, &decoded,
                                                   &length, NULL) != HONE_OK) {
        snprintf(ids_key, sizeof ids_key, "%s_ids", key);
        return hone_json_set(line, ids_key, ids_value(ids, count));
    }
    bool set = hone_json_set(line, key, text_value(decoded, length));
    hone_tokenizer_free(decoded);
    return set;
}

static hone_json *make_line(const predicting *p, const hone_generated *made)
{
    static const char *const finishes[] = {"eos", "stop", "length"};
    const hone_generate_settings *settings = p->options->settings;
    const hone_prompt *prompt = &hone_prompts_get(p->prompts)[made->prompt];
    hone_prompt_row row = hone_prompts_row(p->prompts, made->prompt);
    hone_json *line = hone_json_new_object();
    bool good = set_part(p, line, "prediction", made->text, made->length, made->ids, made->count);
    good &= set_part(p, line, "reference", row.reference, row.reference_length, row.reference_ids,
                     row.reference_count);
    good &= set_part(p, line, p->model->program.encoder_decoder ? "source" : "prompt", row.prompt,
                     row.prompt_length, prompt->ids, prompt->count);
    good &= hone_json_set(line, "finish", hone_json_new_string(finishes[made->finish]));
    if (settings->num_return_sequences > 1)
        good &= hone_json_set(line, "sequence", hone_json_new_integer(made->sequence));
    if (settings->num_beams > 1)
        good &= hone_json_set(line, "score",
                              isfinite(made->score) ? hone_json_new_real(made->score)
                                                    : hone_json_new_null());
    if (good)
        return line;
    hone_json_free(line);
    return NULL;
}

static hone_status write_line(predicting *p, const hone_generated *made)
{
    hone_json *line = make_line(p, made);
    char *text = line != NULL ? hone_json_dump(line, (hone_json_format){.digits = 9}) : NULL;
    hone_status status = HONE_OK;
    hone_json_free(line);
    if (text == NULL)
        return hone_fail_memory(&p->failure, "prediction", made->length);
    size_t length = strlen(text);
    text[length] = '\n'; /* in the place of the NUL */
    status = hone_writer_put(&p->writer, text, length + 1, &p->failure);
    hone_free(text);
    return status;
}

/* ---- all ---------------------------------------------------------------------------------- */

static void finished(void *context, const hone_generated *made)
{
    predicting *p = context;
    if (p->status != HONE_OK)
        return;
    p->status = write_line(p, made);
    if (p->status != HONE_OK)
        return;
    p->counts.texts++;
    p->counts.tokens += made->count;
    p->counts.prompts =
        made->prompt + (made->sequence + 1 == p->options->settings->num_return_sequences);
}

static int stream(void *context, int64_t prompt, int64_t sequence, const char *text, size_t length)
{
    predicting *p = context;
    (void)prompt, (void)sequence, (void)text, (void)length;
    if (p->status != HONE_OK)
        return 1;
    return p->options->progress != NULL &&
           p->options->progress(p->options->context, &p->counts, hone_prompts_count(p->prompts));
}

/* Keeps what was made before `status`, which is returned. */
static hone_status keep_partial(predicting *p, hone_status status, const char *path,
                                hone_error *error)
{
    char *partial = hone_alloc(strlen(path) + sizeof ".partial");
    hone_error second;
    bool kept = false;
    if (partial != NULL && p->counts.texts > 0) {
        sprintf(partial, "%s.partial", path);
        if (hone_writer_rename(&p->writer, partial, &second) == HONE_OK)
            kept = hone_writer_commit(&p->writer, &second) == HONE_OK;
    }
    hone_writer_abandon(&p->writer);
    if (kept)
        hone_error_append(error, "; the %lld texts made before are in %s",
                          (long long)p->counts.texts, partial);
    hone_free(partial);
    return status;
}

hone_status hone_predict(hone_model *model, const hone_prompts *prompts,
                         const hone_predict_options *options, const char *path,
                         hone_prediction_counts *counts, hone_error *error)
{
    predicting p = {.model = model, .prompts = prompts, .options = options};
    const hone_generate_options request = {.settings = options->settings,
                                           .seed = options->seed,
                                           .stream = stream,
                                           .finished = finished,
                                           .context = &p};
    HONE_TRY(hone_writer_open(&p.writer, path, error));
    hone_status status = hone_generate(model, hone_prompts_get(prompts),
                                       hone_prompts_count(prompts), &request, error);
    if (p.status != HONE_OK) {
        status = p.status;
        if (error != NULL)
            *error = p.failure;
    }
    if (status != HONE_OK)
        status = keep_partial(&p, status, path, error);
    else
        status = hone_writer_commit(&p.writer, error);
    if (counts != NULL)
        *counts = p.counts;
    if (status == HONE_OK && options->progress != NULL)
        options->progress(options->context, &p.counts, hone_prompts_count(prompts));
    return status;
}
