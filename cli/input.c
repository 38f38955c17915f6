/* Standard input to its end: see input.h. */
#include "input.h"

#include "print.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define STEP ((size_t)1 << 20)

hone_status cli_pages_grow(cli_pages *pages, size_t size, hone_error *error)
{
    if (size <= pages->size)
        return HONE_OK;
    size_t rounded = size > SIZE_MAX - STEP ? 0 : (size + STEP - 1) / STEP * STEP;
    void *block = MAP_FAILED;
    if (rounded > 0 && pages->block == NULL)
        block = mmap(NULL, rounded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    else if (rounded > 0)
        block = mremap(pages->block, pages->size, rounded, MREMAP_MAYMOVE);
    if (block == MAP_FAILED)
        return cli_fail(error, HONE_MEMORY, "out of memory (%zu bytes of input)", size);
    *pages = (cli_pages){block, rounded};
    return HONE_OK;
}

void cli_pages_free(cli_pages *pages)
{
    if (pages->block != NULL)
        munmap(pages->block, pages->size);
    *pages = (cli_pages){0};
}

hone_status cli_read_stdin(cli_pages *pages, size_t *length, hone_error *error)
{
    *length = 0;
    for (;;) {
        if (*length == pages->size) {
            hone_status status =
                cli_pages_grow(pages, pages->size < STEP ? STEP : 2 * pages->size, error);
            if (status != HONE_OK)
                return status;
        }
        ssize_t got = read(STDIN_FILENO, (char *)pages->block + *length, pages->size - *length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return cli_fail(error, HONE_IO, "cannot read standard input: %s", strerror(errno));
        if (got == 0)
            return HONE_OK;
        *length += (size_t)got;
    }
}
