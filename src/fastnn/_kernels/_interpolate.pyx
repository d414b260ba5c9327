"""Interpolation: rows are blended first, whole rows at a time, and then the columns of the resulting row.

docs/dev/resampling.md has an example of the tables.
"""
from libc.math cimport floor, floorf
from libc.string cimport memcpy, memset

from fastnn._kernels.resample_planes cimport Resample

cdef double STEEPNESS = -0.75  # PyTorch's a of Keys' kernel

cdef enum:
    FLOAT_MAX_OUTPUTS = 32  # outputs of one pixel along an axis: the gradients of more are added in double precision


cdef void nearest(Py_ssize_t size, Py_ssize_t outputs, double scale, bint exact, Py_ssize_t *low) noexcept nogil:
    """The pixel that each output copies, or if `exact` the one around its centre. PyTorch counts in float too."""
    cdef Py_ssize_t o
    cdef float step = <float> (1 / scale) if scale else <float> size / <float> outputs
    cdef float centre = <float> 0.5 if exact else <float> 0
    for o in range(outputs):
        if not exact and (outputs == size or outputs == 2 * size):
            low[o] = o * size // outputs
        else:
            low[o] = min(<Py_ssize_t> floorf((<float> o + centre) * step), size - 1)


cdef void between(Py_ssize_t size, Py_ssize_t outputs, double scale, bint align_corners, Py_ssize_t *low,
                  Py_ssize_t *high, real *first, real *second) noexcept nogil:
    """The two pixels that each output lies between, and their weights. Axes that keep their size do not use them."""
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


cdef inline Py_ssize_t tap(Py_ssize_t low, Py_ssize_t k, Py_ssize_t size) noexcept nogil:
    """Pixel k of the four of a bicubic output; those outside are the edge."""
    return min(max(low + k - 1, <Py_ssize_t> 0), size - 1)


cdef void keys(double t, double *weights) noexcept nogil:
    """The weights of four pixels, of which the second is t to the left, at most 1. In this form nothing cancels out."""
    cdef double s = 1 - t
    weights[0], weights[1] = STEEPNESS * t * s * s, s * (1 + t - (STEEPNESS + 2) * t * t)
    weights[2], weights[3] = t * (1 + s - (STEEPNESS + 2) * s * s), STEEPNESS * s * t * t


cdef void among_four(Py_ssize_t size, Py_ssize_t outputs, double scale, bint align_corners, Py_ssize_t *low,
                     real *weights) noexcept nogil:
    """The second of the four pixels that each output lies among, and their weights."""
    cdef Py_ssize_t o
    cdef Py_ssize_t k
    cdef double step, at
    cdef double four[4]
    if align_corners:
        step = <double> (size - 1) / <double> (outputs - 1) if outputs > 1 else 0
    else:
        step = 1 / scale if scale else <double> size / <double> outputs
    for o in range(outputs):
        at = o * step if align_corners else (o + 0.5) * step - 0.5
        low[o] = min(<Py_ssize_t> floor(at), size - 1)
        keys(min(at - low[o], 1.), four)
        for k in range(4):
            weights[k * outputs + o] = <real> four[k]


cdef void fill_nearest(Resample *g, bint exact) noexcept nogil:
    cdef Py_ssize_t ow
    nearest(g.H, g.OH, g.scale_h, exact, g.low_h)
    nearest(g.W, g.OW, g.scale_w, exact, g.low_w)
    g.doubles = g.OW == 2 * g.W
    for ow in range(g.OW if g.doubles else 0):
        g.doubles = g.doubles and g.low_w[ow] == ow // 2


cdef void fill_bicubic(Resample *g) noexcept nogil:
    if g.t.itemsize == sizeof(float):
        among_four(g.H, g.OH, g.scale_h, g.align_corners, g.low_h, <float *> g.first_h)
        among_four(g.W, g.OW, g.scale_w, g.align_corners, g.low_w, <float *> g.first_w)
    else:
        among_four(g.H, g.OH, g.scale_h, g.align_corners, g.low_h, <double *> g.first_h)
        among_four(g.W, g.OW, g.scale_w, g.align_corners, g.low_w, <double *> g.first_w)


cdef void fill_bilinear(Resample *g) noexcept nogil:
    if g.t.itemsize == sizeof(float):
        between[float](g.H, g.OH, g.scale_h, g.align_corners, g.low_h, g.high_h, <float *> g.first_h,
                       <float *> g.second_h)
        between[float](g.W, g.OW, g.scale_w, g.align_corners, g.low_w, g.high_w, <float *> g.first_w,
                       <float *> g.second_w)
    else:
        between[double](g.H, g.OH, g.scale_h, g.align_corners, g.low_h, g.high_h, <double *> g.first_h,
                        <double *> g.second_h)
        between[double](g.W, g.OW, g.scale_w, g.align_corners, g.low_w, g.high_w, <double *> g.first_w,
                        <double *> g.second_w)


cdef void nearest_plane(const Resample *g, const real *x, real *y) noexcept nogil:
    cdef Py_ssize_t oh, ow
    cdef const real *row
    for oh in range(g.OH):
        row = x + g.low_h[oh] * g.W
        if oh and g.low_h[oh] == g.low_h[oh - 1]:
            memcpy(y, y - g.OW, g.OW * sizeof(real))
        elif g.doubles:
            g.t.zip(y, row, row, g.W)
        else:
            for ow in range(g.OW):
                y[ow] = row[g.low_w[ow]]
        y += g.OW


cdef void nearest_plane_backward(const Resample *g, real *dx, const real *dy, real *row) noexcept nogil:
    """Add dy to dx, which is 0. The output rows that copy one row of pixels are neighbours, and are added up first."""
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
        if g.doubles:
            for ow in range(g.W):
                target[ow] = row[2 * ow] + row[2 * ow + 1]
        elif g.OW <= FLOAT_MAX_OUTPUTS * g.W:
            for ow in range(g.OW):
                target[g.low_w[ow]] += row[ow]
        else:
            ow = 0
            while ow < g.OW:  # the columns that copy one pixel are neighbours too
                at, total = g.low_w[ow], 0
                while ow < g.OW and g.low_w[ow] == at:
                    total += row[ow]
                    ow += 1
                target[at] = <real> total
        oh = next_


cdef void bilinear_plane(const Resample *g, const real *x, real *y, real *rows) noexcept nogil:
    """y from x. Each row of pixels is brought to the width of the output once, for all output rows that need it."""
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
    """Add to `row` the transpose of `widen`."""
    cdef Py_ssize_t ow, low, high
    cdef double to_low, to_high
    cdef const real *first = <const real *> g.first_w
    cdef const real *second = <const real *> g.second_w
    if g.OW == g.W:
        g.t.add(row, 0, wide, 0, 1, g.W)
        return
    for ow in range(g.OW if g.OW <= FLOAT_MAX_OUTPUTS * g.W else 0):
        row[g.low_w[ow]] += wide[ow] * first[ow]
        row[g.high_w[ow]] += wide[ow] * second[ow]
    ow = 0
    while ow < g.OW and g.OW > FLOAT_MAX_OUTPUTS * g.W:
        low, high, to_low, to_high = g.low_w[ow], g.high_w[ow], 0, 0
        while ow < g.OW and g.low_w[ow] == low:
            to_low += wide[ow] * first[ow]
            to_high += wide[ow] * second[ow]
            ow += 1
        row[low] += <real> to_low
        row[high] += <real> to_high


cdef void bilinear_plane_backward(const Resample *g, real *dx, const real *dy, real *rows) noexcept nogil:
    """Add to dx, which is 0. Two rows of the output's width gather the gradients of two neighbouring rows of pixels."""
    cdef Py_ssize_t oh, ow, gathered = 0, at = g.low_h[0]  # `at` is the upper row of pixels
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
        while at < g.low_h[oh] or gathered == FLOAT_MAX_OUTPUTS:
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


cdef void bicubic_plane(const Resample *g, const real *x, real *y, real *row) noexcept nogil:
    """y from x. The four rows of pixels become one, and then the columns of this row."""
    cdef Py_ssize_t oh, ow, k, low
    cdef const real *of_rows = <const real *> g.first_h
    cdef const real *of_columns = <const real *> g.first_w
    cdef real total
    for oh in range(g.OH):
        low = g.low_h[oh]
        memset(row, 0, g.W * sizeof(real))
        if 1 <= low < g.H - 2:
            g.t.row(of_rows + oh, g.OH, x + (low - 1) * g.W, g.W, 4, row, g.W)
        else:
            for k in range(4):
                g.t.row(of_rows + k * g.OH + oh, 1, x + tap(low, k, g.H) * g.W, g.W, 1, row, g.W)
        for ow in range(g.OW):
            low, total = g.low_w[ow], 0
            if 1 <= low < g.W - 2:
                for k in range(4):
                    total += of_columns[k * g.OW + ow] * row[low + k - 1]
            else:
                for k in range(4):
                    total += of_columns[k * g.OW + ow] * row[tap(low, k, g.W)]
            y[ow] = total
        y += g.OW


cdef void bicubic_plane_backward(const Resample *g, real *dx, const real *dy, double *rows) noexcept nogil:
    """Each row of pixels gathers its gradient from all output rows, which are neighbours for each of the four taps."""
    cdef Py_ssize_t h, ow, k
    cdef Py_ssize_t next_[4]  # for each tap the first output row that has not been gathered
    cdef const real *of_rows = <const real *> g.first_h
    cdef const real *of_columns = <const real *> g.first_w
    cdef const real *source
    cdef double *narrowed = rows + g.OW
    cdef double weight
    next_[0] = next_[1] = next_[2] = next_[3] = 0
    for h in range(g.H):
        memset(rows, 0, (g.OW + g.W) * sizeof(double))
        for k in range(4):
            while next_[k] < g.OH and tap(g.low_h[next_[k]], k, g.H) == h:
                source, weight = dy + next_[k] * g.OW, of_rows[k * g.OH + next_[k]]
                for ow in range(g.OW):
                    rows[ow] += weight * source[ow]
                next_[k] += 1
        for k in range(4):
            for ow in range(g.OW):
                narrowed[tap(g.low_w[ow], k, g.W)] += of_columns[k * g.OW + ow] * rows[ow]
        for ow in range(g.W):
            dx[ow] = <real> narrowed[ow]
        dx += g.W
