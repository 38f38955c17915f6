/* Building a tokenizer from vocabulary, merges and added tokens, whichever files they come from:
 * see tokenizer_parts.h. */
#include "text/tokenizer_parts.h"

#include <string.h>

hone_status hone_tokenizer_load_init(hone_tokenizer_load *load, hone_tokenizer *tokenizer,
                                     size_t limit, hone_error *error)
{
    *load = (hone_tokenizer_load){.tokenizer = tokenizer, .first = -1, .last = -1};
    HONE_TRY(hone_vocabulary_init(&load->vocabulary, limit, error));
    load->added_of = hone_alloc_array(limit, sizeof *load->added_of);
    if (load->added_of == NULL)
        return hone_fail_memory(error, "added tokens", limit * sizeof *load->added_of);
    return HONE_OK;
}

void hone_tokenizer_load_deinit(hone_tokenizer_load *load)
{
    hone_vocabulary_deinit(&load->vocabulary);
    hone_free(load->added);
    hone_free(load->added_of);
    hone_free(load->scratch);
    hone_free(load->types);
}

hone_status hone_tokenizer_read_vocabulary(hone_tokenizer_load *load, const hone_json *object,
                                           const char *file, hone_error *error)
{
    void *cursor = NULL;
    const char *text;
    hone_json *value;
    while (hone_json_next(object, &cursor, &text, &value)) {
        int64_t id;
        if (!hone_json_integer(value, &id))
            return hone_fail_at(error, HONE_INPUT, file, -1, -1,
                                "vocabulary: token '%.80s': expected an integer, found %s", text,
                                hone_json_type_name(hone_json_type_of(value)));
        HONE_TRY(hone_vocabulary_add(&load->vocabulary, text, strlen(text), id, file, error));
    }
    return HONE_OK;
}

hone_status hone_tokenizer_start_merges(hone_tokenizer_load *load, size_t count, hone_error *error)
{
    HONE_TRY(hone_bpe_init(&load->tokenizer->bpe, count, error));
    load->scratch = hone_alloc_array(2, load->vocabulary.longest);
    if (load->scratch == NULL)
        return hone_fail_memory(error, "merges", 2 * load->vocabulary.longest);
    return HONE_OK;
}

bool hone_tokenizer_split_merge(const char *merge, size_t length, size_t *space)
{
    const char *hit = memchr(merge, ' ', length);
    if (hit == NULL)
        return false;
    *space = (size_t)(hit - merge);
    return memchr(hit + 1, ' ', length - *space - 1) == NULL;
}

hone_status hone_tokenizer_add_merge(hone_tokenizer_load *load, const char *left,
                                     size_t left_length, const char *right, size_t right_length,
                                     const char *file, int64_t line, int64_t number,
                                     hone_error *error)
{
    const hone_vocabulary *vocabulary = &load->vocabulary;
    int shown_left = left_length < 80 ? (int)left_length : 80;
    int shown_right = right_length < 80 ? (int)right_length : 80;
    const char *problem = NULL;
    int32_t a = hone_vocabulary_find(vocabulary, left, left_length);
    int32_t b = hone_vocabulary_find(vocabulary, right, right_length);
    int32_t product = -1;
    if (left_length == 0 || right_length == 0) {
        problem = "a part of it is empty";
    } else if (a < 0) {
        problem = "its left part is not in the vocabulary";
    } else if (b < 0) {
        problem = "its right part is not in the vocabulary";
    } else {
        memcpy(load->scratch, left, left_length);
        memcpy(load->scratch + left_length, right, right_length);
        product = hone_vocabulary_find(vocabulary, load->scratch, left_length + right_length);
        if (product < 0)
            problem = "the two joined are not in the vocabulary";
        else if (!hone_bpe_add(&load->tokenizer->bpe, a, b, product))
            problem = "it is listed twice";
    }
    if (problem == NULL)
        return HONE_OK;
    return hone_fail_at(error, HONE_INPUT, file, line, -1, "merge %lld '%.*s %.*s': %s",
                        (long long)number, shown_left, left, shown_right, right, problem);
}

static bool is_foreign(const hone_tokenizer_load *load, size_t id)
{
    return load->added_of[id] > 0 && load->added[load->added_of[id] - 1].foreign;
}

size_t hone_tokenizer_find_added(const hone_tokenizer_load *load, const char *text, size_t length)
{
    int32_t id = hone_vocabulary_find(&load->vocabulary, text, length);
    return id >= 0 ? (size_t)load->added_of[id] - 1 : SIZE_MAX;
}

hone_status hone_tokenizer_add_token(hone_tokenizer_load *load, hone_added_token token,
                                     const char *file, hone_error *error)
{
    hone_vocabulary *vocabulary = &load->vocabulary;
    if (token.length == 0 || token.length > HONE_ADDED_TOKEN_LONGEST)
        return hone_fail_at(error, HONE_INPUT, file, -1, -1,
                            "added token '%.80s' has %zu bytes: expected 1 to %d", token.text,
                            token.length, HONE_ADDED_TOKEN_LONGEST);
    int32_t known = hone_vocabulary_find(vocabulary, token.text, token.length);
    if (known < 0) {
        if (token.id < 0)
            token.id = (int32_t)vocabulary->size;
        HONE_TRY(hone_vocabulary_add(vocabulary, token.text, token.length, token.id, file, error));
        token.foreign = true;
    } else if (token.id >= 0 && token.id != known) {
        return hone_fail_at(error, HONE_INPUT, file, -1, -1,
                            "added token '%.80s' has id %d, but %d in the vocabulary", token.text,
                            token.id, known);
    } else {
        token.id = known;
    }
    size_t place = (size_t)load->added_of[token.id] - 1;
    if (place == SIZE_MAX) {
        place = load->added_count;
        if (!hone_array_reserve((void **)&load->added, &load->added_capacity, place + 1,
                                sizeof *load->added))
            return hone_fail_memory(error, "added tokens", place * sizeof *load->added);
        load->added_count++;
        load->added_of[token.id] = (uint32_t)(place + 1);
    } else {
        token.foreign = load->added[place].foreign;
    }
    load->added[place] = token;
    return HONE_OK;
}

/* Tokens of single bytes, which merging starts from. */
static void find_bytes(hone_tokenizer_load *load)
{
    const hone_vocabulary *vocabulary = &load->vocabulary;
    size_t missing = 0;
    for (uint32_t code = 0x21; code <= 0x143; code++) {
        int byte = hone_byte_alphabet_byte(code);
        char text[2] = {(char)(0xC0 | code >> 6), (char)(0x80 | (code & 0x3F))};
        if (code < 0x80)
            text[0] = (char)code;
        if (byte < 0)
            continue;
        int32_t id = hone_vocabulary_find(vocabulary, text, code < 0x80 ? 1 : 2);
        /* A byte spelled by an added token alone is unknown to the model. */
        if (id >= 0 && is_foreign(load, (size_t)id))
            id = -1;
        load->tokenizer->bpe.bytes[byte] = id;
        missing += id < 0;
    }
    if (missing > 0 && load->tokenizer->bpe.unknown < 0)
        hone_log(HONE_LOG_WARNING,
                 "the tokenizer has no token for %zu of 256 bytes: they are lost from text, as "
                 "with HF tokenizers",
                 missing);
}

/* What a piece of a unigram model decodes to; out has room for `length` bytes. */
static size_t decode_piece(const hone_tokenizer_load *load, size_t id, char *out)
{
    const char *text = load->vocabulary.texts[id];
    size_t length = load->vocabulary.lengths[id], used = 0;
    unsigned type = load->types[id];
    const int32_t *bytes = load->tokenizer->unigram.bytes;
    for (int byte = 0; byte < 256 && type == HONE_PIECE_BYTE; byte++)
        if (bytes[byte] == (int32_t)id) {
            load->tokenizer->flags[id] |= HONE_TOKEN_VERBATIM;
            *out = (char)byte;
            return 1;
        }
    bool spaces = load->all_pieces || type == HONE_PIECE_NORMAL ||
                  type == HONE_PIECE_USER_DEFINED || type == HONE_PIECE_UNUSED;
    for (size_t at = 0; at < length; at++) {
        if (spaces && length - at >= HONE_SPACE_MARK_LENGTH &&
            memcmp(text + at, HONE_SPACE_MARK, HONE_SPACE_MARK_LENGTH) == 0) {
            out[used++] = ' ';
            at += HONE_SPACE_MARK_LENGTH - 1;
        } else {
            out[used++] = text[at];
        }
    }
    /* A space of its own is no U+2581, and so stays at the start of a text. */
    if (!spaces || memchr(text, ' ', length) != NULL)
        load->tokenizer->flags[id] |= HONE_TOKEN_VERBATIM;
    return used;
}

/* What tokens decode to. Added tokens that the model doesn't have stand for themselves. */
static hone_status fill_bytes(hone_tokenizer_load *load, hone_error *error)
{
    const hone_vocabulary *vocabulary = &load->vocabulary;
    hone_tokenizer *tokenizer = load->tokenizer;
    size_t total = vocabulary->size;
    for (size_t id = 0; id < vocabulary->size; id++)
        if (!hone_size_add(total, vocabulary->lengths[id], &total))
            return hone_fail_memory(error, "tokens", SIZE_MAX);
    tokenizer->bytes = hone_alloc(total);
    tokenizer->offsets = hone_alloc_array(vocabulary->size + 1, sizeof *tokenizer->offsets);
    tokenizer->flags = hone_alloc_array(vocabulary->size, 1);
    if (tokenizer->bytes == NULL || tokenizer->offsets == NULL || tokenizer->flags == NULL)
        return hone_fail_memory(error, "tokens", total);
    size_t used = 0;
    for (size_t id = 0; id < vocabulary->size; id++) {
        const char *text = vocabulary->texts[id];
        size_t length = vocabulary->lengths[id];
        if (tokenizer->kind == HONE_TOKENIZER_UNIGRAM)
            length = decode_piece(load, id, tokenizer->bytes + used);
        else if (is_foreign(load, id))
            memcpy(tokenizer->bytes + used, text, length);
        else
            length = hone_byte_alphabet_decode(text, length, tokenizer->bytes + used);
        used += length;
        tokenizer->bytes[used++] = '\0';
        tokenizer->offsets[id + 1] = used;
    }
    tokenizer->size = (int32_t)vocabulary->size;
    return HONE_OK;
}

/* Added tokens that are matched in normalized text are looked for as normalization leaves them. */
static hone_status normalize_token(hone_tokenizer *tokenizer, hone_added_token *token,
                                   hone_error *error)
{
    hone_text_buffer out[2] = {0};
    int which = 0;
    size_t head;
    hone_status status = hone_text_steps_apply(&tokenizer->text.steps, token->text, token->length,
                                               out, &which, &head, error);
    if (status == HONE_OK) {
        token->length = out[which].length;
        token->text = hone_arena_strndup(&tokenizer->texts,
                                         token->length > 0 ? out[which].text : "", token->length);
        if (token->text == NULL)
            status = hone_fail_memory(error, "added tokens", token->length);
    }
    for (int i = 0; i < 2; i++)
        hone_text_buffer_deinit(&out[i]);
    return status;
}

hone_status hone_tokenizer_load_finish(hone_tokenizer_load *load, const char *file,
                                       hone_error *error)
{
    hone_tokenizer *tokenizer = load->tokenizer;
    HONE_TRY(hone_vocabulary_check(&load->vocabulary, file, error));
    if (tokenizer->kind == HONE_TOKENIZER_BPE)
        find_bytes(load);
    HONE_TRY(fill_bytes(load, error));
    for (size_t i = 0; i < load->added_count; i++) {
        hone_added_token *token = &load->added[i];
        if (tokenizer->from_json && token->normalized)
            HONE_TRY(normalize_token(tokenizer, token, error));
        else
            token->text = hone_arena_strndup(&tokenizer->texts, token->text, token->length);
        if (token->text == NULL)
            return hone_fail_memory(error, "added tokens", token->length);
        if (token->special)
            tokenizer->flags[token->id] |= HONE_TOKEN_SPECIAL;
    }
    for (int normalized = 0; normalized < 2; normalized++)
        HONE_TRY(hone_added_set_init(&tokenizer->added[normalized], load->added, load->added_count,
                                     normalized == 1, error));
    return HONE_OK;
}
