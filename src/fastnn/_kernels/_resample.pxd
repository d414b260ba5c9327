# Planes of another size, for the plans of whole networks.
from fastnn._kernels.fnn cimport fnn_tiles
from fastnn._kernels.resample_planes cimport Resample

cpdef enum:
    AVERAGE
    MAXIMUM
    NEAREST
    BILINEAR

# `planes` planes of another size. The caller adds x and y, and indices, corners and scales where the kind has them.
cdef Resample describe_resample(fnn_tiles *t, int kind, Py_ssize_t planes, Py_ssize_t H, Py_ssize_t W, Py_ssize_t OH,
                                Py_ssize_t OW) noexcept nogil
cdef bint resample(Resample *g, int workers) noexcept nogil  # False when there is no memory
