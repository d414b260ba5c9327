from fastnn._kernels.conv_gradients cimport Gradients

# dw, which is wanted, and db if it is. False when there is no memory.
cdef bint weight_gradient(const Gradients *a) noexcept nogil
