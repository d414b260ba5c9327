/* Moves threads of the pool to another CPU, in the two cases where the system's choice costs time (Linux only). A
 * thread moves when its set of allowed CPUs is narrowed; the set is restored at once. */
#ifndef FNN_PLACEMENT_H
#define FNN_PLACEMENT_H

#if defined(__linux__)
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

typedef struct {
    pid_t id;
    clockid_t clock; /* measures how long the thread has run */
} fnn_thread;

static fnn_thread this_thread(void) {
    fnn_thread thread = {(pid_t)syscall(SYS_gettid), CLOCK_THREAD_CPUTIME_ID};
    pthread_getcpuclockid(pthread_self(), &thread.clock);
    return thread;
}

static int this_cpu(void) { return sched_getcpu(); }

static void move_thread(pid_t id, const cpu_set_t *allowed, const cpu_set_t *wanted) {
    if (CPU_COUNT(wanted) && !sched_setaffinity(id, sizeof *wanted, wanted))
        sched_setaffinity(id, sizeof *allowed, allowed);
}

/* Move the calling thread to any CPU other than this one. */
static void leave_cpu(int cpu) {
    cpu_set_t allowed, others;
    if (cpu < 0 || sched_getaffinity(0, sizeof allowed, &allowed))
        return;
    others = allowed;
    CPU_CLR(cpu, &others);
    move_thread(0, &allowed, &others);
}

static long long time_run(clockid_t clock) {
    struct timespec t = {0};
    clock_gettime(clock, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* Move `thread` to this CPU if the system does not run it: then its running time stands still. The caller is about to
 * sleep, so this CPU becomes free. */
static void bring_if_put_off(const fnn_thread *thread) {
    enum { LOOK = 10000 }; /* nanoseconds for which the running time is watched */
    cpu_set_t allowed, here;
    long long before = time_run(thread->clock), start = time_run(CLOCK_MONOTONIC);
    int cpu = this_cpu();
    while (time_run(CLOCK_MONOTONIC) - start < LOOK)
        ;
    if (cpu < 0 || time_run(thread->clock) != before || sched_getaffinity(thread->id, sizeof allowed, &allowed))
        return;
    CPU_ZERO(&here);
    CPU_SET(cpu, &here);
    move_thread(thread->id, &allowed, &here);
}

#else
typedef int fnn_thread;
static fnn_thread this_thread(void) { return 0; }
static int this_cpu(void) { return -1; }
static void leave_cpu(int cpu) { (void)cpu; }
static void bring_if_put_off(const fnn_thread *thread) { (void)thread; }
#endif

#endif
