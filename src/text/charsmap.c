/* The character map: see charsmap.h. Its blob is a 32-bit size, that many bytes of a double array,
 * and the replacements. Loading checks every unit, reachable or not: where it leads, and that its
 * value lies in the replacements. The array is padded to whole blocks of 256 units, which an XOR
 * with a byte can't leave, so that walking needs no checks.
 * Source: the file format of sentencepiece (src/normalizer.cc) and Darts-clone's unit layout:
 * bit 31 leaf, bits 30..10 offset (shifted by 8 more where bit 9 is set), bit 8 has a leaf child,
 * bits 7..0 label. */
#include "text/charsmap.h"

#include "base/memory.h"

#include <string.h>

#define BLOCK ((size_t)256)
#define RULES_LIMIT 32   /* sentencepiece looks at no more rules for one place */
#define LEAF 0x80000000u /* a value; never equal to any label */

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "units are copied as they are");

static inline size_t unit_offset(uint32_t unit)
{
    return (size_t)(unit >> 10 & 0x1FFFFF) << ((unit & 0x200) >> 6);
}

static inline bool has_leaf(uint32_t unit)
{
    return (unit >> 8 & 1) != 0;
}

static hone_status check_units(const hone_charsmap *map, const char *file, hone_error *error)
{
    for (size_t i = 0; i < map->count; i++) {
        uint32_t unit = map->units[i];
        /* A value is no place to go on from; the root is, whatever it looks like. */
        if ((unit & LEAF) != 0 && i > 0)
            continue;
        size_t target = i ^ unit_offset(unit);
        if (target >= map->count)
            return hone_fail_at(error, HONE_INPUT, file, -1, -1,
                                "precompiled_charsmap: unit %zu leads to unit %zu of %zu", i,
                                target, map->count);
        size_t value = map->units[target] & ~LEAF;
        if (has_leaf(unit) && value >= map->texts_size)
            return hone_fail_at(error, HONE_INPUT, file, -1, -1,
                                "precompiled_charsmap: unit %zu has a replacement at byte %zu of "
                                "%zu",
                                i, value, map->texts_size);
    }
    return HONE_OK;
}

hone_status hone_charsmap_init(hone_charsmap *map, const char *blob, size_t size, const char *file,
                               hone_error *error)
{
    uint32_t trie_size;
    *map = (hone_charsmap){0};
    if (size < sizeof trie_size)
        return hone_fail_at(error, HONE_INPUT, file, -1, -1,
                            "precompiled_charsmap: expected its size first, found %zu bytes", size);
    memcpy(&trie_size, blob, sizeof trie_size);
    size -= sizeof trie_size;
    blob += sizeof trie_size;
    if (trie_size >= size || trie_size % sizeof *map->units != 0 || trie_size == 0)
        return hone_fail_at(error, HONE_INPUT, file, -1, -1,
                            "precompiled_charsmap: a table of %u bytes: expected a multiple of 4 "
                            "below %zu, the bytes there are",
                            trie_size, size);
    size_t units = trie_size / sizeof *map->units;
    map->count = (units + BLOCK - 1) / BLOCK * BLOCK;
    map->texts_size = size - trie_size;
    map->units = hone_alloc_array(map->count, sizeof *map->units);
    map->texts = hone_strndup(blob + trie_size, map->texts_size);
    if (map->units == NULL || map->texts == NULL)
        return hone_fail_memory(error, "precompiled_charsmap", size);
    memcpy(map->units, blob, trie_size);
    for (size_t i = units; i < map->count; i++)
        map->units[i] = LEAF;
    return check_units(map, file, error);
}

void hone_charsmap_deinit(hone_charsmap *map)
{
    hone_free(map->units);
    hone_free(map->texts);
    *map = (hone_charsmap){0};
}

static hone_charsmap_rule find_rule(const hone_charsmap *map, const char *text, size_t length,
                                    bool longest)
{
    hone_charsmap_rule rule = {0};
    if (map->count == 0)
        return rule;
    size_t place = unit_offset(map->units[0]), found = 0;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        place ^= byte;
        uint32_t unit = map->units[place];
        if ((unit & (LEAF | 0xFF)) != byte)
            break;
        place ^= unit_offset(unit);
        if (has_leaf(unit)) {
            rule.length = i + 1;
            rule.text = map->texts + (map->units[place] & ~LEAF);
            if (!longest || ++found == RULES_LIMIT)
                break;
        }
    }
    if (rule.length > 0)
        rule.text_length = strlen(rule.text);
    return rule;
}

hone_charsmap_rule hone_charsmap_longest(const hone_charsmap *map, const char *text, size_t length)
{
    return find_rule(map, text, length, true);
}

hone_charsmap_rule hone_charsmap_shortest(const hone_charsmap *map, const char *text, size_t length)
{
    return find_rule(map, text, length, false);
}

bool hone_charsmap_begins(const hone_charsmap *map, unsigned char byte)
{
    if (map->count == 0)
        return false;
    uint32_t unit = map->units[unit_offset(map->units[0]) ^ byte];
    return (unit & (LEAF | 0xFF)) == byte;
}

bool hone_charsmap_touches_ascii(const hone_charsmap *map, unsigned char byte)
{
    if (!hone_charsmap_begins(map, byte))
        return false;
    size_t place = unit_offset(map->units[0]) ^ byte;
    uint32_t unit = map->units[place];
    if (has_leaf(unit))
        return true;
    place ^= unit_offset(unit);
    for (uint32_t next = 0; next < 0x80; next++)
        if ((map->units[place ^ next] & (LEAF | 0xFF)) == next)
            return true;
    return false;
}
