# Planes of another size, for the plans of whole networks.
from fastnn._kernels.fnn cimport fnn_tiles
from fastnn._kernels.resample_planes cimport Resample

cpdef enum:
    AVERAGE
    MAXIMUM
    NEAREST
    NEAREST_EXACT
    BILINEAR
    BICUBIC

# Describe the resampling of `planes` planes. The caller sets x and y, and the indices, align_corners and scales that
# its kind reads.
cdef Resample describe_resample(fnn_tiles *t, int kind, Py_ssize_t planes, Py_ssize_t H, Py_ssize_t W, Py_ssize_t OH,
                                Py_ssize_t OW) noexcept nogil
cdef bint resample(Resample *g, int workers) noexcept nogil  # False when there is no memory
cdef bint resample_gradient(Resample *g, int workers) noexcept nogil  # x of y
