"""The interface of `fastnn._runtime` to the ISA tiers, the thread pool and the allocator."""
from fastnn._kernels.fnn cimport fnn_task, fnn_tiles

cdef extern from "fnn.h" nogil:
    int fnn_isa_count()
    const char *fnn_isa_name(int tier)
    int fnn_isa_supported(int tier)
    void fnn_isa_use(int tier)
    fnn_tiles *fnn_tiles_now(int is_double)
    void fnn_parallel(fnn_task task, void *job, Py_ssize_t chunks, int threads, double work)
    int fnn_threads()
    void fnn_set_threads(int threads)
    void *fnn_alloc(size_t nbytes)
    void fnn_free(void *block)
    void fnn_empty_cache()
    void fnn_memory_stats(size_t *live, size_t *cached)


cdef fnn_tiles *tiles(bint is_double) noexcept nogil:
    return fnn_tiles_now(is_double)


cdef void parallel(fnn_task task, void *job, Py_ssize_t chunks, int threads, double work) noexcept nogil:
    fnn_parallel(task, job, chunks, threads, work)


cdef int threads() noexcept nogil:
    return fnn_threads()


cdef void *allocate(Py_ssize_t nbytes) noexcept nogil:
    return fnn_alloc(<size_t> nbytes)


cdef void release(void *block) noexcept nogil:
    fnn_free(block)


def isa_names():
    """The tiers of this build that this CPU runs, from the plainest to the widest."""
    return tuple(fnn_isa_name(t).decode() for t in range(fnn_isa_count()) if fnn_isa_supported(t))


def use_isa(str name):
    """Use the tier `name`, which must be one of `isa_names()`."""
    for t in range(fnn_isa_count()):
        if fnn_isa_name(t).decode() == name and fnn_isa_supported(t):
            fnn_isa_use(t)
            return
    raise ValueError(name)


def isa():
    """The tier in use, read from its table and not from what was asked for."""
    return fnn_tiles_now(0).isa.decode()


def set_threads(int n):
    fnn_set_threads(n)


def get_threads():
    return fnn_threads()


def empty_cache():
    fnn_empty_cache()


def memory_stats():
    """The bytes in use, and the bytes in the cache."""
    cdef size_t live, cached
    fnn_memory_stats(&live, &cached)
    return live, cached
