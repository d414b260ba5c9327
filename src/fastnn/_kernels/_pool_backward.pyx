"""The gradients of max and average pooling, plane by plane.

The gradient of a maximum goes to its position. An average has four ways. Windows of 2 x 2 and 3 x 3 at stride 2 have
tiles of their own. Other small windows are folded: for each pixel (kh, kw) of a window, a whole row of shares is added
at a time. Large windows, and windows of narrow maps, spread their shares one by one. Where very many windows overlap,
each pixel gathers its shares in double precision instead.
"""
from libc.stdint cimport int32_t, uint8_t
from libc.string cimport memset

from fastnn._kernels._pool cimport Pool, Windows, area, borrow_planes, chunks, in_lanes, span
from fastnn._kernels._pool_lanes cimport AVERAGES_BACK, MAXIMA_BACK
from fastnn._kernels._table cimport allocate, parallel, release, threads
from fastnn._kernels.buffers cimport Buffers, give_back, reads
from fastnn._kernels.conv_folded cimport folded_at, unfold_phases
from fastnn._kernels.fnn cimport ceil_div, fits, fnn_task

cdef str NO_MEMORY = "no memory for the workspace of a pool"

cdef enum:
    FOLD_MAX_WINDOW = 16     # pixels of a window whose shares are folded
    FOLD_MIN_OUTPUTS = 4     # outputs in a row, from which folding pays
    TOGETHER = 4             # planes that maxima are scattered to by turns
    FLOAT_MAX_WINDOWS = 64   # windows that a pixel lies in: the shares of more are added in double precision

ctypedef fused real:
    float
    double

cdef void max_backward(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Pool *g = <const Pool *> job
    cdef Py_ssize_t size = g.t.itemsize, plane = chunk * g.planes, end = min(g.total, plane + g.planes)
    cdef char *dx
    while plane < end:
        dx = g.x + plane * g.H * g.W * size
        if g.side_by_side and not g.wide:
            g.t.unpool_2x2(g.y + plane * g.OH * g.OW * size, <const uint8_t *> g.positions + plane * g.OH * g.OW, dx,
                           g.OH, g.OW)
            plane += 1
        elif g.by_twos:
            g.t.unpool_3x3(g.y + plane * g.OH * g.OW * size, <const uint8_t *> g.positions + plane * g.OH * g.OW, dx,
                           g.OH, g.OW, g.H, g.W, g.PH, g.PW, g.workspace + slot * g.workspace_step)
            plane += 1
        elif size == sizeof(float):
            plane += scatter_planes[float](g, <float *> g.x, <const float *> g.y, plane, end)
        else:
            plane += scatter_planes[double](g, <double *> g.x, <const double *> g.y, plane, end)


cdef Py_ssize_t scatter_planes(const Pool *g, real *dx, const real *dy, Py_ssize_t plane,
                               Py_ssize_t end) noexcept nogil:
    """dx += dy at each window's maximum, in some planes from `plane` on; returns how many."""
    cdef Py_ssize_t pixels = g.H * g.W, outputs = g.OH * g.OW
    cdef Py_ssize_t planes = TOGETHER if not g.wide and end - plane >= TOGETHER else 1
    dx, dy = dx + plane * pixels, dy + plane * outputs
    memset(dx, 0, planes * pixels * sizeof(real))
    if g.wide:
        scatter_wide(g, dx, dy, <const int32_t *> g.positions + plane * outputs)
    elif planes == 1:
        scatter(g, dx, dy, <const uint8_t *> g.positions + plane * outputs)
    else:
        scatter_together(g, dx, dy, <const uint8_t *> g.positions + plane * outputs)
    return planes


cdef void scatter(const Pool *g, real *dx, const real *dy, const uint8_t *positions) noexcept nogil:
    """dx += dy at each window's maximum. The table `steps` leads from a window's corner to it."""
    cdef Py_ssize_t oh, ow, at
    for oh in range(g.OH):
        at = (oh * g.SH - g.PH) * g.W - g.PW
        for ow in range(g.OW):
            dx[at + g.steps[positions[ow]]] += dy[ow]
            at += g.SW
        dy, positions = dy + g.OW, positions + g.OW


cdef void scatter_together(const Pool *g, real *dx, const real *dy, const uint8_t *positions) noexcept nogil:
    """The same for four planes by turns. Overlapping windows add to one pixel, and each addition waits for the last."""
    cdef Py_ssize_t oh, ow, at, pixels = g.H * g.W, outputs = g.OH * g.OW
    for oh in range(g.OH):
        at = (oh * g.SH - g.PH) * g.W - g.PW
        for ow in range(g.OW):
            dx[at + g.steps[positions[ow]]] += dy[ow]
            dx[pixels + at + g.steps[positions[outputs + ow]]] += dy[outputs + ow]
            dx[2 * pixels + at + g.steps[positions[2 * outputs + ow]]] += dy[2 * outputs + ow]
            dx[3 * pixels + at + g.steps[positions[3 * outputs + ow]]] += dy[3 * outputs + ow]
            at += g.SW
        dy, positions = dy + g.OW, positions + g.OW


cdef void scatter_wide(const Pool *g, real *dx, const real *dy, const int32_t *positions) noexcept nogil:
    cdef Py_ssize_t oh, ow, kh, ih, iw
    for oh in range(g.OH):
        for ow in range(g.OW):
            kh = positions[ow] // g.KW
            ih, iw = oh * g.SH - g.PH + kh * g.DH, ow * g.SW - g.PW + (positions[ow] - kh * g.KW) * g.DW
            if 0 <= ih < g.H and 0 <= iw < g.W:  # no forward writes a position outside the image
                dx[ih * g.W + iw] += dy[ow]
        dy, positions = dy + g.OW, positions + g.OW


cdef bint fold_by_place(const Pool *g) noexcept nogil:
    return g.KH * g.KW <= FOLD_MAX_WINDOW and g.OW >= FOLD_MIN_OUTPUTS


cdef void fold_plane(const Pool *g, char *dx, const char *share, char *folded) noexcept nogil:
    """dx = at each pixel the sum of the shares (OH, OW) of its windows, in the order of (kh, kw)."""
    cdef Py_ssize_t size = g.t.itemsize, kh, kw
    memset(folded, 0, g.AH * g.SW * g.AW * size)
    for kh in range(g.KH):
        for kw in range(g.KW):
            g.t.add(folded + folded_at(kh, kw, g.SW, g.AW) * size, g.SH * g.SW * g.AW, share, g.OW, g.OH, g.OW)
    unfold_phases(g.t, dx, g.H, g.W, folded, g.PH, g.PW, g.SW, g.AW)


cdef void average_backward(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Pool *g = <const Pool *> job
    cdef Py_ssize_t size = g.t.itemsize, plane
    cdef bint by_place = fold_by_place(g), quarters = g.side_by_side and (g.divisor == 0 or g.divisor == 4)
    cdef char *dx
    cdef char *dy
    cdef char *workspace = g.workspace + slot * g.workspace_step
    cdef double *row = <double *> workspace + ceil_div(g.OH * g.OW * size, sizeof(double))
    for plane in range(chunk * g.planes, min(g.total, (chunk + 1) * g.planes)):
        dx = g.x + plane * g.H * g.W * size
        dy = g.y + plane * g.OH * g.OW * size
        if quarters:
            g.t.unpool_2x2(dy, NULL, dx, g.OH, g.OW)
            continue
        if size == sizeof(float):
            divide[float](g, <float *> workspace, <const float *> dy)
        else:
            divide[double](g, <double *> workspace, <const double *> dy)
        if g.by_twos:
            g.t.unpool_3x3(workspace, NULL, dx, g.OH, g.OW, g.H, g.W, g.PH, g.PW, workspace + g.OH * g.OW * size)
        elif by_place:
            fold_plane(g, dx, workspace, workspace + g.OH * g.OW * size)
        elif size == sizeof(float) and overlap(g):
            gather[float](g, <float *> dx, <const float *> workspace, row)
        elif size == sizeof(float):
            spread[float](g, <float *> dx, <const float *> workspace)
        elif overlap(g):
            gather[double](g, <double *> dx, <const double *> workspace, row)
        else:
            spread[double](g, <double *> dx, <const double *> workspace)


cdef void divide(const Pool *g, real *share, const real *dy) noexcept nogil:
    """share (OH, OW) = dy over the divisor of the window: the gradient that each of its pixels gets."""
    cdef Py_ssize_t oh, ow, ih, iw, kh, kw, skipped
    cdef real factor
    for oh in range(g.OH):
        span(oh, g.KH, g.SH, g.PH, 1, g.H, &ih, &kh, &skipped)
        factor = 1 / <real> area(g, oh, g.column_from, kh, g.KW)
        for ow in range(g.column_from, g.column_to):
            share[oh * g.OW + ow] = dy[oh * g.OW + ow] * factor
        for ow in range(g.OW):
            if not g.column_from <= ow < g.column_to:
                span(ow, g.KW, g.SW, g.PW, 1, g.W, &iw, &kw, &skipped)
                share[oh * g.OW + ow] = dy[oh * g.OW + ow] * (1 / <real> area(g, oh, ow, kh, kw))


cdef bint overlap(const Pool *g) noexcept nogil:
    """Whether a pixel may lie in more than FLOAT_MAX_WINDOWS windows."""
    return ceil_div(g.KH, g.SH) * ceil_div(g.KW, g.SW) > FLOAT_MAX_WINDOWS


cdef void spread(const Pool *g, real *dx, const real *share) noexcept nogil:
    """dx = at each pixel the sum of its windows' shares, window by window."""
    cdef Py_ssize_t oh, ow, i, j, ih, iw, kh, kw, skipped
    memset(dx, 0, g.H * g.W * sizeof(real))
    for oh in range(g.OH):
        span(oh, g.KH, g.SH, g.PH, 1, g.H, &ih, &kh, &skipped)
        for ow in range(g.OW):
            span(ow, g.KW, g.SW, g.PW, 1, g.W, &iw, &kw, &skipped)
            for i in range(ih, ih + kh):
                for j in range(iw, iw + kw):
                    dx[i * g.W + j] += share[oh * g.OW + ow]


cdef void gather(const Pool *g, real *dx, const real *share, double *row) noexcept nogil:
    """dx = the same sums, pixel by pixel: the shares of a column of windows are first added up in row (OW,)."""
    cdef Py_ssize_t ih, iw, oh, ow
    cdef double total
    for ih in range(g.H):
        memset(row, 0, g.OW * sizeof(double))
        for oh in range(ceil_div(ih + g.PH - g.KH + 1, g.SH), min(g.OH, (ih + g.PH) // g.SH + 1)):
            for ow in range(g.OW):
                row[ow] += share[oh * g.OW + ow]
        for iw in range(g.W):
            total = 0
            for ow in range(ceil_div(iw + g.PW - g.KW + 1, g.SW), min(g.OW, (iw + g.PW) // g.SW + 1)):
                total += row[ow]
            dx[ih * g.W + iw] = <real> total


cdef bint run_backward(Pool *g, fnn_task task, double workspace) noexcept nogil:
    """Run the task with `workspace` elements of workspace for each thread. False when there is no memory."""
    cdef int workers = threads()
    if not fits(workspace * workers * g.t.itemsize):
        return False
    g.workspace_step = ceil_div(<Py_ssize_t> workspace * g.t.itemsize, sizeof(double)) * sizeof(double)
    g.workspace = <char *> allocate(workers * g.workspace_step)
    if g.workspace == NULL:
        return False
    parallel(task, g, chunks(g), workers, <double> g.total * g.H * g.W)
    release(g.workspace)
    return True


cdef bint average_pool_gradient(Pool *g) noexcept nogil:
    cdef double workspace = <double> g.OH * g.OW
    if in_lanes(g, AVERAGES_BACK, threads()):
        return True
    g.AH = max((g.OH - 1) * g.SH + g.KH, g.H + g.PH)
    g.AW = max(g.OW + (g.KW - 1) // g.SW, ceil_div(g.W + g.PW, g.SW))
    if g.by_twos:
        workspace += 2 * g.OW + 1
    elif fold_by_place(g):
        workspace += <double> g.AH * g.SW * g.AW
    elif overlap(g):
        workspace += 2 * g.OW + 1  # room for OW doubles, in elements of either dtype
    return run_backward(g, average_backward, workspace)


cdef bint max_pool_gradient(Pool *g) noexcept nogil:
    cdef Py_ssize_t position
    cdef Py_ssize_t steps[256]
    if in_lanes(g, MAXIMA_BACK, threads()):
        return True
    for position in range(256):
        steps[position] = (position // g.KW * g.DH * g.W + position % g.KW * g.DW if position < g.KH * g.KW
                           else 0)
    g.steps, g.planes = steps, max(g.planes, <Py_ssize_t> TOGETHER)
    return run_backward(g, max_backward, 2 * g.OW + 1 if g.by_twos else 1)


def max_pool2d_backward(dy, positions, dx, Windows windows):
    """dx (N, C, H, W) = at each pixel the sum of dy (N, C, OH, OW) over the windows whose position is this pixel.

    Positions are as the forward writes them. Sums are in row-major order of the windows. Writes all of dx; no overlap.
    EXACT: an ordered sum.
    """
    cdef Buffers b
    cdef Pool g
    cdef bint enough
    b.count = 0
    try:
        g = borrow_planes(&b, dx, dy, True, windows)
        g.positions = <char *> reads(&b, positions)
        with nogil:
            enough = max_pool_gradient(&g)
    finally:
        give_back(&b)
    if not enough:
        raise MemoryError(NO_MEMORY)


def avg_pool2d_backward(dy, dx, Windows windows, bint count_padding, Py_ssize_t divisor):
    """dx (N, C, H, W) = at each pixel the sum of dy (N, C, OH, OW) over the divisor, over the windows that cover it.

    Writes all of dx; no overlap. REDUCTION(KH*KW).
    """
    cdef Buffers b
    cdef Pool g
    cdef bint enough
    b.count = 0
    try:
        g = borrow_planes(&b, dx, dy, True, windows)
        g.count_padding, g.divisor = count_padding, divisor
        with nogil:
            enough = average_pool_gradient(&g)
    finally:
        give_back(&b)
    if not enough:
        raise MemoryError(NO_MEMORY)
