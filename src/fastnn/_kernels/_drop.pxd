# Dropout, for the plan of a training step.
from libc.stdint cimport uint64_t

from fastnn._kernels.fnn cimport fnn_tiles

cdef struct Drop:
    fnn_tiles *t
    Py_ssize_t rows, n  # a row is kept or dropped as a whole
    Py_ssize_t chunk    # rows of a chunk
    const char *x
    char *y
    uint64_t stream, step
    uint64_t threshold  # from 0 to 2**32; with 2**32 no row is kept
    double scale


# Write y from x, and set `chunk`. A row is kept if its random word is at least `threshold`.
cdef void drop_rows(Drop *g, int workers) noexcept nogil
