/* How code inside the library reports and forwards errors. */
#ifndef HONE_BASE_FAILURE_H
#define HONE_BASE_FAILURE_H

#include <stddef.h>

#include <hone/log.h>
#include <hone/status.h>

#if defined(__GNUC__)
#define HONE_PRINTF(format_index, first_argument)                                                  \
    __attribute__((format(printf, format_index, first_argument)))
#else
#define HONE_PRINTF(format_index, first_argument)
#endif

/* Fills *error (if not NULL) and returns status, so that `return hone_fail(...)` reads well. */
hone_status hone_fail(hone_error *error, hone_status status, const char *format, ...)
    HONE_PRINTF(3, 4);
/* The same with a place: line (1-based) and byte offset are -1 where unknown. */
hone_status hone_fail_at(hone_error *error, hone_status status, const char *file, int64_t line,
                         int64_t offset, const char *format, ...) HONE_PRINTF(6, 7);
/* HONE_IO with the meaning of errno appended: "cannot open: No such file or directory". */
hone_status hone_fail_errno(hone_error *error, const char *file, const char *what);
/* HONE_MEMORY: "out of memory (<what>, <size> bytes)". */
hone_status hone_fail_memory(hone_error *error, const char *what, size_t size);
/* Adds to the end of an error's message; lists of mismatches grow this way. */
void hone_error_append(hone_error *error, const char *format, ...) HONE_PRINTF(2, 3);

void hone_log(hone_log_level level, const char *format, ...) HONE_PRINTF(2, 3);

/* Forwards a failure of `expression` to the caller. */
#define HONE_TRY(expression)                                                                       \
    do {                                                                                           \
        hone_status hone_try_status_ = (expression);                                               \
        if (hone_try_status_ != HONE_OK)                                                           \
            return hone_try_status_;                                                               \
    } while (0)

/* Same, for functions that release in reverse order at a label. Needs a local `status`. */
#define HONE_TRY_GOTO(expression, label)                                                           \
    do {                                                                                           \
        status = (expression);                                                                     \
        if (status != HONE_OK)                                                                     \
            goto label;                                                                            \
    } while (0)

#endif
