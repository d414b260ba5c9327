# Adaptive pooling of one plane. `row` has room for a row of x, and for as many int32.
from libc.stdint cimport int64_t

from fastnn._kernels.resample_planes cimport Resample

ctypedef fused real:
    float
    double

# y (planes,): the average of each whole plane.
cdef void average_whole_planes(const Resample *g, const real *x, real *y, Py_ssize_t planes) noexcept nogil
cdef void average_plane(const Resample *g, const real *x, real *y, real *row) noexcept nogil
cdef void average_plane_backward(const Resample *g, real *dx, const real *dy, real *row) noexcept nogil
cdef void maximum_plane(const Resample *g, const real *x, real *y, int64_t *indices, real *row) noexcept nogil
