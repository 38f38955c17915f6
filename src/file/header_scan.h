/* A strict scanner for the JSON of a safetensors header. Stricter than a general JSON reader where
 * the format is (integers are unsigned and exact), and frugal: strings are decoded in place, so a
 * header of 100 MB costs 100 MB. */
#ifndef HONE_FILE_HEADER_SCAN_H
#define HONE_FILE_HEADER_SCAN_H

#include "base/failure.h"

#include <stddef.h>
#include <stdint.h>

typedef struct hone_scan {
    char *text; /* overwritten behind the cursor only */
    size_t size, at;
    const char *file; /* named in errors */
    int64_t base;     /* offset of text[0] in the file */
    hone_error *error;
} hone_scan;

/* Offset of the first byte that is not part of valid UTF-8, or length when all is. */
size_t hone_utf8_check(const char *text, size_t length);

/* HONE_INPUT at the cursor: "expected <expected>, found <what is there>". */
hone_status hone_scan_fail(const hone_scan *scan, const char *expected);
/* Skips white space; the next byte, or -1 at the end. */
int hone_scan_next(hone_scan *scan);
/* Skips white space and takes one byte that must be there. */
hone_status hone_scan_take(hone_scan *scan, char byte, const char *expected);
/* After an element: takes ',' (*more = 1) or the closing byte (*more = 0). */
hone_status hone_scan_separator(hone_scan *scan, char closing, int *more);
/* A string, decoded in place and NUL-terminated; one that holds NUL is refused. The text must have
 * passed hone_utf8_check. */
hone_status hone_scan_string(hone_scan *scan, const char *expected, char **out);
/* An integer in 0 .. 2^64-1, written plainly: no sign, fraction, exponent or leading zero. */
hone_status hone_scan_unsigned(hone_scan *scan, const char *expected, uint64_t *out);

#endif
