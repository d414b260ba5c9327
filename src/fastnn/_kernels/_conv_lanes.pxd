# Depthwise convolution with channels in the lanes of vectors.
from fastnn._kernels.conv_gradients cimport Gradients
from fastnn._kernels.conv_output cimport Output
from fastnn._kernels.conv_shape cimport ConvShape
from fastnn._kernels.fnn cimport fnn_tiles

# The whole output of a convolution whose groups have one input and one output channel. False when there is no memory.
cdef bint depthwise(const Output *g, int workers) noexcept nogil
# Whether the gradients can be computed in lanes: enough channels, and a small map.
cdef bint lanes_may_serve(fnn_tiles *t, const ConvShape *s) noexcept nogil
# The gradients that are wanted, if that pays. False if it does not, or if there is no memory; nothing was done then.
cdef bint depthwise_gradients_in_lanes(const Gradients *a, int workers) noexcept nogil
