/* The pool and the allocator under many callers, without Python: for the thread sanitizer, see tools/sanitize.
 *
 *     stress [rounds]
 *
 * Callers run jobs of their own, all at once, while the number of threads changes; every chunk must run exactly once,
 * in a slot of its own. Blocks are taken, filled, compared and given back meanwhile, some by another thread than the
 * one that took them. */
#include "fnn.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CALLERS 4
#define CHUNKS 64
#define SLOTS 8

static _Atomic(void *) mailbox; /* a block on its way to another thread */
static _Atomic int running = CALLERS;
static _Atomic long jobs, blocks;

typedef struct {
    int runs[CHUNKS];         /* not atomic: each is one chunk's alone, and the caller's before and after the job */
    double sums[SLOTS];       /* likewise, of a slot's */
    _Atomic int inside[SLOTS];
    int seed;
} job;

static void fail(const char *what) {
    fprintf(stderr, "stress: %s\n", what);
    exit(1);
}

static void chunk(void *argument, ptrdiff_t number, int slot) {
    job *j = argument;
    if (slot < 0 || slot >= SLOTS || atomic_fetch_add(&j->inside[slot], 1))
        fail("two chunks in one slot");
    j->runs[number]++;
    for (int i = 0; i < 500; i++)
        j->sums[slot] += (double)(j->seed + i % 3);
    atomic_fetch_sub(&j->inside[slot], 1);
}

static void use_block(size_t bytes, int value) {
    unsigned char *memory = fnn_alloc(bytes);
    if (!memory)
        fail("no memory");
    memset(memory, value, bytes);
    for (size_t i = 0; i < bytes; i += 97)
        if (memory[i] != (unsigned char)value)
            fail("a block was written to by another thread");
    fnn_free(atomic_exchange(&mailbox, memory));
    atomic_fetch_add(&blocks, 1);
}

static void *call(void *argument) {
    const int *asked = argument;
    unsigned seed = (unsigned)asked[1];
    for (int round = 0; round < asked[0]; round++) {
        job j = {.seed = round};
        ptrdiff_t chunks = 1 + rand_r(&seed) % CHUNKS;
        int threads = fnn_threads(); /* once a job, as kernels do */
        fnn_parallel(chunk, &j, chunks, threads, rand_r(&seed) % 8 ? 1e9 : 1.0);
        for (ptrdiff_t i = 0; i < CHUNKS; i++)
            if (j.runs[i] != (i < chunks))
                fail("a chunk did not run exactly once");
        double sum = 0;
        for (int slot = 0; slot < SLOTS; slot++) {
            sum += j.sums[slot];
            if (slot >= threads && j.sums[slot] != 0)
                fail("more slots than threads");
        }
        if (sum != (double)chunks * (500.0 * round + 499.0))
            fail("what chunks wrote was not there after the job");
        atomic_fetch_add(&jobs, 1);
        use_block(1 + (size_t)rand_r(&seed) % 100000, round);
        if (round % 100 == 99)
            fnn_empty_cache();
    }
    atomic_fetch_sub(&running, 1);
    return NULL;
}

int main(int count, char **arguments) {
    int rounds = count > 1 ? atoi(arguments[1]) : 2000;
    int asked[CALLERS][2];
    pthread_t callers[CALLERS];
    fnn_set_threads(3);
    for (int i = 0; i < CALLERS; i++) {
        asked[i][0] = rounds;
        asked[i][1] = i + 1;
        if (pthread_create(&callers[i], NULL, call, asked[i]))
            fail("no thread");
    }
    for (int n = 0; atomic_load(&running); n++) {
        struct timespec pause = {.tv_nsec = 200000};
        fnn_set_threads(1 + n % SLOTS);
        nanosleep(&pause, NULL);
    }
    for (int i = 0; i < CALLERS; i++)
        pthread_join(callers[i], NULL);
    fnn_free(atomic_load(&mailbox));
    size_t live, cached;
    fnn_memory_stats(&live, &cached);
    if (live)
        fail("blocks were lost");
    printf("stress: %ld jobs, %ld blocks, %d callers: as expected\n", atomic_load(&jobs), atomic_load(&blocks), CALLERS);
    return 0;
}
