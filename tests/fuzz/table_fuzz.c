/* Any bytes: a table of runs is read, its rows as wide as its heading, or refused with a message.
 */
#include "report/run_table.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hone_table table;
    hone_error error = {0};
    double sum = 0.0;
    if (hone_table_parse((const char *)data, size, "fuzz", &table, &error) != HONE_OK) {
        if (error.message[0] == '\0')
            abort();
        return 0;
    }
    for (size_t c = 0; c < table.columns; c++)
        if (hone_table_find(&table, table.names[c]) > (int)c)
            abort();
    for (size_t r = 0; r < table.rows; r++)
        for (size_t c = 0; c < table.columns; c++)
            sum += hone_table_at(&table, r, (int)c);
    hone_table_deinit(&table);
    return sum == 0.125 ? 1 : 0; /* so that the values are looked at */
}
