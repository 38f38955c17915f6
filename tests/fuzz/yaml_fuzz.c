/* Any bytes: parsing ends with a document that reads back from its own dump, or with an error. */
#include "base/yaml.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void require_same(const hone_yaml *a, const hone_yaml *b)
{
    require(a->count == b->count);
    for (size_t i = 0; i < a->count; i++) {
        require(a->entries[i].kind == b->entries[i].kind);
        require(a->entries[i].count == b->entries[i].count);
        require(strcmp(a->entries[i].key, b->entries[i].key) == 0);
        for (size_t n = 0; n < a->entries[i].count; n++)
            require(strcmp(a->entries[i].items[n].text, b->entries[i].items[n].text) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hone_yaml document, again;
    hone_error error = {0};
    if (hone_yaml_parse((const char *)data, size, "fuzz", &document, &error) != HONE_OK) {
        require(error.message[0] != '\0');
        return 0;
    }
    /* What was written plain may need quotes: settings decide that, not the dump. */
    for (size_t i = 0; i < document.count; i++)
        for (size_t n = 0; n < document.entries[i].count; n++)
            document.entries[i].items[n].plain = false;
    char *text;
    size_t length;
    require(hone_yaml_dump(&document, &text, &length, &error) == HONE_OK);
    require(hone_yaml_parse(text, length, "dump", &again, &error) == HONE_OK);
    require_same(&document, &again);
    hone_free(text);
    hone_yaml_deinit(&again);
    hone_yaml_deinit(&document);
    return 0;
}
