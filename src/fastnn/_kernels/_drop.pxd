# Dropout, for plans of training.
from libc.stdint cimport uint64_t

from fastnn._kernels.fnn cimport fnn_tiles

cdef struct Drop:
    fnn_tiles *t
    Py_ssize_t rows, n  # a row is kept or dropped as a whole
    Py_ssize_t chunk    # rows
    const char *x
    char *y
    uint64_t stream, step
    uint64_t threshold  # at most 2**32: nothing is kept then
    double scale


# y of x; `chunk` is set here. A row is kept if its random word is at least `threshold`.
cdef void drop_rows(Drop *g, int workers) noexcept nogil
