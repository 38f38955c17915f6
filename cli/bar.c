/* Bars: see bar.h. */
#include "bar.h"

#include "print.h"

#include <unistd.h>

enum { WIDTH = 24, PAUSE = 30 }; /* PAUSE: seconds between plain lines */

static double seconds_between(struct timespec from, struct timespec to)
{
    return (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec);
}

void cli_bar_begin(cli_bar *bar, const char *unit)
{
    *bar = (cli_bar){.unit = unit, .terminal = isatty(STDERR_FILENO)};
    clock_gettime(CLOCK_MONOTONIC, &bar->begin);
    bar->told = bar->begin;
}

static void format_rate(const cli_bar *bar, int64_t done, int64_t total, struct timespec now,
                        char *text, size_t size)
{
    double seconds = seconds_between(bar->begin, now);
    double rate = seconds > 0 ? (double)done / seconds : 0;
    char left[32] = "";
    text[0] = '\0';
    if (done == 0 || rate <= 0)
        return;
    cli_format_duration((double)(total - done) / rate, left);
    snprintf(text, size, "  %.3g/s  %s left", rate, left);
}

void cli_bar_show(cli_bar *bar, int64_t done, int64_t total)
{
    struct timespec now;
    char rate[96], line[192], filled[WIDTH + 1];
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (done >= total) {
        cli_bar_end(bar);
        return;
    }
    if (seconds_between(bar->told, now) < (bar->terminal ? 0.1 : PAUSE))
        return;
    bar->told = now;
    format_rate(bar, done, total, now, rate, sizeof rate);
    if (!bar->terminal) {
        fprintf(stderr, "%lld of %lld %s%s\n", (long long)done, (long long)total, bar->unit, rate);
        return;
    }
    for (int i = 0; i < WIDTH; i++)
        filled[i] = (double)i < (double)done / (double)total * WIDTH ? '#' : '.';
    filled[WIDTH] = '\0';
    snprintf(line, sizeof line, "[%s] %lld of %lld %s%s", filled, (long long)done, (long long)total,
             bar->unit, rate);
    cli_live_line(line);
    bar->shown = true;
}

void cli_bar_end(cli_bar *bar)
{
    if (bar->shown)
        cli_live_clear();
    bar->shown = false;
}
