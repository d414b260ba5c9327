"""Local response normalisation: an image is done in strips of pixels that stay in the cache for all channels."""
from libc.string cimport memset

from fastnn._kernels._table cimport allocate, parallel, release, threads, tiles
from fastnn._kernels.fnn cimport begin, ceil_div, fits, fnn_tiles

ctypedef fused real:
    float
    double

cdef enum:
    STRIP = 32768  # elements, of all channels together
    PIXELS = 64    # of a strip, at least

cdef struct Local:
    fnn_tiles *t
    Py_ssize_t N, C, P
    Py_ssize_t before, after  # channels of a window on either side
    Py_ssize_t width, strips  # pixels of a strip, strips of an image
    const char *x
    const char *dy
    char *out
    char *workspace
    double alpha, beta, k


cdef void strip(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    """y, or with dy the gradient, of one strip of one image."""
    cdef const Local *g = <const Local *> job
    cdef Py_ssize_t size = g.t.itemsize, pixel = chunk % g.strips * g.width, n = min(g.width, g.P - pixel)
    cdef Py_ssize_t c, first, last
    cdef Py_ssize_t at = (chunk // g.strips * g.C * g.P + pixel) * size, plane = g.P * size
    cdef char *sums = g.workspace + slot * (g.C + 1) * g.width * size
    cdef char *terms = sums + g.width * size
    for c in range(g.C):
        first, last = max(c - g.before, <Py_ssize_t> 0), min(c + g.after, g.C - 1)
        g.t.local_squares(g.x + at + first * plane, g.P, last - first + 1, sums, n)
        g.t.local_scale((g.x if g.dy == NULL else g.dy) + at + c * plane, g.x + at + c * plane, sums,
                        g.out + at + c * plane, NULL if g.dy == NULL else terms + c * g.width * size, n, g.alpha,
                        g.beta, g.k)
    for c in range(g.C if g.dy != NULL else 0):
        first, last = max(c - g.after, <Py_ssize_t> 0), min(c + g.before, g.C - 1)
        memset(sums, 0, n * size)
        g.t.sum_rows(sums, terms + first * g.width * size, g.width, last - first + 1, n)
        g.t.local_spread(g.out + at + c * plane, g.x + at + c * plane, sums, n, 2 * g.alpha * g.beta)


cdef int run(Local *g, Py_ssize_t N, Py_ssize_t C, Py_ssize_t P, Py_ssize_t size, double alpha, double beta,
             double k) except -1:
    cdef int workers
    g.N, g.C, g.P, g.before, g.after = N, C, P, size // 2, (size - 1) // 2
    g.alpha, g.beta, g.k = alpha / size, beta, k
    g.width = min(P, max(<Py_ssize_t> PIXELS, STRIP // C // PIXELS * PIXELS))
    g.strips = ceil_div(P, g.width)
    g.workspace = NULL
    with nogil:
        workers = threads()
        if fits(<double> workers * (C + 1) * g.width * g.t.itemsize):
            g.workspace = <char *> allocate(workers * (C + 1) * g.width * g.t.itemsize)
        if g.workspace != NULL:
            parallel(strip, g, N * g.strips, workers, 8.0 * N * C * P)
            release(g.workspace)
    if g.workspace == NULL:
        raise MemoryError("no memory for the sums over channels")
    return 0


def local_response_norm(const real[:, :, ::1] x, real[:, :, ::1] y, Py_ssize_t size, double alpha, double beta,
                        double k):
    """y = x/d^beta, d = k + alpha/size*(the sum of x^2 over the channels c - size//2 .. c + (size - 1)//2).

    x, y (N, C, P); no overlap. A relative error of beta*(size + 3) + 8 roundings.
    """
    cdef Local g
    g.t, g.x, g.dy, g.out = tiles(real is double), begin(x), NULL, begin(y)
    run(&g, x.shape[0], x.shape[1], x.shape[2], size, alpha, beta, k)


def local_response_norm_backward(const real[:, :, ::1] dy, const real[:, :, ::1] x, real[:, :, ::1] dx,
                                 Py_ssize_t size, double alpha, double beta, double k):
    """dx of local_response_norm; all (N, C, P), no overlap."""
    cdef Local g
    g.t, g.x, g.dy = tiles(real is double), begin(x), begin(dy)
    g.out = begin(dx)
    run(&g, x.shape[0], x.shape[1], x.shape[2], size, alpha, beta, k)
