/* One pool of threads for the whole process. Work is handed out in tasks, first come first served,
 * so that a core taken by another program slows its own task only. A waiting thread spins for a few
 * microseconds and then sleeps. Inside tasks hone_parallel_run runs inline. */
#ifndef HONE_BASE_PARALLEL_H
#define HONE_BASE_PARALLEL_H

#include <stdint.h>

/* One task. `thread` is in [0, hone_parallel_threads()): an index for per-thread scratch. */
typedef void (*hone_task_fn)(void *context, int64_t task, int thread);

/* Sets the number of threads; 0: one for each core this process may run on. Not while tasks run.
 * When threads cannot be started fewer are used. */
void hone_parallel_set_threads(int count);
int hone_parallel_threads(void);
/* Runs fn for task 0 .. tasks-1 and returns when all are done. What a task writes must not depend
 * on which thread runs it. */
void hone_parallel_run(int64_t tasks, hone_task_fn fn, void *context);
/* Ends the threads; they start again when needed. */
void hone_parallel_stop(void);

#endif
