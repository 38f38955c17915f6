/* Signals: see stop.h. A thread waits for them, and every other thread keeps them blocked: the
 * kernels of oneDNN use the stack pointer as a common register, so a handler that ran on a
 * computing thread would write its frame over their data. */
#include "stop.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

static atomic_int stop_signal;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool is_watched;    /* under lock, as is: */
static hone_trainer *told; /* NULL, or to be stopped */
static sigset_t waited;

static void *wait_for_signals(void *argument)
{
    (void)argument;
    for (;;) {
        int number;
        if (sigwait(&waited, &number) != 0)
            continue;
        pthread_mutex_lock(&lock);
        if (!is_watched || atomic_load(&stop_signal) != 0)
            _exit(128 + number);
        atomic_store(&stop_signal, number);
        if (told != NULL)
            hone_trainer_stop(told);
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

void cli_stop_install(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    sigemptyset(&waited);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct sigaction before;
        /* nohup and background jobs of a shell ignore signals on purpose. */
        if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaddset(&waited, numbers[i]);
    }
    pthread_t thread;
    sigset_t unblocked;
    pthread_sigmask(SIG_BLOCK, &waited, &unblocked);
    /* Without the thread signals do what they do by default: end the program. */
    if (pthread_create(&thread, NULL, wait_for_signals, NULL) == 0)
        pthread_detach(thread);
    else
        pthread_sigmask(SIG_SETMASK, &unblocked, NULL);
}

void cli_stop_watch(bool watched, hone_trainer *trainer)
{
    pthread_mutex_lock(&lock);
    told = trainer;
    is_watched = watched;
    pthread_mutex_unlock(&lock);
}

int cli_stop_signal(void)
{
    return atomic_load(&stop_signal);
}
