# Planes of another size, for the plans of whole networks.
from libc.stdint cimport int64_t

from fastnn._kernels.fnn cimport fnn_tiles

cpdef enum:
    AVERAGE
    MAXIMUM
    NEAREST
    BILINEAR

cdef struct Resample:
    fnn_tiles *t
    Py_ssize_t H, W, OH, OW
    Py_ssize_t total   # planes
    Py_ssize_t planes  # of a chunk
    char *x            # planes (H, W), or their gradient
    char *y            # planes (OH, OW), or their gradient
    int64_t *indices   # of maxima in their planes, or NULL
    int kind           # one of these four
    bint align_corners
    double scale_h, scale_w  # as given, or 0: what the sizes say
    Py_ssize_t *low_h        # interpolation: for each output row and column, the pixel before and the one after it,
    Py_ssize_t *high_h       # and the weights of both
    Py_ssize_t *low_w
    Py_ssize_t *high_w
    char *first_h
    char *second_h
    char *first_w
    char *second_w
    char *workspace            # for each thread: some rows
    Py_ssize_t workspace_step  # bytes

# So many planes of another size; x and y are missing yet, and so are indices and how corners and scales are taken.
cdef Resample describe_resample(fnn_tiles *t, int kind, Py_ssize_t planes, Py_ssize_t H, Py_ssize_t W, Py_ssize_t OH,
                                Py_ssize_t OW) noexcept nogil
cdef bint resample(Resample *g, int workers) noexcept nogil  # False when there is no memory
