"""Depthwise convolution with channels in the lanes of vectors: the forward, and both gradients on small maps.

The forward takes a band of rows at a time. Its lanes are neighbouring planes, whichever images these belong to. For dw
and db, parts of the batch, fixed by the shape, are summed apart and added in order.
"""
from libc.stdint cimport int32_t
from libc.string cimport memcpy, memset

from fastnn._kernels._pool_lanes cimport Lanes, place_windows
from fastnn._kernels._table cimport allocate, parallel, release
from fastnn._kernels.conv_gradients cimport Gradients
from fastnn._kernels.conv_output cimport Output
from fastnn._kernels.conv_shape cimport ConvShape
from fastnn._kernels.fnn cimport (
    add_to_doubles,
    ceil_div,
    fits,
    fnn_depthwise,
    fnn_span,
    fnn_tiles,
    fnn_windows,
    put_doubles,
    reach,
    split_at,
)

cdef enum:
    MAX_PIXELS = 1024  # of a map, for the gradients
    MAX_TAPS = 64
    MAX_LANES = 16
    PARTS = 8          # of the batch, at most

    BAND_BYTES = 1 << 18  # of the rows of a band, of the forward: they stay in the second-level cache

cdef struct Forward:
    const Output *g
    fnn_depthwise d
    Py_ssize_t band, bands  # output rows of a band; bands of an image
    char *room              # for each thread
    Py_ssize_t room_step    # bytes
    char *weights           # (G + lanes, taps): the channels of all groups of planes follow one another
    char *bias              # (G + lanes,), or NULL

cdef struct Depthwise:
    const Gradients *a
    fnn_windows w
    Py_ssize_t groups     # of channels that are in lanes together, of an image
    char *room            # for each thread
    Py_ssize_t room_step  # bytes
    Py_ssize_t parts      # of the batch
    char *sums            # (groups, parts, taps and one for the bias, lanes)


cdef void forward_chunk(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    """A band of rows of neighbouring planes, whichever images these belong to."""
    cdef const Forward *f = <const Forward *> job
    cdef const Output *g = f.g
    cdef const ConvShape *s = &g.shape
    cdef Py_ssize_t size = g.t.itemsize, first = chunk // f.bands * g.t.lanes, row = chunk % f.bands * f.band
    g.t.depthwise_lanes(&f.d, row, min(f.band, s.OH - row), g.x + first * s.H * s.W * size,
                        f.weights + first % s.G * f.d.taps * size,
                        f.bias + first % s.G * size if f.bias != NULL else NULL, g.y + first * s.OH * s.OW * size,
                        min(g.t.lanes, s.N * s.G - first), g.flags, f.room + slot * f.room_step)


cdef inline Py_ssize_t rows_under(const ConvShape *s, Py_ssize_t band) noexcept nogil:
    """Rows of the image that the windows of a band cover."""
    return min(s.H, (band - 1) * s.SH + reach(s.KH, s.DH))


cdef void cut(Forward *f, int workers) noexcept nogil:
    """As many rows as stay in the cache, and less if threads would be idle."""
    cdef const ConvShape *s = &f.g.shape
    cdef fnn_tiles *t = f.g.t
    cdef Py_ssize_t vector = t.lanes * t.itemsize, groups = ceil_div(s.N * s.G, t.lanes)
    cdef Py_ssize_t fitting = BAND_BYTES // vector - reach(s.KH, s.DH) * f.d.pitch
    f.band = min(s.OH, max(<Py_ssize_t> 1, fitting // (s.SH * f.d.pitch + s.OW)))
    if groups < workers:
        f.band = min(f.band, ceil_div(s.OH * groups, workers))
    f.bands = ceil_div(s.OH, f.band)
    f.band = ceil_div(s.OH, f.bands)
    f.bands = ceil_div(s.OH, f.band)
    f.room_step = (f.d.taps + 1 + rows_under(s, f.band) * f.d.pitch + f.band * s.OW) * vector


cdef void place_pixels(const Forward *f, int32_t *places) noexcept nogil:
    cdef const ConvShape *s = &f.g.shape
    cdef Py_ssize_t row, column, at
    for row in range(rows_under(s, f.band)):
        for column in range(s.W):
            at = column + s.PW
            places[row * s.W + column] = <int32_t> (row * f.d.pitch + at) if 0 <= at < f.d.pitch else -1


cdef void repeat_channels(char *to, const char *source, Py_ssize_t channels, Py_ssize_t total,
                          Py_ssize_t step) noexcept nogil:
    cdef Py_ssize_t done = 0, count
    while done < total:
        count = min(channels, total - done)
        memcpy(to + done * step, source, count * step)
        done += count


cdef bint depthwise(const Output *g, int workers) noexcept nogil:
    cdef Forward f
    cdef Lanes axes
    cdef const ConvShape *s = &g.shape
    cdef fnn_tiles *t = g.t
    cdef Py_ssize_t size = t.itemsize, channels = s.G + t.lanes, pixels, spans = s.OH * sizeof(fnn_span)
    cdef char *at
    f.g, f.d.taps, f.d.stride = g, s.KH * s.KW, s.SW
    f.d.pitch = (s.OW - 1) * s.SW + reach(s.KW, s.DW)
    f.d.left = min(f.d.pitch, max(<Py_ssize_t> 0, s.PW))
    f.d.right = min(f.d.pitch, max(f.d.left, s.PW + s.W))
    cut(&f, workers)
    pixels = rows_under(s, f.band) * s.W
    if not fits(<double> workers * f.room_step + channels * (f.d.taps + 1.0) * size + spans + 4.0 * pixels):
        return False
    f.room = <char *> allocate(workers * f.room_step + spans + channels * (f.d.taps + 1) * size + pixels * 4)
    if f.room == NULL:
        return False
    at = f.room + workers * f.room_step
    f.d.w.rows, at = <fnn_span *> at, at + spans
    f.weights, at = at, at + channels * f.d.taps * size
    f.bias, at = at, at + channels * size
    f.d.places = <int32_t *> at
    repeat_channels(f.weights, g.w, s.G, channels, f.d.taps * size)
    if g.bias != NULL:
        repeat_channels(f.bias, g.bias, s.G, channels, size)
    else:
        f.bias = NULL
    f.d.w.H, f.d.w.W, f.d.w.OH, f.d.w.OW, f.d.w.columns = s.H, s.W, s.OH, s.OW, NULL
    f.d.w.KW, f.d.w.DH, f.d.w.DW = s.KW, s.DH, s.DW
    place_pixels(&f, <int32_t *> f.d.places)
    axes.w, axes.count_padding, axes.divisor = f.d.w, False, 0
    axes.size, axes.stride, axes.padding = [s.KH, s.KW], [s.SH, s.SW], [s.PH, s.PW]
    place_windows(&axes, 0, s.H, s.OH, <fnn_span *> f.d.w.rows)
    parallel(forward_chunk, &f, ceil_div(s.N * s.G, t.lanes) * f.bands, workers,
             <double> s.N * s.G * (s.H * s.W + s.OH * s.OW * f.d.taps / 16.0))
    release(f.room)
    return True


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


cdef bint lanes_may_serve(fnn_tiles *t, const ConvShape *s) noexcept nogil:
    return s.C == 1 and s.O == 1 and 2 * s.G >= t.lanes and s.H * s.W <= MAX_PIXELS and s.KH * s.KW <= MAX_TAPS


cdef bint describe(Depthwise *d, fnn_tiles *t, const ConvShape *s, Py_ssize_t sums, int workers) noexcept nogil:
    """Allocate the room, with that of `sums` vectors, and place the windows. False if it does not pay, or no memory."""
    cdef Lanes axes
    cdef Py_ssize_t pixels = s.H * s.W, outputs = s.OH * s.OW, taps = s.KH * s.KW, vector = t.lanes * t.itemsize
    cdef Py_ssize_t spans = (s.OH + s.OW) * sizeof(fnn_span)
    if not lanes_may_serve(t, s):
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
