/* Statuses, errors and the log callback: see failure.h. Nothing here allocates. */
#include "base/failure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static hone_log_fn log_fn;
static void *log_context;

const char *hone_status_name(hone_status status)
{
    static const char *const names[] = {
#define STATUS_NAME(name, code, text) #name,
        HONE_STATUS_LIST(STATUS_NAME)
#undef STATUS_NAME
    };
    return status >= 0 && status < HONE_STATUS_COUNT ? names[status] : "UNKNOWN";
}

int hone_status_exit_code(hone_status status)
{
    static const int codes[] = {
#define STATUS_CODE(name, code, text) code,
        HONE_STATUS_LIST(STATUS_CODE)
#undef STATUS_CODE
    };
    return status >= 0 && status < HONE_STATUS_COUNT ? codes[status] : 1;
}

/* Length of the UTF-8 character at text if a terminal may be sent it, else 0. */
static size_t shown_length(const unsigned char *text)
{
    if (text[0] < 0x80)
        return text[0] >= 0x20 && text[0] != 0x7F;
    size_t length = text[0] < 0xC2   ? 0
                    : text[0] < 0xE0 ? 2
                    : text[0] < 0xF0 ? 3
                    : text[0] < 0xF5 ? 4
                                     : 0;
    for (size_t i = 1; i < length; i++)
        if ((text[i] & 0xC0) != 0x80)
            return 0;
    bool overlong = (text[0] == 0xE0 && text[1] < 0xA0) || (text[0] == 0xF0 && text[1] < 0x90);
    bool surrogate = text[0] == 0xED && text[1] > 0x9F;
    bool beyond = text[0] == 0xF4 && text[1] > 0x8F;
    bool control = text[0] == 0xC2 && text[1] < 0xA0;
    return overlong || surrogate || beyond || control ? 0 : length;
}

/* Copies text to out + used with what could steer a terminal or forge a line spelt out; the
 * library's own lists indent each line by two spaces. Returns the new length, size - 1 once some
 * did not fit, so that nothing more is added. */
static size_t put_escaped(char *out, size_t used, size_t size, const char *text)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *p = (const unsigned char *)text;
    while (*p != '\0') {
        size_t length = shown_length(p);
        if (p[0] == '\n' && p[1] == ' ' && p[2] == ' ')
            length = 1;
        char code[4] = {'\\', 'x', digits[*p >> 4], digits[*p & 15]};
        const char *piece = length > 0 ? (const char *)p : code;
        size_t n = length > 0 ? length : sizeof code;
        if (n >= size - used) {
            out[used] = '\0';
            return size - 1;
        }
        memcpy(out + used, piece, n);
        used += n;
        p += length > 0 ? length : 1;
    }
    out[used] = '\0';
    return used;
}

void hone_error_format(const hone_error *error, char *buffer, uint64_t size)
{
    char place[48] = "";
    if (size == 0)
        return;
    size_t used = put_escaped(buffer, 0, size, error->file);
    if (error->file[0] != '\0' && error->line >= 0)
        snprintf(place, sizeof place, ":%lld", (long long)error->line);
    used = put_escaped(buffer, used, size, place);
    if (error->file[0] != '\0')
        used = put_escaped(buffer, used, size, ": ");
    used = put_escaped(buffer, used, size, error->message);
    place[0] = '\0';
    if (error->file[0] != '\0' && error->line < 0 && error->offset >= 0)
        snprintf(place, sizeof place, " (byte %lld)", (long long)error->offset);
    put_escaped(buffer, used, size, place);
}

static hone_status fail_va(hone_error *error, hone_status status, const char *file, int64_t line,
                           int64_t offset, const char *format, va_list arguments) HONE_PRINTF(6, 0);

static hone_status fail_va(hone_error *error, hone_status status, const char *file, int64_t line,
                           int64_t offset, const char *format, va_list arguments)
{
    if (error != NULL) {
        error->status = status;
        error->line = line;
        error->offset = offset;
        snprintf(error->file, sizeof error->file, "%s", file != NULL ? file : "");
        vsnprintf(error->message, sizeof error->message, format, arguments);
    }
    return status;
}

hone_status hone_fail(hone_error *error, hone_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fail_va(error, status, NULL, -1, -1, format, arguments);
    va_end(arguments);
    return status;
}

hone_status hone_fail_at(hone_error *error, hone_status status, const char *file, int64_t line,
                         int64_t offset, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fail_va(error, status, file, line, offset, format, arguments);
    va_end(arguments);
    return status;
}

hone_status hone_fail_errno(hone_error *error, const char *file, const char *what)
{
    int number = errno;
    return hone_fail_at(error, number == ENOMEM ? HONE_MEMORY : HONE_IO, file, -1, -1, "%s: %s",
                        what, strerror(number));
}

hone_status hone_fail_memory(hone_error *error, const char *what, size_t size)
{
    return hone_fail(error, HONE_MEMORY, "out of memory (%s, %zu bytes)", what, size);
}

void hone_error_append(hone_error *error, const char *format, ...)
{
    if (error == NULL)
        return;
    size_t used = strlen(error->message);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->message + used, sizeof error->message - used, format, arguments);
    va_end(arguments);
}

void hone_log_set(hone_log_fn fn, void *context)
{
    log_fn = fn;
    log_context = context;
}

void hone_log(hone_log_level level, const char *format, ...)
{
    if (log_fn == NULL)
        return;
    char message[1024], shown[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    put_escaped(shown, 0, sizeof shown, message);
    log_fn(log_context, level, shown);
}
