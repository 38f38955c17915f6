/* Base64: see base64.h. Strict: no white space, no missing padding, no bits left over. */
#include "text/base64.h"

#include <stdint.h>

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool hone_base64_decode(const char *text, size_t length, char *out, size_t *size)
{
    *size = 0;
    if (length % 4 != 0)
        return false;
    for (size_t at = 0; at < length; at += 4) {
        size_t padding = 0;
        uint32_t bits = 0;
        if (at + 4 == length && text[at + 3] == '=')
            padding = text[at + 2] == '=' ? 2 : 1;
        for (size_t i = 0; i < 4; i++) {
            int value = i < 4 - padding ? value_of(text[at + i]) : 0;
            if (value < 0)
                return false;
            bits = bits << 6 | (uint32_t)value;
        }
        if ((bits & ((1u << 8 * padding) - 1)) != 0)
            return false;
        for (size_t i = 0; i < 3 - padding; i++)
            out[(*size)++] = (char)(bits >> (16 - 8 * i));
    }
    return true;
}
