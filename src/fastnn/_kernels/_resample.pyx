"""Planes of another size: adaptive pooling, whose windows share out the plane, and interpolation.

All of it is separable: rows are taken together first, whole rows at a time, and columns after that.
"""
from libc.math cimport floorf
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy, memset

from fastnn._kernels._table cimport allocate, parallel, release, threads, tiles
from fastnn._kernels.fnn cimport begin, fits, fnn_task, fnn_tiles

ctypedef fused real:
    float
    double


cdef enum:
    GATHERED = 32  # outputs whose gradients are added to one another in their own precision


cdef Resample describe_resample(fnn_tiles *t, int kind, Py_ssize_t planes, Py_ssize_t H, Py_ssize_t W, Py_ssize_t OH,
                                Py_ssize_t OW) noexcept nogil:
    cdef Resample g
    g.t, g.kind, g.total, g.H, g.W, g.OH, g.OW = t, kind, planes, H, W, OH, OW
    g.planes = max(<Py_ssize_t> 1, 16384 // max(H * W, OH * OW))
    g.x, g.y, g.indices, g.align_corners, g.scale_h, g.scale_w = NULL, NULL, NULL, False, 0, 0
    g.low_h, g.high_h, g.low_w, g.high_w = NULL, NULL, NULL, NULL
    g.first_h, g.second_h, g.first_w, g.second_w = NULL, NULL, NULL, NULL
    g.workspace, g.workspace_step = NULL, 0
    return g


cdef bint run(Resample *g, fnn_task task, int workers) noexcept nogil:
    """The task for all planes, with the tables and the rows that it works with. False when there is no memory."""
    cdef Py_ssize_t size = g.t.itemsize, outputs = g.OH + g.OW
    cdef char *tables
    g.workspace_step = (2 * max(g.W, g.OW) + 16) * 8
    if not fits(<double> workers * g.workspace_step + 32. * outputs):
        return False
    g.workspace = <char *> allocate(workers * g.workspace_step + outputs * 2 * (sizeof(Py_ssize_t) + size))
    if g.workspace == NULL:
        return False
    tables = g.workspace + workers * g.workspace_step
    g.low_h = <Py_ssize_t *> tables
    g.high_h, g.low_w = g.low_h + g.OH, g.low_h + 2 * g.OH
    g.high_w = g.low_w + g.OW
    g.first_h = <char *> (g.high_w + g.OW)
    g.second_h, g.first_w = g.first_h + g.OH * size, g.first_h + 2 * g.OH * size
    g.second_w = g.first_w + g.OW * size
    if g.kind == NEAREST:
        nearest(g.H, g.OH, g.scale_h, g.low_h)
        nearest(g.W, g.OW, g.scale_w, g.low_w)
    elif g.kind == BILINEAR and size == sizeof(float):
        between[float](g.H, g.OH, g.scale_h, g.align_corners, g.low_h, g.high_h, <float *> g.first_h,
                       <float *> g.second_h)
        between[float](g.W, g.OW, g.scale_w, g.align_corners, g.low_w, g.high_w, <float *> g.first_w,
                       <float *> g.second_w)
    elif g.kind == BILINEAR:
        between[double](g.H, g.OH, g.scale_h, g.align_corners, g.low_h, g.high_h, <double *> g.first_h,
                        <double *> g.second_h)
        between[double](g.W, g.OW, g.scale_w, g.align_corners, g.low_w, g.high_w, <double *> g.first_w,
                        <double *> g.second_w)
    parallel(task, g, (g.total + g.planes - 1) // g.planes, workers, <double> g.total * (g.H * g.W + g.OH * g.OW))
    release(g.workspace)
    return True


cdef bint resample(Resample *g, int workers) noexcept nogil:
    return run(g, forward_task, workers)


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
    elif g.kind == NEAREST:
        nearest_plane(g, x, y)
    else:
        bilinear_plane(g, x, y, rows)


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
    memset(dx, 0, g.H * g.W * sizeof(real))
    if g.kind == MAXIMUM:
        for at in range(g.OH * g.OW):
            dx[g.indices[plane * g.OH * g.OW + at]] += dy[at]
    elif g.kind == NEAREST:
        nearest_plane_backward(g, dx, dy, rows)
    else:
        bilinear_plane_backward(g, dx, dy, rows)


# ---- Adaptive pooling: window o of `outputs` reaches from o*size/outputs to (o + 1)*size/outputs, rounded outwards ---

cdef inline Py_ssize_t window_from(Py_ssize_t o, Py_ssize_t size, Py_ssize_t outputs) noexcept nogil:
    return o * size // outputs


cdef inline Py_ssize_t window_to(Py_ssize_t o, Py_ssize_t size, Py_ssize_t outputs) noexcept nogil:
    return ((o + 1) * size + outputs - 1) // outputs


cdef void average_whole_planes(const Resample *g, const real *x, real *y, Py_ssize_t planes) noexcept nogil:
    cdef Py_ssize_t size = g.H * g.W, i, j, some
    cdef double totals[64]
    for i from 0 <= i < planes by 64:
        some = min(<Py_ssize_t> 64, planes - i)
        memset(totals, 0, sizeof(totals))
        g.t.sums(totals, x + i * size, size, some, size)
        for j in range(some):
            y[i + j] = <real> totals[j] / <real> size


cdef void average_plane(const Resample *g, const real *x, real *y, real *row) noexcept nogil:
    cdef Py_ssize_t oh, ow, ih, kh, j, from_, to
    cdef double total
    for oh in range(g.OH):
        ih = window_from(oh, g.H, g.OH)
        kh = window_to(oh, g.H, g.OH) - ih
        if g.OW == 1:  # whole rows: one run of pixels
            total = 0
            g.t.sums(&total, x + ih * g.W, 0, 1, kh * g.W)
            y[oh] = <real> total / <real> (kh * g.W)
            continue
        memset(row, 0, g.W * sizeof(real))
        g.t.sum_rows(row, x + ih * g.W, g.W, kh, g.W)
        for ow in range(g.OW):
            from_, to = window_from(ow, g.W, g.OW), window_to(ow, g.W, g.OW)
            total = 0
            for j in range(from_, to):
                total += row[j]
            y[oh * g.OW + ow] = <real> total / <real> (kh * (to - from_))


cdef void average_plane_backward(const Resample *g, real *dx, const real *dy, real *row) noexcept nogil:
    cdef Py_ssize_t oh, ow, ih, ih_to, j, from_, to, written = 0  # rows of dx
    cdef real share
    for oh in range(g.OH):
        ih, ih_to = window_from(oh, g.H, g.OH), window_to(oh, g.H, g.OH)
        memset(row, 0, g.W * sizeof(real))
        for ow in range(g.OW):
            from_, to = window_from(ow, g.W, g.OW), window_to(ow, g.W, g.OW)
            share = dy[oh * g.OW + ow] / <real> ((ih_to - ih) * (to - from_))
            for j in range(from_, to):
                row[j] += share
        if ih < written:
            g.t.add(dx + ih * g.W, g.W, row, 0, min(written, ih_to) - ih, g.W)
        if written < ih_to:
            g.t.copy(dx + written * g.W, g.W, row, 0, ih_to - written, g.W)
            written = ih_to


cdef void maximum_plane(const Resample *g, const real *x, real *y, int64_t *indices, real *row) noexcept nogil:
    """First the maximum of each column, and its row; then the maximum of those, the upper row where they are equal."""
    cdef Py_ssize_t oh, ow, ih, best, j
    cdef int32_t *found = <int32_t *> (row + g.W)
    cdef bint upper
    for oh in range(g.OH):
        ih = window_from(oh, g.H, g.OH)
        g.t.maxpool(x + ih * g.W, g.W, window_to(oh, g.H, g.OH) - ih, 1, 1, 1, 1, 1, 1, g.W, row, g.W, found, 1, ih, 1)
        for ow in range(g.OW):
            best = window_from(ow, g.W, g.OW)
            for j in range(best + 1, window_to(ow, g.W, g.OW)):
                upper = found[j] < found[best]
                if row[j] > row[best] or (row[j] == row[best] and upper):
                    best = j
                elif row[j] != row[j] and (row[best] == row[best] or upper):
                    best = j
            y[oh * g.OW + ow] = row[best]
            if indices != NULL:
                indices[oh * g.OW + ow] = found[best] * g.W + best


# ---- Interpolation ---------------------------------------------------------------------------------------------------

cdef void nearest(Py_ssize_t size, Py_ssize_t outputs, double scale, Py_ssize_t *low) noexcept nogil:
    """The pixel that each output is, by PyTorch's arithmetic, which is in float."""
    cdef Py_ssize_t o
    cdef float step = <float> (1 / scale) if scale else <float> size / <float> outputs
    for o in range(outputs):
        if outputs == size or outputs == 2 * size:
            low[o] = o * size // outputs
        else:
            low[o] = min(<Py_ssize_t> floorf(<float> o * step), size - 1)


cdef void between(Py_ssize_t size, Py_ssize_t outputs, double scale, bint align_corners, Py_ssize_t *low,
                  Py_ssize_t *high, real *first, real *second) noexcept nogil:
    """The two pixels that each output lies between, and their weights; axes that keep their size do not ask."""
    cdef Py_ssize_t o
    cdef double step, at
    if align_corners:
        step = <double> (size - 1) / <double> (outputs - 1) if outputs > 1 else 0
    else:
        step = 1 / scale if scale else <double> size / <double> outputs
    for o in range(outputs):
        at = o * step if align_corners else max((o + 0.5) * step - 0.5, 0.)
        low[o] = min(<Py_ssize_t> at, size - 1)
        high[o] = min(low[o] + 1, size - 1)
        at = min(at - low[o], 1.)
        first[o], second[o] = <real> (1 - at), <real> at


cdef void nearest_plane(const Resample *g, const real *x, real *y) noexcept nogil:
    cdef Py_ssize_t oh, ow
    cdef const real *row
    for oh in range(g.OH):
        row = x + g.low_h[oh] * g.W
        if oh and g.low_h[oh] == g.low_h[oh - 1]:
            memcpy(y, y - g.OW, g.OW * sizeof(real))
        elif g.OW == 2 * g.W:
            g.t.zip(y, row, row, g.W)
        else:
            for ow in range(g.OW):
                y[ow] = row[g.low_w[ow]]
        y += g.OW


cdef void nearest_plane_backward(const Resample *g, real *dx, const real *dy, real *row) noexcept nogil:
    """dx is 0. Output rows that are copies of one row of pixels follow one another."""
    cdef Py_ssize_t oh = 0, next_, ow, at
    cdef real *target
    cdef double total
    while oh < g.OH:
        next_ = oh + 1
        while next_ < g.OH and g.low_h[next_] == g.low_h[oh]:
            next_ += 1
        memset(row, 0, g.OW * sizeof(real))
        g.t.sum_rows(row, dy + oh * g.OW, g.OW, next_ - oh, g.OW)
        target = dx + g.low_h[oh] * g.W
        if g.OW == 2 * g.W:
            for ow in range(g.W):
                target[ow] = row[2 * ow] + row[2 * ow + 1]
        elif g.OW <= GATHERED * g.W:
            for ow in range(g.OW):
                target[g.low_w[ow]] += row[ow]
        else:
            ow = 0
            while ow < g.OW:  # so are those that follow one another in a row
                at, total = g.low_w[ow], 0
                while ow < g.OW and g.low_w[ow] == at:
                    total += row[ow]
                    ow += 1
                target[at] = <real> total
        oh = next_


cdef void bilinear_plane(const Resample *g, const real *x, real *y, real *rows) noexcept nogil:
    """A row of pixels is brought to the width of the output once, for all the output rows that it has a part in."""
    cdef Py_ssize_t oh, ow, side, wanted
    cdef Py_ssize_t held[2]
    cdef real *wide[2]
    cdef real *spare
    cdef const real *upper
    cdef const real *lower
    cdef real first, second
    wide[0], wide[1], held[0], held[1] = rows, rows + g.OW, -1, -1
    for oh in range(g.OH):
        if g.OH == g.H:
            widen(g, y, x + oh * g.W)
            y += g.OW
            continue
        if held[1] == g.low_h[oh] and held[0] != held[1]:
            spare, wide[0] = wide[0], wide[1]
            wide[1], held[0], held[1] = spare, held[1], -1
        for side in range(2):
            wanted = g.high_h[oh] if side else g.low_h[oh]
            if held[side] != wanted:
                widen(g, wide[side], x + wanted * g.W)
                held[side] = wanted
        first, second = (<const real *> g.first_h)[oh], (<const real *> g.second_h)[oh]
        upper, lower = wide[0], wide[1]
        for ow in range(g.OW):
            y[ow] = upper[ow] * first + lower[ow] * second
        y += g.OW


cdef void widen(const Resample *g, real *wide, const real *row) noexcept nogil:
    cdef Py_ssize_t ow
    cdef const real *first = <const real *> g.first_w
    cdef const real *second = <const real *> g.second_w
    if g.OW == g.W:
        memcpy(wide, row, g.W * sizeof(real))
        return
    for ow in range(g.OW):
        wide[ow] = row[g.low_w[ow]] * first[ow] + row[g.high_w[ow]] * second[ow]


cdef void narrow(const Resample *g, real *row, const real *wide) noexcept nogil:
    """The transpose of `widen`: row is added to."""
    cdef Py_ssize_t ow, low, high
    cdef double to_low, to_high
    cdef const real *first = <const real *> g.first_w
    cdef const real *second = <const real *> g.second_w
    if g.OW == g.W:
        g.t.add(row, 0, wide, 0, 1, g.W)
        return
    for ow in range(g.OW if g.OW <= GATHERED * g.W else 0):
        row[g.low_w[ow]] += wide[ow] * first[ow]
        row[g.high_w[ow]] += wide[ow] * second[ow]
    ow = 0
    while ow < g.OW and g.OW > GATHERED * g.W:
        low, high, to_low, to_high = g.low_w[ow], g.high_w[ow], 0, 0
        while ow < g.OW and g.low_w[ow] == low:
            to_low += wide[ow] * first[ow]
            to_high += wide[ow] * second[ow]
            ow += 1
        row[low] += <real> to_low
        row[high] += <real> to_high


cdef void bilinear_plane_backward(const Resample *g, real *dx, const real *dy, real *rows) noexcept nogil:
    """dx is 0. What two neighbouring rows of pixels get of some output rows is gathered at the width of the output."""
    cdef Py_ssize_t oh, ow, gathered = 0, at = g.low_h[0]  # the upper one of the two
    cdef real *upper = rows
    cdef real *lower = rows + g.OW
    cdef real *target
    cdef real first, second
    if g.OH == g.H:
        for oh in range(g.OH):
            narrow(g, dx + oh * g.W, dy + oh * g.OW)
        return
    memset(rows, 0, 2 * g.OW * sizeof(real))
    for oh in range(g.OH):
        while at < g.low_h[oh] or gathered == GATHERED:
            narrow(g, dx + at * g.W, upper)
            if at == g.low_h[oh]:
                narrow(g, dx + g.high_h[oh] * g.W, lower)
                memset(rows, 0, 2 * g.OW * sizeof(real))
            else:
                target, upper = upper, lower
                lower = target
                memset(lower, 0, g.OW * sizeof(real))
                at += 1
            gathered = 0
        gathered += 1
        first, second = (<const real *> g.first_h)[oh], (<const real *> g.second_h)[oh]
        target = upper if g.high_h[oh] == at else lower
        for ow in range(g.OW):
            upper[ow] += dy[ow] * first
        for ow in range(g.OW):
            target[ow] += dy[ow] * second
        dy += g.OW
    narrow(g, dx + at * g.W, upper)
    if at + 1 < g.H:
        narrow(g, dx + (at + 1) * g.W, lower)


# ---- Entry points ----------------------------------------------------------------------------------------------------

def resample_forward(int kind, const real[:, :, :, ::1] x, real[:, :, :, ::1] y, int64_t[:, :, :, ::1] indices,
                     bint align_corners, double scale_h, double scale_w):
    """y (N, C, OH, OW) = planes of another size, of x (N, C, H, W); with the kind MAXIMUM and indices that are not None
    also the places h*W + w of the maxima.

    Scales are those that were asked for, or 0. Writes all of y and indices; no overlap. MAXIMUM and NEAREST are EXACT;
    AVERAGE is a REDUCTION of a window's pixels, of many of some tens, as their blocks are added in double precision.
    BILINEAR is one of 4.
    """
    cdef Resample g = describe_resample(tiles(real is double), kind, x.shape[0] * x.shape[1], x.shape[2], x.shape[3],
                                        y.shape[2], y.shape[3])
    cdef bint enough
    g.x, g.y = begin(x), begin(y)
    g.indices = <int64_t *> begin(indices)
    g.align_corners, g.scale_h, g.scale_w = align_corners, scale_h, scale_w
    with nogil:
        enough = resample(&g, threads())
    if not enough:
        raise MemoryError("no memory for the workspace of planes of another size")


def resample_backward(int kind, const real[:, :, :, ::1] dy, real[:, :, :, ::1] dx,
                      const int64_t[:, :, :, ::1] indices, bint align_corners, double scale_h, double scale_w):
    """dx (N, C, H, W) of dy (N, C, OH, OW); indices are wanted for the kind MAXIMUM, and lie in the plane.

    Writes all of dx; no overlap. MAXIMUM is EXACT, an ordered sum; the others are a REDUCTION of the outputs that a
    pixel has a part in.
    """
    cdef Resample g = describe_resample(tiles(real is double), kind, dx.shape[0] * dx.shape[1], dx.shape[2],
                                        dx.shape[3], dy.shape[2], dy.shape[3])
    cdef bint enough
    g.x, g.y = begin(dx), begin(dy)
    g.indices = <int64_t *> begin(indices)
    g.align_corners, g.scale_h, g.scale_w = align_corners, scale_h, scale_w
    with nogil:
        enough = run(&g, backward_task, threads())
    if not enough:
        raise MemoryError("no memory for the workspace of planes of another size")
