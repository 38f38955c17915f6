/* Lines of a plain or zstd-compressed file, one after the other, in bounded memory: the line at
 * hand (at most HONE_LINE_LIMIT) and, compressed, a window of at most 128 MiB. */
#ifndef HONE_DATA_LINE_READER_H
#define HONE_DATA_LINE_READER_H

#include "base/failure.h"

#include <stdbool.h>

#define HONE_LINE_LIMIT ((size_t)16 << 20) /* bytes */

typedef struct hone_line_reader hone_line_reader;

typedef struct hone_line {
    const char *text; /* borrowed until the next call; NULL after the last line */
    size_t length;    /* without the line's end (\n or \r\n), .. */
    size_t ending;    /* .. whose bytes follow in text: 0 to 2 */
    int64_t number;   /* 1-based */
    bool too_long;    /* text is its first HONE_LINE_LIMIT bytes, the rest is passed over */
} hone_line;

/* zstd files may hold several frames and skippable ones. HONE_INPUT with the byte offset for what
 * is damaged, cut short, or needs a larger window or a dictionary. */
hone_status hone_line_reader_open(const char *path, bool zstd, hone_line_reader **out,
                                  hone_error *error);
void hone_line_reader_close(hone_line_reader *reader); /* takes NULL */
/* A byte order mark at the start of the file is left out. */
hone_status hone_line_reader_next(hone_line_reader *reader, hone_line *line, hone_error *error);
/* Whether there are only spaces and tabs in it. */
bool hone_line_is_blank(const hone_line *line);

#endif
