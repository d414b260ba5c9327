# What a backward of a convolution is asked for, and the ways to it; `_conv_backward` chooses.
from fastnn._kernels.fnn cimport fnn_tiles

cdef struct Gradients:
    fnn_tiles *t
    Py_ssize_t N, C, H, W, O, KH, KW, OH, OW, SH, SW, PH, PW
    const char *dy  # (N, O, OH, OW)
    const char *x   # (N, C, H, W)
    const char *w   # (O, C, KH, KW)
    char *dx        # like x, or NULL where it is not wanted
    char *dw        # like w, or NULL
    char *db        # (O,), or NULL
