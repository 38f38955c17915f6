/* sentencepiece's normalization: see spiece_rules.h. At each place the longest user-defined piece
 * or the longest rule of the map is taken, else one character; then spaces are dropped at both ends
 * and where they repeat. Text is mostly ASCII that no rule touches, which is copied byte by byte.
 * Source: the behaviour of sentencepiece 0.2 (src/normalizer.cc), bytes included. */
#include "text/spiece_rules.h"

#include "text/unicode.h"
#include "text/unigram.h"

#define REPLACEMENT "\xEF\xBF\xBD"

/* What some bytes at the beginning of a text become. */
typedef struct prefix {
    const char *text;
    size_t length;   /* of text */
    size_t consumed; /* bytes that it stands for */
} prefix;

void hone_spiece_rules_finish(hone_spiece_rules *rules)
{
    for (unsigned byte = 0; byte < 128; byte++) {
        bool own =
            rules->own.count > 0 && hone_piece_trie_child(&rules->own, 0, (unsigned char)byte) != 0;
        rules->plain[byte] = !own && !hone_charsmap_touches_ascii(&rules->map, (unsigned char)byte);
    }
}

void hone_spiece_rules_deinit(hone_spiece_rules *rules)
{
    hone_charsmap_deinit(&rules->map);
    hone_piece_trie_deinit(&rules->own);
}

static prefix next_prefix(const hone_spiece_rules *rules, const char *text, size_t length)
{
    if (rules->own.count > 0) {
        size_t own = hone_piece_trie_longest(&rules->own, text, length);
        if (own > 0)
            return (prefix){text, own, own};
    }
    hone_charsmap_rule rule = hone_charsmap_longest(&rules->map, text, length);
    if (rule.length > 0)
        return (prefix){rule.text, rule.text_length, rule.length};
    uint32_t code;
    size_t size = hone_utf8_decode(text, length, &code);
    if (code == HONE_CHAR_INVALID)
        return (prefix){REPLACEMENT, sizeof REPLACEMENT - 1, 1};
    return (prefix){text, size, size};
}

static void put_escaped(hone_text_buffer *out, const char *text, size_t length)
{
    for (size_t i = 0; i < length;) {
        bool mark = length - i >= HONE_SPACE_MARK_LENGTH &&
                    memcmp(text + i, HONE_SPACE_MARK, HONE_SPACE_MARK_LENGTH) == 0;
        out->text[out->length++] = mark ? ' ' : text[i];
        i += mark ? HONE_SPACE_MARK_LENGTH : 1;
    }
}

/* The rest of a text, from its first character that is no space. Room for `length` and what the
 * prefix takes is there. */
static hone_status put_text(const hone_spiece_rules *rules, const char *text, size_t length,
                            hone_text_buffer *out, hone_error *error)
{
    bool remove = rules->remove_extra_whitespaces, after_space = remove;
    for (size_t at = 0; at < length;) {
        unsigned char byte = (unsigned char)text[at];
        if (byte < 0x80 && rules->plain[byte] &&
            (at + 1 == length || (unsigned char)text[at + 1] < 0x80)) {
            out->text[out->length] = (char)byte;
            out->length += byte != ' ' || !after_space;
            after_space = byte == ' ' && remove;
            at++;
            continue;
        }
        prefix next = next_prefix(rules, text + at, length - at);
        at += next.consumed;
        while (after_space && next.length > 0 && next.text[0] == ' ') {
            next.text++;
            next.length--;
        }
        if (next.length == 0)
            continue;
        if (!hone_text_buffer_reserve(out, next.length + (length - at)))
            return hone_fail_memory(error, "normalized text", length);
        if (rules->escape_whitespaces)
            put_escaped(out, next.text, next.length);
        else
            hone_text_buffer_put(out, next.text, next.length);
        after_space = next.text[next.length - 1] == ' ' && remove;
    }
    return HONE_OK;
}

hone_status hone_spiece_rules_apply(const hone_spiece_rules *rules, const char *text, size_t length,
                                    hone_text_buffer *out, hone_error *error)
{
    out->length = 0;
    while (rules->remove_extra_whitespaces && length > 0) {
        prefix next = next_prefix(rules, text, length);
        if (next.length != 1 || next.text[0] != ' ')
            break;
        text += next.consumed;
        length -= next.consumed;
    }
    if (length == 0)
        return HONE_OK;
    if (length == SIZE_MAX || !hone_text_buffer_reserve(out, length + 1))
        return hone_fail_memory(error, "normalized text", length);
    if (rules->add_dummy_prefix)
        hone_text_buffer_put(out, " ", 1);
    HONE_TRY(put_text(rules, text, length, out, error));
    while (rules->remove_extra_whitespaces && out->length > 0 && out->text[out->length - 1] == ' ')
        out->length--;
    return HONE_OK;
}
