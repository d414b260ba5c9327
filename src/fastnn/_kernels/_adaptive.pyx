"""Adaptive pooling: window o of `outputs` reaches from o*size/outputs to (o + 1)*size/outputs, rounded outwards.

The kernel takes a row of windows at a time. It combines their rows of pixels into one row, and then the columns of each
window in this row. docs/dev/resampling.md draws the windows.
"""
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memset

from fastnn._kernels.resample_planes cimport Resample


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
        if g.OW == 1:  # a window of whole rows is contiguous
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
    cdef Py_ssize_t oh, ow, ih, ih_to, j, from_, to, written = 0  # counts rows of dx
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
    """Find the maximum of each column and its row, then the maximum of these. Of equal ones the upper row wins."""
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
