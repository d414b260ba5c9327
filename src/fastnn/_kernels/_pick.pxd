# Elements of each example picked in a regular way: slices, parts, axes in another order.
from fastnn._kernels.fnn cimport fnn_tiles

cdef enum:
    MOST_AXES = 6

cdef struct Pick:
    fnn_tiles *t
    Py_ssize_t axes, rest         # of the last two axes is a plane; `rest` planes
    Py_ssize_t lengths[MOST_AXES]
    Py_ssize_t strides[MOST_AXES]  # elements of an example
    Py_ssize_t start              # elements before the first
    Py_ssize_t size, count        # elements of an example, and those that are picked
    char *whole                   # examples of `size`
    char *picked                  # examples of `count`
    bint back                     # whole = picked at their places, and 0 elsewhere


# From the axes of what is picked, at least two pairs of length and stride. No element is picked twice.
cdef Pick describe_pick(fnn_tiles *t, Py_ssize_t size, Py_ssize_t start, tuple axes) except *
# Writes all of `picked` for n examples, or with `back` all of `whole`.
cdef void pick(Pick *g, Py_ssize_t n, int workers) noexcept nogil
