/* The pool: see parallel.h. Tasks are claimed from one atomic counter that also carries the job's
 * number, so a thread that wakes late can't take a task of a job that has ended. */
#include "base/parallel.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_THREADS 256
#define SPIN_ROUNDS 2000 /* about 20 to 60 microseconds of pauses, then sleep */

static struct {
    int wanted, started; /* threads, counting the caller */
    pthread_t threads[MAX_THREADS];
    pthread_mutex_t start_lock;
    hone_task_fn fn;
    void *context;
    atomic_int_fast64_t tasks;
    atomic_uint job;            /* futex word: number of the current job */
    atomic_uint_fast64_t claim; /* job number << 40 | next task */
    atomic_int_fast64_t done;   /* tasks finished in this job */
    atomic_uint finished;       /* futex word: job that is complete */
    atomic_bool stop;
} pool = {.start_lock = PTHREAD_MUTEX_INITIALIZER};

static _Thread_local int thread_index;
static _Thread_local bool inside_task;

static void cpu_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void futex_wait(atomic_uint *word, unsigned value)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake_all(atomic_uint *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* Waits until *word differs from `old`. */
static void wait_change(atomic_uint *word, unsigned old)
{
    for (int i = 0; i < SPIN_ROUNDS; i++) {
        if (atomic_load_explicit(word, memory_order_acquire) != old)
            return;
        cpu_pause();
    }
    while (atomic_load_explicit(word, memory_order_acquire) == old)
        futex_wait(word, old);
}

#define TASK_BITS 40
#define TASK_MASK (((uint64_t)1 << TASK_BITS) - 1)

static void work(unsigned job)
{
    uint64_t number = (uint64_t)(job & 0xFFFFFFu) << TASK_BITS;
    inside_task = true;
    for (;;) {
        uint64_t claim = atomic_load_explicit(&pool.claim, memory_order_acquire);
        if ((claim & ~TASK_MASK) != number ||
            (int64_t)(claim & TASK_MASK) >= atomic_load_explicit(&pool.tasks, memory_order_relaxed))
            break;
        if (!atomic_compare_exchange_weak(&pool.claim, &claim, claim + 1))
            continue;
        int64_t tasks = atomic_load_explicit(&pool.tasks, memory_order_relaxed);
        pool.fn(pool.context, (int64_t)(claim & TASK_MASK), thread_index);
        if (atomic_fetch_add(&pool.done, 1) + 1 == tasks) {
            atomic_store_explicit(&pool.finished, job, memory_order_release);
            futex_wake_all(&pool.finished);
        }
    }
    inside_task = false;
}

static void *thread_main(void *argument)
{
    thread_index = (int)(intptr_t)argument;
    unsigned seen = 0;
    for (;;) {
        wait_change(&pool.job, seen);
        if (atomic_load(&pool.stop))
            return NULL;
        seen = atomic_load_explicit(&pool.job, memory_order_acquire);
        work(seen);
    }
}

static int default_threads(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return CPU_COUNT(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}

static void start_threads(void)
{
    pthread_mutex_lock(&pool.start_lock);
    if (pool.started == 0) {
        int wanted = pool.wanted > 0 ? pool.wanted : default_threads();
        if (wanted > MAX_THREADS)
            wanted = MAX_THREADS;
        atomic_store(&pool.stop, false);
        atomic_store(&pool.job, 0);
        atomic_store(&pool.finished, 0);
        pool.started = 1;
        /* Signals stay with the host's threads: a matrix product may keep data below the stack
         * pointer, where a signal's frame would be laid (oneDNN's kernels do). */
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        while (pool.started < wanted &&
               pthread_create(&pool.threads[pool.started], NULL, thread_main,
                              (void *)(intptr_t)pool.started) == 0)
            pool.started++;
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    pthread_mutex_unlock(&pool.start_lock);
}

void hone_parallel_set_threads(int count)
{
    hone_parallel_stop();
    pool.wanted = count;
}

int hone_parallel_threads(void)
{
    if (pool.started == 0)
        start_threads();
    return pool.started;
}

void hone_parallel_run(int64_t tasks, hone_task_fn fn, void *context)
{
    if (tasks <= 0)
        return;
    if (inside_task || tasks == 1 || hone_parallel_threads() == 1) {
        bool nested = inside_task;
        inside_task = true;
        for (int64_t task = 0; task < tasks; task++)
            fn(context, task, thread_index);
        inside_task = nested;
        return;
    }
    unsigned job = atomic_load(&pool.job) + 1;
    uint64_t number = (uint64_t)(job & 0xFFFFFFu) << TASK_BITS;
    /* First a claim that nobody can take: a thread late from the last job then fails its exchange
     * instead of pairing that job's task number with this job's count. */
    atomic_store(&pool.claim, number | TASK_MASK);
    pool.fn = fn;
    pool.context = context;
    atomic_store(&pool.tasks, tasks);
    atomic_store(&pool.done, 0);
    atomic_store_explicit(&pool.claim, number, memory_order_release);
    atomic_store_explicit(&pool.job, job, memory_order_release);
    futex_wake_all(&pool.job);
    work(job);
    unsigned finished = atomic_load_explicit(&pool.finished, memory_order_acquire);
    while (finished != job) {
        wait_change(&pool.finished, finished);
        finished = atomic_load_explicit(&pool.finished, memory_order_acquire);
    }
}

void hone_parallel_stop(void)
{
    pthread_mutex_lock(&pool.start_lock);
    if (pool.started > 1) {
        atomic_store(&pool.stop, true);
        atomic_fetch_add(&pool.job, 1);
        futex_wake_all(&pool.job);
        for (int i = 1; i < pool.started; i++)
            pthread_join(pool.threads[i], NULL);
    }
    pool.started = 0;
    pthread_mutex_unlock(&pool.start_lock);
}
