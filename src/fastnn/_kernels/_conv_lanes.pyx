"""Depthwise convolution of small maps, with channels in the lanes of vectors: its rows are too short for vectors.

Parts of the batch, fixed by the shape, are summed apart for dw and db, and added in order.
"""
from libc.string cimport memset

from fastnn._kernels._pool_lanes cimport Lanes, place_windows
from fastnn._kernels._table cimport allocate, parallel, release
from fastnn._kernels.conv_gradients cimport Gradients
from fastnn._kernels.conv_output cimport Output
from fastnn._kernels.conv_shape cimport ConvShape
from fastnn._kernels.fnn cimport (
    add_to_doubles,
    ceil_div,
    fits,
    fnn_span,
    fnn_tiles,
    fnn_windows,
    put_doubles,
    split_at,
)

cdef enum:
    MAX_PIXELS = 1024  # of a map
    MAX_TAPS = 64
    MAX_LANES = 16
    PARTS = 8          # of the batch, at most

cdef struct Depthwise:
    const Output *g
    const Gradients *a
    fnn_windows w
    Py_ssize_t groups     # of channels that are in lanes together, of an image
    char *room            # for each thread
    Py_ssize_t room_step  # bytes
    Py_ssize_t parts      # of the batch
    char *sums            # (groups, parts, taps and one for the bias, lanes)


cdef void depthwise_chunk(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Depthwise *d = <const Depthwise *> job
    cdef const Output *g = d.g
    cdef Py_ssize_t size = g.t.itemsize, G = g.shape.G, first = chunk % d.groups * g.t.lanes
    cdef Py_ssize_t plane = chunk // d.groups * G + first, taps = g.shape.KH * g.shape.KW
    g.t.depthwise_lanes(&d.w, g.x + plane * d.w.H * d.w.W * size, g.w + first * taps * size, taps,
                        g.bias + first * size if g.bias != NULL else NULL, g.y + plane * d.w.OH * d.w.OW * size,
                        min(g.t.lanes, G - first), g.flags, d.room + slot * d.room_step)


cdef void gradients_chunk(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    """One part of the batch for one group of channels, its images in order."""
    cdef const Depthwise *d = <const Depthwise *> job
    cdef const Gradients *a = d.a
    cdef Py_ssize_t size = a.t.itemsize, lanes = a.t.lanes, G = a.shape.G, first = chunk // d.parts * lanes, n, plane
    cdef Py_ssize_t taps = a.shape.KH * a.shape.KW, part = chunk % d.parts, at
    cdef char *sums = NULL
    if a.dw != NULL:
        sums = d.sums + chunk * (taps + 1) * lanes * size
        memset(sums, 0, (taps + 1) * lanes * size)
    for n in range(split_at(a.shape.N, d.parts, part), split_at(a.shape.N, d.parts, part + 1)):
        plane = n * G + first
        at = plane * d.w.H * d.w.W * size
        a.t.depthwise_lanes_backward(&d.w, a.dy + plane * d.w.OH * d.w.OW * size, a.x + at if sums != NULL else NULL,
                                     a.w + first * taps * size, taps, a.dx + at if a.dx != NULL else NULL, sums,
                                     min(lanes, G - first), d.room + slot * d.room_step)


cdef void finish(const Depthwise *d) noexcept nogil:
    """dw and db: the parts added in order."""
    cdef const Gradients *a = d.a
    cdef Py_ssize_t size = a.t.itemsize, lanes = a.t.lanes, taps = a.shape.KH * a.shape.KW, group, part, k, i, channel
    cdef Py_ssize_t at
    cdef double totals[MAX_LANES]
    for group in range(d.groups):
        for k in range(taps + 1):
            memset(totals, 0, sizeof(totals))
            for part in range(d.parts):
                at = ((group * d.parts + part) * (taps + 1) + k) * lanes * size
                add_to_doubles(totals, d.sums + at, lanes, size)
            for i in range(min(lanes, a.shape.G - group * lanes)):
                channel = group * lanes + i
                if k < taps:
                    put_doubles(a.dw + (channel * taps + k) * size, totals + i, 1, size)
                elif a.db != NULL:
                    put_doubles(a.db + channel * size, totals + i, 1, size)


cdef bint describe(Depthwise *d, fnn_tiles *t, const ConvShape *s, Py_ssize_t sums, int workers) noexcept nogil:
    """Allocate the room, with that of `sums` vectors, and place the windows. False if it does not pay, or no memory."""
    cdef Lanes axes
    cdef Py_ssize_t pixels = s.H * s.W, outputs = s.OH * s.OW, taps = s.KH * s.KW, vector = t.lanes * t.itemsize
    cdef Py_ssize_t spans = (s.OH + s.OW) * sizeof(fnn_span)
    if s.C != 1 or s.O != 1 or 2 * s.G < t.lanes or pixels > MAX_PIXELS or taps > MAX_TAPS:
        return False
    if not fits((<double> workers * (pixels + outputs + taps) + sums) * vector + spans):
        return False
    d.room_step = (pixels + outputs + taps) * vector
    d.room = <char *> allocate(workers * d.room_step + sums * vector + spans)
    if d.room == NULL:
        return False
    d.sums = d.room + workers * d.room_step
    d.groups = ceil_div(s.G, t.lanes)
    d.w.H, d.w.W, d.w.OH, d.w.OW = s.H, s.W, s.OH, s.OW
    d.w.KW, d.w.DH, d.w.DW = s.KW, s.DH, s.DW
    axes.w, axes.count_padding, axes.divisor = d.w, False, 0
    axes.size, axes.stride = [s.KH, s.KW], [s.SH, s.SW]
    axes.padding = [s.PH, s.PW]
    d.w.rows = <fnn_span *> (d.sums + sums * vector)
    d.w.columns = d.w.rows + d.w.OH
    place_windows(&axes, 0, d.w.H, d.w.OH, <fnn_span *> d.w.rows)
    place_windows(&axes, 1, d.w.W, d.w.OW, <fnn_span *> d.w.columns)
    return True


cdef bint depthwise_in_lanes(const Output *g, int workers) noexcept nogil:
    cdef Depthwise d
    cdef const ConvShape *s = &g.shape
    d.g = g
    if not describe(&d, g.t, s, 0, workers):
        return False
    parallel(depthwise_chunk, &d, s.N * d.groups, workers,
             <double> s.N * s.G * (s.H * s.W + s.OH * s.OW * s.KH * s.KW / 16.0))
    release(d.room)
    return True


cdef bint depthwise_gradients_in_lanes(const Gradients *a, int workers) noexcept nogil:
    cdef Depthwise d
    cdef const ConvShape *s = &a.shape
    cdef Py_ssize_t taps = s.KH * s.KW
    d.a, d.parts = a, min(s.N, <Py_ssize_t> PARTS)
    if not describe(&d, a.t, s, ceil_div(s.G, a.t.lanes) * d.parts * (taps + 1) if a.dw != NULL else 0, workers):
        return False
    parallel(gradients_chunk, &d, d.groups * d.parts, workers,
             <double> s.N * s.G * (2 * s.H * s.W + s.OH * s.OW * taps / 8.0))
    if a.dw != NULL:
        finish(&d)
    release(d.room)
    return True
