"""Depthwise convolution and its gradients by rows of the planes, which stay as they are; see `tile_depthwise_rows.h`.

The gradients take one channel at a time. For dw and db, parts of the batch, fixed by the shape, are summed apart and
added in order.
"""
from libc.string cimport memset

from fastnn._kernels._table cimport allocate, parallel, release
from fastnn._kernels.conv_gradients cimport Gradients
from fastnn._kernels.conv_output cimport Output
from fastnn._kernels.conv_shape cimport ConvShape, turned
from fastnn._kernels.fnn cimport FNN_PLANE_ROWS, add_doubles, ceil_div, fits, fnn_plane, put_doubles, split_at

cdef enum:
    MAX_TAPS = 25
    PARTS = 8         # of the batch, at most
    TERMS = 128       # of a lane's sum, about: sums of more are added in double precision
    CHUNKS = 8        # for each thread, about
    LINE = 64         # bytes of a cache line

cdef struct Forward:
    const Output *g
    fnn_plane d
    Py_ssize_t planes       # of a chunk; or
    Py_ssize_t band, bands  # output rows of a chunk, chunks of a plane

cdef struct Backward:
    const Gradients *a
    fnn_plane d, back     # the convolution; for stride 1, the one that makes dx
    const char *turned    # its weights
    Py_ssize_t parts      # of the batch
    Py_ssize_t blocks     # of channels
    Py_ssize_t band       # rows of dy whose products are summed at a time,
    Py_ssize_t width      # and columns
    char *sums            # (taps and one for the bias, lanes) for each thread
    Py_ssize_t sums_step  # bytes
    double *totals        # (G, parts, taps and one for the bias)


cdef fnn_plane plane_of(const ConvShape *s, const void *zeros) noexcept nogil:
    """A plane of one row if the kernel is 1 x 1."""
    cdef fnn_plane d
    d.H, d.W, d.OH, d.OW, d.K, d.stride, d.PH, d.PW, d.zeros = s.H, s.W, s.OH, s.OW, s.KH, s.SH, s.PH, s.PW, zeros
    if s.KH == 1:
        d.H, d.W, d.OH, d.OW = 1, s.H * s.W, 1, s.OH * s.OW
    return d


cdef void forward_chunk(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Forward *f = <const Forward *> job
    cdef const Output *g = f.g
    cdef const fnn_plane *d = &f.d
    cdef Py_ssize_t size = g.t.itemsize, plane, channel
    cdef Py_ssize_t first = chunk // f.bands * f.planes, row = chunk % f.bands * f.band
    for plane in range(first, min(first + f.planes, g.shape.N * g.shape.G)):
        channel = plane % g.shape.G
        g.t.plane_rows(d, row, min(f.band, d.OH - row), g.x + plane * d.H * d.W * size,
                       g.w + channel * d.K * d.K * size, g.bias + channel * size if g.bias != NULL else NULL,
                       g.y + plane * d.OH * d.OW * size, g.flags)


cdef bint depthwise_by_rows(const Output *g, int workers) noexcept nogil:
    cdef Forward f
    cdef const ConvShape *s = &g.shape
    cdef Py_ssize_t planes = s.N * s.G, width = max(s.W, s.OW) * g.t.itemsize
    cdef char *zeros = <char *> allocate(width)
    if zeros == NULL:
        return False
    memset(zeros, 0, width)
    f.g, f.d = g, plane_of(s, zeros)
    f.planes = max(<Py_ssize_t> 1, planes // (CHUNKS * workers))
    f.band, f.bands = f.d.OH, 1
    if planes < workers:
        f.band = ceil_div(ceil_div(f.d.OH * planes, workers), FNN_PLANE_ROWS) * FNN_PLANE_ROWS
        f.bands = ceil_div(f.d.OH, f.band)
    parallel(forward_chunk, &f, ceil_div(planes, f.planes) * f.bands, workers,
             <double> planes * (s.H * s.W + s.OH * s.OW * s.KH * s.KW / 16.0))
    release(zeros)
    return True


cdef void sum_plane(const Backward *b, double *totals, const char *x, const char *dy, char *sums) noexcept nogil:
    """totals (taps + 1,) += the gradients of weight and bias of one plane."""
    cdef const fnn_plane *d = &b.d
    cdef Py_ssize_t lanes = b.a.t.lanes, taps = d.K * d.K, row, column
    for row from 0 <= row < d.OH by b.band:
        for column from 0 <= column < d.OW by b.width:
            memset(sums, 0, (taps + 1) * lanes * b.a.t.itemsize)
            b.a.t.plane_weight(d, row, min(b.band, d.OH - row), column, min(column + b.width, d.OW), x, dy, sums)
            b.a.t.sums(totals, sums, lanes, taps + 1, lanes)


cdef void backward_chunk(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    """Some channels, for one part of the batch: images in order."""
    cdef const Backward *b = <const Backward *> job
    cdef const Gradients *a = b.a
    cdef const fnn_plane *d = &b.d
    cdef Py_ssize_t size = a.t.itemsize, taps = d.K * d.K, G = a.shape.G, block = chunk // b.parts
    cdef Py_ssize_t part = chunk % b.parts, n, channel, at
    cdef const char *dy
    for n in range(split_at(a.shape.N, b.parts, part), split_at(a.shape.N, b.parts, part + 1)):
        for channel in range(split_at(G, b.blocks, block), split_at(G, b.blocks, block + 1)):
            at = n * G + channel
            dy, at = a.dy + at * d.OH * d.OW * size, at * d.H * d.W * size
            if a.dw != NULL:
                sum_plane(b, b.totals + (channel * b.parts + part) * (taps + 1), a.x + at, dy,
                          b.sums + slot * b.sums_step)
            if a.dx != NULL and d.stride == 1:
                a.t.plane_rows(&b.back, 0, b.back.OH, dy, b.turned + channel * taps * size, NULL, a.dx + at, 0)
            elif a.dx != NULL:
                a.t.plane_spread(d, dy, a.w + channel * taps * size, a.dx + at)


cdef void finish(const Backward *b) noexcept nogil:
    """dw and db: the parts added in order."""
    cdef const Gradients *a = b.a
    cdef Py_ssize_t size = a.t.itemsize, taps = b.d.K * b.d.K, channel
    cdef double *totals
    for channel in range(a.shape.G):
        totals = b.totals + channel * b.parts * (taps + 1)
        add_doubles(totals, b.parts, taps + 1)
        put_doubles(a.dw + channel * taps * size, totals, taps, size)
        if a.db != NULL:
            put_doubles(a.db + channel * size, totals + taps, 1, size)


cdef void turn(const Gradients *a, char *flipped) noexcept nogil:
    """All kernels, turned by half a turn."""
    cdef Py_ssize_t taps = a.shape.KH * a.shape.KW, size = a.t.itemsize, channel, k
    cdef Py_ssize_t places[MAX_TAPS]
    for k in range(taps):
        places[k] = taps - 1 - k
    for channel in range(a.shape.G):
        a.t.transpose(flipped + channel * taps * size, places, a.w + channel * taps * size, taps, 1, taps)


cdef bint depthwise_gradients_by_rows(const Gradients *a, int workers) noexcept nogil:
    cdef Backward b
    cdef const ConvShape *s = &a.shape
    cdef ConvShape back = turned(s)
    cdef Py_ssize_t size = a.t.itemsize, taps = s.KH * s.KW, width = max(s.W, s.OW) * size
    cdef Py_ssize_t totals, outputs, flipped = s.G * taps * size
    cdef char *room
    b.a, b.parts = a, min(s.N, <Py_ssize_t> PARTS)
    b.sums_step = ceil_div((taps + 1) * a.t.lanes * size, LINE) * LINE
    totals = s.G * b.parts * (taps + 1) * sizeof(double)
    if not fits(<double> workers * b.sums_step + totals + width + flipped):
        return False
    room = <char *> allocate(workers * b.sums_step + totals + width + flipped)
    if room == NULL:
        return False
    b.sums, b.totals = room, <double *> (room + workers * b.sums_step)
    memset(b.totals, 0, totals + width)
    room = <char *> b.totals + totals
    b.d, b.back, b.turned = plane_of(s, room), plane_of(&back, room), room + width
    if s.SH == 1 and a.dx != NULL:
        turn(a, room + width)
    outputs = a.t.lanes if s.SH == 1 else a.t.lanes - (s.KH - 1) // 2  # of a tile's row
    b.width = min(ceil_div(b.d.OW, outputs), <Py_ssize_t> TERMS // FNN_PLANE_ROWS) * outputs
    b.band = TERMS // (b.width // outputs) // FNN_PLANE_ROWS * FNN_PLANE_ROWS
    b.blocks = min(s.G, 1 if workers == 1 else ceil_div(CHUNKS * workers, b.parts))
    parallel(backward_chunk, &b, b.blocks * b.parts, workers,
             <double> s.N * s.G * (2 * s.H * s.W + s.OH * s.OW * taps / 8.0))
    if a.dw != NULL:
        finish(&b)
    release(b.sums)
    return True
