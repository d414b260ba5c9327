"""Convolution forward, by the way that suits it (see `_conv_ways`)."""
from fastnn._kernels._conv_batch cimport batch_forward
from fastnn._kernels._conv_lanes cimport depthwise
from fastnn._kernels._conv_planes cimport convolve_by_planes
from fastnn._kernels._conv_rows cimport depthwise_by_rows
from fastnn._kernels._conv_ways cimport forward_way
from fastnn._kernels._conv_winograd cimport winograd
from fastnn._kernels._conv_winograd_side cimport winograd_side_by_side
from fastnn._kernels._table cimport allocate, release, threads, tiles
from fastnn._kernels.conv_output cimport Output
from fastnn._kernels.conv_shape cimport ConvShape, Geometry, conv_shape
from fastnn._kernels.conv_way cimport BATCH, DEPTHWISE, PLANES, ROWS, SIDE, WINOGRAD, Way
from fastnn._kernels.fnn cimport FNN_RELU, begin

ctypedef fused real:
    float
    double


cdef bint convolve_spoilt(const Output *g, const char *spoilt) noexcept nogil:
    cdef const ConvShape *s = &g.shape
    cdef Output some = g[0]
    cdef Py_ssize_t n = 0, end, size = g.t.itemsize
    while n < s.N:
        end = n
        while end < s.N and spoilt[end]:
            end += 1
        if end > n:
            some.shape.N, some.x = end - n, g.x + n * s.C * s.H * s.W * size
            some.y = g.y + n * s.O * s.OH * s.OW * size
            if not convolve_by_planes(&some, PLANES):
                return False
        n = end + 1
    return True


cdef bint convolve(const Output *g) noexcept nogil:
    cdef Way way = forward_way(g.t, &g.shape, False)
    cdef char *spoilt
    cdef bint enough
    if way == BATCH:
        return batch_forward(g)
    if way == DEPTHWISE:
        return depthwise(g, threads())
    if way == ROWS:
        return depthwise_by_rows(g, threads())
    if way != WINOGRAD and way != SIDE:
        return convolve_by_planes(g, way)
    spoilt = <char *> allocate(g.shape.N)
    enough = spoilt != NULL and (winograd_side_by_side(g, spoilt) if way == SIDE else winograd(g, spoilt))
    enough = enough and convolve_spoilt(g, spoilt)
    release(spoilt)
    return enough


def conv2d_forward(const real[:, :, :, ::1] x, const real[:, :, :, ::1] w, const real[::1] b, real[:, :, :, ::1] y,
                   Geometry geometry, bint relu):
    """y (N, O, OH, OW) = act(b + x (N, C, H, W) correlated with w (O, C/G, KH, KW)).

    b is (O,), or None for zeros. The shape of y says how much padding there is below and on the right. Writes all of y;
    y overlaps no input. REDUCTION(C/G*KH*KW + 1).
    """
    cdef Output g
    cdef bint enough = True
    g.t = tiles(real is double)
    g.shape = conv_shape(x.shape[0], x.shape[1], x.shape[2], x.shape[3], w.shape[0], y.shape[2], y.shape[3], geometry)
    g.x, g.w, g.bias, g.y = begin(x), begin(w), begin(b), begin(y)
    g.flags = FNN_RELU if relu else 0
    if y.shape[0] * y.shape[1] * y.shape[2] * y.shape[3]:
        with nogil:
            enough = convolve(&g)
    if not enough:
        raise MemoryError("no memory for the workspace of a convolution")
