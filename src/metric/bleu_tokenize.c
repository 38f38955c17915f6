/* Tokenizers: see bleu_tokenize.h. Each is a few passes, as the original's substitutions are: a
 * pass looks at a text from left to right and never again at what it has replaced, and the next one
 * sees the whole result. That decides what becomes of ",," or "1.-", so passes are not merged.
 * Source: NIST's mteval-v13a.pl and mteval-v14.pl, by way of sacrebleu 2.6.0. */
#include "metric/bleu_tokenize.h"

#include "base/memory.h"
#include "text/python_text.h"
#include "text/unicode.h"

#include <string.h>

hone_bleu_tokenizer hone_bleu_tokenizer_of(const char *name)
{
    static const char *const names[] = {"13a", "intl", "char"};
    for (int i = 0; i < 3; i++)
        if (strcmp(name, names[i]) == 0)
            return (hone_bleu_tokenizer)i;
    return HONE_BLEU_NONE;
}

void hone_text_buffer_deinit(hone_text_buffer *buffer)
{
    hone_free(buffer->text);
    hone_free(buffer->next);
    *buffer = (hone_text_buffer){0};
}

/* Room for the next text. */
static hone_status reserve_next(hone_text_buffer *buffer, size_t size, hone_error *error)
{
    if (!hone_array_reserve((void **)&buffer->next, &buffer->next_capacity, size, 1))
        return hone_fail_memory(error, "text to score", size);
    return HONE_OK;
}

/* The next text, of that length, becomes the text. */
static void turn(hone_text_buffer *buffer, size_t length)
{
    char *text = buffer->text;
    size_t capacity = buffer->capacity;
    buffer->text = buffer->next;
    buffer->capacity = buffer->next_capacity;
    buffer->length = length;
    buffer->next = text;
    buffer->next_capacity = capacity;
}

hone_status hone_text_buffer_set(hone_text_buffer *buffer, const char *text, size_t length,
                                 bool lowercase, hone_error *error)
{
    HONE_TRY(reserve_next(buffer, hone_python_lower_room(length) + 1, error));
    if (lowercase)
        length = hone_python_lower(text, length, buffer->next);
    else if (length > 0)
        memcpy(buffer->next, text, length);
    turn(buffer, hone_python_rstrip(buffer->next, length));
    return HONE_OK;
}

/* Replaces every `from` by `to`, which is not longer; most texts have none. */
static void replace_all(hone_text_buffer *buffer, const char *from, const char *to)
{
    size_t from_length = strlen(from), to_length = strlen(to);
    char *text = buffer->text, *end = text + buffer->length, *out;
    char *found = memmem(text, buffer->length, from, from_length);
    for (out = found; found != NULL;) {
        char *rest = found + from_length;
        memcpy(out, to, to_length);
        out += to_length;
        found = memmem(rest, (size_t)(end - rest), from, from_length);
        size_t kept = (size_t)((found != NULL ? found : end) - rest);
        memmove(out, rest, kept);
        out += kept;
        if (found == NULL)
            buffer->length = (size_t)(out - text);
    }
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* ASCII punctuation and symbols but ' , - and . ; and the space. */
static bool stands_alone(char c)
{
    return (c >= '{' && c <= '~') || (c >= '[' && c <= '`') || (c >= ' ' && c <= '&') ||
           (c >= '(' && c <= '+') || (c >= ':' && c <= '@') || c == '/';
}

/* Writes spaces around the characters that stand alone. */
static size_t pass_symbols(const char *text, size_t length, char *out)
{
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        bool alone = stands_alone(text[i]);
        if (alone)
            out[used++] = ' ';
        out[used++] = text[i];
        if (alone)
            out[used++] = ' ';
    }
    return used;
}

static bool is_stop(char c)
{
    return c == '.' || c == ',';
}

/* Cuts a period or comma off what is before it, unless that is a digit. (A byte of a longer
 * character is no digit, so bytes will do.) */
static size_t pass_after_nondigit(const char *text, size_t length, char *out)
{
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        out[used++] = text[i];
        if (is_digit(text[i]) || i + 1 >= length || !is_stop(text[i + 1]))
            continue;
        out[used++] = ' ';
        out[used++] = text[++i];
        out[used++] = ' ';
    }
    return used;
}

/* And off what is behind it. */
static size_t pass_before_nondigit(const char *text, size_t length, char *out)
{
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        bool cut = is_stop(text[i]) && i + 1 < length && !is_digit(text[i + 1]);
        if (cut)
            out[used++] = ' ';
        out[used++] = text[i];
        if (cut) {
            out[used++] = ' ';
            out[used++] = text[++i];
        }
    }
    return used;
}

/* Cuts a dash off the digit before it. */
static size_t pass_dash(const char *text, size_t length, char *out)
{
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        out[used++] = text[i];
        if (!is_digit(text[i]) || i + 1 >= length || text[i + 1] != '-')
            continue;
        out[used++] = ' ';
        out[used++] = text[++i];
        out[used++] = ' ';
    }
    return used;
}

/* Characters of the passes of intl, by what they ask for. */
static size_t next_character(const char *text, size_t length, size_t at, char *category)
{
    uint32_t code = (unsigned char)text[at];
    size_t size = code < 0x80 ? 1 : hone_utf8_decode(text + at, length - at, &code);
    *category = hone_python_category(code);
    return size;
}

static size_t copy(char *out, size_t used, const char *from, size_t size)
{
    memcpy(out + used, from, size);
    return used + size;
}

/* Punctuation that follows what is no number, or precedes it: `before` tells which. Both look at
 * two characters, and both go on behind them. */
static size_t pass_punctuation(const char *text, size_t length, char *out, bool before)
{
    size_t used = 0, size, next_size;
    for (size_t at = 0; at < length; at += size) {
        char category, next;
        size = next_character(text, length, at, &category);
        bool two = false;
        if (at + size < length && (before ? category != 'N' : category == 'P')) {
            next_size = next_character(text, length, at + size, &next);
            two = before ? next == 'P' : next != 'N';
        }
        if (two && !before)
            out[used++] = ' ';
        used = copy(out, used, text + at, size);
        if (!two)
            continue;
        out[used++] = ' ';
        used = copy(out, used, text + at + size, next_size);
        if (before)
            out[used++] = ' ';
        size += next_size;
    }
    return used;
}

static size_t pass_follows(const char *text, size_t length, char *out)
{
    return pass_punctuation(text, length, out, true);
}

static size_t pass_precedes(const char *text, size_t length, char *out)
{
    return pass_punctuation(text, length, out, false);
}

static size_t pass_unicode_symbols(const char *text, size_t length, char *out)
{
    size_t used = 0, size;
    for (size_t at = 0; at < length; at += size) {
        char category;
        size = next_character(text, length, at, &category);
        if (category == 'S')
            out[used++] = ' ';
        used = copy(out, used, text + at, size);
        if (category == 'S')
            out[used++] = ' ';
    }
    return used;
}

static size_t pass_characters(const char *text, size_t length, char *out)
{
    size_t used = 0, size;
    for (size_t at = 0; at < length; at += size) {
        uint32_t code;
        size = hone_utf8_decode(text + at, length - at, &code);
        used = copy(out, used, text + at, size);
        out[used++] = ' ';
    }
    return used;
}

typedef size_t (*pass)(const char *text, size_t length, char *out);

/* No pass writes more than three bytes for one. */
static hone_status run(const pass *passes, size_t count, hone_text_buffer *buffer,
                       hone_error *error)
{
    for (size_t i = 0; i < count; i++) {
        HONE_TRY(reserve_next(buffer, 3 * buffer->length + 1, error));
        turn(buffer, passes[i](buffer->text, buffer->length, buffer->next));
    }
    return HONE_OK;
}

/* What 13a does before its passes: it takes line breaks and entities away, and pads. */
static hone_status prepare_13a(hone_text_buffer *buffer, hone_error *error)
{
    replace_all(buffer, "<skipped>", "");
    replace_all(buffer, "-\n", "");
    replace_all(buffer, "\n", " ");
    if (memchr(buffer->text, '&', buffer->length) != NULL) {
        replace_all(buffer, "&quot;", "\"");
        replace_all(buffer, "&amp;", "&");
        replace_all(buffer, "&lt;", "<");
        replace_all(buffer, "&gt;", ">");
    }
    HONE_TRY(reserve_next(buffer, buffer->length + 2, error));
    buffer->next[0] = ' ';
    size_t used = copy(buffer->next, 1, buffer->text, buffer->length);
    buffer->next[used++] = ' ';
    turn(buffer, used);
    return HONE_OK;
}

hone_status hone_bleu_tokenize(hone_bleu_tokenizer tokenizer, hone_text_buffer *buffer,
                               hone_error *error)
{
    static const pass western[] = {pass_symbols, pass_after_nondigit, pass_before_nondigit,
                                   pass_dash};
    static const pass international[] = {pass_follows, pass_precedes, pass_unicode_symbols};
    static const pass characters[] = {pass_characters};
    switch (tokenizer) {
    case HONE_BLEU_13A:
        HONE_TRY(prepare_13a(buffer, error));
        return run(western, sizeof western / sizeof *western, buffer, error);
    case HONE_BLEU_INTL:
        return run(international, sizeof international / sizeof *international, buffer, error);
    case HONE_BLEU_CHAR: return run(characters, 1, buffer, error);
    case HONE_BLEU_NONE: break;
    }
    return HONE_OK;
}
