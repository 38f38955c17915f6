/* How far a count has got, on stderr: a bar on a terminal; elsewhere a plain line now and then, so
 * that a log of long work shows that it goes on. */
#ifndef HONE_CLI_BAR_H
#define HONE_CLI_BAR_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

typedef struct cli_bar {
    const char *unit; /* "documents" */
    bool terminal, shown;
    struct timespec begin, told; /* told: the last time that something was shown */
} cli_bar;

void cli_bar_begin(cli_bar *bar, const char *unit);
/* Call it as often as you like. At the end, done == total, the bar goes away. */
void cli_bar_show(cli_bar *bar, int64_t done, int64_t total);
/* Takes the bar away, before something else is printed. */
void cli_bar_end(cli_bar *bar);

#endif
