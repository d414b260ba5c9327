# The C part of fastnn is linked into _table alone: the tiles of every tier, the thread pool and the allocator. The
# other kernels reach it through these functions, which Cython binds at import.
from fastnn._kernels.fnn cimport fnn_task, fnn_tiles

cdef fnn_tiles *tiles(bint is_double) noexcept nogil
cdef void parallel(fnn_task task, void *job, Py_ssize_t chunks, int threads, double work) noexcept nogil
cdef int threads() noexcept nogil
cdef void *allocate(Py_ssize_t nbytes) noexcept nogil
cdef void release(void *block) noexcept nogil
