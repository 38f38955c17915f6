/* Any bytes as a safetensors file. Input that starts like JSON is a header up to its last '}', and
 * a payload: the length before it is made right, or mutation would hardly get past it. */
#include "source_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || (data[0] != '{' && data[0] != ' ')) {
        check_source("fuzz.safetensors", data, size, 0);
        return 0;
    }
    size_t header = size;
    while (header > 0 && data[header - 1] != '}')
        header--;
    uint8_t *file = malloc(size + 8);
    require(file != NULL);
    for (int i = 0; i < 8; i++)
        file[i] = (uint8_t)(header >> 8 * i);
    memcpy(file + 8, data, size);
    check_source("fuzz.safetensors", file, size + 8, 0);
    free(file);
    return 0;
}
