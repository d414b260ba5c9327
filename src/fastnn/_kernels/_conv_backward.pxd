# The gradients of a convolution, for the plan of a training step.
from fastnn._kernels.conv_gradients cimport Gradients

# Write each gradient whose pointer is not NULL, by the way that suits it. False when there is no memory.
cdef bint gradients(const Gradients *a) noexcept nogil
