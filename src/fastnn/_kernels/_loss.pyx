"""Softmax cross-entropy by rows, on the caller's thread: batches are small against the network's work. Squared
differences, of images perhaps, in chunks."""
from libc.math cimport NAN
from libc.stdint cimport int64_t

from fastnn._kernels._table cimport allocate, parallel, release, threads, tiles
from fastnn._kernels.fnn cimport ceil_div, fnn_tiles

ctypedef fused real:
    float
    double

cdef enum:
    CHUNK = 16384  # elements
    BLOCK = 1024   # elements whose squares are added in their own precision

cdef struct Rows:
    fnn_tiles *t
    Py_ssize_t N, K
    const char *x
    const int64_t *labels  # or NULL, and then
    const char *target     # probabilities (N, K)
    const char *scale      # (N,), of the backward
    char *out              # losses (N,), or dx (N, K)
    char *row              # workspace of K


cdef void forward_rows(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Rows *g = <const Rows *> job
    if g.t.itemsize == sizeof(float):
        losses[float](g, <const float *> g.target, <float *> g.out, <const float *> g.row)
    else:
        losses[double](g, <const double *> g.target, <double *> g.out, <const double *> g.row)


cdef void losses(const Rows *g, const real *target, real *out, const real *row) noexcept nogil:
    cdef Py_ssize_t n, k
    cdef int64_t label
    cdef real total
    for n in range(g.N):
        g.t.log_softmax_row(g.x + n * g.K * g.t.itemsize, <void *> row, g.K)
        if g.labels != NULL:
            label = g.labels[n]  # checked at the door; again here, for another thread may have changed it since
            out[n] = -row[label] if 0 <= label < g.K else <real> NAN
        else:
            total = 0
            for k in range(g.K):
                total -= target[n * g.K + k] * row[k]
            out[n] = total


cdef void backward_rows(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Rows *g = <const Rows *> job
    cdef Py_ssize_t n
    for n in range(g.N):
        g.t.softmax_row(g.x + n * g.K * g.t.itemsize, g.out + n * g.K * g.t.itemsize, g.K)
    if g.t.itemsize == sizeof(float):
        slopes[float](g, <const float *> g.target, <const float *> g.scale, <float *> g.out)
    else:
        slopes[double](g, <const double *> g.target, <const double *> g.scale, <double *> g.out)


cdef void slopes(const Rows *g, const real *target, const real *scale, real *dx) noexcept nogil:
    cdef Py_ssize_t n, k
    cdef int64_t label
    cdef real mass
    for n in range(g.N):
        if g.labels != NULL:
            label = g.labels[n]
            if 0 <= label < g.K:
                dx[label] -= 1
            for k in range(g.K):
                dx[k] *= scale[n]
        else:
            mass = 0
            for k in range(g.K):
                mass += target[n * g.K + k]
            for k in range(g.K):
                dx[k] = (mass * dx[k] - target[n * g.K + k]) * scale[n]
        dx += g.K


cdef int run_losses(Rows *g) except -1:
    g.row = <char *> allocate(g.K * g.t.itemsize)
    if g.row == NULL:
        raise MemoryError("no memory for a row of scores")
    with nogil:
        parallel(forward_rows, g, 1, threads(), 0)
        release(g.row)
    return 0


def cross_entropy_labels_forward(const real[:, ::1] x, const int64_t[::1] labels, real[::1] out):
    """out (N,) = -log_softmax(x (N, K))[labels (N,)], 0 <= labels < K. REDUCTION(K + 4)."""
    cdef Rows g
    g.t, g.N, g.K = tiles(real is double), x.shape[0], x.shape[1]
    g.x, g.labels, g.target, g.out = <const char *> &x[0, 0], &labels[0], NULL, <char *> &out[0]
    run_losses(&g)


def cross_entropy_probs_forward(const real[:, ::1] x, const real[:, ::1] target, real[::1] out):
    """out (N,) = -sum(target (N, K) * log_softmax(x (N, K))). REDUCTION(2*K + 4)."""
    cdef Rows g
    g.t, g.N, g.K = tiles(real is double), x.shape[0], x.shape[1]
    g.x, g.labels, g.target, g.out = <const char *> &x[0, 0], NULL, <const char *> &target[0, 0], <char *> &out[0]
    run_losses(&g)


def cross_entropy_labels_backward(const real[:, ::1] x, const int64_t[::1] labels, const real[::1] scale,
                                  real[:, ::1] dx):
    """dx (N, K) = (softmax(x (N, K)) - one_hot(labels (N,))) * scale (N,) by rows. REDUCTION(K + 4)."""
    cdef Rows g
    g.t, g.N, g.K = tiles(real is double), x.shape[0], x.shape[1]
    g.x, g.labels, g.target = <const char *> &x[0, 0], &labels[0], NULL
    g.scale, g.out = <const char *> &scale[0], <char *> &dx[0, 0]
    with nogil:
        parallel(backward_rows, &g, 1, threads(), 0)


def cross_entropy_probs_backward(const real[:, ::1] x, const real[:, ::1] target, const real[::1] scale,
                                 real[:, ::1] dx):
    """dx (N, K) = (softmax(x)*sum(target) - target) * scale by rows; target (N, K), scale (N,). REDUCTION(2*K + 4)."""
    cdef Rows g
    g.t, g.N, g.K = tiles(real is double), x.shape[0], x.shape[1]
    g.x, g.labels, g.target = <const char *> &x[0, 0], NULL, <const char *> &target[0, 0]
    g.scale, g.out = <const char *> &scale[0], <char *> &dx[0, 0]
    with nogil:
        parallel(backward_rows, &g, 1, threads(), 0)


cdef struct Differences:
    fnn_tiles *t
    Py_ssize_t n
    const char *x
    const char *target
    char *out      # squares, or differences times scale, or NULL: of squares, the sums are wanted
    double *sums   # of the chunks
    bint squared
    double scale
    const char *scales  # one for each element, or NULL


cdef void differences(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Differences *g = <const Differences *> job
    cdef Py_ssize_t size = g.t.itemsize, start = chunk * CHUNK, n = min(<Py_ssize_t> CHUNK, g.n - start)
    cdef const char *x = g.x + start * size
    cdef const char *target = g.target + start * size
    if g.out != NULL and g.squared:
        g.t.squared_difference(x, target, g.out + start * size, n)
    elif g.out != NULL:
        g.t.scaled_difference(x, target, g.scales + start * size if g.scales != NULL else NULL, g.scale,
                              g.out + start * size, n)
    elif size == sizeof(float):
        g.sums[chunk] = sum_of_squares[float](g.t, <const float *> x, <const float *> target, n)
    else:
        g.sums[chunk] = sum_of_squares[double](g.t, <const double *> x, <const double *> target, n)


cdef double sum_of_squares(fnn_tiles *t, const real *x, const real *target, Py_ssize_t n) noexcept nogil:
    cdef real squares[BLOCK]
    cdef real part
    cdef double total = 0
    cdef Py_ssize_t at, length
    for at from 0 <= at < n by BLOCK:
        part, length = 0, min(<Py_ssize_t> BLOCK, n - at)
        t.squared_difference(x + at, target + at, squares, length)
        t.sum(&part, squares, length)
        total += part
    return total


cdef Differences describe_differences(const real[::1] x, const real[::1] target) noexcept:
    cdef Differences g
    g.t, g.n, g.x, g.target = tiles(real is double), x.shape[0], <const char *> &x[0], <const char *> &target[0]
    g.out, g.sums, g.squared, g.scales, g.scale = NULL, NULL, True, NULL, 1
    return g


cdef void run_differences(Differences *g) noexcept:
    with nogil:
        parallel(differences, g, ceil_div(g.n, CHUNK), threads(), <double> g.n)


def squared_differences(const real[::1] x, const real[::1] target, real[::1] out):
    """out = (x - target)**2; all (n,). REDUCTION(2)."""
    cdef Differences g = describe_differences(x, target)
    g.out = <char *> &out[0]
    run_differences(&g)


def sum_of_squared_differences(const real[::1] x, const real[::1] target):
    """The sum of (x - target)**2; both (n,). Blocks are added in double precision. REDUCTION(n + 2)."""
    cdef Differences g = describe_differences(x, target)
    cdef Py_ssize_t chunk, chunks = ceil_div(g.n, CHUNK)
    cdef double total = 0
    g.sums = <double *> allocate(chunks * sizeof(double))
    if g.sums == NULL:
        raise MemoryError("no memory for the sums of a loss")
    run_differences(&g)
    for chunk in range(chunks):
        total += g.sums[chunk]
    release(g.sums)
    return total


def scaled_differences(const real[::1] x, const real[::1] target, double scale, const real[::1] scales,
                       real[::1] dx):
    """dx = (x - target)*scale, or times scales unless that is None; all (n,). REDUCTION(2)."""
    cdef Differences g = describe_differences(x, target)
    g.out, g.squared, g.scale = <char *> &dx[0], False, scale
    g.scales = NULL if scales is None else <const char *> &scales[0]
    run_differences(&g)
