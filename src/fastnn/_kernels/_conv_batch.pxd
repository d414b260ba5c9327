# Convolution of small maps, many images at a time, and its input gradient.
from fastnn._kernels.conv_gradients cimport Gradients
from fastnn._kernels.conv_output cimport Output

# y, and dx, which is wanted. False when there is no memory.
cdef bint batch_forward(const Output *g) noexcept nogil
cdef bint batch_input(const Gradients *a) noexcept nogil
