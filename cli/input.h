/* Whole inputs of unknown length, in pages of their own. */
#ifndef HONE_CLI_INPUT_H
#define HONE_CLI_INPUT_H

#include <hone/status.h>
#include <stddef.h>

typedef struct cli_pages {
    void *block; /* NULL when empty */
    size_t size;
} cli_pages;

/* Makes the block at least `size` bytes, keeping what it holds; HONE_MEMORY. */
hone_status cli_pages_grow(cli_pages *pages, size_t size, hone_error *error);
void cli_pages_free(cli_pages *pages);
/* All of standard input. */
hone_status cli_read_stdin(cli_pages *pages, size_t *length, hone_error *error);

#endif
