/* Where the library's remarks go. The library never prints: a host that wants remarks (a weight
 * that was ignored, a device that fell back) installs a callback. */
#ifndef HONE_LOG_H
#define HONE_LOG_H

typedef enum hone_log_level { HONE_LOG_INFO, HONE_LOG_WARNING } hone_log_level;

typedef void (*hone_log_fn)(void *context, hone_log_level level, const char *message);

/* Installs the callback for the whole process; NULL silences. `message` is borrowed for the call;
 * it is spelt as hone_error_format spells. */
void hone_log_set(hone_log_fn fn, void *context);

#endif
