"""The gradients of convolution: each that was asked for, its way (see `_conv_ways`).

And transposed convolution, which is one of them.
"""
from libc.string cimport memset

from fastnn._kernels._conv cimport Conv, convolve
from fastnn._kernels._conv_input cimport input_gradient
from fastnn._kernels._conv_one_pass cimport one_pass
from fastnn._kernels._conv_weight cimport weight_gradient
from fastnn._kernels._conv_ways cimport input_way, weight_way
from fastnn._kernels._conv_winograd cimport DONE, NOT_FINITE, Outcome
from fastnn._kernels._conv_winograd_weight cimport winograd_weight
from fastnn._kernels._table cimport parallel, threads, tiles
from fastnn._kernels.fnn cimport FNN_RELU, begin, put_doubles
from fastnn._kernels.conv_gradients cimport Gradients
from fastnn._kernels.conv_way cimport ONE_PASS, WINOGRAD, Way

ctypedef fused real:
    float
    double

cdef void bias_chunk(void *job, Py_ssize_t o, int slot) noexcept nogil:
    cdef const Gradients *a = <const Gradients *> job
    cdef Py_ssize_t n, size = a.t.itemsize, P = a.OH * a.OW
    cdef double total = 0
    for n in range(a.N):
        a.t.sums(&total, a.dy + (n * a.G * a.O + o) * P * size, P, 1, P)
    put_doubles(a.db + o * size, &total, 1, size)


cdef bint gradients(const Gradients *a) noexcept nogil:
    """False when there is no memory."""
    cdef Py_ssize_t K = a.C * a.KH * a.KW
    cdef Gradients rest = a[0]
    cdef Outcome outcome
    cdef Way way
    if a.N == 0:
        if a.dw != NULL:
            memset(a.dw, 0, a.G * a.O * K * a.t.itemsize)
        if a.db != NULL:
            memset(a.db, 0, a.G * a.O * a.t.itemsize)
        return True
    if a.db != NULL and a.dw == NULL:
        parallel(bias_chunk, <void *> a, a.G * a.O, threads(), <double> a.N * a.G * a.O * a.OH * a.OW)
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
                    Py_ssize_t PH, Py_ssize_t PW, Py_ssize_t DH, Py_ssize_t DW, Py_ssize_t G):
    """dx (N, C, H, W), dw (O, C/G, KH, KW), db (O,), each if it is not None, from dy (N, O, OH, OW), x and w.

    Writes all of them; no overlap. REDUCTION(O/G*KH*KW) for dx, REDUCTION(N*OH*OW) for dw and db.
    """
    cdef Gradients a
    cdef bint enough
    a.t = tiles(real is double)
    a.N, a.C, a.H, a.W, a.G = x.shape[0], w.shape[1], x.shape[2], x.shape[3], G
    a.O, a.KH, a.KW, a.OH, a.OW = w.shape[0] // G, w.shape[2], w.shape[3], dy.shape[2], dy.shape[3]
    a.SH, a.SW, a.PH, a.PW, a.DH, a.DW = SH, SW, PH, PW, DH, DW
    a.bias, a.flags = NULL, 0
    a.dy, a.x, a.w = begin(dy), begin(x), begin(w)
    a.dx = begin(dx)
    a.dw = begin(dw)
    a.db = begin(db)
    with nogil:
        enough = gradients(&a)
    if not enough:
        raise MemoryError("no memory for the workspace of a convolution's gradients")


def conv_transpose2d_forward(const real[:, :, :, ::1] x, const real[:, :, :, ::1] w, const real[::1] b,
                             real[:, :, :, ::1] y, Py_ssize_t SH, Py_ssize_t SW, Py_ssize_t PH, Py_ssize_t PW,
                             Py_ssize_t DH, Py_ssize_t DW, Py_ssize_t G, bint relu):
    """y (N, O, OH, OW) = act(b (O,) or None + the input gradient of a convolution by w (C, O/G, KH, KW)), x its dy.

    Writes all of y; y overlaps no input. REDUCTION(C/G*KH*KW + 1).
    """
    cdef Gradients a
    cdef bint enough = True
    a.t = tiles(real is double)
    a.N, a.C, a.H, a.W, a.G = y.shape[0], w.shape[1], y.shape[2], y.shape[3], G
    a.O, a.KH, a.KW, a.OH, a.OW = w.shape[0] // G, w.shape[2], w.shape[3], x.shape[2], x.shape[3]
    a.SH, a.SW, a.PH, a.PW, a.DH, a.DW = SH, SW, PH, PW, DH, DW
    a.dy, a.w, a.dx = begin(x), begin(w), begin(y)
    a.x, a.dw, a.db, a.bias = NULL, NULL, NULL, begin(b)
    a.flags = FNN_RELU if relu else 0
    if a.N:
        with nogil:
            enough = input_gradient(&a)
    if not enough:
        raise MemoryError("no memory for the workspace of a transposed convolution")


cdef bint transposed_gradients(Gradients *a, char *dx, char *db) noexcept nogil:
    """dw as `a` says, dx and db if they are not NULL. False when there is no memory."""
    cdef Conv f
    cdef Gradients bias = a[0]
    if db != NULL:
        bias.O, bias.OH, bias.OW, bias.dy, bias.db = a.C, a.H, a.W, a.x, db
        parallel(bias_chunk, &bias, a.G * a.C, threads(), <double> a.N * a.G * a.C * a.H * a.W)
    if a.dw != NULL and not gradients(a):
        return False
    if dx == NULL or a.N == 0:
        return True
    f.t, f.N, f.C, f.H, f.W, f.O, f.KH, f.KW, f.OH, f.OW = a.t, a.N, a.C, a.H, a.W, a.O, a.KH, a.KW, a.OH, a.OW
    f.SH, f.SW, f.PH, f.PW, f.DH, f.DW, f.G = a.SH, a.SW, a.PH, a.PW, a.DH, a.DW, a.G
    f.x, f.w, f.bias, f.y, f.flags = a.x, a.w, NULL, dx, 0
    return convolve(&f)


def conv_transpose2d_backward(const real[:, :, :, ::1] dy, const real[:, :, :, ::1] x, const real[:, :, :, ::1] w,
                              real[:, :, :, ::1] dx, real[:, :, :, ::1] dw, real[::1] db, Py_ssize_t SH, Py_ssize_t SW,
                              Py_ssize_t PH, Py_ssize_t PW, Py_ssize_t DH, Py_ssize_t DW, Py_ssize_t G):
    """dx (N, C, H, W), dw (C, O/G, KH, KW), db (O,), each if it is not None, from dy (N, O, OH, OW), x and w.

    Writes all of them; no overlap. REDUCTION(O/G*KH*KW) for dx, REDUCTION(N*H*W) for dw, REDUCTION(N*OH*OW) for db.
    """
    cdef Gradients a
    cdef bint enough
    cdef char *to_x = begin(dx)
    cdef char *to_b = begin(db)
    a.t = tiles(real is double)
    a.N, a.C, a.H, a.W, a.G = dy.shape[0], w.shape[1], dy.shape[2], dy.shape[3], G
    a.O, a.KH, a.KW, a.OH, a.OW = w.shape[0] // G, w.shape[2], w.shape[3], x.shape[2], x.shape[3]
    a.SH, a.SW, a.PH, a.PW, a.DH, a.DW = SH, SW, PH, PW, DH, DW
    a.dy, a.x, a.w = begin(x), begin(dy), begin(w)
    a.dx, a.db, a.bias, a.flags = NULL, NULL, NULL, 0
    a.dw = begin(dw)
    with nogil:
        enough = transposed_gradients(&a, to_x, to_b)
    if not enough:
        raise MemoryError("no memory for the workspace of a transposed convolution's gradients")
