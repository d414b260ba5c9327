# Depthwise convolution with channels in the lanes of vectors.
from fastnn._kernels.conv_output cimport Output

# The whole convolution, if it pays; False if it does not, or if there is no memory, and nothing was done then.
cdef bint depthwise_in_lanes(const Output *g, int workers) noexcept nogil
