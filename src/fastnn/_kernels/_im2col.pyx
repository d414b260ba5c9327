"""Unfolding and folding (`im2col` and `col2im`), and padding with its gradient."""
from libc.string cimport memset

from fastnn._kernels._table cimport allocate, parallel, release, threads, tiles
from fastnn._kernels.buffers cimport Buffers, borrow, give_back, is_double
from fastnn._kernels.conv_shape cimport ConvShape, Geometry, conv_shape
from fastnn._kernels.fnn cimport begin, fnn_task, fnn_tiles, reach

ctypedef fused real:
    float
    double

cdef void im2col_plane(void *job, Py_ssize_t plane, int slot) noexcept nogil:
    cdef const Patches *g = <const Patches *> job
    cdef const ConvShape *s = &g.shape
    cdef Py_ssize_t kh, kw, size = g.t.itemsize
    for kh in range(s.KH):
        for kw in range(s.KW):
            g.t.unfold_plane(g.cols + ((plane * s.KH + kh) * s.KW + kw) * s.OH * s.OW * size, s.OH, s.OW,
                             g.image + plane * s.H * s.W * size, s.H, s.W, kh * s.DH - s.PH, s.SH,
                             kw * s.DW - s.PW, s.SW)


cdef void col2im_plane(void *job, Py_ssize_t plane, int slot) noexcept nogil:
    cdef const Patches *g = <const Patches *> job
    cdef const ConvShape *s = &g.shape
    cdef Py_ssize_t kh, kw, size = g.t.itemsize
    memset(g.image + plane * s.H * s.W * size, 0, s.H * s.W * size)
    for kh in range(s.KH):
        for kw in range(s.KW):
            g.t.fold_plane(g.image + plane * s.H * s.W * size, s.H, s.W,
                           g.cols + ((plane * s.KH + kh) * s.KW + kw) * s.OH * s.OW * size, s.OH, s.OW,
                           kh * s.DH - s.PH, s.SH, kw * s.DW - s.PW, s.SW)


cdef Patches describe_patches(fnn_tiles *t, Py_ssize_t H, Py_ssize_t W, Geometry geometry) noexcept nogil:
    cdef Patches g
    g.t, g.shape = t, conv_shape(1, 1, H, W, 1, 0, 0, geometry)
    g.shape.OH = (H + 2 * g.shape.PH - reach(g.shape.KH, g.shape.DH)) // g.shape.SH + 1
    g.shape.OW = (W + 2 * g.shape.PW - reach(g.shape.KW, g.shape.DW)) // g.shape.SW + 1
    return g


cdef inline double elements(const Patches *g, Py_ssize_t planes) noexcept nogil:
    return <double> planes * g.shape.KH * g.shape.KW * g.shape.OH * g.shape.OW


cdef void unfold_planes(Patches *g, Py_ssize_t planes, int workers) noexcept nogil:
    parallel(im2col_plane, g, planes, workers, elements(g, planes))


cdef void fold_planes(Patches *g, Py_ssize_t planes, int workers) noexcept nogil:
    parallel(col2im_plane, g, planes, workers, elements(g, planes))


def im2col(const real[:, :, :, ::1] x, real[:, :, ::1] cols, Geometry geometry):
    """cols (N, C*KH*KW, OH*OW) = the patches of x (N, C, H, W). Writes all of cols; no overlap. EXACT."""
    cdef Patches g = describe_patches(tiles(real is double), x.shape[2], x.shape[3], geometry)
    g.image, g.cols = begin(x), begin(cols)
    with nogil:
        unfold_planes(&g, x.shape[0] * x.shape[1], threads())


def col2im(const real[:, :, ::1] cols, real[:, :, :, ::1] dx, Geometry geometry):
    """dx (N, C, H, W) = the transpose of im2col: each element of cols (N, C*KH*KW, OH*OW) is added to its pixel.

    A pixel's sum is in the order of (kh, kw). Writes all of dx; no overlap. EXACT: an ordered sum.
    """
    cdef Patches g = describe_patches(tiles(real is double), dx.shape[2], dx.shape[3], geometry)
    g.image, g.cols = begin(dx), begin(cols)
    with nogil:
        fold_planes(&g, dx.shape[0] * dx.shape[1], threads())


# ---- Padding -------------------------------------------------------------------------------------------------------
#
# The padding around an image is its frame. A table tells which row of the source each row of the target copies, and
# another does so for columns. Four columns with two before and one after them:
#
#     target column    0   1   2   3   4   5   6
#     constant        -1  -1   0   1   2   3  -1
#     reflect          2   1   0   1   2   3   2
#     replicate        0   0   0   1   2   3   3
#     circular         2   3   0   1   2   3   0

BORDERS = {"constant": ZEROS, "reflect": REFLECT, "replicate": REPLICATE, "circular": CIRCULAR}


cdef void come_from(Py_ssize_t *places, Py_ssize_t framed, Py_ssize_t size, Py_ssize_t before,
                    Border border) noexcept nogil:
    """Fill places[i], i < framed: which of `size` pixels place i copies. `before` places of the frame come first."""
    cdef Py_ssize_t i, at
    for i in range(framed):
        at = i - before
        if border == REFLECT:
            at = -at if at < 0 else at
            at = 2 * (size - 1) - at if at >= size else at
        elif border == REPLICATE:
            at = min(max(at, <Py_ssize_t> 0), size - 1)
        elif border == CIRCULAR:
            at = at + size if at < 0 else at - size if at >= size else at
        places[i] = at if 0 <= at < size else -1


cdef void pad_plane(void *job, Py_ssize_t plane, int slot) noexcept nogil:
    cdef const Frames *g = <const Frames *> job
    cdef Py_ssize_t oh, size = g.t.itemsize
    cdef const char *row
    cdef char *y = g.target + plane * g.OH * g.OW * size
    if g.border == ZEROS:
        zero_frame(g, y, size)
        g.t.copy(y + (g.top * g.OW + g.left) * size, g.OW, g.source + plane * g.H * g.W * size, g.W, g.H, g.W)
        return
    for oh in range(g.OH):
        if g.rows[oh] >= 0:
            row = g.source + (plane * g.H + g.rows[oh]) * g.W * size
            g.t.copy(y + g.left * size, 0, row, 0, 1, g.W)
            if size == sizeof(float):
                frame_row[float](g, <float *> y, <const float *> row)
            else:
                frame_row[double](g, <double *> y, <const double *> row)
        y += g.OW * size


cdef void zero_frame(const Frames *g, char *y, Py_ssize_t size) noexcept nogil:
    """Between two rows of the image, the right and the left of the frame are one run."""
    cdef Py_ssize_t _oh, beside = (g.OW - g.W) * size, before = (g.top * g.OW + g.left) * size
    cdef char *end = y + g.OH * g.OW * size
    memset(y, 0, before)
    y += before + g.W * size
    for _oh in range(g.H - 1):
        memset(y, 0, beside)
        y += g.OW * size
    memset(y, 0, end - y)


cdef void frame_row(const Frames *g, real *y, const real *x) noexcept nogil:
    cdef Py_ssize_t ow
    for ow in range(g.left):
        y[ow] = x[g.columns[ow]] if g.columns[ow] >= 0 else 0
    for ow in range(g.left + g.W, g.OW):
        y[ow] = x[g.columns[ow]] if g.columns[ow] >= 0 else 0


cdef void unpad_plane(void *job, Py_ssize_t plane, int slot) noexcept nogil:
    cdef const Frames *g = <const Frames *> job
    cdef Py_ssize_t oh, size = g.t.itemsize
    cdef const char *dy = g.source + plane * g.OH * g.OW * size
    cdef char *dx = g.target + plane * g.H * g.W * size
    cdef char *row
    g.t.copy(dx, g.W, dy + (g.top * g.OW + g.left) * size, g.OW, g.H, g.W)
    if g.border == ZEROS:
        return
    for oh in range(g.OH):
        if g.rows[oh] >= 0:
            row = dx + g.rows[oh] * g.W * size
            if not g.top <= oh < g.top + g.H:
                g.t.add(row, 0, dy + g.left * size, 0, 1, g.W)
            if size == sizeof(float):
                unframe_row[float](g, <float *> row, <const float *> dy)
            else:
                unframe_row[double](g, <double *> row, <const double *> dy)
        dy += g.OW * size


cdef void unframe_row(const Frames *g, real *dx, const real *dy) noexcept nogil:
    cdef Py_ssize_t ow
    for ow in range(g.left):
        if g.columns[ow] >= 0:
            dx[g.columns[ow]] += dy[ow]
    for ow in range(g.left + g.W, g.OW):
        if g.columns[ow] >= 0:
            dx[g.columns[ow]] += dy[ow]


cdef bint in_frames(Frames *g, Py_ssize_t planes, fnn_task task, int workers) noexcept nogil:
    g.rows = <Py_ssize_t *> allocate((g.OH + g.OW) * sizeof(Py_ssize_t))
    if g.rows == NULL:
        return False
    g.columns = g.rows + g.OH
    come_from(g.rows, g.OH, g.H, g.top, g.border)
    come_from(g.columns, g.OW, g.W, g.left, g.border)
    parallel(task, g, planes, workers, <double> planes * g.OH * g.OW)
    release(g.rows)
    return True


cdef bint frame_planes(Frames *g, Py_ssize_t planes, int workers) noexcept nogil:
    return in_frames(g, planes, pad_plane, workers)


cdef int run_frames(source, target, Py_ssize_t top, Py_ssize_t left, bint backward, str mode) except -1:
    cdef Buffers b
    cdef Py_buffer *given
    cdef Py_buffer *made
    cdef Py_buffer *inner
    cdef Py_buffer *outer
    cdef Frames g
    cdef bint enough
    b.count = 0
    try:
        given, made = borrow(&b, source, False), borrow(&b, target, True)
        inner, outer = (made, given) if backward else (given, made)
        g.t, g.border = tiles(is_double(given)), BORDERS[mode]
        g.source, g.target = <const char *> given.buf, <char *> made.buf
        g.H, g.W, g.OH, g.OW = inner.shape[2], inner.shape[3], outer.shape[2], outer.shape[3]
        g.top, g.left = top, left
        with nogil:
            enough = in_frames(&g, inner.shape[0] * inner.shape[1], unpad_plane if backward else pad_plane, threads())
    finally:
        give_back(&b)
    if not enough:
        raise MemoryError("no memory for the places of a frame")
    return 0


def pad2d(x, y, Py_ssize_t top, Py_ssize_t left, str mode):
    """y (N, C, OH, OW) = x (N, C, H, W), padded by zeros ("constant"), or by pixels of x in another mode of `BORDERS`.

    The padding must fit the mode. Writes all of y; no overlap. EXACT.
    """
    run_frames(x, y, top, left, False, mode)


def pad2d_backward(dy, dx, Py_ssize_t top, Py_ssize_t left, str mode):
    """dx (N, C, H, W) = the transpose of pad2d: dy (N, C, OH, OW) is added to the pixels that pad2d copies.

    Writes all of dx; no overlap. REDUCTION(the most copies that pad2d makes of a pixel).
    """
    run_frames(dy, dx, top, left, True, mode)
