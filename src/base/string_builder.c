/* Growing strings: see string_builder.h. */
#include "base/string_builder.h"

#include "base/files.h"
#include "base/memory.h"
#include "base/utf8_check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Room for `length` more bytes and the NUL, or NULL. */
static char *reserve(hone_string *text, size_t length)
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

void hone_string_put(hone_string *text, const char *bytes, size_t length)
{
    char *at = reserve(text, length);
    if (at == NULL)
        return;
    memcpy(at, bytes, length);
    at[length] = '\0';
    text->length += length;
}

void hone_string_add(hone_string *text, const char *string)
{
    hone_string_put(text, string, strlen(string));
}

void hone_string_format(hone_string *text, const char *format, ...)
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

void hone_string_json(hone_string *text, const char *bytes, size_t length)
{
    hone_string_add(text, "\"");
    for (size_t at = 0; at < length;) {
        size_t size = hone_utf8_length(bytes + at, length - at);
        unsigned char c = (unsigned char)bytes[at];
        if (size == 0)
            hone_string_add(text, "\xEF\xBF\xBD");
        else if (c == '"' || c == '\\')
            hone_string_format(text, "\\%c", c);
        else if (c == '\n')
            hone_string_add(text, "\\n");
        else if (c < 0x20 || c == 0x7F)
            hone_string_format(text, "\\u%04x", c);
        else
            hone_string_put(text, bytes + at, size);
        at += size > 0 ? size : 1;
    }
    hone_string_add(text, "\"");
}

hone_status hone_string_check(const hone_string *text, const char *what, hone_error *error)
{
    return text->failed ? hone_fail_memory(error, what, text->length) : HONE_OK;
}

hone_status hone_string_write(const hone_string *text, const char *path, hone_error *error)
{
    HONE_TRY(hone_string_check(text, path, error));
    return hone_file_write(path, text->length > 0 ? text->bytes : "", text->length, error);
}

void hone_string_deinit(hone_string *text)
{
    hone_free(text->bytes);
    *text = (hone_string){0};
}
