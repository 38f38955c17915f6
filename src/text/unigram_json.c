/* tokenizer.json of Unigram models, as T5's and mT5's are. Strict, like tokenizer_json.c: what
 * would change ids and is not implemented is an error that names it. */
#include "text/base64.h"
#include "text/json_parts.h"

#include <math.h>
#include <string.h>

#define MARK HONE_SPACE_MARK

/* ---- normalizers -------------------------------------------------------------------------- */

static hone_status no_memory(hone_error *error)
{
    return hone_fail_memory(error, "normalizer", sizeof(hone_text_step));
}

static hone_status add_step(hone_text_steps *steps, hone_text_step_kind kind, hone_text_step **out,
                            hone_error *error)
{
    *out = hone_text_steps_add(steps, kind);
    return *out != NULL ? HONE_OK : no_memory(error);
}

/* The member "content" of a component, copied. */
static hone_status read_content(hone_text_steps *steps, const hone_json *component, const char *key,
                                hone_text_step *step, const char *file, hone_error *error)
{
    const char *text;
    HONE_TRY(hone_json_part_string(component, key, &text, &step->content_length, file, error));
    step->content = hone_arena_strndup(&steps->texts, text, step->content_length);
    return step->content != NULL ? HONE_OK : no_memory(error);
}

static hone_status read_charsmap(hone_text_steps *steps, const hone_json *component,
                                 const char *file, hone_error *error)
{
    const char *text;
    size_t length;
    /* Files that Transformers writes for a model without a map have null, or an empty one. */
    const hone_json *value = hone_json_get(component, "precompiled_charsmap");
    if (hone_json_part_null(value))
        return HONE_OK;
    HONE_TRY(hone_json_part_string(component, "precompiled_charsmap", &text, &length, file, error));
    if (length == 0)
        return HONE_OK;
    hone_text_step *step;
    HONE_TRY(add_step(steps, HONE_STEP_CHARSMAP, &step, error));
    char *blob = hone_alloc(length);
    if (blob == NULL)
        return no_memory(error);
    size_t size;
    hone_status status = HONE_OK;
    if (!hone_base64_decode(text, length, blob, &size))
        status = hone_fail_at(error, HONE_INPUT, file, -1, -1,
                              "normalizer: precompiled_charsmap: expected base64");
    if (status == HONE_OK)
        status = hone_charsmap_init(&step->map, blob, size, file, error);
    if (status == HONE_OK)
        hone_text_step_finish_map(step);
    hone_free(blob);
    return status;
}

/* The regular expressions that Transformers writes into such files; there is no engine for more. */
static hone_status read_regex(hone_text_step *step, const char *regex, const char *file,
                              hone_error *error)
{
    static const struct {
        const char *regex;
        hone_text_step_kind kind;
        bool white;
        size_t least;
        const char *pattern;
    } known[] = {
        {" {2,}", HONE_STEP_RUNS, false, 2, NULL},
        {" +", HONE_STEP_RUNS, false, 1, NULL},
        {"\\s+", HONE_STEP_RUNS, true, 1, NULL},
        {"\\s{2,}", HONE_STEP_RUNS, true, 2, NULL},
        {"\\A +| +\\z", HONE_STEP_ENDS, false, 0, NULL},
        {"\\A" MARK, HONE_STEP_FIRST, false, 0, MARK},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(regex, known[i].regex) != 0)
            continue;
        step->kind = known[i].kind;
        step->white = known[i].white;
        step->least = known[i].least;
        step->pattern = known[i].pattern;
        step->pattern_length = known[i].pattern != NULL ? strlen(known[i].pattern) : 0;
        if (step->kind == HONE_STEP_ENDS && step->content_length > 0)
            break;
        return HONE_OK;
    }
    return hone_fail_at(error, HONE_INPUT, file, -1, -1,
                        "normalizer Replace: the regular expression '%.80s' is not supported: "
                        "expected ' {2,}', ' +', '\\s+' or '\\s{2,}'",
                        regex);
}

static hone_status read_replace(hone_text_steps *steps, const hone_json *component,
                                const char *file, hone_error *error)
{
    hone_text_step *step;
    const hone_json *pattern = hone_json_get(component, "pattern");
    HONE_TRY(hone_json_part_expect(pattern, HONE_JSON_OBJECT, "normalizer Replace: pattern", file,
                                   error));
    HONE_TRY(add_step(steps, HONE_STEP_REPLACE, &step, error));
    HONE_TRY(read_content(steps, component, "content", step, file, error));
    const char *text = hone_json_string(hone_json_get(pattern, "Regex"), NULL);
    if (text != NULL)
        return read_regex(step, text, file, error);
    HONE_TRY(hone_json_part_string(pattern, "String", &text, &step->pattern_length, file, error));
    if (step->pattern_length == 0)
        return hone_fail_at(error, HONE_INPUT, file, -1, -1,
                            "normalizer Replace: pattern: expected a string that is not empty");
    step->pattern = hone_arena_strndup(&steps->texts, text, step->pattern_length);
    return step->pattern != NULL ? HONE_OK : no_memory(error);
}

static hone_status read_form(hone_text_steps *steps, const char *type, bool *found,
                             hone_error *error)
{
    static const char *const names[] = {"NFD", "NFC", "NFKD", "NFKC"};
    *found = false;
    for (size_t i = 0; i < 4; i++) {
        if (strcmp(type, names[i]) != 0)
            continue;
        hone_text_step *step;
        HONE_TRY(add_step(steps, HONE_STEP_NORMAL_FORM, &step, error));
        step->form = (hone_normal_form)i;
        *found = true;
    }
    return HONE_OK;
}

static hone_status read_step(hone_text_steps *steps, const hone_json *component, const char *file,
                             hone_error *error)
{
    const char *type;
    hone_text_step *step;
    bool found;
    HONE_TRY(hone_json_part_type(component, "normalizer", &type, file, error));
    HONE_TRY(read_form(steps, type, &found, error));
    if (found)
        return HONE_OK;
    if (strcmp(type, "Precompiled") == 0)
        return read_charsmap(steps, component, file, error);
    if (strcmp(type, "Replace") == 0)
        return read_replace(steps, component, file, error);
    if (strcmp(type, "Prepend") == 0) {
        HONE_TRY(add_step(steps, HONE_STEP_PREPEND, &step, error));
        return read_content(steps, component, "prepend", step, file, error);
    }
    if (strcmp(type, "Strip") != 0)
        return hone_json_part_unsupported(
            "normalizer", type,
            "Precompiled, Replace, Strip, Prepend, NFC, NFD, NFKC, NFKD or a Sequence of these",
            file, error);
    HONE_TRY(add_step(steps, HONE_STEP_STRIP, &step, error));
    HONE_TRY(hone_json_part_flag(component, "strip_left", &step->left, file, error));
    return hone_json_part_flag(component, "strip_right", &step->right, file, error);
}

static hone_status read_normalizer(hone_text_steps *steps, const hone_json *component,
                                   const char *file, hone_error *error)
{
    hone_json_parts parts;
    HONE_TRY(hone_json_parts_open(&parts, component, "normalizer", "normalizers", file, error));
    for (size_t i = 0; i < parts.count; i++)
        HONE_TRY(read_step(steps, hone_json_parts_at(&parts, i), file, error));
    return HONE_OK;
}

/* ---- pre-tokenizer and decoder ------------------------------------------------------------ */

/* prepend_scheme, or add_prefix_space, its older name; and that the mark is U+2581. */
static hone_status read_metaspace(const hone_json *component, hone_prepend_scheme *scheme,
                                  const char *file, hone_error *error)
{
    static const char *const names[] = {"never", "first", "always"};
    bool prefix = true;
    const char *mark, *name = "always";
    size_t length;
    HONE_TRY(hone_json_part_string(component, "replacement", &mark, &length, file, error));
    if (strcmp(mark, MARK) != 0)
        return hone_fail_at(error, HONE_INPUT, file, -1, -1,
                            "Metaspace: replacement '%.40s' is not supported: expected U+2581",
                            mark);
    HONE_TRY(hone_json_part_flag(component, "add_prefix_space", &prefix, file, error));
    const hone_json *value = hone_json_get(component, "prepend_scheme");
    if (!hone_json_part_null(value))
        HONE_TRY(hone_json_part_string(component, "prepend_scheme", &name, &length, file, error));
    else if (!prefix)
        name = "never";
    int found = -1;
    for (int i = 0; i < 3; i++)
        found = strcmp(name, names[i]) == 0 ? i : found;
    if (found < 0 || (!prefix && found != HONE_PREPEND_NEVER))
        return hone_fail_at(error, HONE_INPUT, file, -1, -1,
                            "Metaspace: prepend_scheme '%.40s'%s: expected %s", name,
                            prefix ? "" : " and add_prefix_space false",
                            found < 0 ? "never, first or always" : "never");
    *scheme = (hone_prepend_scheme)found;
    return HONE_OK;
}

static hone_status read_pre_tokenizer(hone_unigram_text *text, const hone_json *component,
                                      const char *file, hone_error *error)
{
    hone_json_parts parts;
    HONE_TRY(
        hone_json_parts_open(&parts, component, "pre_tokenizer", "pretokenizers", file, error));
    for (size_t i = 0; i < parts.count; i++) {
        const char *type;
        const hone_json *part = hone_json_parts_at(&parts, i);
        HONE_TRY(hone_json_part_type(part, "pre_tokenizer", &type, file, error));
        if (strcmp(type, "WhitespaceSplit") == 0 && !text->metaspace) {
            text->split_white = true;
            continue;
        }
        if (strcmp(type, "Metaspace") != 0 || text->metaspace)
            return hone_json_part_unsupported(
                "pre_tokenizer", type, "WhitespaceSplit, Metaspace, or the one before the other",
                file, error);
        text->metaspace = text->split = true;
        HONE_TRY(read_metaspace(part, &text->scheme, file, error));
        HONE_TRY(hone_json_part_flag(part, "split", &text->split, file, error));
    }
    return HONE_OK;
}

/* One step of a Sequence that undoes what a normalizer did: U+2581 to spaces, byte pieces to bytes,
 * all joined, and the space before the text left out. */
static hone_status read_undoing(hone_tokenizer *tokenizer, const hone_json *part, bool *bytes,
                                const char *file, hone_error *error)
{
    const char *type, *content = "", *pattern = "";
    int64_t start = 0, stop = 0;
    HONE_TRY(hone_json_part_type(part, "decoder", &type, file, error));
    if (strcmp(type, "Fuse") == 0)
        return HONE_OK;
    if (strcmp(type, "ByteFallback") == 0) {
        *bytes = true;
        return HONE_OK;
    }
    bool replace = strcmp(type, "Replace") == 0;
    if (!replace && strcmp(type, "Strip") != 0)
        return hone_json_part_unsupported(
            "decoder", type, "Metaspace, or a Sequence of Replace, ByteFallback, Fuse and Strip",
            file, error);
    HONE_TRY(hone_json_part_string(part, "content", &content, NULL, file, error));
    if (replace) {
        const hone_json *object = hone_json_get(part, "pattern");
        HONE_TRY(hone_json_part_expect(object, HONE_JSON_OBJECT, "decoder Replace: pattern", file,
                                       error));
        HONE_TRY(hone_json_part_string(object, "String", &pattern, NULL, file, error));
    } else {
        hone_json_integer(hone_json_get(part, "start"), &start);
        hone_json_integer(hone_json_get(part, "stop"), &stop);
        if (start == 1)
            tokenizer->leading = HONE_SPACES_ONE;
    }
    bool good = replace ? strcmp(pattern, MARK) == 0 : (start == 0 || start == 1) && stop == 0;
    if (good && strcmp(content, " ") == 0)
        return HONE_OK;
    return hone_fail_at(
        error, HONE_INPUT, file, -1, -1, "decoder: this %s is not supported: expected %s", type,
        replace ? "U+2581 to be replaced by a space" : "a space to be stripped once at the start");
}

static hone_status read_decoder(hone_tokenizer *tokenizer, const hone_json *component, bool *bytes,
                                const char *file, hone_error *error)
{
    const char *type;
    HONE_TRY(hone_json_part_type(component, "decoder", &type, file, error));
    if (strcmp(type, "Metaspace") == 0) {
        hone_prepend_scheme scheme;
        HONE_TRY(read_metaspace(component, &scheme, file, error));
        tokenizer->leading = scheme == HONE_PREPEND_NEVER ? HONE_SPACES_KEPT : HONE_SPACES_FIRST;
        return HONE_OK;
    }
    hone_json_parts parts;
    HONE_TRY(hone_json_parts_open(&parts, component, "decoder", "decoders", file, error));
    for (size_t i = 0; i < parts.count; i++)
        HONE_TRY(read_undoing(tokenizer, hone_json_parts_at(&parts, i), bytes, file, error));
    return HONE_OK;
}

/* ---- the model ---------------------------------------------------------------------------- */

static hone_status read_pieces(hone_tokenizer_load *load, const hone_json *list, const char *file,
                               hone_error *error)
{
    hone_unigram *unigram = &load->tokenizer->unigram;
    double least = HUGE_VAL;
    for (size_t i = 0; i < hone_json_size(list); i++) {
        const hone_json *pair = hone_json_at(list, i);
        bool array = hone_json_type_of(pair) == HONE_JSON_ARRAY && hone_json_size(pair) == 2;
        size_t length = 0;
        const char *text = array ? hone_json_string(hone_json_at(pair, 0), &length) : NULL;
        if (text == NULL || !hone_json_real(hone_json_at(pair, 1), &unigram->scores[i]))
            return hone_fail_at(error, HONE_INPUT, file, -1, -1,
                                "model: vocab: piece %zu: expected a string and a number, found %s",
                                i, hone_json_part_name(pair));
        if (length == 0 || length > HONE_PIECE_LONGEST)
            return hone_fail_at(error, HONE_INPUT, file, -1, -1,
                                "model: vocab: piece %zu has %zu bytes: expected 1 to %d", i,
                                length, HONE_PIECE_LONGEST);
        HONE_TRY(hone_vocabulary_add(&load->vocabulary, text, length, (int64_t)i, file, error));
        load->types[i] = HONE_PIECE_NORMAL;
        least = unigram->scores[i] < least ? unigram->scores[i] : least;
    }
    unigram->unknown_score = least - 10.0;
    return HONE_OK;
}

static hone_status read_unknown(hone_unigram *unigram, const hone_json *model, size_t pieces,
                                const char *file, hone_error *error)
{
    int64_t id = -1;
    const hone_json *value = hone_json_get(model, "unk_id");
    if (!hone_json_integer(value, &id) || id < 0 || (uint64_t)id >= pieces)
        return hone_fail_at(error, HONE_INPUT, file, -1, -1,
                            "model: unk_id: expected the id of one of %zu pieces, found %s", pieces,
                            id >= 0 ? "one beyond" : hone_json_part_name(value));
    unigram->unknown = (int32_t)id;
    return HONE_OK;
}

/* Pieces <0x00> to <0xFF>, those that there are. */
static void find_bytes(hone_tokenizer_load *load, bool decoded)
{
    static const char digits[] = "0123456789ABCDEF";
    for (int byte = 0; byte < 256; byte++) {
        char text[] = {'<', '0', 'x', digits[byte / 16], digits[byte % 16], '>'};
        int32_t id = hone_vocabulary_find(&load->vocabulary, text, sizeof text);
        load->tokenizer->unigram.bytes[byte] = id;
        if (id >= 0 && decoded)
            load->types[id] = HONE_PIECE_BYTE;
    }
}

/* Settings that make encoding a matter of chance. */
static hone_status check_sampling(const hone_json *model, const char *file, hone_error *error)
{
    static const char *const keys[] = {"alpha", "nbest_size"};
    for (size_t i = 0; i < 2; i++) {
        const hone_json *value = hone_json_get(model, keys[i]);
        double number = 0;
        if (!hone_json_part_null(value) && (!hone_json_real(value, &number) || number != 0))
            return hone_fail_at(error, HONE_INPUT, file, -1, -1,
                                "model: %s is not supported: expected null", keys[i]);
    }
    return HONE_OK;
}

hone_status hone_tokenizer_read_unigram(hone_tokenizer_load *load, const hone_json *root,
                                        const char *file, hone_error *error)
{
    hone_tokenizer *tokenizer = load->tokenizer;
    hone_unigram *unigram = &tokenizer->unigram;
    const hone_json *model = hone_json_get(root, "model"), *vocab = hone_json_get(model, "vocab");
    bool byte_decoder = false;
    tokenizer->from_json = load->all_pieces = true;
    HONE_TRY(
        read_normalizer(&tokenizer->text.steps, hone_json_get(root, "normalizer"), file, error));
    HONE_TRY(
        read_pre_tokenizer(&tokenizer->text, hone_json_get(root, "pre_tokenizer"), file, error));
    HONE_TRY(read_decoder(tokenizer, hone_json_get(root, "decoder"), &byte_decoder, file, error));
    HONE_TRY(hone_tokenizer_read_post_processor(load, hone_json_get(root, "post_processor"), file,
                                                error));
    HONE_TRY(check_sampling(model, file, error));
    HONE_TRY(hone_json_part_flag(model, "byte_fallback", &unigram->byte_fallback, file, error));
    HONE_TRY(hone_json_part_expect(vocab, HONE_JSON_ARRAY, "model: vocab", file, error));
    HONE_TRY(read_unknown(unigram, model, hone_json_size(vocab), file, error));
    HONE_TRY(hone_tokenizer_start_unigram(load, error));
    HONE_TRY(read_pieces(load, vocab, file, error));
    find_bytes(load, byte_decoder);
    unigram->spaced = tokenizer->text.metaspace;
    HONE_TRY(hone_tokenizer_build_unigram(load, file, error));
    return hone_tokenizer_read_added(load, hone_json_get(root, "added_tokens"), file, error);
}
