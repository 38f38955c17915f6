/* Printing: see print.h. */
#include "print.h"

#include <errno.h>
#include <hone/log.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Length of the UTF-8 character at text, or 0 when there is none. */
static size_t character(const unsigned char *text, size_t length)
{
    size_t size = text[0] < 0x80                      ? 1
                  : text[0] >= 0xC2 && text[0] < 0xE0 ? 2
                  : text[0] >= 0xE0 && text[0] < 0xF0 ? 3
                  : text[0] >= 0xF0 && text[0] < 0xF5 ? 4
                                                      : 0;
    if (size == 0 || size > length)
        return 0;
    for (size_t i = 1; i < size; i++)
        if ((text[i] & 0xC0) != 0x80)
            return 0;
    bool overlong = (text[0] == 0xE0 && text[1] < 0xA0) || (text[0] == 0xF0 && text[1] < 0x90);
    bool surrogate = text[0] == 0xED && text[1] > 0x9F;
    bool beyond = text[0] == 0xF4 && text[1] > 0x8F;
    return overlong || surrogate || beyond ? 0 : size;
}

void cli_json_string(FILE *out, const char *text, size_t length)
{
    const unsigned char *p = (const unsigned char *)text, *end = p + length;
    putc('"', out);
    while (p < end) {
        size_t size = character(p, (size_t)(end - p));
        if (size == 0)
            fputs("\\ufffd", out);
        else if (*p == '"' || *p == '\\')
            fprintf(out, "\\%c", *p);
        else if (*p == '\n')
            fputs("\\n", out);
        else if (*p < 0x20 || *p == 0x7F)
            fprintf(out, "\\u%04x", *p);
        else
            fwrite(p, 1, size, out);
        p += size > 0 ? size : 1;
    }
    putc('"', out);
}

void cli_json_real(FILE *out, double value, int digits)
{
    if (isfinite(value))
        fprintf(out, "%.*g", digits, value);
    else
        fputs("null", out);
}

void cli_json_ids(FILE *out, const int32_t *ids, size_t count)
{
    putc('[', out);
    cli_print_ids(out, ids, count, ',');
    putc(']', out);
}

void cli_print_ids(FILE *out, const int32_t *ids, size_t count, char separator)
{
    char buffer[4096];
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        char digits[16];
        int length = 0;
        uint32_t rest = (uint32_t)ids[i];
        do
            digits[length++] = (char)('0' + rest % 10);
        while ((rest /= 10) > 0);
        if (i > 0)
            buffer[used++] = separator;
        while (length > 0)
            buffer[used++] = digits[--length];
        if (used > sizeof buffer - 32) {
            fwrite(buffer, 1, used, out);
            used = 0;
        }
    }
    fwrite(buffer, 1, used, out);
}

hone_status cli_fail(hone_error *error, hone_status status, const char *format, ...)
{
    *error = (hone_error){.status = status, .line = -1, .offset = -1};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    return status;
}

/* Names and messages may carry bytes of a hostile file: none of them reaches a terminal. */
static void print_clean(const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        putc((c < 0x20 && c != '\n' && c != '\t') || c == 0x7F ? '?' : c, stderr);
    }
}

void cli_print_error(const char *command, const hone_error *error)
{
    char text[sizeof error->file + sizeof error->message + 64];
    hone_error_format(error, text, sizeof text);
    fprintf(stderr, "hone%s%s: ", command[0] != '\0' ? " " : "", command);
    print_clean(text[0] != '\0' ? text : hone_status_name(error->status));
    putc('\n', stderr);
}

static void print_remark(void *context, hone_log_level level, const char *message)
{
    (void)context;
    fputs(level == HONE_LOG_WARNING ? "warning: " : "note: ", stderr);
    print_clean(message);
    putc('\n', stderr);
}

void cli_print_remarks(void)
{
    hone_log_set(print_remark, NULL);
}

void cli_format_bytes(double bytes, char buffer[32])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    while (bytes >= 1024 && unit + 1 < sizeof units / sizeof *units) {
        bytes /= 1024;
        unit++;
    }
    snprintf(buffer, 32, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
}

void cli_format_duration(double seconds, char buffer[32])
{
    long long s = seconds > 0 ? (long long)(seconds + 0.5) : 0;
    if (s >= 3600)
        snprintf(buffer, 32, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(buffer, 32, "%lld:%02lld", s / 60, s % 60);
}

void cli_live_line(char *line)
{
    struct winsize window;
    /* A line that wraps could not be drawn over. */
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 1 &&
        strlen(line) >= window.ws_col)
        line[window.ws_col - 1] = '\0';
    fprintf(stderr, "\r%s\033[K", line);
    fflush(stderr);
}

void cli_live_clear(void)
{
    fputs("\r\033[K", stderr);
}

hone_status cli_finish_output(hone_error *error)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return HONE_OK;
    return cli_fail(error, HONE_IO, "cannot write the output: %s",
                    errno != 0 ? strerror(errno) : "an earlier write failed");
}
