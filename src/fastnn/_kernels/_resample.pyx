"""Planes of another size: adaptive pooling and interpolation.

All kinds are separable: rows are combined first, whole rows at a time, and columns after that.
docs/dev/resampling.md has examples.
"""
from libc.stdint cimport int64_t
from libc.string cimport memset

from fastnn._kernels._adaptive cimport average_plane, average_plane_backward, average_whole_planes, maximum_plane
from fastnn._kernels._interpolate cimport (
    bicubic_plane,
    bicubic_plane_backward,
    bilinear_plane,
    bilinear_plane_backward,
    fill_bicubic,
    fill_bilinear,
    fill_nearest,
    nearest_plane,
    nearest_plane_backward,
)
from fastnn._kernels._pool_lanes cimport AVERAGES, AVERAGES_BACK, Lanes, run_lanes
from fastnn._kernels._table cimport allocate, parallel, release, threads, tiles
from fastnn._kernels.buffers cimport Buffers, borrow, give_back, is_double, reads, writes
from fastnn._kernels.fnn cimport fits, fnn_task, fnn_tiles
from fastnn._kernels.resample_planes cimport Resample

ctypedef fused real:
    float
    double


cdef Resample describe_resample(fnn_tiles *t, int kind, Py_ssize_t planes, Py_ssize_t H, Py_ssize_t W, Py_ssize_t OH,
                                Py_ssize_t OW) noexcept nogil:
    cdef Resample g
    g.t, g.kind, g.total, g.H, g.W, g.OH, g.OW = t, kind, planes, H, W, OH, OW
    g.planes = max(<Py_ssize_t> 1, 16384 // max(H * W, OH * OW))
    g.x, g.y, g.indices, g.align_corners, g.scale_h, g.scale_w = NULL, NULL, NULL, False, 0, 0
    g.low_h, g.high_h, g.low_w, g.high_w = NULL, NULL, NULL, NULL
    g.first_h, g.second_h, g.first_w, g.second_w = NULL, NULL, NULL, NULL
    g.workspace, g.workspace_step, g.doubles = NULL, 0, False
    return g


cdef bint averages_in_lanes(const Resample *g, int kind, int workers) noexcept nogil:
    cdef Lanes lanes
    lanes.t, lanes.kind, lanes.total = g.t, kind, g.total
    lanes.w.H, lanes.w.W, lanes.w.OH, lanes.w.OW = g.H, g.W, g.OH, g.OW
    lanes.w.KW, lanes.w.DH, lanes.w.DW = 0, 1, 1
    lanes.size, lanes.stride, lanes.padding = [0, 0], [0, 0], [0, 0]
    lanes.count_padding, lanes.divisor, lanes.positions = False, 0, NULL
    lanes.x = g.y if kind == AVERAGES_BACK else g.x
    lanes.y = g.x if kind == AVERAGES_BACK else g.y
    return run_lanes(&lanes, workers)


cdef bint run(Resample *g, fnn_task task, int workers) noexcept nogil:
    """Fill the tables, and run the task for all planes. False when there is no memory."""
    cdef Py_ssize_t size = g.t.itemsize, outputs = g.OH + g.OW
    cdef char *tables
    if g.kind == AVERAGE and averages_in_lanes(g, AVERAGES_BACK if task == backward_task else AVERAGES, workers):
        return True
    g.workspace_step = (2 * max(g.W, g.OW) + 16) * 8
    if not fits(<double> workers * g.workspace_step + 48. * outputs):
        return False
    g.workspace = <char *> allocate(workers * g.workspace_step + outputs * (2 * sizeof(Py_ssize_t) + 4 * size))
    if g.workspace == NULL:
        return False
    tables = g.workspace + workers * g.workspace_step
    g.low_h = <Py_ssize_t *> tables
    g.high_h, g.low_w = g.low_h + g.OH, g.low_h + 2 * g.OH
    g.high_w = g.low_w + g.OW
    g.first_h = <char *> (g.high_w + g.OW)
    g.second_h, g.first_w = g.first_h + g.OH * size, g.first_h + 4 * g.OH * size
    g.second_w = g.first_w + g.OW * size
    if g.kind == NEAREST or g.kind == NEAREST_EXACT:
        fill_nearest(g, g.kind == NEAREST_EXACT)
    elif g.kind == BICUBIC:
        fill_bicubic(g)
    elif g.kind == BILINEAR:
        fill_bilinear(g)
    parallel(task, g, (g.total + g.planes - 1) // g.planes, workers, <double> g.total * (g.H * g.W + g.OH * g.OW))
    release(g.workspace)
    return True


cdef bint resample(Resample *g, int workers) noexcept nogil:
    return run(g, forward_task, workers)


cdef bint resample_gradient(Resample *g, int workers) noexcept nogil:
    return run(g, backward_task, workers)


cdef void forward_task(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Resample *g = <const Resample *> job
    cdef Py_ssize_t plane = chunk * g.planes, count = min(g.planes, g.total - plane)
    if g.kind == AVERAGE and g.OH == 1 and g.OW == 1:
        if g.t.itemsize == sizeof(float):
            average_whole_planes(g, <const float *> g.x + plane * g.H * g.W, <float *> g.y + plane, count)
        else:
            average_whole_planes(g, <const double *> g.x + plane * g.H * g.W, <double *> g.y + plane, count)
        return
    for plane in range(plane, plane + count):
        if g.t.itemsize == sizeof(float):
            forward_plane[float](g, plane, <float *> (g.workspace + slot * g.workspace_step))
        else:
            forward_plane[double](g, plane, <double *> (g.workspace + slot * g.workspace_step))


cdef void forward_plane(const Resample *g, Py_ssize_t plane, real *rows) noexcept nogil:
    cdef const real *x = <const real *> g.x + plane * g.H * g.W
    cdef real *y = <real *> g.y + plane * g.OH * g.OW
    if g.kind == AVERAGE:
        average_plane(g, x, y, rows)
    elif g.kind == MAXIMUM:
        maximum_plane(g, x, y, g.indices + plane * g.OH * g.OW if g.indices != NULL else NULL, rows)
    elif g.kind == BILINEAR:
        bilinear_plane(g, x, y, rows)
    elif g.kind == BICUBIC:
        bicubic_plane(g, x, y, rows)
    else:
        nearest_plane(g, x, y)


cdef void backward_task(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Resample *g = <const Resample *> job
    cdef Py_ssize_t plane
    for plane in range(chunk * g.planes, min(g.total, (chunk + 1) * g.planes)):
        if g.t.itemsize == sizeof(float):
            backward_plane[float](g, plane, <float *> (g.workspace + slot * g.workspace_step))
        else:
            backward_plane[double](g, plane, <double *> (g.workspace + slot * g.workspace_step))


cdef void backward_plane(const Resample *g, Py_ssize_t plane, real *rows) noexcept nogil:
    cdef real *dx = <real *> g.x + plane * g.H * g.W
    cdef const real *dy = <const real *> g.y + plane * g.OH * g.OW
    cdef Py_ssize_t at
    if g.kind == AVERAGE:
        average_plane_backward(g, dx, dy, rows)
        return
    if g.kind == BICUBIC:
        bicubic_plane_backward(g, dx, dy, <double *> rows)
        return
    memset(dx, 0, g.H * g.W * sizeof(real))
    if g.kind == MAXIMUM:
        for at in range(g.OH * g.OW):
            dx[g.indices[plane * g.OH * g.OW + at]] += dy[at]
    elif g.kind == BILINEAR:
        bilinear_plane_backward(g, dx, dy, rows)
    else:
        nearest_plane_backward(g, dx, dy, rows)


cdef int run_arrays(int kind, large, small, indices, bint backward, bint align_corners, double scale_h,
                    double scale_w) except -1:
    cdef Buffers b
    cdef Py_buffer *x
    cdef Py_buffer *y
    cdef Resample g
    cdef bint enough
    b.count = 0
    try:
        x, y = borrow(&b, large, backward), borrow(&b, small, not backward)
        g = describe_resample(tiles(is_double(x)), kind, x.shape[0] * x.shape[1], x.shape[2], x.shape[3], y.shape[2],
                              y.shape[3])
        g.x, g.y = <char *> x.buf, <char *> y.buf
        g.indices = <int64_t *> (reads(&b, indices) if backward else writes(&b, indices))
        g.align_corners, g.scale_h, g.scale_w = align_corners, scale_h, scale_w
        with nogil:
            enough = resample_gradient(&g, threads()) if backward else resample(&g, threads())
    finally:
        give_back(&b)
    if not enough:
        raise MemoryError("no memory for the workspace of planes of another size")
    return 0


def resample_forward(int kind, x, y, indices, bint align_corners, double scale_h, double scale_w):
    """y (N, C, OH, OW) = the planes of x (N, C, H, W), resampled.

    With MAXIMUM, indices get the places h*W + w of the maxima, unless None. A scale is the caller's, or 0 for the ratio
    of the sizes. Writes all of y and indices; no overlap. MAXIMUM, NEAREST and NEAREST_EXACT are EXACT. AVERAGE is
    REDUCTION(a window's pixels); for large windows, whose blocks are added in double precision, REDUCTION(some tens).
    BILINEAR is REDUCTION(4), BICUBIC REDUCTION(16).
    """
    run_arrays(kind, x, y, indices, False, align_corners, scale_h, scale_w)


def resample_backward(int kind, dy, dx, indices, bint align_corners, double scale_h, double scale_w):
    """dx (N, C, H, W) from dy (N, C, OH, OW). MAXIMUM needs the indices, which must lie in the plane.

    Writes all of dx; no overlap. MAXIMUM is EXACT, an ordered sum. The others are REDUCTION(the outputs that depend on
    a pixel).
    """
    run_arrays(kind, dx, dy, indices, True, align_corners, scale_h, scale_w)
