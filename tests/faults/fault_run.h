/* Running hone with faults: places to run it in, the run itself, many cases on all processors. */
#ifndef HONE_TESTS_FAULT_RUN_H
#define HONE_TESTS_FAULT_RUN_H

#include "../support/io_faults.h"
#include "fault_tree.h"

enum { WHY = 8192 }; /* room for what is wrong */

/* A folder to run in: the inputs, and `out`, below which calls are counted. */
typedef struct place {
    char folder[256], out[300], state[300], journal[300];
    int number;
} place;

typedef struct program_run {
    int code; /* exit code, or 128 and the signal */
    uint64_t calls, faults;
    io_kind kind; /* and path, of the first fault */
    char path[IO_PATH];
    char *said; /* on standard error */
} program_run;

/* Given on the command line: test HONE io_faults.so quick|all. */
typedef struct fault_options {
    const char *hone, *shim;
    bool all;
} fault_options;

extern fault_options options;

/* Makes one of the places in the scratch folder. */
void place_open(place *where, int number, const tree *inputs);

/* Runs hone with the arguments (up to NULL) in a place. plan and journal may be NULL. Free the run.
 */
void program_start(const place *where, char *const *arguments, const char *plan, bool recorded,
                   program_run *run);
void program_free(program_run *run);

/* One case: false, and why, when it is not as it should be. */
typedef bool (*case_fn)(const void *context, const place *where, size_t index, char *why,
                        size_t size);
/* All of them, on all processors; each process of cases has a place. The first that fail are told;
 * returns how many did. */
size_t cases_run(const char *what, size_t count, const tree *inputs, case_fn check,
                 const void *context);

/* A set of hashes that all processes of cases share. True: it was not there before. */
bool seen_first(uint64_t hash);
void seen_clear(void);
size_t seen_count(void);

/* Reads the options, then runs the tests in a scratch folder. */
int fault_main(int argc, char **argv, int (*run_all)(void));

#endif
