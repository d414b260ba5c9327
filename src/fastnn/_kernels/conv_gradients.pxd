# What a backward of a convolution is asked for, and the ways to it; `_conv_backward` chooses.
from fastnn._kernels.conv_shape cimport ConvShape
from fastnn._kernels.fnn cimport fnn_tiles

cdef struct Gradients:
    fnn_tiles *t
    ConvShape shape
    const char *dy    # (N, G*O, OH, OW)
    const char *x     # (N, G*C, H, W)
    const char *w     # (G*O, C, KH, KW)
    char *dx          # shaped like x, or NULL where it is not wanted
    char *dw          # shaped like w, or NULL
    char *db          # (G*O,), or NULL
    const char *bias  # (G*C,), added to dx where dx is the output of a transposed convolution; or NULL
    int flags         # FNN_RELU: of that output too
