/* The strict scanner of safetensors headers: see header_scan.h. It keeps a cursor and nothing else,
 * so depth and size of the input cost no stack and no heap. */
#include "file/header_scan.h"

#include <stdbool.h>
#include <string.h>

static bool continuation(unsigned char byte)
{
    return (byte & 0xC0u) == 0x80u;
}

/* Length of the UTF-8 sequence at text, or 0. Overlong forms, surrogates and what lies beyond
 * U+10FFFF are invalid (Unicode, table 3-7). */
static size_t sequence_length(const unsigned char *text, size_t left)
{
    unsigned char first = text[0];
    if (first < 0x80)
        return 1;
    if (first < 0xC2 || first > 0xF4)
        return 0;
    size_t length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if (left < length)
        return 0;
    unsigned char low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    unsigned char high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    if (text[1] < low || text[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if (!continuation(text[i]))
            return 0;
    return length;
}

size_t hone_utf8_check(const char *text, size_t length)
{
    const unsigned char *bytes = (const unsigned char *)text;
    size_t at = 0;
    while (at < length) {
        size_t step = sequence_length(bytes + at, length - at);
        if (step == 0)
            return at;
        at += step;
    }
    return at;
}

hone_status hone_scan_fail(const hone_scan *scan, const char *expected)
{
    int64_t place = scan->base + (int64_t)scan->at;
    if (scan->at >= scan->size)
        return hone_fail_at(scan->error, HONE_INPUT, scan->file, -1, place,
                            "invalid header: expected %s, found its end", expected);
    unsigned char byte = (unsigned char)scan->text[scan->at];
    if (byte > 0x20 && byte < 0x7F)
        return hone_fail_at(scan->error, HONE_INPUT, scan->file, -1, place,
                            "invalid header: expected %s, found '%c'", expected, byte);
    return hone_fail_at(scan->error, HONE_INPUT, scan->file, -1, place,
                        "invalid header: expected %s, found byte 0x%02x", expected, byte);
}

int hone_scan_next(hone_scan *scan)
{
    while (scan->at < scan->size) {
        char byte = scan->text[scan->at];
        if (byte != ' ' && byte != '\t' && byte != '\n' && byte != '\r')
            return (unsigned char)byte;
        scan->at++;
    }
    return -1;
}

hone_status hone_scan_take(hone_scan *scan, char byte, const char *expected)
{
    if (hone_scan_next(scan) != (unsigned char)byte)
        return hone_scan_fail(scan, expected);
    scan->at++;
    return HONE_OK;
}

hone_status hone_scan_separator(hone_scan *scan, char closing, int *more)
{
    int next = hone_scan_next(scan);
    if (next != ',' && next != (unsigned char)closing)
        return hone_scan_fail(scan, closing == '}' ? "',' or '}'" : "',' or ']'");
    scan->at++;
    *more = next == ',';
    return HONE_OK;
}

static hone_status take_hex(hone_scan *scan, uint32_t *out)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        int byte = scan->at < scan->size ? scan->text[scan->at] : -1, digit;
        if (byte >= '0' && byte <= '9')
            digit = byte - '0';
        else if (byte >= 'a' && byte <= 'f')
            digit = byte - 'a' + 10;
        else if (byte >= 'A' && byte <= 'F')
            digit = byte - 'A' + 10;
        else
            return hone_scan_fail(scan, "four hexadecimal digits after \\u");
        value = value << 4 | (uint32_t)digit;
        scan->at++;
    }
    *out = value;
    return HONE_OK;
}

static size_t put_utf8(char *out, uint32_t point)
{
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    size_t length = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i > 0; i--) {
        out[i] = (char)(0x80u | (point & 0x3Fu));
        point >>= 6;
    }
    out[0] = (char)((0xF00u >> length & 0xFFu) | point);
    return length;
}

/* The part of an escape after "\u", surrogate pairs joined. */
static hone_status take_code_point(hone_scan *scan, uint32_t *out)
{
    uint32_t high = 0, low = 0;
    HONE_TRY(take_hex(scan, &high));
    *out = high;
    if (high == 0)
        return hone_scan_fail(scan, "a name without NUL before this place");
    if (high < 0xD800 || high > 0xDFFF)
        return HONE_OK;
    bool pair = high < 0xDC00 && scan->size - scan->at >= 2 && scan->text[scan->at] == '\\' &&
                scan->text[scan->at + 1] == 'u';
    if (!pair)
        return hone_scan_fail(scan, "a surrogate pair (\\ud8xx\\udcxx)");
    scan->at += 2;
    HONE_TRY(take_hex(scan, &low));
    if (low < 0xDC00 || low > 0xDFFF)
        return hone_scan_fail(scan, "the low half of a surrogate pair before this place");
    *out = 0x10000u + ((high - 0xD800u) << 10) + (low - 0xDC00u);
    return HONE_OK;
}

/* The part of an escape after the backslash; *written bytes go to out, never more than were read.
 */
static hone_status take_escape(hone_scan *scan, char *out, size_t *written)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *found = scan->at < scan->size && scan->text[scan->at] != '\0'
                            ? strchr(from, scan->text[scan->at])
                            : NULL;
    if (found != NULL) {
        scan->at++;
        *out = to[found - from];
        *written = 1;
        return HONE_OK;
    }
    if (scan->at >= scan->size || scan->text[scan->at] != 'u')
        return hone_scan_fail(scan, "one of \" \\ / b f n r t u after a backslash");
    scan->at++;
    uint32_t point = 0;
    HONE_TRY(take_code_point(scan, &point));
    *written = put_utf8(out, point);
    return HONE_OK;
}

hone_status hone_scan_string(hone_scan *scan, const char *expected, char **out)
{
    HONE_TRY(hone_scan_take(scan, '"', expected));
    char *start = scan->text + scan->at, *end = start;
    while (scan->at < scan->size) {
        unsigned char byte = (unsigned char)scan->text[scan->at];
        if (byte < 0x20)
            return hone_scan_fail(scan, "control characters in strings to be escaped");
        if (byte == '"') {
            scan->at++;
            *end = '\0';
            *out = start;
            return HONE_OK;
        }
        scan->at++;
        size_t written = 1;
        if (byte == '\\')
            HONE_TRY(take_escape(scan, end, &written));
        else
            *end = (char)byte;
        end += written;
    }
    return hone_scan_fail(scan, "a closing '\"'");
}

hone_status hone_scan_unsigned(hone_scan *scan, const char *expected, uint64_t *out)
{
    int first = hone_scan_next(scan);
    if (first < '0' || first > '9')
        return hone_scan_fail(scan, expected);
    uint64_t value = 0;
    size_t start = scan->at;
    for (; scan->at < scan->size; scan->at++) {
        char byte = scan->text[scan->at];
        if (byte < '0' || byte > '9')
            break;
        if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(byte - '0'), &value))
            return hone_scan_fail(scan, "an integer below 2^64");
    }
    if (first == '0' && scan->at - start > 1) {
        scan->at = start;
        return hone_scan_fail(scan, "an integer without leading zeros");
    }
    char next = scan->at < scan->size ? scan->text[scan->at] : ',';
    if (next == '.' || next == 'e' || next == 'E')
        return hone_scan_fail(scan, "an integer without fraction or exponent");
    *out = value;
    return HONE_OK;
}
