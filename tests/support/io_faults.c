/* Preloaded into a program (LD_PRELOAD), counts the calls by which it writes below one folder, and
 * makes one of them the last, or fail, or writes all of them down.
 *
 *   IO_FAULTS_ROOT     the folder, an absolute path without links; without it nothing is done
 *   IO_FAULTS_PLAN     what happens at the k-th call, counted from 1:
 *                        kill-before K, kill-after K     SIGKILL to the process group
 *                        kill-within K                   half of a write's data, then SIGKILL
 *                        fail K ERRNO KINDS              that call alone; KINDS: 0
 *                        fail-on K ERRNO KINDS           it and all later ones of the kinds in the
 * mask short K, short-on K             writes put one byte, from there on zero K a write puts none
 *   IO_FAULTS_STATE    a file of sizeof(io_state), mapped: the count, shared with children
 *   IO_FAULTS_JOURNAL  a file to append every call to, with its data
 *
 * Calls that libc makes inside itself pass by: stdio is caught by opening its files here, with
 * streams of our own. fsync is counted, not made: a program that dies leaves what it wrote to the
 * system, and tests run faster. System calls are made by number, so no order of libraries matters.
 */
#include "io_faults.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { DESCRIPTORS = 1024, STREAMS = 16 };

typedef enum action {
    ACT_NONE,
    ACT_KILL_BEFORE,
    ACT_KILL_WITHIN,
    ACT_KILL_AFTER,
    ACT_FAIL,
    ACT_FAIL_ON,
    ACT_SHORT,
    ACT_SHORT_ON,
    ACT_ZERO
} action;

static const char *const verbs[] = {"",        "kill-before", "kill-within", "kill-after", "fail",
                                    "fail-on", "short",       "short-on",    "zero"};

static struct {
    bool ready;
    char root[IO_PATH];
    size_t root_length;
    action act;
    uint64_t at;
    int failure;
    unsigned long kinds;
    int journal;
} plan = {.journal = -1};

static io_state own_state, *state = &own_state;

/* What is open below the root; a path of no length: nothing. */
static struct {
    char path[IO_PATH];
    bool writes;
} opened[DESCRIPTORS];

static struct {
    FILE *stream;
    int descriptor;
} streams[STREAMS];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- setting up --------------------------------------------------------------------------- */

static _Noreturn void give_up(const char *what)
{
    static const char name[] = "io_faults: ";
    struct iovec text[] = {{(void *)(uintptr_t)name, sizeof name - 1},
                           {(void *)(uintptr_t)what, strlen(what)},
                           {(void *)(uintptr_t) "\n", 1}};
    syscall(SYS_writev, STDERR_FILENO, text, 3);
    _exit(121);
}

static void read_plan(const char *text)
{
    char verb[32] = "";
    unsigned long long at = 0;
    if (sscanf(text, "%31s %llu %d %lu", verb, &at, &plan.failure, &plan.kinds) < 2)
        give_up("the plan is not understood");
    for (size_t i = 1; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(verb, verbs[i]) == 0)
            plan.act = (action)i;
    if (plan.act == ACT_NONE)
        give_up("the plan's verb is not known");
    plan.at = at;
}

static void set_up(void)
{
    if (plan.ready)
        return;
    plan.ready = true;
    const char *root = getenv("IO_FAULTS_ROOT"), *text = getenv("IO_FAULTS_PLAN");
    const char *shared = getenv("IO_FAULTS_STATE"), *journal = getenv("IO_FAULTS_JOURNAL");
    if (root == NULL || strlen(root) >= sizeof plan.root)
        return;
    strcpy(plan.root, root);
    plan.root_length = strlen(root);
    if (text != NULL)
        read_plan(text);
    if (shared != NULL) {
        int descriptor = (int)syscall(SYS_openat, AT_FDCWD, shared, O_RDWR | O_CLOEXEC);
        state = mmap(NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
        if (state == MAP_FAILED)
            give_up("cannot map the file of state");
        syscall(SYS_close, descriptor);
    }
    if (journal == NULL)
        return;
    int low = (int)syscall(SYS_openat, AT_FDCWD, journal, O_WRONLY | O_APPEND | O_CLOEXEC);
    /* High, so that the program's descriptors have the numbers that they have without us. */
    plan.journal = fcntl(low, F_DUPFD_CLOEXEC, DESCRIPTORS / 2);
    if (plan.journal < 0)
        give_up("cannot open the journal");
    syscall(SYS_close, low);
}

__attribute__((constructor)) static void begin(void)
{
    set_up();
}

/* The absolute path, without "." and doubled slashes. False when it is not below the root. */
static bool resolve(int folder, const char *path, char out[IO_PATH])
{
    char whole[2 * IO_PATH];
    set_up();
    if (plan.root_length == 0)
        return false;
    if (path[0] == '/')
        whole[0] = '\0';
    else if (folder != AT_FDCWD || getcwd(whole, IO_PATH) == NULL)
        return false;
    size_t head = strlen(whole), length = strlen(path), used = 0;
    if (length >= IO_PATH)
        return false;
    whole[head] = '/';
    strcpy(whole + head + 1, path);
    for (const char *part = whole; *part != '\0';) {
        part += strspn(part, "/");
        size_t size = strcspn(part, "/");
        if (size > 0 && !(size == 1 && part[0] == '.') && used + size + 2 < IO_PATH) {
            out[used++] = '/';
            memcpy(out + used, part, size);
            used += size;
        }
        part += size;
    }
    out[used] = '\0';
    return strncmp(out, plan.root, plan.root_length) == 0 &&
           (out[plan.root_length] == '/' || out[plan.root_length] == '\0');
}

static bool is_known(int descriptor)
{
    return descriptor >= 0 && descriptor < DESCRIPTORS && opened[descriptor].path[0] != '\0';
}

/* ---- a call ------------------------------------------------------------------------------- */

typedef struct call {
    io_record record;
    const char *path, *other;
    const void *data;
    action act; /* that it suffers */
} call;

static _Noreturn void die(void)
{
    kill(0, SIGKILL);
    for (;;)
        pause();
}

/* Counts a call and decides what becomes of it. True when it fails: errno is set. */
static bool starts(call *c, io_kind kind, const char *path)
{
    struct stat facts;
    pthread_mutex_lock(&lock);
    c->path = path;
    c->record.kind = (uint32_t)kind;
    c->record.process = (int32_t)getpid();
    c->record.number = ++state->calls;
    if (fstat(STDERR_FILENO, &facts) == 0 && S_ISREG(facts.st_mode))
        c->record.said = (uint64_t)facts.st_size;
    bool here = c->record.number == plan.at, later = c->record.number > plan.at;
    bool on = plan.act == ACT_FAIL_ON ? later && (plan.kinds >> kind & 1) != 0
                                      : plan.act == ACT_SHORT_ON && later;
    c->act = here || on ? plan.act : ACT_NONE;
    if (c->act == ACT_NONE)
        return false;
    if (state->faults++ == 0) {
        state->kind = (uint32_t)kind;
        snprintf(state->path, sizeof state->path, "%s", path);
    }
    if (c->act == ACT_KILL_BEFORE)
        die();
    if (c->act != ACT_FAIL && c->act != ACT_FAIL_ON)
        return false;
    /* The descriptor of a close that fails is gone all the same. */
    if (kind == IO_CLOSE)
        syscall(SYS_close, c->record.descriptor);
    errno = plan.failure;
    return true;
}

static void put_all(const struct iovec *parts, int count)
{
    size_t size = 0;
    for (int i = 0; i < count; i++)
        size += parts[i].iov_len;
    if (syscall(SYS_writev, plan.journal, parts, count) != (long)size)
        give_up("cannot write the journal");
}

/* Writes the call down, with the errno that it has left, and lets errno stand. */
static void ends(call *c, bool done)
{
    int failure = errno;
    if (done && (c->act == ACT_KILL_AFTER || c->act == ACT_KILL_WITHIN))
        die();
    if (plan.journal >= 0) {
        c->record.failure = done ? 0 : failure;
        c->record.path = (uint32_t)strlen(c->path);
        c->record.other = c->other != NULL ? (uint32_t)strlen(c->other) : 0;
        struct iovec parts[] = {{&c->record, sizeof c->record},
                                {(void *)(uintptr_t)c->path, c->record.path},
                                {(void *)(uintptr_t)c->other, c->record.other},
                                {(void *)(uintptr_t)c->data, (size_t)c->record.size}};
        put_all(parts, 4);
    }
    pthread_mutex_unlock(&lock);
    errno = failure;
}

/* ---- opening and closing ------------------------------------------------------------------ */

static int open_counted(int folder, const char *path, int flags, mode_t mode)
{
    char whole[IO_PATH];
    if (!resolve(folder, path, whole))
        return (int)syscall(SYS_openat, folder, path, flags, mode);
    struct stat facts;
    bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT) != 0;
    call c = {.record.fresh = lstat(whole, &facts) != 0, .record.cuts = (flags & O_TRUNC) != 0};
    int made = -1;
    if (!starts(&c, writes ? IO_CREATE : IO_LOOK, whole))
        made = (int)syscall(SYS_openat, folder, path, flags, mode);
    if (made >= DESCRIPTORS)
        give_up("more descriptors than are followed");
    if (made >= 0) {
        strcpy(opened[made].path, whole);
        opened[made].writes = writes;
    }
    c.record.descriptor = made;
    ends(&c, made >= 0);
    return made;
}

static mode_t mode_of(int flags, va_list arguments)
{
    return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_counted(AT_FDCWD, path, flags, mode);
}

/* Offsets have 64 bits here anyway. */
int open64(const char *path, int flags, ...) __attribute__((alias("open")));

int openat(int folder, const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_counted(folder, path, flags, mode);
}

DIR *opendir(const char *path)
{
    DIR *(*next)(const char *);
    char whole[IO_PATH];
    *(void **)&next = dlsym(RTLD_NEXT, "opendir");
    if (!resolve(AT_FDCWD, path, whole))
        return next(path);
    call c = {.record.descriptor = -1};
    DIR *folder = starts(&c, IO_LOOK, whole) ? NULL : next(path);
    ends(&c, folder != NULL);
    return folder;
}

int close(int descriptor)
{
    if (!is_known(descriptor))
        return (int)syscall(SYS_close, descriptor);
    char path[IO_PATH];
    strcpy(path, opened[descriptor].path);
    opened[descriptor].path[0] = '\0';
    if (!opened[descriptor].writes)
        return (int)syscall(SYS_close, descriptor);
    call c = {.record.descriptor = descriptor};
    int result = -1;
    if (!starts(&c, IO_CLOSE, path))
        result = (int)syscall(SYS_close, descriptor);
    ends(&c, result == 0);
    return result;
}

/* ---- writing ------------------------------------------------------------------------------ */

/* place < 0: where the descriptor stands. */
static ssize_t write_counted(int descriptor, const void *data, size_t size, off_t place)
{
    call c = {.data = data, .record.descriptor = descriptor};
    ssize_t put = -1;
    if (!starts(&c, IO_WRITE, opened[descriptor].path)) {
        size_t now = size;
        if ((c.act == ACT_SHORT || c.act == ACT_SHORT_ON) && size > 1)
            now = 1;
        else if (c.act == ACT_ZERO)
            now = 0;
        else if (c.act == ACT_KILL_WITHIN)
            now = size / 2;
        put = place < 0 ? syscall(SYS_write, descriptor, data, now)
                        : syscall(SYS_pwrite64, descriptor, data, now, place);
    }
    int failure = errno;
    if (put >= 0) {
        c.record.size = (uint64_t)put;
        c.record.offset = place < 0 ? lseek(descriptor, 0, SEEK_CUR) - put : place;
    }
    errno = failure;
    ends(&c, put >= 0);
    return put;
}

ssize_t write(int descriptor, const void *data, size_t size)
{
    if (!is_known(descriptor))
        return syscall(SYS_write, descriptor, data, size);
    return write_counted(descriptor, data, size, -1);
}

ssize_t pwrite(int descriptor, const void *data, size_t size, off_t place)
{
    if (!is_known(descriptor))
        return syscall(SYS_pwrite64, descriptor, data, size, place);
    return write_counted(descriptor, data, size, place);
}

int fsync(int descriptor)
{
    if (!is_known(descriptor))
        return (int)syscall(SYS_fsync, descriptor);
    call c = {.record.descriptor = descriptor};
    bool failed = starts(&c, IO_SYNC, opened[descriptor].path);
    ends(&c, !failed);
    return failed ? -1 : 0;
}

int fdatasync(int descriptor)
{
    return fsync(descriptor);
}

int ftruncate(int descriptor, off_t size)
{
    if (!is_known(descriptor))
        return (int)syscall(SYS_ftruncate, descriptor, size);
    call c = {.record.descriptor = descriptor, .record.offset = size};
    int result = -1;
    if (!starts(&c, IO_CUT, opened[descriptor].path))
        result = (int)syscall(SYS_ftruncate, descriptor, size);
    ends(&c, result == 0);
    return result;
}

/* ---- stdio -------------------------------------------------------------------------------- */

static ssize_t stream_write(void *cookie, const char *data, size_t size)
{
    int descriptor = (int)(intptr_t)cookie;
    size_t done = 0;
    while (done < size) {
        ssize_t put = write(descriptor, data + done, size - done);
        if (put <= 0)
            break;
        done += (size_t)put;
    }
    return (ssize_t)done;
}

static int stream_close(void *cookie)
{
    int descriptor = (int)(intptr_t)cookie;
    for (size_t i = 0; i < STREAMS; i++)
        if (streams[i].descriptor == descriptor)
            streams[i].stream = NULL;
    return close(descriptor);
}

FILE *fopen(const char *path, const char *mode)
{
    FILE *(*next)(const char *, const char *);
    char whole[IO_PATH];
    *(void **)&next = dlsym(RTLD_NEXT, "fopen");
    if (mode[0] != 'w' || !resolve(AT_FDCWD, path, whole))
        return next(path, mode);
    int descriptor = open_counted(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (descriptor < 0)
        return NULL;
    const cookie_io_functions_t functions = {.write = stream_write, .close = stream_close};
    FILE *stream = fopencookie((void *)(intptr_t)descriptor, "w", functions);
    for (size_t i = 0; i < STREAMS; i++)
        if (streams[i].stream == NULL) {
            streams[i].stream = stream;
            streams[i].descriptor = descriptor;
            return stream;
        }
    give_up("more streams than are followed");
}

int fileno(FILE *stream)
{
    int (*next)(FILE *);
    for (size_t i = 0; i < STREAMS; i++)
        if (streams[i].stream == stream)
            return streams[i].descriptor;
    *(void **)&next = dlsym(RTLD_NEXT, "fileno");
    return next(stream);
}

/* ---- names -------------------------------------------------------------------------------- */

int renameat2(int folder, const char *path, int other_folder, const char *other, unsigned flags)
{
    char whole[IO_PATH], second[IO_PATH];
    if (!resolve(folder, path, whole) || !resolve(other_folder, other, second))
        return (int)syscall(SYS_renameat2, folder, path, other_folder, other, flags);
    call c = {.other = second, .record.descriptor = -1};
    int result = -1;
    if (!starts(&c, (flags & RENAME_EXCHANGE) != 0 ? IO_EXCHANGE : IO_RENAME, whole))
        result = (int)syscall(SYS_renameat2, folder, path, other_folder, other, flags);
    ends(&c, result == 0);
    return result;
}

int rename(const char *path, const char *other)
{
    return renameat2(AT_FDCWD, path, AT_FDCWD, other, 0);
}

int unlinkat(int folder, const char *path, int flags)
{
    char whole[IO_PATH];
    if (!resolve(folder, path, whole))
        return (int)syscall(SYS_unlinkat, folder, path, flags);
    call c = {.record.descriptor = -1};
    int result = -1;
    if (!starts(&c, (flags & AT_REMOVEDIR) != 0 ? IO_RMDIR : IO_UNLINK, whole))
        result = (int)syscall(SYS_unlinkat, folder, path, flags);
    ends(&c, result == 0);
    return result;
}

int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

int rmdir(const char *path)
{
    return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int remove(const char *path)
{
    struct stat facts;
    bool folder = lstat(path, &facts) == 0 && S_ISDIR(facts.st_mode);
    return unlinkat(AT_FDCWD, path, folder ? AT_REMOVEDIR : 0);
}

int mkdir(const char *path, mode_t mode)
{
    char whole[IO_PATH];
    if (!resolve(AT_FDCWD, path, whole))
        return (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
    call c = {.record.descriptor = -1};
    int result = -1;
    if (!starts(&c, IO_MKDIR, whole))
        result = (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
    ends(&c, result == 0);
    return result;
}
