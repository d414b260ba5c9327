# Depthwise convolution by rows of the planes, which stay as they are. The kernel is 3 x 3 or 5 x 5, at one stride both
# ways, 1 or 2, without dilation, and with less padding than its size; or it is 1 x 1 without stride and padding.
from fastnn._kernels.conv_gradients cimport Gradients
from fastnn._kernels.conv_output cimport Output

# The whole output. False when there is no memory.
cdef bint depthwise_by_rows(const Output *g, int workers) noexcept nogil
# The gradients that are wanted. False when there is no memory.
cdef bint depthwise_gradients_by_rows(const Gradients *a, int workers) noexcept nogil
