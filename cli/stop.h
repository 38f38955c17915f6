/* SIGINT, SIGTERM and SIGHUP: the first asks the work at hand to end well, a second ends the
 * program at once. */
#ifndef HONE_CLI_STOP_H
#define HONE_CLI_STOP_H

#include <hone/trainer.h>

void cli_stop_install(void);
/* From here on the work looks at cli_stop_signal, or a trainer is told; before and after (NULL and
 * false) a signal ends the program at once. */
void cli_stop_watch(bool watched, hone_trainer *trainer);
/* The signal that asked for the end, or 0. */
int cli_stop_signal(void);

#endif
