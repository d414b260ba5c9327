# Planes of another size: the struct that all kinds share.
from libc.stdint cimport int64_t

from fastnn._kernels.fnn cimport fnn_tiles

cdef struct Resample:
    fnn_tiles *t
    Py_ssize_t H, W, OH, OW
    Py_ssize_t total   # planes of all chunks
    Py_ssize_t planes  # planes of a chunk
    char *x            # planes (H, W), or their gradient
    char *y            # planes (OH, OW), or their gradient
    int64_t *indices   # the places of maxima in their planes, or NULL
    int kind           # one of the kinds of `_resample`
    bint align_corners
    double scale_h, scale_w  # the caller's scales; 0 for the ratio of the sizes
    # Interpolation: output row o lies between the rows low_h[o] and high_h[o], with the weights first_h[o] and
    # second_h[o]. Of four rows, low_h[o] is the second, and row k has the weight first_h[k*OH + o]. The same holds for
    # columns.
    Py_ssize_t *low_h
    Py_ssize_t *high_h
    Py_ssize_t *low_w
    Py_ssize_t *high_w
    char *first_h
    char *second_h
    char *first_w
    char *second_w
    bint doubles               # nearest: each pixel of a row is copied to two
    char *workspace            # some rows for each thread
    Py_ssize_t workspace_step  # bytes of a workspace
