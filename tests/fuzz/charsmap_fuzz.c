/* A character map is hostile: whatever its units say, and whatever text it is asked for, no byte
 * outside of it is read. The first byte of the input says how much of the rest is map; what is left
 * is the text. */
#include "text/charsmap.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(hone_charsmap_rule rule, size_t left)
{
    if (rule.length > left || (rule.length > 0 && strlen(rule.text) != rule.text_length))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hone_charsmap map;
    if (size == 0)
        return 0;
    size_t blob = (size - 1) * data[0] / 255;
    const char *text = (const char *)data + 1;
    if (hone_charsmap_init(&map, text, blob, "map", NULL) == HONE_OK) {
        for (size_t at = 0; at < size - 1; at++) {
            check(hone_charsmap_longest(&map, text + at, size - 1 - at), size - 1 - at);
            check(hone_charsmap_shortest(&map, text + at, size - 1 - at), size - 1 - at);
        }
        for (unsigned byte = 0; byte < 256; byte++)
            if (hone_charsmap_touches_ascii(&map, (unsigned char)byte) &&
                !hone_charsmap_begins(&map, (unsigned char)byte))
                abort();
    }
    hone_charsmap_deinit(&map);
    return 0;
}
