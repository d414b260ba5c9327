/* The thread pool. A job is cut into chunks. The caller claims chunks from the first one on, and the workers from
 * the last one back, until none is left. So in the next job each thread finds its own results in its cache. The
 * caller never waits for a worker that has claimed nothing: a worker that the system does not schedule costs
 * nothing. docs/dev/threads.md draws the state word. */
#define _GNU_SOURCE
#include "fnn.h"

#include <stdatomic.h>

#include "placement.h"
#include "system.h"

#define MAX_THREADS 256
#define MOST_CHUNKS 65535 /* of one round: two bytes of the state word count them */
#define SPINS_BEFORE_SLEEP 4000  /* longer than the gap between two layers */
#define WORK_WORTH_WAKING 60000.0 /* units of work, see fnn.h: a smaller job ends before a worker wakes */
#define WORK_WORTH_SHARING 20000.0 /* units of work, where a worker is awake already */

static struct {
    /* Bits 63 to 32: the generation. Bits 31 to 16: the first chunk that is not claimed. Bits 15 to 0: the last chunk
     * that is not claimed, plus 1. One compare-and-swap claims a chunk of exactly the job that was read, so the fields
     * below need no lock. */
    _Atomic uint64_t state;
    _Atomic(fnn_task) task;
    _Atomic(void *) job;
    _Atomic ptrdiff_t start; /* the first chunk of this round */
    _Atomic int limit;             /* threads that may take part, the caller included */
    _Atomic ptrdiff_t unfinished;  /* chunks not yet done */
    _Atomic int sleepers, waiting, caller_sleeps; /* `sleepers` sleep; `waiting` counts awake workers without a job */
    _Atomic int caller_cpu;
    struct {
        fnn_thread thread;
        _Atomic int has_chunk;
    } __attribute__((aligned(64))) worker[MAX_THREADS]; /* by slot, each on a cache line of its own */
    pthread_mutex_t turn;  /* held by the caller of the job; other callers run their jobs alone meanwhile */
    pthread_mutex_t lock;  /* guards the conditions */
    pthread_cond_t work, done, more; /* a new job, the last chunk is done, more threads may take part */
    int workers;
    _Atomic int threads;
} pool = {.turn = PTHREAD_MUTEX_INITIALIZER,
          .lock = PTHREAD_MUTEX_INITIALIZER,
          .work = PTHREAD_COND_INITIALIZER,
          .done = PTHREAD_COND_INITIALIZER,
          .more = PTHREAD_COND_INITIALIZER,
          .threads = 1};

#if defined(__x86_64__)
#include <immintrin.h>
#define FLUSH_DENORMALS 0x8040u /* flush results to zero, take denormal operands as zero */
typedef unsigned float_mode;
static float_mode float_mode_get(void) { return _mm_getcsr(); }
static void float_mode_set(float_mode mode) { _mm_setcsr(mode); }
static float_mode float_mode_flushing(float_mode mode) { return mode | FLUSH_DENORMALS; }
static void relax(void) { _mm_pause(); }
#elif defined(__aarch64__)
typedef uint64_t float_mode;
static float_mode float_mode_get(void) { float_mode m; __asm__ volatile("mrs %0, fpcr" : "=r"(m)); return m; }
static void float_mode_set(float_mode m) { __asm__ volatile("msr fpcr, %0" : : "r"(m)); }
static float_mode float_mode_flushing(float_mode mode) { return mode | (1u << 24); }
static void relax(void) { __asm__ volatile("yield"); }
#else
typedef int float_mode;
static float_mode float_mode_get(void) { return 0; }
static void float_mode_set(float_mode mode) { (void)mode; }
static float_mode float_mode_flushing(float_mode mode) { return mode; }
static void relax(void) {}
#endif

static ptrdiff_t first_of(uint64_t state) { return (ptrdiff_t)(state >> 16 & 0xffff); }
static ptrdiff_t end_of(uint64_t state) { return (ptrdiff_t)(state & 0xffff); }
static uint32_t generation_of(uint64_t state) { return (uint32_t)(state >> 32); }

/* Claims and runs chunks of the current job until none is left. Returns the state that it read last. */
static uint64_t run_chunks(int slot) {
    uint64_t state = atomic_load(&pool.state);
    while (first_of(state) < end_of(state) && slot < atomic_load(&pool.limit)) {
        fnn_task task = atomic_load(&pool.task);
        void *job = atomic_load(&pool.job);
        ptrdiff_t chunk = atomic_load(&pool.start) + (slot ? end_of(state) - 1 : first_of(state));
        if (!atomic_compare_exchange_weak(&pool.state, &state, slot ? state - 1 : state + (1 << 16)))
            continue;
        atomic_store_explicit(&pool.worker[slot].has_chunk, 1, memory_order_release);
        task(job, chunk, slot);
        atomic_store_explicit(&pool.worker[slot].has_chunk, 0, memory_order_release);
        if (atomic_fetch_sub(&pool.unfinished, 1) == 1 && atomic_load(&pool.caller_sleeps)) {
            pthread_mutex_lock(&pool.lock);
            pthread_cond_signal(&pool.done);
            pthread_mutex_unlock(&pool.lock);
        }
        state = atomic_load(&pool.state);
    }
    return state;
}

static void *worker_main(void *argument) {
    int slot = (int)(intptr_t)argument;
    pool.worker[slot].thread = this_thread();
    float_mode_set(float_mode_flushing(float_mode_get()));
    for (;;) {
        if (slot >= atomic_load(&pool.limit)) { /* beyond the number of threads in use: do not wake for every job */
            pthread_mutex_lock(&pool.lock);
            while (slot >= atomic_load(&pool.limit))
                pthread_cond_wait(&pool.more, &pool.lock);
            pthread_mutex_unlock(&pool.lock);
        }
        uint32_t seen = generation_of(run_chunks(slot));
        int spins = 0;
        atomic_fetch_add(&pool.waiting, 1);
        while (generation_of(atomic_load(&pool.state)) == seen && spins++ < SPINS_BEFORE_SLEEP)
            relax();
        atomic_fetch_sub(&pool.waiting, 1);
        if (generation_of(atomic_load(&pool.state)) != seen)
            continue;
        pthread_mutex_lock(&pool.lock);
        atomic_fetch_add(&pool.sleepers, 1);
        while (generation_of(atomic_load(&pool.state)) == seen)
            pthread_cond_wait(&pool.work, &pool.lock);
        atomic_fetch_sub(&pool.sleepers, 1);
        pthread_mutex_unlock(&pool.lock);
        /* On the caller's CPU the worker would take the time that it should save. Linux wakes it there if the other
         * CPUs were busy recently, as they are in a network of many layers. */
        int cpu = atomic_load(&pool.caller_cpu);
        if (this_cpu() == cpu)
            leave_cpu(cpu);
    }
    return NULL;
}

/* Start the missing workers. If the system gives fewer, the caller does their chunks. */
static void start_workers(int wanted) {
    signals before;
    hold_signals(&before);
    while (pool.workers < wanted) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, worker_main, (void *)(intptr_t)(pool.workers + 1)))
            break;
        pthread_detach(thread);
        pool.workers++;
    }
    release_signals(&before);
}

static void wait_for_claimed_chunks(void) {
    for (int spins = 0; spins < SPINS_BEFORE_SLEEP; spins++) {
        if (atomic_load(&pool.unfinished) == 0)
            return;
        relax();
    }
    for (int slot = 1; slot <= pool.workers && atomic_load(&pool.unfinished) > 0; slot++)
        if (atomic_load_explicit(&pool.worker[slot].has_chunk, memory_order_acquire))
            bring_if_put_off(&pool.worker[slot].thread);
    pthread_mutex_lock(&pool.lock);
    atomic_store(&pool.caller_sleeps, 1);
    while (atomic_load(&pool.unfinished) > 0)
        pthread_cond_wait(&pool.done, &pool.lock);
    atomic_store(&pool.caller_sleeps, 0);
    pthread_mutex_unlock(&pool.lock);
}

static void run_shared(fnn_task task, void *job, ptrdiff_t start, ptrdiff_t chunks, int threads) {
    start_workers(threads - 1);
    atomic_store(&pool.task, task);
    atomic_store(&pool.job, job);
    atomic_store(&pool.start, start);
    if (atomic_exchange(&pool.limit, threads) < threads) {
        pthread_mutex_lock(&pool.lock);
        pthread_cond_broadcast(&pool.more);
        pthread_mutex_unlock(&pool.lock);
    }
    atomic_store(&pool.caller_cpu, this_cpu());
    atomic_store(&pool.unfinished, chunks);
    uint64_t generation = generation_of(atomic_load(&pool.state)) + 1u;
    atomic_store(&pool.state, (generation << 32) | (uint64_t)chunks);
    if (atomic_load(&pool.sleepers)) {
        pthread_mutex_lock(&pool.lock);
        pthread_cond_broadcast(&pool.work);
        pthread_mutex_unlock(&pool.lock);
    }
    run_chunks(0);
    wait_for_claimed_chunks();
}

void fnn_parallel(fnn_task task, void *job, ptrdiff_t chunks, int threads, double work) {
    float_mode mode = float_mode_get();
    float_mode_set(float_mode_flushing(mode));
    if (chunks > 1 && threads > 1 &&
        work >= (atomic_load(&pool.waiting) ? WORK_WORTH_SHARING : WORK_WORTH_WAKING) &&
        pthread_mutex_trylock(&pool.turn) == 0) {
        for (ptrdiff_t start = 0; start < chunks; start += MOST_CHUNKS)
            run_shared(task, job, start, chunks - start < MOST_CHUNKS ? chunks - start : MOST_CHUNKS, threads);
        pthread_mutex_unlock(&pool.turn);
    } else {
        for (ptrdiff_t chunk = 0; chunk < chunks; chunk++)
            task(job, chunk, 0);
    }
    float_mode_set(mode);
}

int fnn_threads(void) { return atomic_load(&pool.threads); }

/* Makes the pool new in a forked child, which has no workers, and whose locks a thread of the parent may have held. */
static void forget_workers(void) {
    pool.workers = 0;
    for (int slot = 0; slot < MAX_THREADS; slot++)
        atomic_store(&pool.worker[slot].has_chunk, 0);
    pthread_mutex_init(&pool.turn, NULL);
    pthread_mutex_init(&pool.lock, NULL);
    pthread_cond_init(&pool.work, NULL);
    pthread_cond_init(&pool.done, NULL);
    pthread_cond_init(&pool.more, NULL);
    atomic_store(&pool.state, (uint64_t)generation_of(atomic_load(&pool.state)) << 32);
    atomic_store(&pool.unfinished, 0);
    atomic_store(&pool.sleepers, 0);
    atomic_store(&pool.waiting, 0);
    atomic_store(&pool.caller_sleeps, 0);
}

void fnn_set_threads(int threads) {
    static _Atomic int registered;
    if (!atomic_exchange(&registered, 1))
        at_fork(NULL, NULL, forget_workers);
    atomic_store(&pool.threads, threads < 1 ? 1 : threads > MAX_THREADS ? MAX_THREADS : threads);
}
