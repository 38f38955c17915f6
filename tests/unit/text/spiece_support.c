#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "spiece_support.h"

#include <stdio.h>
#include <string.h>

static void put(message *m, const void *bytes, size_t length)
{
    assert_true(m->length + length <= sizeof m->bytes);
    memcpy(m->bytes + m->length, bytes, length);
    m->length += length;
}

static void put_number(message *m, uint64_t value)
{
    do {
        unsigned char byte = (unsigned char)(value & 0x7F) | (value > 0x7F ? 0x80 : 0);
        put(m, &byte, 1);
        value >>= 7;
    } while (value > 0);
}

void put_varint(message *m, unsigned field, uint64_t value)
{
    put_number(m, field << 3);
    put_number(m, value);
}

void put_float(message *m, unsigned field, float value)
{
    put_number(m, field << 3 | 5);
    put(m, &value, sizeof value);
}

void put_bytes(message *m, unsigned field, const void *bytes, size_t length)
{
    put_number(m, field << 3 | 2);
    put_number(m, length);
    put(m, bytes, length);
}

void put_message(message *m, unsigned field, const message *inner)
{
    put_bytes(m, field, inner->bytes, inner->length);
}

void put_piece(message *m, const char *text, size_t length, float score, unsigned type)
{
    message *piece = hone_alloc_array(1, sizeof *piece);
    assert_non_null(piece);
    put_bytes(piece, 1, text, length);
    put_float(piece, 2, score);
    if (type != 1)
        put_varint(piece, 3, type);
    put_message(m, 1, piece);
    hone_free(piece);
}

void put_text_piece(message *m, const char *text, float score, unsigned type)
{
    put_piece(m, text, strlen(text), score, type);
}

void put_small_model(message *m)
{
    put_text_piece(m, "<pad>", 0, 3);
    put_text_piece(m, "</s>", 0, 3);
    put_text_piece(m, "<unk>", 0, 2);
    put_text_piece(m, "\xE2\x96\x81", -3, 1);
    put_text_piece(m, "a", -4, 1);
    put_text_piece(m, "b", -4, 1);
    put_text_piece(m, "ab", -5, 1);
    put_text_piece(m,
                   "\xE2\x96\x81"
                   "ab",
                   -6, 1);
}

hone_status open_spiece(const void *model, size_t size, hone_tokenizer **out, hone_error *error)
{
    hone_tokenizer_load load = {0};
    hone_tokenizer *tokenizer = hone_tokenizer_new();
    *out = NULL;
    if (tokenizer == NULL)
        return hone_fail_memory(error, "tokenizer", sizeof *tokenizer);
    hone_status status =
        hone_tokenizer_load_init(&load, tokenizer, hone_spiece_count(model, size) + 1, error);
    if (status == HONE_OK)
        status = hone_tokenizer_read_spiece(&load, model, size, "spiece.model", error);
    if (status == HONE_OK)
        status = hone_tokenizer_load_finish(&load, "spiece.model", error);
    hone_tokenizer_load_deinit(&load);
    if (status == HONE_OK)
        *out = tokenizer;
    else
        hone_tokenizer_close(tokenizer);
    return status;
}
