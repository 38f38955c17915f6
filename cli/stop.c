/* Signals: see stop.h. A thread waits for them, and every other thread keeps them blocked: the
 * kernels of oneDNN use the stack pointer as a common register, so a handler that ran on a
 * computing thread would write its frame over their data.
 *
 * A terminal sends a signal to the parent and to the child that works for it, a script often to
 * the parent alone. So the parent always forwards, with the number of times that it was asked; the
 * child takes that number as it is and counts only what came from elsewhere: being told the same
 * by both is being told once. */
#include "stop.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

static atomic_int stop_signal;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool is_watched;    /* under lock, as are: */
static hone_trainer *told; /* NULL, or to be stopped */
static pid_t forwarded;    /* 0, or a child that is told too */
static bool is_paused, is_child;
static int own_count;              /* signals that came from elsewhere than the parent */
static sigset_t waited, unblocked; /* waited: the thread's own signal too */
static pthread_t thread;
static bool has_thread;

/* Sent to the thread alone, when it is to end. */
static int own_signal(void)
{
    return SIGRTMIN;
}

static void forward(int number, int times)
{
    if (forwarded > 0)
        sigqueue(forwarded, number, (union sigval){.sival_int = times});
}

static void take(const siginfo_t *signal)
{
    int number = signal->si_signo;
    bool from_parent = is_child && signal->si_code == SI_QUEUE && signal->si_pid == getppid();
    int times = from_parent ? signal->si_value.sival_int : ++own_count;
    if (!is_watched || times > 1) {
        forward(number, 2);
        _exit(128 + number);
    }
    if (atomic_load(&stop_signal) != 0)
        return;
    atomic_store(&stop_signal, number);
    forward(number, 1);
    if (told != NULL)
        hone_trainer_stop(told);
}

static void *wait_for_signals(void *argument)
{
    (void)argument;
    for (bool ended = false; !ended;) {
        siginfo_t signal;
        if (sigwaitinfo(&waited, &signal) < 0)
            continue;
        pthread_mutex_lock(&lock);
        if (signal.si_signo == own_signal())
            ended = is_paused;
        else
            take(&signal);
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
    sigaddset(&waited, own_signal());
    pthread_sigmask(SIG_BLOCK, &waited, &unblocked);
    cli_stop_resume(false);
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

void cli_stop_pause(void)
{
    if (!has_thread)
        return;
    pthread_mutex_lock(&lock);
    is_paused = true;
    pthread_mutex_unlock(&lock);
    pthread_kill(thread, own_signal());
    pthread_join(thread, NULL);
    has_thread = false;
}

void cli_stop_resume(bool in_child)
{
    is_child = is_child || in_child;
    forwarded = in_child ? 0 : forwarded;
    is_paused = false;
    /* Without the thread signals do what they do by default: end the program. */
    has_thread = pthread_create(&thread, NULL, wait_for_signals, NULL) == 0;
    if (!has_thread)
        pthread_sigmask(SIG_SETMASK, &unblocked, NULL);
}

void cli_stop_forward(pid_t child)
{
    pthread_mutex_lock(&lock);
    forwarded = child;
    pthread_mutex_unlock(&lock);
}
