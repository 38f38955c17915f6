/* spiece.model, sentencepiece's file: a protocol buffer with pieces, their scores and types, and
 * how text is normalized. Strict: what can't be read, contradicts itself, or would change ids and
 * is not implemented is an error that says where.
 * Source: sentencepiece's sentencepiece_model.proto; numbers of fields are given where read. */
#include "text/tokenizer_parts.h"
#include "text/unicode.h"
#include "text/wire_format.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { MODEL_PIECES = 1, MODEL_TRAINER = 2, MODEL_NORMALIZER = 3, MODEL_DENORMALIZER = 5 };
enum { UNIGRAM = 1 }; /* model_type */

/* One file on its way into a tokenizer. */
typedef struct reader {
    hone_tokenizer_load *load;
    const char *file;
    hone_error *error;
    const char *charsmap; /* borrowed, or NULL */
    size_t charsmap_size;
    size_t pieces;
    uint64_t model_type;
    bool byte_fallback, whitespace_as_suffix;
} reader;

static hone_status broken(const reader *r, const hone_wire *wire)
{
    return hone_fail_at(r->error, HONE_INPUT, r->file, -1, (int64_t)wire->place,
                        "not a sentencepiece model: %s", wire->problem);
}

/* A field of the expected wire type. */
static hone_status expect(const reader *r, const hone_wire_field *field, hone_wire_type type,
                          const char *name)
{
    if (field->type == type)
        return HONE_OK;
    return hone_fail_at(r->error, HONE_INPUT, r->file, -1, (int64_t)field->offset,
                        "not a sentencepiece model: %s: expected wire type %s, found %s", name,
                        hone_wire_type_name(type), hone_wire_type_name(field->type));
}

static hone_status read_bool(const reader *r, const hone_wire_field *field, const char *name,
                             bool *value)
{
    HONE_TRY(expect(r, field, HONE_WIRE_VARINT, name));
    *value = field->value != 0;
    return HONE_OK;
}

static bool is_utf8(const char *text, size_t length)
{
    uint32_t code;
    for (size_t at = 0; at < length;) {
        at += hone_utf8_decode(text + at, length - at, &code);
        if (code == HONE_CHAR_INVALID)
            return false;
    }
    return true;
}

typedef struct piece {
    const char *text;
    size_t length;
    uint64_t type;
    float score;
} piece;

static hone_status check_piece(const reader *r, const piece *p, size_t offset)
{
    int shown = p->length < 80 ? (int)p->length : 80;
    const char *problem = NULL;
    if (p->length == 0)
        problem = "it has no text";
    else if (p->length > HONE_PIECE_LONGEST)
        problem = "it has 8000 bytes or more";
    else if (!is_utf8(p->text, p->length))
        problem = "its text is not UTF-8";
    else if (p->type < HONE_PIECE_NORMAL || p->type > HONE_PIECE_BYTE)
        problem = "its type is none of 1 to 6";
    else if (!isfinite(p->score))
        problem = "its score is not a finite number";
    if (problem == NULL)
        return HONE_OK;
    return hone_fail_at(r->error, HONE_INPUT, r->file, -1, (int64_t)offset, "piece %zu '%.*s': %s",
                        r->pieces, shown, p->text != NULL ? p->text : "", problem);
}

static hone_status read_piece(reader *r, const hone_wire *outer, const hone_wire_field *message)
{
    hone_wire wire;
    hone_wire_field field;
    piece p = {.type = HONE_PIECE_NORMAL};
    HONE_TRY(expect(r, message, HONE_WIRE_BYTES, "pieces"));
    hone_wire_enter(&wire, outer, message);
    while (hone_wire_next(&wire, &field)) {
        switch (field.number) {
        case 1:
            HONE_TRY(expect(r, &field, HONE_WIRE_BYTES, "piece"));
            p.text = field.bytes;
            p.length = field.length;
            break;
        case 2: {
            HONE_TRY(expect(r, &field, HONE_WIRE_FIXED32, "score"));
            uint32_t bits = (uint32_t)field.value;
            memcpy(&p.score, &bits, sizeof p.score);
            break;
        }
        case 3:
            HONE_TRY(expect(r, &field, HONE_WIRE_VARINT, "type"));
            p.type = field.value;
            break;
        default: break;
        }
    }
    if (wire.problem != NULL)
        return broken(r, &wire);
    HONE_TRY(check_piece(r, &p, message->offset));
    HONE_TRY(hone_vocabulary_add(&r->load->vocabulary, p.text, p.length, (int64_t)r->pieces,
                                 r->file, r->error));
    r->load->types[r->pieces] = (unsigned char)p.type;
    r->load->tokenizer->unigram.scores[r->pieces++] = (double)p.score;
    return HONE_OK;
}

static hone_status read_trainer(reader *r, const hone_wire *outer, const hone_wire_field *message)
{
    hone_wire wire;
    hone_wire_field field;
    HONE_TRY(expect(r, message, HONE_WIRE_BYTES, "trainer_spec"));
    hone_wire_enter(&wire, outer, message);
    while (hone_wire_next(&wire, &field)) {
        switch (field.number) {
        case 3:
            HONE_TRY(expect(r, &field, HONE_WIRE_VARINT, "model_type"));
            r->model_type = field.value;
            break;
        case 24:
            HONE_TRY(read_bool(r, &field, "treat_whitespace_as_suffix", &r->whitespace_as_suffix));
            break;
        case 35: HONE_TRY(read_bool(r, &field, "byte_fallback", &r->byte_fallback)); break;
        default: break;
        }
    }
    return wire.problem != NULL ? broken(r, &wire) : HONE_OK;
}

static hone_status read_normalizer(reader *r, const hone_wire *outer,
                                   const hone_wire_field *message)
{
    hone_wire wire;
    hone_wire_field field;
    hone_spiece_rules *rules = &r->load->tokenizer->rules;
    HONE_TRY(expect(r, message, HONE_WIRE_BYTES, "normalizer_spec"));
    hone_wire_enter(&wire, outer, message);
    while (hone_wire_next(&wire, &field)) {
        switch (field.number) {
        case 2:
            HONE_TRY(expect(r, &field, HONE_WIRE_BYTES, "precompiled_charsmap"));
            r->charsmap = field.bytes;
            r->charsmap_size = field.length;
            break;
        case 3: HONE_TRY(read_bool(r, &field, "add_dummy_prefix", &rules->add_dummy_prefix)); break;
        case 4:
            HONE_TRY(
                read_bool(r, &field, "remove_extra_whitespaces", &rules->remove_extra_whitespaces));
            break;
        case 5:
            HONE_TRY(read_bool(r, &field, "escape_whitespaces", &rules->escape_whitespaces));
            break;
        default: break;
        }
    }
    return wire.problem != NULL ? broken(r, &wire) : HONE_OK;
}

/* A map for decoding is the one part of it that sentencepiece would use. */
static hone_status check_denormalizer(reader *r, const hone_wire *outer,
                                      const hone_wire_field *message)
{
    hone_wire wire;
    hone_wire_field field;
    HONE_TRY(expect(r, message, HONE_WIRE_BYTES, "denormalizer_spec"));
    hone_wire_enter(&wire, outer, message);
    while (hone_wire_next(&wire, &field))
        if (field.number == 2 && field.type == HONE_WIRE_BYTES && field.length > 0)
            return hone_fail_at(r->error, HONE_INPUT, r->file, -1, (int64_t)field.offset,
                                "denormalizer_spec: a precompiled_charsmap is not supported: "
                                "expected none");
    return wire.problem != NULL ? broken(r, &wire) : HONE_OK;
}

static hone_status read_model(reader *r, const char *model, size_t size)
{
    hone_wire wire;
    hone_wire_field field;
    hone_wire_init(&wire, model, size, 0);
    while (hone_wire_next(&wire, &field)) {
        switch (field.number) {
        case MODEL_PIECES: HONE_TRY(read_piece(r, &wire, &field)); break;
        case MODEL_TRAINER: HONE_TRY(read_trainer(r, &wire, &field)); break;
        case MODEL_NORMALIZER: HONE_TRY(read_normalizer(r, &wire, &field)); break;
        case MODEL_DENORMALIZER: HONE_TRY(check_denormalizer(r, &wire, &field)); break;
        default: break;
        }
    }
    return wire.problem != NULL ? broken(r, &wire) : HONE_OK;
}

size_t hone_spiece_count(const char *model, size_t size)
{
    hone_wire wire;
    hone_wire_field field;
    size_t count = 0;
    hone_wire_init(&wire, model, size, 0);
    while (hone_wire_next(&wire, &field))
        count += field.number == MODEL_PIECES;
    return count;
}

static hone_status check_settings(const reader *r)
{
    static const char *const types[] = {"unigram", "BPE", "word", "char"};
    if (r->model_type != UNIGRAM)
        return hone_fail_at(r->error, HONE_INPUT, r->file, -1, -1,
                            "model_type %llu (%s) is not supported: expected 1, unigram",
                            (unsigned long long)r->model_type,
                            r->model_type - 1 < 4 ? types[r->model_type - 1] : "unknown");
    if (r->whitespace_as_suffix)
        return hone_fail_at(r->error, HONE_INPUT, r->file, -1, -1,
                            "treat_whitespace_as_suffix: true is not supported: expected false");
    return HONE_OK;
}

/* The byte that "<0xNN>" names, or -1. */
static int byte_of(const char *text, size_t length)
{
    static const char digits[] = "0123456789ABCDEF";
    if (length != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>')
        return -1;
    const char *high = text[3] != '\0' ? strchr(digits, text[3]) : NULL;
    const char *low = text[4] != '\0' ? strchr(digits, text[4]) : NULL;
    return high != NULL && low != NULL ? (int)(16 * (high - digits) + (low - digits)) : -1;
}

static hone_status find_bytes(const reader *r)
{
    const hone_vocabulary *vocabulary = &r->load->vocabulary;
    hone_unigram *unigram = &r->load->tokenizer->unigram;
    size_t found = 0;
    for (size_t id = 0; id < r->pieces; id++) {
        if (r->load->types[id] != HONE_PIECE_BYTE)
            continue;
        int byte = byte_of(vocabulary->texts[id], vocabulary->lengths[id]);
        if (byte < 0 || !r->byte_fallback)
            return hone_fail_at(
                r->error, HONE_INPUT, r->file, -1, -1, "piece %zu '%.*s' is a byte: expected %s",
                id, vocabulary->lengths[id] < 80 ? (int)vocabulary->lengths[id] : 80,
                vocabulary->texts[id], byte < 0 ? "<0x00> to <0xFF>" : "byte_fallback to be true");
        unigram->bytes[byte] = (int32_t)id;
        found++;
    }
    if (r->byte_fallback && found != 256)
        return hone_fail_at(r->error, HONE_INPUT, r->file, -1, -1,
                            "byte_fallback is true: expected 256 byte pieces, found %zu", found);
    unigram->byte_fallback = r->byte_fallback;
    return HONE_OK;
}

/* Finds the unknown piece, and gives the scores that no file has: that of unknown characters, and
 * those of user-defined pieces, which are meant to win, the longer the better. */
static hone_status settle_scores(const reader *r)
{
    const hone_tokenizer_load *load = r->load;
    hone_unigram *unigram = &load->tokenizer->unigram;
    float least = FLT_MAX;
    unigram->unknown = -1;
    for (size_t id = 0; id < r->pieces; id++) {
        float score = (float)unigram->scores[id];
        unsigned type = load->types[id];
        if (type == HONE_PIECE_NORMAL)
            least = score < least ? score : least;
        else if (type == HONE_PIECE_USER_DEFINED)
            unigram->scores[id] = (double)(float)(0.1 * (double)(load->vocabulary.lengths[id] - 1));
        if (type == HONE_PIECE_UNKNOWN && unigram->unknown >= 0)
            return hone_fail_at(r->error, HONE_INPUT, r->file, -1, -1,
                                "pieces %d and %zu are both unknown: expected one",
                                unigram->unknown, id);
        if (type == HONE_PIECE_UNKNOWN)
            unigram->unknown = (int32_t)id;
    }
    if (unigram->unknown < 0)
        return hone_fail_at(r->error, HONE_INPUT, r->file, -1, -1,
                            "none of %zu pieces is the unknown one", r->pieces);
    unigram->unknown_score = (double)(least - 10.0F);
    return HONE_OK;
}

/* User-defined pieces, which normalization leaves alone. */
static hone_status collect_own(const reader *r)
{
    const hone_vocabulary *vocabulary = &r->load->vocabulary;
    hone_piece *own = hone_alloc_array(r->pieces + 1, sizeof *own);
    size_t count = 0;
    if (own == NULL)
        return hone_fail_memory(r->error, "pieces", r->pieces * sizeof *own);
    for (size_t id = 0; id < r->pieces; id++)
        if (r->load->types[id] == HONE_PIECE_USER_DEFINED)
            own[count++] =
                (hone_piece){vocabulary->texts[id], vocabulary->lengths[id], (int32_t)id};
    hone_status status = HONE_OK;
    if (count > 0)
        status = hone_piece_trie_init(&r->load->tokenizer->rules.own, own, count, r->error);
    hone_free(own);
    return status;
}

hone_status hone_tokenizer_read_spiece(hone_tokenizer_load *load, const char *model, size_t size,
                                       const char *file, hone_error *error)
{
    hone_tokenizer *tokenizer = load->tokenizer;
    hone_spiece_rules *rules = &tokenizer->rules;
    hone_unigram *unigram = &tokenizer->unigram;
    reader r = {.load = load, .file = file, .error = error, .model_type = UNIGRAM};
    rules->add_dummy_prefix = rules->remove_extra_whitespaces = true; /* the format's defaults */
    rules->escape_whitespaces = true;
    HONE_TRY(hone_tokenizer_start_unigram(load, error));
    HONE_TRY(read_model(&r, model, size));
    HONE_TRY(check_settings(&r));
    HONE_TRY(find_bytes(&r));
    HONE_TRY(settle_scores(&r));
    HONE_TRY(collect_own(&r));
    if (r.charsmap_size > 0)
        HONE_TRY(hone_charsmap_init(&rules->map, r.charsmap, r.charsmap_size, file, error));
    hone_spiece_rules_finish(rules);
    unigram->single = true;
    unigram->spaced = rules->escape_whitespaces;
    if (rules->add_dummy_prefix)
        tokenizer->leading = HONE_SPACES_ONE;
    if (rules->remove_extra_whitespaces)
        tokenizer->leading = HONE_SPACES_EACH;
    return hone_tokenizer_build_unigram(load, file, error);
}
