"""The gradients of convolution: each that was asked for, its way (see `_conv_ways`)."""
from libc.string cimport memset

from fastnn._kernels._conv_input cimport input_gradient
from fastnn._kernels._conv_one_pass cimport one_pass
from fastnn._kernels._conv_weight cimport weight_gradient
from fastnn._kernels._conv_ways cimport ONE_PASS, WINOGRAD, Way, input_way, weight_way
from fastnn._kernels._conv_winograd cimport DONE, NOT_FINITE, Outcome
from fastnn._kernels._conv_winograd_weight cimport winograd_weight
from fastnn._kernels._table cimport parallel, threads, tiles
from fastnn._kernels.gradients cimport Gradients

ctypedef fused real:
    float
    double

cdef void bias_chunk(void *job, Py_ssize_t o, int slot) noexcept nogil:
    cdef const Gradients *a = <const Gradients *> job
    cdef Py_ssize_t n, size = a.t.itemsize, P = a.OH * a.OW
    memset(a.db + o * size, 0, size)
    for n in range(a.N):
        a.t.sum(a.db + o * size, a.dy + (n * a.O + o) * P * size, P)


cdef bint gradients(const Gradients *a) noexcept nogil:
    """False when there is no memory."""
    cdef Py_ssize_t K = a.C * a.KH * a.KW
    cdef Gradients rest = a[0]
    cdef Outcome outcome
    cdef Way way
    if a.N == 0:
        if a.dw != NULL:
            memset(a.dw, 0, a.O * K * a.t.itemsize)
        if a.db != NULL:
            memset(a.db, 0, a.O * a.t.itemsize)
        return True
    if a.db != NULL and a.dw == NULL:
        parallel(bias_chunk, <void *> a, a.O, threads(), <double> a.N * a.O * a.OH * a.OW)
        rest.db = NULL
    if a.dx != NULL and input_way(a) == ONE_PASS:
        return one_pass(&rest)
    if a.dx != NULL and not input_gradient(a):
        return False
    if a.dw == NULL:
        return True
    rest.dx = NULL
    way = weight_way(a)
    if way == ONE_PASS:
        return one_pass(&rest)
    if way == WINOGRAD:
        outcome = winograd_weight(a)
        if outcome != NOT_FINITE:
            return outcome == DONE
    return weight_gradient(a)


def conv2d_backward(const real[:, :, :, ::1] dy, const real[:, :, :, ::1] x, const real[:, :, :, ::1] w,
                    real[:, :, :, ::1] dx, real[:, :, :, ::1] dw, real[::1] db, Py_ssize_t SH, Py_ssize_t SW,
                    Py_ssize_t PH, Py_ssize_t PW):
    """dx (N, C, H, W), dw (O, C, KH, KW), db (O,), each if it is not None, from dy (N, O, OH, OW), x and w.

    Writes all of them; no overlap. REDUCTION(O*KH*KW) for dx, REDUCTION(N*OH*OW) for dw and db.
    """
    cdef Gradients a
    cdef bint enough
    a.t = tiles(real is double)
    a.N, a.C, a.H, a.W = x.shape[0], x.shape[1], x.shape[2], x.shape[3]
    a.O, a.KH, a.KW, a.OH, a.OW = w.shape[0], w.shape[2], w.shape[3], dy.shape[2], dy.shape[3]
    a.SH, a.SW, a.PH, a.PW = SH, SW, PH, PW
    a.dy, a.x, a.w = <const char *> &dy[0, 0, 0, 0], <const char *> &x[0, 0, 0, 0], <const char *> &w[0, 0, 0, 0]
    a.dx = <char *> &dx[0, 0, 0, 0] if dx is not None else NULL
    a.dw = <char *> &dw[0, 0, 0, 0] if dw is not None else NULL
    a.db = <char *> &db[0] if db is not None else NULL
    with nogil:
        enough = gradients(&a)
    if not enough:
        raise MemoryError("no memory for the workspace of a convolution's gradients")
