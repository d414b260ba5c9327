"""Depthwise convolution of small maps, with channels in the lanes of vectors.

The rows of a small map are too short for vectors of pixels. `csrc/tile_pool_lanes.h` draws the layout.
"""
from fastnn._kernels._pool_lanes cimport Lanes, place_windows
from fastnn._kernels._table cimport allocate, parallel, release
from fastnn._kernels.conv_output cimport Output
from fastnn._kernels.fnn cimport ceil_div, fits, fnn_span, fnn_windows

cdef enum:
    MAX_PIXELS = 1024  # pixels of a map
    MAX_TAPS = 64

cdef struct Depthwise:
    const Output *g
    fnn_windows w
    Py_ssize_t groups     # an image has this many groups of channels; a group fills the lanes of a vector
    char *room            # one workspace for each thread
    Py_ssize_t room_step  # bytes of a workspace


cdef void depthwise_chunk(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Depthwise *d = <const Depthwise *> job
    cdef const Output *g = d.g
    cdef Py_ssize_t size = g.t.itemsize, G = g.shape.G, first = chunk % d.groups * g.t.lanes
    cdef Py_ssize_t plane = chunk // d.groups * G + first, taps = g.shape.KH * g.shape.KW
    g.t.depthwise_lanes(&d.w, g.x + plane * d.w.H * d.w.W * size, g.w + first * taps * size, taps,
                        g.bias + first * size if g.bias != NULL else NULL, g.y + plane * d.w.OH * d.w.OW * size,
                        min(g.t.lanes, G - first), g.flags, d.room + slot * d.room_step)


cdef bint depthwise_in_lanes(const Output *g, int workers) noexcept nogil:
    cdef Depthwise d
    cdef Lanes axes
    cdef Py_ssize_t pixels = g.shape.H * g.shape.W, outputs = g.shape.OH * g.shape.OW
    cdef Py_ssize_t taps = g.shape.KH * g.shape.KW, spans = (g.shape.OH + g.shape.OW) * sizeof(fnn_span)
    if g.shape.C != 1 or g.shape.O != 1 or 2 * g.shape.G < g.t.lanes or pixels > MAX_PIXELS or taps > MAX_TAPS:
        return False
    if not fits(<double> workers * (pixels + outputs + taps) * g.t.lanes * g.t.itemsize + spans):
        return False
    d.room_step = (pixels + outputs + taps) * g.t.lanes * g.t.itemsize
    d.room = <char *> allocate(workers * d.room_step + spans)
    if d.room == NULL:
        return False
    d.g, d.groups = g, ceil_div(g.shape.G, g.t.lanes)
    d.w.H, d.w.W, d.w.OH, d.w.OW = g.shape.H, g.shape.W, g.shape.OH, g.shape.OW
    d.w.KW, d.w.DH, d.w.DW = g.shape.KW, g.shape.DH, g.shape.DW
    axes.w, axes.count_padding, axes.divisor = d.w, False, 0
    axes.size, axes.stride = [g.shape.KH, g.shape.KW], [g.shape.SH, g.shape.SW]
    axes.padding = [g.shape.PH, g.shape.PW]
    d.w.rows = <fnn_span *> (d.room + workers * d.room_step)
    d.w.columns = d.w.rows + d.w.OH
    place_windows(&axes, 0, d.w.H, d.w.OH, <fnn_span *> d.w.rows)
    place_windows(&axes, 1, d.w.W, d.w.OW, <fnn_span *> d.w.columns)
    parallel(depthwise_chunk, &d, g.shape.N * d.groups, workers,
             <double> g.shape.N * g.shape.G * (pixels + outputs * taps / 16.0))
    release(d.room)
    return True
