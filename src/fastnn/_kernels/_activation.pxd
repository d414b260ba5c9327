# Functions element by element and row by row, for plans.
from fastnn._kernels.direction cimport Direction
from fastnn._kernels.fnn cimport fnn_function, fnn_tiles

cdef struct Map:
    fnn_function *function
    double settings[2]
    Direction direction
    const char *x         # y = forward(x),
    const char *dy        # or y = backward(dy, x)
    char *y
    Py_ssize_t total      # elements
    Py_ssize_t chunk      # elements of a chunk
    Py_ssize_t step       # elements of a call: a chunk, or a row
    Py_ssize_t size       # bytes of an element
    fnn_tiles *t
    bint short_rows       # of a softmax: rows are in lanes
    bint logged           # its logarithm

# y of x (A, C, P), with a slope for each of the C channels.
cdef struct Prelu:
    fnn_tiles *t
    Direction direction
    Py_ssize_t C, P
    bint each             # a row is (C, P) with a slope for each column; otherwise it is (P,) with one slope
    Py_ssize_t rows, row  # elements of a row
    Py_ssize_t part       # elements of a row that a call takes
    Py_ssize_t group      # calls of a chunk
    const char *dy
    const char *x
    const char *w
    char *y               # or dx
    double *sums          # partial sums of the slopes' gradients: see sums_of


cdef struct Sum:
    fnn_tiles *t
    const char *a
    const char *b
    char *y           # may be a
    Py_ssize_t total  # elements
    bint relu


# y = a + b, or its positive part.
cdef void add_up(Sum *g, int workers) noexcept nogil
cdef struct Product:
    fnn_tiles *t
    Py_ssize_t rows, n  # elements of z, and of x for each of them
    const char *x
    const char *z
    const char *dy
    char *y             # may be x
    char *dx            # or NULL
    char *dz            # or NULL


cdef Product describe_product(fnn_tiles *t, Py_ssize_t rows, Py_ssize_t n) noexcept nogil
# y = x * z, whose elements are used n times each; or dx and dz from dy. Sums are in double precision.
cdef void multiply(Product *g, int workers) noexcept nogil
cdef void product_gradients(Product *g, int workers) noexcept nogil
# Describes a function by its place in the table, over `total` elements, in rows of `row` elements. `row` is 0 for
# functions element by element.
cdef Map describe_map(fnn_tiles *t, Py_ssize_t function, Py_ssize_t total, Py_ssize_t row, double a,
                      double b) noexcept nogil
cdef void apply(Map *g, const void *dy, const void *x, void *y, int workers) noexcept nogil
cdef Prelu describe_prelu(fnn_tiles *t, Py_ssize_t A, Py_ssize_t C, Py_ssize_t P) noexcept nogil
# Runs a PReLU; the caller has set x, w and y. False when there is no memory.
cdef bint apply_prelu(Prelu *g, int workers) noexcept nogil
# The backward; the caller has set dy, x, w, y (NULL: not wanted) and the direction. dw (C,), or NULL. False when there
# is no memory.
cdef bint prelu_gradients(Prelu *g, char *dw, int workers) noexcept nogil
