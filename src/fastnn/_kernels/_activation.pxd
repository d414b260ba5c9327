# Functions element by element and row by row, for the plans of whole networks.
from fastnn._kernels.fnn cimport fnn_tiles

ctypedef void (*unary_tile)(const void *x, void *y, Py_ssize_t n) noexcept nogil
ctypedef void (*binary_tile)(const void *dy, const void *y, void *dx, Py_ssize_t n) noexcept nogil

cdef struct Map:
    unary_tile unary    # out = unary(a), or
    binary_tile binary  # out = binary(a, b)
    const char *a
    const char *b
    char *out
    Py_ssize_t total    # elements
    Py_ssize_t chunk    # elements of a chunk
    Py_ssize_t step     # elements of a call: a chunk, or a row
    Py_ssize_t size     # bytes of an element
    double cost         # work units of an element


# A tile over `total` elements, in rows of `row` (0: any cut will do).
cdef Map describe_map(unary_tile unary, binary_tile binary, Py_ssize_t total, Py_ssize_t row, Py_ssize_t size,
                      double cost) noexcept nogil
cdef void apply(Map *g, const void *a, const void *b, void *out, int workers) noexcept nogil


cdef struct Sum:
    fnn_tiles *t
    const char *a
    const char *b
    char *y           # may be a
    Py_ssize_t total  # elements
    bint relu


# y = a + b, or its positive part.
cdef void add_up(Sum *g, int workers) noexcept nogil
