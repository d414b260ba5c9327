# What a backward of a convolution is asked for, and the ways to it; `_conv_backward` chooses.
from fastnn._kernels.fnn cimport fnn_tiles

cdef struct Gradients:
    fnn_tiles *t
    Py_ssize_t N, C, H, W, O, KH, KW, OH, OW, SH, SW, PH, PW, DH, DW
    Py_ssize_t G    # groups; C and O are the channels of one of them
    const char *dy    # (N, G*O, OH, OW)
    const char *x     # (N, G*C, H, W)
    const char *w     # (G*O, C, KH, KW)
    char *dx          # like x, or NULL where it is not wanted
    char *dw          # like w, or NULL
    char *db          # (G*O,), or NULL
    const char *bias  # (G*C,), added to dx where this is the output of a transposed convolution; or NULL
    int flags         # FNN_RELU: of dx, alike
