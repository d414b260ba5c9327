# Normalisation of elements whose squares, or whose sum, leave the range of their dtype. The elements are multiplied by
# a power of two, the unit. The moments of x follow from those of x*unit. These are plain loops in double precision.
from libc.float cimport DBL_EPSILON, DBL_MAX, DBL_MIN, FLT_EPSILON, FLT_MAX, FLT_MIN
from libc.math cimport INFINITY, fabs, frexp, ldexp, sqrt

ctypedef fused scaled_real:
    float
    double

cdef struct Scaled:
    double unit, mean, invstd  # the unit, and the moments of x*unit


cdef inline bint in_range(double var, double eps, bint is_double) noexcept nogil:
    """Whether no square in the variance overflowed, or vanished below the smallest normal number."""
    if is_double:
        return DBL_MIN / DBL_EPSILON <= var + eps <= DBL_MAX
    return FLT_MIN / FLT_EPSILON <= var + eps <= FLT_MAX


cdef inline double unit_of(double most) noexcept nogil:
    """A power of two that brings `most` near 1. It is limited, so that its square times an ordinary eps is in range."""
    cdef int exponent
    frexp(most, &exponent)
    return ldexp(1, min(max(-exponent, -1000), 500))


cdef inline Scaled scaled_moments(const scaled_real *x, Py_ssize_t rows, Py_ssize_t step, Py_ssize_t n, double eps,
                                  double *mean, double *var, double *invstd) noexcept nogil:
    """The moments of the elements r*step + j, r < rows, j < n.

    If all elements are 0, or one is inf or NaN, unit is 0, and mean, var and invstd are not written.
    """
    cdef Scaled s
    cdef double most = 0, total = 0, size
    cdef Py_ssize_t r, j
    s.unit = s.mean = s.invstd = 0
    for r in range(rows):
        for j in range(n):
            size = fabs(<double> x[r * step + j])
            if not size < INFINITY:
                return s
            most = max(most, size)
    if most == 0:
        return s
    s.unit = unit_of(most)
    for r in range(rows):
        for j in range(n):
            total += x[r * step + j] * s.unit
    s.mean = total / (<double> rows * n)
    total = 0
    for r in range(rows):
        for j in range(n):
            size = x[r * step + j] * s.unit - s.mean
            total += size * size
    total /= <double> rows * n
    s.invstd = 1 / sqrt(total + eps * s.unit * s.unit)
    mean[0], var[0], invstd[0] = s.mean / s.unit, total / s.unit / s.unit, s.invstd * s.unit
    return s


cdef inline void scaled_apply(Scaled s, const scaled_real *x, scaled_real *y, Py_ssize_t rows, Py_ssize_t step,
                              Py_ssize_t n, double weight, double bias, bint relu) noexcept nogil:
    """y = (x - mean)*invstd*weight + bias, or its positive part."""
    cdef Py_ssize_t r, j
    cdef double value
    for r in range(rows):
        for j in range(n):
            value = (x[r * step + j] * s.unit - s.mean) * s.invstd * weight + bias
            y[r * step + j] = <scaled_real> (0 if relu and value <= 0 else value)
