# What a forward of a convolution is asked for, and the ways to it; `_conv_forward` chooses.
from fastnn._kernels.conv_shape cimport ConvShape
from fastnn._kernels.fnn cimport fnn_tiles

cdef struct Output:
    fnn_tiles *t
    ConvShape shape
    const char *x     # (N, G*C, H, W)
    const char *w     # (G*O, C, KH, KW)
    const char *bias  # (G*O,), or NULL
    char *y           # (N, G*O, OH, OW)
    int flags         # FNN_RELU, or 0
