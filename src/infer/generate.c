/* Generation: see hone/generate.h. Checks the request, makes the room, and leaves the decoding to
 * sequences.c or beam_search.c. */
#include "base/parallel.h"
#include "infer/generation.h"
#include "infer/sampling.h"

#include <hone/generate.h>

enum { PROMPT_ROWS = 1024 }; /* of long prompts in one run, unless one is longer */

/* ---- what both ways of decoding use ------------------------------------------------------- */

const int32_t *hone_generation_begin(const hone_generation *g, int64_t prompt, int64_t *count)
{
    const hone_prompt *from = &g->prompts[prompt];
    bool own = from->count > 0 && !g->model->program.encoder_decoder;
    *count = own ? from->count : 1;
    if (g->model->program.encoder_decoder)
        return &g->model->program.decoder_start;
    return own ? from->ids : &g->special.begin;
}

void hone_generation_read(hone_generation *g, int64_t prompt, int64_t source)
{
    if (g->model->program.encoder_decoder)
        hone_decode_read(&g->decode, source, g->prompts[prompt].ids, g->prompts[prompt].count);
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The token after the last position is chosen too; it could not be fed. */
int64_t hone_generation_most(const hone_generation *g, int64_t prompt)
{
    int64_t count;
    hone_generation_begin(g, prompt, &count);
    return least(g->settings->max_new_tokens, g->model->program.context_length + 1 - count);
}

hone_new_text hone_generation_text(const hone_generation *g)
{
    hone_new_text text = {.begun = 0};
    hone_stop_text_init(&text.bytes, &g->settings->stop);
    return text;
}

hone_status hone_generation_add_text(const hone_generation *g, hone_new_text *text, int32_t id,
                                     int64_t made, bool *stopped, hone_error *error)
{
    const hone_tokenizer *tokenizer = g->model->tokenizer;
    size_t length = 0;
    char *bytes = NULL;
    *stopped = false;
    /* A model may have more ids than its tokenizer knows: they say nothing. */
    if (tokenizer == NULL || hone_tokenizer_token(tokenizer, id, &length) == NULL)
        return HONE_OK;
    HONE_TRY(
        hone_tokenizer_decode_more(tokenizer, &id, 1, 1, &text->begun, &bytes, &length, error));
    bool may_stop = made >= g->settings->min_new_tokens;
    hone_status status = hone_stop_text_add(&text->bytes, bytes, length, may_stop, stopped, error);
    hone_tokenizer_free(bytes);
    return status;
}

hone_status hone_generation_stream(const hone_generation *g, int64_t prompt, int64_t sequence,
                                   const char *text, size_t length, hone_error *error)
{
    const hone_generate_options *options = g->options;
    if (options->stream != NULL &&
        options->stream(options->context, prompt, sequence, text, length) != 0)
        return hone_fail(error, HONE_STOPPED, "generation was stopped on request");
    return HONE_OK;
}

void hone_generation_finished(const hone_generation *g, hone_generated *made,
                              const hone_new_text *text)
{
    made->length = text->bytes.length;
    if (g->model->tokenizer != NULL)
        made->text = text->bytes.text != NULL ? text->bytes.text : "";
    if (g->options->finished != NULL)
        g->options->finished(g->options->context, made);
}

hone_status hone_generation_fail_numeric(int64_t prompt, int64_t number, hone_error *error)
{
    return hone_fail(error, HONE_NUMERIC,
                     "prompt %lld, token %lld: the logits are not finite numbers; the model's "
                     "weights or its training have gone wrong",
                     (long long)prompt + 1, (long long)number);
}

/* ---- checks ------------------------------------------------------------------------------- */

static hone_status check_prompt(const hone_generation *g, int64_t number, hone_error *error)
{
    const hone_prompt *prompt = &g->prompts[number];
    const hone_program *program = &g->model->program;
    long long shown = (long long)number + 1;
    if (prompt->count <= 0 && program->encoder_decoder)
        return hone_fail(error, HONE_INPUT,
                         "prompt %lld is empty; the encoder needs at least one token (the end "
                         "token)",
                         shown);
    if (prompt->count <= 0 && g->special.begin < 0)
        return hone_fail(error, HONE_INPUT,
                         "prompt %lld is empty, and the model has no bos or eos token to begin "
                         "with",
                         shown);
    if (prompt->count > program->context_length)
        return hone_fail(error, HONE_INPUT,
                         "prompt %lld has %lld tokens, the model %lld positions; shorten it", shown,
                         (long long)prompt->count, (long long)program->context_length);
    for (int64_t i = 0; i < prompt->count; i++)
        if (prompt->ids[i] < 0 || prompt->ids[i] >= program->vocabulary)
            return hone_fail(error, HONE_INPUT,
                             "prompt %lld: token %lld is %d; the model's ids are 0 to %lld", shown,
                             (long long)i + 1, prompt->ids[i], (long long)program->vocabulary - 1);
    return HONE_OK;
}

static hone_status check_settings(const hone_generate_settings *settings, hone_error *error)
{
    if (settings->num_beams < 1 || settings->num_return_sequences < 1)
        return hone_fail(error, HONE_USAGE,
                         "num_beams and num_return_sequences are at least 1, found %lld and %lld",
                         (long long)settings->num_beams, (long long)settings->num_return_sequences);
    if (settings->num_beams == 1)
        return HONE_OK;
    if (settings->temperature > 0.0)
        return hone_fail(error, HONE_USAGE,
                         "num_beams %lld with temperature %g: beam search does not sample; set "
                         "temperature 0 or num_beams 1",
                         (long long)settings->num_beams, settings->temperature);
    if (settings->num_return_sequences > settings->num_beams)
        return hone_fail(error, HONE_USAGE,
                         "num_return_sequences %lld is more than num_beams %lld: beam search finds "
                         "num_beams texts",
                         (long long)settings->num_return_sequences, (long long)settings->num_beams);
    return HONE_OK;
}

static hone_status check(const hone_generation *g, hone_error *error)
{
    const hone_list *stops = &g->settings->stop;
    HONE_TRY(check_settings(g->settings, error));
    if (stops->count > 0 && g->model->tokenizer == NULL)
        return hone_fail(error, HONE_USAGE,
                         "stop strings need a tokenizer, and the model folder has none");
    for (size_t i = 0; i < stops->count; i++)
        if (stops->items[i][0] == '\0')
            return hone_fail(error, HONE_USAGE, "a stop string is empty (stop)");
    for (int64_t i = 0; i < g->prompt_count; i++)
        HONE_TRY(check_prompt(g, i, error));
    return HONE_OK;
}

/* ---- room --------------------------------------------------------------------------------- */

/* The longest prompt, and rows of a run: what all prompts need, within bounds. */
static int64_t measure(const hone_generation *g, int64_t *rows)
{
    int64_t sum = 0, longest = 1;
    for (int64_t i = 0; i < g->prompt_count; i++) {
        int64_t count = g->prompts[i].count > 0 ? g->prompts[i].count : 1;
        longest = count > longest ? count : longest;
        sum = least(sum + count, PROMPT_ROWS);
    }
    *rows = sum > longest ? sum : longest;
    return longest;
}

/* Slots for sequences, or for beams, which come in whole groups, one a prompt; and what reads one
 * source. */
static hone_status choose_slots(const hone_generation *g, hone_decode_room *room, hone_error *error)
{
    const hone_generate_settings *settings = g->settings;
    int64_t beams = settings->num_beams, groups = settings->decode_batch_size / beams;
    size_t total;
    if (!hone_size_mul((size_t)g->prompt_count, (size_t)settings->num_return_sequences, &total))
        return hone_fail_memory(error, "sequences", SIZE_MAX);
    groups = least(groups > 1 ? groups : 1, g->prompt_count);
    room->slots = beams > 1 ? groups * beams : least((int64_t)total, settings->decode_batch_size);
    if (g->model->program.encoder_decoder)
        room->source_slots = room->slots / beams;
    return HONE_OK;
}

static hone_status choose_room(const hone_generation *g, hone_decode_room *room, hone_error *error)
{
    const hone_program *program = &g->model->program;
    int64_t rows, longest = measure(g, &rows);
    *room = (hone_decode_room){0};
    HONE_TRY(choose_slots(g, room, error));
    if (program->encoder_decoder) {
        room->source_capacity = longest;
        room->source_rows = rows;
        longest = rows = 1;
    }
    room->rows = rows;
    room->capacity = least(longest + g->settings->max_new_tokens - 1, program->context_length);
    return HONE_OK;
}

hone_status hone_generation_bytes(const hone_model *model, const hone_prompt *prompts,
                                  int64_t count, const hone_generate_settings *settings,
                                  size_t *bytes, hone_error *error)
{
    const hone_generation g = {
        .model = model, .prompts = prompts, .prompt_count = count, .settings = settings};
    hone_decode_room room;
    *bytes = 0;
    if (count <= 0)
        return HONE_OK;
    HONE_TRY(choose_room(&g, &room, error));
    HONE_TRY(hone_decode_bytes(model, &room, bytes, error));
    *bytes += (size_t)hone_parallel_threads() * hone_sampling_scratch(model->program.vocabulary);
    return HONE_OK;
}

static hone_status prepare(hone_generation *g, hone_error *error)
{
    HONE_TRY(hone_special_tokens_find(g->model, &g->special, error));
    HONE_TRY(check(g, error));
    g->scratch_size = hone_sampling_scratch(g->model->program.vocabulary);
    g->scratch = hone_alloc_array((size_t)hone_parallel_threads(), g->scratch_size);
    if (g->scratch == NULL)
        return hone_fail_memory(error, "sampling", g->scratch_size);
    hone_decode_room room;
    HONE_TRY(choose_room(g, &room, error));
    return hone_decode_create(g->model, &room, &g->decode, error);
}

hone_status hone_generate(hone_model *model, const hone_prompt *prompts, int64_t count,
                          const hone_generate_options *options, hone_error *error)
{
    hone_generation g = {.model = model,
                         .prompts = prompts,
                         .prompt_count = count,
                         .options = options,
                         .settings = options->settings};
    if (count <= 0)
        return HONE_OK;
    hone_status status = prepare(&g, error);
    if (status == HONE_OK)
        status = g.settings->num_beams > 1 ? hone_generate_beams(&g, error)
                                           : hone_generate_sequences(&g, error);
    hone_decode_free(&g.decode);
    hone_special_tokens_deinit(&g.special);
    hone_free(g.scratch);
    return status;
}
