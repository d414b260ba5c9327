# The arguments of a convolution's forward, which every way takes; `_conv_forward` calls the ways.
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
