"""Max and average pooling, plane by plane.

Windows at the border of the image are clipped here, so that the tiles see pixels of the image only. One call of a tile
takes a grid of windows of one shape. Of these windows, those with the same letter are one call::

    a b b b c
    d e e e f      e: the windows that lie inside the image
    d e e e f
    g h h h i

docs/dev/pooling.md has an example.
"""
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memset

from fastnn._kernels._pool_lanes cimport AVERAGES, AVERAGES_BACK, MAXIMA, MAXIMA_BACK, Lanes, run_lanes
from fastnn._kernels._table cimport parallel, threads, tiles
from fastnn._kernels.fnn cimport begin, ceil_div, fnn_tiles

ctypedef fused real:
    float
    double

ctypedef fused place:
    uint8_t
    int32_t

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


cdef void run_max_forward(const real[:, :, :, ::1] x, real[:, :, :, ::1] y, void *positions, bint wide,
                          Windows windows) noexcept nogil:
    cdef Pool g = describe(tiles(real is double), x.shape[0] * x.shape[1], x.shape[2], x.shape[3], y.shape[2],
                           y.shape[3], windows)
    g.x, g.y, g.positions, g.wide = begin(x), begin(y), <char *> positions, wide
    maxpool(&g, threads())


def max_pool2d_forward(const real[:, :, :, ::1] x, real[:, :, :, ::1] y, uint8_t[:, :, :, ::1] positions,
                       Windows windows):
    """y (N, C, OH, OW) = window maxima of x (N, C, H, W). positions, unless None, gets the position kh*KW + kw of each.

    Padding is never the maximum. Every window must have a pixel inside the image. Writes all of y and positions; no
    overlap. EXACT.
    """
    cdef void *places = begin(positions)
    with nogil:
        run_max_forward(x, y, places, False, windows)


def max_pool2d_forward_wide(const real[:, :, :, ::1] x, real[:, :, :, ::1] y, int32_t[:, :, :, ::1] positions,
                            Windows windows):
    """max_pool2d_forward for windows of more than 256 pixels."""
    cdef void *places = begin(positions)
    with nogil:
        run_max_forward(x, y, places, True, windows)


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


def avg_pool2d_forward(const real[:, :, :, ::1] x, real[:, :, :, ::1] y, Windows windows, bint count_padding,
                       Py_ssize_t divisor):
    """y (N, C, OH, OW) = window averages of x (N, C, H, W).

    An average divides by the number of its pixels inside the image. With `count_padding`, pixels of the padding count
    too, but none beyond it. A `divisor` that is not 0 replaces this number. Writes all of y; no overlap.
    REDUCTION(KH*KW); for large windows, whose blocks are added in double precision, REDUCTION(some tens).
    """
    cdef Pool g = describe(tiles(real is double), x.shape[0] * x.shape[1], x.shape[2], x.shape[3], y.shape[2],
                           y.shape[3], windows)
    g.x, g.y = begin(x), begin(y)
    g.count_padding, g.divisor = count_padding, divisor
    with nogil:
        avgpool(&g, threads())


cdef bint positions_fit(const place *p, Py_ssize_t planes, Py_ssize_t OH, Py_ssize_t OW, Py_ssize_t H, Py_ssize_t W,
                        Windows windows) noexcept nogil:
    """Whether all positions lie in their windows and inside the image.

    For windows inside the image, the smallest and the largest position decide. Windows at the border look each position
    up in a table, because divisions would take most of the time.
    """
    cdef Py_ssize_t KH, KW, SH, SW, PH, PW, DH, DW, plane, oh, ow, i, at, ih, iw, kh, kw, above, left
    cdef place most = 0, least = 0
    cdef uint8_t fits[256]
    cdef bint all_fit = True
    KH, KW, SH, SW, PH, PW, DH, DW = windows
    for at in range(planes * OH * OW):
        most, least = max(most, p[at]), min(least, p[at])
    if least < 0 or most >= KH * KW:
        return False
    for oh in range(OH):
        span(oh, KH, SH, PH, DH, H, &ih, &kh, &above)
        for ow in range(OW):
            span(ow, KW, SW, PW, DW, W, &iw, &kw, &left)
            if kh == KH and kw == KW:
                continue
            if place is uint8_t:
                memset(fits, 0, KH * KW)
                for i in range(above, above + kh):
                    memset(fits + i * KW + left, 1, kw)
            for plane in range(planes):
                at = p[(plane * OH + oh) * OW + ow]
                if place is uint8_t:
                    all_fit &= fits[at]
                else:
                    all_fit &= above <= at // KW < above + kh and left <= at % KW < left + kw
    return all_fit


def max_pool2d_positions_fit(const place[:, :, :, ::1] positions, Py_ssize_t H, Py_ssize_t W, Windows windows):
    """Whether all positions (N, C, OH, OW) are places in their windows, and inside an image (H, W)."""
    cdef Py_ssize_t planes = positions.shape[0] * positions.shape[1]
    cdef const place *p = <const place *> begin(positions)
    cdef bint fit
    with nogil:
        fit = positions_fit(p, planes, positions.shape[2], positions.shape[3], H, W, windows)
    return fit
