"""Max and average pooling, plane by plane.

Windows at the border of the image are clipped here, so that the tiles see pixels of the image only. One call of a tile
takes a grid of windows of one shape. Of these windows, those with the same letter are one call::

    a b b b c
    d e e e f      e: the windows that lie inside the image
    d e e e f
    g h h h i

docs/dev/pooling.md has an example.
"""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from fastnn._kernels._pool_lanes cimport AVERAGES, AVERAGES_BACK, MAXIMA, MAXIMA_BACK, Lanes, run_lanes
from fastnn._kernels._table cimport parallel, threads, tiles
from fastnn._kernels.buffers cimport Buffers, borrow, give_back, is_double, writes
from fastnn._kernels.fnn cimport ceil_div, fnn_tiles

ctypedef fused place:
    uint8_t
    int32_t

cdef enum:
    MOST_OUTPUTS = 256  # along an axis, of pools whose positions are checked by tables


cdef void inside(Py_ssize_t outputs, Py_ssize_t K, Py_ssize_t S, Py_ssize_t P, Py_ssize_t D, Py_ssize_t size,
                 Py_ssize_t *start, Py_ssize_t *stop) noexcept nogil:
    """Find the windows along one axis that need no clipping: start <= o < stop."""
    cdef Py_ssize_t room = size + P - D * (K - 1) - 1
    start[0] = min(outputs, ceil_div(P, S))
    stop[0] = max(start[0], min(outputs, room // S + 1 if room >= 0 else 0))


cdef Pool describe(fnn_tiles *t, Py_ssize_t planes, Py_ssize_t H, Py_ssize_t W, Py_ssize_t OH, Py_ssize_t OW,
                   Windows windows) noexcept nogil:
    cdef Pool g
    g.KH, g.KW, g.SH, g.SW, g.PH, g.PW, g.DH, g.DW = windows
    g.t, g.H, g.W, g.OH, g.OW = t, H, W, OH, OW
    g.total, g.positions, g.wide, g.count_padding, g.divisor = planes, NULL, 0, True, 0
    g.planes = max(<Py_ssize_t> 1, 16384 // max(H * W, <Py_ssize_t> 1))
    g.side_by_side = (g.KH == g.KW == g.SH == g.SW == 2 and g.PH == g.PW == 0 and g.DH == g.DW == 1 and H == 2 * OH
                      and W == 2 * OW)
    g.by_twos = g.KH == g.KW == 3 and g.SH == g.SW == 2 and g.DH == g.DW == 1
    inside(OH, g.KH, g.SH, g.PH, g.DH, H, &g.row_from, &g.row_to)
    inside(OW, g.KW, g.SW, g.PW, g.DW, W, &g.column_from, &g.column_to)
    g.workspace, g.workspace_step = NULL, 0
    return g


cdef void max_forward(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Pool *g = <const Pool *> job
    cdef Py_ssize_t size = g.t.itemsize, place_size = sizeof(int32_t) if g.wide else 1
    cdef Py_ssize_t plane, oh, ow, rows, n, ih, iw, kh, kw, above, left, out
    for plane in range(chunk * g.planes, min(g.total, (chunk + 1) * g.planes)):
        oh = 0
        while oh < g.OH:
            span(oh, g.KH, g.SH, g.PH, g.DH, g.H, &ih, &kh, &above)
            rows = g.row_to - oh if g.row_from <= oh < g.row_to else 1
            ow = 0
            while ow < g.OW:
                span(ow, g.KW, g.SW, g.PW, g.DW, g.W, &iw, &kw, &left)
                n = g.column_to - ow if g.column_from <= ow < g.column_to else 1
                out = (plane * g.OH + oh) * g.OW + ow
                g.t.maxpool(g.x + ((plane * g.H + ih) * g.W + iw) * size, g.W, kh, kw, g.SH, g.SW, g.DH, g.DW,
                            rows, n, g.y + out * size, g.OW,
                            g.positions + out * place_size if g.positions != NULL else NULL, g.wide,
                            above * g.KW + left, g.KW)
                ow += n
            oh += rows


cdef void average_forward(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Pool *g = <const Pool *> job
    cdef Py_ssize_t size = g.t.itemsize
    cdef Py_ssize_t plane, oh, ow, rows, n, ih, iw, kh, kw, above, left
    for plane in range(chunk * g.planes, min(g.total, (chunk + 1) * g.planes)):
        oh = 0
        while oh < g.OH:
            span(oh, g.KH, g.SH, g.PH, 1, g.H, &ih, &kh, &above)
            rows = g.row_to - oh if g.row_from <= oh < g.row_to else 1
            ow = 0
            while ow < g.OW:
                span(ow, g.KW, g.SW, g.PW, 1, g.W, &iw, &kw, &left)
                n = g.column_to - ow if g.column_from <= ow < g.column_to else 1
                g.t.avgpool(g.x + ((plane * g.H + ih) * g.W + iw) * size, g.W, kh, kw, g.SH, g.SW, rows, n,
                            g.y + ((plane * g.OH + oh) * g.OW + ow) * size, g.OW,
                            area(g, oh, ow, kh, kw))
                ow += n
            oh += rows


cdef bint in_lanes(const Pool *g, int kind, int workers) noexcept nogil:
    cdef Lanes lanes
    cdef bint backward = kind == MAXIMA_BACK or kind == AVERAGES_BACK
    if g.wide:
        return False
    lanes.t, lanes.kind, lanes.total = g.t, kind, g.total
    lanes.w.H, lanes.w.W, lanes.w.OH, lanes.w.OW = g.H, g.W, g.OH, g.OW
    lanes.w.KW, lanes.w.DH, lanes.w.DW = g.KW, g.DH, g.DW
    lanes.size, lanes.stride, lanes.padding = [g.KH, g.KW], [g.SH, g.SW], [g.PH, g.PW]
    lanes.count_padding, lanes.divisor = g.count_padding, g.divisor
    lanes.x = g.y if backward else g.x
    lanes.y = g.x if backward else g.y
    lanes.positions = g.positions
    return run_lanes(&lanes, workers)


cdef void maxpool(Pool *g, int workers) noexcept nogil:
    if in_lanes(g, MAXIMA, workers):
        return
    parallel(max_forward, g, chunks(g), workers, <double> g.total * g.H * g.W)


cdef void avgpool(Pool *g, int workers) noexcept nogil:
    if in_lanes(g, AVERAGES, workers):
        return
    parallel(average_forward, g, chunks(g), workers, <double> g.total * g.H * g.W)


cdef Pool borrow_planes(Buffers *b, large, small, bint backward, Windows windows) except *:
    """A pool of planes (N, C, H, W), to or from which small ones (N, C, OH, OW) go."""
    cdef Py_buffer *x = borrow(b, large, backward)
    cdef Py_buffer *y = borrow(b, small, not backward)
    cdef Pool g = describe(tiles(is_double(x)), x.shape[0] * x.shape[1], x.shape[2], x.shape[3], y.shape[2],
                           y.shape[3], windows)
    g.x, g.y, g.wide = <char *> x.buf, <char *> y.buf, g.KH * g.KW > 256
    return g


def max_pool2d_forward(x, y, positions, Windows windows):
    """y (N, C, OH, OW) = window maxima of x (N, C, H, W). positions, unless None, gets the position kh*KW + kw of each.

    Padding is never the maximum. Every window must have a pixel inside the image. Writes all of y and positions; no
    overlap. EXACT.
    """
    cdef Buffers b
    cdef Pool g
    b.count = 0
    try:
        g = borrow_planes(&b, x, y, False, windows)
        g.positions = writes(&b, positions)
        with nogil:
            maxpool(&g, threads())
    finally:
        give_back(&b)


def max_pool2d_indices(const place[:, :, :, ::1] positions, int64_t[:, :, :, ::1] indices, Py_ssize_t W,
                       Windows windows):
    """indices (N, C, OH, OW) = the indices h*W + w in the plane of positions kh*KW + kw in windows. EXACT."""
    cdef Py_ssize_t n, c, oh, ow, kh, at, KW, SH, SW, PH, PW, DH, DW
    _, KW, SH, SW, PH, PW, DH, DW = windows
    with nogil:
        for n in range(positions.shape[0]):
            for c in range(positions.shape[1]):
                for oh in range(positions.shape[2]):
                    for ow in range(positions.shape[3]):
                        kh = <int32_t> positions[n, c, oh, ow] // <int32_t> KW
                        at = (oh * SH - PH + kh * DH) * W + ow * SW - PW
                        indices[n, c, oh, ow] = at + (positions[n, c, oh, ow] - kh * KW) * DW


def avg_pool2d_forward(x, y, Windows windows, bint count_padding, Py_ssize_t divisor):
    """y (N, C, OH, OW) = window averages of x (N, C, H, W).

    An average divides by the number of its pixels inside the image. With `count_padding`, pixels of the padding count
    too, but none beyond it. A `divisor` that is not 0 replaces this number. Writes all of y; no overlap.
    REDUCTION(KH*KW); for large windows, whose blocks are added in double precision, REDUCTION(some tens).
    """
    cdef Buffers b
    cdef Pool g
    b.count = 0
    try:
        g = borrow_planes(&b, x, y, False, windows)
        g.count_padding, g.divisor = count_padding, divisor
        with nogil:
            avgpool(&g, threads())
    finally:
        give_back(&b)


cdef bint none_beyond(const place *p, Py_ssize_t n, Py_ssize_t size) noexcept nogil:
    """Whether all are 0 to size - 1."""
    cdef place most = 0, least = 0
    cdef Py_ssize_t i
    if place is uint8_t:
        tiles(False).byte_range(p, n, &least, &most)
        return most < size
    for i in range(n):
        most, least = max(most, p[i]), min(least, p[i])
    return least >= 0 and most < size


cdef bint inside_clipped(const place *p, Py_ssize_t planes, Py_ssize_t OH, Py_ssize_t OW, Py_ssize_t H, Py_ssize_t W,
                         Windows windows) noexcept nogil:
    """Whether the places in windows on the border are inside the image; windows may be of any size."""
    cdef Py_ssize_t KH, KW, SH, SW, PH, PW, DH, DW, plane, oh, ow, at, ih, iw, kh, kw, above, left
    cdef bint fit = True
    KH, KW, SH, SW, PH, PW, DH, DW = windows
    for oh in range(OH):
        span(oh, KH, SH, PH, DH, H, &ih, &kh, &above)
        for ow in range(OW):
            span(ow, KW, SW, PW, DW, W, &iw, &kw, &left)
            if kh == KH and kw == KW:
                continue
            for plane in range(planes):
                at = p[(plane * OH + oh) * OW + ow]
                fit &= above <= at // KW < above + kh and left <= at % KW < left + kw
    return fit


cdef bint inside_clipped_by_bits(const uint8_t *p, Py_ssize_t planes, Py_ssize_t OH, Py_ssize_t OW, Py_ssize_t H,
                                 Py_ssize_t W, Windows windows) noexcept nogil:
    """The same without division. OH and OW are at most MOST_OUTPUTS.

    The rows of a window that are inside the image are a range of places. Its columns have a bit each.
    """
    cdef Py_ssize_t KH, KW, SH, SW, PH, PW, DH, DW, _plane, oh, ow, at, start, count, before
    cdef Py_ssize_t row_from, row_to, from_, to
    cdef uint64_t column[256]
    cdef uint64_t outside_columns[MOST_OUTPUTS]
    cdef Py_ssize_t first[MOST_OUTPUTS]
    cdef Py_ssize_t last[MOST_OUTPUTS]
    cdef uint64_t bad = 0, one = 1
    cdef uint8_t least, most
    cdef fnn_tiles *t = tiles(False)
    KH, KW, SH, SW, PH, PW, DH, DW = windows
    inside(OH, KH, SH, PH, DH, H, &row_from, &row_to)
    inside(OW, KW, SW, PW, DW, W, &from_, &to)
    if row_to - row_from == OH and to - from_ == OW:
        return True
    for at in range(KH * KW):
        column[at] = one << at % KW
    for oh in range(OH):
        span(oh, KH, SH, PH, DH, H, &start, &count, &before)
        first[oh], last[oh] = before * KW, (before + count) * KW - 1
    for ow in range(OW):
        span(ow, KW, SW, PW, DW, W, &start, &count, &before)
        outside_columns[ow] = ~(((one << count) - 1) << before)
    for _plane in range(planes):
        for oh in range(OH):
            if not row_from <= oh < row_to:
                t.byte_range(p, OW, &least, &most)
                bad |= least < first[oh] or most > last[oh]
            for ow in range(from_):
                bad |= column[p[ow]] & outside_columns[ow]
            for ow in range(to, OW):
                bad |= column[p[ow]] & outside_columns[ow]
            p += OW
    return bad == 0


cdef bint bytes_fit(const uint8_t *p, Py_ssize_t planes, Py_ssize_t OH, Py_ssize_t OW, Py_ssize_t H, Py_ssize_t W,
                    Windows windows) noexcept nogil:
    if not none_beyond(p, planes * OH * OW, windows[0] * windows[1]):
        return False
    if max(OH, OW) <= MOST_OUTPUTS and max(windows[0], windows[1]) < 64:
        return inside_clipped_by_bits(p, planes, OH, OW, H, W, windows)
    return inside_clipped(p, planes, OH, OW, H, W, windows)


def max_pool2d_positions_fit(positions, Py_ssize_t H, Py_ssize_t W, Windows windows):
    """Whether all positions (N, C, OH, OW) are places in their windows, and inside an image (H, W)."""
    cdef Buffers b
    cdef Py_buffer *p
    cdef Py_ssize_t planes
    cdef bint fit
    b.count = 0
    try:
        p = borrow(&b, positions, False)
        planes = p.shape[0] * p.shape[1]
        with nogil:
            if p.itemsize == 1:
                fit = bytes_fit(<const uint8_t *> p.buf, planes, p.shape[2], p.shape[3], H, W, windows)
            else:
                fit = (none_beyond(<const int32_t *> p.buf, planes * p.shape[2] * p.shape[3], windows[0] * windows[1])
                       and inside_clipped(<const int32_t *> p.buf, planes, p.shape[2], p.shape[3], H, W, windows))
    finally:
        give_back(&b)
    return fit
