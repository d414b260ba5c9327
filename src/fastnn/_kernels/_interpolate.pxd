# Interpolation of one plane.
from fastnn._kernels.resample_planes cimport Resample

ctypedef fused real:
    float
    double

# Fill the tables of g, for which the caller has allocated memory.
cdef void fill_nearest(Resample *g, bint exact) noexcept nogil
cdef void fill_bilinear(Resample *g) noexcept nogil
cdef void fill_bicubic(Resample *g) noexcept nogil

# `row` has room for one row of the output or input, and `rows` for two. The backwards add to dx, which the caller sets
# to 0; that of bicubic writes it.
cdef void nearest_plane(const Resample *g, const real *x, real *y) noexcept nogil
cdef void nearest_plane_backward(const Resample *g, real *dx, const real *dy, real *row) noexcept nogil
cdef void bilinear_plane(const Resample *g, const real *x, real *y, real *rows) noexcept nogil
cdef void bilinear_plane_backward(const Resample *g, real *dx, const real *dy, real *rows) noexcept nogil
cdef void bicubic_plane(const Resample *g, const real *x, real *y, real *row) noexcept nogil
cdef void bicubic_plane_backward(const Resample *g, real *dx, const real *dy, double *rows) noexcept nogil
