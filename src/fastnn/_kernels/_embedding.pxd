# Rows of a table picked by index, for the plans of whole networks.
from libc.stdint cimport int64_t

from fastnn._kernels.fnn cimport fnn_tiles

cdef struct Lookup:
    fnn_tiles *t
    Py_ssize_t count, D, rows
    Py_ssize_t parts        # forward: indices of a chunk; backward: chunks
    Py_ssize_t padding_idx  # a row without a gradient, or -1
    const int64_t *indices
    const char *source
    char *target
    int64_t *counts         # of the indices of each row, or -1 - the place among the totals of one picked often
    double *totals          # (rows picked often, D)
    int64_t *added          # how many gradients of each of them so far


# target (count, D) = the rows of source (rows, D) at the indices, which are all in it.
cdef void look_up(Lookup *g, int workers) noexcept nogil
