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
    int64_t *counts         # the picks of each row; for a row picked often, -1 - its place among the totals
    double *totals          # (rows picked often, D)
    int64_t *added          # the gradients of each of these rows that were added so far


# target (count, D) = the rows of source (rows, D) at the indices, each of which must be from 0 to rows - 1.
cdef void look_up(Lookup *g, int workers) noexcept nogil
# target (rows, D) = for each row the sum of those of source (count, D) that have its index. False: no memory.
cdef bint table_gradient(Lookup *g, int workers) noexcept nogil
