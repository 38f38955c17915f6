/* Growing texts: see text.h. */
#include "base/text.h"

#include "base/files.h"
#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Room for `length` more bytes and the NUL, or NULL. */
static char *reserve(hone_text *text, size_t length)
{
    size_t needed;
    void *bytes = text->bytes;
    if (text->failed || !hone_size_add(text->length, length, &needed) ||
        !hone_size_add(needed, 1, &needed) ||
        !hone_array_reserve(&bytes, &text->capacity, needed, 1)) {
        text->failed = true;
        return NULL;
    }
    text->bytes = bytes;
    return text->bytes + text->length;
}

void hone_text_put(hone_text *text, const char *bytes, size_t length)
{
    char *at = reserve(text, length);
    if (at == NULL)
        return;
    memcpy(at, bytes, length);
    at[length] = '\0';
    text->length += length;
}

void hone_text_add(hone_text *text, const char *string)
{
    hone_text_put(text, string, strlen(string));
}

void hone_text_format(hone_text *text, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    char *at = length >= 0 ? reserve(text, (size_t)length) : NULL;
    if (at != NULL) {
        vsnprintf(at, (size_t)length + 1, format, again);
        text->length += (size_t)length;
    }
    va_end(again);
    va_end(arguments);
}

hone_status hone_text_check(const hone_text *text, const char *what, hone_error *error)
{
    return text->failed ? hone_fail_memory(error, what, text->length) : HONE_OK;
}

hone_status hone_text_write(const hone_text *text, const char *path, hone_error *error)
{
    HONE_TRY(hone_text_check(text, path, error));
    return hone_file_write(path, text->length > 0 ? text->bytes : "", text->length, error);
}

void hone_text_deinit(hone_text *text)
{
    hone_free(text->bytes);
    *text = (hone_text){0};
}
