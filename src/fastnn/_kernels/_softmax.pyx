"""Softmax and its logarithm along an axis that is not the last: the places of an image are columns of its classes."""
from fastnn._kernels._table cimport parallel, threads, tiles
from fastnn._kernels.fnn cimport begin, ceil_div, fnn_tiles

ctypedef fused real:
    float
    double

cdef enum:
    CHUNK = 16384  # elements of a chunk, at least
    VECTORS = 4    # of a strip of columns

cdef struct Columns:
    fnn_tiles *t
    Py_ssize_t images, K, P  # each of the P places of an image has K scores
    Py_ssize_t width, strips  # columns of a strip, strips of an image
    Py_ssize_t group          # strips of a chunk
    const char *x
    const char *dy            # NULL, or backward: y is the gradient from dy and x, which is the output
    char *y
    bint logged


cdef void columns_chunk(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Columns *g = <const Columns *> job
    cdef Py_ssize_t i, first, at
    for i in range(chunk * g.group, min(g.images * g.strips, (chunk + 1) * g.group)):
        first = i % g.strips * g.width
        at = (i // g.strips * g.K * g.P + first) * g.t.itemsize
        if g.dy == NULL:
            g.t.softmax_columns(g.x + at, g.y + at, min(g.width, g.P - first), g.K, g.P, g.logged)
        else:
            g.t.softmax_columns_backward(g.dy + at, g.x + at, g.y + at, min(g.width, g.P - first), g.K, g.P, g.logged)


cdef Columns describe(const real[:, :, ::1] x, real[:, :, ::1] y, bint logged) noexcept:
    cdef Columns g
    g.t, g.images, g.K, g.P, g.logged = tiles(real is double), x.shape[0], x.shape[1], x.shape[2], logged
    g.width = VECTORS * g.t.lanes
    g.strips = ceil_div(g.P, g.width)
    g.group = max(<Py_ssize_t> 1, CHUNK // max(g.K * min(g.P, g.width), <Py_ssize_t> 1))
    g.x, g.dy, g.y = begin(x), NULL, begin(y)
    return g


cdef void run(Columns *g, double work) noexcept:
    with nogil:
        parallel(columns_chunk, g, ceil_div(g.images * g.strips, g.group), threads(), work * g.images * g.K * g.P)


def softmax_forward(const real[:, :, ::1] x, real[:, :, ::1] y, bint logged):
    """y = the softmax of x (N, K, P) along its second axis, or with `logged` its logarithm. No overlap.

    REDUCTION(K + 6), or with `logged` REDUCTION(K + 10).
    """
    cdef Columns g = describe(x, y, logged)
    run(&g, 4)


def softmax_backward(const real[:, :, ::1] dy, const real[:, :, ::1] y, real[:, :, ::1] dx, bint logged):
    """dx (N, K, P) from dy and from y, the output of the forward. No overlap. REDUCTION(K + 6)."""
    cdef Columns g = describe(y, dx, logged)
    g.dy = begin(dy)
    run(&g, 4 if logged else 2)
