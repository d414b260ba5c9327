# Interpolation of one plane.
from fastnn._kernels.resample_planes cimport Resample

ctypedef fused real:
    float
    double

# The tables of g, which have memory.
cdef void fill_nearest(Resample *g) noexcept nogil
cdef void fill_bilinear(Resample *g) noexcept nogil

# `row` and `rows` have room for one and for two rows of the output. dx is 0 and is added to.
cdef void nearest_plane(const Resample *g, const real *x, real *y) noexcept nogil
cdef void nearest_plane_backward(const Resample *g, real *dx, const real *dy, real *row) noexcept nogil
cdef void bilinear_plane(const Resample *g, const real *x, real *y, real *rows) noexcept nogil
cdef void bilinear_plane_backward(const Resample *g, real *dx, const real *dy, real *rows) noexcept nogil
