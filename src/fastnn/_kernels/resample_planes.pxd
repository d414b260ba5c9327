# Planes of another size: what all kinds of them share.
from libc.stdint cimport int64_t

from fastnn._kernels.fnn cimport fnn_tiles

cdef struct Resample:
    fnn_tiles *t
    Py_ssize_t H, W, OH, OW
    Py_ssize_t total   # planes
    Py_ssize_t planes  # of a chunk
    char *x            # planes (H, W), or their gradient
    char *y            # planes (OH, OW), or their gradient
    int64_t *indices   # of maxima in their planes, or NULL
    int kind           # as `_resample` names them
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
