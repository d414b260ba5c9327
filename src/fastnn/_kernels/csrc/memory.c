/* The caching allocator. Fresh memory costs page faults, which take longer than most layers' work on it. So a freed
 * block is kept, by size class, for the next caller. Live and cached blocks together stay below one and a half times
 * the most that was ever live at once, plus SLACK. docs/dev/memory.md draws the size classes. */
#define _GNU_SOURCE
#include "fnn.h"

#include "system.h"
#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
#endif

/* For sanitizers and valgrind: FNN_NO_CACHE gives every block its exact size and takes it back at once. */
#if defined(FNN_NO_CACHE)
#define KEEP 0
#else
#define KEEP 1
#endif

#define ALIGNMENT 64
#define HUGE_PAGE ((size_t)2 << 20)
#define MAPPED ((size_t)128 << 10) /* larger blocks are mapped one by one: malloc would keep holes between them */
#define SLACK ((size_t)64 << 20)
#define CLASSES 512

typedef struct block {
    struct block *next;
    size_t bytes; /* that the caller may use */
    int class;
} block;

static struct {
    pthread_mutex_t lock;
    block *free[CLASSES];
    size_t live, cached, most_live;
} cache = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Eight classes to each power of two, so at most one eighth is wasted. Returns -1 for sizes that no machine has. */
static int size_class(size_t bytes, size_t *rounded) {
    size_t power = 512;
    int class = 0;
    while (power <= SIZE_MAX / 4 && power * 2 <= bytes) {
        power *= 2;
        class += 8;
    }
    if (bytes > SIZE_MAX / 4)
        return -1;
    size_t step = power / 8, steps = bytes <= power ? 0 : (bytes - power + step - 1) / step;
    *rounded = KEEP ? power + steps * step : bytes;
    return class + (int)steps;
}

#if KEEP && defined(__linux__)
/* Memory that may hold huge pages begins at one: it is mapped with a spare huge page, and the unused ends are given
 * back. */
static char *mapped_memory(size_t total) {
    size_t spare = total >= 2 * HUGE_PAGE ? HUGE_PAGE : 0;
    char *memory = mmap(NULL, total + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    size_t before = spare ? (size_t)-(uintptr_t)memory % HUGE_PAGE : 0;
    if (before)
        munmap(memory, before);
    if (spare > before)
        munmap(memory + before + total, spare - before);
#if defined(MADV_HUGEPAGE)
    if (spare)
        madvise(memory + before, total, MADV_HUGEPAGE);
#endif
    return memory + before;
}

static size_t page_size(void) { return (size_t)sysconf(_SC_PAGESIZE); }

/* The header's page, and the pages of the caller's memory. */
static size_t whole_pages(size_t bytes) { return (bytes + 2 * page_size() - 1) / page_size() * page_size(); }

/* The caller's memory begins with a page. NumPy's large arrays begin 16 bytes into one. If ours began at 64, a load of
 * the next elements would seem to depend on the store before it, because processors compare the lowest 12 bits. */
static block *fresh_block(size_t bytes) {
    if (bytes < MAPPED)
        return aligned_memory(ALIGNMENT, bytes + ALIGNMENT);
    char *memory = mapped_memory(whole_pages(bytes));
    return memory ? (block *)(memory + page_size() - ALIGNMENT) : NULL;
}

static void give_back(block *b) {
    if (b->bytes >= MAPPED)
        munmap((char *)b + ALIGNMENT - page_size(), whole_pages(b->bytes));
    else
        free_aligned(b);
}
#else
static block *fresh_block(size_t bytes) { return aligned_memory(ALIGNMENT, bytes + ALIGNMENT); }
static void give_back(block *b) { free_aligned(b); }
#endif

/* Take cached blocks, the largest first, until at most `keep` bytes are cached; the caller frees the returned list. */
static block *take_surplus(size_t keep) {
    block *surplus = NULL;
    for (int class = CLASSES - 1; class >= 0 && cache.cached > keep; class--)
        while (cache.free[class] && cache.cached > keep) {
            block *b = cache.free[class];
            cache.free[class] = b->next;
            cache.cached -= b->bytes;
            b->next = surplus;
            surplus = b;
        }
    return surplus;
}

static void release(block *list) {
    while (list) {
        block *next = list->next;
        give_back(list);
        list = next;
    }
}

void *fnn_alloc(size_t bytes) {
    size_t rounded;
    int class = size_class(bytes, &rounded);
    if (class < 0)
        return NULL;
    pthread_mutex_lock(&cache.lock);
    block *b = KEEP ? cache.free[class] : NULL;
    if (b) {
        cache.free[class] = b->next;
        cache.cached -= rounded;
    }
    cache.live += rounded;
    if (cache.live > cache.most_live)
        cache.most_live = cache.live;
    pthread_mutex_unlock(&cache.lock);
    if (!b) {
        b = fresh_block(rounded);
        if (!b) { /* release the cache and try once more */
            fnn_empty_cache();
            b = fresh_block(rounded);
        }
        if (!b) {
            pthread_mutex_lock(&cache.lock);
            cache.live -= rounded;
            cache.most_live = cache.live; /* a failed request must not raise the limit of the cache */
            pthread_mutex_unlock(&cache.lock);
            return NULL;
        }
        b->bytes = rounded;
        b->class = class;
    }
    return (char *)b + ALIGNMENT;
}

void fnn_free(void *memory) {
    if (!memory)
        return;
    block *b = (block *)((char *)memory - ALIGNMENT);
    pthread_mutex_lock(&cache.lock);
    cache.live -= b->bytes;
    if (!KEEP) {
        pthread_mutex_unlock(&cache.lock);
        give_back(b);
        return;
    }
    cache.cached += b->bytes;
    b->next = cache.free[b->class];
    cache.free[b->class] = b;
    size_t allowed = cache.most_live + cache.most_live / 2 + SLACK;
    block *surplus = cache.live + cache.cached > allowed ? take_surplus(allowed - cache.live) : NULL;
    pthread_mutex_unlock(&cache.lock);
    release(surplus);
}

void fnn_empty_cache(void) {
    pthread_mutex_lock(&cache.lock);
    block *surplus = take_surplus(0);
    cache.most_live = cache.live;
    pthread_mutex_unlock(&cache.lock);
    release(surplus);
}

void fnn_memory_stats(size_t *live, size_t *cached) {
    pthread_mutex_lock(&cache.lock);
    *live = cache.live;
    *cached = cache.cached;
    pthread_mutex_unlock(&cache.lock);
}

/* A fork while another thread holds the lock must not leave the child a locked cache. */
static void lock_cache(void) { pthread_mutex_lock(&cache.lock); }
static void unlock_cache(void) { pthread_mutex_unlock(&cache.lock); }
__attribute__((constructor)) static void register_fork(void) { at_fork(lock_cache, unlock_cache, unlock_cache); }
