/* See fault_run.h. */
#include "fault_run.h"

#include "base/files.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* SEEN: a power of two, several times what is put in. SECONDS: of a processor, for one run of hone.
 */
enum { SEEN = 1 << 18, TOLD = 5, SECONDS = 60, JOBS = 4 };

fault_options options;
static char scratch[64];
static _Atomic uint64_t *seen;

static void *shared_memory(size_t size)
{
    void *made = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (made == MAP_FAILED)
        abort();
    return made;
}

static void scratch_make(void)
{
    bool memory = access("/dev/shm", W_OK) == 0;
    snprintf(scratch, sizeof scratch, "%s/hone-faults-XXXXXX", memory ? "/dev/shm" : "/tmp");
    if (mkdtemp(scratch) == NULL)
        abort();
    seen = shared_memory(SEEN * sizeof *seen);
}

static void scratch_remove(void)
{
    hone_folder_remove(scratch, NULL);
}

static void make_file(const char *path, size_t size)
{
    int descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (descriptor < 0 || ftruncate(descriptor, (off_t)size) != 0)
        abort();
    close(descriptor);
}

void place_open(place *where, int number, const tree *inputs)
{
    *where = (place){.number = number};
    snprintf(where->folder, sizeof where->folder, "%s/%d", scratch, number);
    snprintf(where->out, sizeof where->out, "%s/out", where->folder);
    snprintf(where->state, sizeof where->state, "%s.state", where->folder);
    snprintf(where->journal, sizeof where->journal, "%s.journal", where->folder);
    tree_store(inputs, where->folder);
    if (!hone_folder_exists(where->out) && hone_folder_make(where->out, NULL) != HONE_OK)
        abort();
}

/* ---- one run ------------------------------------------------------------------------------ */

static void point_to(int descriptor, const char *path)
{
    int opened = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (opened < 0 || dup2(opened, descriptor) < 0)
        _exit(125);
}

/* In the child. Its group is its own, since a kill is for all of it; a run that never ends does so
 * by SIGXCPU. */
static _Noreturn void become(const place *where, char *const *arguments, const char *plan,
                             bool recorded)
{
    char said[320], told[320];
    char *words[64] = {strdup(options.hone)};
    snprintf(said, sizeof said, "%s.said", where->folder);
    snprintf(told, sizeof told, "%s.told", where->folder);
    for (size_t i = 0; arguments[i] != NULL && i + 2 < sizeof words / sizeof *words; i++)
        words[i + 1] = arguments[i];
    setpgid(0, 0);
    setrlimit(RLIMIT_CPU, &(struct rlimit){SECONDS, SECONDS});
    if (chdir(where->folder) != 0)
        _exit(125);
    point_to(STDERR_FILENO, said);
    point_to(STDOUT_FILENO, told);
    setenv("IO_FAULTS_ROOT", where->out, 1);
    setenv("IO_FAULTS_STATE", where->state, 1);
    if (plan != NULL)
        setenv("IO_FAULTS_PLAN", plan, 1);
    if (recorded)
        setenv("IO_FAULTS_JOURNAL", where->journal, 1);
    setenv("LD_PRELOAD", options.shim, 1);
    execv(options.hone, words);
    _exit(125);
}

void program_start(const place *where, char *const *arguments, const char *plan, bool recorded,
                   program_run *run)
{
    int ended = 0;
    char said[320];
    size_t size;
    *run = (program_run){0};
    make_file(where->state, sizeof(io_state));
    if (recorded)
        make_file(where->journal, 0);
    pid_t child = fork();
    if (child < 0)
        abort();
    if (child == 0)
        become(where, arguments, plan, recorded);
    while (waitpid(child, &ended, 0) < 0 && errno == EINTR)
        continue;
    run->code = WIFSIGNALED(ended) ? 128 + WTERMSIG(ended) : WEXITSTATUS(ended);
    snprintf(said, sizeof said, "%s.said", where->folder);
    char *text;
    if (hone_file_load(said, (size_t)1 << 24, &text, &size, NULL) != HONE_OK)
        abort();
    run->said = strdup(text);
    hone_free(text);
    if (hone_file_load(where->state, sizeof(io_state), &text, &size, NULL) != HONE_OK)
        abort();
    io_state state;
    memcpy(&state, text, sizeof state);
    hone_free(text);
    run->calls = state.calls;
    run->faults = state.faults;
    run->kind = (io_kind)state.kind;
    snprintf(run->path, sizeof run->path, "%s", state.path);
}

void program_free(program_run *run)
{
    free(run->said);
    *run = (program_run){0};
}

/* ---- many cases --------------------------------------------------------------------------- */

typedef struct shared_count {
    _Atomic size_t next, failed, done;
} shared_count;

static void work(const char *what, size_t count, const place *where, case_fn check,
                 const void *context, shared_count *shared)
{
    char why[WHY];
    for (size_t i; (i = shared->next++) < count; shared->done++) {
        why[0] = '\0';
        if (check(context, where, i, why, sizeof why))
            continue;
        if (shared->failed++ < TOLD)
            fprintf(stderr, "%s, case %zu: %s\n", what, i, why);
    }
}

size_t cases_run(const char *what, size_t count, const tree *inputs, case_fn check,
                 const void *context)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    int jobs = processors < 1 ? 1 : processors < JOBS ? (int)processors : JOBS;
    shared_count *shared = shared_memory(sizeof *shared);
    pid_t children[JOBS];
    fflush(NULL);
    for (int job = 0; job < jobs; job++) {
        children[job] = fork();
        if (children[job] < 0)
            abort();
        if (children[job] == 0) {
            place where;
            place_open(&where, job + 1, inputs);
            work(what, count, &where, check, context, shared);
            fflush(NULL);
            _exit(0);
        }
    }
    for (int job = 0; job < jobs; job++)
        while (waitpid(children[job], NULL, 0) < 0 && errno == EINTR)
            continue;
    /* A case that ended its process has failed too. */
    size_t failed = shared->failed + (count - shared->done);
    if (failed > 0)
        fprintf(stderr, "%s: %zu of %zu cases failed\n", what, failed, count);
    munmap(shared, sizeof *shared);
    return failed;
}

bool seen_first(uint64_t hash)
{
    hash = hash != 0 ? hash : 1;
    for (size_t at = hash % SEEN;; at = (at + 1) % SEEN) {
        uint64_t there = 0;
        if (atomic_compare_exchange_strong(&seen[at], &there, hash))
            return true;
        if (there == hash)
            return false;
    }
}

void seen_clear(void)
{
    for (size_t i = 0; i < SEEN; i++)
        seen[i] = 0;
}

size_t seen_count(void)
{
    size_t count = 0;
    for (size_t i = 0; i < SEEN; i++)
        count += seen[i] != 0;
    return count;
}

int fault_main(int argc, char **argv, int (*run_all)(void))
{
    if (argc != 4) {
        fprintf(stderr, "usage: %s HONE io_faults.so quick|all\n", argv[0]);
        return 2;
    }
    /* hone is started in other folders. */
    options = (fault_options){realpath(argv[1], NULL), realpath(argv[2], NULL),
                              strcmp(argv[3], "all") == 0};
    if (options.hone == NULL || options.shim == NULL) {
        perror(argv[0]);
        return 2;
    }
    scratch_make();
    int failed = run_all();
    scratch_remove();
    return failed;
}
