/* Functions that POSIX systems and Windows have under different names. Threads are POSIX threads on both: compilers for
 * Windows bring them. */
#ifndef FNN_SYSTEM_H
#define FNN_SYSTEM_H

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#if defined(_WIN32)
#include <malloc.h>

static inline void *aligned_memory(size_t alignment, size_t bytes) { return _aligned_malloc(bytes, alignment); }
static inline void free_aligned(void *memory) { _aligned_free(memory); }

/* Windows has no forks, and no signals that one thread could take from another. */
static inline void at_fork(void (*before)(void), void (*parent)(void), void (*child)(void)) {
    (void)before, (void)parent, (void)child;
}
typedef int signals;
static inline void hold_signals(signals *before) { (void)before; }
static inline void release_signals(const signals *before) { (void)before; }

#else

static inline void *aligned_memory(size_t alignment, size_t bytes) {
    void *memory = NULL;
    return posix_memalign(&memory, alignment, bytes) ? NULL : memory;
}
static inline void free_aligned(void *memory) { free(memory); }

static inline void at_fork(void (*before)(void), void (*parent)(void), void (*child)(void)) {
    pthread_atfork(before, parent, child);
}

/* Threads that start between hold and release take no signals, because signals are for the program's own threads.
 * Faults of a thread itself are not held. */
typedef sigset_t signals;
static inline void hold_signals(signals *before) {
    sigset_t all;
    sigfillset(&all);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    pthread_sigmask(SIG_SETMASK, &all, before);
}
static inline void release_signals(const signals *before) { pthread_sigmask(SIG_SETMASK, before, NULL); }
#endif

#endif
