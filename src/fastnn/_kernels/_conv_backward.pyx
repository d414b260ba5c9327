"""The gradients of convolution, each by the way that `_conv_ways` chooses, and transposed convolution.

A transposed convolution is the input gradient of a convolution, so it reuses these kernels.
"""
from libc.math cimport isfinite
from libc.string cimport memset

from fastnn._kernels._conv_batch_weight cimport batch_weight
from fastnn._kernels._conv_forward cimport convolve
from fastnn._kernels._conv_input cimport input_gradient, turn_kernels
from fastnn._kernels._conv_lanes cimport depthwise_gradients_in_lanes
from fastnn._kernels._conv_one_pass cimport one_pass
from fastnn._kernels._conv_rows cimport depthwise_gradients_by_rows
from fastnn._kernels._conv_ways cimport input_way, rows_pay_for_gradients, weight_way
from fastnn._kernels._conv_weight cimport weight_gradient
from fastnn._kernels._conv_winograd cimport DONE, NO_MEMORY, NOT_FINITE, Outcome
from fastnn._kernels._conv_winograd_weight cimport winograd_weight
from fastnn._kernels._table cimport allocate, parallel, release, threads, tiles
from fastnn._kernels.conv_gradients cimport Gradients
from fastnn._kernels.conv_output cimport Output
from fastnn._kernels.conv_shape cimport ConvShape, Geometry, conv_shape, turned
from fastnn._kernels.conv_way cimport BATCH, ONE_PASS, TURNED, WINOGRAD, Way
from fastnn._kernels.fnn cimport FNN_RELU, begin, put_doubles

ctypedef fused real:
    float
    double

cdef void bias_chunk(void *job, Py_ssize_t o, int slot) noexcept nogil:
    cdef const Gradients *a = <const Gradients *> job
    cdef Py_ssize_t n, size = a.t.itemsize, P = a.shape.OH * a.shape.OW
    cdef double total = 0
    for n in range(a.shape.N):
        a.t.sums(&total, a.dy + (n * a.shape.G * a.shape.O + o) * P * size, P, 1, P)
    put_doubles(a.db + o * size, &total, 1, size)


cdef bint all_finite(const char *values, Py_ssize_t n, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        if not isfinite((<const float *> values)[i] if size == sizeof(float) else (<const double *> values)[i]):
            return False
    return True


cdef Outcome turned_weight(const Gradients *a) noexcept nogil:
    """dw as that of the convolution of dy with turned kernels, whose output gradient is x; and db.

    It multiplies all pixels of x by padding of dy, so an infinite pixel would spoil taps that never meet it.
    """
    cdef const ConvShape *s = &a.shape
    cdef Gradients b = a[0]
    cdef Py_ssize_t size = a.t.itemsize, count = s.G * s.O * s.C * s.KH * s.KW
    cdef Outcome outcome = NO_MEMORY
    b.shape, b.x, b.dy, b.db, b.dx = turned(s), a.dy, a.x, NULL, NULL
    b.dw = <char *> allocate(count * size)
    if b.dw != NULL and weight_gradient(&b):
        outcome = DONE if all_finite(b.dw, count, size) else NOT_FINITE
    if outcome == DONE:
        b.w = b.dw
        turn_kernels(&b, a.dw)
        if a.db != NULL:
            parallel(bias_chunk, <void *> a, s.G * s.O, threads(), <double> s.N * s.G * s.O * s.OH * s.OW)
    release(b.dw)
    return outcome


cdef bint gradients(const Gradients *a) noexcept nogil:
    """Write each gradient whose pointer is not NULL. False when there is no memory."""
    cdef const ConvShape *s = &a.shape
    cdef Gradients rest = a[0]
    cdef Outcome outcome
    cdef Way way
    if s.N == 0:
        if a.dw != NULL:
            memset(a.dw, 0, s.G * s.O * s.C * s.KH * s.KW * a.t.itemsize)
        if a.db != NULL:
            memset(a.db, 0, s.G * s.O * a.t.itemsize)
        return True
    if a.db != NULL and a.dw == NULL:
        parallel(bias_chunk, <void *> a, s.G * s.O, threads(), <double> s.N * s.G * s.O * s.OH * s.OW)
        rest.db = NULL
    if rows_pay_for_gradients(a.t, s):
        return depthwise_gradients_by_rows(a, threads())
    if depthwise_gradients_in_lanes(a, threads()):
        return True
    way = weight_way(a.t, s)
    if a.dx != NULL and input_way(a.t, s) == ONE_PASS:
        if way != BATCH:
            return one_pass(&rest)
        rest.dw = rest.db = NULL
        if not one_pass(&rest):
            return False
        rest.dw, rest.db = a.dw, a.db
    elif a.dx != NULL and not input_gradient(a):
        return False
    if a.dw == NULL:
        return True
    rest.dx = NULL
    if way == ONE_PASS:
        return one_pass(&rest)
    if way == BATCH:
        return batch_weight(a)
    if way == WINOGRAD or way == TURNED:
        outcome = winograd_weight(a) if way == WINOGRAD else turned_weight(a)
        if outcome != NOT_FINITE:
            return outcome == DONE
    return weight_gradient(a)


def conv2d_backward(const real[:, :, :, ::1] dy, const real[:, :, :, ::1] x, const real[:, :, :, ::1] w,
                    real[:, :, :, ::1] dx, real[:, :, :, ::1] dw, real[::1] db, Geometry geometry):
    """dx (N, C, H, W), dw (O, C/G, KH, KW) and db (O,), from dy (N, O, OH, OW), x and w. Each of the three may be None.

    Writes all of the others; no overlap. REDUCTION(O/G*KH*KW) for dx, REDUCTION(N*OH*OW) for dw and db.
    """
    cdef Gradients a
    cdef bint enough
    a.t = tiles(real is double)
    a.shape = conv_shape(x.shape[0], x.shape[1], x.shape[2], x.shape[3], w.shape[0], dy.shape[2], dy.shape[3],
                         geometry)
    a.dy, a.x, a.w, a.bias, a.flags = begin(dy), begin(x), begin(w), NULL, 0
    a.dx, a.dw, a.db = begin(dx), begin(dw), begin(db)
    with nogil:
        enough = gradients(&a)
    if not enough:
        raise MemoryError("no memory for the workspace of a convolution's gradients")


def conv_transpose2d_forward(const real[:, :, :, ::1] x, const real[:, :, :, ::1] w, const real[::1] b,
                             real[:, :, :, ::1] y, Geometry geometry, bint relu):
    """y (N, O, OH, OW) = act(b + the input gradient of a convolution by w (C, O/G, KH, KW)).

    x (N, C, H, W) is the output gradient of that convolution. b is (O,), or None for zeros. Writes all of y; y overlaps
    no input. REDUCTION(C/G*KH*KW + 1).
    """
    cdef Gradients a
    cdef bint enough = True
    a.t = tiles(real is double)
    a.shape = conv_shape(y.shape[0], y.shape[1], y.shape[2], y.shape[3], w.shape[0], x.shape[2], x.shape[3], geometry)
    a.dy, a.w, a.bias, a.dx = begin(x), begin(w), begin(b), begin(y)
    a.x, a.dw, a.db = NULL, NULL, NULL
    a.flags = FNN_RELU if relu else 0
    if a.shape.N:
        with nogil:
            enough = input_gradient(&a)
    if not enough:
        raise MemoryError("no memory for the workspace of a transposed convolution")


cdef bint transposed_gradients(Gradients *a, char *dx, char *db) noexcept nogil:
    """Write a.dw, dx and db, except those that are NULL. False when there is no memory."""
    cdef const ConvShape *s = &a.shape
    cdef Output g
    cdef Gradients bias = a[0]
    if db != NULL:
        bias.shape.O, bias.shape.OH, bias.shape.OW, bias.dy, bias.db = s.C, s.H, s.W, a.x, db
        parallel(bias_chunk, &bias, s.G * s.C, threads(), <double> s.N * s.G * s.C * s.H * s.W)
    if a.dw != NULL and not gradients(a):
        return False
    if dx == NULL or s.N == 0:
        return True
    g.t, g.shape, g.x, g.w, g.bias, g.y, g.flags = a.t, a.shape, a.x, a.w, NULL, dx, 0
    return convolve(&g)


def conv_transpose2d_backward(const real[:, :, :, ::1] dy, const real[:, :, :, ::1] x, const real[:, :, :, ::1] w,
                              real[:, :, :, ::1] dx, real[:, :, :, ::1] dw, real[::1] db, Geometry geometry):
    """dx (N, C, H, W), dw (C, O/G, KH, KW) and db (O,), from dy (N, O, OH, OW), x and w. Each of the three may be None.

    Writes all of the others; no overlap. REDUCTION(O/G*KH*KW) for dx, REDUCTION(N*H*W) for dw, REDUCTION(N*OH*OW) for
    db.
    """
    cdef Gradients a
    cdef bint enough
    cdef char *to_x = begin(dx)
    cdef char *to_b = begin(db)
    a.t = tiles(real is double)
    a.shape = conv_shape(dy.shape[0], dy.shape[1], dy.shape[2], dy.shape[3], w.shape[0], x.shape[2], x.shape[3],
                         geometry)
    a.dy, a.x, a.w, a.bias, a.flags = begin(x), begin(dy), begin(w), NULL, 0
    a.dx, a.dw, a.db = NULL, begin(dw), NULL
    with nogil:
        enough = transposed_gradients(&a, to_x, to_b)
    if not enough:
        raise MemoryError("no memory for the workspace of a transposed convolution's gradients")
