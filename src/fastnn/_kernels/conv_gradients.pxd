# The arguments of a convolution's backward, which every way takes; `_conv_backward` calls the ways.
from fastnn._kernels.conv_shape cimport ConvShape
from fastnn._kernels.fnn cimport fnn_tiles

cdef struct Gradients:
    fnn_tiles *t
    ConvShape shape
    const char *dy    # (N, G*O, OH, OW)
    const char *x     # (N, G*C, H, W)
    const char *w     # (G*O, C, KH, KW)
    char *dx          # shaped like x; NULL if the caller does not want it
    char *dw          # shaped like w; NULL if the caller does not want it
    char *db          # (G*O,); NULL if the caller does not want it
    const char *bias  # (G*C,), added to dx when a transposed convolution computes its output there; else NULL
    int flags         # FNN_RELU applies ReLU to dx, for a transposed convolution; else 0
