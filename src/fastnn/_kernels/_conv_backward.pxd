# The gradients of a convolution, for plans of training.
from fastnn._kernels.conv_gradients cimport Gradients

# Those that are wanted, each by the way that suits it. False when there is no memory.
cdef bint gradients(const Gradients *a) noexcept nogil
