/* Normalization as HF tokenizers does it: see text_steps.h. Text goes from one buffer to the other
 * and back. Quirks are kept: a character map is asked for whole grapheme clusters below 6 bytes and
 * gives what the shortest rule says, so that marks behind a mapped letter are lost. */
#include "text/text_steps.h"

#include "text/grapheme.h"
#include "text/unicode.h"

#define CLUSTER_LIMIT 6 /* bytes; from here on a cluster is mapped character by character */
#define REPLACEMENT "\xEF\xBF\xBD"

hone_text_step *hone_text_steps_add(hone_text_steps *steps, hone_text_step_kind kind)
{
    if (!hone_array_reserve((void **)&steps->steps, &steps->capacity, steps->count + 1,
                            sizeof *steps->steps))
        return NULL;
    hone_text_step *step = &steps->steps[steps->count++];
    *step = (hone_text_step){.kind = kind};
    return step;
}

void hone_text_step_finish_map(hone_text_step *step)
{
    for (unsigned byte = 0; byte < 128; byte++)
        step->plain[byte] =
            byte != '\r' && !hone_charsmap_touches_ascii(&step->map, (unsigned char)byte);
}

void hone_text_steps_deinit(hone_text_steps *steps)
{
    for (size_t i = 0; i < steps->count; i++)
        hone_charsmap_deinit(&steps->steps[i].map);
    hone_free(steps->steps);
    hone_arena_deinit(&steps->texts);
    *steps = (hone_text_steps){0};
}

/* One step at work. */
typedef struct work {
    const hone_text_step *step;
    const char *text;
    size_t length;
    hone_text_buffer *out;
    size_t head; /* of the text, then of what is made of it */
} work;

/* Bytes of the first character. */
static size_t first_character(const char *text, size_t length)
{
    uint32_t code;
    return length > 0 ? hone_utf8_decode(text, length, &code) : 0;
}

static bool put(work *w, const char *text, size_t length)
{
    if (!hone_text_buffer_reserve(w->out, length))
        return false;
    hone_text_buffer_put(w->out, text, length);
    return true;
}

static bool put_content(work *w)
{
    return put(w, w->step->content, w->step->content_length);
}

static hone_charsmap_rule shortest_rule(const work *w, const char *text, size_t length)
{
    hone_charsmap_rule rule = {0};
    /* A text ends at NUL for HF's reader of the map. */
    if (text[0] != '\0')
        rule = hone_charsmap_shortest(&w->step->map, text, length);
    return rule;
}

/* What some bytes of the text became. The first that is left of them stands for the text's first
 * character: all of it, where it was made of one character. */
static bool put_mapped(work *w, const char *source, size_t source_length, const char *text,
                       size_t length)
{
    if (w->out->length == 0 && length > 0 && w->head > 0) {
        bool single = first_character(source, source_length) == source_length;
        w->head = single ? length : first_character(text, length);
    }
    return put(w, text, length);
}

/* One cluster: mapped as a whole, or else each of its characters. */
static bool map_cluster(work *w, const char *cluster, size_t length)
{
    hone_charsmap_rule rule = {0};
    if (length < CLUSTER_LIMIT)
        rule = shortest_rule(w, cluster, length);
    if (rule.length > 0)
        return put_mapped(w, cluster, length, rule.text, rule.text_length);
    for (size_t at = 0, size; at < length; at += size) {
        const char *character = cluster + at;
        size = first_character(character, length - at);
        rule = shortest_rule(w, character, size);
        if (rule.length == 0)
            rule = (hone_charsmap_rule){size, character, size};
        if (!put_mapped(w, character, size, rule.text, rule.text_length))
            return false;
    }
    return true;
}

static bool map_characters(work *w)
{
    const char *text = w->text;
    size_t length = w->length;
    if (!hone_text_buffer_reserve(w->out, length))
        return false;
    for (size_t at = 0; at < length;) {
        unsigned char byte = (unsigned char)text[at];
        if (byte < 0x80 && w->step->plain[byte] &&
            (at + 1 == length || (unsigned char)text[at + 1] < 0x80)) {
            if (w->out->length == 0 && w->head > 0)
                w->head = 1;
            w->out->text[w->out->length++] = (char)byte;
            at++;
            continue;
        }
        size_t size = hone_grapheme_next(text + at, length - at);
        if (!map_cluster(w, text + at, size) ||
            !hone_text_buffer_reserve(w->out, length - at - size))
            return false;
        at += size;
    }
    return true;
}

/* Bytes of the white space that text begins with. */
static size_t leading_space(const char *text, size_t length)
{
    size_t at = 0;
    for (size_t size; at < length; at += size) {
        uint32_t code;
        size = hone_utf8_decode(text + at, length - at, &code);
        if (hone_unicode_class(code) != HONE_CHAR_SPACE)
            break;
    }
    return at;
}

static bool strip(work *w)
{
    size_t start = w->step->left ? leading_space(w->text, w->length) : 0, end = w->length;
    w->head -= start < w->head ? start : w->head;
    while (w->step->right && end > start) {
        uint32_t code;
        size_t last = hone_utf8_last(w->text + start, end - start, &code);
        if (hone_unicode_class(code) != HONE_CHAR_SPACE)
            break;
        end = start + last;
    }
    return put(w, w->text + start, end - start);
}

static bool strip_spaces(work *w)
{
    size_t start = 0, end = w->length;
    while (start < end && w->text[start] == ' ')
        start++;
    w->head -= start < w->head ? start : w->head;
    while (end > start && w->text[end - 1] == ' ')
        end--;
    return put(w, w->text + start, end - start);
}

static bool replace_all(work *w)
{
    const hone_text_step *step = w->step;
    for (size_t at = 0; at < w->length;) {
        const char *rest = w->text + at;
        size_t left = w->length - at;
        const char *hit = memmem(rest, left, step->pattern, step->pattern_length);
        size_t before = hit != NULL ? (size_t)(hit - rest) : left;
        if (!put(w, rest, before) || (hit != NULL && !put_content(w)))
            return false;
        if (hit == w->text && w->head > 0)
            w->head = step->content_length;
        at += before + (hit != NULL ? step->pattern_length : 0);
    }
    return true;
}

/* Characters and bytes of the run at the beginning of text. */
static size_t run_length(const hone_text_step *step, const char *text, size_t length, size_t *count)
{
    size_t at = 0;
    *count = 0;
    while (at < length) {
        uint32_t code = (unsigned char)text[at];
        size_t size = 1;
        if (step->white)
            size = hone_utf8_decode(text + at, length - at, &code);
        if (step->white ? hone_unicode_class(code) != HONE_CHAR_SPACE : code != ' ')
            break;
        at += size;
        *count += 1;
    }
    return at;
}

static bool replace_runs(work *w)
{
    for (size_t at = 0, size; at < w->length; at += size) {
        size_t count;
        size = run_length(w->step, w->text + at, w->length - at, &count);
        if (count > 0 && count >= w->step->least) {
            if (!put_content(w))
                return false;
            if (at == 0 && w->head > 0)
                w->head = w->step->content_length;
            continue;
        }
        if (size == 0) {
            uint32_t code;
            size = hone_utf8_decode(w->text + at, w->length - at, &code);
        }
        if (!put(w, w->text + at, size))
            return false;
    }
    return true;
}

static bool replace_first(work *w)
{
    const hone_text_step *step = w->step;
    size_t skip = 0;
    if (w->length >= step->pattern_length &&
        memcmp(w->text, step->pattern, step->pattern_length) == 0) {
        skip = step->pattern_length;
        if (!put_content(w))
            return false;
        if (w->head > 0)
            w->head = step->content_length;
    }
    return put(w, w->text + skip, w->length - skip);
}

static bool prepend(work *w)
{
    if (w->length == 0)
        return true;
    if (w->head > 0)
        w->head += w->step->content_length;
    return put_content(w) && put(w, w->text, w->length);
}

/* Copies text with U+FFFD for each byte that is not well-formed. */
static bool clean(const char *text, size_t length, hone_text_buffer *out)
{
    if (!hone_text_buffer_reserve(out, length))
        return false;
    for (size_t at = 0; at < length;) {
        size_t start = at;
        uint32_t code;
        while (at < length && (unsigned char)text[at] < 0x80)
            at++;
        hone_text_buffer_put(out, text + start, at - start);
        if (at == length)
            break;
        size_t size = hone_utf8_decode(text + at, length - at, &code);
        bool good = code != HONE_CHAR_INVALID;
        if (!hone_text_buffer_reserve(out, sizeof REPLACEMENT - 1 + (length - at)))
            return false;
        hone_text_buffer_put(out, good ? text + at : REPLACEMENT,
                             good ? size : sizeof REPLACEMENT - 1);
        at += size;
    }
    return true;
}

static hone_status apply(work *w, hone_error *error)
{
    bool done = false;
    switch (w->step->kind) {
    case HONE_STEP_NORMAL_FORM:
        HONE_TRY(hone_normal_form_apply(w->step->form, w->text, w->length, w->out, error));
        w->head = w->head > 0 ? first_character(w->out->text, w->out->length) : 0;
        return HONE_OK;
    case HONE_STEP_CHARSMAP: done = map_characters(w); break;
    case HONE_STEP_STRIP: done = strip(w); break;
    case HONE_STEP_PREPEND: done = prepend(w); break;
    case HONE_STEP_REPLACE: done = replace_all(w); break;
    case HONE_STEP_RUNS: done = replace_runs(w); break;
    case HONE_STEP_ENDS: done = strip_spaces(w); break;
    case HONE_STEP_FIRST: done = replace_first(w); break;
    }
    return done ? HONE_OK : hone_fail_memory(error, "normalized text", w->length);
}

hone_status hone_text_steps_apply(const hone_text_steps *steps, const char *text, size_t length,
                                  hone_text_buffer out[2], int *which, size_t *head,
                                  hone_error *error)
{
    *which = 0;
    out[0].length = 0;
    if (!clean(text, length, &out[0]))
        return hone_fail_memory(error, "normalized text", length);
    *head = first_character(out[0].text, out[0].length);
    for (size_t i = 0; i < steps->count; i++) {
        const hone_text_buffer *in = &out[*which];
        hone_text_buffer *to = &out[1 - *which];
        work w = {&steps->steps[i], in->text, in->length, to, *head};
        to->length = 0;
        HONE_TRY(apply(&w, error));
        *head = w.head;
        *which = 1 - *which;
    }
    return HONE_OK;
}
