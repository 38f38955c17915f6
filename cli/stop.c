/* Signals: see stop.h. */
#include "stop.h"

#include <signal.h>
#include <stddef.h>
#include <unistd.h>

static volatile sig_atomic_t stop_signal;
static volatile sig_atomic_t is_watched;
static hone_trainer *volatile told;

static void on_signal(int number)
{
    if (stop_signal != 0 || !is_watched)
        _exit(128 + number);
    stop_signal = number;
    if (told != NULL)
        hone_trainer_stop(told);
}

void cli_stop_install(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, before;
        /* nohup and background jobs of a shell ignore signals on purpose. */
        if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(numbers[i], &action, NULL);
    }
}

void cli_stop_watch(bool watched, hone_trainer *trainer)
{
    told = trainer;
    is_watched = watched;
}

int cli_stop_signal(void)
{
    return stop_signal;
}
