# Depthwise convolution with channels in the lanes of vectors.
from fastnn._kernels.conv_gradients cimport Gradients
from fastnn._kernels.conv_output cimport Output

# The whole output of a convolution whose groups have one input and one output channel. False when there is no memory.
cdef bint depthwise(const Output *g, int workers) noexcept nogil
# The gradients that are wanted, if that pays. False if it does not, or if there is no memory; nothing was done then.
cdef bint depthwise_gradients_in_lanes(const Gradients *a, int workers) noexcept nogil
