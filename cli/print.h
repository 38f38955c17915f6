/* What the commands print: JSON on stdout, remarks and errors on stderr. */
#ifndef HONE_CLI_PRINT_H
#define HONE_CLI_PRINT_H

#include <hone/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* A quoted JSON string; bytes that are not UTF-8 become U+FFFD. */
void cli_json_string(FILE *out, const char *text, size_t length);
/* A JSON number with that many significant digits, or null when it is not finite. */
void cli_json_real(FILE *out, double value, int digits);
void cli_json_ids(FILE *out, const int32_t *ids, size_t count);
/* Ids in decimal with a separator between them. */
void cli_print_ids(FILE *out, const int32_t *ids, size_t count, char separator);

#if defined(__GNUC__)
#define CLI_PRINTF(format_index, first_argument)                                                   \
    __attribute__((format(printf, format_index, first_argument)))
#else
#define CLI_PRINTF(format_index, first_argument)
#endif

/* Fills *error and returns status. */
hone_status cli_fail(hone_error *error, hone_status status, const char *format, ...)
    CLI_PRINTF(3, 4);

/* "hone NAME: file:line: message" on stderr, without control characters. */
void cli_print_error(const char *command, const hone_error *error);
/* Sends the library's remarks to stderr. */
void cli_print_remarks(void);
/* "1.5 GiB" */
void cli_format_bytes(double bytes, char buffer[32]);
/* "1:02:03" or "2:03" */
void cli_format_duration(double seconds, char buffer[32]);
/* Draws a line over the last one of a terminal's stderr, cut where it would wrap. */
void cli_live_line(char *line);
void cli_live_clear(void);
/* HONE_IO when what was printed on stdout did not all get out. */
hone_status cli_finish_output(hone_error *error);

#endif
