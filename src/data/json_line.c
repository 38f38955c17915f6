/* A pull scanner for one object: see json_line.h.
 * Idea: every value is checked where it stands and handed out as a span of the line. Nesting is
 * kept as one bit a level (array or object), so nothing recurses and nothing is allocated.
 * Measured against Jansson's tree on the kernel's documentation as lines: 62 MB/s there, and 730 MB
 * of memory for a line of 16 MiB of empty arrays. */
#include "data/json_line.h"

#include "base/utf8_check.h"

#include <string.h>

#define MAX_LEVELS 64

void hone_json_line_init(hone_json_line *line, const char *text, size_t length)
{
    *line = (hone_json_line){.text = text, .length = length};
}

static bool problem(hone_json_line *line, const char *message)
{
    line->problem = message;
    return false;
}

static bool at_end(const hone_json_line *line)
{
    return line->at >= line->length;
}

/* The byte at hand, or 0 at the end (a NUL in the text is no JSON either). */
static char peek(const hone_json_line *line)
{
    return at_end(line) ? '\0' : line->text[line->at];
}

static void skip_space(hone_json_line *line)
{
    while (!at_end(line)) {
        char byte = line->text[line->at];
        if (byte != ' ' && byte != '\t' && byte != '\r' && byte != '\n')
            return;
        line->at++;
    }
}

/* Nonzero where one of 8 bytes is not plain: a quote, a backslash, a control, not ASCII. */
static uint64_t special_bytes(uint64_t word)
{
    const uint64_t ones = 0x0101010101010101u, tops = ones * 0x80;
    uint64_t quote = word ^ ones * '"', backslash = word ^ ones * '\\';
    uint64_t found = (quote - ones) & ~quote;
    found |= (backslash - ones) & ~backslash;
    found |= (word - ones * 0x20) & ~word;
    return (found | word) & tops;
}

static int hex_digit(char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    if (byte >= 'a' && byte <= 'f')
        return byte - 'a' + 10;
    if (byte >= 'A' && byte <= 'F')
        return byte - 'A' + 10;
    return -1;
}

/* Value of four hex digits, or -1. */
static int hex_unit(const char *text, size_t length)
{
    int unit = 0;
    if (length < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(text[i]);
        if (digit < 0)
            return -1;
        unit = unit << 4 | digit;
    }
    return unit;
}

/* Passes an escape; line->at is on the backslash. */
static bool scan_escape(hone_json_line *line)
{
    const char *text = line->text + line->at;
    size_t left = line->length - line->at;
    if (left < 2)
        return problem(line, "a string without its end");
    if (text[1] != 'u') {
        if (text[1] == '\0' || strchr("\"\\/bfnrt", text[1]) == NULL)
            return problem(line, "an unknown escape");
        line->at += 2;
        return true;
    }
    int unit = hex_unit(text + 2, left - 2);
    if (unit < 0)
        return problem(line, "\\u without four hexadecimal digits");
    if (unit < 0xD800 || unit > 0xDFFF) {
        line->at += 6;
        return true;
    }
    int second = left >= 8 && text[6] == '\\' && text[7] == 'u' ? hex_unit(text + 8, left - 8) : -1;
    if (unit > 0xDBFF || second < 0xDC00 || second > 0xDFFF)
        return problem(line, "half of a surrogate pair");
    line->at += 12;
    return true;
}

/* Reads a string; line->at is on its first quote. */
static bool scan_string(hone_json_line *line, hone_json_line_value *value)
{
    size_t start = ++line->at;
    value->type = HONE_JSON_LINE_STRING;
    value->escaped = false;
    for (;;) {
        while (line->length - line->at >= 8) {
            uint64_t word;
            memcpy(&word, line->text + line->at, 8);
            if (special_bytes(word) != 0)
                break;
            line->at += 8;
        }
        if (at_end(line))
            return problem(line, "a string without its end");
        unsigned char byte = (unsigned char)line->text[line->at];
        if (byte == '"')
            break;
        if (byte == '\\') {
            value->escaped = true;
            if (!scan_escape(line))
                return false;
        } else if (byte < 0x20) {
            return problem(line, "a control character in a string");
        } else {
            size_t size = hone_utf8_length(line->text + line->at, line->length - line->at);
            if (size == 0)
                return problem(line, "bytes that are not UTF-8");
            line->at += size;
        }
    }
    value->text = line->text + start;
    value->length = line->at++ - start;
    return true;
}

static bool scan_digits(hone_json_line *line)
{
    size_t start = line->at;
    while (peek(line) >= '0' && peek(line) <= '9')
        line->at++;
    return line->at > start || problem(line, "a number without digits");
}

static bool scan_number(hone_json_line *line)
{
    if (peek(line) == '-')
        line->at++;
    if (peek(line) == '0') {
        line->at++;
        if (peek(line) >= '0' && peek(line) <= '9')
            return problem(line, "a number with a leading zero");
    } else if (!scan_digits(line)) {
        return false;
    }
    if (peek(line) == '.') {
        line->at++;
        if (!scan_digits(line))
            return false;
    }
    if (peek(line) == 'e' || peek(line) == 'E') {
        line->at++;
        if (peek(line) == '+' || peek(line) == '-')
            line->at++;
        if (!scan_digits(line))
            return false;
    }
    return true;
}

static bool scan_word(hone_json_line *line, const char *word)
{
    size_t size = strlen(word);
    if (line->length - line->at < size || memcmp(line->text + line->at, word, size) != 0)
        return problem(line, "expected a value");
    line->at += size;
    return true;
}

/* Reads a string, number, true, false or null. */
static bool scan_scalar(hone_json_line *line, hone_json_line_value *value)
{
    size_t start = line->at;
    char byte = peek(line);
    bool found;
    if (byte == '"')
        return scan_string(line, value);
    value->escaped = false;
    if (byte == '-' || (byte >= '0' && byte <= '9')) {
        value->type = HONE_JSON_LINE_NUMBER;
        found = scan_number(line);
    } else if (byte == 't' || byte == 'f') {
        value->type = HONE_JSON_LINE_BOOL;
        found = scan_word(line, byte == 't' ? "true" : "false");
    } else {
        value->type = HONE_JSON_LINE_NULL;
        found = scan_word(line, "null");
    }
    value->text = line->text + start;
    value->length = line->at - start;
    return found;
}

static bool scan_key(hone_json_line *line, hone_json_line_value *key)
{
    skip_space(line);
    if (peek(line) != '"')
        return problem(line, "expected a key in quotes");
    if (!scan_string(line, key))
        return false;
    skip_space(line);
    if (peek(line) != ':')
        return problem(line, "expected a colon after the key");
    line->at++;
    return true;
}

/* Passes an array or object; line->at is on its bracket. Bit i of `objects` tells whether level i
 * is an object. `fresh`: a bracket was just opened, so it may close at once. */
static bool scan_container(hone_json_line *line, hone_json_line_value *value)
{
    size_t start = line->at;
    bool is_object = peek(line) == '{';
    uint64_t objects = 0;
    int level = 1; /* the line's own object is level 0 */
    hone_json_line_value ignored;
    bool fresh = true;
    objects |= (uint64_t)is_object << level;
    line->at++;
    while (level > 0) {
        bool in_object = objects >> level & 1;
        skip_space(line);
        char byte = peek(line);
        if (byte == (in_object ? '}' : ']')) {
            line->at++;
            level--;
            fresh = false;
            continue;
        }
        if (!fresh) {
            if (byte != ',')
                return problem(line, "expected a comma or a closing bracket");
            line->at++;
        }
        if (in_object && !scan_key(line, &ignored))
            return false;
        skip_space(line);
        byte = peek(line);
        fresh = byte == '[' || byte == '{';
        if (fresh) {
            if (++level >= MAX_LEVELS)
                return problem(line, "more than 64 levels");
            objects = (objects & ~((uint64_t)1 << level)) | (uint64_t)(byte == '{') << level;
            line->at++;
        } else if (!scan_scalar(line, &ignored)) {
            return false;
        }
    }
    value->type = is_object ? HONE_JSON_LINE_OBJECT : HONE_JSON_LINE_ARRAY;
    value->escaped = false;
    value->text = line->text + start;
    value->length = line->at - start;
    return true;
}

bool hone_json_line_next(hone_json_line *line, hone_json_line_value *key,
                         hone_json_line_value *value)
{
    skip_space(line);
    bool first = !line->started;
    if (first) {
        if (peek(line) != '{')
            return problem(line, "expected an object");
        line->started = true;
        line->at++;
        skip_space(line);
    }
    if (peek(line) == '}') {
        line->at++;
        skip_space(line);
        return at_end(line) ? false : problem(line, "something after the object");
    }
    if (!first) {
        if (peek(line) != ',')
            return problem(line, at_end(line) ? "an object without its end"
                                              : "expected a comma or a closing brace");
        line->at++;
    }
    if (!scan_key(line, key))
        return false;
    skip_space(line);
    char byte = peek(line);
    return byte == '[' || byte == '{' ? scan_container(line, value) : scan_scalar(line, value);
}

static size_t put_utf8(char *out, uint32_t code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xC0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xE0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3F));
        out[2] = (char)(0x80 | (code & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3F));
    out[2] = (char)(0x80 | (code >> 6 & 0x3F));
    out[3] = (char)(0x80 | (code & 0x3F));
    return 4;
}

/* Writes one checked escape and returns the bytes it took of the source. */
static size_t decode_escape(const char *text, char **out)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    if (text[1] != 'u') {
        *(*out)++ = values[strchr(names, text[1]) - names];
        return 2;
    }
    uint32_t unit = (uint32_t)hex_unit(text + 2, 4);
    if (unit < 0xD800 || unit > 0xDFFF) {
        *out += put_utf8(*out, unit);
        return 6;
    }
    uint32_t second = (uint32_t)hex_unit(text + 8, 4);
    *out += put_utf8(*out, 0x10000 + ((unit - 0xD800) << 10) + (second - 0xDC00));
    return 12;
}

size_t hone_json_line_decode(const hone_json_line_value *value, char *out)
{
    const char *text = value->text, *end = text + value->length;
    char *start = out;
    while (text < end) {
        const char *escape = memchr(text, '\\', (size_t)(end - text));
        size_t plain = (size_t)((escape != NULL ? escape : end) - text);
        memcpy(out, text, plain);
        out += plain;
        text += plain;
        if (escape != NULL)
            text += decode_escape(text, &out);
    }
    return (size_t)(out - start);
}

/* Where the next element of an array starts, or its closing bracket. */
static size_t next_element(const char *text, size_t cursor)
{
    size_t at = cursor == 0 ? 1 : cursor;
    while (text[at] == ' ' || text[at] == '\t' || text[at] == '\r' || text[at] == '\n' ||
           text[at] == ',')
        at++;
    return at;
}

int hone_json_line_string(const hone_json_line_value *array, size_t *cursor,
                          hone_json_line_value *string)
{
    const char *text = array->text;
    size_t at = next_element(text, *cursor);
    if (text[at] == ']')
        return 0;
    if (text[at] != '"')
        return -1;
    *string = (hone_json_line_value){.type = HONE_JSON_LINE_STRING, .text = text + at + 1};
    for (at++; text[at] != '"'; at++)
        if (text[at] == '\\') { /* what is escaped may be a quote; it was checked */
            string->escaped = true;
            at++;
        }
    string->length = (size_t)(text + at - string->text);
    *cursor = at + 1;
    return 1;
}

int hone_json_line_integer(const hone_json_line_value *array, size_t *cursor, int64_t *number)
{
    const char *text = array->text;
    size_t at = next_element(text, *cursor);
    if (text[at] == ']')
        return 0;
    bool negative = text[at] == '-';
    at += negative;
    if (text[at] < '0' || text[at] > '9')
        return -1;
    int64_t sum = 0;
    for (; text[at] >= '0' && text[at] <= '9'; at++) {
        int digit = text[at] - '0';
        if (__builtin_mul_overflow(sum, 10, &sum) ||
            __builtin_add_overflow(sum, negative ? -digit : digit, &sum))
            return -1;
    }
    *cursor = at;
    *number = sum;
    return text[at] == '.' || text[at] == 'e' || text[at] == 'E' ? -1 : 1;
}

const char *hone_json_line_type_name(hone_json_line_type type)
{
    static const char *const names[] = {"a string", "a number", "true or false",
                                        "null",     "an array", "an object"};
    return names[type];
}
