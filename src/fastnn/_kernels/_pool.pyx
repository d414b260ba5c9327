"""Max and average pooling, plane by plane. Windows at the border are clipped here; the tiles see whole ones."""
from libc.stdint cimport int32_t, uint8_t
from libc.string cimport memset

from fastnn._kernels._table cimport allocate, parallel, release, threads, tiles
from fastnn._kernels.folded cimport folded_at, unfold_phases
from fastnn._kernels.fnn cimport ceil_div, fits, fnn_tiles

ctypedef fused real:
    float
    double

ctypedef fused place:
    uint8_t
    int32_t

cdef void span(Py_ssize_t o, Py_ssize_t K, Py_ssize_t S, Py_ssize_t P, Py_ssize_t size, Py_ssize_t *start,
               Py_ssize_t *length, Py_ssize_t *padded) noexcept nogil:
    """Window o along one axis: its first pixel inside, how many are inside, how many count with the padding."""
    cdef Py_ssize_t first = o * S - P, last = min(first + K, size)
    start[0] = max(first, <Py_ssize_t> 0)
    length[0] = last - start[0]
    padded[0] = min(first + K, size + P) - first


cdef void inside(Py_ssize_t outputs, Py_ssize_t K, Py_ssize_t S, Py_ssize_t P, Py_ssize_t size, Py_ssize_t *start,
                 Py_ssize_t *stop) noexcept nogil:
    """The windows along one axis that need no clipping."""
    start[0] = min(outputs, ceil_div(P, S))
    stop[0] = max(start[0], min(outputs, (size + P - K) // S + 1 if size + P >= K else 0))


cdef Pool describe(fnn_tiles *t, Py_ssize_t planes, Py_ssize_t H, Py_ssize_t W, Py_ssize_t OH, Py_ssize_t OW,
                   Py_ssize_t KH, Py_ssize_t KW, Py_ssize_t SH, Py_ssize_t SW, Py_ssize_t PH,
                   Py_ssize_t PW) noexcept nogil:
    cdef Pool g
    g.t, g.H, g.W, g.OH, g.OW, g.KH, g.KW, g.SH, g.SW, g.PH, g.PW = t, H, W, OH, OW, KH, KW, SH, SW, PH, PW
    g.total, g.positions, g.wide = planes, NULL, 0
    g.planes = max(<Py_ssize_t> 1, 16384 // max(H * W, <Py_ssize_t> 1))
    g.side_by_side = KH == KW == SH == SW == 2 and PH == PW == 0 and H == 2 * OH and W == 2 * OW
    inside(OH, KH, SH, PH, H, &g.row_from, &g.row_to)
    inside(OW, KW, SW, PW, W, &g.column_from, &g.column_to)
    return g


cdef inline Py_ssize_t chunks(const Pool *g) noexcept nogil:
    return ceil_div(g.total, g.planes)


# ---- Forward -------------------------------------------------------------------------------------------------------

cdef void max_forward(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Pool *g = <const Pool *> job
    cdef Py_ssize_t size = g.t.itemsize, place_size = sizeof(int32_t) if g.wide else 1
    cdef Py_ssize_t plane, oh, ow, rows, n, ih, iw, kh, kw, padded, out
    for plane in range(chunk * g.planes, min(g.total, (chunk + 1) * g.planes)):
        oh = 0
        while oh < g.OH:
            span(oh, g.KH, g.SH, g.PH, g.H, &ih, &kh, &padded)
            rows = g.row_to - oh if g.row_from <= oh < g.row_to else 1
            ow = 0
            while ow < g.OW:
                span(ow, g.KW, g.SW, g.PW, g.W, &iw, &kw, &padded)
                n = g.column_to - ow if g.column_from <= ow < g.column_to else 1
                out = (plane * g.OH + oh) * g.OW + ow
                g.t.maxpool(g.x + ((plane * g.H + ih) * g.W + iw) * size, g.W, kh, kw, g.SH, g.SW, rows, n,
                            g.y + out * size, g.OW, g.positions + out * place_size if g.positions != NULL else NULL,
                            g.wide, (ih - oh * g.SH + g.PH) * g.KW + iw - ow * g.SW + g.PW, g.KW)
                ow += n
            oh += rows


cdef void average_forward(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Pool *g = <const Pool *> job
    cdef Py_ssize_t size = g.t.itemsize
    cdef Py_ssize_t plane, oh, ow, rows, n, ih, iw, kh, kw, padded_h, padded_w
    for plane in range(chunk * g.planes, min(g.total, (chunk + 1) * g.planes)):
        oh = 0
        while oh < g.OH:
            span(oh, g.KH, g.SH, g.PH, g.H, &ih, &kh, &padded_h)
            rows = g.row_to - oh if g.row_from <= oh < g.row_to else 1
            ow = 0
            while ow < g.OW:
                span(ow, g.KW, g.SW, g.PW, g.W, &iw, &kw, &padded_w)
                n = g.column_to - ow if g.column_from <= ow < g.column_to else 1
                g.t.avgpool(g.x + ((plane * g.H + ih) * g.W + iw) * size, g.W, kh, kw, g.SH, g.SW, rows, n,
                            g.y + ((plane * g.OH + oh) * g.OW + ow) * size, g.OW, padded_h * padded_w)
                ow += n
            oh += rows


cdef void maxpool(Pool *g, int workers) noexcept nogil:
    parallel(max_forward, g, chunks(g), workers, <double> g.total * g.H * g.W)


cdef void avgpool(Pool *g, int workers) noexcept nogil:
    parallel(average_forward, g, chunks(g), workers, <double> g.total * g.H * g.W)


cdef void run_max_forward(const real[:, :, :, ::1] x, real[:, :, :, ::1] y, void *positions, bint wide, Py_ssize_t KH,
                          Py_ssize_t KW, Py_ssize_t SH, Py_ssize_t SW, Py_ssize_t PH, Py_ssize_t PW) noexcept nogil:
    cdef Pool g = describe(tiles(real is double), x.shape[0] * x.shape[1], x.shape[2], x.shape[3], y.shape[2],
                           y.shape[3], KH, KW, SH, SW, PH, PW)
    g.x, g.y, g.positions, g.wide = <char *> &x[0, 0, 0, 0], <char *> &y[0, 0, 0, 0], <char *> positions, wide
    maxpool(&g, threads())


def maxpool2d_forward(const real[:, :, :, ::1] x, real[:, :, :, ::1] y, uint8_t[:, :, :, ::1] positions,
                      Py_ssize_t KH, Py_ssize_t KW, Py_ssize_t SH, Py_ssize_t SW, Py_ssize_t PH, Py_ssize_t PW):
    """y (N, C, OH, OW) = window maxima of x (N, C, H, W); positions, if not None, their places kh*KW + kw.

    Padding is never the maximum; every window has a pixel inside. Writes all of y and positions; no overlap. EXACT.
    """
    cdef void *places = NULL if positions is None else &positions[0, 0, 0, 0]
    with nogil:
        run_max_forward(x, y, places, False, KH, KW, SH, SW, PH, PW)


def maxpool2d_forward_wide(const real[:, :, :, ::1] x, real[:, :, :, ::1] y, int32_t[:, :, :, ::1] positions,
                           Py_ssize_t KH, Py_ssize_t KW, Py_ssize_t SH, Py_ssize_t SW, Py_ssize_t PH, Py_ssize_t PW):
    """maxpool2d_forward for windows of more than 256 pixels."""
    cdef void *places = NULL if positions is None else &positions[0, 0, 0, 0]
    with nogil:
        run_max_forward(x, y, places, True, KH, KW, SH, SW, PH, PW)


def avgpool2d_forward(const real[:, :, :, ::1] x, real[:, :, :, ::1] y, Py_ssize_t KH, Py_ssize_t KW, Py_ssize_t SH,
                      Py_ssize_t SW, Py_ssize_t PH, Py_ssize_t PW):
    """y (N, C, OH, OW) = window averages of x (N, C, H, W), padding counted, what lies beyond it not.

    Writes all of y; no overlap. REDUCTION(KH*KW).
    """
    cdef Pool g = describe(tiles(real is double), x.shape[0] * x.shape[1], x.shape[2], x.shape[3], y.shape[2],
                           y.shape[3], KH, KW, SH, SW, PH, PW)
    g.x, g.y = <char *> &x[0, 0, 0, 0], <char *> &y[0, 0, 0, 0]
    with nogil:
        avgpool(&g, threads())


# ---- Backward ------------------------------------------------------------------------------------------------------

cdef void max_backward(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Pool *g = <const Pool *> job
    cdef Py_ssize_t size = g.t.itemsize, plane
    cdef char *dx
    for plane in range(chunk * g.planes, min(g.total, (chunk + 1) * g.planes)):
        dx = g.x + plane * g.H * g.W * size
        if g.side_by_side and not g.wide:
            g.t.unpool_2x2(g.y + plane * g.OH * g.OW * size, <const uint8_t *> g.positions + plane * g.OH * g.OW, dx,
                           g.OH, g.OW)
            continue
        memset(dx, 0, g.H * g.W * size)
        if size == sizeof(float) and g.wide:
            scatter[float, int32_t](g, <float *> dx, <const float *> g.y, <const int32_t *> g.positions, plane)
        elif size == sizeof(float):
            scatter[float, uint8_t](g, <float *> dx, <const float *> g.y, <const uint8_t *> g.positions, plane)
        elif g.wide:
            scatter[double, int32_t](g, <double *> dx, <const double *> g.y, <const int32_t *> g.positions, plane)
        else:
            scatter[double, uint8_t](g, <double *> dx, <const double *> g.y, <const uint8_t *> g.positions, plane)


cdef void scatter(const Pool *g, real *dx, const real *dy, const place *positions, Py_ssize_t plane) noexcept nogil:
    """dx += dy where each window's maximum was. Windows inside the image take the way there from a table."""
    cdef Py_ssize_t oh, ow, from_, to, base = plane * g.OH * g.OW
    cdef real *corner
    for oh in range(g.OH):
        from_ = g.column_from if place is uint8_t and g.row_from <= oh < g.row_to else g.OW
        to = max(from_, g.column_to)
        for ow in range(from_):
            scatter_one(g, dx, dy[base + ow], positions[base + ow], oh, ow)
        corner = dx + (oh * g.SH - g.PH) * g.W - g.PW
        for ow in range(from_, to):
            corner[ow * g.SW + g.steps[<uint8_t> positions[base + ow]]] += dy[base + ow]
        for ow in range(to, g.OW):
            scatter_one(g, dx, dy[base + ow], positions[base + ow], oh, ow)
        base += g.OW


cdef inline void scatter_one(const Pool *g, real *dx, real dy, Py_ssize_t position, Py_ssize_t oh,
                             Py_ssize_t ow) noexcept nogil:
    """A place outside the image, which no forward gives, gets nothing."""
    cdef Py_ssize_t kh = position // g.KW, ih = oh * g.SH - g.PH + kh, iw = ow * g.SW - g.PW + position - kh * g.KW
    if 0 <= ih < g.H and 0 <= iw < g.W:
        dx[ih * g.W + iw] += dy


# Small windows of an average are folded, place by place of the window, whole rows at a time; of large ones, and in
# narrow maps, each goes back alone.

cdef bint fold_by_place(const Pool *g) noexcept nogil:
    return g.KH * g.KW <= 16 and g.OW >= 4


cdef void fold_plane(const Pool *g, char *dx, const char *share, char *folded) noexcept nogil:
    """dx = the sum of the shares (OH, OW) of all windows that a pixel is in, place by place of the windows."""
    cdef Py_ssize_t size = g.t.itemsize, kh, kw
    memset(folded, 0, g.AH * g.SW * g.AW * size)
    for kh in range(g.KH):
        for kw in range(g.KW):
            g.t.add(folded + folded_at(kh, kw, g.SW, g.AW) * size, g.SH * g.SW * g.AW, share, g.OW, g.OH, g.OW)
    unfold_phases(g.t, dx, g.H, g.W, folded, g.PH, g.PW, g.SW, g.AW)


cdef void average_backward(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Pool *g = <const Pool *> job
    cdef Py_ssize_t size = g.t.itemsize, plane
    cdef bint by_place = fold_by_place(g)
    cdef char *dx
    cdef char *dy
    cdef char *workspace = g.workspace + slot * g.workspace_step
    for plane in range(chunk * g.planes, min(g.total, (chunk + 1) * g.planes)):
        dx = g.x + plane * g.H * g.W * size
        dy = g.y + plane * g.OH * g.OW * size
        if g.side_by_side:
            g.t.unpool_2x2(dy, NULL, dx, g.OH, g.OW)
            continue
        if size == sizeof(float):
            divide[float](g, <float *> workspace, <const float *> dy)
        else:
            divide[double](g, <double *> workspace, <const double *> dy)
        if by_place:
            fold_plane(g, dx, workspace, workspace + g.OH * g.OW * size)
        elif size == sizeof(float):
            spread[float](g, <float *> dx, <const float *> workspace)
        else:
            spread[double](g, <double *> dx, <const double *> workspace)


cdef void divide(const Pool *g, real *share, const real *dy) noexcept nogil:
    """share = what each pixel of a window gets of dy."""
    cdef Py_ssize_t oh, ow, start, length, padded_h, padded_w
    for oh in range(g.OH):
        span(oh, g.KH, g.SH, g.PH, g.H, &start, &length, &padded_h)
        for ow in range(g.column_from, g.column_to):
            share[oh * g.OW + ow] = dy[oh * g.OW + ow] / <real> (padded_h * g.KW)
        for ow in range(g.OW):
            if not g.column_from <= ow < g.column_to:
                span(ow, g.KW, g.SW, g.PW, g.W, &start, &length, &padded_w)
                share[oh * g.OW + ow] = dy[oh * g.OW + ow] / <real> (padded_h * padded_w)


cdef void spread(const Pool *g, real *dx, const real *share) noexcept nogil:
    """dx = the sum of shares over the windows that each pixel is in."""
    cdef Py_ssize_t oh, ow, i, j, ih, iw, kh, kw, padded
    memset(dx, 0, g.H * g.W * sizeof(real))
    for oh in range(g.OH):
        span(oh, g.KH, g.SH, g.PH, g.H, &ih, &kh, &padded)
        for ow in range(g.OW):
            span(ow, g.KW, g.SW, g.PW, g.W, &iw, &kw, &padded)
            for i in range(ih, ih + kh):
                for j in range(iw, iw + kw):
                    dx[i * g.W + j] += share[oh * g.OW + ow]


cdef bint run_average_backward(Pool *g) noexcept nogil:
    """False when there is no memory."""
    cdef int workers = threads()
    g.AH = max((g.OH - 1) * g.SH + g.KH, g.H + g.PH)
    g.AW = max(g.OW + (g.KW - 1) // g.SW, ceil_div(g.W + g.PW, g.SW))
    if not fits((<double> g.AH * g.SW * g.AW + <double> g.OH * g.OW) * workers * g.t.itemsize):
        return False
    g.workspace_step = ((g.AH * g.SW * g.AW if fold_by_place(g) else 0) + g.OH * g.OW) * g.t.itemsize
    g.workspace = <char *> allocate(workers * g.workspace_step)
    if g.workspace == NULL:
        return False
    parallel(average_backward, g, chunks(g), workers, <double> g.total * g.H * g.W)
    release(g.workspace)
    return True


cdef void run_max_backward(const real[:, :, :, ::1] dy, const void *positions, bint wide, real[:, :, :, ::1] dx,
                           Py_ssize_t KH, Py_ssize_t KW, Py_ssize_t SH, Py_ssize_t SW, Py_ssize_t PH,
                           Py_ssize_t PW) noexcept nogil:
    cdef Pool g = describe(tiles(real is double), dx.shape[0] * dx.shape[1], dx.shape[2], dx.shape[3], dy.shape[2],
                           dy.shape[3], KH, KW, SH, SW, PH, PW)
    cdef Py_ssize_t position
    cdef Py_ssize_t steps[256]
    g.x, g.y, g.positions, g.wide = <char *> &dx[0, 0, 0, 0], <char *> &dy[0, 0, 0, 0], <char *> positions, wide
    for position in range(256):
        steps[position] = position // KW * g.W + position % KW if position < KH * KW else 0
    g.steps = steps
    parallel(max_backward, &g, chunks(&g), threads(), <double> g.total * g.H * g.W)


def maxpool2d_backward(const real[:, :, :, ::1] dy, const uint8_t[:, :, :, ::1] positions, real[:, :, :, ::1] dx,
                       Py_ssize_t KH, Py_ssize_t KW, Py_ssize_t SH, Py_ssize_t SW, Py_ssize_t PH, Py_ssize_t PW):
    """dx (N, C, H, W) = dy (N, C, OH, OW) summed where positions say the maxima were.

    Sums are in row-major order of the windows. Writes all of dx; no overlap. EXACT: an ordered sum.
    """
    with nogil:
        run_max_backward(dy, &positions[0, 0, 0, 0], False, dx, KH, KW, SH, SW, PH, PW)


def maxpool2d_backward_wide(const real[:, :, :, ::1] dy, const int32_t[:, :, :, ::1] positions,
                            real[:, :, :, ::1] dx, Py_ssize_t KH, Py_ssize_t KW, Py_ssize_t SH, Py_ssize_t SW,
                            Py_ssize_t PH, Py_ssize_t PW):
    """maxpool2d_backward for windows of more than 256 pixels."""
    with nogil:
        run_max_backward(dy, &positions[0, 0, 0, 0], True, dx, KH, KW, SH, SW, PH, PW)


def avgpool2d_backward(const real[:, :, :, ::1] dy, real[:, :, :, ::1] dx, Py_ssize_t KH, Py_ssize_t KW, Py_ssize_t SH,
                       Py_ssize_t SW, Py_ssize_t PH, Py_ssize_t PW):
    """dx (N, C, H, W) = each window's share of dy (N, C, OH, OW), summed in row-major order of the windows.

    Writes all of dx; no overlap. REDUCTION(KH*KW).
    """
    cdef Pool g = describe(tiles(real is double), dx.shape[0] * dx.shape[1], dx.shape[2], dx.shape[3], dy.shape[2],
                           dy.shape[3], KH, KW, SH, SW, PH, PW)
    cdef bint enough
    g.x, g.y = <char *> &dx[0, 0, 0, 0], <char *> &dy[0, 0, 0, 0]
    with nogil:
        enough = run_average_backward(&g)
    if not enough:
        raise MemoryError("no memory for the workspace of a pool")
