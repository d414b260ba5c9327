# Rows normalised by their own moments, for the plans of whole networks. See `_rownorm.pyx` for N, G, S and P.
from fastnn._kernels.direction cimport Direction
from fastnn._kernels.fnn cimport fnn_tiles

cdef struct Rows:
    fnn_tiles *t
    Direction direction
    Py_ssize_t N, G, S, P
    Py_ssize_t length   # of a row
    Py_ssize_t first    # row of a forward: x and out begin `first` rows before it, for sums depend on a row's place
    Py_ssize_t group    # rows of a chunk, or, where gradients are patterns, images
    bint spread         # weights are a pattern over the row
    const char *x
    const char *dy
    char *out           # y or dx, or NULL if it is not wanted
    const char *weight  # (G*S,), or NULL
    const char *bias
    char *mean          # (N*G,)
    char *invstd
    double *var         # or NULL
    char *dw            # (G*S,), or NULL
    char *db
    const char *pattern  # G*length, weights and biases
    const char *shift
    double *totals      # N x G*S, or G*length for patterns: the sums of dy, and of dy*(x - mean)*invstd
    double *slopes
    char *sums          # for each thread: 2 x length, those of patterns as they are added up
    double eps


# N images of G rows of S segments of P elements. `weights`: there are weights, biases or gradients of them; without
# any, a row is one segment. Forward, and all pointers are NULL yet.
cdef Rows describe_rows(fnn_tiles *t, Py_ssize_t N, Py_ssize_t G, Py_ssize_t S, Py_ssize_t P,
                        bint weights) noexcept nogil
# All of a forward or of a backward. False when there is no memory.
cdef bint normalise_rows(Rows *g, int workers) noexcept nogil
