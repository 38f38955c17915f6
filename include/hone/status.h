/* What a call can answer: one list of statuses, their names and the exit codes that the
 * command line gives for them, and the error that every fallible call fills.
 *
 * The library never prints, exits or aborts. A function that can fail for reasons outside the
 * program returns a hone_status and fills the hone_error it was handed (NULL is allowed). */
#ifndef HONE_STATUS_H
#define HONE_STATUS_H

#include <stdint.h>

/* X(name, exit code, what it means) */
#define HONE_STATUS_LIST(X)                                                                        \
    X(OK, 0, "ok")                                                                                 \
    X(USAGE, 2, "wrong use")                                                                       \
    X(INPUT, 3, "bad input")                                                                       \
    X(IO, 4, "input/output error")                                                                 \
    X(MEMORY, 5, "out of memory")                                                                  \
    X(NUMERIC, 6, "not a finite number")                                                           \
    X(PEER, 7, "another process failed")                                                           \
    X(MISMATCH, 8, "parts do not match")                                                           \
    X(STOPPED, 130, "stopped on request")

typedef enum hone_status {
#define HONE_STATUS_ENUM(name, code, text) HONE_##name,
    HONE_STATUS_LIST(HONE_STATUS_ENUM)
#undef HONE_STATUS_ENUM
        HONE_STATUS_COUNT
} hone_status;

/* One error: what happened and where. `line` and `offset` are -1 where they mean nothing.
 * `message` says expected, found and what to do, and ends without a full stop or newline.
 * All storage is inside, so an error can be reported when memory has run out. */
typedef struct hone_error {
    hone_status status;
    int64_t line;   /* 1-based line of `file`, or -1 */
    int64_t offset; /* byte offset in `file`, or -1 */
    char file[512]; /* empty where no file is concerned */
    char message[3072];
} hone_error;

/* Name of a status ("INPUT"), for logs. */
const char *hone_status_name(hone_status status);
/* Exit code of the command line for a status. */
int hone_status_exit_code(hone_status status);
/* Writes "file:line: message" (or "file: message (byte N)") to buffer, always terminated. Control
 * bytes and what is no UTF-8, which names taken from files can hold, are spelt out (\x1b); only the
 * line breaks of a list, followed by two spaces, stay. */
void hone_error_format(const hone_error *error, char *buffer, uint64_t size);

#endif
