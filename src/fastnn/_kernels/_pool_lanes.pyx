"""Pools that take as many planes at once as a vector has lanes, so that every pixel of a window is a vector.

They serve planes with short rows, and windows that a row cannot take in vectors. `csrc/tile_pool_lanes.h` draws the
layout.
"""
from libc.math cimport INFINITY
from libc.stdint cimport uint8_t

from fastnn._kernels._table cimport allocate, parallel, release
from fastnn._kernels.fnn cimport ceil_div, fits

cdef enum:
    CHUNK = 16384      # the least pixels of a chunk
    MAX_WINDOW = 64    # pixels of a window: their sum needs no double precision
    MAX_SIDE = 32      # rows or columns of a window
    MASKS = 64         # bytes of a vector, from which it is loaded and stored by parts as fast as whole
    MAX_PIXELS = 8192  # pixels of a plane: `lanes` planes stay in the second-level cache


cdef void place_windows(const Lanes *g, int axis, Py_ssize_t size, Py_ssize_t outputs, fnn_span *spans) noexcept nogil:
    cdef Py_ssize_t o, first, K = g.size[axis], S = g.stride[axis], P = g.padding[axis]
    cdef Py_ssize_t D = g.w.DW if axis else g.w.DH
    for o in range(outputs):
        if K == 0:
            spans[o].start, spans[o].skipped = o * size // outputs, 0
            spans[o].count = ((o + 1) * size + outputs - 1) // outputs - spans[o].start
            spans[o].divisor = spans[o].count
            continue
        first = o * S - P
        spans[o].skipped = 0 if first >= 0 else -first if D == 1 else ceil_div(-first, D)
        spans[o].start = first + spans[o].skipped * D
        spans[o].count = size - spans[o].start if D == 1 else ceil_div(size - spans[o].start, D)
        spans[o].count = min(K - spans[o].skipped, spans[o].count)
        spans[o].divisor = min(K, size + 2 * P - o * S) if g.count_padding else spans[o].count
        if g.divisor:
            spans[o].divisor = 1 if axis else g.divisor


# Lanes or rows: the cheaper one is taken. The costs are CPU cycles, fitted over random shapes. They depend on the shape
# and the tier alone.

cdef double lanes_cost(const Lanes *g) noexcept nogil:
    """The cycles with lanes: planes are transposed, and each pixel of a window is a vector."""
    cdef bint averages = g.kind == AVERAGES or g.kind == AVERAGES_BACK
    cdef bint backward = g.kind == AVERAGES_BACK or g.kind == MAXIMA_BACK
    cdef double pixels = <double> g.w.H * g.w.W, windows = <double> g.w.OH * g.w.OW
    cdef double moved = pixels + windows * (1 if averages or g.positions == NULL else 2)
    cdef double lanes = g.t.lanes, move = 0.5 * lanes if backward else 1 + 0.5 * lanes, each
    if backward:
        each = 9 + window(g) * (0.8 if averages else 1.5)
    elif averages:
        each = 2 + 0.4 * lanes + 0.7 * window(g)
    else:
        each = 4 + 0.7 * lanes + window(g) * (1.3 + 0.075 * lanes)
    return ceil_div(g.total, g.t.lanes) * (moved * move + windows * each)


cdef double rows_cost(const Lanes *g) noexcept nogil:
    """The cycles of a forward by rows: windows inside the image are vectors, those at its border go one by one."""
    cdef Py_ssize_t KH = g.size[0], KW = g.size[1], SW = g.stride[1], lanes = g.t.lanes
    cdef Py_ssize_t inner = inside(g, 1, g.w.W, g.w.OW), border = g.w.OW - inner
    cdef Py_ssize_t width = min(lanes, inner), vectors = ceil_div(inner, lanes)
    cdef double area = window(g), load = 0.8 if SW == 1 else 1.2 if SW == 2 else width
    cdef double calls = 40.0 * (g.w.OH - inside(g, 0, g.w.H, g.w.OH) + 1) * (border + 1), row
    cdef Py_ssize_t seen = (inner - 1) * SW + KW  # columns of a row of windows
    cdef double part = 1 if seen % lanes and lanes * g.t.itemsize < MASKS else 0  # for a part of a vector
    if inner < lanes and inner & (inner - 1):
        vectors = 2  # two vectors of the widest SPAN that fits, which overlap
    if g.kind == AVERAGES and area >= 16:
        row = (1.5 * ceil_div(seen, lanes) + part) * KH + 2.0 * inner * KW
    elif g.kind == MAXIMA and g.positions == NULL and area > 4:
        row = 1.5 * ceil_div(g.w.W, lanes) * KH + vectors * (KW * (load + 1.2) + 10)
    else:
        row = vectors * (area * (load + (1.4 if g.kind == AVERAGES else 2.2)) + 10)
    return g.total * (calls + g.w.OH * (3 * border * area + row))


cdef double rows_cost_backward(const Lanes *g) noexcept nogil:
    cdef Py_ssize_t K = g.size[0], S = g.stride[0], P = max(g.padding[0], g.padding[1])
    if K == g.size[1] and S == g.stride[1] == 2 and g.w.DH == g.w.DW == 1:
        if K == 3:
            return g.total * <double> g.w.H * (30 + 0.5 * g.w.W)
        if K == 2 and P == 0 and g.w.H == 2 * g.w.OH and g.w.W == 2 * g.w.OW:
            return g.total * <double> g.w.OH * (8 + 0.35 * g.w.W)
    if g.kind == AVERAGES_BACK:
        return INFINITY
    return g.total * (10 + 0.3 * g.w.H * <double> g.w.W + 2.9 * g.w.OH * <double> g.w.OW)


cdef double window(const Lanes *g) noexcept nogil:
    """The pixels of a window."""
    if g.size[0]:
        return <double> g.size[0] * g.size[1]
    return <double> (g.w.H // g.w.OH + 1) * (g.w.W // g.w.OW + 1)


cdef Py_ssize_t inside(const Lanes *g, int axis, Py_ssize_t size, Py_ssize_t outputs) noexcept nogil:
    """The number of windows along one axis that need no clipping."""
    cdef Py_ssize_t room = size + g.padding[axis] - (g.w.DW if axis else g.w.DH) * (g.size[axis] - 1) - 1
    cdef Py_ssize_t first = ceil_div(g.padding[axis], g.stride[axis])
    return max(<Py_ssize_t> 0, min(outputs, room // g.stride[axis] + 1 if room >= 0 else 0) - first)


cdef bint pays(const Lanes *g) noexcept nogil:
    if window(g) > MAX_WINDOW or max(g.size[0], g.size[1]) > MAX_SIDE or g.w.H * g.w.W > MAX_PIXELS:
        return False
    if g.size[0] == 0:
        return g.w.OW > 1 or g.w.OH > 1  # a whole plane is a run of memory
    if g.kind == MAXIMA or g.kind == AVERAGES:
        return lanes_cost(g) < rows_cost(g)
    return lanes_cost(g) < rows_cost_backward(g)


cdef void lanes_chunk(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Lanes *g = <const Lanes *> job
    cdef Py_ssize_t pixels = g.w.H * g.w.W * g.t.itemsize, windows = g.w.OH * g.w.OW, plane, planes
    cdef char *room = g.room + slot * g.room_step
    cdef char *positions
    for plane from chunk * g.group <= plane < min(g.total, (chunk + 1) * g.group) by g.t.lanes:
        planes = min(g.t.lanes, g.total - plane)
        positions = g.positions + plane * windows if g.positions != NULL else NULL
        if g.kind == MAXIMA:
            g.t.maxpool_lanes(&g.w, g.x + plane * pixels, g.y + plane * windows * g.t.itemsize, <uint8_t *> positions,
                              planes, room)
        elif g.kind == AVERAGES:
            g.t.avgpool_lanes(&g.w, g.x + plane * pixels, g.y + plane * windows * g.t.itemsize, planes, room)
        elif g.kind == MAXIMA_BACK:
            g.t.maxpool_lanes_backward(&g.w, g.x + plane * windows * g.t.itemsize, <const uint8_t *> positions,
                                       g.y + plane * pixels, planes, room)
        else:
            g.t.avgpool_lanes_backward(&g.w, g.x + plane * windows * g.t.itemsize, g.y + plane * pixels, planes, room)


cdef bint run_lanes(Lanes *g, int workers) noexcept nogil:
    cdef Py_ssize_t pixels = g.w.H * g.w.W, windows = g.w.OH * g.w.OW
    cdef Py_ssize_t spans = (g.w.OH + g.w.OW) * sizeof(fnn_span)
    if not pays(g):
        return False
    if not fits(workers * (pixels + 2.0 * windows) * g.t.lanes * g.t.itemsize + spans):
        return False
    g.room_step = (pixels + 2 * windows) * g.t.lanes * g.t.itemsize
    g.room = <char *> allocate(workers * g.room_step + spans)
    if g.room == NULL:
        return False
    g.w.rows = <fnn_span *> (g.room + workers * g.room_step)
    g.w.columns = g.w.rows + g.w.OH
    place_windows(g, 0, g.w.H, g.w.OH, <fnn_span *> g.w.rows)
    place_windows(g, 1, g.w.W, g.w.OW, <fnn_span *> g.w.columns)
    g.group = g.t.lanes * max(<Py_ssize_t> 1, CHUNK // (g.t.lanes * max(pixels, <Py_ssize_t> 1)))
    parallel(lanes_chunk, g, ceil_div(g.total, g.group), workers, <double> g.total * pixels)
    release(g.room)
    return True
