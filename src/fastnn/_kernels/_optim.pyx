"""Optimisers' steps, in place, one pass over the parameter."""
from fastnn._kernels._table cimport parallel, threads, tiles
from fastnn._kernels.fnn cimport fnn_tiles

ctypedef fused real:
    float
    double

cdef enum:
    CHUNK = 16384  # elements

cdef struct Step:
    fnn_tiles *t
    Py_ssize_t n
    char *p
    const char *g
    char *v  # or NULL
    double lr, momentum, weight_decay
    bint nesterov


cdef void sgd_chunk(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Step *s = <const Step *> job
    cdef Py_ssize_t first = chunk * CHUNK, at = first * s.t.itemsize
    s.t.sgd(s.p + at, s.g + at, s.v + at if s.v != NULL else NULL, min(<Py_ssize_t> CHUNK, s.n - first), s.lr,
            s.momentum, s.weight_decay, s.nesterov)


def sgd_step(real[::1] p, const real[::1] g, real[::1] v, double lr, double momentum, double weight_decay,
             bint nesterov):
    """v = momentum*v + (g + weight_decay*p); p -= lr*(v, or with nesterov g + weight_decay*p + momentum*v).

    p, g, v (n,); v None when momentum is 0. Changes p and v in place; they do not overlap. REDUCTION(4).
    """
    cdef Step s
    s.t, s.n, s.p, s.g = tiles(real is double), p.shape[0], <char *> &p[0], <const char *> &g[0]
    s.v = NULL if v is None else <char *> &v[0]
    s.lr, s.momentum, s.weight_decay, s.nesterov = lr, momentum, weight_decay, nesterov
    with nogil:
        parallel(sgd_chunk, &s, (s.n + CHUNK - 1) // CHUNK, threads(), <double> s.n)
