/* A piece of work in a process of its own: its memory is its own, and its death is not ours. */
#ifndef HONE_CLI_ISOLATE_H
#define HONE_CLI_ISOLATE_H

#include <hone/status.h>

typedef struct cli_isolation {
    const char *what; /* "training lora" */
    hone_status (*work)(void *argument, hone_error *error);
    void *argument;
    void (*leave)(
        void *context); /* in the child, when the work is done: ends live lines; or NULL */
    void *context;
} cli_isolation;

/* Runs the work in a child and waits for it. The answer is the work's; a child that did not get to
 * give one is HONE_PEER, which names the signal. Signals that ask for the end reach the child, and
 * a child never outlives its parent. Call it with no other thread alive but stop.h's. */
hone_status cli_isolate(const cli_isolation *isolation, hone_error *error);

#endif
