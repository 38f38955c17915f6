/* Bytes that grow: text on its way through normalization. */
#ifndef HONE_TEXT_TEXT_BUFFER_H
#define HONE_TEXT_TEXT_BUFFER_H

#include "base/memory.h"

#include <string.h>

/* Zeroed: empty. */
typedef struct hone_text_buffer {
    char *text; /* not NUL-terminated */
    size_t length, capacity;
} hone_text_buffer;

static inline void hone_text_buffer_deinit(hone_text_buffer *buffer)
{
    hone_free(buffer->text);
    *buffer = (hone_text_buffer){0};
}

/* Room for `more` bytes behind what is there; false when memory has run out. */
static inline bool hone_text_buffer_reserve(hone_text_buffer *buffer, size_t more)
{
    size_t needed;
    return hone_size_add(buffer->length, more, &needed) &&
           hone_array_reserve((void **)&buffer->text, &buffer->capacity, needed, 1);
}

/* Appends; room is the caller's business. */
static inline void hone_text_buffer_put(hone_text_buffer *buffer, const char *text, size_t length)
{
    memcpy(buffer->text + buffer->length, text, length);
    buffer->length += length;
}

#endif
