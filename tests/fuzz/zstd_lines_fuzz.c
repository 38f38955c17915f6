/* A compressed (first byte odd) or plain file to lines, through a file in memory. */
#include "data/line_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ENOUGH ((size_t)64 << 20) /* bytes of lines: some frames would go on for minutes */

static void require(bool condition)
{
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    hone_line_reader *reader;
    hone_error error = {0};
    if (size == 0)
        return 0;
    int file = memfd_create("lines", 0);
    require(file >= 0 && write(file, data + 1, size - 1) == (ssize_t)(size - 1));
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    require(hone_line_reader_open(path, data[0] & 1, &reader, &error) == HONE_OK);
    size_t total = 0;
    for (int64_t number = 1; total < ENOUGH; number++) {
        hone_line line;
        hone_status status = hone_line_reader_next(reader, &line, &error);
        require(status == HONE_OK || (status == HONE_INPUT && error.message[0] != '\0'));
        if (status != HONE_OK || line.text == NULL)
            break;
        require(line.number == number && line.length <= HONE_LINE_LIMIT);
        require(line.length == 0 || memchr(line.text, '\n', line.length) == NULL);
        total += line.length + 1;
    }
    hone_line_reader_close(reader);
    close(file);
    return 0;
}
