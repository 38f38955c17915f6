/* Stop strings and streaming: see stop_text.h. A stop string is looked for only where it could end
 * in the new bytes, so the work for a token does not grow with the text. */
#include "infer/stop_text.h"

#include "base/failure.h"
#include "base/memory.h"

#include <string.h>

void hone_stop_text_init(hone_stop_text *text, const hone_list *stops)
{
    *text = (hone_stop_text){.stops = stops};
}

void hone_stop_text_deinit(hone_stop_text *text)
{
    hone_free(text->text);
    *text = (hone_stop_text){0};
}

/* Length of the longest stop string that ends at `end`. What has been shown begins none. */
static size_t stop_at(const hone_stop_text *text, size_t end)
{
    size_t longest = 0;
    for (size_t i = 0; i < text->stops->count; i++) {
        const char *stop = text->stops->items[i];
        size_t size = strlen(stop);
        if (size > longest && size <= end - text->shown &&
            memcmp(text->text + end - size, stop, size) == 0)
            longest = size;
    }
    return longest;
}

hone_status hone_stop_text_add(hone_stop_text *text, const char *bytes, size_t length,
                               bool may_stop, bool *stopped, hone_error *error)
{
    void *block = text->text;
    bool room = hone_array_reserve(&block, &text->capacity, text->length + length + 1, 1);
    text->text = block;
    *stopped = false;
    if (!room)
        return hone_fail_memory(error, "generated text", text->length + length + 1);
    size_t old = text->length;
    if (length > 0)
        memcpy(text->text + old, bytes, length);
    text->length += length;
    for (size_t end = old + 1; may_stop && end <= text->length; end++) {
        size_t size = stop_at(text, end);
        if (size > 0) {
            text->length = end - size;
            *stopped = true;
            break;
        }
    }
    text->text[text->length] = '\0';
    return HONE_OK;
}

/* Bytes at the end that begin a UTF-8 character which is not whole yet. */
static size_t unfinished_bytes(const char *text, size_t length)
{
    for (size_t back = 1; back <= 3 && back <= length; back++) {
        unsigned char byte = (unsigned char)text[length - back];
        if (byte >= 0xC2 && byte <= 0xF4) {
            size_t whole = byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
            return back < whole ? back : 0;
        }
        if ((byte & 0xC0) != 0x80)
            return 0;
    }
    return 0;
}

/* Bytes at the end that a stop string begins with, the longest. */
static size_t begun_stop(const hone_stop_text *text)
{
    size_t longest = 0;
    for (size_t i = 0; i < text->stops->count; i++) {
        const char *stop = text->stops->items[i];
        size_t most = strlen(stop) - 1, held = text->length - text->shown;
        for (size_t size = most < held ? most : held; size > longest; size--)
            if (memcmp(text->text + text->length - size, stop, size) == 0)
                longest = size;
    }
    return longest;
}

const char *hone_stop_text_take(hone_stop_text *text, bool all, size_t *length)
{
    size_t end = text->length, start = text->shown;
    *length = 0;
    if (end == start)
        return "";
    if (!all) {
        end -= begun_stop(text);
        end -= unfinished_bytes(text->text + start, end - start);
    }
    text->shown = end;
    *length = end - start;
    return text->text + start;
}
