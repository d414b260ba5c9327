# Depthwise convolution with channels in the lanes of vectors.
from fastnn._kernels.conv_output cimport Output

# Write the whole output and return True. Return False, with nothing written, if lanes do not pay or there is no memory.
cdef bint depthwise_in_lanes(const Output *g, int workers) noexcept nogil
