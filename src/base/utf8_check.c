/* The UTF-8 check of utf8_check.h: ASCII eight bytes at a time, the rest by table 3-7 of the
 * Unicode Standard (the second byte's range depends on the first). */
#include "base/utf8_check.h"

#include <stdint.h>
#include <string.h>

static int is_tail(unsigned char byte)
{
    return (byte & 0xC0) == 0x80;
}

size_t hone_utf8_length(const char *text, size_t length)
{
    const unsigned char *byte = (const unsigned char *)text;
    if (byte[0] < 0x80)
        return 1;
    if (byte[0] < 0xC2)
        return 0;
    if (byte[0] < 0xE0)
        return length >= 2 && is_tail(byte[1]) ? 2 : 0;
    if (byte[0] < 0xF0) {
        if (length < 3 || !is_tail(byte[1]) || !is_tail(byte[2]))
            return 0;
        int overlong = byte[0] == 0xE0 && byte[1] < 0xA0;
        int surrogate = byte[0] == 0xED && byte[1] >= 0xA0;
        return overlong || surrogate ? 0 : 3;
    }
    if (byte[0] > 0xF4 || length < 4 || !is_tail(byte[1]) || !is_tail(byte[2]) || !is_tail(byte[3]))
        return 0;
    int overlong = byte[0] == 0xF0 && byte[1] < 0x90;
    int too_high = byte[0] == 0xF4 && byte[1] >= 0x90;
    return overlong || too_high ? 0 : 4;
}

size_t hone_utf8_valid(const char *text, size_t length)
{
    size_t at = 0;
    while (at < length) {
        if (length - at >= 8) {
            uint64_t word;
            memcpy(&word, text + at, 8);
            if ((word & 0x8080808080808080u) == 0) {
                at += 8;
                continue;
            }
        }
        size_t size = hone_utf8_length(text + at, length - at);
        if (size == 0)
            break;
        at += size;
    }
    return at;
}

size_t hone_utf8_repair(const char *text, size_t length, char *out)
{
    static const char replacement[] = {'\xEF', '\xBF', '\xBD'};
    size_t used = 0;
    for (size_t i = 0; i < length;) {
        size_t size = hone_utf8_length(text + i, length - i);
        memcpy(out + used, size > 0 ? text + i : replacement, size > 0 ? size : 3);
        used += size > 0 ? size : 3;
        i += size > 0 ? size : 1;
    }
    return used;
}
