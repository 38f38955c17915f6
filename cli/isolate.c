/* Isolation: see isolate.h. What the work answers comes back through a pipe, as the one struct that
 * an error is; a pipe that ends before it says that the child did not live to answer. */
#include "isolate.h"

#include "print.h"
#include "stop.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct answer {
    hone_status status;
    hone_error error;
} answer;

/* ---- the child ---------------------------------------------------------------------------- */

static void send_answer(int descriptor, const answer *given)
{
    const char *bytes = (const char *)given;
    for (size_t at = 0; at < sizeof *given;) {
        ssize_t count = write(descriptor, bytes + at, sizeof *given - at);
        if (count < 0 && errno != EINTR)
            return;
        at += count > 0 ? (size_t)count : 0;
    }
}

/* Leaves without what exit would do a second time: the parent does it. */
static _Noreturn void work_in_child(const cli_isolation *isolation, pid_t parent, int descriptor)
{
    answer given;
    /* The parent may have been killed before this line. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    cli_stop_resume(true);
    memset(&given, 0, sizeof given); /* no byte of the padding is unset in the pipe */
    given.error.line = given.error.offset = -1;
    given.status = isolation->work(isolation->argument, &given.error);
    if (isolation->leave != NULL)
        isolation->leave(isolation->context);
    fflush(NULL);
    send_answer(descriptor, &given);
    _exit(0);
}

/* ---- the parent --------------------------------------------------------------------------- */

static bool take_answer(int descriptor, answer *given)
{
    char *bytes = (char *)given;
    size_t at = 0;
    while (at < sizeof *given) {
        ssize_t count = read(descriptor, bytes + at, sizeof *given - at);
        if (count == 0 || (count < 0 && errno != EINTR))
            break;
        at += count > 0 ? (size_t)count : 0;
    }
    return at == sizeof *given;
}

/* How the child ended, as waitpid tells it. Signals are not forwarded to what has been waited for:
 * its number may be another's by then. */
static int wait_for(pid_t child)
{
    int ended = 0;
    siginfo_t facts;
    while (waitid(P_PID, (id_t)child, &facts, WEXITED | WNOWAIT) < 0 && errno == EINTR)
        continue;
    cli_stop_forward(0);
    while (waitpid(child, &ended, 0) < 0 && errno == EINTR)
        continue;
    return ended;
}

static hone_status explain(const cli_isolation *isolation, int ended, hone_error *error)
{
    if (cli_stop_signal() != 0)
        return cli_fail(error, HONE_STOPPED, "stopped on request while %s", isolation->what);
    if (!WIFSIGNALED(ended))
        return cli_fail(error, HONE_PEER, "%s: its process ended with code %d before it was done",
                        isolation->what, WIFEXITED(ended) ? WEXITSTATUS(ended) : -1);
    int number = WTERMSIG(ended);
    return cli_fail(error, HONE_PEER,
                    "%s: its process was ended by signal %d (%s)%s; the same command goes on from "
                    "what is there",
                    isolation->what, number, strsignal(number),
                    number == SIGKILL
                        ? ", as the system does when memory runs out (hone plan tells "
                          "what a run needs)"
                        : "");
}

static hone_status cannot_start(const cli_isolation *isolation, hone_error *error)
{
    return cli_fail(error, errno == ENOMEM ? HONE_MEMORY : HONE_IO,
                    "%s: cannot start a process for it: %s", isolation->what, strerror(errno));
}

hone_status cli_isolate(const cli_isolation *isolation, hone_error *error)
{
    int ends[2];
    if (pipe(ends) != 0)
        return cannot_start(isolation, error);
    pid_t parent = getpid();
    fflush(NULL); /* what is buffered would be printed by both */
    cli_stop_pause();
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        work_in_child(isolation, parent, ends[1]);
    }
    close(ends[1]);
    if (child > 0)
        cli_stop_forward(child);
    int failure = errno;
    cli_stop_resume(false);
    answer given;
    hone_status status;
    if (child < 0) {
        errno = failure;
        status = cannot_start(isolation, error);
    } else {
        bool answered = take_answer(ends[0], &given);
        int ended = wait_for(child);
        status = answered ? given.status : explain(isolation, ended, error);
        if (answered && error != NULL && status != HONE_OK)
            *error = given.error;
    }
    close(ends[0]);
    return status;
}
