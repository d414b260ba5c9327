from fastnn._kernels.conv_gradients cimport Gradients

# dx, which is wanted. False when there is no memory.
cdef bint input_gradient(const Gradients *a) noexcept nogil
