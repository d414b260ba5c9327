"""Local response normalisation, in strips of pixels whose channels all stay in the cache.

docs/dev/normalisation.md draws the strips.
"""
from libc.math cimport INFINITY, fabs, pow
from libc.string cimport memset

from fastnn._kernels._table cimport allocate, parallel, release, threads, tiles
from fastnn._kernels.direction cimport BACKWARD, FORWARD
from fastnn._kernels.fnn cimport begin, ceil_div, fits, fnn_tiles
from fastnn._kernels.scaled cimport unit_of

ctypedef fused real:
    float
    double

cdef enum:
    STRIP = 32768  # elements of a strip, of all channels together
    PIXELS = 64    # the least pixels of a strip

cdef void strip(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    """Write y or dx for one strip of one image."""
    cdef const Local *g = <const Local *> job
    cdef Py_ssize_t size = g.t.itemsize, pixel = chunk % g.strips * g.width, n = min(g.width, g.P - pixel)
    cdef Py_ssize_t c, first, last
    cdef Py_ssize_t at = (chunk // g.strips * g.C * g.P + pixel) * size, plane = g.P * size
    cdef double *far_terms = <double *> (g.workspace + slot * g.workspace_step)
    cdef char *sums = <char *> (far_terms + g.C)
    cdef char *terms = sums + g.width * size
    cdef bint near = True, backward = g.direction == BACKWARD
    for c in range(g.C):
        first, last = max(c - g.before, <Py_ssize_t> 0), min(c + g.after, g.C - 1)
        g.t.local_squares(g.x + at + first * plane, g.P, last - first + 1, sums, n)
        near &= g.t.local_scale((g.dy if backward else g.x) + at + c * plane, g.x + at + c * plane, sums,
                                g.out + at + c * plane, terms + c * g.width * size if backward else NULL, n,
                                g.alpha, g.beta, g.k)
    if not near:
        if size == sizeof(float):
            far_strip(g, <const float *> (g.x + at), <const float *> (g.dy + at if backward else NULL),
                      <float *> (g.out + at), n, far_terms)
        else:
            far_strip(g, <const double *> (g.x + at), <const double *> (g.dy + at if backward else NULL),
                      <double *> (g.out + at), n, far_terms)
        return
    for c in range(g.C if backward else 0):
        first, last = max(c - g.after, <Py_ssize_t> 0), min(c + g.before, g.C - 1)
        memset(sums, 0, n * size)
        g.t.sum_rows(sums, terms + first * g.width * size, g.width, last - first + 1, n)
        g.t.local_spread(g.out + at + c * plane, g.x + at + c * plane, sums, n, 2 * g.alpha * g.beta)


cdef void far_strip(const Local *g, const real *x, const real *dy, real *out, Py_ssize_t n,
                    double *terms) noexcept nogil:
    """Write y or dx for a strip of n pixels whose squares leave the range of the dtype.

    Works pixel by pixel in double precision, on x*unit, where `unit` is a power of two. The divisor d of x*unit is the
    divisor of x times unit^2.
    """
    cdef Py_ssize_t j, c, i
    cdef double most, unit, total, d, each
    for j in range(n):
        most = 0
        for c in range(g.C):
            most = max(most, fabs(<double> x[c * g.P + j]))
        unit = unit_of(most) if 0 < most < INFINITY else 1
        for c in range(g.C):
            total = 0
            for i in range(max(c - g.before, <Py_ssize_t> 0), min(c + g.after, g.C - 1) + 1):
                each = x[i * g.P + j] * unit
                total += each * each
            d = g.k * unit * unit + g.alpha * total
            each = x[c * g.P + j] * unit
            if g.direction == FORWARD:
                out[c * g.P + j] = <real> (each / pow(d, g.beta) * pow(unit, 2 * g.beta - 1))
            else:
                terms[c] = dy[c * g.P + j] / pow(d, g.beta) * pow(unit, 2 * g.beta)
                out[c * g.P + j] = <real> terms[c]
                terms[c] *= each / d
        for c in range(g.C if g.direction == BACKWARD else 0):
            total = 0
            for i in range(max(c - g.after, <Py_ssize_t> 0), min(c + g.before, g.C - 1) + 1):
                total += terms[i]
            out[c * g.P + j] -= <real> (2 * g.alpha * g.beta * (x[c * g.P + j] * unit) * total)


cdef Local describe_local(fnn_tiles *t, Py_ssize_t C, Py_ssize_t P, Py_ssize_t size, double alpha, double beta,
                          double k) noexcept nogil:
    cdef Local g
    g.t, g.C, g.P, g.before, g.after = t, C, P, size // 2, (size - 1) // 2
    g.direction, g.alpha, g.beta, g.k = FORWARD, alpha / size, beta, k
    g.x, g.dy, g.out, g.workspace, g.workspace_step = NULL, NULL, NULL, NULL, 0
    g.width = min(P, max(<Py_ssize_t> PIXELS, STRIP // C // PIXELS * PIXELS))
    g.strips = ceil_div(P, g.width)
    return g


cdef bint normalise_locally(Local *g, Py_ssize_t N, int workers) noexcept nogil:
    cdef Py_ssize_t C = g.C
    if not fits(<double> workers * (C + 1) * (g.width * g.t.itemsize + sizeof(double))):
        return False
    g.workspace_step = ceil_div((C + 1) * g.width * g.t.itemsize, sizeof(double)) * sizeof(double)
    g.workspace_step += C * sizeof(double)
    g.workspace = <char *> allocate(workers * g.workspace_step)
    if g.workspace == NULL:
        return False
    parallel(strip, g, N * g.strips, workers, 8.0 * N * C * g.P)
    release(g.workspace)
    return True


cdef int run(Local *g, Py_ssize_t N) except -1:
    cdef bint enough
    with nogil:
        enough = normalise_locally(g, N, threads())
    if not enough:
        raise MemoryError("no memory for the sums over channels")
    return 0


def local_response_norm(const real[:, :, ::1] x, real[:, :, ::1] y, Py_ssize_t size, double alpha, double beta,
                        double k):
    """y = x/d^beta, with d = k + alpha/size*(the sum of x^2 over the channels c - size//2 to c + (size - 1)//2).

    x, y (N, C, P); no overlap. The relative error is at most beta*(size + 3) + 8 roundings.
    """
    cdef Local g = describe_local(tiles(real is double), x.shape[1], x.shape[2], size, alpha, beta, k)
    g.x, g.out = begin(x), begin(y)
    run(&g, x.shape[0])


def local_response_norm_backward(const real[:, :, ::1] dy, const real[:, :, ::1] x, real[:, :, ::1] dx,
                                 Py_ssize_t size, double alpha, double beta, double k):
    """dx of local_response_norm. All arrays are (N, C, P), without overlap."""
    cdef Local g = describe_local(tiles(real is double), x.shape[1], x.shape[2], size, alpha, beta, k)
    g.direction, g.x, g.dy = BACKWARD, begin(x), begin(dy)
    g.out = begin(dx)
    run(&g, x.shape[0])
