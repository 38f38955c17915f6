/* Any bytes: parsing ends with a value that dumps to the same text twice, or with an error. */
#include "base/json.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hone_json *value, *again;
    hone_error error;
    if (hone_json_parse((const char *)data, size, "fuzz", 1, &value, &error) != HONE_OK)
        return error.message[0] != '\0' ? 0 : (abort(), 0);
    hone_json_format format = {0, false, 17};
    char *text = hone_json_dump(value, format);
    if (text == NULL || hone_json_parse(text, strlen(text), "dump", 1, &again, &error) != HONE_OK)
        abort();
    char *text_again = hone_json_dump(again, format);
    if (text_again == NULL || strcmp(text, text_again) != 0)
        abort();
    hone_free(text_again);
    hone_free(text);
    hone_json_free(again);
    hone_json_free(value);
    return 0;
}
