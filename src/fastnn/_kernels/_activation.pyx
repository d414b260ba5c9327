"""Activations element by element, softmax row by row, and sums of two arrays."""
from libc.string cimport memcpy

from fastnn._kernels._table cimport parallel, threads, tiles

ctypedef fused real:
    float
    double

cdef enum:
    CHUNK = 16384  # elements
    BLOCK = 2048   # elements of a sum, in the first-level cache


cdef void run_chunk(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Map *g = <const Map *> job
    cdef Py_ssize_t i
    for i from chunk * g.chunk <= i < min(g.total, (chunk + 1) * g.chunk) by g.step:
        if g.binary != NULL:
            g.binary(g.a + i * g.size, g.b + i * g.size, g.out + i * g.size, min(g.step, g.total - i))
        else:
            g.unary(g.a + i * g.size, g.out + i * g.size, min(g.step, g.total - i))


cdef Map describe_map(unary_tile unary, binary_tile binary, Py_ssize_t total, Py_ssize_t row, Py_ssize_t size,
                      double cost) noexcept nogil:
    cdef Map g
    g.unary, g.binary, g.total, g.size, g.cost = unary, binary, total, size, cost
    g.step = row if row else CHUNK
    g.chunk = g.step * max(<Py_ssize_t> 1, CHUNK // g.step)
    return g


cdef void apply(Map *g, const void *a, const void *b, void *out, int workers) noexcept nogil:
    g.a, g.b, g.out = <const char *> a, <const char *> b, <char *> out
    parallel(run_chunk, g, (g.total + g.chunk - 1) // g.chunk, workers, g.cost * g.total)


cdef void run(unary_tile unary, binary_tile binary, const void *a, const void *b, void *out, Py_ssize_t total,
              Py_ssize_t row, Py_ssize_t size, double cost) noexcept nogil:
    cdef Map g
    if total:
        g = describe_map(unary, binary, total, row, size, cost)
        apply(&g, a, b, out, threads())


cdef void add_chunk(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Sum *g = <const Sum *> job
    cdef Py_ssize_t size = g.t.itemsize, i, n
    cdef char *y
    for i from chunk * CHUNK <= i < min(g.total, (chunk + 1) * CHUNK) by BLOCK:
        n, y = min(<Py_ssize_t> BLOCK, g.total - i), g.y + i * size
        if y != g.a + i * size:
            memcpy(y, g.a + i * size, n * size)
        g.t.add(y, n, g.b + i * size, n, 1, n)
        if g.relu:
            g.t.relu(y, y, n)


cdef void add_up(Sum *g, int workers) noexcept nogil:
    parallel(add_chunk, g, (g.total + CHUNK - 1) // CHUNK, workers, 2 * <double> g.total)


def add(const real[::1] a, const real[::1] b, real[::1] y, bint relu):
    """y = a + b, its ReLU if asked for; all (n,). REDUCTION(2)."""
    cdef Sum g
    g.t, g.total, g.relu = tiles(real is double), a.shape[0], relu
    g.a, g.b, g.y = <const char *> &a[0], <const char *> &b[0], <char *> &y[0]
    with nogil:
        add_up(&g, threads())


def relu_forward(const real[::1] x, real[::1] y):
    """y = max(x, 0), NaN stays; all (n,). EXACT."""
    with nogil:
        run(tiles(real is double).relu, NULL, &x[0], NULL, &y[0], x.shape[0], 0, sizeof(real), 1)


def relu_backward(const real[::1] dy, const real[::1] y, real[::1] dx):
    """dx = dy where y > 0, else 0; all (n,). EXACT."""
    with nogil:
        run(NULL, tiles(real is double).relu_backward, &dy[0], &y[0], &dx[0], dy.shape[0], 0, sizeof(real), 1)


def sigmoid_forward(const real[::1] x, real[::1] y):
    """y = 1/(1 + exp(-x)); all (n,). REDUCTION(4)."""
    with nogil:
        run(tiles(real is double).sigmoid, NULL, &x[0], NULL, &y[0], x.shape[0], 0, sizeof(real), 4)


def sigmoid_backward(const real[::1] dy, const real[::1] y, real[::1] dx):
    """dx = dy*y*(1 - y); all (n,). REDUCTION(2)."""
    with nogil:
        run(NULL, tiles(real is double).sigmoid_backward, &dy[0], &y[0], &dx[0], dy.shape[0], 0, sizeof(real), 1)


def tanh_forward(const real[::1] x, real[::1] y):
    """y = tanh(x); all (n,). REDUCTION(4)."""
    with nogil:
        run(tiles(real is double).tanh, NULL, &x[0], NULL, &y[0], x.shape[0], 0, sizeof(real), 4)


def tanh_backward(const real[::1] dy, const real[::1] y, real[::1] dx):
    """dx = dy*(1 - y*y); all (n,). REDUCTION(2)."""
    with nogil:
        run(NULL, tiles(real is double).tanh_backward, &dy[0], &y[0], &dx[0], dy.shape[0], 0, sizeof(real), 1)


def softmax_forward(const real[:, ::1] x, real[:, ::1] y):
    """y = exp(x - max)/sum, by rows; all (rows, n). REDUCTION(n + 4)."""
    with nogil:
        run(tiles(real is double).softmax_row, NULL, &x[0, 0], NULL, &y[0, 0], x.shape[0] * x.shape[1], x.shape[1],
            sizeof(real), 4)


def softmax_backward(const real[:, ::1] dy, const real[:, ::1] y, real[:, ::1] dx):
    """dx = y*(dy - sum(dy*y)), by rows; all (rows, n). REDUCTION(n + 2)."""
    with nogil:
        run(NULL, tiles(real is double).softmax_backward_row, &dy[0, 0], &y[0, 0], &dx[0, 0],
            dy.shape[0] * dy.shape[1], dy.shape[1], sizeof(real), 2)


def log_softmax_forward(const real[:, ::1] x, real[:, ::1] y):
    """y = x - max - log(sum(exp(x - max))), by rows; all (rows, n). REDUCTION(n + 4)."""
    with nogil:
        run(tiles(real is double).log_softmax_row, NULL, &x[0, 0], NULL, &y[0, 0], x.shape[0] * x.shape[1],
            x.shape[1], sizeof(real), 4)


def log_softmax_backward(const real[:, ::1] dy, const real[:, ::1] y, real[:, ::1] dx):
    """dx = dy - exp(y)*sum(dy), by rows; all (rows, n). REDUCTION(n + 4)."""
    with nogil:
        run(NULL, tiles(real is double).log_softmax_backward_row, &dy[0, 0], &y[0, 0], &dx[0, 0],
            dy.shape[0] * dy.shape[1], dy.shape[1], sizeof(real), 4)
