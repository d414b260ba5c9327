/* What POSIX systems and Windows do differently. Threads are POSIX ones on both: compilers for Windows bring them. */
#ifndef FNN_SYSTEM_H
#define FNN_SYSTEM_H

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#if defined(_WIN32)
#include <malloc.h>

static inline void *aligned_memory(size_t alignment, size_t bytes) { return _aligned_malloc(bytes, alignment); }
static inline void free_aligned(void *memory) { _aligned_free(memory); }

/* There are no forks, and no signals that a thread would take from another. */
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

/* Threads that are started meanwhile take no signals, which are the program's business; but their own faults are
 * theirs. */
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
