# Rows normalised by their own moments, for the plans of whole networks. See `_rownorm.pyx` for N, G, S and P.
from fastnn._kernels.direction cimport Direction
from fastnn._kernels.fnn cimport fnn_tiles

cdef struct Rows:
    fnn_tiles *t
    Direction direction
    Py_ssize_t N, G, S, P
    Py_ssize_t length   # elements of a row
    Py_ssize_t first    # first row of a forward; x and out begin at row 0, because sums depend on a row's place
    Py_ssize_t group    # rows of a chunk; in a backward with `spread`, images of a chunk
    bint spread         # the weights are spread to a pattern over the row
    const char *x
    const char *dy
    char *out           # y or dx, or NULL if the caller does not want it
    const char *weight  # (G*S,), or NULL
    const char *bias
    char *mean          # (N*G,)
    char *invstd
    double *var         # or NULL
    char *dw            # (G*S,), or NULL
    char *db
    const char *pattern  # (G*length,), the weights of a pattern
    const char *shift    # (G*length,), its biases
    double *totals      # sums of dy: (N, G*S), or with `spread` (parts, G*length)
    double *slopes      # sums of dy*(x - mean)*invstd, of the same shape
    char *sums          # for each thread (2, length): the sums of IMAGES images or fewer, with `spread`
    double eps


# Describe a forward for N images of G rows of S segments of P elements. `weights` says that there are weights, biases
# or gradients of them; otherwise a row is one segment. All pointers are NULL; the caller sets those that it needs.
cdef Rows describe_rows(fnn_tiles *t, Py_ssize_t N, Py_ssize_t G, Py_ssize_t S, Py_ssize_t P,
                        bint weights) noexcept nogil
# Run a forward or a backward. False when there is no memory.
cdef bint normalise_rows(Rows *g, int workers) noexcept nogil
