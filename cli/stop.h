/* SIGINT, SIGTERM and SIGHUP: the first asks the work at hand to end well, a second ends the
 * program at once. */
#ifndef HONE_CLI_STOP_H
#define HONE_CLI_STOP_H

#include <hone/trainer.h>
#include <stdbool.h>
#include <sys/types.h>

void cli_stop_install(void);
/* From here on the work looks at cli_stop_signal, or a trainer is told; before and after (NULL and
 * false) a signal ends the program at once. */
void cli_stop_watch(bool watched, hone_trainer *trainer);
/* The signal that asked for the end, or 0. */
int cli_stop_signal(void);

/* Around a fork: ends the thread that waits for signals, which are kept until it is there again. */
void cli_stop_pause(void);
/* Starts the thread again, in the parent and in the child. */
void cli_stop_resume(bool in_child);
/* The process, a child, that is told of signals too; 0: none any more. */
void cli_stop_forward(pid_t child);

#endif
