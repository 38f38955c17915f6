/* Statuses, errors and the log callback: see failure.h. Nothing here allocates. */
#include "base/failure.h"

#include <errno.h>
#include <stdarg.h>
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

void hone_error_format(const hone_error *error, char *buffer, uint64_t size)
{
    if (size == 0)
        return;
    if (error->file[0] == '\0')
        snprintf(buffer, size, "%s", error->message);
    else if (error->line >= 0)
        snprintf(buffer, size, "%s:%lld: %s", error->file, (long long)error->line, error->message);
    else if (error->offset >= 0)
        snprintf(buffer, size, "%s: %s (byte %lld)", error->file, error->message,
                 (long long)error->offset);
    else
        snprintf(buffer, size, "%s: %s", error->file, error->message);
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
    char message[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    log_fn(log_context, level, message);
}
